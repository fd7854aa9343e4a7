/* SPDX-License-Identifier: MIT */
/* floor 1: runq. The injector. */
#include "runq/inject.h"

#include "base/mem.h"

void rt_inject_init(struct rt_inject *q)
{
    rt_lock_init(&q->lock, RT_RANK_INJECT);
    q->fifo = (struct rt_fifo){ 0 };
    q->first = q->last = NULL;
    rt_init(&q->length, 0);
}

/* Lock held. */
static void add(struct rt_inject *q, uint64_t n)
{
    uint64_t now = rt_load_relaxed(&q->length) + n; /* relaxed: written under the lock only */
    (void)rt_xchg_sc(&q->length, now);              /* pairs: IDLE -> rt_inject_length */
}

/* Lock held. */
static void subtract(struct rt_inject *q, uint64_t n)
{
    /* relaxed: written under the lock only, and less than before harms no sleeper */
    rt_store_relaxed(&q->length, rt_load_relaxed(&q->length) - n);
}

void rt_inject_push(struct rt_inject *q, struct rt_fifo *batch)
{
    rt_lock(&q->lock);
    uint64_t n = batch->count;
    rt_fifo_append(&q->fifo, batch);
    add(q, n);
    rt_unlock(&q->lock);
}

void rt_inject_push_block(struct rt_inject *q, struct rt_inject_block *block)
{
    block->next = NULL;
    rt_lock(&q->lock);
    if (q->first)
        q->last->next = block;
    else
        q->first = block;
    q->last = block;
    add(q, block->count);
    rt_unlock(&q->lock);
}

size_t rt_inject_take(struct rt_inject *q, size_t max, struct rt_fifo *out)
{
    size_t taken = 0;
    rt_lock(&q->lock);
    while (taken < max && q->fifo.head) {
        rt_fifo_push(out, rt_fifo_pop(&q->fifo));
        taken++;
    }
    subtract(q, taken);
    rt_unlock(&q->lock);
    return taken;
}

struct rt_inject_block *rt_inject_take_block(struct rt_inject *q)
{
    rt_lock(&q->lock);
    struct rt_inject_block *block = q->first;
    if (block) {
        q->first = block->next;
        subtract(q, block->count);
    }
    rt_unlock(&q->lock);
    return block;
}

void rt_inject_fini(struct rt_inject *q)
{
    struct rt_inject_block *block;
    while ((block = rt_inject_take_block(q)) != NULL)
        rt_free(block);
}
