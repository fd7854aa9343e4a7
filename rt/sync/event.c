/* SPDX-License-Identifier: MIT */
/* floor 6: sync. The event. */
#include <errno.h>

#include "sync/waitq.h"

struct event {
    struct rt_waitq q;
    bool            set;
};

_Static_assert(sizeof(struct event) <= sizeof(skua_event), "fits the public object");

static struct event *of(const skua_event *event)
{
    return (struct event *)(void *)(uintptr_t)event;
}

void skua_event_set(skua_event *event)
{
    struct event  *e = of(event);
    struct rt_fifo woken = { 0 };
    if (!e)
        return;
    rt_wq_lock(&e->q);
    e->set = true;
    rt_wq_wake_many(&e->q.list, SIZE_MAX, &woken);
    rt_wq_unlock(&e->q, &woken);
}

void skua_event_clear(skua_event *event)
{
    struct event *e = of(event);
    if (!e)
        return;
    rt_wq_lock(&e->q);
    e->set = false;
    rt_wq_unlock(&e->q, NULL);
}

bool skua_event_is_set(const skua_event *event)
{
    struct event *e = of(event);
    if (!e)
        return false;
    rt_wq_lock(&e->q);
    bool set = e->set;
    rt_wq_unlock(&e->q, NULL);
    return set;
}

static int wait_for_it(struct event *e, struct rt_wq_node *node, uint64_t deadline)
{
    rt_wq_lock(&e->q);
    bool set = e->set;
    if (!set)
        rt_wq_link(&e->q.list, node);
    rt_wq_unlock(&e->q, NULL);
    return set ? rt_wq_abandon(node) : rt_wq_park(&e->q, node, deadline);
}

static const struct rt_wait_kind event_kind = { .what = "an event", .is_shown = true };

int skua_event_wait(skua_event *event)
{
    struct rt_worker *w = rt_self();
    if (!event)
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    if (skua_event_is_set(event)) {
        rt_spend_budget(w, false);
        return 0;
    }
    struct rt_wq_node node;
    int               r = rt_wq_begin(&node, &event_kind, event);
    return r < 0 ? r : wait_for_it(of(event), &node, RT_NEVER);
}

int skua_event_wait_blocking(skua_event *event, double timeout)
{
    uint64_t          deadline;
    struct rt_wq_node node;
    if (!event || rt_wq_deadline_blocking(timeout, &deadline) < 0)
        return -EINVAL;
    int r = rt_wq_begin_blocking(&node);
    return r < 0 ? r : wait_for_it(of(event), &node, deadline);
}
