/* SPDX-License-Identifier: MIT */
/* floor 6: sync. Waiting for one task or future. */
#ifndef RT_SYNC_AWAIT_H
#define RT_SYNC_AWAIT_H

#include "sched/wait.h"

/* Builds with debug checks notice handles that are used after their last release: by whoever gives
 * one back, waits for it or changes it. Questions are allowed where such a task is reported. */
_Noreturn void rt_panic_released(const struct skua_task *t);

static inline void rt_check_alive(const struct skua_task *t)
{
    if (RT_DEBUG && rt_st_refs(rt_st_load((struct rt_stateword *)&t->state)) == 0)
        rt_panic_released(t);
}

/* The current task, which runs on w, waits until t is done; a cancel meanwhile is passed on to t.
 * 0: t is done. -ECANCELED: a cancel was delivered to the waiting task (t may be done: its result
 * is lost to it); -ENOMEM. */
RT_MUST_USE int rt_await(struct rt_worker *w, struct skua_task *t);

/* The outcome of a done task: 0 and *ret_result, or its negative error; marks it retrieved. */
int rt_outcome(struct skua_task *t, void **ret_result);

#endif
