/* SPDX-License-Identifier: MIT */
/* skua/obs.h: looking at a running runtime, from inside it. asyncio has nothing of the kind but
 * all_tasks(). docs/debugging.md tells what to look at. */
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

/* Fills in *ret_stats, of which the caller has set .size. The counters are read one by one while
 * the runtime runs. Never suspends. From: runtime. Returns 0, -EINVAL, -EPERM. */
SKUA_API int skua_stats_get(struct skua_stats *ret_stats);

/* The same for one worker, 0 .. workers - 1, or one spare, workers .. workers + spares - 1; what a
 * task did on a spare is counted there. Never suspends. From: runtime. Returns 0, -EINVAL
 * (also for a worker that does not exist), -EPERM. */
SKUA_API int skua_worker_stats_get(int worker, struct skua_worker_stats *ret_stats);

/* Counts the caller's runtime's tasks that have not ended by their place of spawn, most tasks
 * first, into at most n rows; what finds no row is added up in the last. It looks at every task
 * object of the process, some 10 ns each, while other workers go on: tasks that come and go
 * meanwhile may be counted or not. Never suspends. From: runtime. Returns the rows filled in,
 * -EINVAL, -EPERM. asyncio: Counter over all_tasks(). */
SKUA_API int skua_census(struct skua_census_row *ret_rows, size_t n);

/* The same for a lane; NULL: "default". Never suspends. From: runtime. Returns 0, -EINVAL (also for
 * a lane that does not exist), -EPERM. */
SKUA_API int skua_lane_stats_get(const char *lane, struct skua_lane_stats *ret_stats);

/* On which worker's thread does this run? In a free task the answer may change at each suspension.
 * Never suspends. From: any thread. Returns the worker's index, which is .workers or more (never
 * above 255) on a spare that stands in for a held worker; -1 on other threads. */
SKUA_API int skua_worker_index(void);

#ifdef __cplusplus
}
#endif
#endif
