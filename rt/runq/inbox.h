/* SPDX-License-Identifier: MIT */
/* floor 1: runq. Inbox: what other threads hand to one worker. Lock-free: many push, one takes.
 *
 * Who runs what:  push: any thread, in parallel with everything.  take: the owner, and of the inbox
 * of free tasks also whoever serves a worker that is held, at the same time: each exchange takes a
 * chain of its own, and the order of items is kept within a chain.
 * A push onto an empty inbox returns true: that producer, and no other, has to see to it that the
 * worker looks. The taker empties the inbox with one exchange, so a later push is again "onto an
 * empty inbox". There is no ABA: nobody ever takes a single element.
 */
#ifndef RT_RUNQ_INBOX_H
#define RT_RUNQ_INBOX_H

#include "runq/link.h"

struct rt_inbox {
    RT_ATOMIC(uintptr_t) head; /* the newest item; items chain to older ones */
};

/* Any thread. True when the inbox was empty. Sequentially consistent: the caller looks for a
 * sleeper next, and the sleeper announces itself before it looks here a last time (see
 * sched/idle.h). */
static inline int rt_inbox_push(struct rt_inbox *b, uintptr_t item)
{
    struct rt_link *link = rt_item_link(item);
    uintptr_t       old = rt_load_relaxed(&b->head); /* relaxed: only a guess for the CAS */
    do {
        RT_VAR_SET(link->next, old);
    } while (!rt_cas_sc(&b->head, &old, item)); /* pairs: INBOX -> rt_inbox_take */
    return old == 0;
}

/* Any thread: is there something? Sequentially consistent, for the sleeper's last look. */
static inline int rt_inbox_has(struct rt_inbox *b)
{
    return rt_load_sc(&b->head) != 0; /* pairs: IDLE <- rt_inbox_push */
}

/* The taker: everything, oldest first, as a chain of items; 0 = nothing. */
static inline uintptr_t rt_inbox_take(struct rt_inbox *b)
{
    if (!rt_load_relaxed(&b->head)) /* relaxed: a miss is found by the next look */
        return 0;
    uintptr_t item = rt_xchg_acquire(&b->head, 0); /* pairs: INBOX <- rt_inbox_push */
    uintptr_t reversed = 0;
    while (item) {
        struct rt_link *link = rt_item_link(item);
        uintptr_t       older = RT_VAR_GET(link->next);
        RT_VAR_SET(link->next, reversed);
        reversed = item;
        item = older;
    }
    return reversed;
}

#endif
