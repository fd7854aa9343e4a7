/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Type-stable objects of 128 bytes, numbered, never given back.
 *
 * A freed object keeps all its bytes but the first eight, which link it, so that somebody with a
 * stale number can still read its words and find that they have moved on. The number of an object
 * is written once, when it is carved, and is never written again.
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
#define RT_SLAB_CACHE_MAX   512u /* free objects that a cache keeps */
#define RT_SLAB_BATCH       256u /* and how many move between a cache and the depot at once */

struct rt_slab_free {
    struct rt_slab_free *next;
};

/* Free objects of one thread; zero-filled is a valid empty cache. Owner only. */
struct rt_slab_cache {
    struct rt_slab_free *free;
    uint32_t count;
};

void *rt_slab_get_slow(struct rt_slab_cache *c);
void rt_slab_put_slow(struct rt_slab_cache *c, void *obj);

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

    if (RT_UNLIKELY(c == NULL || c->count >= RT_SLAB_CACHE_MAX)) {
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
