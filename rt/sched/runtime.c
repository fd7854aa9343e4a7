/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Starting and stopping a runtime. */
#include "sched/runtime.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/env.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/fd.h"
#include "sched/cancel.h"
#include "sched/finish.h"
#include "sched/overflow.h"
#include "sched/pace.h"
#include "sched/queues.h"
#include "sched/report.h"
#include "sched/signal.h"
#include "sched/spawn.h"
#include "sched/virtual.h"

void (*rt_report_leftovers)(struct rt_runtime *rt);
enum rt_stuck (*rt_deadlock_look)(struct rt_runtime *rt, bool is_late);

/* --- workers --- */

static int worker_init(struct rt_runtime *rt, struct rt_worker *w, unsigned index)
{
    w->rt = rt;
    w->index = index;
    int r = rt_poller_init(&w->poller);
    if (r < 0)
        return r;
    rt_timers_init(&w->timers, &rt->time);
    rt_pace_init(w);
    rt_lend_init(w);
    rt_jobs_init(&w->jobs, rt->n > 1 && rt->steal);
    if (rt->seed)
        rt_chooser_init_seed(&w->chooser, rt->seed, index);
    else
        rt_chooser_init(&w->chooser, index);
    rt_group_init(&w->free_group, w);
    w->free_group.is_free = true;
    w->step_home = index < rt->n ? &w->free_group : rt->workers[index % rt->n]->step_home;
    rt_store_relaxed(&w->duty, RT_DUTY_ON); /* relaxed: nobody knows it yet */
    return 0;
}

/* Callbacks and cancels that never had their turn. */
static void drop_item(uintptr_t item)
{
    if (rt_item_tag(item) == RT_TAG_CANCEL)
        rt_task_unref(NULL, rt_container_of(rt_item_link(item), struct skua_task, cancel_link));
    if (rt_item_tag(item) != RT_TAG_STEP)
        return;
    struct rt_step *step = rt_container_of(rt_item_link(item), struct rt_step, link);
    if (step->drop)
        step->drop(step);
}

static void drop_fifo(struct rt_fifo *f)
{
    uintptr_t item;
    while ((item = rt_fifo_pop(f)) != 0)
        drop_item(item);
}

/* Under the lock: handles may still be cancelled on other threads. */
static struct rt_heap_node *pop_timer(struct rt_timers *ts)
{
    rt_lock(&ts->lock);
    struct rt_heap_node *node = rt_heap_pop(&ts->heap);
    rt_unlock(&ts->lock);
    return node;
}

static void drop_timers(struct rt_timers *ts)
{
    struct rt_heap_node *node;
    while ((node = pop_timer(ts)) != NULL) {
        struct rt_timer *timer = rt_container_of(node, struct rt_timer, node);
        if (timer->kind == RT_TIMER_STEP)
            drop_item(rt_item(&rt_container_of(timer, struct rt_step_timer, timer)->step.link,
                              RT_TAG_STEP));
    }
}

static void worker_fini(struct rt_worker *w)
{
    rt_absorb_all_pinned(w);
    for (struct skua_group *g = w->ring_head; g; g = g->ring_next) {
        drop_fifo(&g->fifo);
        drop_fifo(&g->arrivals);
    }
    drop_timers(&w->timers);
    while (w->dead)
        rt_group_bury(w);
    rt_fd_forget(&w->poller);
    rt_timers_fini(&w->timers);
    rt_poller_fini(&w->poller);
    rt_slab_cache_flush(&w->slab);
    rt_stack_cache_flush(&w->stacks);
}

/* The thread of a worker; worker 0 has the thread of whoever runs the loop. */
static int thread_begin(struct rt_worker *w)
{
    int r = rt_stack_adopt_thread(&w->thread_stack);
    if (r == 0)
        r = rt_stack_altstack_enter();
    if (r < 0)
        return r;
    rt_store_relaxed(&w->tid, rt_sys_gettid()); /* relaxed: for the watch's report */
    rt_sys_signals_avoid(true);
    rt_self_set(w);
    return 0;
}

static void thread_end(struct rt_worker *w)
{
    rt_store_relaxed(&w->tid, 0); /* relaxed: for the watch's report */
    rt_self_set(NULL);
    rt_sys_signals_avoid(false);
    rt_stack_altstack_leave();
}

static bool must_leave(struct rt_worker *w)
{
    uint32_t order = rt_load_acquire(&w->leave_asked); /* pairs: LEAVE <- rt_worker_ask_leave */
    return order == RT_ORDER_LEAVE || order == RT_ORDER_LEFT;
}

int rt_worker_thread(struct rt_worker *w)
{
    int r = thread_begin(w);
    if (w->rt->time.is_virtual) /* a spare comes while somebody decides about the clock */
        rt_virtual_rise(w);
    while (r == 0 && !must_leave(w))
        r = rt_worker_run(w);
    thread_end(w);
    return r;
}

static void *worker_main(void *arg)
{
    struct rt_worker *w = arg;
    int               r = rt_worker_thread(w);
    if (r < 0)
        rt_warn("worker %u cannot run: %s", w->index, strerror(-r));
    return NULL;
}

static int start_workers(struct rt_runtime *rt)
{
    for (unsigned i = 1; i < rt->n; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "skua-%u", i);
        int r = rt_suspend_prepare(rt->workers[i]); /* so that its loop has a stack to run on */
        if (r == 0)
            r = rt_sys_thread_create(&rt->workers[i]->thread, worker_main, rt->workers[i],
                                     name);
        if (r < 0)
            return r;
        rt->started = i;
    }
    return 0;
}

void rt_worker_ask_leave(struct rt_worker *w)
{
    rt_store_release(&w->leave_asked, RT_ORDER_LEAVE); /* pairs: LEAVE -> must_leave */
    rt_poller_ring(&w->poller);
}

static void stop_workers(struct rt_runtime *rt)
{
    for (unsigned i = 1; i <= rt->started; i++)
        rt_worker_ask_leave(rt->workers[i]);
    for (unsigned i = 1; i <= rt->started; i++)
        SKUA_IGNORE(rt_sys_thread_join(rt->workers[i]->thread));
    rt->started = 0;
    rt_spare_stop_all(rt);
}

/* --- options --- */

static unsigned spare_count(struct rt_runtime *rt, const struct skua_run_opts *o)
{
    unsigned room = RT_WORKERS_MAX - rt->n;
    int64_t  n = o->spare_threads ? o->spare_threads
                                  : rt_env_int("SKUA_SPARE_THREADS", -1, RT_WORKERS_MAX, 0);
    if (n < 0 || rt->n == 1 || !rt->steal)
        return 0;
    n = n == 0 ? rt->n : n;
    return n < room ? (unsigned)n : room;
}

static int64_t worker_count(const struct skua_run_opts *o)
{
    if (o->workers)
        return o->workers;
    return rt_env_int("SKUA_WORKERS", 1, RT_WORKERS_MAX, rt_cpu_count(""));
}

int rt_run_opts_check(const struct skua_run_opts *o)
{
    if (o->size != sizeof *o || o->workers < 0 || o->workers > RT_WORKERS_MAX ||
        o->blocking_threads < 0)
        return -EINVAL;
    if (o->stack_size > rt_stack_class_usable(RT_STACK_CLASSES - 1))
        return -EINVAL;
    if (rt_lane_plan_check(o->lanes) < 0)
        return -EINVAL;
    if (isnan(o->shutdown_timeout) || o->shutdown_timeout < 0 || o->spare_threads < -1)
        return -EINVAL;
    return o->simulate ? -ENOTSUP : 0;
}

static void set_options(struct rt_runtime *rt, const struct skua_run_opts *o)
{
    const char *steal = rt_env_str("SKUA_STEAL");
    rt->steal = !(steal && strcmp(steal, "off") == 0);
    rt->debug = o->debug || rt_env_bool("SKUA_DEBUG", false);
    rt->shutdown_timeout = o->shutdown_timeout;
    rt_lane_plan_init(&rt->lanes, o->blocking_threads, o->lanes);
    rt->stack_class = (uint8_t)(o->stack_size ? rt_stack_class_for(o->stack_size)
                                              : RT_STACK_CLASS_DEFAULT);
    rt->time.is_virtual = o->virtual_time;
    rt_init(&rt->time.virtual_now, 1000 * RT_NS_PER_SEC); /* not 0: there is a past to ask for */
    int64_t stall = rt_env_int("SKUA_STALL_MS", 0, 3600000, rt->debug ? 100 : 0);
    rt_init(&rt->watch.stall_ns, stall ? (uint64_t)stall * RT_NS_PER_MS : RT_NEVER);
    rt_init(&rt->next_id, 1);
}

/* --- life --- */

static void free_workers(struct rt_runtime *rt)
{
    for (unsigned i = 0; rt->workers && i < rt->n + rt->rescue.spares_max && rt->workers[i]; i++) {
        worker_fini(rt->workers[i]);
        rt_free(rt->workers[i]);
    }
    rt_free(rt->workers);
}

int rt_worker_new(struct rt_runtime *rt, unsigned index, struct rt_worker **ret_w)
{
    struct rt_worker *w = rt_aligned(RT_CACHE_LINE, sizeof *w);
    if (!w)
        return -ENOMEM;
    memset(w, 0, sizeof *w);
    int r = worker_init(rt, w, index);
    if (r < 0)
        rt_free(w);
    else
        *ret_w = w;
    return r;
}

static int make_workers(struct rt_runtime *rt)
{
    rt->workers = rt_calloc(rt->n + rt->rescue.spares_max, sizeof *rt->workers);
    if (!rt->workers)
        return -ENOMEM;
    for (unsigned i = 0; i < rt->n; i++) {
        int r = rt_worker_new(rt, i, &rt->workers[i]);
        if (r < 0)
            return r;
    }
    rt_init(&rt->crew, rt->n);
    return 0;
}

int rt_runtime_new(const struct skua_run_opts *opts, struct rt_runtime **ret_rt)
{
    static const struct skua_run_opts none = { .size = sizeof none };
    const struct skua_run_opts       *o = opts ? opts : &none;
    int                               r = rt_run_opts_check(o);
    if (r < 0)
        return r;
    struct rt_runtime *rt = rt_aligned(RT_CACHE_LINE, sizeof *rt);
    if (!rt)
        return -ENOMEM;
    memset(rt, 0, sizeof *rt);
    rt_lock_init(&rt->lock, RT_RANK_RUNTIME);
    rt_inject_init(&rt->inject);
    set_options(rt, o);
    rt->n = (unsigned)worker_count(o);
    rt->rescue.spares_max = spare_count(rt, o);
    rt->seed = o->seed;
    rt->owner = rt_sys_gettid();
    if ((r = rt_table_enter(rt)) < 0)
        goto undo_rt;
    if ((r = make_workers(rt)) < 0)
        goto undo_workers;
    r = -ENOMEM;
    if (!(rt->main_group = rt_group_new(rt->workers[0], NULL)))
        goto undo_workers;
    rt->main_group->is_loop = true;
    SKUA_IGNORE(rt_sys_ignore_sigpipe());
    rt_overflow_reports_begin();
    if ((r = rt_watch_start(rt)) < 0)
        goto undo_group;
    if ((r = start_workers(rt)) < 0)
        goto undo_threads;
    rt_report_begin(rt);
    *ret_rt = rt;
    return 0;
undo_threads:
    rt_watch_halt(rt);
    stop_workers(rt);
    rt_watch_stop(rt);
undo_group:
    rt_sys_restore_sigpipe();
    rt_group_free(rt->main_group);
undo_workers:
    free_workers(rt);
    rt_table_leave(rt);
undo_rt:
    rt_free(rt);
    return r;
}

int rt_runtime_enter(struct rt_runtime *rt)
{
    struct rt_worker *w = rt->workers[0];
    int               r = thread_begin(w);
    if (r < 0)
        return r;
    rt->main_group->running = true;
    r = rt_worker_run(w);
    rt->main_group->running = false;
    (void)rt_xchg_sc(&w->leave_asked, 0); /* later askers are seen by the next run of the loop */
    thread_end(w);
    return r;
}

void rt_runtime_leave(struct rt_runtime *rt)
{
    rt->workers[0]->leaving = true;
}

/* --- groups --- */

/* A loop that was closed stays readable for a while: calls on it answer -ESHUTDOWN or -EINVAL, not
 * with a crash. */
static void bury_loop(struct skua_group *g)
{
    static struct rt_grave grave;
    rt_store_release(&g->closed, 1); /* pairs: PHASE -> rt_group_visit */
    rt_bury(&grave, g);
}

bool rt_group_visit(struct skua_group *g)
{
    (void)rt_add_sc(&g->callers, 1); /* pairs: PHASE -> refuse_visitors, close_groups */
    if (!rt_load_sc(&g->closed) && rt_load_sc(&g->worker->rt->phase) == RT_OPEN)
        return true;
    (void)rt_sub_sc(&g->callers, 1);
    return false;
}

void rt_group_leave(struct skua_group *g)
{
    (void)rt_sub_sc(&g->callers, 1); /* pairs: PHASE -> refuse_visitors, close_groups */
}

/* Who still comes finds the group closed and does not look at its worker, which is freed next. */
static void close_groups(struct rt_runtime *rt)
{
    for (struct skua_group *g = rt->groups; g; g = g->sibling) {
        (void)rt_xchg_sc(&g->closed, 1); /* pairs: PHASE -> rt_group_visit */
        while (rt_load_sc(&g->callers) > 0) /* pairs: PHASE <- rt_group_leave */
            SKUA_IGNORE(rt_sys_sched_yield());
    }
}

static void free_groups(struct rt_runtime *rt)
{
    while (rt->groups) {
        struct skua_group *g = rt->groups;
        rt->groups = g->sibling;
        rt_free(g->name);
        g->name = NULL;
        bury_loop(g);
    }
}

/* A task that did not end in time never runs again: its wait is over for everybody, and it has
 * failed for whoever holds it. What it was woken for, others get. Its stack is lost. */
static void abandon_task(struct skua_task *t, uint64_t word)
{
    struct rt_fifo       out = { 0 };
    bool                 has_ended = rt_ww_phase(word) == RT_PHASE_RUNNING;
    struct rt_awaitable *wait = t->flags & RT_TASK_STARTED ? rt_combined(t) : NULL;
    rt_ww_retire(&t->wait, rt_ww_ticket(word));
    if (has_ended && wait && wait->kind && wait->kind->lost)
        wait->kind->lost(wait);
    if (!(t->flags & RT_TASK_STARTED))
        (void)rt_never_started(t);
    (void)rt_task_complete(t, skua_fail(-ESHUTDOWN), RT_ST_FAILED | RT_ST_RETRIEVED, 1, &out);
    rt_ready_batch(&out); /* to queues that are emptied next */
}

static bool waits_here(struct rt_waiter *waiter, void *arg)
{
    const struct rt_runtime *rt = arg;
    return waiter->fire && waiter->name == rt->id;
}

/* A task of another runtime, which may live long: what was registered on it here is fired, into
 * queues that are emptied next. */
static void withdraw(struct rt_runtime *rt, struct skua_task *t)
{
    struct rt_fifo    out = { 0 };
    struct rt_waiter *waiter;
    while (rt->abroad && (waiter = rt_waiter_take(t, waits_here, rt)) != NULL)
        waiter->fire(waiter, t, &out);
    rt_ready_batch(&out);
}

/* Somebody else may be in the middle of ending it, and about to post to the queues of this
 * runtime: that is waited for. It never takes long. */
static bool is_ending(struct rt_runtime *rt, struct skua_task *t)
{
    uint64_t word = rt_st_load(&t->state);
    /* relaxed: another object by now has another state word */
    return (word & RT_ST_DONE) && (word & (RT_ST_LOCK | RT_ST_WAITERS)) && rt_st_refs(word) > 0 &&
           (rt->abroad || rt_load_relaxed(&t->runtime) == rt->id);
}

/* What is still open would reach into the runtime later: it ends with -ESHUTDOWN, which plain
 * threads that wait for it get to know. */
static void abandon_open(struct rt_runtime *rt)
{
    uint32_t carved = rt_slab_carved();
    for (uint32_t slot = 1; slot <= carved; slot++) {
        struct skua_task *t = rt_slab_at(slot);
        while (t && is_ending(rt, t))
            SKUA_IGNORE(rt_sys_sched_yield());
        if (!t || !rt_st_try_retain_pending(&t->state))
            continue;
        bool     ours = rt_load_relaxed(&t->runtime) == rt->id; /* relaxed: fixed while retained */
        uint64_t word = rt_load_acquire(&t->wait.bits); /* pairs: WAKE <- rt_ww_claim */
        if (!ours)
            withdraw(rt, t);
        else if (rt_task_is_future(t))
            (void)rt_future_end(t, skua_fail(-ESHUTDOWN));
        else
            abandon_task(t, word);
        rt_task_unref(NULL, t);
    }
}

bool rt_waiter_add_here(struct rt_worker *w, struct skua_task *t, struct rt_waiter *waiter)
{
    /* relaxed: fixed while the caller has a handle; a mark that stays */
    if (RT_UNLIKELY(rt_load_relaxed(&t->runtime) != w->rt->id)) {
        waiter->name = w->rt->id;
        rt_store_relaxed(&w->rt->abroad, 1);
    }
    return rt_waiter_add(t, waiter);
}

void rt_runtime_free(struct rt_runtime *rt)
{
    if (rt->pool_stop)
        rt->pool_stop(rt);
    rt_store_release(&rt->phase, RT_CLOSED); /* pairs: PHASE -> rt_group_visit */
    rt_watch_halt(rt); /* it starts no spare any more */
    stop_workers(rt);
    if (rt->readers_end)
        rt->readers_end(rt);
    close_groups(rt);
    rt_table_leave(rt);
    rt_report_end(rt);
    while (rt_load_acquire(&rt->wakers) > 0) /* pairs: WAKERS <- rt_post_pinned */
        SKUA_IGNORE(rt_sys_sched_yield());
    rt_signals_end(rt);
    rt_watch_stop(rt);
    if (rt->debug && rt_report_leftovers)
        rt_report_leftovers(rt);
    abandon_open(rt);
    rt_sys_restore_sigpipe();
    free_workers(rt);
    rt_stacks_tend_now();
    if (rt->signal_handlers_free)
        rt->signal_handlers_free(rt);
    free_groups(rt);
    rt_inject_fini(&rt->inject); /* what was abandoned may lie there */
    rt_free(rt);
}
