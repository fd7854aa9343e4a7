/* SPDX-License-Identifier: MIT */
/* floor 7: aio. The pool of threads that run what blocks. */
#include "aio/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sched/cancel.h"
#include "sched/context.h"
#include "sched/finish.h"
#include "sched/queues.h"

enum {
    IDLE_S = 10,      /* an idle thread ends after so long                              */
    STOP_S = 300,     /* how long the end of a runtime waits for jobs, unless told; as asyncio */
    THREADS_MAX = 32, /* of the default limit, min(32, cpus + 4), which is asyncio's    */
    THREADS_MORE = 4,
};

struct pool_thread {
    struct rt_list   node;   /* of the pool's threads; under the mutex          */
    struct rt_pool  *pool;   /* counted                                         */
    struct rt_thread thread; /* written before anybody else can see the record  */
    struct rt_job   *job;    /* it runs; under the mutex                        */
    bool             abandoned; /* the runtime has gone on without it; under the mutex */
};

struct rt_pool {
    struct rt_mutex_cond mc;
    struct rt_runtime   *rt;      /* not after the runtime has ended               */
    RT_ATOMIC(uint32_t)  refs;
    /* under the mutex */
    struct rt_list       queue;   /* of jobs                                       */
    struct rt_list       threads; /* that have not ended and are not abandoned     */
    struct pool_thread  *ended;   /* the last one that ended by itself, not joined */
    size_t               queued;
    unsigned             count;   /* of threads                                    */
    unsigned             limit;
    unsigned             idle;    /* without a job, those that just start included */
    unsigned             watchers; /* who wait for jobs or threads to end           */
    bool                 stopping;
};

/* In place of a pool that was stopped. */
static struct rt_pool closed;

static __thread struct rt_job *running;

/* --- life --- */

static void pool_release(struct rt_pool *pool)
{
    if (rt_sub_acq_rel(&pool->refs, 1) != 1) /* pairs: POOL -> pool_release */
        return;                              /* pairs: POOL <- pool_release */
    rt_mutex_cond_fini(&pool->mc);
    rt_free(pool);
}

static unsigned thread_limit(struct rt_runtime *rt)
{
    int cpus = rt->blocking_threads > 0 ? 0 : rt_cpu_count("");
    if (!cpus)
        return (unsigned)rt->blocking_threads;
    return cpus + THREADS_MORE < THREADS_MAX ? (unsigned)cpus + THREADS_MORE : THREADS_MAX;
}

static struct rt_pool *pool_new(struct rt_runtime *rt)
{
    struct rt_pool *pool = rt_calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    if (rt_mutex_cond_init(&pool->mc) < 0) {
        rt_free(pool);
        return NULL;
    }
    pool->rt = rt;
    pool->limit = thread_limit(rt);
    rt_list_init(&pool->queue);
    rt_list_init(&pool->threads);
    rt_init(&pool->refs, 1);
    return pool;
}

static void pool_stop(struct rt_runtime *rt);

/* One reference for the caller. */
static struct rt_pool *pool_get(struct rt_runtime *rt, int *ret_err)
{
    *ret_err = -ENOMEM;
    rt_lock(&rt->lock);
    if (!rt->pool && (rt->pool = pool_new(rt)) != NULL)
        rt->pool_stop = pool_stop;
    struct rt_pool *pool = rt->pool;
    if (pool == &closed) {
        *ret_err = -ESHUTDOWN;
        pool = NULL;
    }
    if (pool)
        (void)rt_add_relaxed(&pool->refs, 1); /* relaxed: with the lock held the runtime has one */
    rt_unlock(&rt->lock);
    return pool;
}

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

struct rt_job *rt_job_new(struct rt_runtime *rt, skua_fn fn, void *arg, struct skua_task *by,
                          const char *name, int *ret_err)
{
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
    job->fn = fn;
    job->arg = arg;
    job->vars = rt_context_capture();
    job->refs = 1;
    label_job(job, by, name);
    return job;
}

void rt_job_release(struct rt_job *job)
{
    struct rt_pool *pool = job->pool;
    rt_mutex_cond_lock(&pool->mc);
    bool last = --job->refs == 0;
    rt_mutex_cond_unlock(&pool->mc);
    if (!last)
        return;
    rt_vars_drop(job->vars);
    rt_free(job->copy);
    rt_free(job);
    pool_release(pool);
}

/* Whoever waits for jobs or threads to end shares the condition with idle threads. */
static void wake(struct rt_pool *pool)
{
    if (pool->watchers > 0)
        rt_mutex_cond_broadcast(&pool->mc);
    else
        rt_mutex_cond_signal(&pool->mc);
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

/* After it nobody touches the job on behalf of the future. */
static void leave_future(struct rt_job *job, struct rt_worker *w)
{
    if (job->token)
        (void)rt_waiter_remove(job->future, &job->watch);
    rt_task_unref(w, job->future);
}

static void complete_future(struct rt_job *job, void *result)
{
    struct skua_task *f = job->future;
    if (job->message[0] && skua_failed(result) && !rt_task_is_done(f))
        SKUA_IGNORE(rt_task_set_message(f, job->message)); /* the error itself is what counts */
    if (job->token)
        (void)rt_waiter_remove(f, &job->watch); /* a function that has returned need not be asked */
    (void)rt_future_complete(f, result);
    rt_task_unref(rt_self(), f);
}

/* Delivers the result and drops the pool's reference. The runtime is there as long: pool_stop waits
 * for the threads that are in here. */
static void settle(struct rt_job *job, void *result)
{
    struct rt_pool   *pool = job->pool;
    struct rt_runtime *rt = pool->rt;
    struct rt_fifo    out = { 0 };
    rt_mutex_cond_lock(&pool->mc);
    job->state = RT_JOB_DONE;
    job->result = result;
    if (job->name)
        (void)rt_name_claim(job->name, 0, &out);
    if (pool->watchers > 0)
        rt_mutex_cond_broadcast(&pool->mc);
    rt_mutex_cond_unlock(&pool->mc);
    rt_ready_batch(&out);
    if (job->future)
        complete_future(job, result);
    let_time_go(rt);
    rt_job_release(job);
}

/* --- threads --- */

/* With the mutex held. NULL: the thread ends. */
static struct rt_job *next_job(struct rt_pool *pool)
{
    uint64_t deadline = rt_ns_add(rt_clock_now(), IDLE_S * RT_NS_PER_SEC);
    int      r = 0;
    while (rt_list_is_empty(&pool->queue) && !pool->stopping && r == 0)
        r = rt_mutex_cond_wait(&pool->mc, deadline);
    pool->idle--;
    struct rt_list *node = rt_list_pop_front(&pool->queue);
    if (!node)
        return NULL;
    pool->queued--;
    return rt_list_entry(node, struct rt_job, node);
}

static void *call(struct rt_job *job)
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

/* With the mutex held before and after. False: nobody waits for this thread any more. */
static bool run_job(struct pool_thread *me, struct rt_job *job)
{
    struct rt_pool *pool = me->pool;
    me->job = job;
    job->state = RT_JOB_RUNNING;
    rt_mutex_cond_unlock(&pool->mc);
    void *result = call(job);
    rt_mutex_cond_lock(&pool->mc);
    me->job = NULL;
    bool abandoned = me->abandoned;
    rt_mutex_cond_unlock(&pool->mc);
    if (!abandoned) {
        settle(job, result);
        rt_mutex_cond_lock(&pool->mc);
        pool->idle++;
        return true;
    }
    if (job->future)
        leave_future(job, NULL);
    rt_job_release(job);
    rt_mutex_cond_lock(&pool->mc);
    return false;
}

static void join(struct pool_thread *thread)
{
    if (!thread)
        return;
    SKUA_IGNORE(rt_sys_thread_join(thread->thread)); /* it is ours and not joined yet */
    rt_free(thread);
}

/* With the mutex held, which is released. A thread that ends joins the one that ended before it. */
static void end_thread(struct pool_thread *me)
{
    struct rt_pool     *pool = me->pool;
    struct pool_thread *before = me;
    if (!me->abandoned) {
        rt_list_remove(&me->node);
        pool->count--;
        before = pool->ended;
        pool->ended = me;
        if (pool->watchers > 0)
            rt_mutex_cond_broadcast(&pool->mc);
    }
    rt_mutex_cond_unlock(&pool->mc);
    if (before == me)
        rt_free(me);
    else
        join(before);
    pool_release(pool);
}

static void *thread_main(void *arg)
{
    struct pool_thread *me = arg;
    struct rt_pool     *pool = me->pool;
    struct rt_job      *job;
    rt_mutex_cond_lock(&pool->mc);
    do
        job = next_job(pool);
    while (job && run_job(me, job));
    end_thread(me);
    return NULL;
}

/* With the mutex held. */
static int start_thread(struct rt_pool *pool)
{
    struct pool_thread *thread = rt_calloc(1, sizeof *thread);
    if (!thread)
        return -ENOMEM;
    thread->pool = pool;
    (void)rt_add_relaxed(&pool->refs, 1); /* relaxed: the caller has one */
    int r = rt_sys_thread_create(&thread->thread, thread_main, thread, "skua-pool");
    if (r < 0) {
        (void)rt_sub_relaxed(&pool->refs, 1); /* relaxed: likewise */
        rt_free(thread);
        return r;
    }
    rt_list_push_back(&pool->threads, &thread->node);
    pool->count++;
    pool->idle++;
    return 0;
}

/* --- what the callers do with a job --- */

int rt_job_submit(struct rt_job *job)
{
    struct rt_pool *pool = job->pool;
    int             r = 0;
    rt_mutex_cond_lock(&pool->mc);
    if (pool->stopping)
        r = -ESHUTDOWN;
    else if (pool->queued >= pool->idle && pool->count < pool->limit)
        r = start_thread(pool);
    if (r < 0 && r != -ESHUTDOWN && pool->count > 0)
        r = 0; /* no further thread: the job takes its turn with those that are there */
    if (r == 0) {
        (void)rt_add_sc(&pool->rt->busy, 1); /* pairs: IDLE -> rt_virtual_idle */
        job->state = RT_JOB_QUEUED;
        job->refs++;
        rt_list_push_back(&pool->queue, &job->node);
        pool->queued++;
        wake(pool);
    }
    rt_mutex_cond_unlock(&pool->mc);
    return r;
}

enum rt_job_state rt_job_withdraw(struct rt_job *job)
{
    struct rt_pool *pool = job->pool;
    rt_mutex_cond_lock(&pool->mc);
    enum rt_job_state found = job->state;
    if (found == RT_JOB_QUEUED) {
        rt_list_remove(&job->node);
        pool->queued--;
        job->state = RT_JOB_DONE;
        job->refs--;
    }
    rt_mutex_cond_unlock(&pool->mc);
    if (found == RT_JOB_QUEUED)
        let_time_go(pool->rt);
    return found;
}

bool rt_job_set_name(struct rt_job *job, uint64_t name)
{
    struct rt_pool *pool = job->pool;
    rt_mutex_cond_lock(&pool->mc);
    bool pending = job->state != RT_JOB_DONE;
    if (pending)
        job->name = name;
    rt_mutex_cond_unlock(&pool->mc);
    return pending;
}

void rt_job_block(struct rt_job *job)
{
    struct rt_pool *pool = job->pool;
    rt_mutex_cond_lock(&pool->mc);
    pool->watchers++;
    while (job->state != RT_JOB_DONE)
        SKUA_IGNORE(rt_mutex_cond_wait(&pool->mc, RT_NEVER));
    pool->watchers--;
    rt_mutex_cond_unlock(&pool->mc);
}

RT_NOINLINE void rt_job_set_message(const char *text)
{
    struct rt_job *job = running;
    if (job)
        (void)snprintf(job->message, sizeof job->message, "%s", text);
}

/* --- the end of the runtime --- */

static void ask_running(struct rt_pool *pool)
{
    rt_list_foreach(node, &pool->threads)
    {
        struct rt_job *job = rt_list_entry(node, struct pool_thread, node)->job;
        if (job && job->token)
            skua_token_set(job->token);
    }
}

/* With the mutex held. The function runs on; who waits for it hears that it was cancelled, or, if
 * its frame may be what the function writes to, never runs again. */
static void abandon(struct rt_pool *pool, struct pool_thread *thread)
{
    struct rt_job *job = thread->job;
    struct rt_fifo never = { 0 };
    rt_log("the thread job of %s did not return in time, its thread is left alone", job->label);
    rt_list_remove(&thread->node);
    pool->count--;
    thread->abandoned = true;
    (void)pthread_detach(thread->thread.id);
    if (job->future)
        (void)rt_future_complete(job->future, skua_fail(-ECANCELED));
    if (job->name && rt_name_claim(job->name, ECANCELED, &never) && never.head)
        job->refs--; /* of the waiter */
    (void)rt_sub_sc(&pool->rt->busy, 1); /* pairs: IDLE -> rt_virtual_idle */
}

static void abandon_stuck(struct rt_pool *pool)
{
    rt_list_foreach_safe(node, &pool->threads)
    {
        struct pool_thread *thread = rt_list_entry(node, struct pool_thread, node);
        if (thread->job)
            abandon(pool, thread);
    }
}

static uint64_t stop_deadline(struct rt_runtime *rt)
{
    uint64_t ns = STOP_S * RT_NS_PER_SEC;
    if (rt->shutdown_timeout > 0)
        SKUA_IGNORE(rt_ns_from_seconds(rt->shutdown_timeout, &ns)); /* checked at start */
    return rt_ns_add(rt_clock_now(), ns);
}

/* Until every thread has ended; those without a job do so at once. */
static void await_threads(struct rt_pool *pool, uint64_t deadline)
{
    while (pool->count > 0) {
        if (rt_mutex_cond_wait(&pool->mc, deadline) != -ETIMEDOUT)
            continue;
        abandon_stuck(pool);
        deadline = RT_NEVER;
    }
}

static void pool_stop(struct rt_runtime *rt)
{
    struct rt_list left = RT_LIST_INIT(left);
    rt_lock(&rt->lock);
    struct rt_pool *pool = rt->pool;
    rt->pool = &closed;
    rt_unlock(&rt->lock);

    rt_mutex_cond_lock(&pool->mc);
    pool->stopping = true;
    pool->watchers++;
    rt_list_splice_back(&left, &pool->queue);
    pool->queued = 0;
    rt_list_foreach(node, &left)
        rt_list_entry(node, struct rt_job, node)->state = RT_JOB_DONE;
    ask_running(pool);
    rt_mutex_cond_broadcast(&pool->mc);
    rt_mutex_cond_unlock(&pool->mc);

    struct rt_list *node;
    while ((node = rt_list_pop_front(&left)) != NULL)
        settle(rt_list_entry(node, struct rt_job, node), skua_fail(-ECANCELED));

    rt_mutex_cond_lock(&pool->mc);
    await_threads(pool, stop_deadline(rt));
    pool->watchers--;
    struct pool_thread *last = pool->ended;
    pool->ended = NULL;
    rt_mutex_cond_unlock(&pool->mc);
    join(last);
    pool_release(pool);
}
