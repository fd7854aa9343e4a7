/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Reports of what went wrong where nobody was there to be told: to the exception
 * handler of the runtime, else to stderr. */
#ifndef RT_SCHED_REPORT_H
#define RT_SCHED_REPORT_H

#include "sched/runtime.h"

/* Calls the handler, never inside a task. On a thread that holds no lock. */
void rt_report(struct rt_runtime *rt, const struct skua_exception_context *context);

/* One about a task: its name and place, and the line "BEFORE name AFTER (spawned at place)". */
void rt_report_task(struct rt_runtime *rt, enum skua_exception_kind kind, struct skua_task *t,
                    int err, const char *before, const char *after);

void rt_report_unretrieved(struct rt_runtime *rt, struct skua_task *t);

/* Is there anybody who wants to know of what the default handler tells in debug mode only? */
static inline bool rt_report_is_wanted(struct rt_runtime *rt)
{
    return rt->debug || rt_load_relaxed(&rt->has_handler); /* relaxed: a hint */
}

/* A call that needs a loop was made where there is none; said in debug mode. Returns -EPERM. */
int rt_wrong_thread(const char *call);

/* The calling task has begun something at a place in its memory, and has to end it before that
 * goes; `what` in words, "a timeout scope that it never left". Said in debug mode if it does not,
 * when the memory is used for another one or the task ends. */
void rt_note_begun(struct rt_worker *w, const void *place, const char *what);
void rt_note_ended(struct rt_worker *w, const void *place);
void rt_report_owed(struct skua_task *t);

/* Runtimes in debug mode come and go: on threads without one, they decide what is said. */
void rt_report_begin(struct rt_runtime *rt);
void rt_report_end(struct rt_runtime *rt);

/* Where it was spawned, for reports. */
static inline const char *rt_task_place(const struct skua_task *t)
{
    return t->where ? t->where : "an unknown place";
}

#endif
