/*
 * python: what has to be asked of Python, by name, at run time. See python.h.
 */
#include <uwsgi.h>

#include <dlfcn.h>

#include "reload/python.h"
#include "watch/uses.h"

extern struct uwsgi_server uwsgi;

/* agent.py, and a NUL. The assembler finds it where the compiler finds our headers (-I). */
__asm__(".section .rodata\n"
	"fr_agent_source:\n"
	".incbin \"reload/agent.py\"\n"
	".byte 0\n"
	".previous\n");
extern const char fr_agent_source[];

/* The same, compiled by the Python that was there when this was built (uwsgiplugin.py). */
#if __has_include("fastreload_agent.h")
#include "fastreload_agent.h"
static const unsigned char agent_code[] = {FR_AGENT_CODE};
#else
#define FR_AGENT_MAGIC -1
static const unsigned char agent_code[] = {0};
#endif

/* The source of what is only needed when a module was edited. */
__asm__(".section .rodata\n"
	"fr_statements_source:\n"
	".incbin \"reload/statements.py\"\n"
	".byte 0\n"
	".previous\n");
extern const char fr_statements_source[];

/* Stand-ins for what Python.h would declare; the layout of PyMethodDef is part of the stable ABI.
 */
struct py_object;
struct py_method {
	const char *name;
	void (*function)(void); /* in truth what the flags say */
	int flags;
	const char *doc;
};
#define PY_METHOD_VARARGS  1
#define PY_METHOD_KEYWORDS 2
#define PY_METHOD_O        8
#define PY_FILE_INPUT      257

static struct {
	int (*is_initialized)(void);
	int (*gil_check)(void);
	int (*gil_ensure)(void);
	void (*gil_release)(int);
	void *(*save_thread)(void);
	void (*before_fork)(void);
	void (*after_fork_parent)(void);
	void (*after_fork_child)(void);
	int (*add_audit_hook)(int (*)(const char *, struct py_object *, void *), void *);
	struct py_object *(*dict_new)(void);
	int (*dict_set)(struct py_object *, const char *, struct py_object *);
	struct py_object *(*dict_get)(struct py_object *, const char *);
	struct py_object *(*get_builtins)(void);
	struct py_object *(*run)(const char *, int, struct py_object *, struct py_object *);
	struct py_object *(*run_code)(struct py_object *, struct py_object *, struct py_object *);
	struct py_object *(*read_code)(const char *, ssize_t);
	long (*magic)(void);
	struct py_object *(*new_function)(struct py_method *, struct py_object *,
					  struct py_object *);
	struct py_object *(*call)(struct py_object *, const char *, ...);
	struct py_object *(*call_with)(struct py_object *, struct py_object *, struct py_object *);
	struct py_object *(*from_bool)(long);
	int (*is_true)(struct py_object *);
	struct py_object *(*tuple_item)(struct py_object *, ssize_t);
	struct py_object *(*sequence_item)(struct py_object *, ssize_t);
	long (*as_long)(struct py_object *);
	struct py_object *(*from_path)(const char *);
	int (*as_path)(struct py_object *, void *);
	char *(*bytes)(struct py_object *);
	ssize_t (*bytes_len)(struct py_object *);
	struct py_object *(*new_bytes)(const char *, ssize_t);
	void (*incref)(struct py_object *);
	void (*decref)(struct py_object *);
	struct py_object *none;
	void (*print_error)(void);
	void (*clear_error)(void);
} py;

static const struct {
	const char *name;
	void **pointer;
} symbols[] = {
	{"Py_IsInitialized", (void **)&py.is_initialized},
	{"PyGILState_Check", (void **)&py.gil_check},
	{"PyGILState_Ensure", (void **)&py.gil_ensure},
	{"PyGILState_Release", (void **)&py.gil_release},
	{"PyEval_SaveThread", (void **)&py.save_thread},
	{"PyOS_BeforeFork", (void **)&py.before_fork},
	{"PyOS_AfterFork_Parent", (void **)&py.after_fork_parent},
	{"PyOS_AfterFork_Child", (void **)&py.after_fork_child},
	{"PySys_AddAuditHook", (void **)&py.add_audit_hook},
	{"PyDict_New", (void **)&py.dict_new},
	{"PyDict_SetItemString", (void **)&py.dict_set},
	{"PyDict_GetItemString", (void **)&py.dict_get},
	{"PyEval_GetBuiltins", (void **)&py.get_builtins},
	{"PyRun_String", (void **)&py.run},
	{"PyEval_EvalCode", (void **)&py.run_code},
	{"PyMarshal_ReadObjectFromString", (void **)&py.read_code},
	{"PyImport_GetMagicNumber", (void **)&py.magic},
	{"PyCFunction_NewEx", (void **)&py.new_function},
	{"PyObject_CallFunction", (void **)&py.call},
	{"PyObject_Call", (void **)&py.call_with},
	{"PyBool_FromLong", (void **)&py.from_bool},
	{"PyObject_IsTrue", (void **)&py.is_true},
	{"PyTuple_GetItem", (void **)&py.tuple_item},
	{"PySequence_GetItem", (void **)&py.sequence_item},
	{"PyLong_AsLong", (void **)&py.as_long},
	{"PyUnicode_DecodeFSDefault", (void **)&py.from_path},
	{"PyUnicode_FSConverter", (void **)&py.as_path},
	{"PyBytes_AsString", (void **)&py.bytes},
	{"PyBytes_Size", (void **)&py.bytes_len},
	{"PyBytes_FromStringAndSize", (void **)&py.new_bytes},
	{"Py_IncRef", (void **)&py.incref},
	{"Py_DecRef", (void **)&py.decref},
	{"_Py_NoneStruct", (void **)&py.none},
	{"PyErr_Print", (void **)&py.print_error},
	{"PyErr_Clear", (void **)&py.clear_error},
};

static struct fr_uses *noted;
static void (*note_write)(const char *path); /* or NULL */
static const struct fr_python_hooks *hooks;
static struct py_object *agent;               /* the names in agent.py; owned, for ever */
static struct py_object *stop_agent;          /* owned; NULL: it is not waiting */
static struct py_object *prepare_agent;       /* owned; NULL: likewise */
static struct py_object *fits_agent;          /* owned; NULL: likewise */
static struct py_object *collect_agent;       /* owned, for ever; NULL: there is no agent */
static struct py_object *preload_agent;       /* owned; NULL: it is not waiting */
static bool has_other_hooks;                  /* the application hears what is opened, too */
static struct py_object *is_question_of_type; /* of the agent's; owned, for ever */

bool fr_python_is_there(void)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
		*symbols[i].pointer = dlsym(RTLD_DEFAULT, symbols[i].name);
		if (!*symbols[i].pointer)
			return false;
	}
	return py.is_initialized() != 0;
}

/*
 * uWSGI's Python plugin takes the lock when it begins to load in a worker, if there are threads at
 * all (uwsgi_python_init_apps); so it must not be held then. Its hooks around the fork leave it
 * held where they are in use (py-call-uwsgi-fork-hooks), and post_fork, which does not run here,
 * would release it. The thread state that it takes the lock with is known to it from the master.
 */
void fr_python_after_fork(void)
{
	if (uwsgi.has_threads && py.gil_check())
		(void)py.save_thread();
}

/* ---- what is read ---- */

static void drop(struct py_object *object)
{
	if (object)
		py.decref(object);
}

/* The tuple's item as a path for the operating system: new bytes, or NULL: it is a descriptor, or
 * nothing. */
static struct py_object *path_of(struct py_object *item)
{
	struct py_object *bytes = NULL;

	if (item == py.none) /* as it is at most imports; to have that raised takes its time */
		return NULL;
	if (item && py.as_path(item, &bytes))
		return bytes;
	py.clear_error();
	return NULL;
}

/* The folder that the item, a descriptor, is open on. False: it is none. */
static bool folder_of(struct py_object *item, char *folder)
{
	char link[64];
	long fd = item ? py.as_long(item) : -1;
	ssize_t len;

	py.clear_error();
	snprintf(link, sizeof(link), "/proc/self/fd/%ld", fd);
	len = fd < 0 ? -1 : readlink(link, folder, PATH_MAX - 1);
	if (len <= 0)
		return false;
	folder[len] = '\0';
	return true;
}

/* How the item, flags of open(2), opens a file: O_RDONLY, O_WRONLY or O_RDWR; -1: that is not
 * known. */
static int access_of(struct py_object *item)
{
	long flags = item ? py.as_long(item) : -1;

	if (flags == -1)
		py.clear_error();
	return flags == -1 ? -1 : (int)(flags & O_ACCMODE);
}

/* Calls visit, if the item is a path. */
static void with_path(struct py_object *item, void (*visit)(const char *path))
{
	struct py_object *path = path_of(item);

	if (path)
		visit(py.bytes(path));
	drop(path);
}

void fr_python_note_writes(void (*writes)(const char *path))
{
	note_write = writes;
}

/* A program's list of arguments: which files it is given, but for the one that it is to make. */
static void note_arguments(struct py_object *list)
{
	struct py_object *item;
	bool is_made = false;

	for (ssize_t i = 1; list && (item = py.sequence_item(list, i)); i++) {
		struct py_object *bytes = path_of(item);
		const char *text = bytes ? py.bytes(bytes) : "-";

		if (text[0] != '-' && !is_made)
			fr_uses_note_question(noted, text, false);
		is_made = strcmp(text, "-o") == 0;
		if (bytes)
			py.decref(bytes);
		py.decref(item);
	}
	py.clear_error();
}

/*
 * These say something about the machine, and nothing about what is in a watched folder, unless they
 * are given a file of it. Libraries ask them while they are imported: pandas by
 * platform.processor(), GeoDjango by ctypes.util.find_library().
 */
static bool is_about_the_machine(const char *program)
{
	static const char *const known[] = {"uname",   "ldconfig", "gcc",      "cc",         "ld",
					    "objdump", "getconf",  "hostname", "lsb_release"};
	const char *name = strrchr(program, '/');

	name = name ? name + 1 : program;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(name, known[i]) == 0)
			return true;
	}
	return false;
}

/* subprocess.Popen(executable, args, …), os.posix_spawn(path, argv, …). */
static void note_program(struct py_object *args)
{
	struct py_object *program = path_of(py.tuple_item(args, 0));

	if (program && is_about_the_machine(py.bytes(program)))
		note_arguments(py.tuple_item(args, 1));
	else
		fr_uses_spoil(noted);
	drop(program);
}

/* sqlite3.connect(database): a path or, perhaps, a URI. What was written last may be in the log
 * beside it. */
static void note_database(struct py_object *database)
{
	struct py_object *bytes = path_of(database);
	char path[PATH_MAX];
	const char *name = bytes ? py.bytes(bytes) : "";
	int len;

	if (strncmp(name, "file:", 5) == 0)
		name += 5;
	len = snprintf(path, sizeof(path) - 4, "%.*s", (int)strcspn(name, "?"), name);
	if (len >= (int)sizeof(path) - 4 || strchr(path, '%'))
		fr_uses_spoil(noted);
	else if (len > 0 && strcmp(path, ":memory:") != 0) {
		fr_uses_note(noted, path);
		strcpy(path + len, "-wal");
		fr_uses_note(noted, path);
	}
	if (bytes)
		py.decref(bytes);
}

static void note_read(const char *path)
{
	fr_uses_note(noted, path);
}

static void note_asked(const char *path)
{
	fr_uses_note_question(noted, path, false);
}

/* os.listdir(), os.listdir(path), os.listdir(descriptor). */
static void note_listing(struct py_object *item)
{
	struct py_object *path = path_of(item);
	char folder[PATH_MAX];

	if (path)
		fr_uses_note(noted, py.bytes(path));
	else
		fr_uses_note(noted, folder_of(item, folder) ? folder : ".");
	drop(path);
}

/* https://docs.python.org/3/library/audit_events.html */
enum event {
	EVENT_OTHER,
	EVENT_OPEN,       /* (path, mode, flags) */
	EVENT_LISTING,    /* (path) */
	EVENT_IMPORT,     /* (module, filename, …): of a module in C, which the dynamic linker
			     opens by itself; of another one the name is not known yet */
	EVENT_RENAME,     /* (src, dst, …); os.replace, too */
	EVENT_ATTRIBUTES, /* (path, …): a file's own time (ctime) tells when these change */
	EVENT_DATABASE,   /* (database) */
	EVENT_PROGRAM,    /* (program, arguments, …) */
	EVENT_UNSEEN,     /* what comes of it, nobody here hears of */
	EVENT_HOOK,
};

/*
 * What another program reads, Python does not hear of; and a function in C may read anything. That
 * a library is opened does not tell that one of its functions will be called: `import ctypes` alone
 * opens the interpreter itself. In another interpreter than the first, which uWSGI makes for each
 * application that is mounted beside the first, nobody hears what is asked (agent.py).
 */
static enum event event_of(const char *name)
{
	static const struct {
		const char *name;
		enum event event;
	} known[] = {
		{"open", EVENT_OPEN},
		{"import", EVENT_IMPORT},
		{"os.listdir", EVENT_LISTING},
		{"os.scandir", EVENT_LISTING},
		{"os.rename", EVENT_RENAME},
		{"os.getxattr", EVENT_ATTRIBUTES},
		{"os.listxattr", EVENT_ATTRIBUTES},
		{"sqlite3.connect", EVENT_DATABASE},
		{"subprocess.Popen", EVENT_PROGRAM},
		{"os.posix_spawn", EVENT_PROGRAM},
		{"os.system", EVENT_UNSEEN},
		{"os.spawn", EVENT_UNSEEN},
		{"os.fork", EVENT_UNSEEN},
		{"os.forkpty", EVENT_UNSEEN},
		{"os.exec", EVENT_UNSEEN},
		{"ctypes.dlsym", EVENT_UNSEEN},
		{"ctypes.dlsym/handle", EVENT_UNSEEN},
		{"ctypes.call_function", EVENT_UNSEEN},
		{"cpython.PyInterpreterState_New", EVENT_UNSEEN},
		{"sys.addaudithook", EVENT_HOOK},
	};

	/* Most are none of these, and few of those begin like one. */
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (known[i].name[0] == name[0] && known[i].name[1] == name[1] &&
		    strcmp(known[i].name, name) == 0)
			return known[i].event;
	}
	return EVENT_OTHER;
}

static void note_event(enum event event, struct py_object *args)
{
	switch (event) {
	case EVENT_OPEN:
		if (access_of(py.tuple_item(args, 2)) != O_WRONLY)
			with_path(py.tuple_item(args, 0), note_read);
		break;
	case EVENT_LISTING:
		note_listing(py.tuple_item(args, 0));
		break;
	case EVENT_IMPORT:
		with_path(py.tuple_item(args, 1), note_read);
		break;
	case EVENT_ATTRIBUTES:
		with_path(py.tuple_item(args, 0), note_asked);
		break;
	case EVENT_DATABASE:
		note_database(py.tuple_item(args, 0));
		break;
	case EVENT_PROGRAM:
		note_program(args);
		break;
	case EVENT_UNSEEN:
		fr_uses_spoil(noted);
		break;
	default:
		break;
	}
}

static int audit(const char *name, struct py_object *args, void *ctx)
{
	enum event event = event_of(name);

	(void)ctx;
	if (event == EVENT_OTHER)
		return 0;
	has_other_hooks |= event == EVENT_HOOK;
	if (note_write && event == EVENT_RENAME)
		with_path(py.tuple_item(args, 1), note_write);
	if (note_write && event == EVENT_OPEN && access_of(py.tuple_item(args, 2)) > O_RDONLY)
		with_path(py.tuple_item(args, 0), note_write);
	if (noted)
		note_event(event, args);
	return 0;
}

/* Code that is compiled already means the same to a Python of the same number only, by which it
 * judges its own .pyc files. Otherwise it compiles the source, which takes 3 ms. */
static struct py_object *execute_agent(void)
{
	struct py_object *code = NULL, *result;

	if (py.magic() == FR_AGENT_MAGIC)
		code = py.read_code((const char *)agent_code, sizeof(agent_code));
	if (!code) {
		py.clear_error();
		return py.run(fr_agent_source, PY_FILE_INPUT, agent, agent);
	}
	result = py.run_code(code, agent, agent);
	drop(code);
	return result;
}

/* Before anything is noted: what the agent imports is its own. */
static bool run_agent(void)
{
	struct py_object *result = NULL;

	agent = py.dict_new();
	if (agent) {
		py.dict_set(agent, "__builtins__", py.get_builtins());
		result = execute_agent();
	}
	if (!result)
		py.print_error();
	drop(result);
	return result != NULL;
}

bool fr_python_note_uses(struct fr_uses *uses)
{
	int state = py.gil_ensure();
	bool is_set = py.add_audit_hook(audit, NULL) == 0 && run_agent();
	struct py_object *result = NULL;

	/* What the master's import system remembers of folders was not noted; the process that
	 * loads looks for itself. */
	if (is_set)
		result = py.call(py.dict_get(agent, "forget_folders"), NULL);
	drop(result);
	if (!result)
		py.clear_error();
	py.gil_release(state);
	noted = uses;
	return is_set && result;
}

/* ---- the agent ---- */

/* freeze(moment): as in agent.py. */
static struct py_object *freeze_function(struct py_object *self, struct py_object *moment)
{
	const char *wanted = hooks->freeze((enum fr_python_moment)py.as_long(moment));

	(void)self;
	return wanted ? py.from_path(wanted) : py.from_bool(0);
}

static struct py_object *is_watched_function(struct py_object *self, struct py_object *path)
{
	struct py_object *bytes = path_of(path);
	bool is_watched = bytes && hooks->is_watched(py.bytes(bytes));

	(void)self;
	if (bytes)
		py.decref(bytes);
	return py.from_bool(is_watched);
}

/* The argument dir_fd, or NULL: path is relative to the current folder. Borrowed. */
static struct py_object *folder_argument(const char *path, struct py_object *keywords)
{
	return path[0] != '/' && keywords ? py.dict_get(keywords, "dir_fd") : NULL;
}

/* dir_fd=None is as good as none. */
static void note_question(const char *path, struct py_object *keywords, bool is_type)
{
	struct py_object *folder = folder_argument(path, keywords);
	char full[PATH_MAX];
	size_t len;

	if (!folder || !folder_of(folder, full)) {
		fr_uses_note_question(noted, path, is_type);
		return;
	}
	len = strlen(full);
	if ((size_t)snprintf(full + len, sizeof(full) - len, "/%s", path) < sizeof(full) - len)
		fr_uses_note_question(noted, full, is_type);
	else
		fr_uses_spoil(noted);
}

/* The first argument, which may be given by name. As path_of. */
static struct py_object *path_argument(struct py_object *args, struct py_object *keywords)
{
	struct py_object *item = py.tuple_item(args, 0);

	py.clear_error();
	if (!item && keywords)
		item = py.dict_get(keywords, "path");
	return path_of(item);
}

/* In place of os.stat and its like, of which Python tells nothing: self is the original. */
static struct py_object *asking_function(struct py_object *self, struct py_object *args,
					 struct py_object *keywords)
{
	struct py_object *path = noted ? path_argument(args, keywords) : NULL;
	struct py_object *is_type = path ? py.call(is_question_of_type, NULL) : NULL;

	py.clear_error();
	if (path) {
		note_question(py.bytes(path), keywords, is_type && py.is_true(is_type) > 0);
		py.decref(path);
	}
	drop(is_type);
	return py.call_with(self, args, keywords);
}

/* In place of os.open: Python tells of that, but not of the folder that the path is relative to. */
static struct py_object *open_function(struct py_object *self, struct py_object *args,
				       struct py_object *keywords)
{
	struct py_object *path = noted && keywords ? path_argument(args, keywords) : NULL;

	py.clear_error();
	if (path) {
		if (folder_argument(py.bytes(path), keywords))
			note_question(py.bytes(path), keywords, false);
		py.decref(path);
	}
	return py.call_with(self, args, keywords);
}

#define QUESTION(name, function)                                                                   \
	{                                                                                          \
		name, (void (*)(void))function, PY_METHOD_VARARGS | PY_METHOD_KEYWORDS, NULL       \
	}
/* As in agent.py. */
static struct py_method question_methods[] = {
	QUESTION("stat", asking_function), QUESTION("lstat", asking_function),
	QUESTION("access", asking_function), QUESTION("readlink", asking_function),
	QUESTION("open", open_function)};

/* question(number, function): what is to take that one's place. */
static struct py_object *question_function(struct py_object *self, struct py_object *args)
{
	long number = py.as_long(py.tuple_item(args, 0));

	(void)self;
	return py.new_function(&question_methods[number], py.tuple_item(args, 1), NULL);
}

/* note(path): of a source that was not opened, because it is compiled already. */
static struct py_object *note_function(struct py_object *self, struct py_object *path)
{
	struct py_object *bytes = noted ? path_of(path) : NULL;

	(void)self;
	if (bytes) {
		fr_uses_note(noted, py.bytes(bytes));
		py.decref(bytes);
	}
	return py.from_bool(bytes != NULL);
}

/* set_aside(path): see fr_uses_set_aside. */
static struct py_object *set_aside_function(struct py_object *self, struct py_object *path)
{
	struct py_object *bytes = noted ? path_of(path) : NULL;
	bool is_aside = bytes && fr_uses_set_aside(noted, py.bytes(bytes));

	(void)self;
	drop(bytes);
	return py.from_bool(is_aside);
}

/* take_back(anew): see fr_uses_take_back. Returns whether it was still aside. */
static struct py_object *take_back_function(struct py_object *self, struct py_object *anew)
{
	bool was_aside = noted && fr_uses_aside(noted);

	(void)self;
	if (was_aside)
		fr_uses_take_back(noted, py.is_true(anew) > 0);
	return py.from_bool(was_aside);
}

/* Whoever else hears what is compiled would hear of each statement. */
static struct py_object *is_slow_function(struct py_object *self, struct py_object *args)
{
	(void)self, (void)args;
	return py.from_bool(!has_other_hooks && hooks->is_slow());
}

static struct py_object *note_slow_function(struct py_object *self, struct py_object *args)
{
	(void)self, (void)args;
	hooks->note_slow();
	return py.from_bool(1);
}

static struct py_object *note_heavy_function(struct py_object *self, struct py_object *args)
{
	struct py_object *name = path_of(py.tuple_item(args, 1));

	(void)self;
	if (name)
		hooks->note_heavy(py.bytes(name), py.as_long(py.tuple_item(args, 0)));
	drop(name);
	return py.from_bool(1);
}

/* What agent.py is given by name. */
#define FUNCTION(name, flags)                                                                      \
	{                                                                                          \
#name, (void (*)(void))name##_function, flags, NULL                                \
	}
static struct py_method methods[] = {
	FUNCTION(freeze, PY_METHOD_O),           FUNCTION(is_watched, PY_METHOD_O),
	FUNCTION(question, PY_METHOD_VARARGS),   FUNCTION(note, PY_METHOD_O),
	FUNCTION(set_aside, PY_METHOD_O),        FUNCTION(take_back, PY_METHOD_O),
	FUNCTION(is_slow, PY_METHOD_VARARGS),    FUNCTION(note_slow, PY_METHOD_VARARGS),
	FUNCTION(note_heavy, PY_METHOD_VARARGS),
};

/* Gives the agent a name; takes the value. */
static bool give(const char *name, struct py_object *value)
{
	bool is_given = value && py.dict_set(agent, name, value) == 0;

	drop(value);
	return is_given;
}

static struct py_object *keep_item(struct py_object *tuple, ssize_t place)
{
	struct py_object *item = py.tuple_item(tuple, place);

	py.incref(item);
	return item;
}

/* Sets stop_agent and those behind it. */
static bool start_agent(const char *wanted)
{
	struct py_object *path = py.from_path(wanted), *result = NULL;
	bool is_given = path && give("statements_source",
				     py.new_bytes(fr_statements_source,
						  (ssize_t)strlen(fr_statements_source)));

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods) && is_given; i++)
		is_given = give(methods[i].name, py.new_function(&methods[i], NULL, NULL));
	if (is_given) {
		is_question_of_type = py.dict_get(agent, "is_question_of_type");
		py.incref(is_question_of_type);
		result = py.call(py.dict_get(agent, "start"), "O", path);
	}
	if (result) {
		stop_agent = keep_item(result, 0);
		prepare_agent = keep_item(result, 1);
		fits_agent = keep_item(result, 2);
		collect_agent = keep_item(result, 3);
		preload_agent = keep_item(result, 4);
	}
	drop(path);
	drop(result);
	return result != NULL;
}

bool fr_python_freeze(const char *wanted, const struct fr_python_hooks *given)
{
	int state = py.gil_ensure();
	bool is_started;

	hooks = given;
	is_started = start_agent(wanted);
	if (!is_started)
		py.print_error();
	py.gil_release(state);
	return is_started;
}

void fr_python_prepare(const char *imports, size_t len)
{
	struct fr_uses *uses = noted;
	struct py_object *bytes, *result;

	if (has_other_hooks)
		return;
	noted = NULL; /* what is read here is not used yet */
	bytes = py.new_bytes(imports, (ssize_t)len);
	result = bytes ? py.call(prepare_agent, "O", bytes) : NULL;
	if (!result)
		py.clear_error();
	drop(result);
	drop(bytes);
	noted = uses;
}

bool fr_python_preload(const char *modules, char *ret_error, size_t error_size)
{
	int state = py.gil_ensure();
	struct py_object *bytes = py.new_bytes(modules, (ssize_t)strlen(modules));
	struct py_object *error = bytes ? py.call(preload_agent, "O", bytes) : NULL;

	if (!error)
		py.clear_error();
	snprintf(ret_error, error_size, "%s", error ? py.bytes(error) : "there is no memory");
	drop(bytes);
	drop(error);
	py.gil_release(state);
	return ret_error[0] == '\0';
}

bool fr_python_fits(void)
{
	struct py_object *result = py.call(fits_agent, NULL);
	bool fits = result && py.is_true(result) > 0;

	py.clear_error();
	drop(result);
	return fits;
}

bool fr_python_collect(void)
{
	struct py_object *result;
	int state;

	if (!collect_agent)
		return false;
	state = py.gil_ensure();
	result = py.call(collect_agent, NULL);
	if (!result)
		py.clear_error();
	drop(result);
	py.gil_release(state);
	return true;
}

void fr_python_end_load(void (*tell_imports)(const char *imports, size_t len))
{
	struct py_object *imports;
	int state;

	noted = NULL; /* in what follows, requests are answered */
	if (!stop_agent)
		return;
	state = py.gil_ensure();
	imports = py.call(stop_agent, NULL);
	if (imports)
		tell_imports(py.bytes(imports), (size_t)py.bytes_len(imports));
	else
		py.clear_error();
	drop(imports);
	drop(stop_agent);
	drop(prepare_agent);
	drop(fits_agent);
	drop(preload_agent);
	stop_agent = prepare_agent = fits_agent = preload_agent = NULL;
	py.gil_release(state);
}

/* ---- forks ---- */

void fr_python_before_fork(void)
{
	py.before_fork();
}

void fr_python_after_forking(bool is_child)
{
	if (is_child)
		py.after_fork_child();
	else
		py.after_fork_parent();
}

pid_t fr_python_fork(void)
{
	pid_t pid;

	fr_python_before_fork();
	pid = fork();
	fr_python_after_forking(pid == 0);
	return pid;
}
