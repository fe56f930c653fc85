/* What a language runtime cannot do for itself: wall in a process that it has forked.
 *
 * Everything here may run in a process whose other threads are gone: no allocation, no locks, no libc.
 * A negative result is -errno; `fnlite_isolate` adds the failed step times 1000, so that the log can name it.
 */
#include "shim.h"
#include "sys.h"

/* Once in a new interpreter: it dies with whatever started it, what loses its parent while the code is loaded becomes its
 * child (so that it is noticed), and its main stack may grow to 8 MB. The launcher sets the soft limit to what glibc shall
 * give each thread, and glibc has read it by now. */
void fnlite_setup(int forks)
{
    struct rlimit_ stack = { 8 << 20, 8 << 20 };
    SYS4(NR_prlimit64, 0, 3 /* RLIMIT_STACK */, &stack, 0);
    SYS2(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_);
    if (forks)
        SYS2(NR_prctl, PR_SET_CHILD_SUBREAPER_, 1);
}

/* The digits of a number, ending at `end`; where they begin. */
char *fnlite_decimal(ulong value, char *end)
{
    *--end = 0;
    do
        *--end = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    return end;
}

/* Becomes the supervisor of `main_pid` (see init.c): a fork of the zygote that gives its memory back. */
int fnlite_become_supervisor(int init_program, int leash, int main_pid)
{
    char leash_text[12], pid_text[12];
    char *args[] = { "init", "s", fnlite_decimal(leash, leash_text + 12), fnlite_decimal(main_pid, pid_text + 12), 0 };
    char *env[] = { 0 };
    SYS3(NR_fcntl, leash, 2 /* F_SETFD */, 0);
    return (int)SYS5(NR_execveat, init_program, "", args, env, AT_EMPTY_PATH_);
}

/* Landlock (Linux 5.13+). Rights are named by the ABI that brought them. */
enum {
    LL_EXECUTE = 1 << 0, LL_WRITE_FILE = 1 << 1, LL_READ_FILE = 1 << 2, LL_READ_DIR = 1 << 3, LL_ABI1 = (1 << 13) - 1,
    LL_REFER = 1 << 13, LL_TRUNCATE = 1 << 14, LL_IOCTL_DEV = 1 << 15,
    LL_SCOPES = 3, /* abstract unix sockets and signals */
};

/* As long as a path may be. */
enum { PATH_ROOM = 4096 };

struct ruleset { u64 fs, net, scoped; };
struct __attribute__((packed)) beneath { u64 allowed; int parent; };

static u64 rights_of_abi(int abi)
{
    u64 rights = LL_ABI1;
    if (abi >= 2)
        rights |= LL_REFER;
    if (abi >= 3)
        rights |= LL_TRUNCATE;
    if (abi >= 5)
        rights |= LL_IOCTL_DEV;
    return rights;
}

/* Copies one line, without its end, and gives the beginning of the next; a line too long to be a path becomes empty. */
static const char *take_line(const char *from, char *line, ulong room)
{
    ulong length = 0;
    while (from[length] && from[length] != '\n')
        length++;
    ulong kept = length < room ? length : 0;
    for (ulong i = 0; i < kept; i++)
        line[i] = from[i];
    line[kept] = 0;
    return from + length + (from[length] == '\n');
}

/* A path that is not there needs no rule. */
static long allow(long ruleset, u64 allowed, const char *name)
{
    long path = SYS4(NR_openat, AT_FDCWD_, name, O_PATH_ | O_CLOEXEC_, 0);
    if (path < 0)
        return 0;
    struct beneath rule = { allowed, (int)path };
    long added = SYS4(NR_landlock_add_rule, ruleset, 1, &rule, 0);
    SYS1(NR_close, path);
    return added;
}

/* `rules` is lines, each a mode (r: read and execute, w: everything, f: a file read and written) followed by a path.
 * Everything below `tmp` is allowed, if there is one. */
static long landlock(int abi, const char *rules, const char *tmp)
{
    u64 all = rights_of_abi(abi);
    struct ruleset set = { all, 0, abi >= 6 ? LL_SCOPES : 0 };
    long ruleset = SYS3(NR_landlock_create_ruleset, &set, abi >= 6 ? 24 : abi >= 4 ? 16 : 8, 0);
    if (ruleset < 0)
        return ruleset;
    char line[4096];
    while (*rules) {
        rules = take_line(rules, line, sizeof line);
        u64 allowed = *line == 'w' ? all
            : *line == 'f'         ? LL_READ_FILE | LL_WRITE_FILE | (all & (LL_TRUNCATE | LL_IOCTL_DEV))
                                   : LL_EXECUTE | LL_READ_FILE | LL_READ_DIR;
        long added = allow(ruleset, allowed, line + 1);
        if (added < 0)
            return added;
    }
    if (*tmp)
        allow(ruleset, all, tmp);
    long result = SYS2(NR_landlock_restrict_self, ruleset, 0);
    SYS1(NR_close, ruleset);
    return result;
}

/* Joins the mounts and the IPC of a cell; the pid namespace this process was born in. The working directory stays what it is called. One
 * among the zygote's temporary files is not there. */
static long enter_cell(int handle)
{
    char place[PATH_ROOM];
    long named = SYS2(NR_getcwd, place, sizeof place);
    long result = SYS2(NR_setns, handle, CLONE_NEWNS_ | CLONE_NEWIPC_);
    if (result >= 0 && named > 0)
        SYS1(NR_chdir, place);
    return result;
}

static long drop_capabilities(void)
{
    struct { u32 version; int pid; } header = { 0x20080522, 0 };
    u32 none[6] = { 0, 0, 0, 0, 0, 0 };
    SYS5(NR_prctl, PR_CAP_AMBIENT_, PR_CAP_AMBIENT_CLEAR_ALL_, 0, 0, 0);
    return SYS2(NR_capset, &header, none);
}

/* One byte and up to two descriptors to the server, on the event socket. */
int fnlite_hand_over(char byte, const int *fds, int count)
{
    union { char room[64]; ulong aligned; } control;
    *(ulong *)control.room = 16 + (ulong)count * sizeof(int);
    *(int *)(control.room + 8) = SOL_SOCKET_;
    *(int *)(control.room + 12) = SCM_RIGHTS_;
    for (int i = 0; i < count; i++)
        ((int *)(control.room + 16))[i] = fds[i];
    struct iovec_ data = { &byte, 1 };
    struct msghdr_ message = { 0, 0, &data, 1, control.room, 24, 0 };
    long result = SYS3(NR_sendmsg, EVENT_FD, &message, MSG_NOSIGNAL_);
    return result < 0 ? (int)result : 0;
}

/* Pidfds of this namespace's init (or of the supervisor) and of this process. */
static long announce(int top_pid)
{
    int fds[2] = { (int)SYS2(NR_pidfd_open, top_pid, 0), (int)SYS2(NR_pidfd_open, SYS0(NR_getpid), 0) };
    if (fds[0] < 0 || fds[1] < 0)
        return fds[0] < 0 ? fds[0] : fds[1];
    long result = fnlite_hand_over('P', fds, 2);
    SYS1(NR_close, fds[0]);
    SYS1(NR_close, fds[1]);
    return result;
}

#define STEP(number, call)                                                                                             \
    do {                                                                                                               \
        long result_ = (call);                                                                                         \
        if (result_ < 0)                                                                                               \
            return (int)(result_ - 1000 * (number));                                                                   \
    } while (0)

/* The folder of that number below a tree's; `path` gets its name. One that is there, a handler made that nothing keeps
 * from it. */
static long make_tmp(const char *below, ulong number, char path[PATH_ROOM])
{
    char digits[24], *at = fnlite_decimal(number, digits + sizeof digits);
    ulong length = 0;
    for (; *below && length < PATH_ROOM - sizeof digits - 1; length++)
        path[length] = *below++;
    path[length++] = '/';
    do
        path[length++] = *at;
    while (*at++);
    long result = SYS3(NR_mkdirat, AT_FDCWD_, path, 0700);
    return result == -EEXIST_ ? 0 : result;
}

static int restrict_to(const struct isolation *how, const char *tmp)
{
    if (how->landlock_abi)
        STEP(8, landlock(how->landlock_abi, how->landlock_rules, tmp));
    return 0;
}

/* Not inlined, since most Instances need no such room, which would be a page that each copies. */
__attribute__((noinline)) static int restrict_to_own_tmp(const struct isolation *how, ulong number)
{
    char tmp[PATH_ROOM];
    STEP(9, make_tmp(how->tmp, number, tmp));
    return restrict_to(how, tmp);
}

/* In the child, with the handle of its cell if it has one: from here on it is the walled-in Instance. Landlock comes after the mounts,
 * since a landlocked process may not mount; capabilities go last of what needs them; PDEATHSIG is set again because a change of
 * credentials clears it. */
int fnlite_isolate(const struct isolation *how, ulong number, int event, int out, int err, int cell, int top_pid)
{
    u64 no_signals = 0;
    SYS4(NR_rt_sigprocmask, SIG_SETMASK_, &no_signals, 0, 8);
    SYS0(NR_setsid); /* fails where this process leads a session already, which is as good */
    if (out != 1)
        STEP(1, SYS3(NR_dup3, out, 1, 0));
    if (err != 2)
        STEP(1, SYS3(NR_dup3, err, 2, 0));
    if (event != EVENT_FD)
        STEP(1, SYS3(NR_dup3, event, EVENT_FD, O_CLOEXEC_));
    if (cell)
        STEP(2, enter_cell(cell));
    STEP(4, drop_capabilities());
    STEP(5, SYS5(NR_prctl, PR_SET_NO_NEW_PRIVS_, 1, 0, 0, 0));
    STEP(6, SYS2(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_));
    STEP(7, announce(top_pid));
    return *how->tmp ? restrict_to_own_tmp(how, number) : restrict_to(how, "");
}

/* Landlock alone, for a zygote whose Instances mount nothing: they restrict themselves once more, which keeps them out of
 * each other's temporary files and their signals from each other and from the zygote. */
int fnlite_restrict(const struct isolation *how)
{
    char tmp[PATH_ROOM];
    if (*how->tmp)
        STEP(9, make_tmp(how->tmp, 0, tmp));
    return restrict_to(how, how->tmp);
}
