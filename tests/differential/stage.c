/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <math.h>
#include <string.h>

#include "oracle.h"

static int by_number(const void *a, const void *b)
{
    return item_number(a) - item_number(b);
}

void set_up(struct player *p, struct scenario *s)
{
    memset((void *)p, 0, sizeof *p);
    p->s = s;
    oracle_begin();
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

void make_homes(struct player *p)
{
    for (int i = 1; i < HOMES; i++)
        p->home[i] = skua_group_new();
}

void settle(struct player *p)
{
    for (;;) {
        skua_task *left[TASKS_MAX];
        size_t n = 0;
        bool starting = false;
        for (int k = 1; k < TASKS_MAX; k++) {
            skua_task *t = p->task[k];
            starting |= p->claimed[k] && !t;
            if (t && !skua_done(t))
                left[n++] = t;
        }
        if (n > 0)
            SKUA_IGNORE(skua_wait(left, n, INFINITY, SKUA_ALL_COMPLETED, NULL));
        else if (starting)
            SKUA_IGNORE(skua_yield());
        else
            return;
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
    for (int i = 1; i < HOMES; i++)
        skua_group_release(p->home[i]);
}

skua_task *thing(struct player *p, int i)
{
    return i < FUTURES_FROM ? p->task[i] : p->future[i - FUTURES_FROM];
}

int place(int i)
{
    return i < FUTURES_FROM ? i : TASKS_MAX + i - FUTURES_FROM;
}
