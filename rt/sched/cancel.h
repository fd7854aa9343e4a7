/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Cancelling: counted, edge-triggered, delivered at a wait. docs/cancellation.md
 * tells the whole. */
#ifndef RT_SCHED_CANCEL_H
#define RT_SCHED_CANCEL_H

#include "task/task.h"

/* Any thread. Requests that the task be cancelled (a future is completed as cancelled). False: it
 * was done. */
bool rt_cancel(struct skua_task *t);

/* The same for what `from` waits for: the text of the request goes along. */
bool rt_cancel_pass(struct skua_task *from, struct skua_task *to);

/* On the thread of the task's group: a request that was posted there takes its turn. */
void rt_cancel_posted(struct skua_task *t);

/* The task itself: its requests without the last one, if that is pending or on its way: it is still
 * to be felt, and counts for what begins now. */
uint32_t rt_cancels_felt(struct skua_task *me);

/* Takes a request back; a last one that has not been felt is forgotten. Returns how many are
 * left. */
uint32_t rt_cancel_take_back(struct skua_task *t);

/* Leaves a cancel pending on a task that is running or ready: delivered at its next wait. */
void rt_cancel_pend(struct skua_task *t);

/* Completes a future, or does nothing and returns false when it is done or being completed. Any
 * thread. */
bool rt_future_complete(struct skua_task *f, void *result);
/* The same where its runtime is certain to be there. */
bool rt_future_end(struct skua_task *f, void *result);

#endif
