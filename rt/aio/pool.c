/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Jobs, and the lanes of one runtime from the first job to the last thread. */
#include "aio/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"
#include "sched/cancel.h"
#include "sched/context.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/report.h"

enum {
    STOP_S = 300, /* how long the end of a runtime waits for jobs, unless told; as asyncio */
    NAG_MS = 10,  /* between two signals to a call that shall end                          */
};

/* In place of a pool that was stopped. */
static struct rt_pool closed;

static __thread struct rt_job *running;

/* --- life of the pool --- */

void rt_pool_keep(struct rt_pool *pool)
{
    (void)rt_add_relaxed(&pool->refs, 1); /* relaxed: the caller has one, or the runtime's lock */
}

void rt_pool_release(struct rt_pool *pool)
{
    if (rt_sub_acq_rel(&pool->refs, 1) != 1) /* pairs: POOL -> rt_pool_release */
        return;                              /* pairs: POOL <- rt_pool_release */
    for (unsigned i = 0; i < pool->n; i++)
        rt_mutex_cond_fini(&pool->lane[i].lane.mc);
    rt_free(pool);
}

static int lane_init(struct rt_pool *pool, unsigned i)
{
    struct rt_pool_lane *home = &pool->lane[i];
    home->pool = pool;
    home->name = pool->plan.lane[i].name;
    home->idle_ns = pool->plan.idle_ns;
    home->lane.start = rt_lane_start_thread;
    home->lane.limit = (unsigned)rt_lane_plan_threads(&pool->plan, i);
    rt_list_init(&home->lane.queue);
    rt_list_init(&home->lane.seats);
    return rt_mutex_cond_init(&home->lane.mc);
}

static struct rt_pool *pool_new(struct rt_runtime *rt)
{
    struct rt_pool *pool = rt_calloc(1, sizeof *pool + rt->lanes.n * sizeof pool->lane[0]);
    if (!pool)
        return NULL;
    pool->rt = rt;
    pool->plan = rt->lanes;
    rt_init(&pool->refs, 1);
    for (; pool->n < rt->lanes.n; pool->n++) {
        if (lane_init(pool, pool->n) < 0) {
            rt_pool_release(pool);
            return NULL;
        }
    }
    return pool;
}

static void pool_stop(struct rt_runtime *rt);
static bool pool_tick(struct rt_runtime *rt);
static int pool_threads(struct rt_runtime *rt);

/* One reference for the caller. NULL: there is none, or it was stopped. */
static struct rt_pool *pool_find(struct rt_runtime *rt)
{
    rt_lock(&rt->lock);
    struct rt_pool *pool = rt->pool == &closed ? NULL : rt->pool;
    if (pool)
        rt_pool_keep(pool);
    rt_unlock(&rt->lock);
    return pool;
}

/* The same, making it. */
static struct rt_pool *pool_get(struct rt_runtime *rt, int *ret_err)
{
    *ret_err = -ENOMEM;
    rt_lock(&rt->lock);
    if (!rt->pool && (rt->pool = pool_new(rt)) != NULL) {
        rt->pool_stop = pool_stop;
        rt->pool_tick = pool_tick;
        rt->pool_threads = pool_threads;
    }
    struct rt_pool *pool = rt->pool;
    if (pool == &closed) {
        *ret_err = -ESHUTDOWN;
        pool = NULL;
    }
    if (pool)
        rt_pool_keep(pool);
    rt_unlock(&rt->lock);
    return pool;
}

/* --- life of a job --- */

static void label_job(struct rt_job *job, struct skua_task *by, const char *name)
{
    struct rt_cold *cold = NULL;
    if (by && !name)
        cold = rt_task_cold_if_any(by);
    if (cold)
        name = rt_load_acquire(&cold->name); /* pairs: COLD <- rt_task_set_name */
    if (name)
        (void)snprintf(job->label, sizeof job->label, "%s", name);
    else if (by)
        (void)snprintf(job->label, sizeof job->label, "Task-%u", by->id);
    else
        (void)snprintf(job->label, sizeof job->label, "a callback");
}

static int take_options(struct rt_job *job, const struct skua_thread_opts *opts)
{
    job->token = opts->token;
    job->where = opts->where;
    job->interrupt = opts->interrupt;
    int r = opts->interrupt ? rt_interrupt_install() : 0;
    if (r < 0 || !opts->copy)
        return r;
    job->copy = rt_malloc(opts->copy);
    if (!job->copy)
        return -ENOMEM;
    job->arg = memcpy(job->copy, job->arg, opts->copy);
    return 0;
}

struct rt_job *rt_job_new(struct rt_runtime *rt, skua_fn fn, void *arg, struct skua_task *by,
                          const struct skua_thread_opts *opts, int *ret_err)
{
    int lane = *ret_err = rt_lane_plan_find(&rt->lanes, opts->lane);
    if (lane < 0)
        return NULL;
    struct rt_job *job = rt_calloc(1, sizeof *job);
    if (!job) {
        *ret_err = -ENOMEM;
        return NULL;
    }
    job->pool = pool_get(rt, ret_err);
    if (!job->pool) {
        rt_free(job);
        return NULL;
    }
    job->lane = &job->pool->lane[lane];
    job->fn = fn;
    job->arg = arg;
    job->vars = rt_context_capture();
    rt_lane_item_init(&job->item);
    label_job(job, by, opts->name);
    *ret_err = take_options(job, opts);
    if (*ret_err == 0)
        return job;
    rt_job_release(job);
    return NULL;
}

void rt_job_release(struct rt_job *job)
{
    struct rt_pool *pool = job->pool;
    if (!rt_lane_unref(&job->lane->lane, &job->item))
        return;
    if (job->drop && !skua_failed(job->result))
        job->drop(job->result);
    rt_vars_drop(job->vars);
    rt_free(job->copy);
    rt_free(job);
    rt_pool_release(pool);
}

/* --- the end of a job --- */

/* The last touch of the runtime on behalf of a job. Lower the count first: a worker that parks from
 * now on looks at the clock itself. */
static void let_time_go(struct rt_runtime *rt)
{
    (void)rt_sub_sc(&rt->busy, 1); /* pairs: IDLE -> rt_virtual_idle */
    if (rt->time.is_virtual)
        rt_notify(rt);
}

/* After it nobody touches the job on behalf of the future, which may be done already. */
static void leave_future(struct rt_job *job)
{
    if (job->watch.fire)
        (void)rt_waiter_remove(job->future, &job->watch);
}

static void complete_future(struct rt_job *job, void *result)
{
    struct skua_task *f = job->future;
    if (job->message[0] && skua_failed(result) && !rt_task_is_done(f))
        SKUA_IGNORE(rt_task_set_message(f, job->message)); /* the error itself is what counts */
    leave_future(job); /* a function that has returned need not be asked */
    (void)rt_future_complete(f, result);
    rt_task_unref(rt_self(), f);
}

/* The runtime is there as long: pool_stop waits for the threads that are in here. */
void rt_job_settle(struct rt_job *job, uint64_t name)
{
    struct rt_runtime *rt = job->pool->rt;
    struct rt_fifo     out = { 0 };
    if (name)
        (void)rt_name_claim(name, 0, &out);
    rt_ready_batch(&out);
    if (job->future)
        complete_future(job, job->result);
    let_time_go(rt);
    rt_job_release(job);
}

/* --- what threads and callers do with a job --- */

void *rt_job_call(struct rt_job *job)
{
    if (job->future && rt_task_is_done(job->future))
        return skua_fail(-ECANCELED);
    running = job;
    rt_context_thread_begin(job->vars);
    job->vars = 0;
    void *result = job->fn(job->arg);
    rt_context_thread_end();
    running = NULL;
    return result;
}

RT_NOINLINE void rt_job_set_message(const char *text)
{
    struct rt_job *job = running;
    if (job)
        (void)snprintf(job->message, sizeof job->message, "%s", text);
}

int rt_job_submit(struct rt_job *job)
{
    struct rt_runtime *rt = job->pool->rt;
    (void)rt_add_sc(&rt->busy, 1); /* pairs: IDLE -> rt_virtual_idle */
    job->since = rt_clock_now();
    int r = rt_lane_push(&job->lane->lane, &job->item);
    if (r < 0)
        let_time_go(rt);
    return r;
}

enum rt_job_state rt_job_withdraw(struct rt_job *job)
{
    int found = rt_lane_withdraw(&job->lane->lane, &job->item);
    if (found == RT_JOB_QUEUED)
        let_time_go(job->pool->rt);
    return (enum rt_job_state)found;
}

void rt_job_ask(struct rt_job *job)
{
    skua_token_set(job->token);
    if (!job->interrupt)
        return;
    rt_lane_ask(&job->item);
    rt_watch_ask(job->pool->rt);
}

bool rt_job_set_name(struct rt_job *job, uint64_t name)
{
    return rt_lane_rename(&job->lane->lane, &job->item, name);
}

void rt_job_block(struct rt_job *job)
{
    rt_lane_block(&job->lane->lane, &job->item);
}

/* --- what the watch does: counting, signals --- */

static int pool_threads(struct rt_runtime *rt)
{
    struct rt_pool *pool = pool_find(rt);
    int             n = pool ? rt_load_relaxed(&pool->threads) : 0; /* relaxed: never too many */
    if (pool)
        rt_pool_release(pool);
    return n;
}

static bool pool_tick(struct rt_runtime *rt)
{
    struct rt_pool *pool = pool_find(rt);
    bool            again = false;
    if (!pool)
        return false;
    for (unsigned i = 0; i < pool->n; i++)
        again |= rt_lane_nag(&pool->lane[i].lane, rt_clock_now(), NAG_MS * RT_NS_PER_MS,
                             rt_seat_interrupt);
    rt_pool_release(pool);
    return again;
}

/* --- the end of the runtime --- */

static void ask_item(struct rt_lane_item *item)
{
    rt_job_ask(rt_container_of(item, struct rt_job, item));
}

/* With the mutex held. The function runs on; who waits for it hears that it was cancelled, or, if
 * its frame may be what the function writes to, never runs again. */
static void give_up(struct rt_seat *seat, struct rt_lane_item *item)
{
    struct rt_job *job = rt_container_of(item, struct rt_job, item);
    struct rt_fifo never = { 0 };
    item->refs++; /* of the report, which is made without the mutex */
    job->next_given_up = job->pool->given_up;
    job->pool->given_up = job;
    rt_seat_detach(seat);
    if (job->future)
        (void)rt_future_complete(job->future, skua_fail(-ECANCELED));
    if (item->name && rt_name_claim(item->name, ECANCELED, &never) && never.head)
        item->refs--; /* of the waiter */
    (void)rt_sub_sc(&job->pool->rt->busy, 1); /* pairs: IDLE -> rt_virtual_idle */
}

/* The handle goes here and not when the function returns: it is no handle that the user forgot. The
 * thread looks at it only before it calls the function. */
static void drop_given_up(struct rt_job *job)
{
    if (job->future) {
        leave_future(job);
        rt_task_unref(rt_self(), job->future);
    }
    rt_job_release(job);
}

static void report_given_up(struct rt_pool *pool)
{
    struct rt_job *job;
    while ((job = pool->given_up) != NULL) {
        char line[256];
        (void)snprintf(line, sizeof line,
                       "the thread job of %s (lane %s%s%s) did not return in time, its thread is "
                       "left alone", job->label, job->lane->name,
                       job->where ? ", called at " : "", job->where ? job->where : "");
        struct skua_exception_context context = {
            .size = sizeof context, .message = line, .kind = SKUA_EXCEPTION_THREAD,
            .error = -ETIMEDOUT, .name = job->label, .where = job->where,
        };
        pool->given_up = job->next_given_up;
        rt_report(pool->rt, &context);
        drop_given_up(job);
    }
}

static uint64_t stop_deadline(struct rt_runtime *rt)
{
    uint64_t ns = STOP_S * RT_NS_PER_SEC;
    if (rt->shutdown_timeout > 0)
        SKUA_IGNORE(rt_ns_from_seconds(rt->shutdown_timeout, &ns)); /* checked at start */
    return rt_ns_add(rt_clock_now(), ns);
}

static void pool_stop(struct rt_runtime *rt)
{
    struct rt_list  left = RT_LIST_INIT(left);
    struct rt_list *node;
    struct rt_pool *pool = rt->pool;
    for (unsigned i = 0; i < pool->n; i++)
        rt_lane_close(&pool->lane[i].lane, &left, ask_item);
    while ((node = rt_list_pop_front(&left)) != NULL) {
        struct rt_job *job = rt_list_entry(node, struct rt_job, item.node);
        job->result = skua_fail(-ECANCELED);
        rt_job_settle(job, job->item.name);
    }
    uint64_t deadline = stop_deadline(rt);
    for (unsigned i = 0; i < pool->n; i++)
        rt_seat_join(rt_lane_drain(&pool->lane[i].lane, deadline, give_up));
    report_given_up(pool);
    rt_lock(&rt->lock);
    rt->pool = &closed;
    rt_unlock(&rt->lock);
    rt_pool_release(pool);
}

/* --- looking at it --- */

int rt_pool_stats(struct rt_runtime *rt, const char *name, struct skua_lane_stats *ret_stats)
{
    int i = rt_lane_plan_find(&rt->lanes, name);
    if (i < 0)
        return i;
    *ret_stats = (struct skua_lane_stats){ .size = sizeof *ret_stats };
    ret_stats->threads_max = rt_lane_plan_threads(&rt->lanes, (unsigned)i);
    struct rt_pool *pool = pool_find(rt);
    if (!pool)
        return 0;
    struct rt_pool_lane *home = &pool->lane[i];
    struct rt_lane      *lane = &home->lane;
    rt_mutex_cond_lock(&lane->mc);
    ret_stats->threads = (int)lane->count;
    ret_stats->idle = (int)lane->idle;
    ret_stats->queued = lane->queued;
    ret_stats->running = lane->running;
    ret_stats->done = lane->done;
    ret_stats->withdrawn = lane->withdrawn;
    ret_stats->given_up = lane->given_up;
    rt_mutex_cond_unlock(&lane->mc);
    ret_stats->wait_max = rt_seconds_from_ns(rt_load_relaxed(&home->wait_max)); /* a figure */
    rt_pool_release(pool);
    return 0;
}
