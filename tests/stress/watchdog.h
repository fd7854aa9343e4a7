/* SPDX-License-Identifier: MIT */
#ifndef SKUA_STRESS_WATCHDOG_H
#define SKUA_STRESS_WATCHDOG_H
/* A plain thread beside the runtime: progress line, and the end of a run that no longer moves. */
#include "options.h"
#include "stress.h"

#include <stdio.h>

bool watchdog_start(const struct options *o);
void watchdog_stop(void);

/* From now on this run must move; NULL: nothing is watched. */
void watchdog_watch(struct stress_run *run);

/* The line to paste that repeats what the run did last. */
void watchdog_print_repeat(FILE *out, const struct stress_run *run);
#endif
