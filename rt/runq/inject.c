/* SPDX-License-Identifier: MIT */
/* floor 1: runq. The injector. */
#include "runq/inject.h"

void rt_inject_init(struct rt_inject *q)
{
    rt_lock_init(&q->lock, RT_RANK_INJECT);
    q->fifo = (struct rt_fifo){ 0 };
    rt_init(&q->length, 0);
}

void rt_inject_push(struct rt_inject *q, struct rt_fifo *batch)
{
    rt_lock(&q->lock);
    rt_fifo_append(&q->fifo, batch);
    (void)rt_xchg_sc(&q->length, q->fifo.count); /* pairs: IDLE -> rt_inject_length */
    rt_unlock(&q->lock);
}

size_t rt_inject_take(struct rt_inject *q, size_t max, struct rt_fifo *out)
{
    if (rt_load_relaxed(&q->length) == 0) /* relaxed: a miss is found by the next look */
        return 0;
    size_t taken = 0;
    rt_lock(&q->lock);
    while (taken < max && q->fifo.head) {
        rt_fifo_push(out, rt_fifo_pop(&q->fifo));
        taken++;
    }
    rt_store_relaxed(&q->length, q->fifo.count); /* relaxed: less than before harms no sleeper */
    rt_unlock(&q->lock);
    return taken;
}
