/* The shim as a Python module: `_fnlite`, for CPython 2.7 and 3.6 and newer.
 *
 * A module instead of ctypes, whose import costs each Instance some 40 copied pages. Only functions of the stable ABI are
 * used, declared here so that building needs no Python headers; what only some versions have is weak.
 */
#include "../../shim/shim.h"
#include "../../shim/sys.h"

typedef struct object Object;
typedef long Size;

struct method {
    const char *name;
    Object *(*call)(Object *self, Object *args);
    int flags;
    const char *doc;
};

/* PyModuleDef; the first four are PyModuleDef_HEAD_INIT. */
struct module {
    Size references;
    void *type;
    void *init;
    Size index;
    void *copy;
    const char *name, *doc;
    Size size;
    struct method *methods;
    void *slots, *traverse, *clear, *free;
};

enum { METH_VARARGS_ = 1, METH_NOARGS_ = 4, API_VERSION = 3 };

extern Object *PyModule_Create2(struct module *definition, int api_version) __attribute__((weak));
extern int PyArg_ParseTuple(Object *args, const char *format, ...);
extern Object *PyBytes_FromStringAndSize(const char *bytes, Size length) __attribute__((weak));
extern int PyBytes_AsStringAndSize(Object *bytes, char **start, Size *length) __attribute__((weak));
extern char *PyBytes_AsString(Object *bytes) __attribute__((weak));
extern Object *PyTuple_Pack(Size count, ...);
extern Object *PyLong_FromLong(long value);
extern void Py_DecRef(Object *object);
extern void *PyEval_SaveThread(void);
extern void PyEval_RestoreThread(void *state);
extern void PyOS_BeforeFork(void) __attribute__((weak));
extern void PyOS_AfterFork_Parent(void) __attribute__((weak));
extern void PyOS_AfterFork_Child(void) __attribute__((weak));
extern void PyOS_AfterFork(void) __attribute__((weak)); /* 2.7, 3.6 */
/* 2.7, whose bytes are its strings. */
extern Object *Py_InitModule4_64(const char *name, struct method *methods, const char *doc, Object *self, int api_version)
    __attribute__((weak));
extern Object *PyString_FromStringAndSize(const char *bytes, Size length) __attribute__((weak));
extern int PyString_AsStringAndSize(Object *bytes, char **start, Size *length) __attribute__((weak));
extern char *PyString_AsString(Object *bytes) __attribute__((weak));
extern void PyFile_SetBufSize(Object *file, int size) __attribute__((weak));
extern int PyFile_SetEncodingAndErrors(Object *file, const char *encoding, const char *errors) __attribute__((weak));

static int isolation_of(Object *args, struct isolation *how)
{
    const char *format = Py_InitModule4_64 ? "iiiisss" : "iiiiyyy";
    return PyArg_ParseTuple(args, format, &how->cell, &how->fresh_proc, &how->groups,
                            &how->landlock_abi, &how->tmp_options, &how->landlock_rules, &how->tmp);
}

/* setup(forks): once, before the user's code. */
static Object *setup(Object *self, Object *args)
{
    int forks;
    (void)self;
    if (!PyArg_ParseTuple(args, "i", &forks))
        return 0;
    fnlite_setup(forks);
    return PyLong_FromLong(0);
}

/* serve(isolation...) -> int: forks for ever; returns in each Instance, its number or what the walls failed with. */
static Object *serve(Object *self, Object *args)
{
    struct isolation how;
    struct fork_hooks hooks = { PyOS_BeforeFork, PyOS_AfterFork_Parent, PyOS_AfterFork_Child };
    if (!hooks.in_child)
        hooks.in_child = PyOS_AfterFork;
    (void)self;
    if (!isolation_of(args, &how))
        return 0;
    fnlite_gather();
    return PyLong_FromLong(fnlite_serve(INIT_FD, &how, &hooks));
}

/* restrict(isolation...) -> int: Landlock alone, for a zygote that mounts nothing. */
static Object *restrict_files(Object *self, Object *args)
{
    struct isolation how;
    (void)self;
    if (!isolation_of(args, &how))
        return 0;
    return PyLong_FromLong(fnlite_restrict(&how));
}

/* isolate(isolation...) -> int: walls this very process in. */
static Object *isolate(Object *self, Object *args)
{
    struct isolation how;
    (void)self;
    if (!isolation_of(args, &how))
        return 0;
    return PyLong_FromLong(fnlite_isolate(&how, 0, EVENT_FD, 1, 2, 0, (int)SYS0(NR_getpid)));
}

static Object *receive_bytes(ulong length)
{
    Object *bytes = (PyBytes_FromStringAndSize ? PyBytes_FromStringAndSize : PyString_FromStringAndSize)(0, (Size)length);
    if (!bytes)
        return 0;
    char *start = (PyBytes_AsString ? PyBytes_AsString : PyString_AsString)(bytes);
    void *state = PyEval_SaveThread();
    int failed = fnlite_receive(start, length);
    PyEval_RestoreThread(state);
    if (failed)
        SYS1(NR_exit_group, 0);
    return bytes;
}

/* is_awaited() -> int: whether an event is there already. */
static Object *is_awaited(Object *self, Object *args)
{
    (void)self, (void)args;
    return PyLong_FromLong(fnlite_is_awaited());
}

/* receive() -> (request id, event), both bytes; ends the process where there is none to come. */
static Object *receive(Object *self, Object *args)
{
    unsigned lengths[2];
    (void)self, (void)args;
    void *state = PyEval_SaveThread();
    int failed = fnlite_receive_lengths(lengths);
    PyEval_RestoreThread(state);
    if (failed)
        SYS1(NR_exit_group, 0);
    Object *id = receive_bytes(lengths[0]), *event = id ? receive_bytes(lengths[1]) : 0;
    Object *both = event ? PyTuple_Pack(2, id, event) : 0;
    if (id)
        Py_DecRef(id);
    if (event)
        Py_DecRef(event);
    return both;
}

/* notice(byte): tells the server something ahead of the answer. */
static Object *notice(Object *self, Object *args)
{
    int byte;
    (void)self;
    if (!PyArg_ParseTuple(args, "i", &byte))
        return 0;
    return PyLong_FromLong(fnlite_notice((char)byte));
}

/* answer(kind, payload): sends the answer. What follows is the next event or, most often, the end: leaving by ourselves would
 * put our teardown in the way of the answer's reader. */
static Object *answer(Object *self, Object *args)
{
    int kind;
    Object *payload;
    char *start;
    Size length;
    (void)self;
    if (!PyArg_ParseTuple(args, "iO", &kind, &payload)
        || (PyBytes_AsStringAndSize ? PyBytes_AsStringAndSize : PyString_AsStringAndSize)(payload, &start, &length))
        return 0;
    void *state = PyEval_SaveThread();
    fnlite_answer((char)kind, start, (ulong)length);
    PyEval_RestoreThread(state);
    return PyLong_FromLong(0);
}

/* clean(): between two events, where there may be a second. */
static Object *clean(Object *self, Object *args)
{
    (void)self, (void)args;
    void *state = PyEval_SaveThread();
    fnlite_clean();
    PyEval_RestoreThread(state);
    return PyLong_FromLong(0);
}

/* open_streams(file, file): for 2.7, lines at once, and text as UTF-8 that never raises over a character. */
static Object *open_streams(Object *self, Object *args)
{
    enum { BY_LINE = 1 };
    Object *files[2];
    (void)self;
    if (!PyArg_ParseTuple(args, "OO", &files[0], &files[1]))
        return 0;
    for (int i = 0; i < 2; i++) {
        PyFile_SetBufSize(files[i], BY_LINE);
        if (!PyFile_SetEncodingAndErrors(files[i], "UTF-8", "backslashreplace"))
            return 0;
    }
    return PyLong_FromLong(0);
}

static struct method methods[] = {
    { "setup", setup, METH_VARARGS_, 0 },    { "serve", serve, METH_VARARGS_, 0 },
    { "restrict", restrict_files, METH_VARARGS_, 0 },
    { "isolate", isolate, METH_VARARGS_, 0 }, { "is_awaited", is_awaited, METH_NOARGS_, 0 },
    { "receive", receive, METH_NOARGS_, 0 },
    { "notice", notice, METH_VARARGS_, 0 }, { "answer", answer, METH_VARARGS_, 0 },
    { "clean", clean, METH_NOARGS_, 0 },     { "open_streams", open_streams, METH_VARARGS_, 0 },
    { 0, 0, 0, 0 },
};

static struct module module = { .references = 1, .name = "_fnlite", .size = -1, .methods = methods };

__attribute__((visibility("default"))) Object *PyInit__fnlite(void)
{
    return PyModule_Create2(&module, API_VERSION);
}

__attribute__((visibility("default"))) void init_fnlite(void)
{
    enum { API_VERSION_2 = 1013 };
    Py_InitModule4_64("_fnlite", methods, 0, 0, API_VERSION_2);
}
