/* How many Instances get ready at once: no more than there are processors. More would get ready no sooner, and not in the order in which
 * they were forked, so that who waits for the first of them waits longest.
 *
 * An Instance says that it is ready by its number on a pipe, which it then closes, before it takes an event. */
#include "shim.h"
#include "sys.h"

enum { PROCESSORS_MAX = 64 };

/* How long a fork is held back at most, in steps in which it is looked for those that ended, ms. Code may run in a fork before it is
 * ready, and take its time. */
enum { STEP_MS = 2, STEPS_MAX = 3 };

/* Zygote's end and Instances'. */
static int pipe_ends[2] = { -1, -1 };

/* In an Instance, its own. */
static u64 own_number;

/* Those that are not ready yet, and how many may be. */
static u64 unready[PROCESSORS_MAX];
static int unready_count, unready_max;

static int processor_count(void)
{
    ulong mask[16] = { 0 };
    int count = 0;
    SYS3(NR_sched_getaffinity, 0, sizeof mask, mask);
    for (int i = 0; i < 16; i++)
        for (ulong bits = mask[i]; bits; bits &= bits - 1)
            count++;
    return count;
}

void fnlite_parking_open(void)
{
    int count = processor_count();
    unready_max = count < 2 ? 2 : count > PROCESSORS_MAX ? PROCESSORS_MAX : count;
    SYS2(NR_pipe2, pipe_ends, O_CLOEXEC_ | O_NONBLOCK_);
}

void fnlite_parking_is_over(u64 number)
{
    for (int i = 0; i < unready_count; i++)
        if (unready[i] == number) {
            unready[i] = unready[--unready_count];
            return;
        }
}

static void hear(void)
{
    u64 numbers[PROCESSORS_MAX];
    long length = SYS3(NR_read, pipe_ends[0], numbers, sizeof numbers);
    for (long i = 0; i < length / (long)sizeof *numbers; i++)
        fnlite_parking_is_over(numbers[i]);
}

void fnlite_parking_wait(int (*reap)(void))
{
    for (int steps = 0; unready_count >= unready_max && steps < STEPS_MAX; steps++)
        if (await_input(pipe_ends[0], STEP_MS) > 0)
            hear();
        else
            reap();
    if (unready_count >= unready_max)
        unready_count = 0;
}

void fnlite_parking_begins(u64 number)
{
    unready[unready_count++] = number;
}

void fnlite_parking_is_mine(u64 number)
{
    own_number = number;
    SYS1(NR_close, pipe_ends[0]);
}

void fnlite_parked(void)
{
    if (!own_number)
        return;
    SYS3(NR_write, pipe_ends[1], &own_number, sizeof own_number);
    SYS1(NR_close, pipe_ends[1]);
    own_number = 0;
}
