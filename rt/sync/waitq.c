/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The wait queue. */
#include "sync/waitq.h"

#include <errno.h>

#include "base/clock.h"
#include "sched/queues.h"
#include "sched/runtime.h"

void rt_wq_unlock(struct rt_waitq *q, struct rt_fifo *woken)
{
    rt_unlock(&q->lock);
    if (woken && woken->head)
        rt_ready_batch(woken);
}

int rt_wq_begin(struct rt_wq_node *node, const struct rt_wait_kind *kind, const void *object)
{
    struct rt_worker *w = rt_self();
    *node = (struct rt_wq_node){ .awaitable = { .kind = kind, .object = object } };
    int r = w && w->cur ? rt_wait_begin(w, &node->name) : -EPERM;
    if (r == 0)
        rt_await_combined(w->cur, &node->awaitable);
    return r;
}

int rt_wq_begin_blocking(struct rt_wq_node *node)
{
    *node = (struct rt_wq_node){ 0 };
    if (rt_self())
        return -EPERM;
    rt_event_count_init(&node->count);
    return 0;
}

int rt_wq_deadline_blocking(double timeout, uint64_t *ret_deadline)
{
    uint64_t ns;
    int      r = rt_ns_from_seconds(timeout, &ns);
    if (r == 0)
        *ret_deadline = ns == RT_NEVER ? RT_NEVER : rt_ns_add(rt_clock_now(), ns);
    return r;
}

void rt_wq_link(struct rt_wq_list *list, struct rt_wq_node *node)
{
    node->list = list;
    node->next = NULL;
    node->prev = list->tail;
    *(list->tail ? &list->tail->next : &list->head) = node;
    list->tail = node;
}

static void unlink_node(struct rt_wq_node *node)
{
    *(node->prev ? &node->prev->next : &node->list->head) = node->next;
    *(node->next ? &node->next->prev : &node->list->tail) = node->prev;
}

static int park_task(struct rt_wq_node *node, uint64_t deadline)
{
    int r = rt_wait_timer(rt_self(), deadline);
    if (r < 0) { /* no room for the timer: the wait ends at once */
        int other = rt_wq_abandon(node);
        return other < 0 ? other : r;
    }
    r = rt_wait_park();
    rt_wait_timer_end(r);
    return r > 0 ? -r : r;
}

static int park_thread(struct rt_wq_node *node, uint64_t deadline)
{
    int r = 0;
    while (r == 0) {
        uint32_t seen = rt_event_count_value(&node->count);
        if (rt_load_acquire(&node->fired)) /* pairs: WAITQ <- rt_wq_wake */
            return 0;
        r = rt_event_count_wait(&node->count, seen, deadline);
    }
    return r;
}

int rt_wq_park(struct rt_waitq *q, struct rt_wq_node *node, uint64_t deadline)
{
    int r = node->name ? park_task(node, deadline) : park_thread(node, deadline);
    rt_lock(&q->lock);
    unlink_node(node);
    if (!node->name && node->woken)
        r = 0; /* a thread that is woken late is woken */
    rt_unlock(&q->lock);
    return r;
}

int rt_wq_abandon(struct rt_wq_node *node)
{
    return node->name ? rt_wait_abandon(node->name) : 0;
}

static bool wake_thread(struct rt_wq_node *node)
{
    rt_store_release(&node->fired, 1); /* pairs: WAITQ -> park_thread */
    rt_event_count_broadcast(&node->count); /* its frame stays until it has had the lock */
    return true;
}

/* The task's runtime may be about to end, without waiting for the task. */
static bool wake_abroad(uint64_t name, uint16_t runtime)
{
    struct rt_fifo     one = { 0 };
    struct rt_runtime *rt = rt_runtime_visit(runtime);
    if (!rt) { /* it never runs again, and does not count as a waiter */
        rt_ww_retire(&rt_name_task(name)->wait, rt_ww_ticket(name));
        return false;
    }
    bool woken = rt_name_claim(name, 0, &one);
    rt_ready_batch(&one);
    rt_runtime_unvisit(rt);
    return woken;
}

static bool wake_task(uint64_t name, struct rt_fifo *woken)
{
    struct rt_worker *w = rt_self();
    /* relaxed: fixed as long as the name is good */
    uint16_t runtime = rt_load_relaxed(&rt_name_task(name)->runtime);
    return w && w->rt->id == runtime ? rt_name_claim(name, 0, woken) : wake_abroad(name, runtime);
}

bool rt_wq_wake(struct rt_wq_node *node, struct rt_fifo *woken)
{
    if (node->woken)
        return false;
    node->woken = node->name ? wake_task(node->name, woken) : wake_thread(node);
    return node->woken;
}

void rt_wq_wake_many(struct rt_wq_list *list, size_t n, struct rt_fifo *woken)
{
    for (struct rt_wq_node *node = list->head; node && n > 0; node = node->next)
        n -= rt_wq_wake(node, woken);
}

struct rt_wq_node *rt_wq_wake_first(struct rt_wq_list *list, struct rt_fifo *woken)
{
    struct rt_wq_node *node = list->head;
    while (node && !rt_wq_wake(node, woken))
        node = node->next;
    return node;
}

bool rt_wq_is_waiting(const struct rt_wq_node *node)
{
    if (node->woken || !node->name)
        return !node->woken;
    struct skua_task *t = rt_name_task(node->name);
    uint64_t          word = rt_load_acquire(&t->wait.bits); /* pairs: WAKE <- rt_ww_claim */
    return rt_ww_ticket(word) == rt_ww_ticket(node->name) &&
           rt_ww_phase(word) != RT_PHASE_RUNNING;
}

bool rt_wq_is_left_behind(const struct rt_wq_node *node)
{
    /* A waiter that will run has begun no other wait while its node is linked. */
    return node->name && rt_ww_ticket(rt_load_acquire(&rt_name_task(node->name)->wait.bits)) !=
                             rt_ww_ticket(node->name); /* pairs: WAIT <- rt_ww_retire */
}

bool rt_wq_was_woken(struct rt_waitq *q, const struct rt_awaitable *wait)
{
    rt_lock(&q->lock);
    bool woken = rt_container_of(wait, const struct rt_wq_node, awaitable)->woken;
    rt_unlock(&q->lock);
    return woken;
}

bool rt_wq_has_waiters(const struct rt_wq_list *list)
{
    for (const struct rt_wq_node *node = list->head; node; node = node->next)
        if (node->woken ? !rt_wq_is_left_behind(node) : rt_wq_is_waiting(node))
            return true;
    return false;
}
