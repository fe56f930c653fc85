/* The tiny static program that stands at the top of a process tree of ours. It has three lives:
 *
 *   init                    pid 1 of a pid namespace: lets the kernel reap whatever is left to it, and is killed. Its
 *                           death is the death of everything in the namespace.
 *   init s LEASH MAIN       outside or above a namespace: the reaper of the tree whose main process is MAIN. When MAIN
 *                           ends it writes the wait status (4 bytes) to LEASH and kills what is left; when the other
 *                           end of LEASH is closed or shut down it kills everything. LEASH is a SEQPACKET socket, so a
 *                           server that dies by any means takes its trees along.
 *   init x                  ends at once: uses up a process id, so that what is started next is not pid 2 (see launch.rs).
 *   init m MAIN             pid 1 of a namespace whose main process is MAIN: ends, and so ends everything, with MAIN,
 *                           exiting as a shell would report it.
 *
 * No libc, no memory of its own: one page of code, one of stack.
 */
#include "sys.h"

static ulong number(const char *text)
{
    ulong value = 0;
    while (*text >= '0' && *text <= '9')
        value = value * 10 + (ulong)(*text++ - '0');
    return value;
}

/* Everything from descriptor 0 up but `keep`: an inherited descriptor would keep a pipe or a file of the user's alive. */
static void close_all_but(ulong keep)
{
    if (keep > 0)
        SYS3(NR_close_range, 0, keep - 1, 0);
    SYS3(NR_close_range, keep + 1, ~0u, 0);
}

static void be_init(void)
{
    const struct sigaction_ ignored = { SIG_IGN_, 0, 0, 0 };
    set_sigchld(&ignored, 0);
    SYS2(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_);
    SYS3(NR_close_range, 0, ~0u, 0);
    for (;;)
        SYS4(NR_ppoll, 0, 0, 0, 0);
}

/* The exit code a shell would show. */
static int code_of(int status)
{
    return (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
}

static void be_main_init(ulong main_pid)
{
    SYS3(NR_close_range, 0, ~0u, 0);
    SYS2(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_);
    for (;;) {
        int status = 0;
        long pid = SYS4(NR_wait4, -1, &status, 0, 0);
        if (pid == (long)main_pid)
            SYS1(NR_exit_group, code_of(status));
        if (pid == -ECHILD_)
            SYS1(NR_exit_group, 255);
    }
}

/* Kills each direct child; what they leave behind becomes ours (we are the subreaper) and is met in the next round. */
static void kill_children(void)
{
    char text[4096];
    long fd = SYS4(NR_openat, AT_FDCWD_, "/proc/thread-self/children", O_RDONLY_ | O_CLOEXEC_, 0);
    if (fd < 0)
        return;
    long length;
    ulong pid = 0;
    while ((length = SYS3(NR_read, fd, text, sizeof text)) > 0)
        for (long i = 0; i < length; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (ulong)(text[i] - '0');
            } else if (pid) {
                SYS2(NR_kill, pid, SIGKILL_);
                pid = 0;
            }
        }
    SYS1(NR_close, fd);
}

static void sweep(ulong main_pid)
{
    SYS2(NR_kill, main_pid, SIGKILL_);
    for (;;) {
        kill_children();
        long pid;
        while ((pid = SYS4(NR_wait4, -1, 0, WNOHANG_, 0)) > 0)
            ;
        if (pid == -ECHILD_)
            SYS1(NR_exit_group, 0);
        pause_ms(2);
    }
}

static void be_supervisor(ulong leash, ulong main_pid)
{
    close_all_but(leash);
    SYS2(NR_prctl, PR_SET_CHILD_SUBREAPER_, 1);
    /* Whoever started us may have ignored it. */
    const struct sigaction_ usual = { SIG_DFL_, 0, 0, 0 };
    set_sigchld(&usual, 0);
    u64 mask = 1ull << (SIGCHLD_ - 1);
    SYS4(NR_rt_sigprocmask, SIG_SETMASK_, &mask, 0, 8);
    long signals = SYS4(NR_signalfd4, -1, &mask, 8, O_CLOEXEC_);
    for (;;) {
        /* Reaping comes first: a child that ended before the signal was blocked sends none. */
        int status = 0;
        long pid;
        while ((pid = SYS4(NR_wait4, -1, &status, WNOHANG_, 0)) > 0)
            if (pid == (long)main_pid) {
                SYS3(NR_write, leash, &status, sizeof status);
                sweep(main_pid);
            }
        struct pollfd_ waits[2] = { { (int)leash, POLLIN_, 0 }, { (int)signals, POLLIN_, 0 } };
        SYS5(NR_ppoll, waits, 2, 0, 0, 8);
        if (waits[0].revents)
            sweep(main_pid);
        if (waits[1].revents) {
            char info[128];
            SYS3(NR_read, signals, info, sizeof info);
        }
    }
}

__attribute__((used)) void run(ulong *stack)
{
    ulong count = stack[0];
    char **args = (char **)(stack + 1);
    if (count >= 4 && args[1][0] == 's')
        be_supervisor(number(args[2]), number(args[3]));
    if (count >= 2 && args[1][0] == 'x')
        SYS1(NR_exit_group, 0);
    if (count >= 3 && args[1][0] == 'm')
        be_main_init(number(args[2]));
    be_init();
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call run\n hlt\n");
#else
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x30,#0\n mov x0,sp\n bl run\n");
#endif
