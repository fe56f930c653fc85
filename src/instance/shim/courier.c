/* The parent of a Go program, in its Instance: gets the server a connection to it that nobody else can have.
 *
 * The platform's library listens on all addresses of the port it is told. Where the kernel lets one process answer for another's
 * system calls (seccomp's user notification), the program's `bind` to that port is answered here: its socket becomes a local one,
 * of a name that only this Instance could see and that is gone at once, with one connection waiting, which goes to the server.
 * So there is no port at all. Every other `bind` is the program's own affair. Where the kernel does not, the port is a free one
 * of this host, on all addresses, and is called as the library expects.
 */
#include "starter.h"

enum {
    LIBRARY_PORT = 28902, SECCOMP_GET_ACTION_AVAIL_ = 2, SECCOMP_SET_MODE_FILTER_ = 1,
    SECCOMP_FILTER_FLAG_NEW_LISTENER_ = 8, RET_USER_NOTIF_ = 0x7fc00000, RET_ALLOW_ = 0x7fff0000, RET_ERRNO_ = 0x50000,
    NOTIF_FLAG_CONTINUE_ = 1, ADDFD_FLAG_SETFD_ = 1, EPERM_ = 1, POLL_AGAIN_MS = 2, BACKLOG = 8,
};

/* ioctls of linux/seccomp.h */
#define NOTIF_RECV_ 0xc0502100ul
#define NOTIF_SEND_ 0xc0182101ul
#define NOTIF_ADDFD_ 0x40182103ul

struct notif { u64 id; u32 pid, flags; int nr; u32 arch; u64 ip, args[6]; };
struct notif_resp { u64 id; long long val; int error; u32 flags; };
struct notif_addfd { u64 id; u32 flags, srcfd, newfd, newfd_flags; };
struct sockaddr_un_ { unsigned short family; char path[108]; };
struct sockaddr_in_ { unsigned short family, port; u32 address; char rest[8]; };
struct filter { unsigned short code; unsigned char jt, jf; u32 k; };
struct program { unsigned short length; const struct filter *filter; };

enum { LD = 0x20, JEQ = 0x15, RET = 0x06 };

/* What the program may not do beside what all may not: look into its parent. Its `bind` of internet addresses is asked about. */
static const struct filter CHILDS[] = {
    { LD, 0, 0, 0 },                   /* the call's number */
    { JEQ, 0, 1, NR_process_vm_readv },
    { RET, 0, 0, RET_ERRNO_ | EPERM_ },
    { JEQ, 0, 3, NR_bind },
    { LD, 0, 0, 32 },                  /* the third argument: the address' length */
    { JEQ, 2, 0, 16 },                 /* sockaddr_in */
    { JEQ, 1, 0, 28 },                 /* sockaddr_in6 */
    { RET, 0, 0, RET_ALLOW_ },
    { RET, 0, 0, RET_USER_NOTIF_ },
};

static int can_be_asked(void)
{
    u32 action = RET_USER_NOTIF_;
    return SYS3(NR_seccomp, SECCOMP_GET_ACTION_AVAIL_, 0, &action) == 0;
}

static unsigned short swapped(unsigned short number)
{
    return (unsigned short)(number << 8 | number >> 8);
}

static void give_up(void)
{
    SYS1(NR_exit_group, 72);
}

/* Sends a descriptor over a socket pair, or takes one. */
static void pass(int socket, int fd, int is_sent, int *taken)
{
    union { char room[24]; ulong aligned; } control = { { 0 } };
    char byte = 0;
    struct iovec_ data = { &byte, 1 };
    struct msghdr_ message = { 0, 0, &data, 1, control.room, sizeof control.room, 0 };
    if (is_sent) {
        *(ulong *)control.room = 20;
        *(int *)(control.room + 8) = SOL_SOCKET_;
        *(int *)(control.room + 12) = SCM_RIGHTS_;
        *(int *)(control.room + 16) = fd;
        SYS3(NR_sendmsg, socket, &message, MSG_NOSIGNAL_);
        return;
    }
    *taken = -1;
    if (SYS3(NR_recvmsg, socket, &message, MSG_CMSG_CLOEXEC_) == 1 && message.controllen >= 20)
        *taken = *(int *)(control.room + 16);
}

/* In the child. */
static void start(char *program, char **args, char **env, int asks, int socket)
{
    SYS5(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_, 0, 0, 0);
    if (asks) {
        const struct program filter = { sizeof CHILDS / sizeof *CHILDS, CHILDS };
        long listener = SYS3(NR_seccomp, SECCOMP_SET_MODE_FILTER_, SECCOMP_FILTER_FLAG_NEW_LISTENER_, &filter);
        if (listener < 0)
            give_up();
        pass(socket, (int)listener, 1, 0);
        SYS1(NR_close, listener);
    }
    tell_not_started(program, SYS3(NR_execve, program, args, env));
}

/* Hands the connection to the server; it needs none of it any more. */
static void hand(long connection)
{
    int fd = (int)connection;
    if (connection < 0 || fnlite_hand_over('S', &fd, 1) < 0)
        give_up();
    SYS1(NR_close, connection);
}

/* A local socket that listens, with one connection to it waiting, which goes to the server. Its name is gone when this returns. */
static long local_listener(const char *tmp)
{
    struct sockaddr_un_ name = { AF_UNIX_, ".fnlite-go" };
    SYS1(NR_chdir, tmp);
    SYS3(NR_unlinkat, AT_FDCWD_, name.path, 0);
    long listener = SYS3(NR_socket, AF_UNIX_, SOCK_STREAM_ | SOCK_CLOEXEC_ | SOCK_NONBLOCK_, 0);
    if (SYS3(NR_bind, listener, &name, sizeof name) < 0 || SYS2(NR_listen, listener, BACKLOG) < 0)
        give_up();
    long connection = SYS3(NR_socket, AF_UNIX_, SOCK_STREAM_ | SOCK_CLOEXEC_, 0);
    if (SYS3(NR_connect, connection, &name, sizeof name) < 0)
        give_up();
    SYS3(NR_unlinkat, AT_FDCWD_, name.path, 0);
    hand(connection);
    return listener;
}

/* Whether that is the address the library listens on. The second field is the port in both kinds. */
static int is_librarys(u32 pid, u64 address)
{
    unsigned short head[2] = { 0, 0 };
    struct iovec_ here = { head, sizeof head }, there = { (void *)(ulong)address, sizeof head };
    long got = sys6(NR_process_vm_readv, pid, (ulong)&here, 1, (ulong)&there, 1, 0);
    return got == sizeof head && swapped(head[1]) == LIBRARY_PORT;
}

/* One call of the program's; true once its port is given to it. */
static int answer(int listener, const char *tmp, int is_given)
{
    struct notif asked;
    for (ulong i = 0; i < sizeof asked; i++)
        ((char *)&asked)[i] = 0;
    if (SYS3(NR_ioctl, listener, NOTIF_RECV_, &asked) < 0)
        return is_given;
    struct notif_resp said = { asked.id, 0, 0, NOTIF_FLAG_CONTINUE_ };
    if (!is_given && is_librarys(asked.pid, asked.args[1])) {
        long local = local_listener(tmp);
        struct notif_addfd put = { asked.id, ADDFD_FLAG_SETFD_, (u32)local, (u32)asked.args[0], O_CLOEXEC_ };
        if (SYS3(NR_ioctl, listener, NOTIF_ADDFD_, &put) < 0)
            give_up();
        SYS1(NR_close, local);
        said.flags = 0;
        is_given = 1;
    }
    SYS3(NR_ioctl, listener, NOTIF_SEND_, &said);
    return is_given;
}

/* Ends as the child ended. */
static void follow(long child)
{
    int status = 0;
    while (SYS4(NR_wait4, child, &status, 0, 0) == -EINTR_)
        ;
    SYS1(NR_exit_group, (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff);
}

static void answer_until_it_ends(int listener, long child, const char *tmp)
{
    struct pollfd_ waits[2] = { { listener, POLLIN_, 0 }, { (int)SYS2(NR_pidfd_open, child, 0), POLLIN_, 0 } };
    int is_given = 0;
    for (;;) {
        SYS5(NR_ppoll, waits, 2, 0, 0, 8);
        if (waits[1].revents)
            follow(child);
        if (waits[0].revents & POLLIN_)
            is_given = answer(listener, tmp, is_given);
        else if (waits[0].revents)
            follow(child); /* nobody is left who could ask */
    }
}

/* A port that is free now. */
static struct sockaddr_in_ free_port(void)
{
    struct sockaddr_in_ name = { AF_INET_, 0, 0x0100007f, { 0 } };
    u32 length = sizeof name;
    long socket = SYS3(NR_socket, AF_INET_, SOCK_STREAM_ | SOCK_CLOEXEC_, 0);
    if (SYS3(NR_bind, socket, &name, sizeof name) < 0 || SYS3(NR_getsockname, socket, &name, &length) < 0)
        give_up();
    SYS1(NR_close, socket);
    return name;
}

static void call_until_it_answers(const struct sockaddr_in_ *name, long child)
{
    for (;;) {
        long connection = SYS3(NR_socket, AF_INET_, SOCK_STREAM_ | SOCK_CLOEXEC_, 0);
        if (SYS3(NR_connect, connection, name, sizeof *name) == 0) {
            fnlite_parked();
            hand(connection);
            follow(child);
        }
        SYS1(NR_close, connection);
        int status;
        if (SYS4(NR_wait4, child, &status, WNOHANG_, 0) == child)
            SYS1(NR_exit_group, (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff);
        pause_ms(POLL_AGAIN_MS);
    }
}

void become_courier(char *program, char **args, char **env, const char *tmp)
{
    static char variable[40];
    int asks = can_be_asked(), pair[2], listener = -1;
    struct sockaddr_in_ name = { AF_INET_, swapped(LIBRARY_PORT), 0, { 0 } };
    if (!asks)
        name = free_port();
    append_number(append(variable, "_LAMBDA_SERVER_PORT="), swapped(name.port));
    set_variable(env, variable);
    if (SYS4(NR_socketpair, AF_UNIX_, SOCK_STREAM_ | SOCK_CLOEXEC_, 0, pair) < 0)
        give_up();
    int child = fork();
    if (child == 0)
        start(program, args, env, asks, pair[1]);
    SYS1(NR_close, pair[1]);
    if (child < 0)
        give_up();
    if (!asks)
        call_until_it_answers(&name, child);
    pass(pair[0], 0, 0, &listener);
    fnlite_parked();
    SYS1(NR_close, pair[0]);
    if (listener < 0)
        follow(child);
    answer_until_it_ends(listener, child, tmp);
}
