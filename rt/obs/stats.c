/* SPDX-License-Identifier: MIT */
/* floor 9: obs. Looking at a running runtime. */
#include <errno.h>
#include <limits.h>

#include "aio/pool.h"
#include "fiber/stack.h"
#include "sched/census.h"
#include "sched/runtime.h"

const char *skua_version(void)
{
    return "0.1.0";
}

int skua_worker_index(void)
{
    struct rt_worker *w = rt_self();
    return w ? (int)w->index : -1;
}

/* Never inlined, also not by a program that is linked with link-time optimisation: the C library
 * declares that errno's place never changes, and after a switch it is another. */
RT_NOINLINE int *skua_errno_location(void)
{
    int *location = __errno_location();
    RT_COMPILER_BARRIER();
    return location;
}

static uint64_t rescues(struct rt_runtime *rt)
{
    uint64_t n = 0;
    unsigned crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++)
        n += RT_STAT_GET(&rt->workers[i]->rescues);
    return n;
}

int skua_stats_get(struct skua_stats *ret_stats)
{
    struct rt_worker *w = rt_self();
    if (!ret_stats || ret_stats->size != sizeof *ret_stats)
        return -EINVAL;
    if (!w)
        return -EPERM;
    *ret_stats = (struct skua_stats){
        .size = sizeof *ret_stats,
        .workers = (int)w->rt->n,
        .spares = (int)(rt_crew(w->rt) - w->rt->n),
        .tasks_alive = rt_runtime_alive(w->rt),
        .stacks_created = rt_stacks_created(),
        .stacks_idle = rt_stacks_idle(),
        .unretrieved = rt_load_relaxed(&w->rt->unretrieved), /* relaxed: a count */
        .rescues = rescues(w->rt),
        /* relaxed: a count */
        .spares_started = rt_load_relaxed(&w->rt->rescue.spares_started),
    };
    return 0;
}

int skua_worker_stats_get(int worker, struct skua_worker_stats *ret_stats)
{
    struct rt_worker *w = rt_self();
    if (!ret_stats || ret_stats->size != sizeof *ret_stats)
        return -EINVAL;
    if (!w)
        return -EPERM;
    if (worker < 0 || worker >= (int)rt_crew(w->rt))
        return -EINVAL;
    struct rt_worker *of = w->rt->workers[worker];
    *ret_stats = (struct skua_worker_stats){
        .size = sizeof *ret_stats,
        .tasks = RT_STAT_GET(&of->ran),
        .steals = RT_STAT_GET(&of->steals),
        .polls = RT_STAT_GET(&of->polls),
        .connections = RT_STAT_GET(&of->accepted),
        .parks = RT_STAT_GET(&of->parks),
        .wakeups = RT_STAT_GET(&of->wakeups),
    };
    return 0;
}

int skua_census(struct skua_census_row *ret_rows, size_t n)
{
    struct rt_worker *w = rt_self();
    if (!ret_rows || n == 0 || n > INT_MAX || ret_rows->size != sizeof *ret_rows)
        return -EINVAL;
    return w ? (int)rt_census(w->rt, ret_rows, n) : -EPERM;
}

int skua_lane_stats_get(const char *lane, struct skua_lane_stats *ret_stats)
{
    struct rt_worker *w = rt_self();
    if (!ret_stats || ret_stats->size != sizeof *ret_stats)
        return -EINVAL;
    return w ? rt_pool_stats(w->rt, lane, ret_stats) : -EPERM;
}
