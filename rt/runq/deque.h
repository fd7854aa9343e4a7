/* SPDX-License-Identifier: MIT */
/* floor 1: runq. The deque of ready free tasks: one per worker, two ends, fixed capacity.
 *
 *                 owner's     oldest, size
 *   owner's       never       yes            owner's: push, take, oldest_many and the rest
 *   oldest        yes         yes            oldest: any thread, the owner included
 *
 * The owner pushes at the bottom and may take its newest entry back from there; everybody, the
 * owner too, takes the oldest entry from the top by one compare-and-swap, one entry at a time.
 * There is no resizing, so nothing is ever reclaimed: a full deque refuses and the caller moves the
 * older half elsewhere.
 *
 * Why no entry is taken twice: the owner lowers `bottom` with a sequentially consistent exchange
 * before it reads `top`, and a thief reads `top` before `bottom`, both sequentially consistent.
 * Either the thief sees the lowered bottom and leaves the last entry alone, or the owner sees the
 * raised top; when both aim at the same last entry, the compare-and-swap on `top` decides.
 * Only the owner may take several from the top by one compare-and-swap, since it knows that the
 * bottom does not come down meanwhile: it moves it itself.
 * Why an entry read is the entry meant: a slot is overwritten only when `top` has passed it, and
 * then the reader's compare-and-swap fails.
 *
 * Rejected: a growing array (needs safe memory reclamation; every published bug of such deques sits
 * there); taking half the deque in one compare-and-swap (the owner's end could have moved below the
 * half by then); a process-wide barrier in place of the owner's exchange (6-7 us for the thief and
 * 12-22 % off the victim).
 */
#ifndef RT_RUNQ_DEQUE_H
#define RT_RUNQ_DEQUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

#ifndef RT_DEQUE_CAP
#define RT_DEQUE_CAP 1024
#endif

struct rt_deque {
    RT_CACHELINE RT_ATOMIC(int64_t) top;    /* next to be taken as oldest; any thread, by CAS */
    RT_CACHELINE RT_ATOMIC(int64_t) bottom; /* next free position; written by the owner       */
    RT_ATOMIC(uintptr_t) slot[RT_DEQUE_CAP];
};

/* Entries as seen by this thread just now; exact only for the owner when no thief is at work. */
static inline int64_t rt_deque_size(struct rt_deque *d)
{
    int64_t t = rt_load_sc(&d->top);
    int64_t b = rt_load_sc(&d->bottom); /* pairs: IDLE <- rt_deque_push_announced */
    return b > t ? b - t : 0;
}

/* Owner. False when full. Nobody is told. */
static inline int rt_deque_push(struct rt_deque *d, uintptr_t x)
{
    int64_t b = rt_load_relaxed(&d->bottom); /* relaxed: own write */
    int64_t t = rt_load_acquire(&d->top);    /* pairs: DQTOP <- rt_deque_oldest */
    if (b - t >= RT_DEQUE_CAP)
        return 0;
    rt_store_relaxed(&d->slot[b & (RT_DEQUE_CAP - 1)], x); /* relaxed: published by bottom */
    rt_store_release(&d->bottom, b + 1);                   /* pairs: DQBOT -> rt_deque_oldest */
    return 1;
}

/* Owner. As push, but the store of bottom is a full barrier: whoever announced its sleep before it
 * is seen by the caller's next look at the idle words, and whoever announces later sees this
 * entry. */
static inline int rt_deque_push_announced(struct rt_deque *d, uintptr_t x)
{
    int64_t b = rt_load_relaxed(&d->bottom); /* relaxed: own write */
    int64_t t = rt_load_acquire(&d->top);    /* pairs: DQTOP <- rt_deque_oldest */
    if (b - t >= RT_DEQUE_CAP)
        return 0;
    rt_store_relaxed(&d->slot[b & (RT_DEQUE_CAP - 1)], x); /* relaxed: published by bottom */
    (void)rt_xchg_sc(&d->bottom, b + 1);                   /* pairs: DQBOT -> rt_deque_oldest */
    return 1;
}

/* Owner: how many there are, thieves at work not counted. */
static inline int64_t rt_deque_count(struct rt_deque *d)
{
    return rt_load_relaxed(&d->bottom) - rt_load_relaxed(&d->top); /* relaxed: own write; a hint */
}

/* Owner: what may be the oldest entry, to be fetched into the cache; anything where there is
 * none. */
static inline uintptr_t rt_deque_peek(struct rt_deque *d)
{
    /* relaxed, both: a hint */
    return rt_load_relaxed(&d->slot[rt_load_relaxed(&d->top) & (RT_DEQUE_CAP - 1)]);
}

/* Owner: the newest entry without taking it; 0 = none. Only a hint, a thief may be at it. */
static inline uintptr_t rt_deque_newest(struct rt_deque *d)
{
    int64_t b = rt_load_relaxed(&d->bottom); /* relaxed: own write */
    if (b <= rt_load_relaxed(&d->top))       /* relaxed: a hint, rt_deque_take decides */
        return 0;
    return rt_load_relaxed(&d->slot[(b - 1) & (RT_DEQUE_CAP - 1)]); /* relaxed: own write */
}

/* Owner: take the newest entry back; 0 = none. */
static inline uintptr_t rt_deque_take(struct rt_deque *d)
{
    int64_t b = rt_load_relaxed(&d->bottom) - 1; /* relaxed: own write */
    (void)rt_xchg_sc(&d->bottom, b);             /* pairs: DQTAKE -> rt_deque_oldest */
    int64_t t = rt_load_sc(&d->top);             /* pairs: DQTOP <- rt_deque_oldest */
    if (RT_LIKELY(t < b))
        return rt_load_relaxed(&d->slot[b & (RT_DEQUE_CAP - 1)]); /* relaxed: own write */
    uintptr_t x = 0;
    if (t == b) {
        x = rt_load_relaxed(&d->slot[b & (RT_DEQUE_CAP - 1)]); /* relaxed: own write */
        if (!rt_cas_sc(&d->top, &t, t + 1))                    /* pairs: DQTOP -> rt_deque_push */
            x = 0;
    }
    rt_store_release(&d->bottom, b + 1); /* pairs: DQBOT -> rt_deque_oldest */
    return x;
}

/* Any thread: take the oldest entry. 0 = none there, or another thread was faster; look at the
 * size. */
static inline uintptr_t rt_deque_oldest(struct rt_deque *d)
{
    int64_t t = rt_load_sc(&d->top);    /* pairs: DQTAKE <- rt_deque_take */
    int64_t b = rt_load_sc(&d->bottom); /* pairs: DQBOT <- rt_deque_push */
    if (t >= b)
        return 0;
    /* relaxed: the CAS validates it */
    uintptr_t x = rt_load_relaxed(&d->slot[t & (RT_DEQUE_CAP - 1)]);
    if (!rt_cas_sc(&d->top, &t, t + 1)) /* pairs: DQTOP -> rt_deque_push */
        return 0;
    return x;
}

/* Owner: take up to `max` of the oldest entries at once, oldest first. Returns how many. */
static inline size_t rt_deque_oldest_many(struct rt_deque *d, uintptr_t *ret, size_t max)
{
    int64_t b = rt_load_relaxed(&d->bottom); /* relaxed: own write */
    int64_t t = rt_load_relaxed(&d->top);    /* relaxed: the CAS decides */
    int64_t n;
    do {
        n = b - t < (int64_t)max ? b - t : (int64_t)max;
        if (n <= 0)
            return 0;
    } while (!rt_cas_sc(&d->top, &t, t + n)); /* pairs: DQTOP <- rt_deque_oldest */
    for (int64_t i = 0; i < n; i++)
        ret[i] = rt_load_relaxed(&d->slot[(t + i) & (RT_DEQUE_CAP - 1)]); /* relaxed: own write */
    return (size_t)n;
}

#endif
