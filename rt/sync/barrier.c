/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The barrier: a lock and a condition, so that its order is that of asyncio's, which
 * is made of the same two. */
#include <errno.h>
#include <limits.h>

#include "sync/lock.h"

enum state { FILLING, DRAINING, RESETTING, BROKEN };

struct barrier {
    skua_lock lock;
    skua_cond cond;
    uint64_t  parties;
    /* written under the lock */
    RT_ATOMIC(uint64_t) count; /* inside */
    RT_ATOMIC(uint64_t) state;
};

_Static_assert(sizeof(struct barrier) == sizeof(skua_barrier), "fits the public object");

static struct barrier *of(const skua_barrier *barrier)
{
    return (struct barrier *)(void *)(uintptr_t)barrier;
}

static uint64_t count(struct barrier *b)
{
    return rt_load_relaxed(&b->count); /* relaxed: under the lock, or a moment's view */
}

static void set_count(struct barrier *b, uint64_t n)
{
    rt_store_relaxed(&b->count, n); /* relaxed: under the lock */
}

static enum state state(struct barrier *b)
{
    return (enum state)rt_load_relaxed(&b->state); /* relaxed: as count */
}

static void set_state(struct barrier *b, enum state now)
{
    rt_store_relaxed(&b->state, now); /* relaxed: under the lock */
}

/* An initialiser cannot name the object it fills: the condition learns of its lock here. */
static int enter(struct barrier *b)
{
    if (!b || b->parties == 0 || b->parties > INT_MAX)
        return -EINVAL;
    int r = skua_lock_acquire(&b->lock);
    if (r == 0)
        rt_cond_bind(&b->cond, &b->lock);
    return r;
}

static void notify_all(struct barrier *b)
{
    SKUA_IGNORE(skua_cond_notify_all(&b->cond));
}

static bool is_open(void *arg)
{
    struct barrier *b = arg;
    return state(b) != DRAINING && state(b) != RESETTING;
}

static bool is_released(void *arg)
{
    return state(arg) != FILLING;
}

static void leave(struct barrier *b)
{
    set_count(b, count(b) - 1);
    if (count(b) > 0)
        return;
    if (state(b) == RESETTING || state(b) == DRAINING)
        set_state(b, FILLING);
    notify_all(b);
}

/* Until the others are there. The index counts those who leave: were it the place at which one
 * came, as in asyncio, two could have the same one after a third was cancelled. The last to come is
 * the first to leave. */
static int meet(struct barrier *b)
{
    int  r = 0;
    set_count(b, count(b) + 1);
    bool is_last = count(b) == b->parties;
    if (is_last) {
        set_state(b, DRAINING);
        notify_all(b);
    } else {
        r = skua_cond_wait_for(&b->cond, is_released, b);
        if (r == 0 && state(b) != DRAINING)
            r = -EPIPE;
    }
    uint64_t index = b->parties - 1 - (is_last ? 0 : count(b));
    leave(b);
    return r < 0 ? r : (int)index;
}

int skua_barrier_wait(skua_barrier *barrier)
{
    struct barrier *b = of(barrier);
    int             r = enter(b);
    if (r < 0)
        return r;
    r = skua_cond_wait_for(&b->cond, is_open, b);
    if (r == 0)
        r = state(b) == BROKEN ? -EPIPE : meet(b);
    SKUA_IGNORE(skua_lock_release(&b->lock));
    return r;
}

int skua_barrier_reset(skua_barrier *barrier)
{
    struct barrier *b = of(barrier);
    int             r = enter(b);
    if (r < 0)
        return r;
    set_state(b, count(b) > 0 ? RESETTING : FILLING);
    notify_all(b);
    return skua_lock_release(&b->lock);
}

int skua_barrier_abort(skua_barrier *barrier)
{
    struct barrier *b = of(barrier);
    int             r = enter(b);
    if (r < 0)
        return r;
    set_state(b, BROKEN);
    notify_all(b);
    return skua_lock_release(&b->lock);
}

size_t skua_barrier_waiting(const skua_barrier *barrier)
{
    struct barrier *b = of(barrier);
    return b && state(b) == FILLING ? (size_t)count(b) : 0;
}

size_t skua_barrier_parties(const skua_barrier *barrier)
{
    return barrier ? (size_t)of(barrier)->parties : 0;
}

bool skua_barrier_broken(const skua_barrier *barrier)
{
    return barrier && state(of(barrier)) == BROKEN;
}
