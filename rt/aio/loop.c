/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Loops and run(). */
#include <errno.h>
#include <signal.h>

#include "aio/runner.h"
#include "aio/signals.h"
#include "sched/cancel.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/runtime.h"
#include "sched/signal.h"
#include "sched/spawn.h"
#include "sync/await.h"

/* --- the current loop --- */

skua_loop *skua_loop_current(void)
{
    struct rt_worker *w = rt_self();
    return w ? w->in_group : NULL;
}

double skua_loop_time(void)
{
    struct rt_worker *w = rt_self();
    return rt_seconds_from_ns(w ? rt_timers_read_clock(&w->timers) : rt_clock_now());
}

/* --- running until a task is done --- */

struct until {
    struct rt_step    step;
    struct rt_waiter  waiter;
    struct rt_runtime *rt;
};

static void run_until_step(struct rt_step *step)
{
    rt_runtime_leave(rt_container_of(step, struct until, step)->rt);
}

static void fire_until(struct rt_waiter *waiter, struct skua_task *done, struct rt_fifo *out)
{
    (void)done;
    rt_fire_step(&rt_container_of(waiter, struct until, waiter)->step, out);
}

/* Runs the loop until the task is done, or the loop is stopped. */
static int run_until(struct rt_runtime *rt, struct skua_task *task)
{
    struct until u = { .rt = rt, .waiter = { .fire = fire_until } };
    u.step = (struct rt_step){ .run = run_until_step, .home = rt->main_group };
    if (!rt_waiter_add(task, &u.waiter))
        rt_post_step(&u.step);
    rt_store_relaxed(&rt->deadlocked, 0); /* relaxed, these: the watch looks while all sleep */
    rt_store_relaxed(&rt->deadlock_told, 0);
    rt_store_relaxed(&rt->waited_for, task);
    int r = rt_runtime_enter(rt);
    rt_store_relaxed(&rt->waited_for, NULL); /* relaxed: likewise */
    (void)rt_waiter_remove(task, &u.waiter);
    rt_self_set(rt->workers[0]);
    rt_unpost_step(&u.step); /* in case something else stopped the loop first */
    rt_self_set(NULL);
    /* pairs: STUCK <- end_run */
    return r == 0 && rt_load_acquire(&rt->deadlocked) && !rt_task_is_done(task) ? -EDEADLK : r;
}

/* --- SIGINT while run() runs --- */

struct interrupt {
    struct rt_signal_sub sub;
    struct rt_runtime   *rt;
    struct skua_task    *main;
    bool                 armed;
    bool                 came;
};

static void disarm(struct interrupt *i)
{
    if (i->armed)
        rt_signal_unsubscribe(i->rt, &i->sub);
    i->armed = false;
}

/* The first SIGINT cancels main; from then on the signal does what it does by default. */
static void run_interrupt(struct rt_step *step)
{
    struct rt_signal_sub *sub = rt_container_of(step, struct rt_signal_sub, step);
    struct interrupt     *i = rt_container_of(sub, struct interrupt, sub);
    rt_signal_step_begin(&sub->queued);
    if (rt_signal_is_handled(i->rt, SIGINT))
        return; /* asyncio: a handler of the loop takes the place of run's */
    disarm(i);
    i->came = true;
    (void)rt_cancel(i->main);
}

/* asyncio's condition: the program's main thread, and nobody else handles the signal. */
static void arm(struct interrupt *i, struct rt_runtime *rt, struct skua_task *main)
{
    struct sigaction now;
    *i = (struct interrupt){ .rt = rt, .main = main };
    if (!rt_sys_is_main_thread() || rt_sys_sigaction(SIGINT, NULL, &now) < 0 ||
        now.sa_handler != SIG_DFL)
        return;
    i->sub.is_fallback = true;
    i->sub.mask = (uint64_t)1 << (SIGINT - 1);
    i->sub.step = (struct rt_step){ .run = run_interrupt, .home = rt->main_group };
    i->armed = rt_signal_subscribe(rt, &i->sub) == 0;
}

static void end_interrupt(struct interrupt *i)
{
    disarm(i);
    rt_self_set(i->rt->workers[0]);
    if (rt_signal_step_is_queued(&i->sub.queued))
        rt_unpost_step(&i->sub.step);
    rt_self_set(NULL);
}

/* --- run --- */

/* The result of main, and what run() returns. */
static int outcome(struct skua_task *main, struct interrupt *i, void **ret_result)
{
    int r = rt_outcome(main, ret_result);
    if (r == -ECANCELED && i->came && skua_uncancel(main) == 0)
        return -EINTR;
    return r;
}

int rt_run_main(struct rt_runtime *rt, const struct rt_main *what, void **ret_result)
{
    struct skua_spawn_opts opts = { .size = sizeof opts, .where = what->where,
                                    .context = what->context };
    struct interrupt       i;
    int                    r = -ENOMEM;
    struct skua_group     *home = what->is_free ? NULL : rt->main_group;
    struct skua_task      *main = rt_spawn(rt_self(), rt, home, what->fn, what->arg, &opts, &r);
    if (!main)
        return r;
    arm(&i, rt, main);
    do
        r = run_until(rt, main);
    while (r == 0 && !rt_task_is_done(main)); /* skua_loop_stop() does not end run() */
    end_interrupt(&i);
    if (r == 0)
        r = outcome(main, &i, ret_result);
    else if (rt->has_runner)
        (void)rt_cancel(main); /* nobody will look at it; the end of run cancels what is left */
    rt_task_unref(NULL, main);
    return r;
}

int skua_run_with(skua_fn main, void *arg, const struct skua_run_opts *opts)
{
    struct rt_runtime *rt;
    if (!main)
        return -EINVAL;
    if (rt_self())
        return -EPERM;
    int r = rt_runtime_new(opts, &rt);
    if (r < 0)
        return r;
    struct rt_main what = { .fn = main, .arg = arg, .where = "skua_run",
                            .is_free = opts && opts->free_main };
    r = rt_run_main(rt, &what, opts ? opts->result : NULL);
    SKUA_IGNORE(rt_runtime_drain(rt)); /* what did not end was named */
    rt_runtime_free(rt);
    return r;
}

/* --- loops of one's own --- */

skua_loop *skua_loop_new_with(const struct skua_run_opts *opts)
{
    struct rt_runtime *rt;
    if (rt_self() || rt_runtime_new(opts, &rt) < 0)
        return NULL;
    return rt->main_group;
}

static int check_loop(skua_loop *loop)
{
    if (!loop || !loop->is_loop)
        return -EINVAL;
    if (rt_self())
        return -EPERM;
    if (!rt_group_visit(loop))
        return -ESHUTDOWN;
    struct rt_runtime *rt = loop->worker->rt;
    int                r = rt->owner == rt_sys_gettid() ? 0 : -EPERM;
    rt_group_leave(loop);
    return r;
}

int skua_loop_run_until_complete(skua_loop *loop, skua_task *task, void **ret_result)
{
    int r = check_loop(loop);
    if (r == 0)
        r = task ? run_until(loop->worker->rt, task) : -EINVAL;
    if (r < 0)
        return r;
    return rt_task_is_done(task) ? rt_outcome(task, ret_result) : -EAGAIN;
}

static void run_stop(struct rt_step *step)
{
    struct skua_group *loop = rt_container_of(step, struct skua_group, stopper);
    (void)rt_xchg_acq_rel(&loop->stop, 0); /* pairs: STOP -> skua_loop_stop */
    rt_runtime_leave(loop->worker->rt);
}

int skua_loop_run_forever(skua_loop *loop)
{
    int r = check_loop(loop);
    return r < 0 ? r : rt_runtime_enter(loop->worker->rt);
}

/* The stop takes its turn like a callback: what is ready before it still runs, what comes after it
 * waits for the next run. One that is called before the run lets exactly one round run. */
void skua_loop_stop(skua_loop *loop)
{
    struct rt_worker *w = rt_self();
    if (!loop || !loop->is_loop || rt_load_acquire(&loop->closed)) /* pairs: PHASE <- bury_loop */
        return;
    if (w == loop->worker) {
        rt_runtime_leave(w->rt);
        return;
    }
    if (!rt_group_visit(loop)) /* it may be closed as soon as it has stopped */
        return;
    if (!rt_xchg_acq_rel(&loop->stop, 1)) { /* pairs: STOP <- run_stop */
        loop->stopper = (struct rt_step){ .run = run_stop, .home = loop };
        rt_post_step(&loop->stopper);
    }
    rt_group_leave(loop);
}

int skua_loop_close(skua_loop *loop)
{
    int r = check_loop(loop);
    if (r == -ESHUTDOWN)
        return 0;
    if (r < 0)
        return r;
    struct rt_runtime *rt = loop->worker->rt;
    if (rt->has_runner)
        return -EPERM;
    r = rt_runtime_drain(rt);
    rt_runtime_free(rt);
    return r;
}
