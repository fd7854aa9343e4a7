/* SPDX-License-Identifier: MIT */
/* floor 5: sched. When a deque is worth sharing.
 *
 * Taking a task to another core costs some microseconds of cache misses, waking that core some
 * tens. So a worker measures what its picks take, where it reads the clock anyway. Others take from
 * its deque from the entry on that would have to wait longer than the taking; and a sleeper is told
 * with the entry that would have to wait longer than it takes to get up. Where tasks are long that
 * is the second, where they are short a later one. Measured with a server of short requests on two
 * workers: without it a tenth of the CPU went into taking connections to and fro, and another tenth
 * into sleepers that got up for a backlog of 20 us. A task that is longer than the pace lets expect
 * is seen by the watch.
 *
 * Tasks so short that taking one by one from the deque of a worker at work costs more than running
 * them are taken in blocks only, which that worker hands to the injector when its deque is full: a
 * million empty tasks that one worker starts took twice the CPU of a single worker before, and more
 * time. So a worker that has lately run such tasks leaves the deques of others alone, unless it was
 * woken to look at them or their owner does nothing; and for a block of such tasks, by the pace of
 * the sleeper, nobody is woken before they add up.
 */
#ifndef RT_SCHED_PACE_H
#define RT_SCHED_PACE_H

#include "sched/worker.h"

enum {
    RT_SHARE_NS = 20000, /* a backlog worth taking from */
    RT_TELL_NS = 60000,  /* a backlog that lasts longer than a sleeper takes to get up */
    RT_TELL_LENDER_NS = 500000, /* the same for who looks after the loop of another */
    RT_SHARE_MAX = 64,   /* entries that are always worth it */
    RT_PACE_PICKS = 8,   /* fewer picks say nothing */
    RT_MOVE_NS = 150,    /* what it costs both sides to take one entry from a worker at work */
    RT_WAKE_NS = 200000, /* injected work that is worth a wake-up: several times what that costs */
};

static inline int64_t rt_share_at(struct rt_worker *w)
{
    return rt_load_relaxed(&w->share_at); /* relaxed: a hint; see push_deque */
}

/* The owner: with which entry a sleeper is told. */
static inline int64_t rt_tell_at(const struct rt_worker *w)
{
    return w->tell_at;
}

static inline uint64_t rt_pace(struct rt_worker *w)
{
    return rt_load_relaxed(&w->pace); /* relaxed: a hint; written by the owner */
}

/* May w take tasks one by one? */
static inline bool rt_pace_takes_one(struct rt_worker *w)
{
    return rt_pace(w) >= RT_MOVE_NS;
}

static inline void rt_pace_init(struct rt_worker *w)
{
    rt_init(&w->pace, RT_SHARE_NS);
    rt_init(&w->share_at, 2);
    w->tell_at = 2;
}

/* The owner has been away: what follows is measured from now on. */
static inline void rt_pace_restart(struct rt_worker *w, uint64_t now)
{
    w->pace_since = now;
    w->pace_tick = w->tick;
}

static inline uint32_t rt_pace_entries(uint64_t pace, uint64_t backlog_ns)
{
    uint64_t entries = backlog_ns / (pace + 1) + 1;
    return (uint32_t)(entries < 2 ? 2 : entries > RT_SHARE_MAX ? RT_SHARE_MAX : entries);
}

/* The owner, where it has just read the clock. */
static inline void rt_pace_measure(struct rt_worker *w, uint64_t now)
{
    uint32_t picks = w->tick - w->pace_tick;
    if (picks < RT_PACE_PICKS || w->timers.time->is_virtual) /* virtual time says nothing of work */
        return;
    uint64_t pace = (rt_pace(w) * 3 + (now - w->pace_since) / picks) / 4;
    rt_store_relaxed(&w->pace, pace);                  /* relaxed, both: a hint */
    rt_store_relaxed(&w->share_at, rt_pace_entries(pace, RT_SHARE_NS));
    bool helps = rt_load_relaxed(&w->poller.loan.seats) != 0; /* relaxed: a hint */
    w->tell_at = rt_pace_entries(pace, helps ? RT_TELL_LENDER_NS : RT_TELL_NS);
    rt_pace_restart(w, now);
}

#endif
