/* The shim as a native addon of Node.js, and what it takes to fork an interpreter that is not made for it.
 *
 * Node-API and libuv are part of what every `node` exports, and are declared here so that building needs no headers of
 * theirs. Only functions of Node-API 1 and 2 are used, which Node.js 12 has.
 */
#include "../../shim/shim.h"
#include "../../shim/sys.h"

#if defined(__x86_64__)
enum { NR_waitid = 247, NR_getrandom = 318 };
#else
enum { NR_waitid = 95, NR_getrandom = 278 };
#endif

enum {
    MADV_DOFORK_ = 11, P_ALL_ = 0, WEXITED_ = 4, WNOWAIT_ = 0x1000000,
    LINE_MAX = 256, TEXT_MAX = 4096, ARGUMENTS_MAX = 8,
};

typedef struct env *Env;
typedef struct value *Value;
typedef struct info *Info;
typedef Value (*Function)(Env env, Info info);
struct uv_loop;

extern int napi_get_cb_info(Env env, Info info, ulong *count, Value *arguments, Value *self, void **data);
extern int napi_create_function(Env env, const char *name, ulong length, Function call, void *data, Value *result);
extern int napi_set_named_property(Env env, Value object, const char *name, Value value);
extern int napi_create_int64(Env env, long long value, Value *result);
extern int napi_get_value_int32(Env env, Value value, int *result);
extern int napi_create_string_utf8(Env env, const char *text, ulong length, Value *result);
extern int napi_get_value_string_utf8(Env env, Value value, char *room, ulong size, ulong *length);
extern int napi_create_array_with_length(Env env, ulong length, Value *result);
extern int napi_set_element(Env env, Value array, u32 index, Value value);
extern int napi_create_buffer(Env env, ulong length, void **data, Value *result);
extern int napi_get_buffer_info(Env env, Value buffer, void **data, ulong *length);
extern int napi_is_buffer(Env env, Value value, char *result);
extern int napi_get_uv_event_loop(Env env, struct uv_loop **loop);
extern int uv_loop_fork(struct uv_loop *loop);
extern void uv_update_time(struct uv_loop *loop);
/* libc's, so that the handlers of libuv, OpenSSL and the allocator run. */
extern int fork(void);

/* ------------------------------------------------------------------------------------------------------------- values */

static struct uv_loop *loop_of(Env env)
{
    struct uv_loop *loop = 0;
    napi_get_uv_event_loop(env, &loop);
    return loop;
}

static Value number(Env env, long value)
{
    Value result = 0;
    napi_create_int64(env, value, &result);
    return result;
}

/* The arguments of a call; those that were not given are undefined, which is no number and no buffer. */
static void take(Env env, Info info, Value arguments[ARGUMENTS_MAX])
{
    ulong count = ARGUMENTS_MAX;
    napi_get_cb_info(env, info, &count, arguments, 0, 0);
}

static int int_of(Env env, Value value)
{
    int result = 0;
    napi_get_value_int32(env, value, &result);
    return result;
}

/* What a buffer holds. Its memory does not move, and its owner keeps it. */
static char *bytes_of(Env env, Value value, ulong *length)
{
    void *bytes = 0;
    char is_buffer = 0;
    *length = 0;
    if (!napi_is_buffer(env, value, &is_buffer) && is_buffer)
        napi_get_buffer_info(env, value, &bytes, length);
    return bytes;
}

/* Texts are buffers that end with a zero byte. */
static struct isolation isolation_of(Env env, Value arguments[ARGUMENTS_MAX])
{
    ulong length;
    return (struct isolation){
        .cell = int_of(env, arguments[0]),
        .fresh_proc = int_of(env, arguments[1]),
        .groups = int_of(env, arguments[2]),
        .landlock_abi = int_of(env, arguments[3]),
        .tmp_options = bytes_of(env, arguments[4], &length),
        .landlock_rules = bytes_of(env, arguments[5], &length),
        .tmp = bytes_of(env, arguments[6], &length),
    };
}

/* ----------------------------------------------------------------------------------------------- forking an interpreter */

static ulong hex(const char **at)
{
    ulong value = 0;
    for (;; ++*at) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (ulong)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (ulong)(c - 'a' + 10);
        else
            return value;
    }
}

/* Whether it is "VmFlags: ..." with the flag `dc`, by which a mapping is left out of forks. */
static int says_dont_fork(const char *line)
{
    const char *name = "VmFlags:";
    while (*name)
        if (*line++ != *name++)
            return 0;
    for (; *line; line++)
        if (line[0] == ' ' && line[1] == 'd' && line[2] == 'c' && (line[3] == ' ' || !line[3]))
            return 1;
    return 0;
}

/* Notes the mapping that a line "start-end perms ..." begins, and has the one that `VmFlags:` belongs to take part in
 * forks. A line such as "AnonHugePages:" begins with a hexadecimal digit, too, but no '-' follows. */
static void look_at(const char *line, ulong mapping[2])
{
    const char *at = line;
    ulong start = hex(&at);
    if (at != line && *at == '-') {
        at++;
        mapping[0] = start;
        mapping[1] = hex(&at);
    } else if (says_dont_fork(line)) {
        SYS3(NR_madvise, mapping[0], mapping[1] - mapping[0], MADV_DOFORK_);
    }
}

/* V8 keeps its heap out of forks, whose children would find nothing there. Negative where there is no /proc to look for it
 * in. */
static long let_heap_fork(void)
{
    char block[TEXT_MAX], line[LINE_MAX];
    ulong length = 0, mapping[2] = { 0, 0 };
    long got, fd = SYS4(NR_openat, AT_FDCWD_, "/proc/self/smaps", O_RDONLY_ | O_CLOEXEC_, 0);
    if (fd < 0)
        return fd;
    while ((got = SYS3(NR_read, fd, block, sizeof block)) > 0)
        for (long i = 0; i < got; i++) {
            if (block[i] != '\n') {
                /* What is cut is a path, which nobody reads. */
                if (length < LINE_MAX - 1)
                    line[length++] = block[i];
                continue;
            }
            line[length] = 0;
            length = 0;
            look_at(line, mapping);
        }
    SYS1(NR_close, fd);
    return got;
}

/* Where the child finds its event loop: a hook is told nothing. */
static struct uv_loop *forked_loop;

/* Only what the loop shares with its parent must be made anew; libuv's threads are started again when they are needed. */
static void after_fork(void)
{
    if (uv_loop_fork(forked_loop))
        SYS1(NR_exit_group, 71);
}

/* serve(isolation...) -> number: forks for ever; returns in each Instance, its number or what the walls failed with. */
static Value serve(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    struct fork_hooks hooks = { 0, 0, after_fork };
    take(env, info, arguments);
    struct isolation how = isolation_of(env, arguments);
    forked_loop = loop_of(env);
    if (let_heap_fork() < 0)
        return number(env, -1);
    fnlite_gather();
    return number(env, fnlite_serve(INIT_FD, &how, &hooks));
}

/* tryFork() -> the child's process id, 0 in the child, which must leave by exit(), negative if there is none. */
static Value try_fork(Env env, Info info)
{
    (void)info;
    if (let_heap_fork() < 0)
        return number(env, -1);
    forked_loop = loop_of(env);
    int pid = fork();
    if (pid == 0) {
        SYS2(NR_prctl, PR_SET_PDEATHSIG_, SIGKILL_);
        after_fork();
    }
    return number(env, pid);
}

/* outcomeOf(pid, ms) -> its wait status; it is killed where that takes longer. */
static Value outcome_of(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    take(env, info, arguments);
    int pid = int_of(env, arguments[0]), status = -1;
    for (int left_ms = int_of(env, arguments[1]); left_ms > 0; left_ms--) {
        if (SYS4(NR_wait4, pid, &status, WNOHANG_, 0) == pid)
            return number(env, status);
        pause_ms(1);
    }
    SYS2(NR_kill, pid, SIGKILL_);
    SYS4(NR_wait4, pid, &status, 0, 0);
    return number(env, status);
}

/* hasChildren() -> whether this process has any. */
static Value has_children(Env env, Info info)
{
    (void)info;
    long result = SYS5(NR_waitid, P_ALL_, 0, 0, WEXITED_ | WNOHANG_ | WNOWAIT_, 0);
    return number(env, result != -ECHILD_);
}

/* mute(): what this process prints goes nowhere from here on. */
static Value mute(Env env, Info info)
{
    (void)env, (void)info;
    long null = SYS4(NR_openat, AT_FDCWD_, "/dev/null", O_WRONLY_ | O_CLOEXEC_, 0);
    SYS3(NR_dup3, null, 1, 0);
    SYS3(NR_dup3, null, 2, 0);
    SYS1(NR_close, null);
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------ the walls */

/* setup(forks): once, before the user's code. */
static Value setup(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    take(env, info, arguments);
    fnlite_setup(int_of(env, arguments[0]));
    return 0;
}

/* restrict(isolation...) -> number: Landlock alone, for a zygote that mounts nothing. */
static Value restrict_files(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    take(env, info, arguments);
    struct isolation how = isolation_of(env, arguments);
    return number(env, fnlite_restrict(&how));
}

/* isolate(isolation...) -> number: walls this very process in. */
static Value isolate(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    take(env, info, arguments);
    struct isolation how = isolation_of(env, arguments);
    return number(env, fnlite_isolate(&how, 0, EVENT_FD, 1, 2, 0, (int)SYS0(NR_getpid)));
}

/* ------------------------------------------------------------------------------------------------------------- one event */

/* A text where it is short, else a buffer; ends the process where there is none to come. */
static Value receive_text(Env env, ulong length)
{
    char text[TEXT_MAX];
    void *bytes = text;
    Value result = 0;
    if (length > sizeof text && napi_create_buffer(env, length, &bytes, &result))
        SYS1(NR_exit_group, 72);
    if (fnlite_receive(bytes, length))
        SYS1(NR_exit_group, 0);
    if (!result)
        napi_create_string_utf8(env, text, length, &result);
    return result;
}

/* isAwaited() -> number: whether an event is there already. */
static Value is_awaited(Env env, Info info)
{
    (void)info;
    return number(env, fnlite_is_awaited());
}

/* receive() -> [request id, event]; ends the process where there is none to come. The time it waited has not passed for
 * the loop, whose timers would all be due at once. */
static Value receive(Env env, Info info)
{
    unsigned lengths[2];
    Value both = 0;
    (void)info;
    if (fnlite_receive_lengths(lengths))
        SYS1(NR_exit_group, 0);
    napi_create_array_with_length(env, 2, &both);
    napi_set_element(env, both, 0, receive_text(env, lengths[0]));
    napi_set_element(env, both, 1, receive_text(env, lengths[1]));
    uv_update_time(loop_of(env));
    return both;
}

/* notice(byte): tells the server something ahead of the answer. */
static Value notice(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    take(env, info, arguments);
    return number(env, fnlite_notice((char)int_of(env, arguments[0])));
}

/* answer(kind, payload): sends the answer. A payload that is not a buffer is a text short enough for the room here. */
static Value answer(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    char text[TEXT_MAX];
    ulong length;
    take(env, info, arguments);
    char *bytes = bytes_of(env, arguments[1], &length);
    if (!bytes && !length) {
        bytes = text;
        napi_get_value_string_utf8(env, arguments[1], text, sizeof text, &length);
    }
    return number(env, fnlite_answer((char)int_of(env, arguments[0]), bytes, length));
}

/* clean(): between two events, where there may be a second. */
static Value clean(Env env, Info info)
{
    (void)info;
    fnlite_clean();
    return number(env, 0);
}

/* write(fd, buffer) -> 0 once all of it is written, or -errno. A pipe that a child process of the user's has made
 * non-blocking is waited for. */
static Value write_all(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    ulong length;
    take(env, info, arguments);
    int fd = int_of(env, arguments[0]);
    const char *at = bytes_of(env, arguments[1], &length);
    while (length > 0) {
        long wrote = SYS3(NR_write, fd, at, length);
        if (wrote == -EAGAIN_) {
            struct pollfd_ room = { fd, 4 /* POLLOUT */, 0 };
            SYS5(NR_ppoll, &room, 1, 0, 0, 8);
        } else if (wrote < 0 && wrote != -EINTR_) {
            return number(env, wrote);
        } else if (wrote > 0) {
            at += wrote;
            length -= (ulong)wrote;
        }
    }
    return number(env, 0);
}

/* exit(code): at once. The interpreter's own way out waits for threads, of which a fork has none. */
static Value leave(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    take(env, info, arguments);
    SYS1(NR_exit_group, int_of(env, arguments[0]));
    return 0;
}

/* fill(buffer): with random bytes of the kernel's. */
static Value fill(Env env, Info info)
{
    Value arguments[ARGUMENTS_MAX];
    ulong length;
    take(env, info, arguments);
    char *bytes = bytes_of(env, arguments[0], &length);
    while (length > 0) {
        long got = SYS3(NR_getrandom, bytes, length, 0);
        if (got > 0) {
            bytes += got;
            length -= (ulong)got;
        } else if (got != -EINTR_) {
            SYS1(NR_exit_group, 73);
        }
    }
    return 0;
}

/* pid() -> this process's id, which the interpreter remembers from before the fork. */
static Value pid(Env env, Info info)
{
    (void)info;
    return number(env, SYS0(NR_getpid));
}

static const struct {
    const char *name;
    Function call;
} functions[] = {
    { "setup", setup }, { "restrict", restrict_files }, { "isolate", isolate }, { "serve", serve },
    { "tryFork", try_fork }, { "outcomeOf", outcome_of }, { "hasChildren", has_children }, { "mute", mute },
    { "isAwaited", is_awaited }, { "receive", receive }, { "notice", notice }, { "answer", answer }, { "clean", clean }, { "write", write_all }, { "exit", leave },
    { "fill", fill }, { "pid", pid },
};

__attribute__((visibility("default"))) Value napi_register_module_v1(Env env, Value exports)
{
    for (ulong i = 0; i < sizeof functions / sizeof *functions; i++) {
        Value function = 0;
        napi_create_function(env, functions[i].name, ~0ul, functions[i].call, 0, &function);
        napi_set_named_property(env, exports, functions[i].name, function);
    }
    return exports;
}
