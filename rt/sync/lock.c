/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The lock. Released, it is handed to the first waiter; who comes later cannot take
 * it as long as anybody waits. */
#include "sync/lock.h"

#include <errno.h>

struct lock {
    struct rt_waitq q;
    bool            taken;
    bool            handed; /* to a waiter that has not run yet */
    uint64_t        holder; /* task number and slot; 0: no task. For reports */
};

_Static_assert(sizeof(struct lock) <= sizeof(skua_lock), "fits the public object");

static struct lock *of(const skua_lock *lock)
{
    return (struct lock *)(void *)(uintptr_t)lock;
}

/* A number that says whether it is still the same task. */
static uint64_t number_of(const struct skua_task *t)
{
    return t ? (uint64_t)t->id << 32 | t->slot : 0;
}

/* Made while no worker runs, so the task is still what it was when it is seen. */
static void see_holder(const struct rt_awaitable *self,
                       void (*see)(struct skua_task *task, void *arg), void *arg)
{
    struct lock *l = of(self->object);
    rt_wq_lock(&l->q);
    uint64_t holder = l->taken ? l->holder : 0;
    rt_wq_unlock(&l->q, NULL);
    struct skua_task *t = rt_slab_at((uint32_t)holder);
    if (holder && t && number_of(t) == holder && !rt_task_is_done(t))
        see(t, arg);
}

/* Lock of the queue held. */
static bool take(struct lock *l, const struct skua_task *holder)
{
    if (l->taken || rt_wq_has_waiters(&l->q.list))
        return false;
    l->taken = true;
    l->holder = number_of(holder);
    return true;
}

/* Lock of the queue held. As in asyncio, a first waiter that was cancelled and has not run since
 * stands in the way of the others until it does, and wakes the next one then. One that will never
 * run does not. */
static void hand_on(struct lock *l, struct rt_fifo *woken)
{
    struct rt_wq_node *first = l->q.list.head;
    bool               handed = false;
    while (first && !(handed = rt_wq_wake(first, woken)) && rt_wq_is_left_behind(first))
        first = first->next;
    l->taken = l->handed = handed;
    l->holder = handed && first->name ? number_of(rt_name_task(first->name)) : 0;
}

/* The caller, who waited, does not take the lock: on with it, if it was handed over or is free. */
static void step_aside(struct lock *l, bool was_handed)
{
    struct rt_fifo woken = { 0 };
    rt_wq_lock(&l->q);
    if (was_handed || !l->taken)
        hand_on(l, &woken);
    rt_wq_unlock(&l->q, &woken);
}

static void give_back(const struct rt_awaitable *wait)
{
    struct lock *l = of(wait->object);
    step_aside(l, rt_wq_was_woken(&l->q, wait));
}

static const struct rt_wait_kind lock_kind = { .what = "a lock", .is_shown = true,
                                               .whose = ", held by ", .tasks = see_holder,
                                               .lost = give_back };

/* The lock was handed to the caller, who runs now. */
static void note_arrival(struct lock *l)
{
    rt_wq_lock(&l->q);
    l->handed = false;
    rt_wq_unlock(&l->q, NULL);
}

static int wait_for_it(struct lock *l, struct rt_wq_node *node)
{
    rt_wq_lock(&l->q);
    if (take(l, rt_current())) { /* released meanwhile, on another core */
        rt_wq_unlock(&l->q, NULL);
        int r = rt_wq_abandon(node);
        if (r < 0)
            step_aside(l, true);
        return r;
    }
    rt_wq_link(&l->q.list, node);
    rt_wq_unlock(&l->q, NULL);
    int r = rt_wq_park(&l->q, node, RT_NEVER);
    if (r == 0)
        note_arrival(l);
    else
        step_aside(l, node->woken);
    return r;
}

static int try_acquire(struct lock *l, const struct skua_task *holder)
{
    if (!l)
        return -EINVAL;
    rt_wq_lock(&l->q);
    bool taken = take(l, holder);
    rt_wq_unlock(&l->q, NULL);
    return taken ? 0 : -EBUSY;
}

int skua_lock_try_acquire(skua_lock *lock)
{
    return try_acquire(of(lock), rt_current());
}

int skua_lock_acquire(skua_lock *lock)
{
    struct rt_worker *w = rt_self();
    if (!w || !w->cur)
        return lock ? -EPERM : -EINVAL;
    int r = try_acquire(of(lock), w->cur);
    if (r != -EBUSY) {
        rt_spend_budget(w, false);
        return r;
    }
    struct rt_wq_node node;
    r = rt_wq_begin(&node, &lock_kind, lock);
    return r < 0 ? r : wait_for_it(of(lock), &node);
}

int skua_lock_acquire_blocking(skua_lock *lock)
{
    struct rt_wq_node node;
    if (!lock)
        return -EINVAL;
    int r = rt_wq_begin_blocking(&node);
    return r < 0 ? r : wait_for_it(of(lock), &node);
}

int skua_lock_release(skua_lock *lock)
{
    struct lock   *l = of(lock);
    struct rt_fifo woken = { 0 };
    if (!l)
        return -EINVAL;
    rt_wq_lock(&l->q);
    bool held = l->taken && !l->handed;
    if (held)
        hand_on(l, &woken);
    rt_wq_unlock(&l->q, &woken);
    return held ? 0 : -EPERM;
}

bool skua_lock_locked(const skua_lock *lock)
{
    struct lock *l = of(lock);
    if (!l)
        return false;
    rt_wq_lock(&l->q);
    bool locked = l->taken && !l->handed;
    rt_wq_unlock(&l->q, NULL);
    return locked;
}

bool rt_lock_acquire_stubborn(skua_lock *lock)
{
    bool cancelled = false;
    int  r;
    while ((r = skua_lock_acquire(lock)) < 0)
        cancelled = cancelled || r == -ECANCELED;
    return cancelled;
}
