/* The parts of the shim and what each language's glue calls. */
#ifndef FNLITE_SHIM_H
#define FNLITE_SHIM_H

/* The descriptors a launched process is given: a zygote's control socket or an Instance's event socket, and the init
 * program a zygote starts for each Instance. The same numbers stand in instance/protocol.rs. */
enum { EVENT_FD = 3, INIT_FD = 4 };

/* How an Instance is walled in. */
struct isolation {
    int cell;                /* forked into namespaces of its own (see cell.c); else under a supervisor */
    int fresh_proc;          /* a cell has a /proc of its pid namespace */
    int groups;              /* control groups to enter; each has a descriptor of the order */
    int landlock_abi;        /* 0: none */
    const char *tmp_options; /* of the two tmpfs */
    const char *landlock_rules;
    const char *tmp;         /* the tree's folder for temporary files; empty: /tmp is private */
};

/* What a language runtime wants done around a fork; any may be null. */
struct fork_hooks {
    void (*before)(void);
    void (*in_parent)(void);
    void (*in_child)(void);
};

/* shim.c */
void fnlite_setup(int forks);
int fnlite_become_supervisor(int init_program, int leash, int main_pid);
int fnlite_restrict(const struct isolation *how);
int fnlite_hand_over(char byte, const int *fds, int count);
int fnlite_isolate(const struct isolation *how, unsigned long number, int event, int out, int err, int cell,
                   int top_pid);
char *fnlite_decimal(unsigned long value, char *end);

/* zygote.c: carries out orders for ever; returns in each Instance, walled in, its number or what fnlite_isolate failed
 * with. */
long fnlite_serve(int init_program, const struct isolation *how, const struct fork_hooks *hooks);

/* parking.c, in a zygote: before it forks, waits until few enough get ready; notes the number (never 0) of what it has forked, and of what
 * has ended. */
void fnlite_parking_open(void);
void fnlite_parking_wait(int (*reap)(void));
void fnlite_parking_begins(unsigned long long number);
void fnlite_parking_is_over(unsigned long long number);

/* parking.c, in an Instance: it has that number; it is ready for its event, as it says once. */
void fnlite_parking_is_mine(unsigned long long number);
void fnlite_parked(void);

/* collapse.c: for a zygote that has forked; how many blocks of code are in huge pages now that were not. */
int fnlite_collapse(void);

/* heap.c: for a zygote that will fork, and whose code is loaded. */
void fnlite_gather(void);

/* event.c: the Instance's side of one event. */
int fnlite_is_awaited(void);
int fnlite_receive_lengths(unsigned lengths[2]);
int fnlite_receive(void *into, unsigned long length);
int fnlite_notice(char notice);
int fnlite_answer(char kind, const void *payload, unsigned long length);

/* clean.c */
void fnlite_clean(void);

#endif
