/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The barrier: a lock and a condition, so that its order is that of asyncio's, which
 * is made of the same two. */
#include <errno.h>

#include "sync/lock.h"

enum state { FILLING, DRAINING, RESETTING, BROKEN };

struct barrier {
    skua_lock lock;
    skua_cond cond;
    uint64_t  parties;
    uint64_t  count; /* inside; under the lock, like the state */
    uint64_t  state;
};

_Static_assert(sizeof(struct barrier) == sizeof(skua_barrier), "fits the public object");

static struct barrier *of(const skua_barrier *barrier)
{
    return (struct barrier *)(void *)(uintptr_t)barrier;
}

/* An initialiser cannot name the object it fills: the condition learns of its lock here. */
static int enter(struct barrier *b)
{
    if (!b || b->parties == 0)
        return -EINVAL;
    int r = skua_lock_acquire(&b->lock);
    if (r == 0)
        b->cond = b->cond.opaque[3] ? b->cond : (skua_cond)SKUA_COND_INIT(&b->lock);
    return r;
}

static void notify_all(struct barrier *b)
{
    SKUA_IGNORE(skua_cond_notify_all(&b->cond));
}

static bool is_open(void *arg)
{
    const struct barrier *b = arg;
    return b->state != DRAINING && b->state != RESETTING;
}

static bool is_released(void *arg)
{
    const struct barrier *b = arg;
    return b->state != FILLING;
}

static void leave(struct barrier *b)
{
    if (--b->count > 0)
        return;
    if (b->state == RESETTING || b->state == DRAINING)
        b->state = FILLING;
    notify_all(b);
}

/* Until the others are there. */
static int meet(struct barrier *b)
{
    uint64_t index = b->count++;
    int      r = 0;
    if (index + 1 == b->parties) {
        b->state = DRAINING;
        notify_all(b);
    } else {
        r = skua_cond_wait_for(&b->cond, is_released, b);
        if (r == 0 && b->state != DRAINING)
            r = -EPIPE;
    }
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
        r = b->state == BROKEN ? -EPIPE : meet(b);
    SKUA_IGNORE(skua_lock_release(&b->lock));
    return r;
}

int skua_barrier_reset(skua_barrier *barrier)
{
    struct barrier *b = of(barrier);
    int             r = enter(b);
    if (r < 0)
        return r;
    b->state = b->count > 0 ? RESETTING : FILLING;
    notify_all(b);
    return skua_lock_release(&b->lock);
}

int skua_barrier_abort(skua_barrier *barrier)
{
    struct barrier *b = of(barrier);
    int             r = enter(b);
    if (r < 0)
        return r;
    b->state = BROKEN;
    notify_all(b);
    return skua_lock_release(&b->lock);
}
