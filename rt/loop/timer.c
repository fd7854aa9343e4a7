/* SPDX-License-Identifier: MIT */
/* floor 4: loop. Arming, disarming, expiry. */
#include "loop/timer.h"

#include <errno.h>

void rt_timers_init(struct rt_timers *ts, struct rt_time *time)
{
    rt_lock_init(&ts->lock, RT_RANK_TIMERS);
    rt_heap_init(&ts->heap);
    rt_init(&ts->next, RT_NEVER);
    ts->time = time;
    ts->seen = rt_time_now(time);
}

void rt_timers_fini(struct rt_timers *ts)
{
    rt_heap_fini(&ts->heap);
}

static void note_top(struct rt_timers *ts)
{
    const struct rt_heap_entry *top = rt_heap_top(&ts->heap);
    /* relaxed: the lock orders the heap */
    rt_store_relaxed(&ts->next, top ? top->deadline : RT_NEVER);
}

int rt_timer_arm(struct rt_timers *ts, struct rt_timer *timer, enum rt_timer_kind kind,
                 uint64_t deadline)
{
    timer->kind = (uint8_t)kind;
    timer->owner = ts;
    rt_lock(&ts->lock);
    int r = rt_heap_push(&ts->heap, &timer->node, deadline);
    if (r == 0)
        note_top(ts);
    rt_unlock(&ts->lock);
    return r;
}

bool rt_timer_disarm(struct rt_timer *timer)
{
    struct rt_timers *ts = timer->owner;
    if (!ts)
        return false;
    rt_lock(&ts->lock);
    bool was_armed = rt_heap_contains(&timer->node);
    if (was_armed) {
        rt_heap_remove(&ts->heap, &timer->node);
        note_top(ts);
    }
    rt_unlock(&ts->lock);
    return was_armed;
}

uint64_t rt_timers_read_clock(struct rt_timers *ts)
{
    return ts->seen = rt_time_now(ts->time);
}

/* The task cannot begin another wait before it has disarmed, which takes the lock held here: the
 * wait word still shows the suspension that the timer belongs to. */
static void expire_task(struct skua_task *t, struct rt_fifo *out)
{
    uint64_t word = rt_load_relaxed(&t->wait.bits); /* relaxed: the claim decides */
    if (!t->group) {
        (void)rt_name_claim(rt_wait_name(t, rt_ww_ticket(word)), ETIMEDOUT, out);
    } else if (rt_ww_phase(word) == RT_PHASE_PARKED) {
        t->timer.hop_queued = 1;
        rt_fifo_push(out, rt_item(&t->hop, RT_TAG_HOP));
    }
}

static void expire_one(struct rt_timer *timer, struct rt_fifo *out)
{
    if (timer->kind == RT_TIMER_TASK) {
        expire_task(rt_container_of(timer, struct skua_task, timer), out);
        return;
    }
    struct rt_step_timer *st = rt_container_of(timer, struct rt_step_timer, timer);
    if (st->step.home)
        rt_fifo_push(out, rt_item(&st->step.link, RT_TAG_STEP));
    else
        st->expire(st);
}

void rt_timers_expire(struct rt_timers *ts, uint64_t now, struct rt_fifo *out)
{
    if (rt_timers_next(ts) > now)
        return;
    rt_lock(&ts->lock);
    const struct rt_heap_entry *top;
    while ((top = rt_heap_top(&ts->heap)) && top->deadline <= now) {
        struct rt_heap_node *node = rt_heap_pop(&ts->heap);
        expire_one(rt_container_of(node, struct rt_timer, node), out);
    }
    note_top(ts);
    rt_unlock(&ts->lock);
}

static struct rt_timer *timer_of(struct rt_heap_node *node)
{
    return rt_container_of(node, struct rt_timer, node);
}

/* A pinned task learns of its expiry by an item that only its own thread may handle. */
static bool is_free(struct rt_heap_node *node)
{
    struct rt_timer *timer = timer_of(node);
    if (timer->kind == RT_TIMER_TASK)
        return !rt_container_of(timer, struct skua_task, timer)->group;
    return !rt_container_of(timer, struct rt_step_timer, timer)->step.home;
}

static void expire_node(struct rt_heap_node *node, void *out)
{
    expire_one(timer_of(node), out);
}

uint64_t rt_timers_serve(struct rt_timers *ts, uint64_t now, struct rt_fifo *out)
{
    if (rt_timers_next(ts) > now)
        return rt_timers_next(ts);
    rt_lock(&ts->lock);
    uint64_t next = rt_heap_take_due(&ts->heap, now, is_free, expire_node, out);
    note_top(ts);
    rt_unlock(&ts->lock);
    return next;
}
