/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Who sleeps, who searches, and who wakes whom.
 *
 * Waking a thread that sleeps on another core costs as much as thousands of spawns, so at most one
 * worker searches at a time and a sleeper is woken only when nobody searches. The argument that no
 * work is left lying while everybody sleeps:
 *
 *   Submitter                                   Sleeper
 *    S1 publish the work   (seq_cst RMW)         P1 set my bit in `parked`        (seq_cst RMW)
 *    S2 load `searching`; not 0: done            P2 if I searched: searching -= 1 (seq_cst RMW)
 *    S3 load `parked`; no bit: done              P3 look at every queue again     (seq_cst loads)
 *    S4 searching: CAS 0 -> 1, or done           P4 found: clear my bit, go on; nothing: block
 *    S5 clear a bit by RMW: won it: ring         P5 found, and I had searched: search again
 *       lost it: searching -= 1, back to S2         (rt_idle_search) before running anything
 *
 * All of these are sequentially consistent, so there is one order of them.
 *  - S3 sees no bit: every sleeper's P1 comes after S3, hence after S1, and its P3 sees the work.
 *  - S2 sees a searcher: that searcher leaves by P2 (or rt_idle_found, or S5) after S2, and looks
 *    again after that: at every queue (P3, rt_idle_found's caller) or at `parked` (S5 goes back to
 *    S2). P5 is for the searcher whose P3 finds work of its own: that may be long, and shared work
 *    published before P2 would lie beside a sleeper. Searching again, it leaves by rt_idle_found,
 *    which looks.
 *  - S5 rings: the woken worker counts as searching from S4 on, and looks everywhere.
 * A bit is cleared exactly once: by the waker, which then owns the right to ring that worker once
 * (so at most one such ring is in flight for each sleeper), or by the sleeper itself. Other rings,
 * sched/lend.h, only make it look again.
 */
#ifndef RT_SCHED_IDLE_H
#define RT_SCHED_IDLE_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

#ifndef RT_WORKERS_MAX
#define RT_WORKERS_MAX 256
#endif
#define RT_IDLE_WORDS ((RT_WORKERS_MAX + 63) / 64)

struct rt_idle {
    /* workers that look for work, woken ones included */
    RT_CACHELINE RT_ATOMIC(uint32_t) searching;
    /* bit of each worker that sleeps or is about to */
    RT_CACHELINE RT_ATOMIC(uint64_t) parked[RT_IDLE_WORDS];
};

/* P1 and P2. After it: look at every queue again, then block, or rt_idle_unpark and go on; when
 * that returns false and this worker was searching, rt_idle_search before running anything (P5). */
static inline void rt_idle_park(struct rt_idle *i, unsigned worker, int was_searching)
{
    /* pairs: IDLE -> rt_idle_pick */
    (void)rt_or_sc(&i->parked[worker / 64], (uint64_t)1 << (worker % 64));
    if (was_searching)
        (void)rt_sub_sc(&i->searching, 1);
}

/* The sleeper is up again, for whatever reason. True: a waker had cleared the bit, so this worker
 * counts as searching; false: it cleared the bit itself and does not. */
static inline int rt_idle_unpark(struct rt_idle *i, unsigned worker)
{
    uint64_t bit = (uint64_t)1 << (worker % 64);
    return (rt_and_sc(&i->parked[worker / 64], ~bit) & bit) == 0;
}

/* May I search? At most one does. */
static inline int rt_idle_search(struct rt_idle *i)
{
    uint32_t none = 0;
    return rt_load_relaxed(&i->searching) == 0 && rt_cas_sc(&i->searching, &none, 1);
}

/* A searcher found work and stops searching. True: it was the last one, so it has to look whether
 * there is more work and, if so, call rt_idle_pick as a submitter does. */
static inline int rt_idle_found(struct rt_idle *i)
{
    return rt_sub_sc(&i->searching, 1) == 1;
}

/* S2 to S5, after S1: the worker to ring, or -1. */
static inline int rt_idle_pick(struct rt_idle *i)
{
again:
    if (rt_load_sc(&i->searching) != 0)
        return -1;
    for (unsigned k = 0; k < RT_IDLE_WORDS; k++) {
        uint64_t word = rt_load_sc(&i->parked[k]); /* pairs: IDLE <- rt_idle_park */
        if (!word)
            continue;
        uint32_t none = 0;
        if (!rt_cas_sc(&i->searching, &none, 1))
            return -1;
        unsigned bit = (unsigned)__builtin_ctzll(word);
        if (rt_and_sc(&i->parked[k], ~((uint64_t)1 << bit)) & ((uint64_t)1 << bit))
            return (int)(k * 64 + bit);
        (void)rt_sub_sc(&i->searching, 1);
        goto again;
    }
    return -1;
}

/* Does this one sleep, or is about to? */
static inline int rt_idle_is_parked(struct rt_idle *i, unsigned worker)
{
    /* pairs: IDLE <- rt_idle_park */
    return (int)(rt_load_sc(&i->parked[worker / 64]) >> (worker % 64) & 1);
}

/* A worker that sleeps or is about to, or -1: a hint for who decides whether a ring would pay. */
static inline int rt_idle_peek(struct rt_idle *i)
{
    for (unsigned k = 0; k < RT_IDLE_WORDS; k++) {
        uint64_t word = rt_load_relaxed(&i->parked[k]); /* relaxed: a hint */
        if (word)
            return (int)(k * 64 + (unsigned)__builtin_ctzll(word));
    }
    return -1;
}

/* Work for one worker only, after a seq_cst push to its inbox: the worker to ring, or -1. Usually
 * that very worker; another one only when this call stood in the way of a submitter for a
 * moment. */
static inline int rt_idle_pick_this(struct rt_idle *i, unsigned worker)
{
    uint64_t bit = (uint64_t)1 << (worker % 64);
    if (!(rt_load_sc(&i->parked[worker / 64]) & bit)) /* pairs: IDLE <- rt_idle_park */
        return -1;
    (void)rt_add_sc(&i->searching, 1); /* a woken worker counts as searching */
    if (rt_and_sc(&i->parked[worker / 64], ~bit) & bit)
        return (int)worker;
    (void)rt_sub_sc(&i->searching, 1);
    return rt_idle_pick(i);
}

#endif
