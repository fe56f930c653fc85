/* The shim as PHP's FFI reaches it: plain numbers and strings, and what PHP itself has no function for.
 *
 * `bootstrap.php` beside this file declares each of these once more, as FFI wants it. The object stays loaded until the
 * process has ended (build.rs): `at_exit` runs after PHP has let go of it.
 */
#include "../../shim/shim.h"
#include "../../shim/sys.h"

#if defined(__x86_64__)
enum { NR_fstat_ = 5, NR_getitimer_ = 36, NR_waitid_ = 247, MODE_AT = 24 };
#else
enum { NR_fstat_ = 80, NR_getitimer_ = 102, NR_waitid_ = 95, MODE_AT = 16 };
#endif

enum { P_ALL_ = 0, WEXITED_ = 4, WNOWAIT_ = 0x1000000, ITIMER_REAL_ = 0, ITIMER_VIRTUAL_ = 1 };

#define EXPORTED __attribute__((visibility("default")))

/* glibc's, the one way to learn what exit() was called with. */
extern int on_exit(void (*call)(int status, void *given), void *given) __attribute__((weak));
extern int fork(void);

/* While the user's code is loaded, whether this is a single; else NOT_LOADING. */
enum { NOT_LOADING = -1 };
static int loading_single = NOT_LOADING;
static long loading_pid;

/* The code has called exit() while it was loaded: what a run of it comes to is known. */
static void at_exit(int status, void *given)
{
    static char report[] = "{\"kind\":\"X\",\"text\":\"000\",\"load_us\":0}";
    char code[3];
    int digits = 0;
    u32 lengths[2];
    (void)given;
    for (int rest = status & 0xff, unit = 100; unit; rest %= unit, unit /= 10)
        if (digits || rest >= unit || unit == 1)
            code[digits++] = (char)('0' + rest / unit);
    if (loading_single == NOT_LOADING || SYS0(NR_getpid) != loading_pid)
        return;
    if (loading_single) {
        if (!fnlite_notice('K') && !fnlite_receive_lengths(lengths)) {
            char byte;
            for (ulong left = (ulong)lengths[0] + lengths[1]; left && !fnlite_receive(&byte, 1); left--)
                ;
            fnlite_answer('X', code, (ulong)digits);
        }
        /* The answer is read before the end of the socket is. */
        SYS1(NR_exit_group, 0);
    }
    /* {"kind":"X","text":" is 20 bytes long. */
    ulong length = 20;
    for (int i = 0; i < digits; i++)
        report[length++] = code[i];
    for (const char *end = "\",\"load_us\":0}"; *end; end++)
        report[length++] = *end;
    SYS3(NR_write, EVENT_FD, report, length);
    SYS1(NR_exit_group, 0);
}

EXPORTED void fnlite_php_setup(int forks)
{
    fnlite_setup(forks);
    loading_single = !forks;
    loading_pid = SYS0(NR_getpid);
    if (on_exit)
        on_exit(at_exit, 0);
}

EXPORTED void fnlite_php_loaded(void)
{
    loading_single = NOT_LOADING;
}

static struct isolation isolation_of(int cell, int fresh_proc, int groups, int landlock_abi,
                                     const char *tmp_options, const char *landlock_rules, const char *tmp)
{
    return (struct isolation){ cell, fresh_proc, groups,
                               landlock_abi, tmp_options, landlock_rules, tmp };
}

/* Forks for ever; returns in each Instance, its number or what the walls failed with. */
EXPORTED long fnlite_php_serve(int cell, int fresh_proc, int groups, int landlock_abi,
                               const char *tmp_options, const char *landlock_rules, const char *tmp)
{
    struct isolation how = isolation_of(cell, fresh_proc, groups, landlock_abi, tmp_options,
                                        landlock_rules, tmp);
    const struct fork_hooks none = { 0, 0, 0 };
    fnlite_gather();
    return fnlite_serve(INIT_FD, &how, &none);
}

/* Landlock alone, for a zygote that mounts nothing. */
EXPORTED long fnlite_php_restrict(int cell, int fresh_proc, int groups, int landlock_abi,
                                  const char *tmp_options, const char *landlock_rules, const char *tmp)
{
    struct isolation how = isolation_of(cell, fresh_proc, groups, landlock_abi, tmp_options,
                                        landlock_rules, tmp);
    return fnlite_restrict(&how);
}

/* Walls this very process in. */
EXPORTED long fnlite_php_isolate(int cell, int fresh_proc, int groups, int landlock_abi,
                                 const char *tmp_options, const char *landlock_rules, const char *tmp)
{
    struct isolation how = isolation_of(cell, fresh_proc, groups, landlock_abi, tmp_options,
                                        landlock_rules, tmp);
    return fnlite_isolate(&how, 0, EVENT_FD, 1, 2, 0, (int)SYS0(NR_getpid));
}

/* Whether an event is there already. */
EXPORTED int fnlite_php_is_awaited(void)
{
    return fnlite_is_awaited();
}

/* The next event's lengths, then its parts; the process ends where there is none to come. */
EXPORTED void fnlite_php_lengths(unsigned lengths[2])
{
    if (fnlite_receive_lengths(lengths))
        SYS1(NR_exit_group, 0);
}

EXPORTED void fnlite_php_receive(void *into, unsigned long length)
{
    if (fnlite_receive(into, length))
        SYS1(NR_exit_group, 0);
}

EXPORTED void fnlite_php_notice(int notice)
{
    fnlite_notice((char)notice);
}

EXPORTED void fnlite_php_answer(int kind, const char *payload, unsigned long length)
{
    fnlite_answer((char)kind, payload, length);
}

EXPORTED void fnlite_php_clean(void)
{
    fnlite_clean();
}

/* A datagram to the server, from a zygote. */
EXPORTED void fnlite_php_report(const char *report, unsigned long length)
{
    SYS3(NR_write, EVENT_FD, report, length);
}

/* Ends the process, with nothing more of PHP's run. */
EXPORTED void fnlite_php_leave(int status)
{
    SYS1(NR_exit_group, status);
}

/* A zygote that is loaded has nobody to print to. */
EXPORTED void fnlite_php_silence(void)
{
    long null = SYS4(NR_openat, AT_FDCWD_, "/dev/null", 1, 0);
    if (null < 0)
        return;
    SYS3(NR_dup3, null, 1, 0);
    SYS3(NR_dup3, null, 2, 0);
    SYS1(NR_close, null);
}

/* Mode, device and inode of an open descriptor; false where it is none. */
EXPORTED int fnlite_php_look(int fd, unsigned long what[3])
{
    /* At least as large as a struct stat. */
    char status[256] __attribute__((aligned(8)));
    if (SYS2(NR_fstat_, fd, status) < 0)
        return 0;
    what[0] = *(u32 *)(status + MODE_AT);
    what[1] = *(ulong *)status;
    what[2] = *(ulong *)(status + 8);
    return 1;
}

/* Whether a timer is set that a fork would lose. That of set_time_limit does not count: the platform's limit holds. */
EXPORTED int fnlite_php_has_timer(void)
{
    for (int which = ITIMER_REAL_; which <= ITIMER_VIRTUAL_; which++) {
        long timer[4] = { 0, 0, 0, 0 };
        SYS2(NR_getitimer_, which, timer);
        if (timer[2] || timer[3])
            return 1;
    }
    return 0;
}

EXPORTED int fnlite_php_has_children(void)
{
    return SYS5(NR_waitid_, P_ALL_, 0, 0, WEXITED_ | WNOHANG_ | WNOWAIT_, 0) != -ECHILD_;
}

/* For a question whose asking changes the process: asked in a child, the answer is the status it leaves with. */
EXPORTED int fnlite_php_fork(void)
{
    return fork();
}

EXPORTED int fnlite_php_wait(int pid)
{
    int status = -1;
    while (SYS4(NR_wait4, pid, &status, 0, 0) == -EINTR_)
        ;
    return status;
}
