/* SPDX-License-Identifier: MIT */
/* floor 1: runq. The injector: ready free tasks that belong to no worker. A lock and two lists,
 * whose length is readable without the lock.
 *
 * What plain threads spawn is a list of items. The older half of a full deque is a block of
 * pointers, handed in and taken out as a whole: a list would have to be walked through objects that
 * are cold by then, one cache miss after the other, and under the lock.
 */
#ifndef RT_RUNQ_INJECT_H
#define RT_RUNQ_INJECT_H

#include "base/lock.h"
#include "runq/link.h"

enum { RT_INJECT_BLOCK = 510 }; /* a block is one page */

/* Allocated by whoever fills it, freed by whoever empties it. */
struct rt_inject_block {
    struct rt_inject_block *next;
    size_t                  count;
    uintptr_t               entry[RT_INJECT_BLOCK]; /* oldest first; meaning is the caller's */
};

struct rt_inject {
    struct rt_lock          lock;
    struct rt_fifo          fifo;
    struct rt_inject_block *first; /* of the blocks; under lock, all three */
    struct rt_inject_block *last;
    RT_ATOMIC(uint64_t)     length; /* written under lock; seq_cst, for a sleeper's last look */
};

void rt_inject_init(struct rt_inject *q);
/* Nobody uses it any more: frees the blocks that are left. */
void rt_inject_fini(struct rt_inject *q);
/* Any thread: append everything of `batch`, which is empty afterwards. */
void rt_inject_push(struct rt_inject *q, struct rt_fifo *batch);
/* Any thread: append a block, which is the injector's from now on. */
void rt_inject_push_block(struct rt_inject *q, struct rt_inject_block *block);
/* Any thread: move up to `max` of the oldest items to `out`. Returns how many. */
size_t rt_inject_take(struct rt_inject *q, size_t max, struct rt_fifo *out);
/* Any thread: the oldest block, or NULL. */
struct rt_inject_block *rt_inject_take_block(struct rt_inject *q);

static inline uint64_t rt_inject_length(struct rt_inject *q)
{
    return rt_load_sc(&q->length); /* pairs: IDLE <- add */
}

#endif
