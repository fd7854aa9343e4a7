/* SPDX-License-Identifier: MIT */
/* floor 6: sync. Waiting for one task or future. */
#ifndef RT_SYNC_AWAIT_H
#define RT_SYNC_AWAIT_H

#include "sched/wait.h"

/* The current task, which runs on w, waits until t is done; a cancel meanwhile is passed on to t.
 * 0: t is done. -ECANCELED: a cancel was delivered to the waiting task (t may be done: its result
 * is lost to it); -ENOMEM. */
RT_MUST_USE int rt_await(struct rt_worker *w, struct skua_task *t);

/* The outcome of a done task: 0 and *ret_result, or its negative error; marks it retrieved. */
int rt_outcome(struct skua_task *t, void **ret_result);

#endif
