/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The door into the run queues: where a ready thing goes, and who is told. */
#include "base/mem.h"
#include "sched/cancel.h"
#include "sched/pace.h"
#include "sched/queues.h"
#include "sched/runtime.h"

void rt_ring(struct rt_worker *w)
{
    struct rt_worker *self = rt_self();
    if (self)
        RT_STAT_INC(&self->wakeups);
    rt_poller_ring(&w->poller);
}

void rt_notify(struct rt_runtime *rt)
{
    int index = rt_idle_pick(&rt->idle);
    if (index >= 0)
        rt_ring(rt->workers[index]);
}

/* --- free tasks --- */

static void inject(struct rt_runtime *rt, struct rt_fifo *batch)
{
    rt_inject_push(&rt->inject, batch);
    rt_notify(rt);
}

/* Without memory for a block: linked, entry by entry. */
static void spill_linked(struct rt_worker *w)
{
    struct rt_fifo half = { 0 };
    while (half.count < RT_DEQUE_CAP / 2) {
        uintptr_t x = rt_deque_oldest(&w->deque);
        if (x)
            rt_fifo_push(&half, rt_item(&((struct skua_task *)x)->run, RT_TAG_TASK));
        else if (rt_deque_size(&w->deque) == 0)
            break;
    }
    inject(w->rt, &half);
}

/* The owner itself looks at the injector before it sleeps, and the watch at each tick: to tell
 * nobody costs time, never a task. */
static bool is_worth_a_wake(struct rt_runtime *rt)
{
    int index = rt_idle_peek(&rt->idle);
    return index < 0 ||
           rt_inject_length(&rt->inject) * rt_pace(rt->workers[index]) >= RT_WAKE_NS;
}

/* A full deque gives its older half to the injector, as one block. */
static void spill(struct rt_worker *w)
{
    struct rt_inject_block *block = rt_malloc(sizeof *block);
    if (!block) {
        spill_linked(w);
        return;
    }
    block->count = rt_deque_oldest_many(&w->deque, block->entry, RT_INJECT_BLOCK);
    if (block->count == 0) { /* thieves were faster */
        rt_free(block);
        return;
    }
    rt_inject_push_block(&w->rt->inject, block);
    if (is_worth_a_wake(w->rt))
        rt_notify(w->rt);
}

void rt_give_away(struct rt_worker *w)
{
    uintptr_t next = rt_xchg_acq_rel(&w->next, 0); /* pairs: NEXT <- push_next */
    if (next)
        rt_ready_child(w, (struct skua_task *)next);
    while (rt_deque_size(&w->deque) > 0)
        spill(w);
    rt_notify(w->rt); /* this worker will not come to them */
}

/* The first entries are those that this worker runs next: nobody is told. With the one that
 * would wait for long (sched/pace.h) a sleeper is woken. With later ones nobody sleeps without
 * having been told: a worker parks only where it sees no deque worth sharing, and a thief that
 * leaves one behind tells the next. (A thief may be at work, or the pace may change, while this
 * push is on its way; then the watch tells. No task depends on it: this worker never sleeps before
 * its deque is empty.) */
static void push_deque(struct rt_worker *w, struct skua_task *t)
{
    bool tell = w->rt->n > 1 && w->rt->steal && rt_deque_count(&w->deque) == rt_tell_at(w) - 1;
    for (;;) {
        bool pushed = tell ? rt_deque_push_announced(&w->deque, (uintptr_t)t)
                           : rt_deque_push(&w->deque, (uintptr_t)t);
        if (RT_LIKELY(pushed))
            break;
        spill(w);
    }
    if (tell)
        rt_notify(w->rt);
}

void rt_ready_child(struct rt_worker *w, struct skua_task *t)
{
    push_deque(w, t);
}

/* A task woken by a running free task probably shares its data: it goes next, on the same core. */
static void push_next(struct rt_worker *w, struct skua_task *t)
{
    /* pairs: NEXT -> take_next, NEXT <- push_next */
    uintptr_t before = rt_xchg_acq_rel(&w->next, (uintptr_t)t);
    if (before)
        push_deque(w, (struct skua_task *)before);
}

static void ready_free(struct skua_task *t)
{
    struct rt_worker *w = rt_self();
    uint16_t          id = rt_load_relaxed(&t->runtime); /* relaxed: fixed while the task lives */
    if (RT_UNLIKELY(!w || w->rt->id != id)) {
        struct rt_runtime *rt = rt_runtime_visit(id);
        if (!rt)
            return; /* it has ended, and given the task up */
        struct rt_fifo one = { 0 };
        rt_fifo_push(&one, rt_item(&t->run, RT_TAG_TASK));
        inject(rt, &one);
        rt_runtime_unvisit(rt);
    } else if (w->cur && !w->in_group) {
        push_next(w, t);
    } else {
        push_deque(w, t);
    }
}

void rt_ready_on(struct rt_worker *target, struct skua_task *t)
{
    if (target == rt_self()) {
        push_deque(target, t);
        return;
    }
    if (!rt_inbox_push(&target->inbox, rt_item(&t->run, RT_TAG_TASK)))
        return; /* who found it empty rings */
    int index = rt_idle_pick_this(&target->rt->idle, target->index);
    if (index >= 0)
        rt_ring(target->rt->workers[index]);
}

/* --- pinned things --- */

void rt_group_enqueue(struct skua_group *g, uintptr_t item)
{
    struct rt_worker *w = g->worker;
    rt_fifo_push(&g->fifo, item);
    rt_group_into_ring(w, g);
}

void rt_group_into_ring(struct rt_worker *w, struct skua_group *g)
{
    if (g->in_ring)
        return;
    g->in_ring = true;
    g->ring_next = NULL;
    if (w->ring_head)
        w->ring_tail->ring_next = g;
    else
        w->ring_head = g;
    w->ring_tail = g;
}

void rt_post_pinned(struct skua_group *g, uintptr_t item)
{
    struct rt_worker *w = g->worker;
    if (w == rt_self()) {
        if (w->cur && !w->in_group)
            rt_post_behind_mail(w, item);
        else
            rt_group_enqueue(g, item);
        return;
    }
    /* From another thread the runtime may end as soon as the item is pushed: its end waits for
     * wakers. */
    struct rt_worker  *self = rt_self();
    struct rt_runtime *rt = w->rt;
    bool               is_foreign = !self || self->rt != rt;
    if (is_foreign)
        (void)rt_add_acq_rel(&rt->wakers, 1); /* pairs: WAKERS -> rt_runtime_free */
    int index = -1;
    if (rt_inbox_push(&w->pinned_inbox, item)) /* who found it empty rings */
        index = rt_idle_pick_this(&rt->idle, w->index);
    if (index >= 0)
        rt_ring(rt->workers[index]);
    if (is_foreign)
        (void)rt_sub_acq_rel(&rt->wakers, 1); /* pairs: WAKERS -> rt_runtime_free */
}

void rt_post_step(struct rt_step *step)
{
    rt_post_pinned(step->home, rt_item(&step->link, RT_TAG_STEP));
}

void rt_fire_step(struct rt_step *step, struct rt_fifo *out)
{
    if (step->home->worker == rt_self())
        rt_fifo_push(out, rt_item(&step->link, RT_TAG_STEP));
    else
        rt_post_step(step);
}

static bool unpost(struct skua_group *g, uintptr_t item)
{
    rt_absorb_all_pinned(g->worker);
    size_t place = rt_fifo_remove(&g->fifo, item);
    if (!place)
        return rt_fifo_remove(&g->arrivals, item) > 0;
    if (place <= g->batch)
        g->batch--;
    return true;
}

bool rt_unpost_step(struct rt_step *step)
{
    return unpost(step->home, rt_item(&step->link, RT_TAG_STEP));
}

void rt_unpost_hop(struct skua_task *t)
{
    (void)unpost(t->group, rt_item(&t->hop, RT_TAG_HOP));
    t->timer.hop_queued = 0;
}

/* --- both --- */

void rt_ready(struct skua_task *t)
{
    if (t->group)
        rt_post_pinned(t->group, rt_item(&t->run, RT_TAG_TASK));
    else
        ready_free(t);
}

void rt_ready_batch(struct rt_fifo *batch)
{
    uintptr_t item;
    while ((item = rt_fifo_pop(batch)) != 0) {
        struct rt_link *link = rt_item_link(item);
        struct rt_step *step = rt_container_of(link, struct rt_step, link);
        if (rt_item_tag(item) == RT_TAG_STEP)
            rt_post_step(step);
        else if (rt_item_tag(item) == RT_TAG_NOW)
            step->run(step);
        else
            rt_ready(rt_container_of(link, struct skua_task, run));
    }
}
