/* The parent of a Go program, in its Instance. */
#include "starter.h"

void become_courier(char *program, char **args, char **env, const char *tmp)
{
    (void)tmp;
    tell_not_started(program, SYS3(NR_execve, program, args, env));
}
