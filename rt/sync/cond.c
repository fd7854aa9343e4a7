/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The condition. */
#include <errno.h>

#include "sync/lock.h"

struct cond {
    struct rt_waitq q;
    skua_lock      *lock;
};

_Static_assert(sizeof(struct cond) == sizeof(skua_cond), "fits the public object");
_Static_assert(offsetof(struct cond, lock) == 3 * sizeof(uint64_t), "as SKUA_COND_INIT says");

static struct cond *of(skua_cond *cond)
{
    return (struct cond *)(void *)cond;
}

void rt_cond_bind(skua_cond *cond, skua_lock *lock)
{
    struct cond *c = of(cond);
    if (!c->lock)
        c->lock = lock;
}

static void notify(struct cond *c, size_t n)
{
    struct rt_fifo woken = { 0 };
    rt_wq_lock(&c->q);
    rt_wq_wake_many(&c->q.list, n, &woken);
    rt_wq_unlock(&c->q, &woken);
}

static void tell_another(const struct rt_awaitable *wait)
{
    struct cond *c = of((skua_cond *)(uintptr_t)wait->object);
    if (rt_wq_was_woken(&c->q, wait))
        notify(c, 1);
}

static const struct rt_wait_kind cond_kind = { .what = "a condition", .is_shown = true,
                                               .lost = tell_another };

/* The lock held; released when it returns. */
static int wait_for_notify(struct cond *c)
{
    struct rt_wq_node node;
    bool              cancelled = rt_ww_cancel_pending(&rt_self()->cur->wait);
    if (cancelled) /* the wait ends as it begins, and takes its turn for that: without the lock */
        SKUA_IGNORE(skua_lock_release(c->lock));
    int r = rt_wq_begin(&node, &cond_kind, c);
    if (r == 0) {
        rt_wq_lock(&c->q);
        rt_wq_link(&c->q.list, &node);
        rt_wq_unlock(&c->q, NULL);
    }
    if (!cancelled)
        SKUA_IGNORE(skua_lock_release(c->lock));
    return r < 0 ? r : rt_wq_park(&c->q, &node, RT_NEVER);
}

int skua_cond_wait(skua_cond *cond)
{
    struct rt_worker *w = rt_self();
    struct cond      *c = of(cond);
    if (!c || !c->lock)
        return -EINVAL;
    if (!w || !w->cur || !skua_lock_locked(c->lock))
        return -EPERM;
    int r = rt_suspend_prepare(w); /* a stack to wait with for the lock: what is let go can be */
    if (r < 0)                     /* taken back */
        return r;
    r = wait_for_notify(c);
    if (rt_lock_acquire_stubborn(c->lock))
        r = -ECANCELED;
    if (r < 0)
        notify(c, 1); /* it may have been notified before that: another one hears of it */
    return r;
}

int skua_cond_wait_for(skua_cond *cond, bool (*predicate)(void *arg), void *arg)
{
    if (!cond || !predicate)
        return -EINVAL;
    int r = 0;
    while (r == 0 && !predicate(arg))
        r = skua_cond_wait(cond);
    return r;
}

int skua_cond_notify(skua_cond *cond, size_t n)
{
    struct cond *c = of(cond);
    if (!c || !c->lock)
        return -EINVAL;
    if (!skua_lock_locked(c->lock))
        return -EPERM;
    notify(c, n);
    return 0;
}

int skua_cond_notify_all(skua_cond *cond)
{
    return skua_cond_notify(cond, SIZE_MAX);
}
