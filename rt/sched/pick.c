/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The way out of the local queues: what runs next on this worker. */
#include "base/mem.h"
#include "sched/cancel.h"
#include "sched/pace.h"
#include "sched/queues.h"
#include "sched/runtime.h"

/* --- next slot --- */

static struct skua_task *take_next(struct rt_worker *w)
{
    if (!rt_load_relaxed(&w->next)) /* relaxed: only a thief may have emptied it since */
        return NULL;
    uintptr_t x = rt_xchg_acq_rel(&w->next, 0); /* pairs: NEXT <- push_next */
    if (!x)
        return NULL;
    if (w->next_run++ < RT_NEXT_STREAK_MAX)
        return (struct skua_task *)x;
    w->next_run = 0; /* a pair that keeps waking each other queues up like everybody else */
    rt_ready_child(w, (struct skua_task *)x);
    return NULL;
}

/* --- deque --- */

static struct skua_task *pick_deque(struct rt_worker *w)
{
    uintptr_t x = 0;
    if (w->dive > 0 && w->dive_run < RT_DIVE_MAX) {
        w->dive--;
        w->dive_run++;
        x = rt_deque_take(&w->deque);
        if (x)
            return (struct skua_task *)x;
    }
    w->dive_run = 0;
    do
        x = rt_deque_oldest(&w->deque);
    while (!x && rt_deque_size(&w->deque) > 0);
    rt_slab_prefetch((void *)rt_deque_peek(&w->deque));
    return (struct skua_task *)x;
}

/* --- groups --- */

/* The cancel of a task that is done has its turn among the worker's own callbacks: the group may be
 * gone. */
static struct skua_group *cancel_group(struct rt_worker *w, struct skua_task *t)
{
    return rt_task_is_done(t) ? &w->free_group : t->group;
}

static struct skua_group *item_group(struct rt_worker *w, uintptr_t item)
{
    struct rt_link *link = rt_item_link(item);
    switch (rt_item_tag(item)) {
    case RT_TAG_TASK:
        return rt_container_of(link, struct skua_task, run)->group;
    case RT_TAG_HOP:
        return rt_container_of(link, struct skua_task, hop)->group;
    case RT_TAG_CANCEL:
        return cancel_group(w, rt_container_of(link, struct skua_task, cancel_link));
    case RT_TAG_STEP:
    case RT_TAG_NOW:
        break;
    }
    return rt_container_of(link, struct rt_step, link)->home;
}

/* A fresh task that was spawned from elsewhere has arrived: from now on its thread counts it. */
static void note_arrival(struct skua_group *g, uintptr_t item)
{
    if (rt_item_tag(item) != RT_TAG_TASK)
        return;
    struct skua_task *t = rt_container_of(rt_item_link(item), struct skua_task, run);
    if (!(t->flags & RT_TASK_POSTED))
        return;
    t->flags &= (uint8_t)~RT_TASK_POSTED;
    g->live++;
    (void)rt_sub_acq_rel(&g->refs, 1); /* pairs: GROUP -> rt_group_check_dead */
}

static void arrive(struct rt_worker *w, uintptr_t item)
{
    struct skua_group *g = item_group(w, item);
    note_arrival(g, item);
    rt_fifo_push(&g->arrivals, item);
    rt_group_into_ring(w, g);
}

static void take_mail(struct rt_worker *w)
{
    uintptr_t item = rt_inbox_take(&w->pinned_inbox);
    while (item) {
        uintptr_t next = rt_item_link(item)->next;
        rt_fifo_push(&w->mail, item);
        item = next;
    }
}

void rt_post_behind_mail(struct rt_worker *w, uintptr_t item)
{
    take_mail(w);
    rt_fifo_push(&w->mail, item);
}

/* Other threads may post faster than this one runs what they posted: if all of it joined the batch,
 * each batch would be longer than the one before, and timers and events would wait for its end. */
void rt_absorb_pinned(struct rt_worker *w)
{
    take_mail(w);
    for (; w->mail.head && w->mail_room > 0; w->mail_room--)
        arrive(w, rt_fifo_pop(&w->mail));
}

void rt_absorb_all_pinned(struct rt_worker *w)
{
    take_mail(w);
    while (w->mail.head)
        arrive(w, rt_fifo_pop(&w->mail));
}

static void rotate_ring(struct rt_worker *w, struct skua_group *g)
{
    w->ring_head = g->ring_next;
    g->in_ring = false;
    if (g->fifo.head || g->arrivals.head)
        rt_group_into_ring(w, g);
    else if (RT_UNLIKELY(g->live == 0))
        rt_group_check_dead(g); /* its last task ended while it still had a place in the ring */
}

/* Timers enter between batches only, by the time that this thread has seen: reading the clock for
 * each batch would cost more than a task switch. */
static bool begin_batch(struct rt_worker *w, struct skua_group *g, bool on_loop)
{
    if (RT_UNLIKELY(w->leaving))
        return false;
    w->mail_room = RT_MAIL_MAX;
    rt_absorb_pinned(w);
    if (RT_UNLIKELY(rt_timers_next(&w->timers) <= w->timers.seen)) {
        if (!on_loop)
            return false;
        struct rt_fifo due = { 0 };
        rt_timers_expire(&w->timers, w->timers.seen, &due);
        rt_dispatch(w, &due);
    }
    rt_fifo_append(&g->fifo, &g->arrivals);
    g->batch = g->fifo.count;
    return true;
}

static void hop(struct skua_group *g, struct skua_task *t)
{
    t->timer.hop_queued = 0;
    uint64_t word = rt_load_relaxed(&t->wait.bits); /* relaxed: the claim decides */
    if (rt_ww_claim(&t->wait, rt_ww_ticket(word), ETIMEDOUT) == RT_CLAIM_SUBMIT)
        rt_fifo_push(&g->fifo, rt_item(&t->run, RT_TAG_TASK));
}

static void run_step(struct rt_worker *w, struct skua_group *g, struct rt_step *step)
{
    w->in_group = g->is_free ? NULL : g;
    w->in_step_group = g;
    RT_STAT_INC(&w->steps); /* the watch looks at each for itself */
    step->run(step);
    w->in_group = NULL;
    w->in_step_group = NULL;
}

/* One batch of the group that has the turn, up to its next task. */
static struct skua_task *pick_group(struct rt_worker *w, bool on_loop)
{
    struct skua_group *g = w->ring_head;
    if (!g) {
        w->mail_room = RT_MAIL_MAX;
        rt_absorb_pinned(w);
        if (!(g = w->ring_head))
            return NULL;
    }
    if (g->batch == 0 && !begin_batch(w, g, on_loop))
        return NULL;
    struct skua_task *t = NULL;
    while (!t && g->batch > 0) {
        uintptr_t       item = g->fifo.head;
        struct rt_link *link = rt_item_link(item);
        if (rt_item_tag(item) == RT_TAG_STEP && !on_loop)
            return NULL;
        (void)rt_fifo_pop(&g->fifo);
        g->batch--;
        switch (rt_item_tag(item)) {
        case RT_TAG_TASK:
            t = rt_container_of(link, struct skua_task, run);
            break;
        case RT_TAG_HOP:
            hop(g, rt_container_of(link, struct skua_task, hop));
            break;
        case RT_TAG_CANCEL:
            rt_cancel_posted(rt_container_of(link, struct skua_task, cancel_link));
            break;
        case RT_TAG_STEP:
            run_step(w, g, rt_container_of(link, struct rt_step, link));
            if (++w->tick - w->looked >= RT_LOOK_EVERY)
                return NULL;
            break;
        case RT_TAG_NOW:
            break; /* never queued */
        }
    }
    if (g->batch == 0)
        rotate_ring(w, g);
    return t;
}

/* --- all of them --- */

/* An eager child has suspended or ended: its spawner goes on before anything else. */
static struct skua_task *take_eager_back(struct rt_worker *w)
{
    struct skua_task *t = w->eager_back;
    w->eager_back = (struct skua_task *)t->run.next;
    return t;
}

static struct skua_task *pick(struct rt_worker *w, bool on_loop)
{
    struct skua_task *t = take_next(w);
    if (t)
        return t;
    w->next_run = 0;
    w->turn = !w->turn;
    if (w->turn) {
        t = pick_group(w, on_loop);
        return t ? t : pick_deque(w);
    }
    t = pick_deque(w);
    return t ? t : pick_group(w, on_loop);
}

static bool look_is_due(struct rt_worker *w)
{
    RT_STAT_INC(&w->steps);
    /* relaxed: a hint */
    return ++w->tick - w->looked >= RT_LOOK_EVERY || rt_load_relaxed(&w->poll_due);
}

bool rt_pick_is_alone(struct rt_worker *w)
{
    /* relaxed: what comes later comes later */
    return !look_is_due(w) && !w->eager_back && !w->ring_head && rt_deque_count(&w->deque) <= 0 &&
           !rt_load_relaxed(&w->next) && !rt_load_relaxed(&w->inbox.head) &&
           !rt_load_relaxed(&w->pinned_inbox.head) && !w->mail.head;
}

struct skua_task *rt_pick_local(struct rt_worker *w)
{
    if (RT_UNLIKELY(w->eager_back != NULL))
        return take_eager_back(w);
    return RT_UNLIKELY(look_is_due(w)) ? NULL : pick(w, false);
}

struct skua_task *rt_pick_loop(struct rt_worker *w)
{
    if (RT_UNLIKELY(w->eager_back != NULL))
        return take_eager_back(w);
    if (look_is_due(w))
        rt_look_around(w);
    return pick(w, true);
}

/* --- looking around --- */

void rt_dispatch(struct rt_worker *w, struct rt_fifo *batch)
{
    uintptr_t item;
    while ((item = rt_fifo_pop(batch)) != 0) {
        struct skua_group *g = item_group(w, item);
        if (!g)
            rt_ready_child(w, rt_container_of(rt_item_link(item), struct skua_task, run));
        else if (g->worker == w)
            arrive(w, item);
        else
            rt_post_pinned(g, item);
    }
}

static void take_inbox(struct rt_worker *w)
{
    uintptr_t item = rt_inbox_take(&w->inbox);
    while (item) {
        uintptr_t next = rt_item_link(item)->next;
        rt_ready_child(w, rt_container_of(rt_item_link(item), struct skua_task, run));
        item = next;
    }
}

/* A block at a time, where it fits. */
static void take_block(struct rt_worker *w)
{
    if (rt_deque_count(&w->deque) > RT_DEQUE_CAP - RT_INJECT_BLOCK)
        return;
    struct rt_inject_block *block = rt_inject_take_block(&w->rt->inject);
    for (size_t i = 0; block && i < block->count; i++)
        rt_ready_child(w, (struct skua_task *)block->entry[i]);
    rt_free(block);
}

static void take_injected(struct rt_worker *w)
{
    uint64_t waiting = rt_inject_length(&w->rt->inject);
    if (!waiting)
        return;
    struct rt_fifo batch = { 0 };
    uint64_t       share = waiting / w->rt->n + 1;
    uint64_t       room = RT_DEQUE_CAP / 2 - (uint64_t)rt_deque_size(&w->deque) / 2;
    (void)rt_inject_take(&w->rt->inject, share < room ? share : room, &batch);
    rt_dispatch(w, &batch);
    take_block(w);
}

void rt_look_around(struct rt_worker *w)
{
    struct rt_fifo found = { 0 };
    w->looked = w->tick;
    rt_store_relaxed(&w->poll_due, 0); /* relaxed: a hint */
    RT_STAT_INC(&w->polls);
    take_inbox(w);
    rt_absorb_pinned(w);
    SKUA_IGNORE(rt_poll(&w->poller, 0, &found)); /* an error here leaves everything as it was */
    rt_timers_expire(&w->timers, rt_timers_read_clock(&w->timers), &found);
    rt_pace_measure(w, w->timers.seen);
    if (RT_UNLIKELY(rt_lend_is_concerned(w)))
        rt_lend_look(w, &found);
    rt_dispatch(w, &found);
    take_injected(w);
    if (RT_UNLIKELY(rt_load_relaxed(&w->rt->rescue.held) > 0)) /* relaxed: a hint */
        rt_rescue_look(w);
    while (RT_UNLIKELY(w->dead != NULL))
        rt_group_bury(w);
}
