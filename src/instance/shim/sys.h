/* Raw system calls for code that has no libc: it runs between fork and exec, in a process whose threads are gone, and
 * as the init of a pid namespace, where every byte of it is resident for each Instance. */
#ifndef FNLITE_SYS_H
#define FNLITE_SYS_H

typedef unsigned long ulong;
typedef unsigned long long u64;
typedef unsigned int u32;

#if defined(__x86_64__)
enum {
    NR_read = 0, NR_write = 1, NR_close = 3, NR_lseek = 8, NR_pread64 = 17, NR_pwrite64 = 18, NR_mmap = 9, NR_mprotect = 10, NR_munmap = 11, NR_mremap = 25, NR_rt_sigaction = 13, NR_rt_sigprocmask = 14, NR_ioctl = 16, NR_madvise = 28,
    NR_shmctl = 31, NR_getpid = 39, NR_socket = 41, NR_connect = 42, NR_bind = 49, NR_listen = 50, NR_getsockname = 51, NR_socketpair = 53, NR_sendto = 44, NR_recvfrom = 45, NR_sendmsg = 46, NR_recvmsg = 47, NR_clone = 56, NR_execve = 59, NR_wait4 = 61, NR_kill = 62, NR_semctl = 66, NR_msgctl = 71,
    NR_fcntl = 72, NR_getcwd = 79, NR_chdir = 80, NR_fchmod = 91, NR_getrusage = 98, NR_getppid = 110, NR_setsid = 112, NR_capset = 126, NR_statfs = 137, NR_prctl = 157, NR_mount = 165, NR_listxattr = 194, NR_sched_getaffinity = 204,
    NR_getdents64 = 217, NR_exit_group = 231, NR_openat = 257, NR_mkdirat = 258, NR_unlinkat = 263,
    NR_fchmodat = 268, NR_ppoll = 271, NR_unshare = 272, NR_signalfd4 = 289, NR_dup3 = 292, NR_pipe2 = 293,
    NR_prlimit64 = 302, NR_setns = 308, NR_process_vm_readv = 310, NR_seccomp = 317, NR_execveat = 322, NR_statx = 332,
    NR_pidfd_send_signal = 424, NR_pidfd_open = 434, NR_close_range = 436, NR_process_madvise = 440,
    NR_landlock_create_ruleset = 444, NR_landlock_add_rule = 445, NR_landlock_restrict_self = 446,
};
#elif defined(__aarch64__)
enum {
    NR_listxattr = 11, NR_getcwd = 17, NR_dup3 = 24, NR_fcntl = 25, NR_ioctl = 29, NR_mkdirat = 34, NR_unlinkat = 35, NR_mount = 40, NR_statfs = 43, NR_chdir = 49, NR_fchmod = 52, NR_fchmodat = 53, NR_openat = 56,
    NR_close = 57, NR_pipe2 = 59, NR_getdents64 = 61, NR_lseek = 62, NR_read = 63, NR_write = 64, NR_pread64 = 67, NR_pwrite64 = 68,
    NR_ppoll = 73, NR_signalfd4 = 74, NR_capset = 91, NR_exit_group = 94, NR_unshare = 97, NR_sched_getaffinity = 123, NR_kill = 129,
    NR_rt_sigaction = 134, NR_rt_sigprocmask = 135, NR_setsid = 157, NR_getrusage = 165, NR_prctl = 167, NR_getpid = 172,
    NR_getppid = 173, NR_msgctl = 187, NR_semctl = 191, NR_shmctl = 195, NR_socket = 198, NR_socketpair = 199, NR_bind = 200, NR_listen = 201, NR_connect = 203, NR_getsockname = 204, NR_sendto = 206, NR_recvfrom = 207, NR_sendmsg = 211, NR_recvmsg = 212, NR_clone = 220, NR_execve = 221, NR_munmap = 215, NR_mremap = 216, NR_mmap = 222, NR_mprotect = 226, NR_madvise = 233,
    NR_wait4 = 260, NR_prlimit64 = 261, NR_setns = 268, NR_process_vm_readv = 270, NR_seccomp = 277, NR_execveat = 281, NR_statx = 291,
    NR_pidfd_send_signal = 424, NR_pidfd_open = 434,
    NR_close_range = 436, NR_process_madvise = 440, NR_landlock_create_ruleset = 444, NR_landlock_add_rule = 445,
    NR_landlock_restrict_self = 446,
};
#else
#error "fnlite runs on x86-64 and aarch64"
#endif

static inline long sys6(long nr, ulong a, ulong b, ulong c, ulong d, ulong e, ulong f)
{
#if defined(__x86_64__)
    long result;
    register ulong r10 __asm__("r10") = d;
    register ulong r8 __asm__("r8") = e;
    register ulong r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    register ulong x8 __asm__("x8") = (ulong)nr;
    register ulong x0 __asm__("x0") = a;
    register ulong x1 __asm__("x1") = b;
    register ulong x2 __asm__("x2") = c;
    register ulong x3 __asm__("x3") = d;
    register ulong x4 __asm__("x4") = e;
    register ulong x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return (long)x0;
#endif
}

#define SYS0(nr) sys6(nr, 0, 0, 0, 0, 0, 0)
#define SYS1(nr, a) sys6(nr, (ulong)(a), 0, 0, 0, 0, 0)
#define SYS2(nr, a, b) sys6(nr, (ulong)(a), (ulong)(b), 0, 0, 0, 0)
#define SYS3(nr, a, b, c) sys6(nr, (ulong)(a), (ulong)(b), (ulong)(c), 0, 0, 0)
#define SYS4(nr, a, b, c, d) sys6(nr, (ulong)(a), (ulong)(b), (ulong)(c), (ulong)(d), 0, 0)
#define SYS5(nr, a, b, c, d, e) sys6(nr, (ulong)(a), (ulong)(b), (ulong)(c), (ulong)(d), (ulong)(e), 0)
#define SYS6(nr, a, b, c, d, e, f) sys6(nr, (ulong)(a), (ulong)(b), (ulong)(c), (ulong)(d), (ulong)(e), (ulong)(f))

enum {
    SIGKILL_ = 9, SIGCHLD_ = 17, SIG_SETMASK_ = 2, ENOENT_ = 2, ESRCH_ = 3, EINTR_ = 4, EIO_ = 5, ENOEXEC_ = 8, EAGAIN_ = 11, ENOMEM_ = 12, EACCES_ = 13, EEXIST_ = 17, ENODEV_ = 19,
    ETXTBSY_ = 26, ECHILD_ = 10, AF_UNIX_ = 1, AF_INET_ = 2, SOCK_STREAM_ = 1, SOCK_NONBLOCK_ = 04000, SOCK_CLOEXEC_ = 02000000,
    PR_SET_PDEATHSIG_ = 1, PR_SET_CHILD_SUBREAPER_ = 36, PR_SET_NO_NEW_PRIVS_ = 38, PR_CAP_AMBIENT_ = 47,
    PR_CAP_AMBIENT_CLEAR_ALL_ = 4, AT_FDCWD_ = -100, AT_EMPTY_PATH_ = 0x1000, O_PATH_ = 010000000,
    O_CLOEXEC_ = 02000000, O_NONBLOCK_ = 04000, O_RDONLY_ = 0, O_WRONLY_ = 1, O_RDWR_ = 2, AT_REMOVEDIR_ = 0x200, MS_NOSUID_ = 2, MS_NODEV_ = 4, MS_NOEXEC_ = 8, POLLIN_ = 1, WNOHANG_ = 1,
    MSG_DONTWAIT_ = 0x40, MSG_NOSIGNAL_ = 0x4000, MSG_CMSG_CLOEXEC_ = 0x40000000, SOL_SOCKET_ = 1, SCM_RIGHTS_ = 1,
};
#define CLONE_VM_ 0x100ul
#define CLONE_VFORK_ 0x4000ul
#define CLONE_NEWNS_ 0x20000ul
#define CLONE_NEWIPC_ 0x8000000ul
#define CLONE_NEWPID_ 0x20000000ul

#if defined(__x86_64__)
enum { O_DIRECTORY_ = 0200000, O_NOFOLLOW_ = 0400000 };
#else
enum { O_DIRECTORY_ = 040000, O_NOFOLLOW_ = 0100000 };
#endif

struct pollfd_ { int fd; short events, revents; };
struct timespec_ { long sec, nsec; };
struct iovec_ { void *base; ulong len; };
struct msghdr_ { void *name; u32 namelen; struct iovec_ *iov; ulong iovlen; void *control; ulong controllen; int flags; };
struct rlimit_ { u64 now, max; };
struct sigaction_ { void *handler; ulong flags; void *restorer; u64 mask; };

#define SIG_DFL_ ((void *)0)
#define SIG_IGN_ ((void *)1)

/* The kernel writes into what it is given how much was left, so it is given a new one each time. */
static inline void pause_ms(long ms)
{
    struct timespec_ length = { 0, ms * 1000000 };
    SYS4(NR_ppoll, 0, 0, &length, 0);
}

/* Waits so long, for ever where `ms` is negative, until there is something to read, or the end: 1 then, 0 if not, or -errno. A reader that
 * sleeps in a read of a socket is woken whenever the other end has read something as well, as there is room for its writing then; here
 * it is not. */
static inline long await_input(int fd, long ms)
{
    struct timespec_ patience = { 0, ms * 1000000 };
    struct pollfd_ wait = { fd, POLLIN_, 0 };
    return SYS5(NR_ppoll, &wait, 1, ms < 0 ? 0 : &patience, 0, 8);
}

/* What statx(2) fills. */
enum { STATX_BYTES = 256 };

/* What is done about SIGCHLD; whatever there was before goes to `before`. An ignored SIGCHLD, which exec keeps, makes the
 * kernel reap and forget how children ended. */
static inline void set_sigchld(const struct sigaction_ *action, struct sigaction_ *before)
{
    SYS4(NR_rt_sigaction, SIGCHLD_, action, before, 8);
}

#endif
