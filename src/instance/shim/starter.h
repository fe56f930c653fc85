/* What the parts of the starter share. */
#ifndef FNLITE_STARTER_H
#define FNLITE_STARTER_H

#include "shim.h"
#include "sys.h"

/* starter.c: zygote.c wants one, and so does the courier. */
int fork(void);

/* starter.c: texts of its own making; each gives the end of what it wrote. */
char *append(char *at, const char *text);
char *append_number(char *at, ulong value);

/* starter.c: sets NAME=VALUE; the text must last. */
void set_variable(char **env, char *text);

/* starter.c: answers that the program cannot be started, and why, and ends. */
void tell_not_started(const char *program, long error);

/* courier.c: starts the program, hands its connection over, and ends as it ends; never returns. `tmp` is a folder of the
 * Instance's own. */
void become_courier(char *program, char **args, char **env, const char *tmp);

#endif
