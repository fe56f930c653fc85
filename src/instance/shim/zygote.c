/* The loop of a zygote, whatever its language: orders come in on the control socket, Instances are forked.
 *
 * It is C so that the parent touches as little memory as can be between two forks: each page it writes is copied once
 * more for every child. Orders are nine bytes, a kind and a number, and what follows: N (new; three descriptors travel along, four
 * without namespaces, then one for each control group to enter; numbers as with E follow), E (the Instances of these numbers have
 * answered and were killed), W (wait for that Instance and tell how it ended), R (reap what has died), P (ranges of memory that
 * Instances have ahead, the first so many copied, the others mapped; see instance/prefault.rs).
 */
#include "cell.h"
#include "sys.h"

/* libc's, so that its own fork handlers run. */
extern int fork(void);

/* So many Instances were wanted that huge pages pay; before, they would only delay the first. Where there were none to be had, or no
 * Instance was at work yet, it is tried again after twice as many. */
enum { COLLAPSE_AT = 8, COLLAPSE_LAST = 1024 };

/* How often more a fork is tried where there are too many processes, 5 ms apart. */
enum { START_TRIES = 20 };

/* How soon those that were killed are looked for, ms. What their code started lives as long. */
enum { ENDED_WITHIN = 2 };

enum { ORDER_BYTES = 9, FDS_MAX = 8, CHILDREN_MAX = 1024, NUMBERS_MAX = 256, NUMBER_BYTES = 8 };

enum { MADV_POPULATE_READ_ = 22, MADV_POPULATE_WRITE_ = 23 /* both Linux 5.14 */, STEP = 4096, PIDFD_SELF_ = -10001 /* Linux 6.14 */ };

/* An Instance that lives, or one that ended in a way somebody may ask about. */
struct child {
    u64 number;
    int pid;           /* 0: it has ended */
    int init;          /* of a cell that is used once; 0: it is in none */
    struct cell *cell; /* that may be used again; 0: it is in none */
    int answered;      /* and was killed: nobody will ask about it */
    int status;
};

static struct child children[CHILDREN_MAX];

/* What is to be had ahead: first what is to be copied, then what is only to be mapped. */
static struct iovec_ ranges[NUMBERS_MAX];
static ulong range_count, copied_count;

/* One call takes them all, which pays even where an event waits already (Linux 6.14). */
static int is_one_call;

/* Those that have answered and are not reaped yet. */
static int answered_count;

struct order {
    char kind; /* 0: there is none yet */
    u64 number;
    char numbers[NUMBERS_MAX * NUMBER_BYTES];
    ulong numbers_count;
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

static void keep_ranges(const struct order *order)
{
    range_count = order->numbers_count;
    copied_count = order->number < range_count ? order->number : range_count;
    for (ulong i = 0; i < range_count; i++) {
        u64 range = number_at(order->numbers + i * NUMBER_BYTES);
        ranges[i] = (struct iovec_){ (void *)(range & ~(u64)(STEP - 1)), range % STEP * STEP };
    }
    struct iovec_ mine = { (void *)((ulong)&mine & ~(ulong)(STEP - 1)), STEP };
    is_one_call = SYS5(NR_process_madvise, PIDFD_SELF_, &mine, 1, MADV_POPULATE_READ_, 0) == STEP;
}

/* How much was done, bytes; it ends before what cannot be. */
static long populate_some(const struct iovec_ *from, ulong count, int how)
{
    if (is_one_call)
        return SYS5(NR_process_madvise, PIDFD_SELF_, from, count, how, 0);
    return SYS3(NR_madvise, from->base, from->len, how) < 0 ? 0 : (long)from->len;
}

/* What is not there is left out. */
static void populate(const struct iovec_ *from, const struct iovec_ *to, int how)
{
    while (from < to) {
        const struct iovec_ *first = from;
        long done = populate_some(from, (ulong)(to - from), how);
        for (; from < to && done >= (long)from->len; from++)
            done -= (long)from->len;
        from += from == first;
    }
}

/* Copies what a run will write to, and maps what it will only read, unless that takes a call for each and somebody waits already. */
static void copy_ahead(void)
{
    if (!is_one_call && fnlite_is_awaited())
        return;
    populate(ranges, ranges + copied_count, MADV_POPULATE_WRITE_);
    populate(ranges + copied_count, ranges + range_count, MADV_POPULATE_READ_);
}

/* Waits for the next order, where somebody was killed only for a moment; false once the server is gone. */
static int next_order(struct order *order)
{
    char head[ORDER_BYTES];
    /* More descriptors than there is room for do not get here: the kernel closes them. */
    union { char room[16 + FDS_MAX * sizeof(int)]; ulong aligned; } control;
    struct iovec_ data[] = { { head, sizeof head }, { order->numbers, sizeof order->numbers } };
    struct msghdr_ message = { 0, 0, data, 2, control.room, sizeof control.room, 0 };
    long length;
    order->kind = 0;
    order->fd_count = 0;
    if (answered_count > 0 && await_input(EVENT_FD, ENDED_WITHIN) == 0)
        return 1;
    do
        length = SYS3(NR_recvmsg, EVENT_FD, &message, MSG_CMSG_CLOEXEC_);
    while (length == -EINTR_);
    if (length < ORDER_BYTES)
        return 0;
    order->kind = head[0];
    order->number = number_at(head + 1);
    order->numbers_count = (ulong)(length - ORDER_BYTES) / NUMBER_BYTES;
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
static void note_child(u64 number, int pid, int init, struct cell *cell)
{
    struct child *place = find_child(0, 0);
    for (int i = 0; !place && i < CHILDREN_MAX; i++)
        if (!children[i].pid && !children[i].cell)
            place = &children[i];
    if (place)
        *place = (struct child){ number, pid, init, cell, 0, 0 };
}

/* These have answered and were killed, and may be dead already. */
static void note_answered(const struct order *order)
{
    for (ulong i = 0; i < order->numbers_count; i++) {
        struct child *child = find_child(number_at(order->numbers + i * NUMBER_BYTES), 0);
        if (child && child->pid && !child->answered) {
            child->answered = 1;
            answered_count++;
        } else if (child && !child->pid) {
            if (child->cell)
                fnlite_cell_give_back(child->cell);
            child->cell = 0;
            child->number = 0;
        }
    }
}

/* An Instance has been reaped. Its cell goes with it, although nobody may have learnt of its end. But if it was killed, that was most
 * likely the server, which is about to say that it had answered, or kills the cell as well. */
static void note_end(struct child *child, int status)
{
    if (child->init)
        SYS2(NR_kill, child->init, SIGKILL_); /* it cannot have been reaped before, so the number is still its own */
    if (child->cell && child->answered)
        fnlite_cell_give_back(child->cell);
    else if (child->cell && status != SIGKILL_)
        fnlite_cell_end(child->cell);
    if (child->answered || status != SIGKILL_)
        child->cell = 0;
    fnlite_parking_is_over(child->number);
    answered_count -= child->answered;
    child->pid = child->init = 0;
    child->status = status;
}

/* Ends the cells of those that were killed and of which the server still says nothing, now that it has time to have reaped. */
static void end_unclaimed(void)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (children[i].cell && !children[i].pid) {
            fnlite_cell_end(children[i].cell);
            children[i].cell = 0;
            children[i].number = 0;
        }
}

/* What was reaped was none of the Instances, but perhaps what held one's cell. */
static void note_init(int pid)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (children[i].cell && children[i].cell->init == pid) {
            children[i].cell = 0;
            children[i].number = 0;
        }
    fnlite_cell_is_gone(pid);
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
        else
            note_init((int)pid);
        if (child && !child->cell && (status == SIGKILL_ || child->answered))
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

/* Tells the server on the Instance's own socket that there will be none, and the error. libc's fork tells none. */
static void refuse(const struct order *order, int failed)
{
    char digits[12], *from = fnlite_decimal((ulong)-failed, digits + sizeof digits), text[16] = "!";
    ulong length = 1;
    while (*from)
        text[length++] = *from++;
    SYS4(NR_sendto, order->fds[0], text, length, MSG_NOSIGNAL_);
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

/* Notes what was forked into that cell, if it is in one; what was not forked needs none. */
static void settle(u64 number, int pid, struct cell *cell)
{
    int init = cell ? cell->init : 0;
    if (pid < 0 && cell)
        fnlite_cell_end(cell);
    else if (pid > 0 && cell && fnlite_cell_is_kept(cell))
        note_child(number, pid, 0, cell);
    else if (pid > 0)
        note_child(number, pid, init, 0);
}

/* The child's process id, 0 in it, -errno; libc's fork does not tell which. */
static int fork_into(struct cell **cell, int init_program, int own, u64 number, const struct isolation *how,
                     const struct fork_hooks *hooks)
{
    *cell = 0;
    int result = how->cell ? fnlite_cell_enter(cell, init_program, own, how) : 0;
    if (result < 0)
        return result;
    if (hooks->before)
        hooks->before();
    int pid = fork();
    if (pid == 0)
        return 0;
    if (hooks->in_parent)
        hooks->in_parent();
    if (how->cell)
        fnlite_cell_leave(own);
    settle(number, pid, *cell);
    return pid < 0 ? -EAGAIN_ : pid;
}

/* Forks one Instance; true in it, which is in that cell. Processes that are dying still count: where there are too many it is waited for
 * some to be gone, which also holds up whoever orders faster than the kernel can bury. */
static int fork_child(int init_program, int own, const struct order *order, const struct isolation *how,
                      const struct fork_hooks *hooks, struct cell **cell)
{
    fnlite_parking_wait(reap);
    int pid = fork_into(cell, init_program, own, order->number, how, hooks);
    for (int tries = 0; pid == -EAGAIN_ && tries < START_TRIES; tries++) {
        reap();
        pause_ms(5);
        pid = fork_into(cell, init_program, own, order->number, how, hooks);
    }
    if (pid < 0)
        refuse(order, pid);
    if (pid > 0)
        fnlite_parking_begins(order->number);
    if (pid != 0)
        return 0;
    if (!how->cell)
        supervise(init_program, order);
    fnlite_cells_close(*cell); /* before there is any code of the user's, which could reach others' by them */
    fnlite_parking_is_mine(order->number);
    if (hooks->in_child)
        hooks->in_child();
    return 1;
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
                           const struct cell *cell, const struct sigaction_ *users)
{
    set_sigchld(users, 0);
    SYS1(NR_close, own);
    SYS1(NR_close, init_program);
    int top = how->cell ? 1 : (int)SYS0(NR_getppid), handle = cell ? cell->handle : 0;
    int result = enter_groups(order, order->fd_count - how->groups);
    if (!result)
        result = fnlite_isolate(how, order->number, order->fds[0], order->fds[1], order->fds[2], handle, top);
    fnlite_cells_close(0);
    for (int i = 0; i < order->fd_count; i++)
        if (order->fds[i] != EVENT_FD)
            SYS1(NR_close, order->fds[i]);
    copy_ahead();
    return result < 0 ? result : (long)order->number;
}

long fnlite_serve(int init_program, const struct isolation *how, const struct fork_hooks *hooks)
{
    const int fds_wanted = (how->cell ? 3 : 4) + how->groups;
    int own = (int)SYS2(NR_pidfd_open, SYS0(NR_getpid), 0);
    int forked = 0, collapse_at = COLLAPSE_AT;
    struct order order;
    struct cell *cell;
    const struct sigaction_ usual = { SIG_DFL_, 0, 0, 0 };
    struct sigaction_ users;
    set_sigchld(&usual, &users);
    fnlite_parking_open();
    while (next_order(&order)) {
        if (order.kind == 'N' && order.fd_count == fds_wanted) {
            if (++forked == collapse_at)
                collapse_at = fnlite_collapse() || forked >= COLLAPSE_LAST ? 0 : 2 * forked;
            if (fork_child(init_program, own, &order, how, hooks, &cell))
                return become_instance(init_program, own, &order, how, cell, &users);
        }
        close_all(&order);
        if (order.kind == 'N' || order.kind == 'E')
            note_answered(&order);
        if (order.kind == 'P')
            keep_ranges(&order);
        if (order.kind == 'W')
            tell_end(order.number);
        if (order.kind == 'R') {
            reap_all();
            end_unclaimed();
            fnlite_cells_spare();
        } else {
            reap();
        }
    }
    SYS1(NR_exit_group, 0);
    return 0;
}
