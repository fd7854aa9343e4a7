/* SPDX-License-Identifier: MIT */
/* What the ops of one scenario act on. */
#ifndef STAGE_H
#define STAGE_H
#include "reader.h"

#include <skua.h>
#include <stdatomic.h>

enum { HOMES = 3, FUTURES_FROM = 100 };

struct player {
    struct scenario *s;
    _Atomic(skua_task *) task[TASKS_MAX];
    atomic_bool claimed[TASKS_MAX]; /* somebody starts it, or has */
    skua_group *home[HOMES];        /* where task k runs: the k % HOMES-th; NULL: free */
    skua_lock lock[THINGS_MAX], cond_lock[THINGS_MAX];
    skua_cond cond[THINGS_MAX];
    atomic_bool ready[THINGS_MAX]; /* what cwaitf waits for */
    skua_event event[THINGS_MAX];
    skua_semaphore sem[THINGS_MAX];
    skua_barrier barrier[THINGS_MAX];
    skua_queue queue[THINGS_MAX];
    skua_future *future[THINGS_MAX];
};

/* In the main task: everything as the scenario wants it, no task but its first. */
void set_up(struct player *p, struct scenario *s);
/* Groups on other workers. */
void make_homes(struct player *p);
/* Waits for all tasks: they end by themselves. */
void settle(struct player *p);
void tear_down(struct player *p);
/* Task or future by the number that lists have; NULL: it has not been started. */
skua_task *thing(struct player *p, int i);
/* Its place among all of them. */
int place(int i);
#endif
