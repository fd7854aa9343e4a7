/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include "base/clock.h"
#include "base/spin.h"
#include "base/sys.h"

#include <errno.h>

/* With 4, 8, .. 64 pauses a turn: a few microseconds, about one sleep and wake of a futex. */
#define LOCK_SPIN_TURNS 6

void rt_lock_slow(struct rt_lock *l)
{
    struct rt_backoff backoff = RT_BACKOFF_INIT;

    for (int i = 0; i < LOCK_SPIN_TURNS; i++) {
        uint32_t expected = 0;

        rt_backoff_wait(&backoff);
        /* relaxed: a look that leaves the line shared; the exchange decides */
        if (rt_load_relaxed(&l->word) == 0 &&
            rt_cas_acq_rel(&l->word, &expected, 1)) /* pairs: LOCK <- rt_unlock */
            return;
    }
    /* From here on we own it as 2: we cannot know whether others still sleep. */
    while (rt_xchg_acquire(&l->word, 2) != 0) /* pairs: LOCK <- rt_unlock */
        rt_sys_futex_wait(&l->word, 2, -1);
}

/* The lock may be taken, released and its memory reused before this runs; then it wakes nobody, or
 * somebody who looks again. */
void rt_unlock_slow(struct rt_lock *l)
{
    rt_sys_futex_wake(&l->word, 1);
}

#if RT_DEBUG
/* How many locks of each rank this thread holds. Found anew at each call and never kept over a
 * suspension: the task may go on on another thread. */
static RT_NOINLINE uint8_t *held_counts(void)
{
    static _Thread_local uint8_t counts[RT_RANK_COUNT];
    uint8_t *p = counts;

    __asm__ volatile("" : "+r"(p)::"memory");
    return p;
}

RT_NOINLINE void rt_lock_note_acquiring(const struct rt_lock *l)
{
    const uint8_t *counts = held_counts();

    RT_CHECK(l->rank < RT_RANK_COUNT);
    for (unsigned rank = l->rank; rank < RT_RANK_COUNT; rank++) {
        if (counts[rank] != 0)
            rt_panic("lock of rank %u wanted while one of rank %u is held", (unsigned)l->rank,
                     rank);
    }
}

RT_NOINLINE void rt_lock_note_acquired(const struct rt_lock *l)
{
    uint8_t *counts = held_counts();

    RT_CHECK(l->rank < RT_RANK_COUNT);
    counts[l->rank]++;
}

RT_NOINLINE void rt_lock_note_released(const struct rt_lock *l)
{
    uint8_t *counts = held_counts();

    RT_CHECK(l->rank < RT_RANK_COUNT);
    RT_CHECK(rt_load_relaxed(&l->word) != 0); /* relaxed: our own write, or a bug */
    RT_CHECK(counts[l->rank] > 0);
    counts[l->rank]--;
}

RT_NOINLINE unsigned rt_locks_held(void)
{
    const uint8_t *counts = held_counts();
    unsigned n = 0;

    for (unsigned rank = 0; rank < RT_RANK_COUNT; rank++)
        n += counts[rank];
    return n;
}
#endif

int rt_mutex_cond_init(struct rt_mutex_cond *mc)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc != 0)
        return -rc;
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(&mc->cond, &attr);
    pthread_condattr_destroy(&attr);
    if (rc != 0)
        return -rc;
    rc = pthread_mutex_init(&mc->mutex, NULL);
    if (rc != 0)
        pthread_cond_destroy(&mc->cond);
    return -rc;
}

void rt_mutex_cond_fini(struct rt_mutex_cond *mc)
{
    pthread_cond_destroy(&mc->cond);
    pthread_mutex_destroy(&mc->mutex);
}

void rt_mutex_cond_lock(struct rt_mutex_cond *mc)
{
    int rc = pthread_mutex_lock(&mc->mutex);

    RT_CHECK(rc == 0);
}

void rt_mutex_cond_unlock(struct rt_mutex_cond *mc)
{
    int rc = pthread_mutex_unlock(&mc->mutex);

    RT_CHECK(rc == 0);
}

int rt_mutex_cond_wait(struct rt_mutex_cond *mc, uint64_t deadline_ns)
{
    int rc;

    if (deadline_ns == RT_NEVER) {
        rc = pthread_cond_wait(&mc->cond, &mc->mutex);
    } else {
        struct timespec ts = rt_timespec_from_ns(deadline_ns);

        rc = pthread_cond_timedwait(&mc->cond, &mc->mutex, &ts);
    }
    RT_CHECK(rc == 0 || rc == ETIMEDOUT);
    return -rc;
}

void rt_mutex_cond_signal(struct rt_mutex_cond *mc)
{
    pthread_cond_signal(&mc->cond);
}

void rt_mutex_cond_broadcast(struct rt_mutex_cond *mc)
{
    pthread_cond_broadcast(&mc->cond);
}
