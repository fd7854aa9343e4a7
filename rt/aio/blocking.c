/* SPDX-License-Identifier: MIT */
/* floor 7: aio. A plain thread waits for a task. */
#include <errno.h>

#include "base/clock.h"
#include "base/event_count.h"
#include "sched/worker.h"
#include "sync/await.h"

struct blocked {
    struct rt_waiter      waiter;
    struct rt_event_count count;
    RT_ATOMIC(uint32_t)   fired;
};

/* Under the lock of the task, so that the frame stays until rt_waiter_remove has had that lock. */
static void fire(struct rt_waiter *self, struct skua_task *done, struct rt_fifo *out)
{
    struct blocked *b = rt_container_of(self, struct blocked, waiter);
    (void)done;
    (void)out;
    rt_store_release(&b->fired, 1); /* pairs: BLOCKED -> wait_fired */
    rt_event_count_broadcast(&b->count);
}

static void wait_fired(struct blocked *b, uint64_t deadline)
{
    int r = 0;
    while (r == 0) {
        uint32_t seen = rt_event_count_value(&b->count);
        if (rt_load_acquire(&b->fired)) /* pairs: BLOCKED <- fire */
            return;
        r = rt_event_count_wait(&b->count, seen, deadline);
    }
}

int skua_wait_blocking(skua_task *task, double timeout, void **ret_result)
{
    struct blocked b = { .waiter.fire = fire };
    uint64_t       ns;
    if (rt_self())
        return -EPERM;
    if (!task || rt_ns_from_seconds(timeout, &ns) < 0)
        return -EINVAL;
    rt_check_alive(task);
    if (rt_task_is_done(task))
        return rt_outcome(task, ret_result);
    if (ns == 0)
        return -ETIMEDOUT;
    rt_event_count_init(&b.count);
    if (rt_waiter_add(task, &b.waiter)) {
        wait_fired(&b, ns == RT_NEVER ? RT_NEVER : rt_ns_add(rt_clock_now(), ns));
        (void)rt_waiter_remove(task, &b.waiter);
    }
    return rt_task_is_done(task) ? rt_outcome(task, ret_result) : -ETIMEDOUT;
}
