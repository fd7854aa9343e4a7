/* SPDX-License-Identifier: MIT */
/* floor 3: task. The wait word: one suspension of one task, many wakers, one winner.
 *
 *   63                       24 23          3  2   1 0
 *   +--------------------------+-------------+---+-----+
 *   | ticket                   | value       | C |phase|
 *   +--------------------------+-------------+---+-----+
 *
 * A suspension is named by 64 bits: its ticket and the slot of its task (24 bits, in the place of
 * value, C and phase). Wakers keep names, never pointers into a stack. Whoever moves the phase from
 * ARMED or PARKED to RUNNING with the right ticket has *claimed* the wait: it alone makes the task
 * ready, and touches nothing else of it. A late name fails, because tickets only grow and task
 * objects are never unmapped.
 *
 * Phases, by who owns the stack:
 *   RUNNING  the task owns its stack and runs, or is ready to; `value` is what the last claimer
 *            left.
 *   ARMED    wakers may know the name, but the task has not left its stack yet: the claimer must
 *            not queue it, the leaver finds the claim when it tries to park and queues the task
 *            itself.
 *   PARKED   the stack has been left: the claimer queues the task.
 *   INLINE   the task waits for a child that runs as a plain call on the same stack; nobody can
 *            claim it. `value` counts cancellers that are busy with the child (see task/cancel.c).
 * C, the pending cancel: a cancel request that found no wait to end; delivered at the next one.
 *
 * A pinned task is queued and run by one thread only, so it is PARKED as soon as it is armed:
 * whoever claims it hands it to that thread, which cannot look before the stack has been left.
 */
#ifndef RT_TASK_WAITWORD_H
#define RT_TASK_WAITWORD_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

enum rt_phase {
    RT_PHASE_RUNNING = 0,
    RT_PHASE_ARMED = 1,
    RT_PHASE_PARKED = 2,
    RT_PHASE_INLINE = 3
};

#define RT_WW_PHASE      ((uint64_t)3)
#define RT_WW_CANCEL     ((uint64_t)4)
#define RT_WW_VALUE_BIT  3
#define RT_WW_VALUE_MASK ((uint64_t)0xfffff8)
#define RT_WW_TICKET_BIT 24
#define RT_WW_TICKET_ONE ((uint64_t)1 << RT_WW_TICKET_BIT)
#define RT_WW_TICKET     (~(RT_WW_TICKET_ONE - 1))

struct rt_waitword {
    RT_ATOMIC(uint64_t) bits;
};

enum rt_claim {
    RT_CLAIM_STALE,   /* somebody else won, or the wait is long over                */
    RT_CLAIM_NOTHING, /* won; the task has not left its stack: its leaver queues it */
    RT_CLAIM_SUBMIT,  /* won; the caller makes the task ready, once                 */
};

static inline uint64_t rt_ww_ticket(uint64_t word)
{
    return word & RT_WW_TICKET;
}

static inline enum rt_phase rt_ww_phase(uint64_t word)
{
    return (enum rt_phase)(word & RT_WW_PHASE);
}

static inline unsigned rt_ww_value(uint64_t word)
{
    return (unsigned)((word & RT_WW_VALUE_MASK) >> RT_WW_VALUE_BIT);
}

/* The ticket after that of `word`. 0 is no ticket: a slot that has used up all 2^40 begins at 1. */
static inline uint64_t rt_ww_next_ticket(uint64_t word)
{
    uint64_t ticket = rt_ww_ticket(word) + RT_WW_TICKET_ONE;
    return RT_LIKELY(ticket) ? ticket : RT_WW_TICKET_ONE;
}

/* The task itself: begin a suspension. Returns its ticket, or 0 when a cancel is pending (it stays
 * pending). Call before any waker learns the name. */
static inline uint64_t rt_ww_arm(struct rt_waitword *w)
{
    /* relaxed: only cancellers write while RUNNING; the CAS decides */
    uint64_t old = rt_load_relaxed(&w->bits);
    uint64_t now;
    do {
        if (RT_UNLIKELY(old & RT_WW_CANCEL))
            return 0;
        now = rt_ww_next_ticket(old) | RT_PHASE_ARMED;
    } while (!rt_cas_acq_rel(&w->bits, &old, now)); /* pairs: WAIT -> rt_ww_claim */
    return rt_ww_ticket(now);
}

/* As rt_ww_arm, for a pinned task: every cancel comes from its own thread, so a plain store
 * does. */
static inline uint64_t rt_ww_arm_pinned(struct rt_waitword *w)
{
    uint64_t old = rt_load_relaxed(&w->bits); /* relaxed: nobody else writes while RUNNING */
    if (RT_UNLIKELY(old & RT_WW_CANCEL))
        return 0;
    uint64_t now = rt_ww_next_ticket(old) | RT_PHASE_PARKED;
    rt_store_release(&w->bits, now); /* pairs: WAIT -> rt_ww_claim */
    return rt_ww_ticket(now);
}

/* Whoever comes off the stack that the task has left: true = parked; false = already claimed, queue
 * it. */
static inline int rt_ww_park(struct rt_waitword *w)
{
    uint64_t old = rt_load_relaxed(&w->bits); /* relaxed: the CAS decides */
    while (rt_ww_phase(old) == RT_PHASE_ARMED) {
        if (rt_cas_acq_rel(&w->bits, &old, old ^ RT_PHASE_ARMED ^ RT_PHASE_PARKED))
            return 1; /* pairs: WAIT -> rt_ww_claim */
    }
    return 0;
}

/* Any thread: claim the suspension with this ticket. At most one caller ever gets NOTHING or
 * SUBMIT. */
static inline enum rt_claim rt_ww_claim(struct rt_waitword *w, uint64_t ticket, unsigned value)
{
    uint64_t old = rt_load_relaxed(&w->bits); /* relaxed: the CAS decides */
    for (;;) {
        enum rt_phase phase = rt_ww_phase(old);
        if (rt_ww_ticket(old) != ticket || (phase != RT_PHASE_ARMED && phase != RT_PHASE_PARKED))
            return RT_CLAIM_STALE;
        uint64_t now = ticket | ((uint64_t)value << RT_WW_VALUE_BIT) | (old & RT_WW_CANCEL) |
                       RT_PHASE_RUNNING;
        /* pairs: WAIT <- rt_ww_park, WAKE -> rt_ww_finish */
        if (rt_cas_acq_rel(&w->bits, &old, now))
            return phase == RT_PHASE_ARMED ? RT_CLAIM_NOTHING : RT_CLAIM_SUBMIT;
    }
}

/* Any thread, free tasks: deliver a cancel now if the task waits, else leave it pending. STALE
 * means pending (or INLINE: then nothing was done, see *ret_word). */
static inline enum rt_claim rt_ww_cancel(struct rt_waitword *w, unsigned value, uint64_t *ret_word)
{
    uint64_t old = rt_load_relaxed(&w->bits); /* relaxed: the CAS decides */
    for (;;) {
        enum rt_phase phase = rt_ww_phase(old);
        uint64_t      now = old | RT_WW_CANCEL;
        *ret_word = old;
        if (phase == RT_PHASE_INLINE)
            return RT_CLAIM_STALE;
        if (phase != RT_PHASE_RUNNING)
            now = rt_ww_ticket(old) | ((uint64_t)value << RT_WW_VALUE_BIT) | RT_PHASE_RUNNING;
        if (rt_cas_acq_rel(&w->bits, &old, now)) { /* pairs: WAKE -> rt_ww_finish */
            if (phase == RT_PHASE_RUNNING)
                return RT_CLAIM_STALE;
            return phase == RT_PHASE_ARMED ? RT_CLAIM_NOTHING : RT_CLAIM_SUBMIT;
        }
    }
}

/* The task itself, running again: the claimer's value; *ret_cancel says whether a cancel came after
 * the claim (it is taken off the word: the caller delivers it). */
static inline unsigned rt_ww_finish(struct rt_waitword *w, int *ret_cancel)
{
    uint64_t word = rt_load_acquire(&w->bits); /* pairs: WAKE <- rt_ww_claim */
    *ret_cancel = 0;
    if (RT_UNLIKELY(word & RT_WW_CANCEL)) {
        (void)rt_and_acq_rel(&w->bits, ~RT_WW_CANCEL);
        *ret_cancel = 1;
    }
    return rt_ww_value(word);
}

/* The task itself: is a cancel pending? Taking it off is rt_ww_drop_cancel. */
static inline int rt_ww_cancel_pending(struct rt_waitword *w)
{
    /* relaxed: a late view is a later cancel */
    return (rt_load_relaxed(&w->bits) & RT_WW_CANCEL) != 0;
}

static inline int rt_ww_drop_cancel(struct rt_waitword *w)
{
    if (!rt_ww_cancel_pending(w))
        return 0;
    return (rt_and_acq_rel(&w->bits, ~RT_WW_CANCEL) & RT_WW_CANCEL) != 0;
}

/* Any thread, the task never runs again: ends the suspension with this ticket, claimed or not, for
 * nobody. From now on its name is told apart from that of a task which has yet to run. */
static inline void rt_ww_retire(struct rt_waitword *w, uint64_t ticket)
{
    uint64_t old = rt_load_relaxed(&w->bits); /* relaxed: the CAS decides */
    while (rt_ww_ticket(old) == ticket && rt_ww_phase(old) != RT_PHASE_INLINE) {
        if (rt_cas_acq_rel(&w->bits, &old, rt_ww_next_ticket(old) | RT_PHASE_RUNNING))
            return; /* pairs: WAIT -> rt_ww_claim */
    }
}

/* --- waiting for a child that runs on the same stack; only after the child suspended --- */

/* On the waiting task's own stack: RUNNING -> INLINE, keeping a pending cancel. */
static inline void rt_ww_inline_enter(struct rt_waitword *w)
{
    uint64_t old = rt_load_relaxed(&w->bits); /* relaxed: the CAS decides */
    while (!rt_cas_acq_rel(&w->bits, &old,
                           (old & (RT_WW_TICKET | RT_WW_CANCEL)) | RT_PHASE_INLINE)) {
    } /* pairs: INLINE -> rt_ww_inline_visit */
}

/* A canceller: enter while the child is certainly alive. False when the wait is over. */
static inline int rt_ww_inline_visit(struct rt_waitword *w)
{
    uint64_t old = rt_load_acquire(&w->bits); /* pairs: INLINE <- rt_ww_inline_enter */
    while (rt_ww_phase(old) == RT_PHASE_INLINE) {
        if (rt_cas_acq_rel(&w->bits, &old, old + ((uint64_t)1 << RT_WW_VALUE_BIT)))
            return 1;
    }
    return 0;
}

/* The canceller leaves; `pend` leaves the cancel pending on the waiting task (its child was
 * done). */
static inline void rt_ww_inline_unvisit(struct rt_waitword *w, int pend)
{
    uint64_t old = rt_load_relaxed(&w->bits); /* relaxed: the CAS decides */
    uint64_t now;
    do {
        now = (old - ((uint64_t)1 << RT_WW_VALUE_BIT)) | (pend ? RT_WW_CANCEL : 0);
    } while (!rt_cas_acq_rel(&w->bits, &old, now)); /* pairs: VISIT -> rt_ww_inline_leave */
}

/* The waiting task, its child done: INLINE -> RUNNING. False while a canceller is inside: try
 * again. */
static inline int rt_ww_inline_leave(struct rt_waitword *w)
{
    uint64_t old = rt_load_relaxed(&w->bits); /* relaxed: the CAS decides */
    while ((old & RT_WW_VALUE_MASK) == 0) {
        /* pairs: VISIT <- rt_ww_inline_unvisit */
        if (rt_cas_acq_rel(&w->bits, &old, old & (RT_WW_TICKET | RT_WW_CANCEL)))
            return 1;
    }
    return 0;
}

#endif
