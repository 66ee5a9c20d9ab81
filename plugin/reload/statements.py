# How the module that was edited is executed, where its statements take long: one after the other, and behind each that took long the process
# is frozen. The next time the file changes, a copy goes on with the statements that follow, as they are then, if all up to there is as it was:
# an edit below `import pandas` does not import pandas again.
#
# Compiled by agent.py, whose names it uses, when a module was edited for the first time.

import_system = importlib._bootstrap
ONLY_AST = 0x400  # ast.PyCF_ONLY_AST
FUTURES = 0x1FE0000  # What `from __future__ import …` adds to the flags of code, from Python 3.9 on.

# What takes less is soon executed again.
LEAST_STATEMENTS_S = 0.02
monotonic = time.monotonic


def executing(loader, get_code, edited):
    """In place of the loader's get_code."""
    return lambda name=None: executed(loader, get_code, edited)


def executed(loader, get_code, edited):
    """Executes the module that is being imported, and returns code that does nothing more. What is wrong with the text is found, and said, by get_code as ever."""
    code = get_code(loader, loader.name)
    namespace = sys.modules[loader.name].__dict__
    if is_slow():
        text = loader.get_data(loader.path)
        statements = Statements(loader, namespace, code.co_flags & FUTURES, edited)
        if statements.take(text) and set_aside(loader.path):
            try:
                statements.execute()
            finally:
                take_back(False)
            return nothing(loader)
    begun = monotonic()
    import_system._call_with_frames_removed(exec, code, namespace)
    if monotonic() - begun > LEAST_STATEMENTS_S:
        note_slow()
    return nothing(loader)


def nothing(loader):
    return compile("", loader.path, "exec", 0, True)


class Statements:
    """Those of a module that are still to be executed."""

    def __init__(self, loader, namespace, flags, edited):
        self.loader = loader
        self.namespace = namespace
        self.flags = flags
        self.edited = edited
        self.text = self.done = b""  # All of it; and what has been executed when the process is frozen,
        self.done_lines = 0
        self.has_annotations = None  # In all of it; and in what has been executed.
        self.done_has_annotations = False
        self.steps = []  # Of each statement the code, or None; how many lines have been executed then, 0: the next one is on the same line; and whether it has annotations.

    def take(self, text):
        """Takes those behind what has been executed. False: they would not follow that as they do in one piece."""
        said = self.compile(text) if self.is_readable(text) else None
        return said is not None and not (self.done and said)

    def is_readable(self, text):
        """Is that what was executed up to there, and can the rest be compiled without it?"""
        is_utf8 = not any(line.lstrip().startswith(b"#") and b"coding" in line and b"utf-8" not in line for line in text.splitlines()[:2])
        return text.startswith(self.done) and is_utf8 and sys.version_info >= (3, 9)

    def compile(self, text):
        """Returns the warnings that the compiler has; None: it cannot be executed in pieces."""
        with Warned() as said:
            try:
                tree = self.parse(b"\n" * self.done_lines + text[len(self.done) :], ONLY_AST)
                kinds = [self.kinds_in(statement) for statement in tree.body]
                if not self.is_separable(kinds):
                    return None
                self.steps = self.steps_of(tree, kinds)
            except Exception:
                return None
        self.text = text
        return said

    def parse(self, source, flags=0):
        return compile(source, self.loader.path, "exec", self.flags | flags, True)

    def kinds_in(self, statement):
        """What there is in a statement that is executed as a part of the module."""
        kinds = set()
        inside = [statement]
        while inside:
            part = inside.pop()
            kind = type(part).__name__
            kinds.add("Future" if kind == "ImportFrom" and part.module == "__future__" else kind)
            if kind not in ("FunctionDef", "AsyncFunctionDef", "ClassDef"):
                for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                    inside += getattr(part, field, ())
        return kinds

    def is_separable(self, kinds):
        """Some statements have a meaning for those before them."""
        seen = set().union(*kinds)
        if "Global" in seen or self.done and "Future" in seen:
            return False
        has_annotations = "AnnAssign" in seen or self.done_has_annotations
        if self.done and has_annotations != self.has_annotations or has_annotations and sys.version_info >= (3, 14):
            return False
        self.has_annotations = has_annotations
        return True

    def steps_of(self, tree, kinds):
        steps = []
        starts = [first_line(statement) for statement in tree.body[1:]]
        for statement, seen, next_start in zip(tree.body, kinds, starts + [0]):
            is_docstring = not steps and not self.done
            code = self.parse(type(tree)(body=[statement], type_ignores=[])) if is_docstring or not is_text(statement) else None
            steps.append((code, statement.end_lineno if next_start > statement.end_lineno else 0, "AnnAssign" in seen))
        return steps

    def execute(self):
        """Returns when all have been, in this process and in each copy that goes on."""
        if self.has_annotations:
            self.namespace.setdefault("__annotations__", {})
        since = monotonic()
        while self.steps:
            code, lines, has_annotations = self.steps.pop(0)
            self.done_has_annotations |= has_annotations
            if code is not None:
                import_system._call_with_frames_removed(exec, code, self.namespace)
            if lines and monotonic() - since > LEAST_STATEMENTS_S:
                note_slow()
                self.freeze(lines)
                since = monotonic()

    def freeze(self, lines):
        self.done = b"".join(self.text.splitlines(True)[:lines])
        self.done_lines = lines
        # Else somebody has read the module besides, or asked how it looks.
        if take_back(False) and set_aside(self.loader.path):
            self.edited.freeze(self)

    def fit(self):
        """In a copy that is to go on: takes what follows now."""
        take_back(True)
        try:
            return self.take(self.loader.get_data(self.loader.path)) and set_aside(self.loader.path)
        except OSError:
            return False


def first_line(statement):
    return min([statement.lineno, *(decorator.lineno for decorator in getattr(statement, "decorator_list", ()))])


def is_text(statement):
    """Nothing comes of a text that stands alone, unless it is the first."""
    return type(statement).__name__ == "Expr" and type(statement.value).__name__ == "Constant" and isinstance(statement.value.value, str)
