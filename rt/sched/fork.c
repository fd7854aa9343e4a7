/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Forked jobs: sharing, giving away, stealing, and waiting for what was stolen. */
#include "sched/fork.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/spin.h"
#include "sched/cancel.h"
#include "sched/context.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/runtime.h"
#include "sched/spawn.h"
#include "sched/wait.h"

enum {
    WORTH_NS = 5000,     /* a job that is shorter costs more than it gives on another core  */
    QUIET_MAX = 65535,   /* shares in a row that wake nobody                                */
    SPINS_BEFORE_WAIT = 6, /* rounds of looking at a stolen job before its task suspends    */
};

/* --- sharing --- */

/* Waking a sleeper costs as much as thousands of forks, so it has to pay: after each ring the next
 * shares tell nobody, twice as many each time, until a job that was taken turns out to have been
 * worth it. What lies untold is told by the watch at its next tick. */
static void tell(struct rt_worker *w)
{
    struct rt_runtime *rt = w->rt;
    int                index = rt_idle_pick(&rt->idle);
    if (index < 0)
        return;
    uint32_t next = w->jobs.quiet_last * 2 + 1;
    w->jobs.quiet = w->jobs.quiet_last = next < QUIET_MAX ? next : QUIET_MAX;
    rt_ring(rt->workers[index]);
}

/* The context that the job's task has by now. On that task's thread, so not when it is stolen. */
static void capture_context(struct rt_fork *job)
{
    if (!job->vars)
        job->vars = rt_vars_copy(rt_task_vars(job->owner));
}

static void capture_contexts(struct rt_jobs *j, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        capture_context((struct rt_fork *)rt_jobs_at(j, i));
}

void rt_fork_share(struct rt_worker *w)
{
    struct rt_jobs *j = &w->jobs;
    int64_t         n = rt_jobs_private(j);
    if (n <= 0)
        return;
    if (rt_jobs_thefts(j) > 0) {
        n = (n + 1) / 2; /* thieves are about, and one entry at a time would keep them waiting */
    } else if (!rt_chance(&w->chooser, 4, "fork: share all")) {
        n = 1;
    }
    bool quiet = j->quiet > 0;
    j->quiet -= quiet;
    if (RT_UNLIKELY(rt_vars_are_used()))
        capture_contexts(j, n);
    rt_jobs_share(j, n, !quiet);
    if (!quiet)
        tell(w);
}

/* --- a task for a job --- */

static void end(struct rt_fork *job, uint64_t word)
{
    struct rt_fifo out = { 0 };
    uint64_t       name = rt_fork_end(job, word);
    if (name && rt_name_claim(name, 0, &out))
        rt_ready_batch(&out);
}

static void *run_job(void *arg)
{
    struct rt_fork *job = arg;
    uint64_t        begin = rt_clock_now();
    RT_VAR_SET(job->value, job->fn(RT_VAR_GET(job->value)));
    job->was_worth_it = rt_clock_now() - begin >= WORTH_NS;
    end(job, RT_FORK_DONE);
    return NULL;
}

void rt_fork_refuse(struct skua_task *t)
{
    end(t->value, RT_FORK_KEPT);
}

/* Begins the life of t; the job is the caller's, so its record stays until it has ended. */
static void embody(struct rt_worker *w, struct skua_task *t, struct rt_fork *job)
{
    struct skua_task *owner = job->owner;
    t->fn = run_job;
    t->value = job;
    t->where = "skua_fork";
    t->flags |= RT_TASK_JOB;
    rt_store_relaxed(&t->kind, rt_task_kind(owner)); /* relaxed: not published yet */
    if (RT_UNLIKELY(job->vars != 0))
        rt_task_set_vars(t, job->vars);
    job->vars = 0;
    rt_task_begin(w, t);
}

static void give_away(struct rt_worker *w, struct rt_fork *job)
{
    struct skua_task *t = rt_task_prepare(w);
    if (!t) {
        rt_store_relaxed(&job->word, RT_FORK_KEPT); /* relaxed: its own task's */
        return;
    }
    if (RT_UNLIKELY(rt_vars_are_used()))
        capture_context(job);
    embody(w, t, job);
    rt_ready_child(w, t);
}

/* Does the record still lie in a live frame, as far as can be told? Its owner is the running task
 * or one that called it in place, and on the stack that executes nothing lives below this frame. */
static bool is_live(struct rt_worker *w, const struct rt_fork *job)
{
    uintptr_t at = (uintptr_t)job, here = (uintptr_t)__builtin_frame_address(0);
    if (!w->cur || (at >= (uintptr_t)w->stack->base && at < here))
        return false;
    bool is_owner = job->owner == w->cur;
    for (struct rt_inline *f = w->stack->inl; f && !is_owner; f = f->up)
        is_owner = job->owner == f->parent;
    return is_owner;
}

/* Everything in the deque, oldest first. A job whose task ended without joining it lies in a frame
 * that is gone (its memory is not: stacks are never unmapped); it is dropped. */
void rt_fork_give_away(struct rt_worker *w)
{
    struct rt_jobs *j = &w->jobs;
    int64_t         n = rt_jobs_private(j);
    unsigned        forgotten = 0;
    uintptr_t       x;
    if (n > 0)
        rt_jobs_share(j, n, false);
    while ((x = rt_jobs_oldest(j)) != 0) {
        struct rt_fork *job = (struct rt_fork *)x;
        if (RT_LIKELY(is_live(w, job)))
            give_away(w, job);
        else
            forgotten++;
    }
    if (RT_UNLIKELY(forgotten && w->rt->debug))
        rt_log("%u forked jobs of a task that has ended were never joined: dropped", forgotten);
}

struct skua_task *rt_fork_steal(struct rt_worker *w, struct rt_worker *victim)
{
    if (!rt_jobs_worth_a_look(&victim->jobs))
        return NULL;
    struct skua_task *t = rt_task_prepare(w); /* first: once taken, the job has to be run */
    if (!t)
        return NULL;
    uintptr_t x = rt_jobs_steal(&victim->jobs);
    if (!x) {
        rt_task_free(&w->slab, t);
        return NULL;
    }
    embody(w, t, (struct rt_fork *)x);
    RT_STAT_INC(&w->steals);
    return t;
}

/* --- waiting --- */

/* Without a stack to go on with, the task that waits lends its own to what lies in the deque, where
 * the job itself may be. */
static void lend_stack(struct rt_worker *w)
{
    struct skua_task *t = (struct skua_task *)rt_deque_take(&w->deque);
    struct rt_inline  frame;
    if (t && !t->stack && rt_task_kind(t) == w->stack->size_class)
        (void)rt_run_inline(w, t, &frame);
    else if (t)
        rt_ready_child(w, t);
    SKUA_IGNORE(rt_sys_sched_yield());
}

static bool has_ended(struct rt_fork *job)
{
    uint64_t word = rt_fork_look(job);
    return word == RT_FORK_DONE || word == RT_FORK_KEPT;
}

static bool ends_soon(struct rt_worker *w, struct rt_fork *job)
{
    struct rt_backoff b = RT_BACKOFF_INIT;
    for (int i = 0; w->rt->n > 1 && i < SPINS_BEFORE_WAIT; i++) {
        if (has_ended(job))
            return true;
        rt_backoff_wait(&b);
    }
    return has_ended(job);
}

static const struct rt_wait_kind fork_kind = { .what = "a forked job", .is_shown = true };

/* One suspension. True: a cancel came. */
static bool wait_once(struct rt_worker *w, struct rt_fork *job)
{
    struct rt_awaitable awaitable = { .kind = &fork_kind, .object = job };
    uint64_t name;
    bool     cancelled = rt_ww_drop_cancel(&w->cur->wait);
    int      r = rt_wait_begin_passing(w, &name);
    if (r == -ECANCELED)
        return cancelled; /* it came just now: dropped in the next round */
    if (r < 0) {
        lend_stack(w);
        return cancelled;
    }
    rt_await_combined(w->cur, &awaitable);
    if (!rt_fork_await(job, name))
        return rt_wait_abandon(name) < 0 || cancelled;
    bool late;
    return rt_wait_park_passing(&late) < 0 || late || cancelled;
}

void rt_fork_wait(struct rt_fork *job)
{
    struct rt_worker *w = rt_self();
    bool              cancelled = false;
    if (ends_soon(w, job))
        return;
    while (!has_ended(job))
        cancelled |= wait_once(rt_self(), job);
    if (cancelled)
        rt_cancel_pend(rt_self()->cur);
}
