/* SPDX-License-Identifier: MIT */
/* floor 9: obs. What debug mode reports: errors nobody looked at, cancels that were swallowed,
 * handles that were never released, each with the place of spawn. */
#include <errno.h>

#include "base/log.h"
#include "sched/finish.h"
#include "sched/runtime.h"

static const char *place(const struct skua_task *t)
{
    return t->where ? t->where : "an unknown place";
}

static void report_unretrieved(struct skua_task *t)
{
    const char *message = rt_task_message(t);
    rt_log("the error of %s was never retrieved: %d%s%s (spawned at %s)", rt_task_name(t),
           skua_failed(t->value), message ? ", " : "", message ? message : "", place(t));
}

static void report_swallowed(struct skua_task *t)
{
    rt_log("cancel swallowed: %s was cancelled and returned a value (spawned at %s)",
           rt_task_name(t), place(t));
}

static void report_leftover(struct skua_task *t, int err)
{
    const char *message = rt_task_message(t);
    rt_log("%s failed while it was cancelled by the end of run: %d%s%s (spawned at %s)",
           rt_task_name(t), err, message ? ", " : "", message ? message : "", place(t));
}

static void report_leftovers(struct rt_runtime *rt)
{
    uint32_t carved = rt_slab_carved();
    for (uint32_t slot = 1; slot <= carved; slot++) {
        struct skua_task *t = rt_slab_at(slot);
        if (!t || rt_load_relaxed(&t->runtime) != rt->id) /* relaxed: every task of it has ended */
            continue;
        uint64_t word = rt_st_load(&t->state);
        if (rt_st_refs(word) == 0)
            continue;
        if ((word & (RT_ST_FAILED | RT_ST_RETRIEVED)) == RT_ST_FAILED)
            report_unretrieved(t);
        rt_log("the handle of %s was never released (spawned at %s)", rt_task_name(t), place(t));
    }
}

__attribute__((constructor)) static void install(void)
{
    rt_reporter = (struct rt_reporter){ report_unretrieved, report_swallowed, report_leftover };
    rt_report_leftovers = report_leftovers;
}
