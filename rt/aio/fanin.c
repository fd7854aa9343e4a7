/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Fan-in. */
#include "aio/fanin.h"

#include <errno.h>

#include "base/mem.h"
#include "sched/cancel.h"
#include "sched/runtime.h"
#include "sync/await.h"

static bool counts_as_bad(struct rt_fanin *f, uint64_t outcome)
{
    if (f->mode == RT_FANIN_FIRST_BAD)
        return (outcome & (RT_ST_FAILED | RT_ST_CANCELLED)) != 0;
    return f->mode == RT_FANIN_FIRST_ERROR && (outcome & RT_ST_FAILED);
}

static void trigger(struct rt_fanin *f, struct rt_fifo *out)
{
    if (rt_xchg_sc(&f->triggered, 1)) /* pairs: FANIN -> rearm */
        return;
    if (f->step.home)
        rt_fire_step(&f->step, out);
    else
        (void)rt_name_claim(rt_load_sc(&f->name), 0, out); /* pairs: FANIN <- rearm */
}

/* A child is done. Nothing of the fan-in is touched after the count or the trigger. */
static void account(struct rt_fanin *f, struct skua_task *done, struct rt_fifo *out)
{
    struct skua_task *none = NULL;
    if (counts_as_bad(f, rt_st_load(&done->state))) {
        (void)rt_cas_acq_rel(&f->first, &none, done); /* pairs: FANIN -> rt_fanin_wait */
        trigger(f, out);
    } else if (f->mode == RT_FANIN_FIRST || rt_sub_acq_rel(&f->pending, 1) == 1) {
        /* pairs: FANIN -> rt_fanin_wait */
        trigger(f, out);
    }
}

static void fire(struct rt_waiter *waiter, struct skua_task *done, struct rt_fifo *out)
{
    account(rt_container_of(waiter, struct rt_fanin_node, waiter)->in, done, out);
}

static void run_step(struct rt_step *step)
{
    struct rt_fanin *f = rt_container_of(step, struct rt_fanin, step);
    struct rt_fifo   out = { 0 };
    f->step_ran = true;
    /* relaxed: written by this thread */
    f->woken = rt_name_claim(rt_load_relaxed(&f->name), 0, &out);
    rt_ready_batch(&out);
}

static bool cancel_children(struct rt_fanin *f)
{
    bool any = false;
    if (f->passed >= RT_PASS_MAX)
        return false;
    f->passed++;
    f->passing = true;
    for (size_t i = 0; i < f->n; i++)
        any |= rt_cancel_pass(f->owner, f->tasks[i]);
    f->passing = false;
    f->requested |= any;
    return any;
}

/* The children wait for the owner in their turn: the cancel ends the owner's wait. */
static void break_ring(struct rt_fanin *f)
{
    struct rt_fifo out = { 0 };
    f->passed = RT_PASS_MAX;
    /* relaxed: written by this thread */
    (void)rt_name_claim(rt_load_relaxed(&f->name), ECANCELED, &out);
    rt_ready_batch(&out);
}

/* A pinned owner, on its thread. */
static bool cancel_awaitable(struct rt_awaitable *self)
{
    struct rt_fanin *f = rt_container_of(self, struct rt_fanin, awaitable);
    if (!f->passing && f->passed < RT_PASS_MAX)
        return cancel_children(f);
    break_ring(f);
    return true;
}

static void see_children(const struct rt_awaitable *self,
                         void (*see)(struct skua_task *task, void *arg), void *arg)
{
    const struct rt_fanin *f = self->object;
    for (size_t i = 0; i < f->n; i++)
        if (!rt_task_is_done(f->tasks[i]))
            see(f->tasks[i], arg);
}

static const struct rt_wait_kind fanin_kind = { .what = "several tasks", .whose = ": ",
                                                .tasks = see_children };

int rt_fanin_init(struct rt_fanin *f, struct skua_task *const *tasks, size_t n,
                  enum rt_fanin_mode mode)
{
    struct skua_task *me = rt_current();
    if (!tasks || n == 0)
        return -EINVAL;
    if (!me)
        return -EPERM;
    for (size_t i = 0; i < n; i++) {
        if (!tasks[i])
            return -EINVAL;
        rt_check_alive(tasks[i]);
        if (tasks[i] == me)
            return -EDEADLK;
    }
    f->awaitable = (struct rt_awaitable){ .kind = &fanin_kind, .object = f };
    f->owner = me;
    f->step = (struct rt_step){ .run = run_step, .home = me->group };
    f->tasks = tasks;
    f->n = n;
    f->mode = mode;
    f->step_ran = f->woken = f->requested = f->passing = false;
    f->passed = 0;
    rt_init(&f->name, 0);
    rt_init(&f->pending, n);
    rt_init(&f->triggered, 0);
    rt_init(&f->first, NULL);
    f->nodes = f->local;
    if (n > RT_FANIN_LOCAL) {
        if (n > SIZE_MAX / sizeof *f->nodes)
            return -ENOMEM;
        f->nodes = rt_malloc(n * sizeof *f->nodes);
    }
    return f->nodes ? 0 : -ENOMEM;
}

void rt_fanin_fini(struct rt_fanin *f)
{
    if (f->nodes != f->local)
        rt_free(f->nodes);
}

static void link_nodes(struct rt_fanin *f)
{
    struct rt_fifo out = { 0 };
    for (size_t i = 0; i < f->n; i++) {
        struct rt_fanin_node *node = &f->nodes[i];
        node->in = f;
        node->waiter = (struct rt_waiter){ .fire = fire };
        if (!rt_waiter_add_here(rt_self(), f->tasks[i], &node->waiter))
            account(f, f->tasks[i], &out);
    }
    rt_ready_batch(&out); /* at most the step: the waiting task has not left its stack */
}

static void unlink_nodes(struct rt_fanin *f)
{
    bool over = f->woken && rt_load_acquire(&f->pending) == 0; /* pairs: FANIN <- account */
    for (size_t i = 0; !over && i < f->n; i++)
        (void)rt_waiter_remove(f->tasks[i], &f->nodes[i].waiter);
    /* relaxed: decided under the locks above */
    if (f->step.home && !f->step_ran && rt_load_relaxed(&f->triggered))
        rt_unpost_step(&f->step);
}

enum { TRIGGERED = 1, CANCEL_PENDING };

/* Under a name already: then the nodes are linked. */
static bool has_begun(struct rt_fanin *f)
{
    return rt_load_relaxed(&f->name) != 0; /* relaxed: own write */
}

/* Begins a suspension under a new name. 0; or not suspended: TRIGGERED meanwhile, or
 * CANCEL_PENDING, which is still to be passed on. */
static int rearm(struct rt_worker *w, struct rt_fanin *f, bool passes_cancel)
{
    uint64_t name;
    bool     linked = has_begun(f);
    int      r = passes_cancel ? rt_wait_begin_passing(w, &name) : rt_wait_begin(w, &name);
    if (r < 0)
        return r == -ECANCELED && passes_cancel ? CANCEL_PENDING : r;
    (void)rt_xchg_sc(&f->name, name); /* pairs: FANIN -> trigger */
    f->awaitable.cancel = passes_cancel ? cancel_awaitable : NULL;
    rt_await_combined(w->cur, &f->awaitable);
    if (!linked)
        link_nodes(f);
    else if (!f->step.home && rt_load_sc(&f->triggered)) { /* pairs: FANIN <- trigger */
        r = rt_wait_abandon(name);
        return r < 0 ? r : TRIGGERED;
    }
    return 0;
}

/* One suspension. 0: triggered. 1: go on waiting. */
static int wait_once(struct rt_fanin *f, uint64_t deadline, bool passes_cancel)
{
    struct rt_worker *w = rt_self();
    bool              late;
    if (passes_cancel && rt_ww_drop_cancel(&w->cur->wait) && !cancel_children(f))
        return rt_delivered(w->cur);
    int r = rearm(w, f, passes_cancel);
    if (r != 0)
        return r == TRIGGERED ? 0 : r == CANCEL_PENDING ? 1 : r;
    r = rt_wait_timer(w, deadline);
    if (r < 0)
        return rt_wait_give_up(rt_load_relaxed(&f->name), r); /* relaxed: own write */
    r = rt_wait_park_passing(&late);
    if (deadline != RT_NEVER)
        rt_wait_timer_end(r);
    /* a second cancel that came before the first was passed on goes the same way */
    if (r == -ECANCELED && passes_cancel && cancel_children(f))
        return 1;
    if (r < 0 || late)
        return rt_delivered(rt_self()->cur);
    if (r == 0)
        f->woken = true;
    return r == ETIMEDOUT ? -ETIMEDOUT : 0;
}

int rt_fanin_wait(struct rt_fanin *f, uint64_t deadline, bool passes_cancel)
{
    struct skua_task *me = rt_current();
    for (size_t i = 0; !me->group && i < f->n; i++)
        rt_dive_for(rt_self(), f->tasks[i], 1);
    int r;
    do
        r = wait_once(f, deadline, passes_cancel);
    while (r == 1);
    if (has_begun(f))
        unlink_nodes(f);
    return r;
}
