/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The elements of a queue: a ring of pointers that grows, read from either end or as
 * a heap. One thread at a time. */
#ifndef RT_SYNC_RING_H
#define RT_SYNC_RING_H

#include <stdbool.h>
#include <stddef.h>

enum rt_ring_order { RT_RING_FIFO, RT_RING_LIFO, RT_RING_HEAP };

struct rt_ring {
    void **slot;
    size_t room;     /* slots that are there */
    size_t first;    /* of the oldest element; 0 in a heap */
    size_t count;
    bool   is_fixed; /* the slots belong to the user */
    int  (*compare)(const void *a, const void *b); /* of a heap */
};

/* 0 or -ENOMEM. */
int   rt_ring_put(struct rt_ring *r, enum rt_ring_order order, void *item);
/* Not when it is empty. */
void *rt_ring_get(struct rt_ring *r, enum rt_ring_order order);
void  rt_ring_clear(struct rt_ring *r);
/* Empty, and without room unless the slots are the user's. */
void  rt_ring_free(struct rt_ring *r);

#endif
