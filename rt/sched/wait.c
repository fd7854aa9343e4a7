/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Suspending the current task. */
#include "sched/wait.h"

#include <errno.h>

#include "sched/cancel.h"
#include "sched/queues.h"
#include "sched/runtime.h"

int rt_delivered(struct skua_task *t)
{
    t->flags |= RT_TASK_MISSED;
    (void)rt_cw_take_due(&t->cancels); /* several requests before a delivery are one */
    return -ECANCELED;
}

/* --- trips --- */

static void requeue(struct rt_worker *w)
{
    struct skua_task *t = w->cur;
    if (t->group) {
        rt_group_enqueue(t->group, rt_item(&t->run, RT_TAG_TASK));
        rt_suspend(w, RT_AFTER_NOTHING);
    } else {
        rt_suspend(w, RT_AFTER_REQUEUE);
    }
}

int rt_wait_turn(struct rt_worker *w)
{
    struct skua_task *t = w->cur;
    int               r = rt_suspend_prepare(w);
    if (r < 0)
        return r;
    if (t->group || !rt_pick_is_alone(w)) /* a free task that nobody waits behind keeps its turn */
        requeue(w);
    return RT_UNLIKELY(rt_ww_drop_cancel(&t->wait)) ? rt_delivered(t) : 0;
}

int rt_wait_queued(struct rt_worker *w)
{
    struct skua_task *t = w->cur;
    rt_suspend(w, RT_AFTER_NOTHING);
    return RT_UNLIKELY(rt_ww_drop_cancel(&t->wait)) ? rt_delivered(t) : 0;
}

void rt_spend_budget(struct rt_worker *w, bool is_io)
{
    if (RT_LIKELY(--w->budget > 0))
        return;
    w->budget = RT_BUDGET;
    if ((w->cur->group && !is_io) || rt_suspend_prepare(w) < 0)
        return;
    requeue(w);
}

/* --- waits --- */

static uint64_t arm(struct skua_task *t)
{
    return t->group ? rt_ww_arm_pinned(&t->wait) : rt_ww_arm(&t->wait);
}

int rt_wait_begin(struct rt_worker *w, uint64_t *ret_name)
{
    struct skua_task *t = w->cur;
    int               r = rt_suspend_prepare(w);
    if (RT_UNLIKELY(r < 0))
        return r;
    t->awaiting = 0;
    uint64_t ticket = arm(t);
    if (RT_LIKELY(ticket)) {
        *ret_name = rt_wait_name(t, ticket);
        return 0;
    }
    if (t->group)
        requeue(w);
    /* after the trip: requests that came during it are one with the first */
    (void)rt_ww_drop_cancel(&t->wait);
    return rt_delivered(t);
}

int rt_wait_begin_passing(struct rt_worker *w, uint64_t *ret_name)
{
    struct skua_task *t = w->cur;
    int               r = rt_suspend_prepare(w);
    if (RT_UNLIKELY(r < 0))
        return r;
    t->awaiting = 0;
    uint64_t ticket = arm(t);
    if (RT_UNLIKELY(!ticket))
        return -ECANCELED;
    *ret_name = rt_wait_name(t, ticket);
    return 0;
}

int rt_wait_park_passing(bool *ret_late)
{
    struct rt_worker *w = rt_self();
    struct skua_task *t = w->cur;
    int               late;
    rt_suspend(w, t->group ? RT_AFTER_NOTHING : RT_AFTER_PARK);
    unsigned value = rt_ww_finish(&t->wait, &late);
    t->awaiting = 0;
    *ret_late = late != 0;
    return value == ECANCELED ? -ECANCELED : (int)value;
}

int rt_wait_park(void)
{
    struct skua_task *t = rt_self()->cur;
    bool              late;
    int               r = rt_wait_park_passing(&late);
    return r < 0 || late ? rt_delivered(t) : r;
}

int rt_wait_abandon(uint64_t name)
{
    struct rt_worker *w = rt_self();
    struct skua_task *t = w->cur;
    int               late;
    if (rt_ww_claim(&t->wait, rt_ww_ticket(name), 0) != RT_CLAIM_STALE) {
        t->awaiting = 0;
        return 0;
    }
    if (t->group)
        return rt_wait_park(); /* the claimer has queued it: take that turn */
    unsigned value = rt_ww_finish(&t->wait, &late);
    t->awaiting = 0;
    return value == ECANCELED || late ? rt_delivered(t) : (int)value;
}

int rt_wait_give_up(uint64_t name, int r)
{
    int claimed = rt_wait_abandon(name);
    return claimed < 0 ? claimed : r;
}

/* --- the clock --- */

int rt_wait_timer(struct rt_worker *w, uint64_t deadline)
{
    if (deadline == RT_NEVER)
        return 0;
    return rt_timer_arm(&w->timers, &w->cur->timer, RT_TIMER_TASK, deadline);
}

void rt_wait_timer_end(int result)
{
    struct skua_task *t = rt_self()->cur;
    if (result != ETIMEDOUT)
        (void)rt_timer_disarm(&t->timer);
    if (RT_UNLIKELY(t->timer.hop_queued))
        rt_unpost_hop(t);
    t->timer.owner = NULL;
}

int rt_wait_until(uint64_t deadline)
{
    struct rt_worker *w = rt_self();
    uint64_t          name;
    int               r = rt_wait_begin(w, &name);
    if (r < 0)
        return r;
    r = rt_wait_timer(w, deadline);
    if (r < 0)
        return rt_wait_give_up(name, r);
    r = rt_wait_park();
    rt_wait_timer_end(r);
    return r < 0 ? r : 0;
}

int rt_deadline(struct rt_worker *w, double timeout, uint64_t *ret_deadline)
{
    uint64_t ns;
    int      r = rt_ns_from_seconds(timeout, &ns);
    if (r < 0)
        return r;
    *ret_deadline = ns == RT_NEVER ? RT_NEVER : rt_ns_add(rt_timers_read_clock(&w->timers), ns);
    return 0;
}
