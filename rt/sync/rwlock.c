/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The reader-writer lock: one queue for both, so that neither side starves. */
#include <errno.h>

#include "sync/waitq.h"

enum kind { READ, WRITE };

struct rwlock {
    struct rt_waitq q;
    int64_t         holders; /* readers; -1: a writer */
};

_Static_assert(sizeof(struct rwlock) <= sizeof(skua_rwlock), "fits the public object");

static struct rwlock *of(skua_rwlock *lock)
{
    return (struct rwlock *)(void *)lock;
}

/* Lock held, all of these. */

static bool is_open(const struct rwlock *l, enum kind kind)
{
    return kind == READ ? l->holders >= 0 : l->holders == 0;
}

static void add_holder(struct rwlock *l, enum kind kind)
{
    l->holders = kind == READ ? l->holders + 1 : -1;
}

static void drop_holder(struct rwlock *l, enum kind kind)
{
    l->holders = kind == READ ? l->holders - 1 : 0;
}

static bool take(struct rwlock *l, enum kind kind)
{
    if (!is_open(l, kind) || rt_wq_has_waiters(&l->q.list))
        return false;
    add_holder(l, kind);
    return true;
}

/* From the first waiter on as many as may hold it together. */
static void wake_allowed(struct rwlock *l, struct rt_fifo *woken)
{
    for (struct rt_wq_node *node = l->q.list.head; node; node = node->next) {
        if (!rt_wq_is_waiting(node))
            continue;
        if (!is_open(l, node->kind))
            break;
        if (rt_wq_wake(node, woken))
            add_holder(l, node->kind);
    }
}

/* The lock was not taken after all: back with it, if it was given, and out of the way of others. */
static void give_up(struct rwlock *l, enum kind kind, bool has_it)
{
    struct rt_fifo woken = { 0 };
    rt_wq_lock(&l->q);
    if (has_it)
        drop_holder(l, kind);
    wake_allowed(l, &woken);
    rt_wq_unlock(&l->q, &woken);
}

static void read_lost(const struct rt_awaitable *wait)
{
    struct rwlock *l = of((skua_rwlock *)(uintptr_t)wait->object);
    give_up(l, READ, rt_wq_was_woken(&l->q, wait));
}

static void write_lost(const struct rt_awaitable *wait)
{
    struct rwlock *l = of((skua_rwlock *)(uintptr_t)wait->object);
    give_up(l, WRITE, rt_wq_was_woken(&l->q, wait));
}

static const struct rt_wait_kind read_kind = { .what = "a reader-writer lock to read",
                                               .is_shown = true, .lost = read_lost };
static const struct rt_wait_kind write_kind = { .what = "a reader-writer lock to write",
                                                .is_shown = true, .lost = write_lost };

static int acquire(struct rwlock *l, enum kind kind)
{
    struct rt_worker *w = rt_self();
    struct rt_wq_node node;
    if (!l)
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    rt_wq_lock(&l->q);
    bool taken = take(l, kind);
    rt_wq_unlock(&l->q, NULL);
    if (taken) {
        rt_spend_budget(w, false);
        return 0;
    }
    int r = rt_wq_begin(&node, kind == READ ? &read_kind : &write_kind, l);
    if (r < 0)
        return r;
    node.kind = (unsigned char)kind;
    rt_wq_lock(&l->q);
    taken = take(l, kind);
    if (!taken)
        rt_wq_link(&l->q.list, &node);
    rt_wq_unlock(&l->q, NULL);
    r = taken ? rt_wq_abandon(&node) : rt_wq_park(&l->q, &node, RT_NEVER);
    if (r < 0)
        give_up(l, kind, taken || node.woken);
    return r;
}

static int release(struct rwlock *l, enum kind kind)
{
    struct rt_fifo woken = { 0 };
    if (!l)
        return -EINVAL;
    rt_wq_lock(&l->q);
    bool held = kind == READ ? l->holders > 0 : l->holders < 0;
    if (held) {
        drop_holder(l, kind);
        wake_allowed(l, &woken);
    }
    rt_wq_unlock(&l->q, &woken);
    return held ? 0 : -EPERM;
}

int skua_rwlock_acquire_read(skua_rwlock *lock)
{
    return acquire(of(lock), READ);
}

int skua_rwlock_acquire_write(skua_rwlock *lock)
{
    return acquire(of(lock), WRITE);
}

int skua_rwlock_release_read(skua_rwlock *lock)
{
    return release(of(lock), READ);
}

int skua_rwlock_release_write(skua_rwlock *lock)
{
    return release(of(lock), WRITE);
}
