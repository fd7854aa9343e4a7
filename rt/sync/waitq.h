/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The wait queue that every primitive is built on: who waits, in order.
 *
 * A waiter's node lies in its frame and is linked and unlinked by the waiter alone, under the
 * queue's lock. A waker claims the name that the node carries while it holds the lock; the claim
 * decides against cancel and timeout. If it succeeds the waiter is WOKEN: what that means (a lock
 * handed over, a permit taken off) is settled by the waker before it unlocks, and by the woken one,
 * should it be cancelled before it runs, in that it gives back what it was given; if its runtime
 * ends before it runs, `lost` of the wait's kind does that. So nothing that is handed over is lost,
 * and nobody touches a node after the lock is released.
 *
 * A waker of elsewhere (a plain thread, a worker of another runtime) holds the waiter's runtime by
 * a visit while it claims and posts; a waiter whose runtime has ended is passed over, for ever.
 *
 * A woken waiter stays linked until it runs, and counts as a waiter until then: so who comes later
 * queues up behind it, as in asyncio.
 *
 *     struct rt_wq_node node;
 *     int r = rt_wq_begin(&node, &kind, q);        a task, or a plain thread when it says so
 *     rt_wq_lock(q); ...look again...; rt_wq_link(list, &node); rt_wq_unlock(q, NULL);
 *     r = rt_wq_park(q, &node, deadline);          unlinked; node.woken says whether it was woken
 */
#ifndef RT_SYNC_WAITQ_H
#define RT_SYNC_WAITQ_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/event_count.h"
#include "base/lock.h"
#include "sched/wait.h"

struct rt_wq_list;

struct rt_wq_node {
    struct rt_awaitable   awaitable;   /* says what it waits for */
    struct rt_wq_list    *list;        /* that it is linked in */
    struct rt_wq_node    *next, *prev; /* under the queue's lock, like `woken` and `kind` */
    uint64_t              name;        /* of a task's wait; 0: a plain thread */
    struct rt_event_count count;       /* where that thread sleeps */
    RT_ATOMIC(uint32_t)   fired;
    bool                  woken;
    unsigned char         kind;        /* the primitive's own */
};

/* Zero-filled is valid and empty. */
struct rt_wq_list {
    struct rt_wq_node *head, *tail;
};

/* The lock, rank USER, and the first list that it guards; a primitive may have more of them. */
struct rt_waitq {
    struct rt_lock    lock;
    struct rt_wq_list list;
};

static inline void rt_wq_lock(struct rt_waitq *q)
{
    rt_lock(&q->lock);
}

/* Afterwards those who were woken are made ready. */
void rt_wq_unlock(struct rt_waitq *q, struct rt_fifo *woken);

/* The current task is about to wait for what `kind` says. 0, -EPERM outside a task, -ECANCELED,
 * -ENOMEM. Nothing is locked. */
RT_MUST_USE int rt_wq_begin(struct rt_wq_node *node, const struct rt_wait_kind *kind,
                            const void *object);
/* A plain thread is about to wait. 0, or -EPERM on a worker, which must not block. */
RT_MUST_USE int rt_wq_begin_blocking(struct rt_wq_node *node);

/* The deadline of a thread that blocks: 0, or -EINVAL. */
RT_MUST_USE int rt_wq_deadline_blocking(double timeout, uint64_t *ret_deadline);

/* Lock held: at the end. */
void rt_wq_link(struct rt_wq_list *list, struct rt_wq_node *node);
/* Nothing locked. Waits, and unlinks the node. 0: woken. -ECANCELED or -ETIMEDOUT: node->woken says
 * whether it had been woken all the same. */
RT_MUST_USE int rt_wq_park(struct rt_waitq *q, struct rt_wq_node *node, uint64_t deadline);
/* In place of link and park, nothing locked: there is no need to wait. 0 or -ECANCELED. */
RT_MUST_USE int rt_wq_abandon(struct rt_wq_node *node);

/* Lock held: wakes this waiter. False: it has been woken before, or was cancelled, or timed out. */
bool rt_wq_wake(struct rt_wq_node *node, struct rt_fifo *woken);
/* Lock held: wakes the first that can be; NULL when there is none. */
struct rt_wq_node *rt_wq_wake_first(struct rt_wq_list *list, struct rt_fifo *woken);
/* Lock held: wakes the first n of those that can be. */
void rt_wq_wake_many(struct rt_wq_list *list, size_t n, struct rt_fifo *woken);
/* Lock held: has it been neither woken nor cancelled nor timed out? */
bool rt_wq_is_waiting(const struct rt_wq_node *node);
/* Lock held: will it never run, since its runtime has ended without it? Its node stays linked. */
bool rt_wq_is_left_behind(const struct rt_wq_node *node);
/* Nothing locked, for `lost` of a kind: had the waiter been woken? */
bool rt_wq_was_woken(struct rt_waitq *q, const struct rt_awaitable *wait);
/* Lock held: somebody waits, or was woken and has not run yet. */
bool rt_wq_has_waiters(const struct rt_wq_list *list);

#endif
