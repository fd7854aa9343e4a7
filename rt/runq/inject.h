/* SPDX-License-Identifier: MIT */
/* floor 1: runq. The injector: ready free tasks that belong to no worker (spawned by plain threads,
 * or the older half of a full deque). A lock and a list; length readable without the lock. */
#ifndef RT_RUNQ_INJECT_H
#define RT_RUNQ_INJECT_H

#include "base/lock.h"
#include "runq/link.h"

struct rt_inject {
    struct rt_lock      lock;
    struct rt_fifo      fifo;   /* under lock */
    RT_ATOMIC(uint64_t) length; /* written under lock; seq_cst, for a sleeper's last look */
};

void rt_inject_init(struct rt_inject *q);
/* Any thread: append everything of `batch`, which is empty afterwards. */
void rt_inject_push(struct rt_inject *q, struct rt_fifo *batch);
/* Any thread: move up to `max` of the oldest to `out`. Returns how many. */
size_t rt_inject_take(struct rt_inject *q, size_t max, struct rt_fifo *out);

static inline uint64_t rt_inject_length(struct rt_inject *q)
{
    return rt_load_sc(&q->length); /* pairs: IDLE <- rt_inject_push */
}

#endif
