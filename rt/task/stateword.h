/* SPDX-License-Identifier: MIT */
/* floor 3: task. The state word of a task or future: references, completion, and the lock of its
 * waiter list.
 *
 *   63            32 31            8 7        0
 *   +---------------+---------------+---------+
 *   | references    | user flags    | below   |
 *   +---------------+---------------+---------+
 *
 * DONE is set once, together with the outcome flags, by the completer; result and outcome are
 * readable by whoever sees DONE with acquire. LOCK guards the waiter list; it can only be taken
 * before DONE, or by the completer to empty the list, or by a waiter that wants to unlink itself.
 * WAITERS says that the list is not empty, so that completing a task nobody waits for is one
 * compare-and-swap.
 */
#ifndef RT_TASK_STATEWORD_H
#define RT_TASK_STATEWORD_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

#define RT_ST_DONE      ((uint64_t)1)
#define RT_ST_CANCELLED ((uint64_t)2) /* ended cancelled                                       */
#define RT_ST_FAILED    ((uint64_t)4) /* ended with an error other than cancelled              */
#define RT_ST_LOCK      ((uint64_t)8)
#define RT_ST_WAITERS   ((uint64_t)16)
#define RT_ST_RETRIEVED ((uint64_t)32) /* somebody looked at the outcome                        */
#define RT_ST_SETTING   ((uint64_t)64) /* a future's completer was chosen and writes the result */
#define RT_ST_SHUTDOWN  ((uint64_t)128) /* cancelled by the runtime's shutdown                  */
/* ended behind a shield that had been cancelled */
#define RT_ST_SHIELDED  ((uint64_t)256)
#define RT_ST_REF       ((uint64_t)1 << 32)

struct rt_stateword {
    RT_ATOMIC(uint64_t) bits;
};

static inline uint64_t rt_st_refs(uint64_t word)
{
    return word >> 32;
}

static inline uint64_t rt_st_load(struct rt_stateword *s)
{
    return rt_load_acquire(&s->bits); /* pairs: DONE <- rt_st_complete */
}

/* Take the lock if the object is not done. 1 = locked; 0 = done (not locked); -1 = busy, try
 * again. */
static inline int rt_st_try_lock_pending(struct rt_stateword *s)
{
    uint64_t old = rt_load_acquire(&s->bits); /* pairs: DONE <- rt_st_complete */
    if (old & RT_ST_DONE)
        return 0;
    if (old & RT_ST_LOCK)
        return -1;
    /* pairs: LIST <- rt_st_unlock */
    return rt_cas_acq_rel(&s->bits, &old, old | RT_ST_LOCK) ? 1 : -1;
}

/* Take the lock in any state. 1 = locked; -1 = busy, try again. */
static inline int rt_st_try_lock(struct rt_stateword *s)
{
    uint64_t old = rt_load_relaxed(&s->bits); /* relaxed: the CAS decides */
    if (old & RT_ST_LOCK)
        return -1;
    /* pairs: LIST <- rt_st_unlock */
    return rt_cas_acq_rel(&s->bits, &old, old | RT_ST_LOCK) ? 1 : -1;
}

/* Holder of the lock: release it, saying whether the list is empty now. */
static inline void rt_st_unlock(struct rt_stateword *s, int has_waiters)
{
    uint64_t old = rt_load_relaxed(&s->bits); /* relaxed: the CAS decides */
    uint64_t now;
    do {
        now = old & ~(RT_ST_LOCK | RT_ST_WAITERS);
        now |= has_waiters ? RT_ST_WAITERS : 0;
    } while (!rt_cas_acq_rel(&s->bits, &old, now)); /* pairs: LIST -> rt_st_try_lock */
}

/* A future: choose the one who completes it. False: done already, or somebody else was chosen. */
static inline int rt_st_choose(struct rt_stateword *s)
{
    return (rt_or_acq_rel(&s->bits, RT_ST_SETTING) & (RT_ST_SETTING | RT_ST_DONE)) == 0;
}

/* The completer, result written: set DONE and the outcome. True: there may be waiters; take the
 * lock, empty the list, and only then drop `drop_refs` references. False: nobody waits and the
 * references are dropped; *ret_refs is what is left (the object may be gone when that is not zero
 * and not yours). */
static inline int rt_st_complete(struct rt_stateword *s, uint64_t outcome, unsigned drop_refs,
                                 uint64_t *ret_refs)
{
    uint64_t old = rt_load_relaxed(&s->bits); /* relaxed: the CAS decides */
    for (;;) {
        int      busy = (old & (RT_ST_LOCK | RT_ST_WAITERS)) != 0;
        uint64_t now = old | RT_ST_DONE | outcome;
        if (!busy)
            now -= drop_refs * RT_ST_REF;
        if (rt_cas_acq_rel(&s->bits, &old, now)) { /* pairs: DONE -> rt_st_load */
            *ret_refs = rt_st_refs(now);
            return busy;
        }
    }
}

/* One more reference; the caller has one. */
static inline void rt_st_retain(struct rt_stateword *s)
{
    /* relaxed: the caller's own reference keeps it alive */
    (void)rt_add_relaxed(&s->bits, RT_ST_REF);
}

/* One more reference for somebody who has none: only if the object is alive and not done. */
static inline int rt_st_try_retain_pending(struct rt_stateword *s)
{
    uint64_t old = rt_load_acquire(&s->bits); /* pairs: DONE <- rt_st_complete */
    while (rt_st_refs(old) != 0 && !(old & RT_ST_DONE)) {
        if (rt_cas_acq_rel(&s->bits, &old, old + RT_ST_REF))
            return 1;
    }
    return 0;
}

/* Drop one reference. True: it was the last one, the caller frees the object. */
static inline int rt_st_release(struct rt_stateword *s)
{
    uint64_t old = rt_load_acquire(&s->bits); /* pairs: REFS <- rt_st_release */
    if (rt_st_refs(old) == 1 && (old & RT_ST_DONE))
        /* nobody has it, and who walks the slab takes nothing that is done: no need to write */
        return 1;
    return rt_st_refs(rt_sub_acq_rel(&s->bits, RT_ST_REF)) == 1; /* pairs: REFS -> rt_st_release */
}

#endif
