/* SPDX-License-Identifier: MIT */
/* floor 0: base. The small lock of the runtime, lock ranks, and the mutex with condition of the
 * blocking pool.
 *
 * struct rt_lock guards sections of a few dozen instructions: it spins a little, then sleeps on a
 * futex. Nobody suspends a task while holding one: rt_locks_held() is asserted to be 0 at each
 * suspension.
 */
#ifndef RT_BASE_LOCK_H
#define RT_BASE_LOCK_H

#include "base/atomic.h"
#include "base/check.h"
#include "base/compiler.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Acquired in strictly increasing order (checked in debug builds; rt_trylock is free, it cannot
 * deadlock). */
enum rt_rank {
    RT_RANK_USER, /* inside objects in the user's memory, which may be zero-filled */
    RT_RANK_RUNTIME,
    RT_RANK_GROUP,
    RT_RANK_POOL,
    RT_RANK_OBJECT,
    RT_RANK_FD,
    RT_RANK_TIMERS,
    RT_RANK_INJECT,
    RT_RANK_DEPOT,
    RT_RANK_SLAB,
    RT_RANK_VARS,
    RT_RANK_LOG,
    RT_RANK_COUNT
};

struct rt_lock {
    RT_ATOMIC(uint32_t) word; /* 0 free, 1 held, 2 held and somebody may sleep */
#if RT_DEBUG
    uint32_t rank;
#endif
};

#if RT_DEBUG
#define RT_LOCK_INIT(r) { .word = 0, .rank = (r) }
#else
#define RT_LOCK_INIT(r) { .word = 0 }
#endif

void rt_lock_slow(struct rt_lock *l) RT_NOINLINE;
void rt_unlock_slow(struct rt_lock *l) RT_NOINLINE;

#if RT_DEBUG
/* Out of line: the thread-local they use must be found anew after each suspension. */
void rt_lock_note_acquiring(const struct rt_lock *l);
void rt_lock_note_acquired(const struct rt_lock *l);
void rt_lock_note_released(const struct rt_lock *l);
/* How many locks the calling thread holds (always 0 in release builds). */
unsigned rt_locks_held(void);
#else
static inline void rt_lock_note_acquiring(const struct rt_lock *l)
{
    (void)l;
}
static inline void rt_lock_note_acquired(const struct rt_lock *l)
{
    (void)l;
}
static inline void rt_lock_note_released(const struct rt_lock *l)
{
    (void)l;
}
static inline unsigned rt_locks_held(void)
{
    return 0;
}
#endif

static inline void rt_lock_init(struct rt_lock *l, enum rt_rank rank)
{
    rt_init(&l->word, 0);
#if RT_DEBUG
    l->rank = rank;
#else
    (void)rank;
#endif
}

static inline bool rt_trylock(struct rt_lock *l)
{
    uint32_t expected = 0;

    if (rt_load_relaxed(&l->word) != 0) /* relaxed: a guess, the exchange decides */
        return false;
    if (!rt_cas_acq_rel(&l->word, &expected, 1)) /* pairs: LOCK <- rt_unlock */
        return false;
    rt_lock_note_acquired(l);
    return true;
}

static inline void rt_lock(struct rt_lock *l)
{
    uint32_t expected = 0;

    rt_lock_note_acquiring(l);
    if (RT_UNLIKELY(!rt_cas_acq_rel(&l->word, &expected, 1))) /* pairs: LOCK <- rt_unlock */
        rt_lock_slow(l);
    rt_lock_note_acquired(l);
}

static inline void rt_unlock(struct rt_lock *l)
{
    uint32_t was;

    rt_lock_note_released(l);
    was = rt_xchg_acq_rel(&l->word, 0); /* pairs: LOCK -> rt_lock, rt_trylock, rt_lock_slow */
    if (RT_UNLIKELY(was == 2))
        rt_unlock_slow(l);
}

/* A mutex with one condition (CLOCK_MONOTONIC) for threads that block: the pool of blocking calls.
 */
struct rt_mutex_cond {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
};

int rt_mutex_cond_init(struct rt_mutex_cond *mc); /* 0 or -errno */
void rt_mutex_cond_fini(struct rt_mutex_cond *mc);
void rt_mutex_cond_lock(struct rt_mutex_cond *mc);
void rt_mutex_cond_unlock(struct rt_mutex_cond *mc);
/* Held by the caller before and after. 0 (perhaps for no reason) or -ETIMEDOUT; RT_NEVER waits for
 * ever. */
int rt_mutex_cond_wait(struct rt_mutex_cond *mc, uint64_t deadline_ns);
void rt_mutex_cond_signal(struct rt_mutex_cond *mc);
void rt_mutex_cond_broadcast(struct rt_mutex_cond *mc);

#endif
