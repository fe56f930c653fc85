/* The tiny static program that stands at the top of a process tree of ours. It has several lives:
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
 *   init c LINE PROC TMP    pid 1 of a cell (see cell.c), which it furnishes: with temporary files of these mount options, and a /proc
 *                           where PROC is 1. LINE is a stream socket to the zygote.
 *
 * No libc, and hardly any memory: a page or two of code, data and stack each.
 */
#include "cell.h"
#include "sys.h"

/* How long those that were killed may take to be gone, ms. */
enum { DEAD_WITHIN = 20 };

/* Sizes of what the kernel tells of a file, of a file system, and of a kind of IPC, the last rounded up. */
enum { STATFS_BYTES = 120, IPC_INFO_BYTES = 64 };

enum { STATX_BASIC_STATS_ = 0x7ff, SHM_INFO_ = 14, SEM_INFO_ = 19, MSG_INFO_ = 12 };

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

static void wait_for_ever(void)
{
    for (;;)
        SYS4(NR_ppoll, 0, 0, 0, 0);
}

static void be_init(void)
{
    const struct sigaction_ ignored = { SIG_IGN_, 0, 0, 0 };
    set_sigchld(&ignored, 0);
    SYS2(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_);
    SYS3(NR_close_range, 0, ~0u, 0);
    wait_for_ever();
}

/* Where what runs in a cell can leave something that others find. What was made in a folder and removed again shows in the folder's times;
 * what was never in one (O_TMPFILE), or a segment that was removed, shows in no more than numbers that the kernel counts up. This process
 * itself cannot be changed by those in the cell: it has a capability, and they have none; so they do not see it in /proc either. */
struct traces {
    char tmp[STATX_BYTES], shm[STATX_BYTES], queues[STATX_BYTES];
    char tmp_use[STATFS_BYTES], shm_use[STATFS_BYTES];
    char segments[IPC_INFO_BYTES], semaphores[IPC_INFO_BYTES], messages[IPC_INFO_BYTES];
    long results[10];
};

/* What the kernel has no answer to stays zero. */
static void look_around(struct traces *found, long queues)
{
    volatile char *bytes = (volatile char *)found; /* or the compiler would call a libc */
    for (ulong i = 0; i < sizeof *found; i++)
        bytes[i] = 0;
    long *result = found->results;
    *result++ = SYS5(NR_statx, AT_FDCWD_, "/tmp", 0, STATX_BASIC_STATS_, found->tmp);
    *result++ = SYS5(NR_statx, AT_FDCWD_, "/dev/shm", 0, STATX_BASIC_STATS_, found->shm);
    *result++ = SYS5(NR_statx, queues, "", AT_EMPTY_PATH_, STATX_BASIC_STATS_, found->queues);
    *result++ = SYS2(NR_statfs, "/tmp", found->tmp_use);
    *result++ = SYS2(NR_statfs, "/dev/shm", found->shm_use);
    *result++ = SYS3(NR_listxattr, "/tmp", 0, 0);
    *result++ = SYS3(NR_listxattr, "/dev/shm", 0, 0);
    *result++ = SYS3(NR_shmctl, 0, SHM_INFO_, found->segments);
    *result++ = SYS4(NR_semctl, 0, 0, SEM_INFO_, found->semaphores);
    *result = SYS3(NR_msgctl, 0, MSG_INFO_, found->messages);
}

static int is_same(const struct traces *one, const struct traces *other)
{
    const char *a = (const char *)one, *b = (const char *)other;
    for (ulong i = 0; i < sizeof *one; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

/* Whether nobody else is in this namespace, within moments in which whoever is there dies. */
static int is_alone(void)
{
    for (int tries = 0; tries < DEAD_WITHIN; tries++) {
        if (SYS2(NR_kill, -1, SIGKILL_) == -ESRCH_)
            return 1;
        pause_ms(1);
    }
    return 0;
}

/* A descriptor of the folder in which POSIX message queues would show, if the kernel has them. The /tmp of the cell is mounted over it, so
 * that nobody else finds it. */
static long open_queues(void)
{
    long result = SYS5(NR_mount, "mqueue", "/tmp", "mqueue", MS_NOSUID_ | MS_NODEV_ | MS_NOEXEC_, 0);
    return result < 0 ? result : SYS4(NR_openat, AT_FDCWD_, "/tmp", O_PATH_ | O_CLOEXEC_, 0);
}

static long mount_own(int has_proc, const char *tmp_options)
{
    const ulong flags = MS_NOSUID_ | MS_NODEV_;
    long result = SYS5(NR_mount, "tmpfs", "/tmp", "tmpfs", flags, tmp_options);
    if (result >= 0)
        result = SYS5(NR_mount, "tmpfs", "/dev/shm", "tmpfs", flags | MS_NOEXEC_, tmp_options);
    if (result >= 0 && has_proc)
        result = SYS5(NR_mount, "proc", "/proc", "proc", flags | MS_NOEXEC_, "hidepid=2");
    return result;
}

/* Whether all that matters was seen: what cannot be, would look as if it never changed. */
static int is_seen(const struct traces *found, long queues)
{
    const long *results = found->results;
    int is_queue_seen = queues == -ENODEV_ || results[2] == 0;
    return is_queue_seen && !results[0] && !results[1] && !results[3] && !results[4];
}

static void say(ulong line, char byte)
{
    SYS4(NR_sendto, line, &byte, 1, MSG_NOSIGNAL_);
}

/* Every Instance is to have the process id 2: some code takes one that it has not seen before for a sign of a fork, and none is to be
 * the zygote's. */
static int count_from(long last_pid)
{
    return SYS4(NR_pwrite64, last_pid, "1", 1, 0) == 1;
}

static void be_cell(ulong line, int has_proc, const char *tmp_options)
{
    struct traces first, now;
    const struct sigaction_ ignored = { SIG_IGN_, 0, 0, 0 };
    char byte;
    set_sigchld(&ignored, 0);
    SYS2(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_);
    close_all_but(line);
    long result = SYS1(NR_unshare, CLONE_NEWNS_ | CLONE_NEWIPC_);
    long queues = result < 0 ? result : open_queues();
    if (result >= 0)
        result = mount_own(has_proc, tmp_options);
    if (result < 0) {
        say(line, CELL_FAILED);
        say(line, (char)-result);
        SYS1(NR_exit_group, 0);
    }
    long last_pid = SYS4(NR_openat, AT_FDCWD_, "/proc/sys/kernel/ns_last_pid", O_WRONLY_ | O_CLOEXEC_, 0);
    look_around(&first, queues);
    say(line, has_proc && is_seen(&first, queues) && count_from(last_pid) ? CELL_LASTS : CELL_ONCE);
    for (;;) {
        await_input((int)line, -1);
        if (SYS3(NR_read, line, &byte, 1) != 1)
            wait_for_ever();
        if (!is_alone() || !count_from(last_pid))
            SYS1(NR_exit_group, 0);
        look_around(&now, queues);
        if (!is_same(&first, &now))
            SYS1(NR_exit_group, 0);
        say(line, CELL_CLEAN);
    }
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
    if (count >= 5 && args[1][0] == 'c')
        be_cell(number(args[2]), args[3][0] == '1', args[4]);
    be_init();
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call run\n hlt\n");
#else
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x30,#0\n mov x0,sp\n bl run\n");
#endif
