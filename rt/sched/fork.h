/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Forked jobs on their way to other workers; runq/jobs.h has the deque. */
#ifndef RT_SCHED_FORK_H
#define RT_SCHED_FORK_H

#include "runq/jobs.h"
#include "sched/worker.h"

/* Owner: nothing is shared any more and there are private jobs: share some, and wake somebody where
 * that is likely to pay. */
void rt_fork_share(struct rt_worker *w);

/* Owner: every job of the stack that is about to be left becomes a task of its own. */
void rt_fork_give_away(struct rt_worker *w);

/* A thief: a task, not queued anywhere, that runs a job of the victim; NULL: none. */
struct skua_task *rt_fork_steal(struct rt_worker *w, struct rt_worker *victim);

/* The task of a job cannot be run (no stack of its class): the job goes back to who joins it. */
void rt_fork_refuse(struct skua_task *t);

/* The task that joins: suspends until the job, which was given away, is DONE or handed back (KEPT).
 * No cancel ends it: one that comes meanwhile is pending afterwards. */
void rt_fork_wait(struct rt_fork *job);

#endif
