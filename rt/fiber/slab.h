/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Type-stable objects of 128 bytes, numbered, never given back.
 *
 * A freed object keeps all its bytes but those that link it (the first eight, and sixteen more in
 * the middle), so that somebody with a stale number can still read its words and find that they
 * have moved on. The number of an object is written once, when it is carved, and is never written
 * again.
 */
#ifndef RT_FIBER_SLAB_H
#define RT_FIBER_SLAB_H

#include "base/compiler.h"

#include <stdint.h>

#define RT_SLAB_OBJECT_BYTES 128u
#define RT_SLAB_SLOT_BITS    24u
#define RT_SLAB_SLOT_MAX     ((1u << RT_SLAB_SLOT_BITS) - 1)
/* Where every object keeps its number as a uint32_t; the type that lives in the slab asserts it. */
#define RT_SLAB_SLOT_OFFSET 12u
/* Where a free object that heads a batch keeps what follows; likewise asserted, to be something
 * that nobody reads who has not got the object. */
#define RT_SLAB_BATCH_OFFSET 40u
#define RT_SLAB_BATCH_BYTES  16u
#define RT_SLAB_BATCH        256u /* objects that move between a cache and the depot at once */

struct rt_slab_free {
    struct rt_slab_free *next;
};

/* Free objects of one thread: a chain in use and, behind it, a full batch or none. Zero-filled is a
 * valid empty cache. Owner only. */
struct rt_slab_cache {
    struct rt_slab_free *free;
    struct rt_slab_free *spare;
    uint32_t count;
    uint32_t spare_count;
};

void *rt_slab_get_slow(struct rt_slab_cache *c);
void rt_slab_put_slow(struct rt_slab_cache *c, void *obj);

/* Asks for both cache lines of an object that will be used soon; any value will do. */
static inline void rt_slab_prefetch(const void *obj)
{
    __builtin_prefetch(obj, 1);
    __builtin_prefetch((const void *)((uintptr_t)obj + RT_SLAB_OBJECT_BYTES / 2), 1);
}

/* Objects that were given back in a row follow each other at one distance: asks for the one that is
 * needed three gets later. One alone would come too late after a million that have left the caches.
 * Where the guess is wrong it asks for something that nobody needs. */
static inline void rt_slab_prefetch_after(const void *obj, const void *next)
{
    rt_slab_prefetch((const void *)((uintptr_t)next + 3 * ((uintptr_t)next - (uintptr_t)obj)));
}

static inline uint32_t rt_slab_slot(const void *obj)
{
    return *(const uint32_t *)(const void *)((const char *)obj + RT_SLAB_SLOT_OFFSET);
}

/* A free object as its last owner left it (zero when newly carved), or NULL when memory or numbers
 * are used up. *ret_slot is its number, 1 .. RT_SLAB_SLOT_MAX. c is the caller's own, or NULL on a
 * plain thread. */
static inline void *rt_slab_get(struct rt_slab_cache *c, uint32_t *ret_slot)
{
    struct rt_slab_free *obj;

    if (RT_LIKELY(c != NULL && c->free != NULL)) {
        obj = c->free;
        c->free = obj->next;
        c->count--;
        rt_slab_prefetch_after(obj, c->free);
    } else {
        obj = rt_slab_get_slow(c);
        if (obj == NULL)
            return NULL;
    }
    *ret_slot = rt_slab_slot(obj);
    return obj;
}

/* Gives an object back, whoever got it. c is the caller's own, or NULL on a plain thread. */
static inline void rt_slab_put(struct rt_slab_cache *c, void *obj)
{
    struct rt_slab_free *f = obj;

    if (RT_UNLIKELY(c == NULL || c->count >= RT_SLAB_BATCH)) {
        rt_slab_put_slow(c, obj);
        return;
    }
    f->next = c->free;
    c->free = f;
    c->count++;
}

/* The object with that number, free or not, from any thread; NULL when it was never carved. */
void *rt_slab_at(uint32_t slot);
/* Numbers carved so far: 1 .. rt_slab_carved() may be asked from rt_slab_at(). */
uint32_t rt_slab_carved(void);
/* Moves the free objects of a cache to the depot. */
void rt_slab_cache_flush(struct rt_slab_cache *c);

#endif
