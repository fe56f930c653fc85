/* The loop of a zygote, whatever its language: orders come in on the control socket, Instances are forked.
 *
 * It is C so that the parent touches as little memory as can be between two forks: each page it writes is copied once
 * more for every child. Orders are nine bytes, a kind and a number: N (new; three descriptors travel along, four without
 * namespaces, then one for each control group to enter), W (wait for that Instance and tell how it ended), R (reap what has died),
 * P (so many ranges of memory follow that Instances have ahead; see instance/prefault.rs).
 */
#include "shim.h"
#include "sys.h"

/* libc's, so that its own fork handlers run. */
extern int fork(void);

/* So many Instances were wanted that huge pages pay; before, they would only delay the first. Where there were none to be had, or no
 * Instance was at work yet, it is tried again after twice as many. */
enum { COLLAPSE_AT = 8, COLLAPSE_LAST = 1024 };

/* How often an init is tried to be started where there are too many processes, 5 ms apart. */
enum { START_TRIES = 20 };

enum { ORDER_BYTES = 9, FDS_MAX = 8, CHILDREN_MAX = 1024, RANGES_MAX = 256, RANGE_BYTES = 8 };

enum { MADV_POPULATE_READ_ = 22, MADV_POPULATE_WRITE_ = 23 /* both Linux 5.14 */, STEP = 4096 };

/* An Instance that lives, or one that ended in a way somebody may ask about. */
struct child {
    u64 number;
    int pid;  /* 0: it has ended */
    int init; /* of its pid namespace; 0: it has none */
    int status;
};

static struct child children[CHILDREN_MAX];

/* What is to be had ahead: addresses, and in their lowest twelve bits how many steps. */
static u64 ranges[RANGES_MAX];
static ulong range_count;

struct order {
    char kind;
    u64 number;
    int fds[FDS_MAX];
    int fd_count;
};

static u64 number_at(const char *bytes)
{
    u64 number = 0;
    for (int i = 7; i >= 0; i--)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

static void keep_ranges(const char *bytes, ulong count)
{
    range_count = count;
    for (ulong i = 0; i < count; i++)
        ranges[i] = number_at(bytes + i * RANGE_BYTES);
}

/* Copies what a run will write to, and maps what it will only read, unless somebody waits for that run already. What is not there is
 * left out. */
static void copy_ahead(void)
{
    if (fnlite_is_awaited())
        return;
    for (ulong i = 0; i < range_count; i++) {
        u64 start = ranges[i] & ~(u64)(STEP - 1), length = ranges[i] % STEP * STEP;
        if (SYS3(NR_madvise, start, length, MADV_POPULATE_WRITE_) < 0)
            SYS3(NR_madvise, start, length, MADV_POPULATE_READ_);
    }
}

/* Waits for the next order; false once the server is gone. */
static int next_order(struct order *order)
{
    char bytes[ORDER_BYTES + RANGES_MAX * RANGE_BYTES];
    /* More descriptors than there is room for do not get here: the kernel closes them. */
    union { char room[16 + FDS_MAX * sizeof(int)]; ulong aligned; } control;
    struct iovec_ data = { bytes, sizeof bytes };
    struct msghdr_ message = { 0, 0, &data, 1, control.room, sizeof control.room, 0 };
    long length;
    do
        length = SYS3(NR_recvmsg, EVENT_FD, &message, MSG_CMSG_CLOEXEC_);
    while (length == -EINTR_);
    if (length < ORDER_BYTES)
        return 0;
    order->kind = bytes[0];
    order->number = number_at(bytes + 1);
    if (order->kind == 'P')
        keep_ranges(bytes + ORDER_BYTES, (ulong)(length - ORDER_BYTES) / RANGE_BYTES);
    order->fd_count = 0;
    if (message.controllen >= 16 && ((int *)control.room)[2] == SOL_SOCKET_ && ((int *)control.room)[3] == SCM_RIGHTS_) {
        order->fd_count = (int)((*(ulong *)control.room - 16) / sizeof(int));
        for (int i = 0; i < order->fd_count; i++)
            order->fds[i] = ((int *)control.room)[4 + i];
    }
    return 1;
}

static struct child *find_child(u64 number, int pid)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (pid ? children[i].pid == pid : children[i].number == number)
            return &children[i];
    return 0;
}

/* A free place; else that of somebody nobody asked about. More than CHILDREN_MAX cannot live: each is two processes, of
 * which a function may have 2,048. */
static void note_child(u64 number, int pid, int init)
{
    struct child *place = find_child(0, 0);
    for (int i = 0; !place && i < CHILDREN_MAX; i++)
        if (!children[i].pid)
            place = &children[i];
    if (place)
        *place = (struct child){ number, pid, init, 0 };
}

/* An Instance has been reaped. Its init goes with it, although nobody may have learnt of it; it cannot have been reaped
 * before, so the number is still its own. */
static void note_end(struct child *child, int status)
{
    if (child->init)
        SYS2(NR_kill, child->init, SIGKILL_);
    child->pid = child->init = 0;
    child->status = status;
}

/* Whoever has died. An Instance goes before its namespace's init, which is dead only when nobody is left in it. Killed is
 * how an Instance normally ends; only other endings are remembered. */
static int reap(void)
{
    int reaped = 0, status;
    long pid;
    while ((pid = SYS4(NR_wait4, -1, &status, WNOHANG_, 0)) > 0) {
        struct child *child = find_child(0, (int)pid);
        if (child)
            note_end(child, status);
        if (child && status == SIGKILL_)
            child->number = 0;
        reaped++;
    }
    return reaped;
}

static void reap_all(void)
{
    while (reap())
        pause_ms(2); /* what was just reaped lets an init die */
}

static void wait_for(struct child *child)
{
    int status = SIGKILL_;
    while (SYS4(NR_wait4, child->pid, &status, 0, 0) == -EINTR_)
        ;
    note_end(child, status);
}

/* Tells how that Instance ended; killed once nobody remembers it. */
static void tell_end(u64 number)
{
    struct child *child = find_child(number, 0);
    char answer[ORDER_BYTES + sizeof(int)] = { 'W' };
    int status = SIGKILL_;
    if (child) {
        if (child->pid)
            wait_for(child);
        status = child->status;
        child->number = 0;
    }
    for (int i = 0; i < 8; i++)
        answer[1 + i] = (char)(number >> (8 * i));
    for (int i = 0; i < 4; i++)
        answer[ORDER_BYTES + i] = (char)((u32)status >> (8 * i));
    SYS3(NR_write, EVENT_FD, answer, sizeof answer);
}

/* Tells the server on the Instance's own socket that there will be none. */
static void refuse(const struct order *order)
{
    SYS4(NR_sendto, order->fds[0], "!no process", 11, MSG_NOSIGNAL_);
}

static void close_all(const struct order *order)
{
    for (int i = 0; i < order->fd_count; i++)
        SYS1(NR_close, order->fds[i]);
}

/* Without namespaces: this fork becomes the reaper of its child's tree; it returns only in the child. */
static void supervise(int init_program, const struct order *order)
{
    SYS2(NR_prctl, PR_SET_CHILD_SUBREAPER_, 1);
    int pid = fork();
    if (pid != 0) {
        if (pid > 0)
            fnlite_become_supervisor(init_program, order->fds[3], pid);
        SYS1(NR_exit_group, 127);
    }
}

/* The init of the next fork's namespace. Those that are dying still count as processes: where there are too many it is
 * waited for some to be gone, which also holds up whoever orders faster than the kernel can bury. */
static int start_init(int init_program, int own)
{
    int init = 0;
    for (int tries = 0; tries < START_TRIES; tries++) {
        init = fnlite_before_fork(init_program);
        if (init >= 0)
            return init;
        fnlite_after_fork(own);
        if (init != -EAGAIN_)
            return init;
        reap();
        pause_ms(5);
    }
    return init;
}

/* Forks one Instance; true in it. */
static int fork_child(int init_program, int own, const struct order *order, const struct isolation *how,
                      const struct fork_hooks *hooks)
{
    int init = how->pid_namespace ? start_init(init_program, own) : 0;
    if (init < 0) {
        refuse(order);
        return 0;
    }
    if (hooks->before)
        hooks->before();
    int pid = fork();
    if (pid == 0) {
        if (!how->pid_namespace)
            supervise(init_program, order);
        if (hooks->in_child)
            hooks->in_child();
        return 1;
    }
    if (hooks->in_parent)
        hooks->in_parent();
    if (how->pid_namespace)
        fnlite_after_fork(own);
    if (pid > 0) {
        note_child(order->number, pid, init);
        return 0;
    }
    if (init)
        SYS2(NR_kill, init, SIGKILL_);
    refuse(order);
    return 0;
}

/* Enters the control groups whose descriptors came last; the number in front of them is that of the others. */
static int enter_groups(const struct order *order, int others)
{
    for (int i = others; i < order->fd_count; i++) {
        long moved = SYS3(NR_write, order->fds[i], "0", 1);
        if (moved < 0)
            return (int)(moved - 9000);
    }
    return 0;
}

/* In the child: what the code has set for itself, the walls, and nothing of the zygote's left open. */
static long become_instance(int init_program, int own, const struct order *order, const struct isolation *how,
                           const struct sigaction_ *users)
{
    set_sigchld(users, 0);
    SYS1(NR_close, own);
    SYS1(NR_close, init_program);
    int top = how->pid_namespace ? 1 : (int)SYS0(NR_getppid);
    int result = enter_groups(order, order->fd_count - how->groups);
    if (!result)
        result = fnlite_isolate(how, order->number, order->fds[0], order->fds[1], order->fds[2], top);
    for (int i = 0; i < order->fd_count; i++)
        if (order->fds[i] != EVENT_FD)
            SYS1(NR_close, order->fds[i]);
    copy_ahead();
    return result < 0 ? result : (long)order->number;
}

long fnlite_serve(int init_program, const struct isolation *how, const struct fork_hooks *hooks)
{
    const int fds_wanted = (how->pid_namespace ? 3 : 4) + how->groups;
    int own = (int)SYS2(NR_pidfd_open, SYS0(NR_getpid), 0);
    int forked = 0, collapse_at = COLLAPSE_AT;
    struct order order;
    const struct sigaction_ usual = { SIG_DFL_, 0, 0, 0 };
    struct sigaction_ users;
    set_sigchld(&usual, &users);
    while (next_order(&order)) {
        if (order.kind == 'N' && order.fd_count == fds_wanted) {
            if (++forked == collapse_at)
                collapse_at = fnlite_collapse() || forked >= COLLAPSE_LAST ? 0 : 2 * forked;
            if (fork_child(init_program, own, &order, how, hooks))
                return become_instance(init_program, own, &order, how, &users);
        }
        close_all(&order);
        if (order.kind == 'W')
            tell_end(order.number);
        if (order.kind == 'R')
            reap_all();
        else
            reap();
    }
    SYS1(NR_exit_group, 0);
    return 0;
}
