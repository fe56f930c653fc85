/* Cells: each is a pid namespace with its init, an IPC namespace, and mounts with a /tmp, a /dev/shm and a /proc of their own. An
 * Instance is forked into one and has it to itself.
 *
 * To make one and to have the kernel tear it down takes longer than to fork a small interpreter. So a cell that an Instance left as it
 * found it is used again; whether it did, the cell's init finds out (see init.c), which nothing in the cell can reach. Of an Instance
 * that left anything, the cell ends with it.
 */
#include "cell.h"
#include "sys.h"

/* Cells that may be used again. Each takes two descriptors of the zygote; those beyond are used once. */
enum { CELLS_MAX = 64 };

/* How many of them a zygote keeps that has nothing to do. */
enum { SPARE_MAX = 4 };

/* Since this version of Landlock (Linux 6.12) nobody in a cell can connect to an abstract socket outside. */
enum { LANDLOCK_SCOPES = 6 };

enum { NONE, FREE, TAKEN, CHECKED };

static struct cell cells[CELLS_MAX];

/* The last that was made and is in no table. */
static struct cell single_use;

/* clone(CLONE_VM | CLONE_VFORK) whose child does nothing but execveat, on a stack of its own: sharing the parent's would
 * let the child overwrite its return address. */
static long spawn_init(int program, char **args, char **env)
{
    static char stack[4096] __attribute__((aligned(16)));
    const ulong flags = CLONE_VM_ | CLONE_VFORK_ | SIGCHLD_;
#if defined(__x86_64__)
    long result;
    register ulong r10 __asm__("r10") = 0;
    register ulong r8 __asm__("r8") = 0;
    register ulong r12 __asm__("r12") = (ulong)program;
    register ulong r13 __asm__("r13") = (ulong)args;
    register ulong r14 __asm__("r14") = (ulong)env;
    register ulong r15 __asm__("r15") = (ulong)"";
    __asm__ volatile(
        "syscall\n test %%rax,%%rax\n jnz 1f\n"
        "mov %[execveat],%%eax\n mov %%r12,%%rdi\n mov %%r15,%%rsi\n mov %%r13,%%rdx\n mov %%r14,%%r10\n"
        "mov $0x1000,%%r8d\n syscall\n mov $127,%%edi\n mov %[exit],%%eax\n syscall\n hlt\n 1:\n"
        : "=a"(result)
        : "a"(NR_clone), "D"(flags), "S"(stack + sizeof stack), "d"(0), "r"(r10), "r"(r8), "r"(r12), "r"(r13), "r"(r14),
          "r"(r15), [execveat] "i"(NR_execveat), [exit] "i"(NR_exit_group)
        : "rcx", "r11", "memory", "cc");
    return result;
#else
    register ulong x8 __asm__("x8") = NR_clone;
    register ulong x0 __asm__("x0") = flags;
    register ulong x1 __asm__("x1") = (ulong)(stack + sizeof stack);
    register ulong x2 __asm__("x2") = 0;
    register ulong x3 __asm__("x3") = 0;
    register ulong x4 __asm__("x4") = 0;
    register ulong x9 __asm__("x9") = (ulong)program;
    register ulong x10 __asm__("x10") = (ulong)"";
    register ulong x11 __asm__("x11") = (ulong)args;
    register ulong x12 __asm__("x12") = (ulong)env;
    __asm__ volatile(
        "svc 0\n cbnz x0,1f\n mov x0,x9\n mov x1,x10\n mov x2,x11\n mov x3,x12\n mov x4,#0x1000\n mov x8,%[execveat]\n"
        "svc 0\n mov x0,#127\n mov x8,%[exit]\n svc 0\n 1:\n"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x9), "r"(x10), "r"(x11), "r"(x12),
          [execveat] "i"(NR_execveat), [exit] "i"(NR_exit_group)
        : "memory", "cc");
    return (long)x0;
#endif
}

/* In a pid namespace of its own; what is forked next would be, too, until fnlite_cell_leave. */
static int start_init(int init_program, char **args)
{
    static char *env[] = { 0 };
    long result = SYS1(NR_unshare, CLONE_NEWPID_);
    return (int)(result < 0 ? result : spawn_init(init_program, args, env));
}

/* The next byte of its init; 0 once that is gone, and a blank where it has said nothing and is not waited for. */
static unsigned char hear(const struct cell *cell, int flags)
{
    unsigned char byte = 0;
    long length;
    do
        length = SYS6(NR_recvfrom, cell->line, &byte, 1, flags, 0, 0);
    while (length == -EINTR_);
    return length == -EAGAIN_ ? ' ' : length == 1 ? byte : 0;
}

static void close_ends(struct cell *cell)
{
    SYS1(NR_close, cell->handle);
    SYS1(NR_close, cell->line);
    cell->state = NONE;
}

void fnlite_cell_end(struct cell *cell)
{
    if (cell->state == NONE)
        return; /* its init was gone already */
    SYS4(NR_pidfd_send_signal, cell->handle, SIGKILL_, 0, 0);
    close_ends(cell);
}

/* Waits until its init has built it: whether it may be used again, or -errno. Where nothing keeps those in it from passing descriptors of
 * its folders to others, which shows nowhere, it may not. */
static int await(const struct cell *cell, int landlock_abi)
{
    unsigned char said = hear(cell, 0);
    if (said == CELL_FAILED)
        return -hear(cell, 0);
    if (said == CELL_LASTS || said == CELL_ONCE)
        return said == CELL_LASTS && landlock_abi >= LANDLOCK_SCOPES;
    return -EIO_;
}

/* Whether what was made may be used again, or -errno. */
static int make(struct cell *cell, int init_program, int own, const struct isolation *how)
{
    int line[2];
    char line_text[12];
    long result = SYS4(NR_socketpair, AF_UNIX_, SOCK_STREAM_ | SOCK_CLOEXEC_, 0, line);
    if (result < 0)
        return (int)result;
    char *args[] = { "init", "c", fnlite_decimal((ulong)line[1], line_text + sizeof line_text), how->fresh_proc ? "1" : "0",
                     (char *)how->tmp_options, 0 };
    SYS3(NR_fcntl, line[1], 2 /* F_SETFD */, 0);
    int init = start_init(init_program, args);
    fnlite_cell_leave(own);
    SYS1(NR_close, line[1]);
    if (init < 0) {
        SYS1(NR_close, line[0]);
        return init;
    }
    *cell = (struct cell){ TAKEN, init, (int)SYS2(NR_pidfd_open, init, 0), line[0] };
    result = cell->handle < 0 ? cell->handle : await(cell, how->landlock_abi);
    if (result < 0) {
        SYS2(NR_kill, init, SIGKILL_);
        close_ends(cell);
    }
    return (int)result;
}

static struct cell *find(int state)
{
    for (int i = 0; i < CELLS_MAX; i++)
        if (cells[i].state == state)
            return &cells[i];
    return 0;
}

/* Hears of those that are checked. */
static void collect(void)
{
    for (int i = 0; i < CELLS_MAX; i++) {
        unsigned char said = cells[i].state == CHECKED ? hear(&cells[i], MSG_DONTWAIT_) : ' ';
        if (said == CELL_CLEAN)
            cells[i].state = FREE;
        else if (said != ' ')
            fnlite_cell_end(&cells[i]);
    }
}

static struct cell *find_free(void)
{
    struct cell *cell = find(FREE);
    if (!cell) {
        collect();
        cell = find(FREE);
    }
    return cell;
}

int fnlite_cell_enter(struct cell **cell, int init_program, int own, const struct isolation *how)
{
    struct cell *free;
    while ((free = find_free())) {
        *cell = free;
        free->state = TAKEN;
        if (SYS2(NR_setns, free->handle, CLONE_NEWPID_) >= 0)
            return 0;
        fnlite_cell_end(free); /* its init was killed, as happens where memory is short */
    }
    int result = make(&single_use, init_program, own, how);
    if (result < 0)
        return result;
    *cell = &single_use;
    struct cell *place = find(NONE);
    if (result && place) {
        *place = single_use;
        single_use.state = NONE;
        *cell = place;
    }
    result = (int)SYS2(NR_setns, (*cell)->handle, CLONE_NEWPID_);
    if (result < 0)
        fnlite_cell_end(*cell);
    return result;
}

void fnlite_cell_leave(int own)
{
    SYS2(NR_setns, own, CLONE_NEWPID_);
}

int fnlite_cell_is_kept(struct cell *cell)
{
    if (cell == &single_use)
        close_ends(cell);
    return cell != &single_use;
}

void fnlite_cell_give_back(struct cell *cell)
{
    const char check = CELL_CHECK;
    cell->state = CHECKED;
    SYS4(NR_sendto, cell->line, &check, 1, MSG_NOSIGNAL_);
}

void fnlite_cell_is_gone(int init)
{
    for (int i = 0; i < CELLS_MAX; i++)
        if (cells[i].state != NONE && cells[i].init == init)
            close_ends(&cells[i]);
}

void fnlite_cells_spare(void)
{
    collect();
    int spare = 0;
    for (int i = 0; i < CELLS_MAX; i++)
        if (cells[i].state == FREE && spare++ >= SPARE_MAX)
            fnlite_cell_end(&cells[i]);
}

void fnlite_cells_close(const struct cell *but)
{
    for (int i = 0; i < CELLS_MAX; i++)
        if (cells[i].state != NONE && &cells[i] != but)
            close_ends(&cells[i]);
    if (single_use.state != NONE && &single_use != but)
        close_ends(&single_use);
}
