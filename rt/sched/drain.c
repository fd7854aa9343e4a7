/* SPDX-License-Identifier: MIT */
/* floor 5: sched. What is left when main has ended: cancelled, again and again, until nothing is
 * left or the time is up. */
#include <errno.h>
#include <stdio.h>

#include "sched/cancel.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/report.h"
#include "sched/runtime.h"

static uint64_t total_spawned(struct rt_runtime *rt)
{
    /* pairs: CHANGE <- rt_runtime_note_change */
    uint64_t n = rt_load_acquire(&rt->foreign_spawned);
    unsigned crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++)
        n += RT_STAT_GET(&rt->workers[i]->spawned);
    return n;
}

/* Ended ones are counted first: a task that is counted as ended was counted as spawned before. */
uint64_t rt_runtime_alive(struct rt_runtime *rt)
{
    uint64_t ended = 0;
    unsigned crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++)
        ended += RT_STAT_GET(&rt->workers[i]->finished);
    return total_spawned(rt) - ended;
}

/* The read-modify-write puts the changes in one order: whoever makes the last one sees the counts
 * of all. */
void rt_runtime_note_change(struct rt_runtime *rt)
{
    (void)rt_add_acq_rel(&rt->changes, 1); /* pairs: CHANGE -> rt_runtime_alive */
    /* relaxed: see cancel_all */
    if (rt_runtime_alive(rt) == 0 || total_spawned(rt) != rt_load_relaxed(&rt->snapshot))
        rt_worker_ask_leave(rt->workers[0]);
}

static void cancel_one(struct rt_runtime *rt, struct skua_task *t)
{
    if (!rt_st_try_retain_pending(&t->state))
        return;
    /* relaxed: fixed while we hold a reference */
    if (rt_load_relaxed(&t->runtime) == rt->id && !rt_task_is_future(t) &&
        !(rt_or_acq_rel(&t->state.bits, RT_ST_SHUTDOWN) & RT_ST_SHUTDOWN))
        (void)rt_cancel(t);
    rt_task_unref(rt_self(), t);
}

static void cancel_all(struct rt_runtime *rt)
{
    rt_store_relaxed(&rt->snapshot, total_spawned(rt)); /* relaxed: a stale view looks once more */
    uint32_t carved = rt_slab_carved();
    for (uint32_t slot = 1; slot <= carved; slot++) {
        struct skua_task *t = rt_slab_at(slot);
        if (t)
            cancel_one(rt, t);
    }
}

static void report_stubborn(struct rt_runtime *rt, struct skua_task *t)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%s (spawned at %s) did not end when it was cancelled",
                   rt_task_name(t), rt_task_place(t));
    struct skua_exception_context context = {
        .size = sizeof context, .message = line, .kind = SKUA_EXCEPTION_STUBBORN, .task = t,
        .error = -ETIMEDOUT, .name = rt_task_name(t), .where = t->where,
    };
    rt_report(rt, &context);
}

static void name_stubborn(struct rt_runtime *rt)
{
    uint32_t carved = rt_slab_carved();
    for (uint32_t slot = 1; slot <= carved; slot++) {
        struct skua_task *t = rt_slab_at(slot);
        if (t && rt_load_relaxed(&t->runtime) == rt->id && rt_st_refs(rt_st_load(&t->state)) > 0 &&
            !rt_task_is_done(t) && !rt_task_is_future(t)) /* relaxed: a report */
            report_stubborn(rt, t);
    }
}

/* From here on plain threads are refused. Those inside leave soon, they never block; what they
 * started is counted when this returns. */
static void refuse_visitors(struct rt_runtime *rt)
{
    (void)rt_xchg_sc(&rt->phase, RT_CLOSING); /* pairs: PHASE -> rt_group_visit */
    rt_lock(&rt->lock);
    for (struct skua_group *g = rt->groups; g; g = g->sibling)
        while (rt_load_sc(&g->callers) > 0) /* pairs: PHASE <- rt_group_leave */
            SKUA_IGNORE(rt_sys_sched_yield());
    rt_unlock(&rt->lock);
}

struct drain_end {
    struct rt_step_timer timer;
    struct rt_runtime   *rt;
    bool                 expired;
};

static void run_drain_end(struct rt_step *step)
{
    struct rt_step_timer *timer = rt_container_of(step, struct rt_step_timer, step);
    struct drain_end     *end = rt_container_of(timer, struct drain_end, timer);
    end->expired = true;
    rt_runtime_leave(end->rt);
}

int rt_runtime_drain(struct rt_runtime *rt)
{
    struct drain_end end = { .rt = rt };
    uint64_t         limit;
    int              r = 0;
    end.timer.step = (struct rt_step){ .run = run_drain_end, .home = rt->main_group };
    refuse_visitors(rt);
    if (rt->shutdown_timeout > 0 && rt_ns_from_seconds(rt->shutdown_timeout, &limit) == 0 &&
        limit != RT_NEVER) {
        struct rt_timers *ts = &rt->workers[0]->timers;
        r = rt_timer_arm(ts, &end.timer.timer, RT_TIMER_STEP,
                         rt_ns_add(rt_timers_read_clock(ts), limit));
    }
    while (r == 0 && !end.expired) {
        rt_self_set(rt->workers[0]);
        cancel_all(rt);
        rt_self_set(NULL);
        if (rt_runtime_alive(rt) == 0)
            break;
        r = rt_runtime_enter(rt);
    }
    if (!rt_timer_disarm(&end.timer.timer) && end.timer.timer.owner && !end.expired)
        rt_unpost_step(&end.timer.step);
    if (end.expired) {
        name_stubborn(rt);
        return -ETIMEDOUT;
    }
    return r;
}
