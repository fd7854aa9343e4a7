/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Cancelling.
 *
 * A pinned task is cancelled on its own thread, where nothing moves meanwhile: there the request
 * follows what the task waits for, task by task, as asyncio does, until it finds a wait to end. A
 * free task may be anywhere: the request ends its wait, whatever it is, and the task itself passes
 * the request on to what it waited for. A task that waits for a child running on its own stack
 * cannot be woken: the canceller visits the child.
 */
#include "sched/cancel.h"

#include <errno.h>

#include "base/spin.h"
#include "base/sys.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/runtime.h"

enum { DEPTH_MAX = 48 }; /* nested combinators on one stack; deeper ones take a turn of their own */

void rt_cancel_pend(struct skua_task *t)
{
    (void)rt_or_acq_rel(&t->wait.bits, RT_WW_CANCEL);
}

/* Others are at it for a few instructions, but one of them may have been preempted. */
static void wait_turn(struct rt_backoff *b)
{
    rt_backoff_wait(b);
    if (b->turns >= RT_BACKOFF_MAX)
        SKUA_IGNORE(rt_sys_sched_yield());
}

uint32_t rt_cancels_felt(struct skua_task *me)
{
    struct rt_backoff b = RT_BACKOFF_INIT;
    uint32_t          felt;
    while (!rt_cw_felt(&me->cancels, &me->wait, &felt))
        wait_turn(&b);
    return felt;
}

bool rt_future_end(struct skua_task *f, void *result)
{
    struct rt_fifo out = { 0 };
    if (!rt_st_choose(&f->state))
        return false;
    (void)rt_task_complete(f, result, rt_task_outcome(result), 0, &out);
    rt_ready_batch(&out);
    return true;
}

/* From outside, whose end may be near: as long as this takes it waits. Once it has come, the future
 * has an end, or gets it. */
bool rt_future_complete(struct skua_task *f, void *result)
{
    struct rt_worker *w = rt_self();
    uint16_t          id = rt_load_relaxed(&f->runtime); /* relaxed: fixed */
    if (RT_LIKELY(w && w->rt->id == id))
        return rt_future_end(f, result);
    struct rt_runtime *rt = rt_runtime_visit(id);
    bool               ended = rt && rt_future_end(f, result);
    if (rt)
        rt_runtime_unvisit(rt);
    return ended;
}

/* Is it in a group of this worker? Only there the group is certain to exist as long as the task is
 * not done: seen from elsewhere both may be gone at any moment. */
static bool at_home(const struct rt_worker *w, const struct skua_task *t)
{
    /* relaxed: fixed */
    return t->group && w && w->index == t->timer.home && w->rt->id == rt_load_relaxed(&t->runtime);
}

/* Posts the request to the thread of the group, once at a time; the posted link holds a
 * reference. */
static void post(struct skua_task *t, bool is_counted)
{
    struct rt_runtime *rt = rt_runtime_visit(rt_load_relaxed(&t->runtime)); /* relaxed: fixed */
    if (!rt)
        return;
    if (rt_cw_post(&t->cancels, is_counted)) {
        rt_st_retain(&t->state);
        rt_post_pinned(&rt->workers[t->timer.home]->free_group,
                       rt_item(&t->cancel_link, RT_TAG_CANCEL));
    }
    rt_runtime_unvisit(rt);
}

static void pass_message(struct skua_task *from, struct skua_task *to)
{
    const char *message = rt_task_message(from);
    if (RT_UNLIKELY(message && !rt_task_is_done(to)))
        /* without memory the cancel goes without its text */
        SKUA_IGNORE(rt_task_set_message(to, message));
}

bool rt_cancel_pass(struct skua_task *from, struct skua_task *to)
{
    pass_message(from, to);
    return rt_cancel(to);
}

static struct skua_task *child_on(const struct rt_stack *stack, struct skua_task *parent)
{
    for (struct rt_inline *f = stack ? stack->inl : NULL; f; f = f->up)
        if (f->parent == parent)
            return f->child;
    return NULL;
}

/* A task lower on the stack that executes, or on that of a spawner whose eager child executes,
 * waits for the child above it, though its word does not say so before the child suspends. */
static struct skua_task *inline_child(struct rt_worker *w, struct skua_task *t)
{
    struct skua_task *child = w ? child_on(w->stack, t) : NULL;
    struct skua_task *spawner = w ? w->eager_back : NULL;
    for (; spawner && !child; spawner = (struct skua_task *)spawner->run.next)
        child = child_on(spawner->stack, t);
    return child;
}

/* --- pinned, on the group's own thread --- */

/* One link of the chain. Returns the task to go on with, or NULL. */
static struct skua_task *deliver_once(struct rt_worker *w, struct skua_task *t)
{
    uint64_t      word = rt_load_acquire(&t->wait.bits); /* pairs: WAKE <- rt_ww_claim */
    enum rt_phase phase = rt_ww_phase(word);
    if (phase == RT_PHASE_RUNNING) {
        struct skua_task *child = t == w->cur ? NULL : inline_child(w, t);
        if (!child || !rt_cancel_pass(t, child))
            rt_cancel_pend(t);
        return NULL;
    }
    struct rt_awaitable *combined = rt_combined(t);
    if (t->awaiting == 0 || (combined && !combined->cancel)) {
        if (rt_ww_claim(&t->wait, rt_ww_ticket(word), ECANCELED) == RT_CLAIM_SUBMIT)
            rt_ready(t);
        else
            rt_cancel_pend(t); /* another thread was faster: its wake is on the way, and is lost */
        return NULL;
    }
    if (combined) {
        if (!combined->cancel(combined))
            rt_cancel_pend(t);
        return NULL;
    }
    struct skua_task *target = t->target;
    if (!rt_task_is_future(target) && at_home(w, target) && !rt_task_is_done(target)) {
        rt_cw_raise(&target->cancels);
        pass_message(t, target);
        return target;
    }
    if (!rt_cancel_pass(t, target))
        rt_cancel_pend(t);
    return NULL;
}

/* Tasks that await one another in a ring: none of them has a wait to end but an await itself, and
 * that of a task whose child runs on its own stack cannot be ended. The one that closed the ring
 * can. */
static void break_ring(struct skua_task *t)
{
    struct skua_task *first = t;
    do {
        uint64_t word = rt_load_acquire(&t->wait.bits); /* pairs: WAKE <- rt_ww_claim */
        if (rt_ww_claim(&t->wait, rt_ww_ticket(word), EDEADLK) == RT_CLAIM_SUBMIT) {
            rt_ready(t);
            return;
        }
        t = t->target;
    } while (t != first);
}

/* A ring meets a mark that it passed earlier; the mark moves on after twice as many links each
 * time. */
static void deliver_chain(struct rt_worker *w, struct skua_task *t)
{
    struct skua_task *mark = t;
    unsigned          links = 0, limit = 1;
    while ((t = deliver_once(w, t)) != NULL && t != mark) {
        if (++links < limit)
            continue;
        mark = t;
        links = 0;
        limit *= 2;
    }
    if (t)
        break_ring(t);
}

static void deliver_pinned(struct rt_worker *w, struct skua_task *t)
{
    if (w->cancel_depth >= DEPTH_MAX) {
        post(t, true);
        return;
    }
    w->cancel_depth++;
    deliver_chain(w, t);
    w->cancel_depth--;
}

void rt_cancel_posted(struct skua_task *t)
{
    struct rt_worker *w = rt_self();
    if (rt_cw_arrive(&t->cancels) && !rt_task_is_done(t))
        deliver_pinned(w, t);
    rt_task_unref(w, t);
}

/* --- free, on any thread --- */

/* True: its wait has ended, the caller makes it ready. */
static bool mark_free(struct rt_worker *w, struct skua_task *t)
{
    struct skua_task *child = inline_child(w, t);
    if (RT_UNLIKELY(child && rt_cancel_pass(t, child)))
        return false;
    for (;;) {
        uint64_t word;
        switch (rt_ww_cancel(&t->wait, ECANCELED, &word)) {
        case RT_CLAIM_SUBMIT:
            return true;
        case RT_CLAIM_NOTHING:
            return false;
        case RT_CLAIM_STALE:
            break;
        }
        if (rt_ww_phase(word) != RT_PHASE_INLINE)
            return false; /* pending */
        if (rt_ww_inline_visit(&t->wait)) {
            bool passed = rt_cancel_pass(t, t->target);
            rt_ww_inline_unvisit(&t->wait, !passed);
            return false;
        }
    }
}

static void deliver_free(struct rt_worker *w, struct skua_task *t)
{
    struct rt_backoff b = RT_BACKOFF_INIT;
    while (!rt_cw_enter(&t->cancels))
        wait_turn(&b);
    bool is_ready = mark_free(w, t);
    rt_cw_leave(&t->cancels); /* before it can run: it would wait for this */
    if (is_ready)
        rt_ready(t);
}

bool rt_cancel(struct skua_task *t)
{
    if (rt_task_is_done(t))
        return false;
    if (rt_task_is_future(t))
        return rt_future_complete(t, skua_fail(-ECANCELED));
    struct rt_worker *w = rt_self();
    if (!t->group) {
        deliver_free(w, t);
    } else if (at_home(w, t)) {
        rt_cw_raise(&t->cancels);
        deliver_pinned(w, t);
    } else {
        post(t, false);
    }
    return true;
}

/* The mark of a request that is counted has been taken off with that of another one. */
static void mark_again(struct skua_task *t)
{
    struct rt_worker *w = rt_self();
    if (!t->group) {
        if (mark_free(w, t))
            rt_ready(t);
    } else if (at_home(w, t)) {
        deliver_pinned(w, t);
    } else {
        post(t, true);
    }
}

uint32_t rt_cancel_take_back(struct skua_task *t)
{
    struct rt_backoff b = RT_BACKOFF_INIT;
    int               dropped = 0;
    uint32_t          left;
    while (!rt_cw_take_back(&t->cancels, &t->wait, &dropped, &left))
        wait_turn(&b);
    if (RT_UNLIKELY(dropped && left > 0))
        mark_again(t);
    return left;
}
