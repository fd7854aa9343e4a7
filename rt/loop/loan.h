/* SPDX-License-Identifier: MIT */
/* floor 4: loop. A loop that is lent: its owner sleeps and does not poll it, another one does.
 *
 * A helper has a few seats, in which those who lend to it enter themselves. Nobody helps who has
 * lent his own loop, else nobody would look after the loops of his lenders; and a helper that
 * sleeps does so in the epolls of all of them.
 *
 *   Lender                                      Helper, before it lends its own loop
 *    say that it lends         (seq_cst RMW)     say that it lends          (seq_cst RMW)
 *    enter a seat              (seq_cst RMW)     somebody is in a seat: do not
 *    the helper lends: leave
 *                                               Helper, before it sleeps
 *    the helper sleeps: ring it                  say that it sleeps         (seq_cst RMW)
 *                                                look into its seats        (seq_cst load)
 *
 * Each time both write one word and then read the other's, so one of them sees the other.
 */
#ifndef RT_LOOP_LOAN_H
#define RT_LOOP_LOAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

enum { RT_LOAN_SEATS = 4, RT_LOAN_BITS = 16 };

struct rt_loan {
    RT_ATOMIC(uint64_t) seats; /* 1 + the number of who lends to it, each */
    RT_ATOMIC(uint32_t) lent;  /* it is lent itself */
};

/* 1 + the number of who is there, or 0. */
static inline unsigned rt_loan_seat(uint64_t seats, unsigned seat)
{
    return (unsigned)(seats >> (seat * RT_LOAN_BITS)) & 0xffff;
}

/* Might it help? A hint. */
static inline bool rt_loan_has_room(struct rt_loan *l)
{
    uint64_t seats = rt_load_relaxed(&l->seats); /* relaxed, both: rt_loan_begin decides */
    for (unsigned seat = 0; seat < RT_LOAN_SEATS; seat++)
        if (rt_loan_seat(seats, seat) == 0)
            return !rt_load_relaxed(&l->lent);
    return false;
}

static inline bool rt_loan_enter(struct rt_loan *helper, unsigned me)
{
    uint64_t old = rt_load_relaxed(&helper->seats); /* relaxed: the CAS decides */
    unsigned seat = 0;
    while (seat < RT_LOAN_SEATS) {
        uint64_t with = old | (uint64_t)(me + 1) << (seat * RT_LOAN_BITS);
        if (rt_loan_seat(old, seat) != 0)
            seat++;
        else if (rt_cas_sc(&helper->seats, &old, with)) /* pairs: LOAN -> rt_loan_seats */
            return true;
        else
            seat = 0;
    }
    return false;
}

static inline void rt_loan_leave(struct rt_loan *helper, unsigned me)
{
    uint64_t seats = rt_load_relaxed(&helper->seats); /* relaxed: nobody else takes it out */
    for (unsigned seat = 0; seat < RT_LOAN_SEATS; seat++)
        if (rt_loan_seat(seats, seat) == me + 1)
            (void)rt_and_sc(&helper->seats, ~((uint64_t)0xffff << (seat * RT_LOAN_BITS)));
}

/* Who looks after others: which loops. */
static inline uint64_t rt_loan_seats(struct rt_loan *l)
{
    return rt_load_sc(&l->seats); /* pairs: LOAN <- rt_loan_enter */
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
    if (rt_loan_seats(l) == 0 && rt_loan_enter(helper, me)) {
        if (!rt_load_sc(&helper->lent)) /* pairs: LOAN <- rt_loan_begin */
            return true;
        rt_loan_leave(helper, me);
    }
    rt_store_relaxed(&l->lent, 0); /* relaxed: seen late, it costs a helper */
    return false;
}

#endif
