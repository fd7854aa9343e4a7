/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Suspending the current task: begin, tell wakers the name, park, undo. Every call
 * that suspends is written with these five.
 *
 *     uint64_t name;
 *     int r = rt_wait_begin(w, &name);          armed; wakers may learn the name now
 *     ...register name with wakers, rt_wait_timer()...
 *     r = rt_wait_park();                       suspended until one of them claims it
 *     ...unregister from the others; rt_wait_timer_end()...
 */
#ifndef RT_SCHED_WAIT_H
#define RT_SCHED_WAIT_H

#include "sched/worker.h"

/* A wait for tasks passes that many cancels on, then it takes one as its own: the tasks may await
 * one another in a ring, where each would come back for ever. */
enum { RT_PASS_MAX = 1024 };

/* The current task is about to wait. 0; -ECANCELED: a pending cancel is delivered instead (a pinned
 * task has made its trip through the queue for it); -ENOMEM. */
RT_MUST_USE int rt_wait_begin(struct rt_worker *w, uint64_t *ret_name);
/* The same, leaving a pending cancel pending: for waits that pass cancels on. */
RT_MUST_USE int rt_wait_begin_passing(struct rt_worker *w, uint64_t *ret_name);

/* Suspends. The claimer's value (0, ETIMEDOUT, EBADF...), or -ECANCELED. */
RT_MUST_USE int rt_wait_park(void);
/* As rt_wait_park; *ret_late says that the cancel came after the wake, whose result is lost, and
 * not instead. */
RT_MUST_USE int rt_wait_park_passing(bool *ret_late);

/* The wait turned out to be unnecessary: nobody is told any more. What rt_wait_park would have
 * returned if a waker had been faster, else 0. */
int rt_wait_abandon(uint64_t name);

/* The same where r says why nothing can be waited for. r, unless a cancel was faster. */
RT_MUST_USE int rt_wait_give_up(uint64_t name, int r);

/* The timer of the current wait. 0 or -ENOMEM; RT_NEVER arms nothing. */
RT_MUST_USE int rt_wait_timer(struct rt_worker *w, uint64_t deadline);
/* After the park, with its result. */
void rt_wait_timer_end(int result);

/* A whole leaf wait on the clock. 0, -ECANCELED, -ENOMEM. */
RT_MUST_USE int rt_wait_until(uint64_t deadline);

/* One trip through the ready queue, as sleep(0). 0 or -ECANCELED. */
RT_MUST_USE int rt_wait_turn(struct rt_worker *w);

/* The same for a pinned task that has a place in the queue already. */
RT_MUST_USE int rt_wait_queued(struct rt_worker *w);

/* The deadline of a timeout that a user gave: 0 and *ret_deadline, or -EINVAL. */
RT_MUST_USE int rt_deadline(struct rt_worker *w, double timeout, uint64_t *ret_deadline);

/* An operation that did not have to wait: a free task gives others a turn now and then. Pinned
 * tasks count I/O only. */
void rt_spend_budget(struct rt_worker *w, bool is_io);

/* A free task is about to wait for t. When t has not begun to run yet it probably lies at the
 * bottom of the deque of w, and goes first, newest first. What waits itself, and what has no body,
 * does not. */
static inline void rt_dive_for(struct rt_worker *w, struct skua_task *t, uint32_t picks)
{
    uint64_t word = rt_load_relaxed(&t->wait.bits); /* relaxed: a hint */
    if (!rt_task_is_future(t) && !t->group && rt_ww_phase(word) == RT_PHASE_RUNNING)
        w->dive += picks;
}

/* A cancel is about to be reported to the body of t. Returns -ECANCELED. */
int rt_delivered(struct skua_task *t);

#endif
