/* SPDX-License-Identifier: MIT */
/* floor 4: loop. A loop that is lent: its owner sleeps and does not poll it, another one does.
 *
 * A helper has a few lanes, in which those who lend to it enter themselves. Nobody helps who has
 * lent his own loop, else nobody would look after the loops of his lenders; and a helper that
 * sleeps does so in the epolls of all of them.
 *
 *   Lender                                      Helper, before it lends its own loop
 *    say that it lends         (seq_cst RMW)     say that it lends          (seq_cst RMW)
 *    enter a lane              (seq_cst RMW)     somebody is in a lane: do not
 *    the helper lends: leave
 *                                               Helper, before it sleeps
 *    the helper sleeps: ring it                  say that it sleeps         (seq_cst RMW)
 *                                                look into its lanes        (seq_cst load)
 *
 * Each time both write one word and then read the other's, so one of them sees the other.
 */
#ifndef RT_LOOP_LOAN_H
#define RT_LOOP_LOAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

enum { RT_LOAN_LANES = 4, RT_LOAN_BITS = 16 };

struct rt_loan {
    RT_ATOMIC(uint64_t) lanes; /* 1 + the number of who lends to it, each */
    RT_ATOMIC(uint32_t) lent;  /* it is lent itself */
};

/* 1 + the number of who is there, or 0. */
static inline unsigned rt_loan_lane(uint64_t lanes, unsigned lane)
{
    return (unsigned)(lanes >> (lane * RT_LOAN_BITS)) & 0xffff;
}

static inline bool rt_loan_enter(struct rt_loan *helper, unsigned me)
{
    uint64_t old = rt_load_relaxed(&helper->lanes); /* relaxed: the CAS decides */
    unsigned lane = 0;
    while (lane < RT_LOAN_LANES) {
        uint64_t with = old | (uint64_t)(me + 1) << (lane * RT_LOAN_BITS);
        if (rt_loan_lane(old, lane) != 0)
            lane++;
        else if (rt_cas_sc(&helper->lanes, &old, with)) /* pairs: LOAN -> rt_loan_lanes */
            return true;
        else
            lane = 0;
    }
    return false;
}

static inline void rt_loan_leave(struct rt_loan *helper, unsigned me)
{
    uint64_t lanes = rt_load_relaxed(&helper->lanes); /* relaxed: nobody else takes it out */
    for (unsigned lane = 0; lane < RT_LOAN_LANES; lane++)
        if (rt_loan_lane(lanes, lane) == me + 1)
            (void)rt_and_sc(&helper->lanes, ~((uint64_t)0xffff << (lane * RT_LOAN_BITS)));
}

/* Who looks after others: which loops. */
static inline uint64_t rt_loan_lanes(struct rt_loan *l)
{
    return rt_load_sc(&l->lanes); /* pairs: LOAN <- rt_loan_enter */
}

static inline void rt_loan_end(struct rt_loan *l, struct rt_loan *helper, unsigned me)
{
    rt_loan_leave(helper, me);
    rt_store_relaxed(&l->lent, 0); /* relaxed: seen late, it costs a helper */
}

/* The owner of l, number me. True: lent, until rt_loan_end; then, if the helper sleeps, ring it. */
static inline bool rt_loan_begin(struct rt_loan *l, struct rt_loan *helper, unsigned me)
{
    (void)rt_xchg_sc(&l->lent, 1); /* pairs: LOAN -> rt_loan_begin */
    if (rt_loan_lanes(l) == 0 && rt_loan_enter(helper, me)) {
        if (!rt_load_sc(&helper->lent)) /* pairs: LOAN <- rt_loan_begin */
            return true;
        rt_loan_leave(helper, me);
    }
    rt_store_relaxed(&l->lent, 0); /* relaxed: seen late, it costs a helper */
    return false;
}

#endif
