/* SPDX-License-Identifier: MIT */
/* floor 6: sync. Futures and done-callbacks. */
#include <errno.h>

#include "base/mem.h"
#include "sched/cancel.h"
#include "sched/context.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/spawn.h"
#include "sync/await.h"

skua_future *skua_future_new(void)
{
    struct rt_worker *w = rt_self();
    return w ? rt_future_new(w->rt, w) : NULL;
}

bool skua_future_set_result(skua_future *f, void *value)
{
    if (!f)
        return false;
    rt_check_alive(f);
    return rt_task_is_future(f) && rt_future_complete(f, value);
}

bool skua_future_set_error(skua_future *f, int err)
{
    return skua_future_set_result(f, skua_fail(err));
}

/* --- done-callbacks: never inside the completion, always steps of the group that added them --- */

struct done_cb {
    struct rt_step    step;
    struct rt_waiter  waiter;
    struct skua_task *task; /* one reference */
    skua_done_cb      cb;
    void             *arg;
    uintptr_t         vars; /* the context it runs in */
};

static void fire(struct rt_waiter *waiter, struct skua_task *done, struct rt_fifo *out)
{
    (void)done;
    rt_fire_step(&rt_container_of(waiter, struct done_cb, waiter)->step, out);
}

static void forget(struct rt_step *step)
{
    struct done_cb *d = rt_container_of(step, struct done_cb, step);
    rt_group_unkeep(step->home);
    rt_task_unref(rt_self(), d->task);
    rt_vars_drop(d->vars);
    rt_free(d);
}

static void run(struct rt_step *step)
{
    struct done_cb *d = rt_container_of(step, struct done_cb, step);
    rt_context_step_begin(rt_self(), d->vars);
    d->vars = 0;
    d->cb(d->task, d->arg);
    rt_context_step_end(rt_self());
    forget(step);
}

int skua_add_done_callback(skua_task *task, skua_done_cb cb, void *arg)
{
    struct rt_worker *w = rt_self();
    if (!task || !cb)
        return -EINVAL;
    if (!w)
        return -EPERM;
    rt_check_alive(task);
    struct done_cb *d = rt_calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    *d = (struct done_cb){
        .step = { .run = run, .drop = forget, .home = w->in_group ? w->in_group : w->step_home },
        .waiter = { .fire = fire },
        .task = task,
        .cb = cb,
        .arg = arg,
        .vars = rt_context_capture(),
    };
    rt_group_keep(d->step.home);
    rt_st_retain(&task->state);
    if (!rt_waiter_add_here(w, task, &d->waiter))
        rt_post_step(&d->step);
    return 0;
}

struct match {
    struct rt_runtime *rt;
    skua_done_cb       cb;
    void              *arg;
};

static bool matches(struct rt_waiter *waiter, void *arg)
{
    struct done_cb *d = rt_container_of(waiter, struct done_cb, waiter);
    struct match   *m = arg;
    return waiter->fire == fire && d->cb == m->cb && d->arg == m->arg &&
           d->step.home->worker->rt == m->rt;
}

size_t skua_remove_done_callback(skua_task *task, skua_done_cb cb, void *arg)
{
    struct rt_worker *w = rt_self();
    size_t            n = 0;
    struct rt_waiter *waiter;
    if (!task || !cb || !w)
        return 0;
    struct match m = { w->rt, cb, arg };
    while ((waiter = rt_waiter_take(task, matches, &m)) != NULL) {
        forget(&rt_container_of(waiter, struct done_cb, waiter)->step);
        n++;
    }
    return n;
}
