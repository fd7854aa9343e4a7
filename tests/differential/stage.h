/* SPDX-License-Identifier: MIT */
/* What the ops of one scenario act on. */
#ifndef STAGE_H
#define STAGE_H
#include "reader.h"

#include <skua.h>

struct player {
    struct scenario *s;
    skua_task *task[TASKS_MAX];
    skua_lock lock[THINGS_MAX], cond_lock[THINGS_MAX];
    skua_cond cond[THINGS_MAX];
    skua_event event[THINGS_MAX];
    skua_semaphore sem[THINGS_MAX];
    skua_barrier barrier[THINGS_MAX];
    skua_queue queue[THINGS_MAX];
    skua_future *future[THINGS_MAX];
};

/* In the main task: everything as the scenario wants it, no task but its first. */
void set_up(struct player *p, struct scenario *s);
/* Waits for all tasks: they end by themselves. */
void settle(struct player *p);
void tear_down(struct player *p);
#endif
