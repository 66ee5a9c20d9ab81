#!/usr/bin/env python3
"""Compares decide/ignores with git: random trees with ignore files in many of their folders, every path of them.

What is compared is the file and the number of the line that decides, which is stricter than the verdict. Each tree is a
repository of its own, with .git/info/exclude; some hold another repository. git is asked with "git check-ignore", and
decide/ignores through the program ignore_oracle.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from compare_gitignore import random_pattern, random_tree

ROUNDS_PER_BATCH = 100
GIT_FOLDERS = ["objects", "refs", "info"]
# What a reader of lines may stumble over, besides patterns.
ODD_LINES = ["", "", " ", "   ", "# comment", "#", "\\#a", " #a", "\t", "a\t", "\r", "a\r", "\r\r", "a\0b", "\0", "!",
             "/", "\\!a", "!!a", "a\\ ", "a\\  ", "\ufeff*", "*", "!*", "*/", "!*/", "**", "/*", "!/*/"]


@dataclass
class Tree:
    """One repository: all paths (is it a folder), and each ignore file by its path."""

    paths: dict[str, bool]
    files: dict[str, bytes]
    nested: str | None = None  # a folder that is a repository of its own
    answers: list[tuple[str, int]] = field(default_factory=list)

    def top_of(self, path: str) -> str:
        """The repository that a path is in: "" or the nested one, with a slash."""
        inside = self.nested is not None and path.startswith(self.nested + "/")
        return f"{self.nested}/" if inside else ""


def random_text(rng: random.Random, paths: dict[str, bool]) -> bytes:
    lines = []
    for _ in range(rng.randint(1, 6)):
        lines.append(rng.choice(ODD_LINES) if rng.random() < 0.2 else random_pattern(rng, paths))
    end = rng.choice(["\n", "\n", "\n", "\r\n"])
    text = end.join(lines) + rng.choice([end, end, end, "", "\r"])
    mark = b"\xef\xbb\xbf" if rng.random() < 0.1 else b""
    return mark + text.encode("utf-8", "surrogateescape")


def below(paths: dict[str, bool], folder: str) -> dict[str, bool]:
    """What a pattern in this folder's file can be about, relative to it."""
    return {path[len(folder):]: kind for path, kind in paths.items() if path.startswith(folder) and path != folder}


def random_round(rng: random.Random) -> Tree:
    paths = random_tree(rng)
    folders = [path + "/" for path, is_folder in paths.items() if is_folder]
    tree = Tree(paths, {})
    if folders and rng.random() < 0.15:
        tree.nested = rng.choice(folders)[:-1]
    for folder in ["", *folders]:
        if rng.random() < (0.7 if folder == "" else 0.4):
            tree.files[folder + ".gitignore"] = random_text(rng, below(paths, folder))
    for top in {"", f"{tree.nested}/" if tree.nested else ""}:
        if rng.random() < 0.5:
            tree.files[top + ".git/info/exclude"] = random_text(rng, below(paths, top))
    return tree


def make_repository(top: Path) -> None:
    """What git takes for one; many times as quick as "git init"."""
    for folder in GIT_FOLDERS:
        (top / ".git" / folder).mkdir(parents=True, exist_ok=True)
    (top / ".git/HEAD").write_text("ref: refs/heads/main\n")


def build(tree: Tree, root: Path) -> None:
    root.mkdir()
    make_repository(root)
    for path, is_folder in tree.paths.items():
        if is_folder:
            (root / path).mkdir()
        else:
            os.close(os.open(root / path, os.O_CREAT | os.O_WRONLY))
    if tree.nested is not None:
        make_repository(root / tree.nested)
    for path, content in tree.files.items():
        (root / path).write_bytes(content)


def check_ignore(top: Path, prefix: str, paths: list[str], env: dict[str, str]) -> dict[str, tuple[str, int, bool]]:
    """{path: (source, line, is it ignored)}, for paths below the repository root/prefix."""
    if not paths:
        return {}
    result = subprocess.run(
        ["git", "check-ignore", "-z", "-v", "-n", "--no-index", "--stdin"], cwd=top / prefix, env=env, check=False,
        input="".join(path[len(prefix):] + "\0" for path in paths).encode("utf-8", "surrogateescape"),
        stdout=subprocess.PIPE)
    if result.returncode > 1:
        sys.exit(f"git check-ignore failed with {result.returncode}")
    fields = [part.decode("utf-8", "surrogateescape") for part in result.stdout.split(b"\0")[:-1]]
    if len(fields) != 4 * len(paths):
        sys.exit(f"git answered {len(fields) // 4} of {len(paths)} questions")
    answers = {}
    for path, source, line, pattern in zip(paths, fields[0::4], fields[1::4], fields[2::4]):
        answers[path] = (prefix + source if source else "-", int(line or 0), bool(source) and not pattern.startswith("!"))
    return answers


def ask_git(tree: Tree, root: Path, env: dict[str, str]) -> list[tuple[str, int]]:
    build(tree, root)
    answers = {}
    for top in {"", tree.top_of(f"{tree.nested}/x")}:
        answers.update(check_ignore(root, top, [path for path in tree.paths if tree.top_of(path) == top], env))
    # The outer repository has no say in what is below the inner one, but it may ignore that as a whole.
    outer = answers[tree.nested] if tree.nested is not None else ("-", 0, False)
    return [(outer if outer[2] and tree.top_of(path) else answers[path])[:2] for path in tree.paths]


def ask_all_git(trees: list[Tree]) -> list[list[tuple[str, int]]]:
    with tempfile.TemporaryDirectory(prefix="compare_ignore.") as folder:
        env = {"PATH": os.environ["PATH"], "HOME": folder, "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
               "GIT_CONFIG_GLOBAL": os.devnull}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(lambda item: ask_git(item[1], Path(folder, str(item[0])), env), enumerate(trees)))


def hexed(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").hex()


def questions(tree: Tree) -> str:
    lines = ["R", "T /r"]
    if tree.nested is not None:
        lines.append(f"T /r/{tree.nested}")
    for number, (path, content) in enumerate(tree.files.items()):
        kind = "E" if path.endswith(".git/info/exclude") else "G"
        folder = path.removesuffix(".git/info/exclude").removesuffix(".gitignore").rstrip("/")
        lines.append(f"S {kind} {number} {hexed('/r/' + folder if folder else '/r')} {content.hex()}")
    lines += [f"{'D' if is_folder else 'F'} /r/{path}" for path, is_folder in tree.paths.items()]
    return "".join(line + "\n" for line in lines)


def ask_oracle(oracle: str, trees: list[Tree]) -> list[list[tuple[str, int]]]:
    result = subprocess.run([oracle], stdout=subprocess.PIPE, check=True,
                            input="".join(map(questions, trees)).encode("utf-8", "surrogateescape"))
    lines = iter(result.stdout.decode().splitlines())
    answers = []
    for tree in trees:
        names = list(tree.files)
        pairs = [next(lines).split() for _ in tree.paths]
        answers.append([("-" if file == "-" else names[int(file)], int(line)) for file, line in pairs])
    return answers


def compare(oracle: str, trees: list[Tree], show: int) -> tuple[int, int, int]:
    """How many paths agreed, how many did not, and how many were matched at all."""
    passed = failed = matched = 0
    for tree, git, ours in zip(trees, ask_all_git(trees), ask_oracle(oracle, trees)):
        for path, expected, got in zip(tree.paths, git, ours):
            matched += expected[1] != 0
            if got == expected:
                passed += 1
                continue
            failed += 1
            if failed <= show:
                print(f"{path!r} of {tree}: git says {expected}, decide/ignores says {got}")
    return passed, failed, matched


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("oracle", help="the program built from tests/unit/ignore_oracle.c")
    parser.add_argument("--rounds", type=int, default=500, help="trees to compare (500)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.rounds} trees")

    rng = random.Random(args.seed)
    passed = failed = matched = done = 0
    while done < args.rounds:
        count = min(ROUNDS_PER_BATCH, args.rounds - done)
        done += count
        result = compare(args.oracle, [random_round(rng) for _ in range(count)], max(0, 10 - failed))
        passed, failed, matched = (a + b for a, b in zip((passed, failed, matched), result))
    print(f"{matched} of them were matched by a line")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not matched else 0


if __name__ == "__main__":
    sys.exit(main())
