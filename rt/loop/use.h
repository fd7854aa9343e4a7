/* SPDX-License-Identifier: MIT */
/* floor 4: loop. The word that says what a descriptor number is just now: its generation, how many
 * calls are inside, whether it is being closed, and which directions belong to a reader.
 *
 *   A task that is about to wait                A closer, or a reader
 *    leave the name in the direction's word      set the flag in this one
 *    the flag is set: take the name back         take what is in the direction's word: a closer
 *                                                claims the name, a reader gives way to it
 *
 * Both sides meet in the direction's word (loop/token.h), which each of them exchanges. Who comes
 * second finds what the first one has left there, a name, or acquires with it the flag that was set
 * before. A task that cannot take its name back was claimed, and tries again.
 */
#ifndef RT_LOOP_USE_H
#define RT_LOOP_USE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "loop/token.h"

/* generation:32 | flags:8 | calls inside:24 */
#define RT_FD_CALLS_MASK ((uint64_t)0xffffff)
#define RT_FD_OWNED      ((uint64_t)1 << 24)
#define RT_FD_CLOSING    ((uint64_t)1 << 25) /* nobody enters; the last to leave closes */
#define RT_FD_ODD        ((uint64_t)1 << 26) /* HUP, RDHUP, ERR or PRI: short reads say nothing */
#define RT_FD_WATCHED(dir) ((uint64_t)1 << (27 + (dir))) /* that direction is a reader's */
#define RT_FD_GEN_BIT    32

enum rt_dir { RT_DIR_IN = 0, RT_DIR_OUT = 1, RT_DIRS = 2 };

static inline uint32_t rt_use_generation(uint64_t word)
{
    return (uint32_t)(word >> RT_FD_GEN_BIT);
}

static inline uint64_t rt_use_next_generation(uint64_t word)
{
    return (uint64_t)(rt_use_generation(word) + 1) << RT_FD_GEN_BIT;
}

/* --- inside --- */

/* Counts the caller in. False: it is being closed. */
static inline bool rt_use_enter(RT_ATOMIC(uint64_t) *use, uint64_t *ret_word)
{
    uint64_t old = rt_load_relaxed(use); /* relaxed: the CAS decides */
    do {
        if (RT_UNLIKELY(old & RT_FD_CLOSING))
            return false;
    } while (!rt_cas_acq_rel(use, &old, old + 1)); /* pairs: FD-USE <- rt_use_own */
    *ret_word = old;
    return true;
}

/* The same after a wait. False: it is another descriptor by now, or being closed. */
static inline bool rt_use_resume(RT_ATOMIC(uint64_t) *use, uint32_t generation)
{
    uint64_t old = rt_load_relaxed(use); /* relaxed: the CAS decides */
    do {
        if ((old & RT_FD_CLOSING) || rt_use_generation(old) != generation)
            return false;
    } while (!rt_cas_acq_rel(use, &old, old + 1)); /* pairs: FD-USE <- rt_use_own */
    return true;
}

/* True: the caller is the last one in a descriptor that is being closed: he closes it. */
static inline bool rt_use_leave(RT_ATOMIC(uint64_t) *use)
{
    uint64_t old = rt_sub_acq_rel(use, 1); /* pairs: FD-USE -> rt_use_leave */
    return RT_UNLIKELY((old & (RT_FD_CLOSING | RT_FD_CALLS_MASK)) == (RT_FD_CLOSING | 1));
}

/* --- life --- */

/* Before what is known of the descriptor is written anew: who read of the one before has left. An
 * RMW, which sees the last life's end: that the kernel gives the number away orders nothing. */
static inline void rt_use_settle(RT_ATOMIC(uint64_t) *use)
{
    (void)rt_add_acq_rel(use, 0); /* pairs: FD-USE <- rt_use_closed */
}

/* Owned, and another descriptor from now on; whoever is inside stays counted. */
static inline uint32_t rt_use_own(RT_ATOMIC(uint64_t) *use)
{
    uint64_t old = rt_load_acquire(use); /* pairs: FD-USE <- rt_use_leave, rt_use_closed */
    uint64_t now;
    do
        now = rt_use_next_generation(old) | RT_FD_OWNED | (old & RT_FD_CALLS_MASK);
    while (!rt_cas_acq_rel(use, &old, now)); /* pairs: FD-USE -> rt_use_enter */
    return rt_use_generation(now);
}

/* From now on nobody enters; the caller is inside, and takes what is in the directions. Unless NULL
 * only this generation. 0 or -EBADF. */
static inline int rt_use_close(RT_ATOMIC(uint64_t) *use, const uint32_t *generation)
{
    uint64_t old = rt_load_relaxed(use); /* relaxed: the CAS decides */
    uint64_t now;
    do {
        if ((old & RT_FD_CLOSING) || (generation && rt_use_generation(old) != *generation))
            return -EBADF;
        now = rt_use_next_generation(old) | RT_FD_CLOSING | ((old & RT_FD_CALLS_MASK) + 1);
    } while (!rt_cas_acq_rel(use, &old, now)); /* pairs: FD-CLOSE -> rt_use_wait */
    return 0;
}

/* The last one has left. Before the close, because the number may have a new life right after. */
static inline void rt_use_closed(RT_ATOMIC(uint64_t) *use)
{
    uint64_t word = rt_load_acquire(use); /* pairs: FD-USE <- rt_use_leave */
    /* pairs: FD-USE -> rt_use_enter */
    rt_store_release(use, (uint64_t)rt_use_generation(word) << RT_FD_GEN_BIT);
}

/* --- a direction --- */

/* Inside. The direction is the caller's, also while it has left no name there: no task may wait for
 * it. 0; -EBUSY: it is somebody's already; -EBADF: it is another descriptor by now. */
static inline int rt_use_reserve(RT_ATOMIC(uint64_t) *use, enum rt_dir dir, uint32_t generation)
{
    uint64_t old = rt_load_relaxed(use); /* relaxed: the CAS decides */
    do {
        if (rt_use_generation(old) != generation)
            return -EBADF;
        if (old & RT_FD_WATCHED(dir))
            return -EBUSY;
        /* pairs: FD-WATCH -> rt_use_wait */
    } while (!rt_cas_acq_rel(use, &old, old | RT_FD_WATCHED(dir)));
    return 0;
}

/* Anywhere. No more; nothing if the descriptor is another one by now. Pairs: FD-WATCH ->
 * rt_use_reserve, which takes the direction next. */
static inline void rt_use_unreserve(RT_ATOMIC(uint64_t) *use, enum rt_dir dir, uint32_t generation)
{
    uint64_t old = rt_load_relaxed(use); /* relaxed: the CAS decides */
    while (rt_use_generation(old) == generation &&
           !rt_cas_acq_rel(use, &old, old & ~RT_FD_WATCHED(dir))) {
    }
}

/* Owned, inside. Leaves the name of a wait. 0: an event or a close will claim it, or has done so.
 * Else the name is not kept: 1: try again; -EBADF: being closed; -EBUSY: another task waits, or the
 * direction is a reader's. */
static inline int rt_use_wait(RT_ATOMIC(uint64_t) *use, struct rt_token t, enum rt_dir dir,
                              uint64_t name)
{
    uint64_t there = rt_token_wait(t, name);
    if (there)
        return rt_token_is_name(there) ? -EBUSY : 1;
    /* pairs: FD-WATCH <- rt_use_reserve */
    uint64_t word = rt_load_acquire(use); /* pairs: FD-CLOSE <- rt_use_close */
    if (RT_LIKELY(!(word & (RT_FD_CLOSING | RT_FD_WATCHED(dir)))))
        return 0;
    int r = word & RT_FD_CLOSING ? -EBADF : -EBUSY;
    return rt_token_unwait(t, name) ? r : 0;
}

#endif
