/* SPDX-License-Identifier: MIT */
/* floor 9: obs. What debug mode reports when a runtime ends: errors nobody looked at, and handles
 * that were never released, each with the place of spawn. */
#include "sched/report.h"

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
            rt_report_unretrieved(rt, t);
        rt_report_task(rt, SKUA_EXCEPTION_UNRELEASED, t, 0, "the handle of ",
                       " was never released");
    }
}

__attribute__((constructor)) static void install(void)
{
    rt_report_leftovers = report_leftovers;
}
