/* The zygote of programs that load themselves: it has nothing loaded, and each Instance it forks becomes, walled in, the
 * user's program. A static program without libc, so that a parked Instance is the user's program and nothing else.
 *
 *   starter MODE WALLS... PROGRAM      WALLS as in read_isolation
 *
 * MODE is `h` where the program speaks HTTP with the platform (contract 10.2): the socket it will connect to is opened here, in
 * the network it lives in, and handed to the server. It is `g` for Go: see courier.c.
 */
#include "starter.h"

enum { ENV_MAX = 512, TEXT_ROOM = 4200 };

/* zygote.c's, which knows no other one here. */
int fork(void)
{
    return (int)SYS5(NR_clone, SIGCHLD_, 0, 0, 0, 0);
}

static ulong length_of(const char *text)
{
    ulong length = 0;
    while (text[length])
        length++;
    return length;
}

char *append(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    *at = 0;
    return at;
}

char *append_number(char *at, ulong value)
{
    char digits[24];
    return append(at, fnlite_decimal(value, digits + sizeof digits));
}

static int number_of(const char *digits)
{
    int number = 0;
    while (*digits)
        number = number * 10 + (*digits++ - '0');
    return number;
}

static int is_set(const char *word)
{
    return word[0] == '1';
}

/* The seven words after MODE. */
static struct isolation read_isolation(char **words)
{
    return (struct isolation){
        .cell = is_set(words[0]),
        .fresh_proc = is_set(words[1]),
        .groups = number_of(words[2]),
        .landlock_abi = number_of(words[3]),
        .tmp_options = words[4],
        .landlock_rules = words[5],
        .tmp = words[6],
    };
}

/* `env` has room for ENV_MAX. Adds a variable of the form NAME=VALUE, in place of one with that name. `text` must last. */
void set_variable(char **env, char *text)
{
    ulong name = 0;
    while (text[name] != '=')
        name++;
    int at = 0;
    for (; env[at]; at++) {
        ulong same = 0;
        while (same <= name && env[at][same] == text[same])
            same++;
        if (same > name)
            break;
    }
    if (at < ENV_MAX - 1) {
        if (!env[at])
            env[at + 1] = 0;
        env[at] = text;
    }
}

static const char *meaning(long error)
{
    switch (error) {
    case ENOENT_: return "there is no such file, or its first line names a program that is not there";
    case EACCES_: return "it may not be executed: it needs its executable bit (chmod +x)";
    case ENOEXEC_: return "it is no program of this machine, and no script that begins with #!";
    case ENOMEM_: return "there is not enough memory";
    case ETXTBSY_: return "it is being written";
    default: return "the system refused it";
    }
}

/* The program could not be started: the Instance answers for it and ends. */
void tell_not_started(const char *program, long error)
{
    char text[TEXT_ROOM], *at = text;
    const char *name = program;
    for (const char *slash = program; *slash; slash++)
        if (*slash == '/')
            name = slash + 1;
    at = append(at, name);
    at = append(at, " cannot be started: ");
    at = append(at, meaning(-error));
    fnlite_answer('H', text, (ulong)(at - text));
    SYS1(NR_exit_group, 127);
}

/* Opens the socket that the program will connect to, hands it over, and names it in the environment. */
static void open_door(char **env)
{
    static char host[] = "SCF_RUNTIME_API=127.0.0.1", port[40];
    struct { unsigned short family, port; u32 address; char rest[8]; } name = { AF_INET_, 0, 0x0100007f, { 0 } };
    u32 length = sizeof name;
    long door = SYS3(NR_socket, AF_INET_, SOCK_STREAM_ | SOCK_CLOEXEC_ | SOCK_NONBLOCK_, 0);
    if (door < 0 || SYS3(NR_bind, door, &name, sizeof name) < 0 || SYS2(NR_listen, door, 64) < 0
        || SYS3(NR_getsockname, door, &name, &length) < 0)
        SYS1(NR_exit_group, 71);
    ulong number = (ulong)((name.port & 0xff) << 8 | name.port >> 8);
    append_number(append(port, "SCF_RUNTIME_API_PORT="), number);
    set_variable(env, host);
    set_variable(env, port);
    int fd = (int)door;
    if (fnlite_hand_over('S', &fd, 1) < 0)
        SYS1(NR_exit_group, 71);
    SYS1(NR_close, door);
}

static void fail(long result)
{
    char text[80];
    char *at = append(text, "isolation step ");
    at = append_number(at, (ulong)(-result / 1000));
    at = append(at, ": error ");
    at = append_number(at, (ulong)(-result % 1000));
    at = append(at, "\n");
    SYS3(NR_write, 2, text, at - text);
    SYS1(NR_exit_group, 70);
}

/* In the Instance: becomes the program. */
static void become(char mode, ulong number, const char *tmp, char *program, char **env)
{
    static char folder[TEXT_ROOM];
    if (*tmp && length_of(tmp) < TEXT_ROOM - 40) {
        append_number(append(append(append(folder, "TMPDIR="), tmp), "/"), number);
        set_variable(env, folder);
    }
    char *args[] = { program, 0 };
    if (mode == 'h')
        open_door(env);
    if (mode == 'g')
        become_courier(program, args, env, *tmp ? folder + 7 : "/tmp");
    fnlite_parked(); /* as far as can be known */
    tell_not_started(program, SYS3(NR_execve, program, args, env));
}

__attribute__((used)) void run(ulong *stack)
{
    static const char ready[] = "{\"kind\":\"Z\",\"text\":\"\"}";
    static char *env[ENV_MAX];
    ulong count = stack[0];
    char **args = (char **)(stack + 1), **given = args + count + 1;
    if (count < 10)
        SYS1(NR_exit_group, 64);
    for (int i = 0; given[i] && i < ENV_MAX - 1; i++)
        env[i] = given[i];
    struct isolation how = read_isolation(args + 2);
    const struct fork_hooks hooks = { 0, 0, 0 };
    fnlite_setup(1);
    /* The zygote itself prints nothing, and must not keep what it was given to print to. */
    long null = SYS4(NR_openat, AT_FDCWD_, "/dev/null", O_RDWR_ | O_CLOEXEC_, 0);
    SYS3(NR_dup3, null, 1, 0);
    SYS3(NR_dup3, null, 2, 0);
    SYS3(NR_write, EVENT_FD, ready, sizeof ready - 1);
    long number = fnlite_serve(INIT_FD, &how, &hooks);
    if (number < 0)
        fail(number);
    become(args[1][0], (ulong)number, how.tmp, args[9], env);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call run\n hlt\n");
#else
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x30,#0\n mov x0,sp\n bl run\n");
#endif
