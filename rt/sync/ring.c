/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The elements of a queue. The heap moves elements exactly as Python's heapq does,
 * so that equal ones come out in the same order. */
#include "sync/ring.h"

#include <errno.h>
#include <stdint.h>

#include "base/mem.h"

enum { ROOM_FIRST = 16 };

static void **at(struct rt_ring *r, size_t i)
{
    size_t k = r->first + i;
    return &r->slot[k < r->room ? k : k - r->room];
}

static int grow(struct rt_ring *r)
{
    if (r->is_fixed || r->room > SIZE_MAX / 2 / sizeof *r->slot)
        return -ENOMEM;
    size_t room = r->room ? r->room * 2 : ROOM_FIRST;
    void **slot = rt_malloc(room * sizeof *slot);
    if (!slot)
        return -ENOMEM;
    for (size_t i = 0; i < r->count; i++)
        slot[i] = *at(r, i);
    rt_free(r->slot);
    r->slot = slot;
    r->room = room;
    r->first = 0;
    return 0;
}

/* --- the heap: slot[0] is the smallest --- */

/* Moves the element at i up to where it belongs, not above `top`. */
static void sift_up(struct rt_ring *r, size_t top, size_t i)
{
    void *item = r->slot[i];
    while (i > top) {
        size_t parent = (i - 1) / 2;
        if (r->compare(item, r->slot[parent]) >= 0)
            break;
        r->slot[i] = r->slot[parent];
        i = parent;
    }
    r->slot[i] = item;
}

/* An element was laid on top: the smaller children move up to the leaf, then it rises from
 * there. */
static void sift_down(struct rt_ring *r)
{
    void  *item = r->slot[0];
    size_t i = 0;
    size_t child = 1;
    while (child < r->count) {
        size_t right = child + 1;
        if (right < r->count && r->compare(r->slot[child], r->slot[right]) >= 0)
            child = right;
        r->slot[i] = r->slot[child];
        i = child;
        child = 2 * i + 1;
    }
    r->slot[i] = item;
    sift_up(r, 0, i);
}

static void *heap_get(struct rt_ring *r)
{
    void *last = r->slot[--r->count];
    if (r->count == 0)
        return last;
    void *smallest = r->slot[0];
    r->slot[0] = last;
    sift_down(r);
    return smallest;
}

/* --- all of them --- */

int rt_ring_put(struct rt_ring *r, enum rt_ring_order order, void *item)
{
    if (r->count == r->room) {
        int err = grow(r);
        if (err < 0)
            return err;
    }
    *at(r, r->count++) = item;
    if (order == RT_RING_HEAP)
        sift_up(r, 0, r->count - 1);
    return 0;
}

void *rt_ring_get(struct rt_ring *r, enum rt_ring_order order)
{
    if (order == RT_RING_HEAP)
        return heap_get(r);
    if (order == RT_RING_LIFO)
        return *at(r, --r->count);
    void *item = *at(r, 0);
    r->first = r->first + 1 < r->room ? r->first + 1 : 0;
    r->count--;
    return item;
}

void rt_ring_clear(struct rt_ring *r)
{
    r->first = r->count = 0;
}

void rt_ring_free(struct rt_ring *r)
{
    rt_ring_clear(r);
    if (r->is_fixed)
        return;
    rt_free(r->slot);
    r->slot = NULL;
    r->room = 0;
}
