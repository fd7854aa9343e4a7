/* SPDX-License-Identifier: MIT */
/* floor 6: sync. Queues. A waiter is woken to look again, as in asyncio, and is not handed an
 * element: so elements come out in the order of those who run, and a woken one that is cancelled
 * before it has looked wakes the next in its place. */
#include <errno.h>
#include <math.h>

#include "sync/ring.h"
#include "sync/waitq.h"

struct queue {
    uint64_t          maxsize; /* 0: none; these three are what the initialisers set */
    uint64_t          order;   /* enum rt_ring_order */
    skua_compare_fn   compare; /* of a heap */
    struct rt_waitq   q;       /* its list: who waits for an element */
    struct rt_wq_list putters; /* who waits for room */
    struct rt_wq_list joiners; /* who waits for the end of work */
    struct rt_ring    ring;    /* all under the lock of q, from here on */
    uint32_t          is_shut;
    uint64_t          unfinished;
};

_Static_assert(sizeof(struct queue) <= sizeof(skua_queue), "fits the public object");

static struct queue *of(const skua_queue *q)
{
    return (struct queue *)(void *)(uintptr_t)q;
}

/* --- one try; lock held --- */

static bool is_full(const struct queue *q)
{
    return q->maxsize > 0 && q->ring.count >= q->maxsize;
}

static int try_put(struct queue *q, void *item, struct rt_fifo *woken)
{
    if (q->is_shut)
        return -EPIPE;
    if (is_full(q))
        return -EAGAIN;
    if (q->order == RT_RING_HEAP && !q->compare)
        return -EINVAL;
    q->ring.compare = q->compare;
    int r = rt_ring_put(&q->ring, (enum rt_ring_order)q->order, item);
    if (r < 0)
        return r;
    q->unfinished++;
    (void)rt_wq_wake_first(&q->q.list, woken);
    return 0;
}

static int try_get(struct queue *q, void **ret_item, struct rt_fifo *woken)
{
    if (q->ring.count == 0)
        return q->is_shut ? -EPIPE : -EAGAIN;
    void *item = rt_ring_get(&q->ring, (enum rt_ring_order)q->order);
    if (ret_item)
        *ret_item = item;
    (void)rt_wq_wake_first(&q->putters, woken);
    return 0;
}

/* --- an operation: tries until it need not wait --- */

struct op {
    struct queue *q;
    bool          is_put;
    bool          is_blocking;
    void         *item;     /* of put */
    void        **ret_item; /* of get */
    uint64_t      deadline; /* 0: does not wait */
};

static int try_locked(struct op *op, struct rt_fifo *woken)
{
    return op->is_put ? try_put(op->q, op->item, woken) : try_get(op->q, op->ret_item, woken);
}

static int try_once(struct op *op)
{
    struct rt_fifo woken = { 0 };
    rt_wq_lock(&op->q->q);
    int r = try_locked(op, &woken);
    rt_wq_unlock(&op->q->q, &woken);
    return r;
}

static bool must_wait(const struct op *op)
{
    return op->is_put ? is_full(op->q) && !op->q->is_shut
                      : op->q->ring.count == 0 && !op->q->is_shut;
}

/* Woken, but it will not look: the next one shall, if there is something to see. */
static void pass_on(struct op *op, struct rt_wq_list *list)
{
    struct rt_fifo woken = { 0 };
    rt_wq_lock(&op->q->q);
    if (!must_wait(op))
        (void)rt_wq_wake_first(list, &woken);
    rt_wq_unlock(&op->q->q, &woken);
}

static void put_lost(const struct rt_awaitable *wait)
{
    struct op op = { .q = (struct queue *)(uintptr_t)wait->object, .is_put = true };
    if (rt_wq_was_woken(&op.q->q, wait))
        pass_on(&op, &op.q->putters);
}

static void get_lost(const struct rt_awaitable *wait)
{
    struct op op = { .q = (struct queue *)(uintptr_t)wait->object };
    if (rt_wq_was_woken(&op.q->q, wait))
        pass_on(&op, &op.q->q.list);
}

static const struct rt_wait_kind put_kind = { .what = "room in a queue", .is_shown = true,
                                              .lost = put_lost };
static const struct rt_wait_kind get_kind = { .what = "an element of a queue", .is_shown = true,
                                              .lost = get_lost };
static const struct rt_wait_kind join_kind = { .what = "the end of work in a queue",
                                               .is_shown = true };

static int begin(struct op *op, struct rt_wq_node *node)
{
    return op->is_blocking ? rt_wq_begin_blocking(node)
                           : rt_wq_begin(node, op->is_put ? &put_kind : &get_kind, op->q);
}

/* 0: look again. */
static int wait_once(struct op *op)
{
    struct rt_wq_list *list = op->is_put ? &op->q->putters : &op->q->q.list;
    struct rt_wq_node  node;
    int                r = begin(op, &node);
    if (r < 0)
        return r;
    rt_wq_lock(&op->q->q);
    bool waits = must_wait(op);
    if (waits)
        rt_wq_link(list, &node);
    rt_wq_unlock(&op->q->q, NULL);
    if (!waits)
        return rt_wq_abandon(&node);
    r = rt_wq_park(&op->q->q, &node, op->deadline);
    if (r < 0 && node.woken)
        pass_on(op, list);
    return r;
}

static int run(struct op *op)
{
    int r = try_once(op);
    while (r == -EAGAIN && op->deadline > 0) {
        r = wait_once(op);
        if (r == 0)
            r = try_once(op);
    }
    return r;
}

/* From a task, with a timeout in seconds. */
static int run_in_task(struct op *op, double timeout)
{
    struct rt_worker *w = rt_self();
    if (!op->q || isnan(timeout))
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    int r = try_once(op);
    if (r != -EAGAIN || timeout <= 0) {
        rt_spend_budget(w, false);
        return r == -EAGAIN ? -ETIMEDOUT : r;
    }
    r = rt_deadline(w, timeout, &op->deadline);
    return r < 0 ? r : run(op);
}

static int run_blocking(struct op *op, double timeout)
{
    op->is_blocking = true;
    if (!op->q || rt_wq_deadline_blocking(timeout, &op->deadline) < 0)
        return -EINVAL;
    if (rt_self())
        return -EPERM;
    if (timeout <= 0)
        op->deadline = 0;
    int r = run(op);
    return r == -EAGAIN ? -ETIMEDOUT : r;
}

int skua_queue_put(skua_queue *q, void *item, double timeout)
{
    struct op op = { .q = of(q), .is_put = true, .item = item };
    return run_in_task(&op, timeout);
}

int skua_queue_get(skua_queue *q, void **ret_item, double timeout)
{
    struct op op = { .q = of(q), .ret_item = ret_item };
    return run_in_task(&op, timeout);
}

int skua_queue_put_nowait(skua_queue *q, void *item)
{
    struct op op = { .q = of(q), .is_put = true, .item = item };
    return q ? try_once(&op) : -EINVAL;
}

int skua_queue_get_nowait(skua_queue *q, void **ret_item)
{
    struct op op = { .q = of(q), .ret_item = ret_item };
    return q ? try_once(&op) : -EINVAL;
}

int skua_queue_put_blocking(skua_queue *q, void *item, double timeout)
{
    struct op op = { .q = of(q), .is_put = true, .item = item };
    return run_blocking(&op, timeout);
}

int skua_queue_get_blocking(skua_queue *q, void **ret_item, double timeout)
{
    struct op op = { .q = of(q), .ret_item = ret_item };
    return run_blocking(&op, timeout);
}

/* --- the end of work --- */

/* Lock held. */
static void finish(struct queue *q, uint64_t n, struct rt_fifo *woken)
{
    q->unfinished -= n < q->unfinished ? n : q->unfinished;
    if (q->unfinished == 0)
        rt_wq_wake_many(&q->joiners, SIZE_MAX, woken);
}

int skua_queue_task_done(skua_queue *queue)
{
    struct queue  *q = of(queue);
    struct rt_fifo woken = { 0 };
    if (!q)
        return -EINVAL;
    rt_wq_lock(&q->q);
    bool due = q->unfinished > 0;
    if (due)
        finish(q, 1, &woken);
    rt_wq_unlock(&q->q, &woken);
    return due ? 0 : -EINVAL;
}

int skua_queue_join(skua_queue *queue)
{
    struct queue     *q = of(queue);
    struct rt_worker *w = rt_self();
    struct rt_wq_node node;
    if (!q)
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    rt_wq_lock(&q->q);
    bool waits = q->unfinished > 0;
    rt_wq_unlock(&q->q, NULL);
    if (!waits) {
        rt_spend_budget(w, false);
        return 0;
    }
    int r = rt_wq_begin(&node, &join_kind, q);
    if (r < 0)
        return r;
    rt_wq_lock(&q->q);
    waits = q->unfinished > 0;
    if (waits)
        rt_wq_link(&q->joiners, &node);
    rt_wq_unlock(&q->q, NULL);
    return waits ? rt_wq_park(&q->q, &node, RT_NEVER) : rt_wq_abandon(&node);
}

int skua_queue_shutdown(skua_queue *queue, bool immediate)
{
    struct queue  *q = of(queue);
    struct rt_fifo woken = { 0 };
    if (!q)
        return -EINVAL;
    rt_wq_lock(&q->q);
    q->is_shut = true;
    if (immediate) {
        uint64_t dropped = q->ring.count;
        rt_ring_clear(&q->ring);
        if (dropped > 0)
            finish(q, dropped, &woken);
    }
    rt_wq_wake_many(&q->q.list, SIZE_MAX, &woken);
    rt_wq_wake_many(&q->putters, SIZE_MAX, &woken);
    rt_wq_unlock(&q->q, &woken);
    return 0;
}

/* --- making and asking --- */

int skua_queue_init_buffer(skua_queue *queue, void **slots, size_t n)
{
    struct queue *q = of(queue);
    if (!q || !slots || n == 0)
        return -EINVAL;
    *q = (struct queue){ .maxsize = n, .ring = { .slot = slots, .room = n, .is_fixed = true } };
    return 0;
}

void skua_queue_fini(skua_queue *queue)
{
    struct queue *q = of(queue);
    if (!q)
        return;
    rt_wq_lock(&q->q);
    rt_ring_free(&q->ring);
    q->unfinished = 0;
    rt_wq_unlock(&q->q, NULL);
}

size_t skua_queue_size(const skua_queue *queue)
{
    struct queue *q = of(queue);
    if (!q)
        return 0;
    rt_wq_lock(&q->q);
    size_t n = q->ring.count;
    rt_wq_unlock(&q->q, NULL);
    return n;
}

bool skua_queue_empty(const skua_queue *queue)
{
    return skua_queue_size(queue) == 0;
}

bool skua_queue_full(const skua_queue *queue)
{
    struct queue *q = of(queue);
    if (!q)
        return false;
    rt_wq_lock(&q->q);
    bool full = is_full(q);
    rt_wq_unlock(&q->q, NULL);
    return full;
}
