/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Reports. */
#include "sched/report.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "task/owed.h"

static RT_ATOMIC(uint32_t) debug_runtimes;

/* Handlers that this thread is in. They do not suspend, so it never moves to another. */
static __thread unsigned inside;

/* Not inline and behind a barrier for the reason given at rt_self(). */
static RT_NOINLINE unsigned *inside_place(void)
{
    unsigned *place = &inside;
    RT_COMPILER_BARRIER();
    return place;
}

void skua_default_exception_handler(const struct skua_exception_context *context)
{
    bool is_valid = context && context->size == sizeof *context && context->message;
    rt_log("%s", is_valid ? context->message : "an exception without a message");
}

/* As a callback: what runs just now may be in the middle of its end. */
static void call(skua_exception_cb cb, const struct skua_exception_context *context, void *arg)
{
    struct rt_worker *w = rt_self();
    struct skua_task *cur = w ? w->cur : NULL;
    unsigned         *depth = inside_place();
    if (w)
        w->cur = NULL;
    ++*depth;
    cb(context, arg);
    --*depth;
    if (w)
        w->cur = cur;
}

void rt_report(struct rt_runtime *rt, const struct skua_exception_context *context)
{
    rt_lock(&rt->lock);
    skua_exception_cb cb = rt->handler;
    void             *arg = rt->handler_arg;
    rt_unlock(&rt->lock);
    if (cb && *inside_place() == 0)
        call(cb, context, arg);
    else
        skua_default_exception_handler(context);
}

void rt_report_task(struct rt_runtime *rt, enum skua_exception_kind kind, struct skua_task *t,
                    int err, const char *before, const char *after)
{
    char        line[512], number[16] = "";
    const char *message = err ? rt_task_message(t) : NULL;
    if (err)
        (void)snprintf(number, sizeof number, ": %d", err);
    (void)snprintf(line, sizeof line, "%s%s%s%s%s%s (spawned at %s)", before, rt_task_name(t),
                   after, number, message ? ", " : "", message ? message : "", rt_task_place(t));
    struct skua_exception_context context = {
        .size = sizeof context, .message = line, .kind = kind, .task = t, .error = err,
        .error_message = message, .name = rt_task_name(t), .where = t->where,
    };
    rt_report(rt, &context);
}

void rt_report_unretrieved(struct rt_runtime *rt, struct skua_task *t)
{
    bool shielded = (rt_st_load(&t->state) & RT_ST_SHIELDED) != 0;
    rt_report_task(rt, shielded ? SKUA_EXCEPTION_SHIELDED : SKUA_EXCEPTION_UNRETRIEVED, t,
                   skua_failed(t->value), "the error of ", " was never retrieved");
}

int skua_set_exception_handler(skua_exception_cb cb, void *arg)
{
    struct rt_worker *w = rt_self();
    if (!w)
        return rt_wrong_thread("skua_set_exception_handler");
    rt_lock(&w->rt->lock);
    w->rt->handler = cb;
    w->rt->handler_arg = arg;
    rt_store_relaxed(&w->rt->has_handler, cb != NULL); /* relaxed: a hint */
    rt_unlock(&w->rt->lock);
    return 0;
}

int skua_call_exception_handler(const struct skua_exception_context *context)
{
    struct rt_worker *w = rt_self();
    if (!w)
        return rt_wrong_thread("skua_call_exception_handler");
    if (!context || context->size != sizeof *context || !context->message)
        return -EINVAL;
    rt_report(w->rt, context);
    return 0;
}

/* --- calls on the wrong thread --- */

void rt_report_begin(struct rt_runtime *rt)
{
    if (rt->debug)
        (void)rt_add_relaxed(&debug_runtimes, 1); /* relaxed: a count */
}

void rt_report_end(struct rt_runtime *rt)
{
    if (rt->debug)
        (void)rt_sub_relaxed(&debug_runtimes, 1); /* relaxed: a count */
}

int rt_wrong_thread(const char *call)
{
    struct rt_worker *w = rt_self();
    if (w && w->rt->debug)
        rt_log("%s() in a free task, which has no loop: it does nothing", call);
    else if (!w && rt_load_relaxed(&debug_runtimes) > 0) /* relaxed: a count */
        rt_log("%s() on a thread that runs no loop: it does nothing; other threads call "
               "skua_call_soon_threadsafe()", call);
    return -EPERM;
}

/* --- what a task has to end --- */

void rt_note_begun(struct rt_worker *w, const void *place, const char *what)
{
    if (RT_LIKELY(!w->rt->debug))
        return;
    const char *lost = rt_owed_add(w->cur, place, what);
    if (lost)
        rt_log("%s wrote over %s (spawned at %s)", rt_task_name(w->cur), lost,
               rt_task_place(w->cur));
}

void rt_note_ended(struct rt_worker *w, const void *place)
{
    if (RT_UNLIKELY(w && w->cur && w->rt->debug))
        rt_owed_remove(w->cur, place);
}

void rt_report_owed(struct skua_task *t)
{
    const char *what;
    while ((what = rt_owed_take(t)) != NULL)
        rt_log("%s ended inside %s (spawned at %s)", rt_task_name(t), what, rt_task_place(t));
}
