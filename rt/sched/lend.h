/* SPDX-License-Identifier: MIT */
/* floor 5: sched. A worker that would only doze off lends its loop to another one.
 *
 * Where requests come faster than a thread falls asleep and is woken, and slower than all workers
 * together answer them, each sleeps and wakes for every few of them. A worker whose sleeps are that
 * short naps instead: for a millisecond at a time it waits for rings and its timers only, and a
 * helper polls its epoll together with the own one (loop/loan.h). A helper that has too much to do
 * recalls it.
 *
 * No event depends on the helper: a nap is short, and one in which the helper did not come ends
 * with a poll of the own epoll. Polling that of another one is what is done for workers that are
 * held, and safe for the same reasons (sched/rescue.h). A helper that is held itself costs an event
 * one nap.
 */
#ifndef RT_SCHED_LEND_H
#define RT_SCHED_LEND_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "runq/link.h"

struct rt_worker;

/* What a worker has learnt of its sleeps. */
struct rt_lend {
    uint32_t            patience; /* short sleeps before it naps; its own */
    uint64_t            stay_up;  /* until when it does not: it was recalled; its own */
    /* of a helper, which asks now and then whether it copes; its own */
    uint64_t            asked;   /* when it did last */
    uint64_t            slept;   /* how often its thread had slept by then */
    int64_t             work;    /* what it had done by then, on trial with its partner */
    uint64_t            alone;   /* a second, without its partner */
    uint64_t            content; /* until when it recalls nobody */
    struct rt_worker   *partner; /* a lender that was recalled, on trial */
    RT_ATOMIC(uint32_t) shorts;   /* sleeps lately, long ones halve it; it writes, others read */
    RT_ATOMIC(uint32_t) served;   /* times that a helper found something; others write */
    RT_ATOMIC(uint32_t) recalled; /* the helper does not cope; it writes, the lender clears */
};

void rt_lend_init(struct rt_worker *w);

/* --- the lender, on a loop stack --- */

/* Before it parks: who may look after its loop; NULL: sleep as usual. */
struct rt_worker *rt_lend_choose(struct rt_worker *w);
/* Parked: naps. False: the helper does not help, sleep as usual. */
bool rt_lend_nap(struct rt_worker *w, struct rt_worker *helper, int64_t timeout_ns,
                 struct rt_fifo *out);
/* After a sleep as usual, with what it ended with. */
void rt_lend_learn(struct rt_worker *w, uint64_t slept_ns, const struct rt_fifo *found);

/* --- the helper, on a loop stack --- */

/* Parked: polls for its lenders. */
void rt_lend_serve(struct rt_worker *w, struct rt_fifo *out);
/* In looking around: the same, and recalls one when it has too much to do. */
void rt_lend_look(struct rt_worker *w, struct rt_fifo *out);
/* Parked: sleeps in the own epoll and in those of its lenders. */
void rt_lend_sleep(struct rt_worker *w, int64_t timeout_ns, struct rt_fifo *out);
/* Parked: their epolls. Returns how many, RT_LOAN_SEATS at most. */
unsigned rt_lend_list(struct rt_worker *w, struct pollfd *fds);

#endif
