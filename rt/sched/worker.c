/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The heart: entering, leaving and resuming tasks. The only file that switches
 * stacks.
 *
 * Who may run what: everything here runs on the thread of the worker that rt_self() names at that
 * moment.
 */
#include "sched/worker.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/spin.h"
#include "fiber/switch.h"
#include "sched/cancel.h"
#include "sched/census.h"
#include "sched/finish.h"
#include "sched/fork.h"
#include "sched/queues.h"
#include "sched/runtime.h"

static __thread struct rt_worker *self_worker;

/* noinline alone is not enough: compilers infer that such a function is pure and hoist the call
 * over a switch. The barrier makes it read again each time. */
RT_NOINLINE struct rt_worker *rt_self(void)
{
    struct rt_worker *w = self_worker;
    RT_COMPILER_BARRIER();
    return w;
}

RT_NOINLINE void rt_self_set(struct rt_worker *w)
{
    self_worker = w;
    RT_COMPILER_BARRIER();
}

/* --- after a switch --- */

/* The stack that was left is now really left: do what its leaver asked for. */
static void settle(struct rt_worker *w)
{
    enum rt_after after = w->after;
    void         *obj = w->after_obj;
    w->after = RT_AFTER_NOTHING;
    switch (after) {
    case RT_AFTER_NOTHING:
        break;
    case RT_AFTER_PARK:
        if (!rt_ww_park(&((struct skua_task *)obj)->wait))
            rt_ready(obj); /* claimed while it was leaving */
        break;
    case RT_AFTER_REQUEUE:
        rt_ready_child(w, obj);
        break;
    case RT_AFTER_RECYCLE:
        rt_stack_put(&w->stacks, obj);
        break;
    }
}

/* Switches from the stack that executes to `to`; returns when somebody comes back. */
static void switch_to(struct rt_worker *w, struct rt_stack *to)
{
    struct rt_stack *from = w->stack;
    w->stack = to;
    rt_stack_switch(from, to);
    settle(rt_self());
}

/* --- tasks --- */

static void set_none(struct rt_worker *w)
{
    w->cur = NULL;
    w->in_group = NULL;
    rt_store_relaxed(&w->running_id, 0); /* relaxed: for the watch's report */
}

static void set_current(struct rt_worker *w, struct skua_task *t, uint32_t budget, uint32_t pushed)
{
    w->cur = t;
    w->in_group = t->group;
    w->budget = budget;
    w->pushed = pushed;
    rt_store_relaxed(&w->running_id, t->id); /* relaxed: for the watch's report */
}

/* From a loop stack, which becomes idle, to the stack of a suspended task. */
static void resume(struct rt_worker *w, struct skua_task *t)
{
    struct rt_stack *to = t->stack;
    t->stack = NULL;
    set_current(w, t, RT_BUDGET, 0);
    w->after = RT_AFTER_RECYCLE;
    w->after_obj = w->stack;
    switch_to(w, to);
}

/* A cancel came before a fresh task began. A forked job runs all the same: the cancel is delivered
 * at its first wait. */
static bool may_skip(struct skua_task *t)
{
    if (!(t->flags & RT_TASK_JOB))
        return true;
    rt_cancel_pend(t);
    return false;
}

/* The end of an inline child queues its pinned parent, which began to wait for it first, before any
 * other waiter; but where nobody can tell, it does not at all. */
static void queue_parent(struct rt_worker *w, struct rt_inline *frame)
{
    struct skua_group *g = frame->parent->group;
    bool has_waiters = rt_st_load(&frame->child->state) & RT_ST_WAITERS;
    if (RT_LIKELY(!frame->marked && !has_waiters && rt_group_has_only(w, g, 0)))
        return;
    if (rt_suspend_prepare(w) < 0)
        return; /* it tries to take its turn later */
    rt_group_enqueue(g, rt_item(&frame->parent->run, RT_TAG_TASK));
    frame->queued = true;
}

/* Calls the body of a fresh task on the stack that executes, and finishes the task. Returns the
 * worker that executes by then; who is current there is the caller's to say. */
static struct rt_worker *run_body(struct rt_worker *w, struct skua_task *t)
{
    set_current(w, t, RT_BUDGET, 0);
    RT_STAT_INC(&w->ran);
    void *result;
    if (RT_UNLIKELY(rt_ww_drop_cancel(&t->wait)) && may_skip(t)) {
        result = rt_never_started(t);
    } else {
        skua_fn fn = t->fn;
        t->flags |= RT_TASK_STARTED;
        t->awaiting = 0;
        result = fn(t->value);
    }
    w = rt_self();
    RT_ASSERT(w->cur == t);
    RT_ASSERT(rt_locks_held() == 0);
    struct rt_inline *frame = w->stack->inl;
    if (t->group && frame && frame->child == t)
        queue_parent(w, frame);
    rt_finish(w, t, result);
    return w;
}

/* A fresh task on a loop stack. One that asked for another size of stack moves there first. */
static void enter(struct rt_worker *w, struct skua_task *t)
{
    if (RT_UNLIKELY(rt_task_kind(t) != w->stack->size_class)) {
        int              err = 0;
        struct rt_stack *to = rt_stack_get(&w->stacks, rt_task_kind(t), rt_worker_loop, &err);
        if (!to) {
            rt_refuse(w, t, rt_stack_shortage(w->rt, err));
            return;
        }
        w->handoff = t;
        w->after = RT_AFTER_RECYCLE;
        w->after_obj = w->stack;
        switch_to(w, to);
        return;
    }
    set_none(run_body(w, t));
}

/* The loop goes back to the thread's own stack; its stack is idle from then on. */
static void leave_to_thread(struct rt_worker *w)
{
    w->after = RT_AFTER_RECYCLE;
    w->after_obj = w->stack;
    switch_to(w, &w->thread_stack);
}

void rt_worker_loop(void)
{
    settle(rt_self());
    for (;;) {
        struct rt_worker *w = rt_self();
        if (RT_UNLIKELY(rt_jobs_any(&w->jobs)))
            rt_fork_give_away(w); /* no task is left whose they could be: forgotten ones */
        struct skua_task *t = w->handoff;
        w->handoff = NULL;
        if (!t)
            t = rt_find(w);
        if (!t)
            leave_to_thread(w);
        else if (t->stack)
            resume(w, t);
        else
            enter(w, t);
        /* nothing is kept across a task: the frame may be on another thread by now */
    }
}

int rt_worker_run(struct rt_worker *w)
{
    int              err = 0;
    struct rt_stack *to = rt_stack_get(&w->stacks, RT_STACK_CLASS_DEFAULT, rt_worker_loop, &err);
    if (!to)
        return rt_stack_shortage(w->rt, err);
    w->leaving = false;
    w->stack = &w->thread_stack;
    w->after = RT_AFTER_NOTHING;
    switch_to(w, to);
    return 0;
}

/* --- suspending --- */

int rt_suspend_prepare(struct rt_worker *w)
{
    if (RT_LIKELY(w->stacks.list[RT_STACK_CLASS_DEFAULT] != NULL))
        return 0;
    int              err = 0;
    struct rt_stack *s = rt_stack_get(&w->stacks, RT_STACK_CLASS_DEFAULT, rt_worker_loop, &err);
    if (!s)
        return rt_stack_shortage(w->rt, err);
    rt_stack_put(&w->stacks, s);
    return 0;
}

/* The tasks below the suspending one on its stack wait for it from now on, visibly. */
static void mark_inline(struct rt_stack *stack)
{
    for (struct rt_inline *f = stack->inl; f && !f->marked; f = f->up) {
        f->marked = true;
        f->parent->target = f->child;
        rt_ww_inline_enter(&f->parent->wait);
        /* a cancel that came while the child ran is passed on now that the child waits */
        if (rt_ww_drop_cancel(&f->parent->wait) && !rt_cancel_pass(f->parent, f->child))
            rt_cancel_pend(f->parent);
    }
}

void rt_suspend(struct rt_worker *w, enum rt_after after)
{
    struct skua_task *t = w->cur;
    struct rt_stack  *stack = w->stack;
    RT_ASSERT(rt_locks_held() == 0);
    if (RT_UNLIKELY(rt_jobs_any(&w->jobs)))
        rt_fork_give_away(w);
    t->stack = stack;
    if (RT_UNLIKELY(stack->inl != NULL))
        mark_inline(stack);
    w->after = after;
    w->after_obj = t;
    struct skua_task *next = rt_pick_local(w);
    if (next == t) { /* a pinned task that queued itself, or was woken already */
        t->stack = NULL;
        w->after = RT_AFTER_NOTHING;
        set_current(w, t, RT_BUDGET, 0);
        return;
    }
    struct rt_stack *to = NULL;
    if (next && next->stack) {
        to = next->stack;
        next->stack = NULL;
        set_current(w, next, RT_BUDGET, 0);
    } else {
        int err;
        set_none(w);
        w->handoff = next;
        to = rt_stack_get(&w->stacks, RT_STACK_CLASS_DEFAULT, rt_worker_loop, &err);
        RT_CHECK(to != NULL); /* rt_suspend_prepare saw to it */
    }
    switch_to(w, to);
}

void rt_switch_eager(struct rt_worker *w, struct skua_task *child)
{
    struct skua_task *me = w->cur;
    int               err;
    if (RT_UNLIKELY(rt_jobs_any(&w->jobs)))
        rt_fork_give_away(w);
    me->stack = w->stack;
    w->handoff = child;
    w->after = RT_AFTER_NOTHING;
    set_none(w);
    struct rt_stack *to = rt_stack_get(&w->stacks, RT_STACK_CLASS_DEFAULT, rt_worker_loop, &err);
    RT_CHECK(to != NULL); /* rt_suspend_prepare saw to it */
    switch_to(w, to);
}

struct rt_worker *rt_run_inline(struct rt_worker *w, struct skua_task *child,
                                struct rt_inline *frame)
{
    struct skua_task *parent = w->cur;
    struct rt_stack  *stack = w->stack;
    uint32_t          budget = w->budget;
    uint32_t          pushed = w->pushed;
    *frame = (struct rt_inline){ .up = stack->inl, .parent = parent, .child = child };
    stack->inl = frame;
    w = run_body(w, child);
    stack->inl = frame->up;
    set_current(w, parent, budget, frame->marked ? 0 : pushed);
    if (RT_LIKELY(!frame->marked))
        return w;
    struct rt_backoff b = RT_BACKOFF_INIT;
    while (!rt_ww_inline_leave(&parent->wait)) {
        rt_backoff_wait(&b);
        if (b.turns >= RT_BACKOFF_MAX)
            SKUA_IGNORE(rt_sys_sched_yield());
    }
    parent->awaiting = 0;
    return w;
}
