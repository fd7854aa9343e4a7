/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Calling what blocks: to_thread, spawn_thread, tokens.
 *
 * A cancelled to_thread waits for the function (job_wait.c), unless the argument was copied or the
 * caller said `.abandon`. A handle of spawn_thread ends at once, as the future of asyncio's
 * run_in_executor does.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "aio/pool.h"
#include "base/mem.h"
#include "sched/finish.h"
#include "sched/spawn.h"

static const struct skua_thread_opts no_opts = { .size = sizeof no_opts };

/* --- tokens: the first word says whether the token is set --- */

static RT_ATOMIC(uint64_t) *token_word(const skua_token *token)
{
    return (RT_ATOMIC(uint64_t) *)(uintptr_t)token->opaque;
}

void skua_token_set(skua_token *token)
{
    if (token)
        rt_store_release(token_word(token), 1); /* pairs: TOKEN -> skua_token_is_set */
}

bool skua_token_is_set(const skua_token *token)
{
    return token && rt_load_acquire(token_word(token)) != 0; /* pairs: TOKEN <- skua_token_set */
}

/* --- errors with a text, which stays with the task or the job that runs --- */

void *skua_failf(int err, const char *fmt, ...)
{
    struct skua_task *t = rt_current();
    char              text[RT_JOB_MESSAGE];
    if (!fmt)
        return skua_fail(err);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (t)
        SKUA_IGNORE(rt_task_set_message(t, text)); /* without memory the error goes without text */
    else
        rt_job_set_message(text);
    return skua_fail(err);
}

/* --- both calls --- */

static int check(skua_fn fn, void *arg, const struct skua_thread_opts *opts)
{
    return !fn || opts->size != sizeof *opts || (opts->copy && !arg) ? -EINVAL : 0;
}

static int refuse(const struct skua_thread_opts *opts, int err)
{
    if (opts->size == sizeof *opts && opts->ret_err)
        *opts->ret_err = err;
    return err;
}

/* --- to_thread --- */

static int outcome(struct rt_job *job, void **ret_result)
{
    int err = skua_failed(job->result);
    if (err < 0) {
        if (job->message[0])
            SKUA_IGNORE(rt_task_set_message(rt_current(), job->message)); /* the error counts */
        return err;
    }
    if (ret_result)
        *ret_result = job->result;
    return 0;
}

int skua_to_thread_with(skua_fn fn, void *arg, void **ret_result,
                        const struct skua_thread_opts *opts)
{
    struct rt_worker *w = rt_self();
    struct rt_job    *job = NULL;
    if (!opts)
        opts = &no_opts;
    int r = w && w->cur ? check(fn, arg, opts) : -EPERM;
    if (r < 0)
        return refuse(opts, r);
    int kept = *skua_errno_location(); /* making the pool and its threads asks the system a lot */
    job = rt_job_new(w->rt, fn, arg, w->cur, opts, &r);
    if (job) {
        r = rt_job_run(w, job, RT_NEVER, opts->copy || opts->abandon);
        if (r == 0)
            r = outcome(job, ret_result);
        rt_job_release(job);
    }
    *skua_errno_location() = kept;
    return r < 0 ? refuse(opts, r) : 0;
}

/* --- spawn_thread --- */

static void fire_ask(struct rt_waiter *self, struct skua_task *done, struct rt_fifo *out)
{
    (void)done;
    (void)out;
    rt_job_ask(rt_container_of(self, struct rt_job, watch));
}

/* The handle, one reference for the caller; the job holds another one from its submission on. */
static struct skua_task *new_handle(struct rt_worker *w, struct rt_job *job, const char *name)
{
    struct skua_task *f = rt_future_new(w->rt, w);
    if (!f)
        return NULL;
    f->where = job->where;
    if (name && rt_task_set_name(f, name) < 0) {
        rt_task_unref(w, f);
        return NULL;
    }
    struct rt_cold *cold = job->copy ? rt_task_cold(f) : NULL;
    if (job->copy && !cold) {
        rt_task_unref(w, f);
        return NULL;
    }
    if (cold) {
        cold->copy = job->copy; /* the result may point into it: it stays with the handle */
        job->copy = NULL;
    }
    rt_st_retain(&f->state);
    job->future = f;
    if (job->token || job->interrupt) {
        job->watch.fire = fire_ask;
        (void)rt_waiter_add(f, &job->watch); /* nobody can have completed it yet */
    }
    return f;
}

static void drop_handle(struct rt_worker *w, struct rt_job *job)
{
    struct skua_task *f = job->future;
    if (job->watch.fire)
        (void)rt_waiter_remove(f, &job->watch);
    rt_task_unref(w, f);
    rt_task_unref(w, f);
}

static struct skua_task *spawn(struct rt_worker *w, struct rt_job *job, const char *name,
                               int *ret_err)
{
    struct skua_task *f = new_handle(w, job, name);
    *ret_err = f ? rt_job_submit(job) : -ENOMEM;
    if (*ret_err == 0)
        return f;
    if (f)
        drop_handle(w, job);
    return NULL;
}

skua_task *skua_spawn_thread_with(skua_fn fn, void *arg, const struct skua_thread_opts *opts)
{
    struct rt_worker *w = rt_self();
    struct skua_task *f = NULL;
    int               kept = *skua_errno_location();
    if (!opts)
        opts = &no_opts;
    int            r = w ? check(fn, arg, opts) : -EPERM;
    struct rt_job *job = r == 0 ? rt_job_new(w->rt, fn, arg, w->cur, opts, &r) : NULL;
    if (job) {
        f = spawn(w, job, opts->name, &r);
        rt_job_release(job);
    }
    *skua_errno_location() = kept;
    if (!f)
        SKUA_IGNORE(refuse(opts, r));
    return f;
}
