/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The end of tasks and of references to them. */
#include "sched/finish.h"

#include <errno.h>

#include "sched/cancel.h"
#include "sched/fork.h"
#include "sched/queues.h"
#include "sched/report.h"
#include "sched/runtime.h"

static void count_finished(struct rt_worker *w, struct skua_task *t)
{
    RT_STAT_INC(&w->finished);
    if (t->group) {
        RT_ASSERT(t->group->worker == w && t->group->live > 0);
        t->group->live--;
    }
}

void rt_finish(struct rt_worker *w, struct skua_task *t, void *result)
{
    struct rt_fifo out = { 0 };
    uint64_t       outcome = rt_task_outcome(result);
    bool           is_asked = rt_ww_drop_cancel(&t->wait) | rt_cw_take_due(&t->cancels);
    if (RT_UNLIKELY(is_asked) && outcome == 0) {
        result = skua_fail(-ECANCELED); /* a cancel that was never delivered ends the task */
        outcome = RT_ST_CANCELLED;
    }
    if (RT_UNLIKELY(t->flags & RT_TASK_MISSED) && outcome == 0 && w->rt->debug &&
        rt_cw_count(&t->cancels) > 0)
        rt_report_task(w->rt, SKUA_EXCEPTION_SWALLOWED, t, 0, "cancel swallowed: ",
                       " was cancelled and returned a value");
    if (RT_UNLIKELY(outcome == RT_ST_FAILED && (rt_st_load(&t->state) & RT_ST_SHUTDOWN)))
        rt_report_task(w->rt, SKUA_EXCEPTION_LEFTOVER, t, skua_failed(result), "",
                       " failed while it was cancelled by the end of run");
    if (RT_UNLIKELY(w->rt->debug))
        rt_report_owed(t);
    struct skua_group *g = t->group;
    count_finished(w, t);
    bool last = rt_task_complete(t, result, outcome, 1, &out);
    if (out.head)
        rt_ready_batch(&out);
    if (last)
        rt_task_unref(w, t);
    if (RT_UNLIKELY(g && g->live == 0))
        rt_group_check_dead(g);
    /* relaxed: set by shutdown long before it waits */
    if (RT_UNLIKELY(rt_load_relaxed(&w->rt->phase) != RT_OPEN))
        rt_runtime_note_change(w->rt);
}

/* As a callback: in the task's group, but not in a task. */
static void call_drop(struct rt_worker *w, struct skua_task *t, skua_cb drop)
{
    if (!w) {
        drop(t->value); /* the runtime has ended */
        return;
    }
    struct skua_task  *cur = w->cur;
    struct skua_group *in_group = w->in_group;
    w->cur = NULL;
    w->in_group = t->group;
    drop(t->value);
    w->cur = cur;
    w->in_group = in_group;
}

void *rt_never_started(struct skua_task *t)
{
    struct rt_cold *cold = rt_task_cold_if_any(t);
    if (cold && cold->drop)
        call_drop(rt_self(), t, cold->drop);
    return skua_fail(-ECANCELED);
}

void rt_refuse(struct rt_worker *w, struct skua_task *t, int err)
{
    if (t->flags & RT_TASK_JOB)
        rt_fork_refuse(t);
    else
        (void)rt_never_started(t);
    (void)rt_ww_drop_cancel(&t->wait);
    rt_finish(w, t, skua_fail(err));
}

static void count_unretrieved(struct rt_runtime *rt, struct skua_task *t)
{
    (void)rt_add_relaxed(&rt->unretrieved, 1); /* relaxed: a count */
    if (rt_report_is_wanted(rt))
        rt_report_unretrieved(rt, t);
}

/* To its own runtime, if that is still there, whoever gave the last reference back. */
static void tell_unretrieved(struct rt_worker *w, struct skua_task *t)
{
    uint16_t           id = rt_load_relaxed(&t->runtime); /* relaxed: fixed */
    struct rt_runtime *rt = w && w->rt->id == id ? NULL : rt_runtime_visit(id);
    if (rt || w)
        count_unretrieved(rt ? rt : w->rt, t);
    if (rt)
        rt_runtime_unvisit(rt);
}

static void reap(struct rt_worker *w, struct skua_task *t)
{
    uint64_t word = rt_st_load(&t->state);
    if (RT_UNLIKELY((word & (RT_ST_FAILED | RT_ST_RETRIEVED)) == RT_ST_FAILED))
        tell_unretrieved(w, t);
    rt_task_free(w ? &w->slab : NULL, t);
}

/* rt_task_complete leaves the last reference in place when it tells its caller to free. */
void rt_task_unref(struct rt_worker *w, struct skua_task *t)
{
    if (rt_st_refs(rt_st_load(&t->state)) == 0 || rt_st_release(&t->state))
        reap(w, t);
}
