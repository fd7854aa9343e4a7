/* SPDX-License-Identifier: MIT */
/* skua/obs.h: a running runtime seen from inside: what goes wrong in it, and its counters.
 * docs/debugging.md tells what to look at. */
#ifndef SKUA_OBS_H
#define SKUA_OBS_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The whole runtime in numbers. */
struct skua_stats {
    size_t size;             /* sizeof(struct skua_stats), set by the caller */
    int workers;             /* threads that run tasks, without spares */
    int spares;              /* further ones, there at the moment or not, that stood in for them */
    uint64_t tasks_alive;    /* tasks that have not ended */
    uint64_t stacks_created; /* since the start; a task that never suspends needs none */
    uint64_t stacks_idle;    /* kept for the next task that suspends */
    uint64_t unretrieved;    /* tasks that ended with an error nobody looked at */
    uint64_t rescues;        /* tasks fetched from workers that were held by another one */
    uint64_t spares_started; /* threads started in place of held workers */
};

/* One worker, or one spare. */
struct skua_worker_stats {
    size_t size;          /* sizeof(struct skua_worker_stats), set by the caller */
    uint64_t tasks;       /* tasks started or resumed here */
    uint64_t steals;      /* tasks taken from other workers */
    uint64_t polls;       /* times its epoll was asked */
    uint64_t connections; /* handlers of skua_serve() started here */
    uint64_t parks;       /* times it went to sleep */
    uint64_t wakeups;     /* times another thread woke it */
};

/* The tasks that were spawned at one place and have not ended. */
struct skua_census_row {
    size_t size;        /* sizeof(struct skua_census_row), set by the caller in the first row */
    const char *where;  /* "file:line", "an unknown place" or "other places"; static storage */
    char name[32];      /* of one of them, cut; "" where none that was seen has a name */
    uint64_t tasks;     /* all of them */
    uint64_t suspended; /* of these, waiting: each has a stack, and so a page at least */
};

/* One lane of thread calls, see skua/thread.h. */
struct skua_lane_stats {
    size_t size;        /* sizeof(struct skua_lane_stats), set by the caller */
    int threads_max;    /* its bound */
    int threads;        /* that there are */
    int idle;           /* of those, without a call */
    uint64_t queued;    /* calls that wait for a thread */
    uint64_t running;   /* functions that are being called */
    uint64_t done;      /* functions that have returned */
    uint64_t withdrawn; /* calls cancelled before they began */
    uint64_t given_up;  /* functions that the end of the runtime did not wait for */
    double wait_max;    /* seconds that a call was queued at most */
};

/* ---- errors nobody was there to get ---- */

/* What a report is about. */
enum skua_exception_kind {
    SKUA_EXCEPTION_OTHER,       /* made by skua_call_exception_handler()'s caller                */
    SKUA_EXCEPTION_UNRETRIEVED, /* a task or future ended with an error nobody looked at         */
    SKUA_EXCEPTION_SHIELDED,    /* the same behind a shield that was cancelled before           */
    SKUA_EXCEPTION_LEFTOVER,    /* a task failed while the end of run cancelled it               */
    SKUA_EXCEPTION_STUBBORN,    /* a task did not end within .shutdown_timeout                   */
    SKUA_EXCEPTION_THREAD,      /* a thread call did not return, its thread is left alone        */
    SKUA_EXCEPTION_SWALLOWED,   /* debug mode: a cancelled task returned a value                 */
    SKUA_EXCEPTION_UNRELEASED   /* debug mode: the handle of a task was never released           */
};

/* One report. What does not apply is NULL or 0; all of it lives as long as the call. */
struct skua_exception_context {
    size_t size;               /* sizeof(struct skua_exception_context) */
    const char *message;       /* all of it in one line, what the default handler prints */
    enum skua_exception_kind kind; /* what is reported */
    skua_task *task;           /* borrowed */
    int error;                 /* a negative errno value */
    const char *error_message; /* given with skua_failf() */
    const char *name;          /* of the task, or of who made the thread call */
    const char *where;         /* where it was spawned, or called */
};

typedef void (*skua_exception_cb)(const struct skua_exception_context *context, void *arg);

/* Reports of the caller's runtime go to cb(context, arg) from now on, on the thread on which they
 * come up, which may be none of the runtime's; NULL: to the default handler again. A handler is
 * told of errors never retrieved in every mode, the default one prints them in debug mode only.
 * The handler is a callback, never inside a task: it may not suspend. What is reported while it
 * runs goes to the default handler, so that one that fails itself cannot go round in a circle.
 * Never suspends. From: runtime. Returns 0, -EPERM. asyncio: loop.set_exception_handler(). */
SKUA_API int skua_set_exception_handler(skua_exception_cb cb, void *arg);

/* Prints context->message as one line on stderr. Never suspends. From: any thread.
 * asyncio: loop.default_exception_handler(). */
SKUA_API void skua_default_exception_handler(const struct skua_exception_context *context);

/* Gives the context to the handler of the caller's runtime, or the default one. Never suspends.
 * From: runtime. Returns 0, -EINVAL (size, or no message), -EPERM.
 * asyncio: loop.call_exception_handler(). */
SKUA_API int skua_call_exception_handler(const struct skua_exception_context *context);

/* ---- deadlocks ---- */

/* A promise that a thread of your own will still wake something up, which the runtime cannot know:
 * until it is taken back by skua_unhold(), no wait counts as a deadlock (docs/debugging.md). They
 * are counted, for the whole process. Never suspend. From: any thread. Returns 0, or
 * -EINVAL from skua_unhold() when nothing is held. asyncio has no such call: it waits for ever. */
SKUA_API void skua_hold(void);
SKUA_API int skua_unhold(void);

/* ---- debug mode ---- */

/* A task or callback that holds its loop longer than that, without suspending, is reported while it
 * does, with its name and where it is, and again when it is over; see docs/stuck.md. This sets the
 * seconds for the caller's runtime, in any mode; INFINITY: never. At the start it is SKUA_STALL_MS,
 * else 0.1 in debug mode, else never. Never suspends. From: runtime. Returns 0, -EINVAL (NaN, or
 * not above 0), -EPERM. asyncio: loop.slow_callback_duration. */
SKUA_API int skua_set_slow_callback_duration(double seconds);

/* ---- counters ---- */

/* Fills in *ret_stats, of which the caller has set .size. The counters are read one by one while
 * the runtime runs. Never suspends. From: runtime. Returns 0, -EINVAL, -EPERM. asyncio has no
 * such call. */
SKUA_API int skua_stats_get(struct skua_stats *ret_stats);

/* The same for one worker, 0 .. workers - 1, or one spare, workers .. workers + spares - 1; what a
 * task did on a spare is counted there. Never suspends. From: runtime. Returns 0, -EINVAL
 * (also for a worker that does not exist), -EPERM. asyncio has no such call. */
SKUA_API int skua_worker_stats_get(int worker, struct skua_worker_stats *ret_stats);

/* Counts the caller's runtime's tasks that have not ended by their place of spawn, most tasks
 * first, into at most n rows; what finds no row is added up in the last. It looks at every task
 * object of the process, some 10 ns each, while other workers go on: tasks that come and go
 * meanwhile may be counted or not. Never suspends. From: runtime. Returns the rows filled in,
 * -EINVAL, -EPERM. asyncio: Counter over all_tasks(). */
SKUA_API int skua_census(struct skua_census_row *ret_rows, size_t n);

/* The same for a lane; NULL: "default". Never suspends. From: runtime. Returns 0, -EINVAL (also for
 * a lane that does not exist), -EPERM. asyncio has no such call. */
SKUA_API int skua_lane_stats_get(const char *lane, struct skua_lane_stats *ret_stats);

/* On which worker's thread does this run? In a free task the answer may change at each suspension.
 * Never suspends. From: any thread. Returns the worker's index, which is .workers or more (never
 * above 255) on a spare that stands in for a held worker; -1 on other threads. asyncio has no
 * such call. */
SKUA_API int skua_worker_index(void);

#ifdef __cplusplus
}
#endif
#endif
