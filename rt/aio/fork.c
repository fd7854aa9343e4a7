/* SPDX-License-Identifier: MIT */
/* floor 7: aio. The public fork and join. What happens to a job that leaves: sched/fork.c. */
#include "sched/fork.h"

#include <errno.h>

#include "base/log.h"
#include "sched/context.h"
#include "sched/runtime.h"

_Static_assert(sizeof(struct rt_fork) <= sizeof(skua_job), "a job fits into the user's object");

/* The owner of a job that was forked where no task runs. */
static char outside;

/* It stays with the one who joins. */
static void keep(struct rt_worker *w, struct rt_fork *job)
{
    job->owner = w && w->cur ? (void *)w->cur : &outside;
    rt_store_relaxed(&job->word, RT_FORK_KEPT); /* relaxed: nobody else looks */
}

static void fork_slow(struct rt_worker *w, struct rt_fork *job)
{
    if (!job)
        return;
    keep(w, job);
    if (!job->fn) {
        RT_VAR_SET(job->value, skua_fail(-EINVAL));
        job->was_worth_it = 0;
        rt_store_relaxed(&job->word, RT_FORK_DONE); /* relaxed: nobody else looks */
    }
}

void skua_fork(skua_job *handle, skua_fn fn, void *arg)
{
    struct rt_fork    *job = (struct rt_fork *)handle;
    struct rt_worker *w = rt_self();
    if (RT_UNLIKELY(!job))
        return;
    job->fn = fn;
    RT_VAR_SET(job->value, arg);
    job->vars = 0;
    if (RT_UNLIKELY(!fn || !w || !w->cur)) {
        fork_slow(w, job);
        return;
    }
    job->owner = w->cur;
    rt_store_relaxed(&job->word, RT_FORK_PENDING); /* relaxed: published by the deque */
    if (RT_UNLIKELY(!rt_jobs_push(&w->jobs, (uintptr_t)job)))
        keep(w, job);
    else if (RT_UNLIKELY(rt_jobs_hungry(&w->jobs)))
        rt_fork_share(w);
}

/* --- the join --- */

static void *call(struct rt_fork *job)
{
    job->owner = NULL;
    return job->fn(RT_VAR_GET(job->value));
}

/* It was shared, or nearly given away. */
static void *call_returned(struct rt_fork *job)
{
    if (RT_UNLIKELY(job->vars != 0))
        rt_vars_drop(job->vars);
    return call(job);
}

static void *misused(struct rt_worker *w)
{
    if (w && w->cur && w->rt->debug)
        rt_log("Task-%u joined a job that it has not forked, or joined before (-EINVAL)",
               w->cur->id);
    return skua_fail(-EINVAL);
}

/* Shared and still there, the newest of all? Joined in another order than newest first, jobs that
 * are in the way become tasks, as their task may be about to suspend for this one. */
static bool take_back(struct rt_worker *w, struct rt_fork *job)
{
    struct rt_jobs *j = &w->jobs;
    if (!rt_jobs_any(j))
        return false;
    if (rt_jobs_newest(j) == (uintptr_t)job)
        return rt_jobs_take(j) == (uintptr_t)job;
    rt_fork_give_away(w);
    return false;
}

static void *join_slow(struct rt_worker *w, struct rt_fork *job)
{
    void *me = w && w->cur ? (void *)w->cur : &outside;
    if (!job || (job->owner != me && job->owner != &outside))
        return misused(w);
    /* relaxed: the task's own write, or a hint */
    if (rt_load_relaxed(&job->word) == RT_FORK_PENDING) {
        if (take_back(w, job))
            return call_returned(job);
        rt_fork_wait(job);
    }
    if (rt_fork_look(job) == RT_FORK_KEPT)
        return call_returned(job);
    job->owner = NULL;
    w = rt_self();
    if (w && job->was_worth_it)
        w->jobs.quiet = w->jobs.quiet_last = 0;
    return RT_VAR_GET(job->value);
}

void *skua_fork_join(skua_job *handle)
{
    struct rt_fork    *job = (struct rt_fork *)handle;
    struct rt_worker *w = rt_self();
    if (w && rt_chance(&w->chooser, 16, "join: give away"))
        rt_fork_give_away(w);
    if (RT_UNLIKELY(!w || !job || job->owner != w->cur || !rt_jobs_pop(&w->jobs, (uintptr_t)job)))
        return join_slow(w, job);
    if (RT_UNLIKELY(rt_jobs_hungry(&w->jobs)))
        rt_fork_share(w);
    return call(job);
}
