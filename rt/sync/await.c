/* SPDX-License-Identifier: MIT */
/* floor 6: sync. Waiting for one task or future.
 *
 * A free child that nobody has taken yet is taken back and called: no switch, no queue, no wake. A
 * child in the waiter's own pinned group is called only where nobody can tell the difference from
 * its turn in the queue: it is next, nothing else is ready or due, and nobody else waits for it.
 */
#include "sync/await.h"

#include <errno.h>

#include "sched/cancel.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/runtime.h"

enum {
    STACK_PROMISE = 32 * 1024, /* what every task may rely on */
    STACK_MARGIN = 2 * 1024,   /* of the calls in between     */
    SHORTCUTS_MAX = 61,        /* calls in a row in a pinned group before the queue is used again */
};

/* A task that asked for more than the smallest stacks have may need all that its class gives, which
 * is never left above a caller. */
static bool stack_allows(struct rt_worker *w, struct skua_task *t)
{
    return rt_task_kind(t) == RT_STACK_CLASS_DEFAULT &&
           w->stack->size_class == RT_STACK_CLASS_DEFAULT &&
           rt_stack_left(w->stack) >= STACK_PROMISE + STACK_MARGIN;
}

/* --- free child of a free task --- */

static bool call_free(struct rt_worker *w, struct skua_task *t)
{
    if (rt_deque_newest(&w->deque) != (uintptr_t)t || rt_deque_take(&w->deque) != (uintptr_t)t)
        return false;
    if (t->stack || !stack_allows(w, t)) {
        rt_ready_child(w, t); /* it has run before, or needs more room */
        return false;
    }
    struct rt_inline frame;
    rt_spend_budget(rt_run_inline(w, t, &frame), false);
    return true;
}

/* --- child in the same pinned group --- */

static bool call_pinned(struct rt_worker *w, struct skua_task *t)
{
    struct skua_group *g = t->group;
    if (!rt_group_has_only(w, g, 1) || g->fifo.head != rt_item(&t->run, RT_TAG_TASK))
        return false;
    if ((t->flags & RT_TASK_STARTED) || (rt_st_load(&t->state) & RT_ST_WAITERS) ||
        !stack_allows(w, t) || ++w->shortcuts % SHORTCUTS_MAX == 0)
        return false;
    (void)rt_fifo_pop(&g->fifo);
    if (g->batch > 0)
        g->batch--;
    return true;
}

/* 0: called, go on. 1: not called. -ECANCELED: called, and then cancelled on the way back. */
static int try_call(struct rt_worker *w, struct skua_task *t)
{
    struct skua_task *me = w->cur;
    if (rt_task_is_future(t) || me->group != t->group || rt_ww_cancel_pending(&me->wait))
        return 1;
    if (!t->group)
        return call_free(w, t) ? 0 : 1;
    if (!call_pinned(w, t))
        return 1;
    struct rt_inline frame;
    w = rt_run_inline(w, t, &frame);
    if (frame.queued)
        return rt_wait_queued(w);
    if (!frame.marked && rt_group_has_only(w, me->group, 0))
        return 0;
    return rt_wait_turn(w); /* there was no memory to queue it as the child ended */
}

/* --- the long way --- */

/* A cancel is pending before the wait: what is waited for is cancelled in place of the waiter. */
static int pass_on(struct rt_worker *w, struct skua_task *t, unsigned *passed)
{
    if (!rt_ww_drop_cancel(&w->cur->wait))
        return 0;
    if (++*passed > RT_PASS_MAX || !rt_cancel_pass(w->cur, t))
        return rt_delivered(w->cur);
    if (rt_task_is_done(t) && w->cur->group)
        return rt_wait_turn(w); /* a future ends at once; its waiter still queues up */
    return 0;
}

/* One suspension. 0: done. 1: the cancel that ended it was passed on, wait again. */
static int wait_once(struct rt_worker *w, struct skua_task *t, unsigned *passed)
{
    struct skua_task *me = w->cur;
    struct rt_waiter  waiter = { 0 };
    bool              late;
    int               r = rt_wait_begin_passing(w, &waiter.name);
    if (r < 0)
        return r == -ECANCELED ? 1 : r; /* pending by now: passed on in the next round */
    uint64_t name = waiter.name;
    me->target = t;
    if (!rt_waiter_add(t, &waiter))
        return rt_wait_abandon(name);
    if (!me->group)
        /* those spawned behind t lie in the way */
        rt_dive_for(w, t, w->pushed > 1 ? w->pushed : 1);
    r = rt_wait_park_passing(&late);
    if (r == -ECANCELED || r == EDEADLK) { /* the latter in a ring: it would come back */
        (void)rt_waiter_remove(t, &waiter);
        return r < 0 && ++*passed <= RT_PASS_MAX && rt_cancel_pass(me, t) ? 1 : rt_delivered(me);
    }
    return late ? rt_delivered(me) : 0;
}

int rt_await(struct rt_worker *w, struct skua_task *t)
{
    if (rt_task_is_done(t)) {
        if (!w->cur->group)
            rt_spend_budget(w, false);
        return 0;
    }
    unsigned passed = 0;
    int      r = try_call(w, t);
    while (r > 0) {
        w = rt_self();
        r = pass_on(w, t, &passed);
        if (r < 0 || rt_task_is_done(t))
            break;
        r = wait_once(rt_self(), t, &passed);
    }
    return r;
}

int rt_outcome(struct skua_task *t, void **ret_result)
{
    uint64_t word = rt_st_load(&t->state);
    if (RT_LIKELY(!(word & (RT_ST_FAILED | RT_ST_CANCELLED)))) {
        if (ret_result)
            *ret_result = t->value;
        return 0;
    }
    if (!(word & RT_ST_RETRIEVED))
        (void)rt_or_acq_rel(&t->state.bits, RT_ST_RETRIEVED);
    return skua_failed(t->value);
}

static inline int check_awaitable(struct rt_worker *w, struct skua_task *t)
{
    if (!t)
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    rt_check_alive(t);
    return t == w->cur ? -EDEADLK : 0;
}

int skua_await(skua_task *task, void **ret_result)
{
    struct rt_worker *w = rt_self();
    int               r = check_awaitable(w, task);
    if (r == 0)
        r = rt_await(w, task);
    return r < 0 ? r : rt_outcome(task, ret_result);
}

int skua_join(skua_task *task, void **ret_result)
{
    struct rt_worker *w = rt_self();
    int               r = check_awaitable(w, task);
    if (r == 0)
        r = rt_await(w, task);
    if (r == 0)
        r = rt_outcome(task, ret_result);
    skua_release(task);
    return r;
}
