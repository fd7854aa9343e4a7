/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The seat of a runtime in the signal handler, and how its subscribers are told.
 *
 *   The handler, on any thread                  The end of the runtime
 *    count itself in           (seq_cst RMW)     take the descriptor off   (seq_cst RMW)
 *    none to ring: nothing to do                 somebody is counted: wait for him
 *    note the signal, then ring
 *    count itself out
 *
 * Both write one word and then read the other's: either the handler finds the seat empty, or it is
 * waited for. The handler may interrupt anything, so nothing here waits but the end.
 *
 * The watch empties its descriptor and then takes what was noted, so whoever notes too late for
 * that rings after it.
 */
#ifndef RT_SCHED_SIGSEAT_H
#define RT_SCHED_SIGSEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/sys.h"

struct rt_sigseat {
    RT_ATOMIC(uint64_t) wanted;   /* signals that somebody asked for */
    RT_ATOMIC(uint64_t) came;     /* noted, and not taken yet */
    RT_ATOMIC(int)      event_fd; /* 0: empty seat (the number 0 is never an eventfd of ours) */
    RT_ATOMIC(uint32_t) ringers;  /* handlers, on any thread, that may be about to ring it */
};

/* An empty seat. */
static inline void rt_sigseat_take(struct rt_sigseat *s, int event_fd)
{
    rt_store_relaxed(&s->came, 0); /* relaxed, both: nobody looks before event_fd is set */
    rt_store_relaxed(&s->wanted, 0);
    rt_store_release(&s->event_fd, event_fd); /* pairs: SIGNAL -> rt_sigseat_ring */
}

/* Before the handler is installed for them. */
static inline void rt_sigseat_want(struct rt_sigseat *s, uint64_t signals)
{
    (void)rt_or_acq_rel(&s->wanted, signals); /* pairs: SIGNAL -> rt_sigseat_ring, by sigaction */
}

/* The handler. The descriptor is closed when the runtime has ended, and not before those who may
 * have its number have left. */
static inline void rt_sigseat_ring(struct rt_sigseat *s, uint64_t signal)
{
    if (!(rt_load_relaxed(&s->wanted) & signal)) /* relaxed: set before the handler is */
        return;
    (void)rt_add_sc(&s->ringers, 1);   /* pairs: SIGNAL -> rt_sigseat_leave */
    int fd = rt_load_sc(&s->event_fd); /* pairs: SIGNAL <- rt_sigseat_take, rt_sigseat_leave */
    if (fd != 0) {
        (void)rt_or_acq_rel(&s->came, signal); /* pairs: SIGNAL -> rt_sigseat_came */
        (void)!rt_sys_eventfd_ring(fd);
    }
    (void)rt_sub_acq_rel(&s->ringers, 1); /* pairs: SIGNAL -> rt_sigseat_leave */
}

/* The watch, its descriptor emptied: what came since the last look. */
static inline uint64_t rt_sigseat_came(struct rt_sigseat *s)
{
    return rt_xchg_acq_rel(&s->came, 0); /* pairs: SIGNAL <- rt_sigseat_ring */
}

/* Afterwards nobody rings the descriptor, and the seat is empty. */
static inline void rt_sigseat_leave(struct rt_sigseat *s)
{
    (void)rt_xchg_sc(&s->event_fd, 0);  /* pairs: SIGNAL -> rt_sigseat_ring */
    while (rt_load_sc(&s->ringers) > 0) /* pairs: SIGNAL <- rt_sigseat_ring */
        (void)!rt_sys_sched_yield();
}

/* --- the mark that a subscriber's step is on its way --- */

/* Under the lock of the subscribers. True: post the step; else what was noted is seen by one that
 * has not begun. */
static inline bool rt_signal_tell(RT_ATOMIC(uint32_t) *queued)
{
    return !rt_xchg_acq_rel(queued, 1); /* pairs: SIGNAL <- rt_signal_step_begin */
}

/* The step, before it does anything: what is noted from now on posts it again. */
static inline void rt_signal_step_begin(RT_ATOMIC(uint32_t) *queued)
{
    (void)rt_xchg_acq_rel(queued, 0); /* pairs: SIGNAL -> rt_signal_tell */
}

/* By whoever has unsubscribed: the step has still to run. */
static inline bool rt_signal_step_is_queued(RT_ATOMIC(uint32_t) *queued)
{
    return rt_load_acquire(queued); /* pairs: SIGNAL <- rt_signal_tell */
}

#endif
