/* SPDX-License-Identifier: MIT */
#ifndef STDERR_H
#define STDERR_H
/* Scenarios that read their own stderr, to go on as soon as a report has come. */
#include <stdbool.h>

/* From now on stderr is a pipe. */
void t_stderr_catch(void);

/* Any thread. Reads what has come. Was the text in it, now or earlier? */
bool t_stderr_has(const char *text);

/* What was read goes to the former stderr, which it is again. */
void t_stderr_give_back(void);

#endif
