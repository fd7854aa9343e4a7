/* SPDX-License-Identifier: MIT */
/* floor 6: sync. Once. */
#include <errno.h>

#include "sync/waitq.h"

enum state { NEW, RUNNING, OVER };

struct once {
    struct rt_waitq     q;
    RT_ATOMIC(uint32_t) state; /* written under the queue's lock */
};

_Static_assert(sizeof(struct once) <= sizeof(skua_once), "fits the public object");

/* The function has returned: everybody goes on, or the next one tries. */
static void end(struct once *o, int r)
{
    struct rt_fifo woken = { 0 };
    rt_wq_lock(&o->q);
    rt_store_release(&o->state, r == 0 ? OVER : NEW); /* pairs: ONCE -> skua_once_run */
    rt_wq_wake_many(&o->q.list, r == 0 ? SIZE_MAX : 1, &woken);
    rt_wq_unlock(&o->q, &woken);
}

/* The turn of one that was woken and will not try goes to the next. */
static void pass_turn(struct once *o)
{
    struct rt_fifo woken = { 0 };
    rt_wq_lock(&o->q);
    if (rt_load_relaxed(&o->state) == NEW) /* relaxed: under the lock */
        (void)rt_wq_wake_first(&o->q.list, &woken);
    rt_wq_unlock(&o->q, &woken);
}

static void give_back(const struct rt_awaitable *wait)
{
    struct once *o = (struct once *)(void *)(uintptr_t)wait->object;
    if (rt_wq_was_woken(&o->q, wait))
        pass_turn(o);
}

static const struct rt_wait_kind once_kind = { .what = "a once", .is_shown = true,
                                               .lost = give_back };

static int wait_for_end(struct once *o)
{
    struct rt_wq_node node;
    int               r = rt_wq_begin(&node, &once_kind, o);
    if (r < 0)
        return r;
    rt_wq_lock(&o->q);
    bool running = rt_load_relaxed(&o->state) == RUNNING; /* relaxed: under the lock */
    if (running)
        rt_wq_link(&o->q.list, &node);
    rt_wq_unlock(&o->q, NULL);
    r = running ? rt_wq_park(&o->q, &node, RT_NEVER) : rt_wq_abandon(&node);
    if (r < 0 && node.woken)
        pass_turn(o);
    return r;
}

static bool begin(struct once *o)
{
    rt_wq_lock(&o->q);
    bool mine = rt_load_relaxed(&o->state) == NEW; /* relaxed: under the lock */
    if (mine)
        rt_store_relaxed(&o->state, RUNNING); /* relaxed: likewise */
    rt_wq_unlock(&o->q, NULL);
    return mine;
}

int skua_once_run(skua_once *once, int (*fn)(void *arg), void *arg)
{
    struct once      *o = (struct once *)(void *)once;
    struct rt_worker *w = rt_self();
    if (!o || !fn)
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    int r = 0;
    while (r == 0 && rt_load_acquire(&o->state) != OVER) { /* pairs: ONCE <- end */
        if (begin(o)) {
            r = fn(arg);
            end(o, r < 0 ? r : 0);
            return r < 0 ? r : 0;
        }
        r = wait_for_end(o);
    }
    return r;
}
