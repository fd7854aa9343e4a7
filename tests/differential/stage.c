/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <math.h>

static int by_number(const void *a, const void *b)
{
    return (int)((intptr_t)a - (intptr_t)b);
}

void set_up(struct player *p, struct scenario *s)
{
    *p = (struct player){.s = s};
    for (int i = 0; i < THINGS_MAX; i++)
        p->cond[i] = (skua_cond)SKUA_COND_INIT(&p->cond_lock[i]);
    for (int i = 0; i < s->sems; i++)
        p->sem[i] = (skua_semaphore)SKUA_SEMAPHORE_INIT(s->sem[i]);
    for (int i = 0; i < s->barriers; i++)
        p->barrier[i] = (skua_barrier)SKUA_BARRIER_INIT(s->parties[i]);
    for (int i = 0; i < s->queues; i++) {
        int size = s->queue[i].size;
        const skua_queue kind[] = {SKUA_QUEUE_INIT(size), SKUA_LIFO_QUEUE_INIT(size),
                                   SKUA_PRIORITY_QUEUE_INIT(size, by_number)};
        p->queue[i] = kind[s->queue[i].kind];
    }
    for (int i = 0; i < s->futures; i++)
        p->future[i] = skua_future_new();
}

void settle(struct player *p)
{
    for (;;) {
        skua_task *left[TASKS_MAX];
        size_t n = 0;
        for (int k = 1; k < TASKS_MAX; k++)
            if (p->task[k] && !skua_done(p->task[k]))
                left[n++] = p->task[k];
        if (n == 0)
            return;
        SKUA_IGNORE(skua_wait(left, n, INFINITY, SKUA_ALL_COMPLETED, NULL));
    }
}

void tear_down(struct player *p)
{
    for (int k = 0; k < TASKS_MAX; k++)
        skua_release(p->task[k]);
    for (int i = 0; i < THINGS_MAX; i++) {
        skua_release(p->future[i]);
        skua_queue_fini(&p->queue[i]);
    }
}
