/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The semaphore. A permit that is given back goes to the first waiter at once. */
#include <errno.h>

#include "sync/waitq.h"

struct semaphore {
    struct rt_waitq q;
    uint64_t        value;
    uint64_t        bound; /* UINT64_MAX: none */
};

_Static_assert(sizeof(struct semaphore) <= sizeof(skua_semaphore), "fits the public object");

static struct semaphore *of(const skua_semaphore *s)
{
    return (struct semaphore *)(void *)(uintptr_t)s;
}

/* Lock held: only an initialiser can have made so many. */
static bool is_invalid(const struct semaphore *s)
{
    return s->value > SKUA_SEMAPHORE_MAX;
}

/* Lock held. */
static bool is_locked(const struct semaphore *s)
{
    return s->value == 0 || rt_wq_has_waiters(&s->q.list);
}

/* Lock held: as many as there are permits for. */
static void wake_allowed(struct semaphore *s, struct rt_fifo *woken)
{
    while (s->value > 0 && rt_wq_wake_first(&s->q.list, woken))
        s->value--;
}

static void settle(struct semaphore *s, uint64_t given_back)
{
    struct rt_fifo woken = { 0 };
    rt_wq_lock(&s->q);
    s->value += given_back;
    wake_allowed(s, &woken);
    rt_wq_unlock(&s->q, &woken);
}

static int wait_for_it(struct semaphore *s, struct rt_wq_node *node, uint64_t deadline)
{
    rt_wq_lock(&s->q);
    bool locked = is_locked(s);
    if (locked)
        rt_wq_link(&s->q.list, node);
    else
        s->value--;
    rt_wq_unlock(&s->q, NULL);
    int  r = locked ? rt_wq_park(&s->q, node, deadline) : rt_wq_abandon(node);
    bool has_permit = !locked || node->woken;
    /* Permits may have come while this one stood in the way of others. */
    settle(s, r < 0 && has_permit);
    return r;
}

int skua_semaphore_try_acquire(skua_semaphore *sem)
{
    struct semaphore *s = of(sem);
    if (!s)
        return -EINVAL;
    rt_wq_lock(&s->q);
    int r = is_invalid(s) ? -EINVAL : is_locked(s) ? -EBUSY : 0;
    if (r == 0)
        s->value--;
    rt_wq_unlock(&s->q, NULL);
    return r;
}

static void give_back(const struct rt_awaitable *wait)
{
    struct semaphore *s = of(wait->object);
    settle(s, rt_wq_was_woken(&s->q, wait));
}

static const struct rt_wait_kind semaphore_kind = { .what = "a semaphore", .is_shown = true,
                                                    .lost = give_back };

int skua_semaphore_acquire(skua_semaphore *sem)
{
    struct rt_worker *w = rt_self();
    if (!w || !w->cur)
        return sem ? -EPERM : -EINVAL;
    int r = skua_semaphore_try_acquire(sem);
    if (r != -EBUSY) {
        rt_spend_budget(w, false);
        return r;
    }
    struct rt_wq_node node;
    r = rt_wq_begin(&node, &semaphore_kind, sem);
    return r < 0 ? r : wait_for_it(of(sem), &node, RT_NEVER);
}

int skua_semaphore_acquire_blocking(skua_semaphore *sem, double timeout)
{
    uint64_t          deadline;
    struct rt_wq_node node;
    if (!sem || rt_wq_deadline_blocking(timeout, &deadline) < 0)
        return -EINVAL;
    int r = rt_wq_begin_blocking(&node);
    if (r == 0)
        r = skua_semaphore_try_acquire(sem);
    return r == -EBUSY ? wait_for_it(of(sem), &node, deadline) : r;
}

int skua_semaphore_release(skua_semaphore *sem)
{
    struct semaphore *s = of(sem);
    struct rt_fifo    woken = { 0 };
    if (!s)
        return -EINVAL;
    rt_wq_lock(&s->q);
    bool full = s->value >= s->bound || s->value == SKUA_SEMAPHORE_MAX;
    int  r = is_invalid(s) ? -EINVAL : full ? -EOVERFLOW : 0;
    if (r == 0) {
        s->value++;
        if (rt_wq_wake_first(&s->q.list, &woken))
            s->value--;
    }
    rt_wq_unlock(&s->q, &woken);
    return r;
}

bool skua_semaphore_locked(const skua_semaphore *sem)
{
    struct semaphore *s = of(sem);
    if (!s)
        return true;
    rt_wq_lock(&s->q);
    bool locked = is_locked(s);
    rt_wq_unlock(&s->q, NULL);
    return locked;
}
