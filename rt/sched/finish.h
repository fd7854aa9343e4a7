/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The end of tasks and of references to them. */
#ifndef RT_SCHED_FINISH_H
#define RT_SCHED_FINISH_H

#include "sched/worker.h"

/* The body of t returned `result` on worker w: complete it, wake who waits, drop the runtime's
 * reference. */
void rt_finish(struct rt_worker *w, struct skua_task *t, void *result);
/* The body will never run: its drop function is called. Returns the result: cancelled. */
void *rt_never_started(struct skua_task *t);
/* A fresh task that cannot be run: ends with err. */
void rt_refuse(struct rt_worker *w, struct skua_task *t, int err);

/* Drop one reference; frees the task with the last one. w may be NULL (plain thread). */
void rt_task_unref(struct rt_worker *w, struct skua_task *t);

#endif
