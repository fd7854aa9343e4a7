/* SPDX-License-Identifier: MIT */
/* floor 5: sched. A worker whose task holds it does not hold up the others.
 *
 * Ownership never moves, service does. The deque's bottom, the groups and their queues stay with
 * the worker that is held, since its task may still call into the runtime as their owner. Others
 * take free tasks from the top of its deque, from its inbox and its next slot, poll its epoll, and
 * expire the timers of free tasks. All of that is safe while the worker comes back: who serves and
 * who is served may be at it at the same time.
 *
 *   the watch       marks a worker that made no step between two ticks (mark), rings a sleeper
 *   a busy worker   serves the marked ones whenever it looks around
 *   a sleeper       one of them is the guard: it sleeps in its own epoll and in theirs
 *   a spare         a further worker, started when every worker is marked and something waits; told
 *                   to rest when a worker has been free for a while; ends when its timers are gone
 */
#ifndef RT_SCHED_RESCUE_H
#define RT_SCHED_RESCUE_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/worker.h"

/* What the watch saw in one tick. */
struct rt_roll_call {
    unsigned free;  /* workers and spares that sleep or move */
    unsigned held;  /* those that stand still */
    unsigned regular; /* regular workers among the free */
    bool     has_news; /* some were not marked before */
};

struct rt_rescue {
    RT_ATOMIC(uint32_t) held;                   /* how many bits are set below */
    RT_ATOMIC(uint64_t) marks[RT_IDLE_WORDS];   /* bit of each worker that stands still */
    RT_ATOMIC(uint32_t) guard;                  /* 1 + index of the sleeper that guards them */
    RT_ATOMIC(uint32_t) spares_started;
    unsigned            spares_max;
    struct pollfd       fds[RT_WORKERS_MAX + 1 + RT_LOAN_SEATS]; /* the guard's */
    /* --- the watch's own --- */
    unsigned            still; /* ticks in a row with every worker held */
    unsigned            calm;  /* ticks in a row with a regular worker free */
    bool                is_told; /* that not even a spare is left */
    unsigned            pause; /* ticks until a spare is tried again after a failure */
};

static inline bool rt_rescue_is_held(struct rt_rescue *r, unsigned index)
{
    /* pairs: RESCUE <- rt_rescue_mark */
    return rt_load_sc(&r->marks[index / 64]) >> (index % 64) & 1;
}

/* --- the watch --- */

/* True: it was not marked before. */
bool rt_rescue_mark(struct rt_runtime *rt, unsigned index);
void rt_rescue_unmark(struct rt_runtime *rt, unsigned index);
/* After each tick: sees to it that somebody serves. True: keep ticking, spares are at work. */
bool rt_rescue_tick(struct rt_runtime *rt, const struct rt_roll_call *seen);

/* --- workers, on a loop stack --- */

/* In looking around: the caller is here again, and the others that are held are served. */
void rt_rescue_look(struct rt_worker *w);
/* In place of rt_poll when a worker sleeps while others are held. */
void rt_rescue_sleep(struct rt_worker *w, int64_t timeout_ns, struct rt_fifo *out);
/* The same in virtual time, without taking anything: see sched/virtual.c. */
void rt_rescue_doze(struct rt_worker *w);

/* --- spares, sched/spare.c --- */

/* The watch: one more worker, if there may be one. */
void rt_spare_start(struct rt_runtime *rt);
/* The watch: one less. */
void rt_spare_rest(struct rt_runtime *rt);
/* The watch: joins those that have ended. True: some are at work. */
bool rt_spare_reap(struct rt_runtime *rt);
/* A spare that was told to rest, in place of looking for work: gives away what it has, sleeps until
 * a timer of its own, or makes the loop leave. */
void rt_spare_nap(struct rt_worker *w);
/* After the watch has ended: joins all. */
void rt_spare_stop_all(struct rt_runtime *rt);

#endif
