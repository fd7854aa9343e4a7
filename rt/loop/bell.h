/* SPDX-License-Identifier: MIT */
/* floor 4: loop. A ring that reaches a loop although others may poll its epoll.
 *
 * A loop sleeps in its epoll and is woken through an eventfd in it, edge-triggered. When another
 * thread polls the same epoll (its own one being held by a task, or napping), that poll may get the
 * edge of a ring that is meant for the owner, who has come back meanwhile and sleeps.
 *
 *   Owner                                       Server
 *    say that it sleeps        (seq_cst RMW)     its poll took a ring: say so (seq_cst RMW)
 *    a ring was taken: do not sleep              the owner sleeps: ring again
 *
 * Both write one word and then read the other's, so one of them sees the other. A mark that nobody
 * needed makes the owner's next sleep a short one.
 */
#ifndef RT_LOOP_BELL_H
#define RT_LOOP_BELL_H

#include <stdint.h>

#include "base/atomic.h"

struct rt_bell {
    RT_ATOMIC(uint32_t) asleep;
    RT_ATOMIC(uint32_t) taken;
};

/* The owner is up. */
static inline void rt_bell_up(struct rt_bell *b)
{
    rt_store_relaxed(&b->asleep, 0); /* relaxed: seeing it late costs a ring */
}

/* The owner, before it blocks. False: a ring was taken, it is up already. */
static inline int rt_bell_down(struct rt_bell *b)
{
    (void)rt_xchg_sc(&b->asleep, 1); /* pairs: BELL -> rt_bell_take */
    if (!rt_load_sc(&b->taken))      /* pairs: BELL <- rt_bell_take */
        return 1;
    (void)rt_xchg_sc(&b->taken, 0); /* an exchange: sees what the ringer wrote before */
    rt_bell_up(b);
    return 0;
}

/* A server whose poll returned the ring. True: ring again. */
static inline int rt_bell_take(struct rt_bell *b)
{
    (void)rt_xchg_sc(&b->taken, 1);        /* pairs: BELL -> rt_bell_down */
    return rt_load_sc(&b->asleep) != 0; /* pairs: BELL <- rt_bell_down */
}

#endif
