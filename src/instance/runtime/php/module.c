/* The shim as PHP reaches it, by FFI: plain functions of numbers and texts. */
#include "../../shim/shim.h"
#include "../../shim/sys.h"

#define EXPORT __attribute__((visibility("default")))

/* Of the contract (2.6). */
enum { DESCRIPTORS_MAX = 1024 };

/* libc's, so that its own handlers run. */
extern int fork(void);

#define WALLS                                                                                                          \
    int pid_namespace, int fresh_mounts, int fresh_proc, int groups, int landlock_abi, const char *tmp_options,        \
        const char *landlock_rules, const char *tmp
#define HOW                                                                                                            \
    {                                                                                                                  \
        pid_namespace, fresh_mounts, fresh_proc, groups, landlock_abi, tmp_options, landlock_rules, tmp                \
    }

EXPORT void php_setup(int forks)
{
    fnlite_setup(forks);
}

/* Forks for ever; returns in each Instance, its number or what the walls failed with. */
EXPORT long php_serve(WALLS)
{
    struct isolation how = HOW;
    const struct fork_hooks hooks = { 0, 0, 0 };
    return fnlite_serve(INIT_FD, &how, &hooks);
}

EXPORT int php_restrict(WALLS)
{
    struct isolation how = HOW;
    return fnlite_restrict(&how);
}

EXPORT int php_isolate(WALLS)
{
    struct isolation how = HOW;
    return fnlite_isolate(&how, 0, EVENT_FD, 1, 2, (int)SYS0(NR_getpid));
}

/* Ends the process where there is no event to come. */
EXPORT void php_lengths(unsigned *lengths)
{
    if (fnlite_receive_lengths(lengths))
        SYS1(NR_exit_group, 0);
}

EXPORT void php_receive(char *into, ulong length)
{
    if (fnlite_receive(into, length))
        SYS1(NR_exit_group, 0);
}

EXPORT int php_notice(int byte)
{
    return fnlite_notice((char)byte);
}

EXPORT int php_answer(int kind, const char *payload, ulong length)
{
    return fnlite_answer((char)kind, payload, length);
}

EXPORT void php_clean(void)
{
    fnlite_clean();
}

EXPORT void php_exit(int code)
{
    SYS1(NR_exit_group, code);
}

/* A zygote's report, one message; what was printed to goes to nobody from then on. */
EXPORT void php_report(const char *text, ulong length)
{
    SYS3(NR_write, EVENT_FD, text, length);
}

EXPORT void php_mute(void)
{
    long null = SYS4(NR_openat, AT_FDCWD_, "/dev/null", O_RDWR_ | O_CLOEXEC_, 0);
    SYS3(NR_dup3, null, 1, 0);
    SYS3(NR_dup3, null, 2, 0);
    SYS1(NR_close, null);
}

/* Notes which descriptors are open; the second time, the first that was opened or closed since, or -1. */
EXPORT int php_descriptors(int again)
{
    static char open[DESCRIPTORS_MAX];
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
        char is_open = SYS2(NR_fcntl, fd, 1 /* F_GETFD */) >= 0;
        if (again && is_open != open[fd])
            return fd;
        open[fd] = is_open;
    }
    return -1;
}

EXPORT int php_has_children(void)
{
    int status;
    long pid;
    do
        pid = SYS4(NR_wait4, -1, &status, WNOHANG_, 0);
    while (pid > 0);
    return pid != -ECHILD_;
}
