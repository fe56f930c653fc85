/* The Instance's side of one event: frames on the event socket (see instance/protocol.rs). */
#include "shim.h"
#include "sys.h"

enum { RUSAGE_SELF_ = 0 };

/* Whether an event is there already, so that somebody waits for whatever is done before it is taken. */
int fnlite_is_awaited(void)
{
    return await_input(EVENT_FD, 0) > 0;
}

/* What was read and not taken yet. Nothing of a next event can be in it: that comes only behind the answer to this one. */
static char ahead[1024];
static ulong ahead_from, ahead_to;

static long read_event(void *into, ulong length)
{
    long got;
    do
        got = SYS3(NR_read, EVENT_FD, into, length);
    while (got == -EINTR_);
    return got;
}

/* Reads exactly that much; -1 at the end or on an error. Little is read as far as there is anything, so that a small event is one
 * call. */
int fnlite_receive(void *into, unsigned long length)
{
    char *at = into;
    while (length > 0) {
        if (ahead_from == ahead_to && length < sizeof ahead) {
            long got = read_event(ahead, sizeof ahead);
            if (got <= 0)
                return -1;
            ahead_from = 0;
            ahead_to = (ulong)got;
        }
        ulong part = ahead_to - ahead_from < length ? ahead_to - ahead_from : length;
        for (ulong i = 0; i < part; i++)
            at[i] = ahead[ahead_from + i];
        ahead_from += part;
        if (part == 0) {
            long got = read_event(at, length);
            if (got <= 0)
                return -1;
            part = (ulong)got;
        }
        at += part;
        length -= part;
    }
    return 0;
}

/* The lengths of request id and event, which follow. */
int fnlite_receive_lengths(unsigned lengths[2])
{
    fnlite_parked();
    if (ahead_from == ahead_to)
        await_input(EVENT_FD, -1);
    return fnlite_receive(lengths, 8);
}

static int send_all(const void *from, ulong length)
{
    const char *at = from;
    while (length > 0) {
        long sent = SYS3(NR_write, EVENT_FD, at, length);
        if (sent == -EINTR_)
            continue;
        if (sent < 0)
            return -1;
        at += sent;
        length -= (ulong)sent;
    }
    return 0;
}

/* One byte ahead of the answer. */
int fnlite_notice(char notice)
{
    return send_all(&notice, 1);
}

/* The most memory that this process ever had, KiB; 0 if it cannot be known. */
static ulong peak_kb(void)
{
    struct { long times[4], resident_kb, others[13]; } usage;
    return SYS2(NR_getrusage, RUSAGE_SELF_, &usage) == 0 ? (ulong)usage.resident_kb : 0;
}

static void put(char *at, ulong number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(number >> (8 * i));
}

/* The answer frame: kind, length, memory, payload; a small one in one write, so that its reader wakes once. */
int fnlite_answer(char kind, const void *payload, unsigned long length)
{
    char head[9] = { kind }, whole[4096];
    put(head + 1, length);
    put(head + 5, peak_kb());
    if (length > sizeof whole - sizeof head)
        return send_all(head, sizeof head) || send_all(payload, length) ? -1 : 0;
    for (ulong i = 0; i < sizeof head; i++)
        whole[i] = head[i];
    for (ulong i = 0; i < length; i++)
        whole[sizeof head + i] = ((const char *)payload)[i];
    return send_all(whole, sizeof head + length);
}
