/* SPDX-License-Identifier: MIT */
/* floor 1: runq. Forked jobs: records in the frames of the tasks that fork, and the deque through
 * which other workers get at them. One per worker, apart from the deque of tasks.
 *
 *      top            bottom              head
 *   ----|----- shared ---|----- private -----|      older  ->  newer
 *
 * The owner pushes and pops at `head` with plain stores: what is private nobody else looks at. Only
 * the older entries below `bottom` are shared; that part is a struct rt_deque, whose protocol (and
 * model) stays as it is, and which lends its array to the private part as well. Sharing an entry is
 * a push at `bottom` of what lies in that slot already; taking a shared one back is rt_deque_take.
 * The owner shares when a look at `top` tells it that nothing shared is left, so a fork and its
 * join, deep in a tree, cost neither a barrier nor a compare-and-swap.
 *
 *                 push, pop, share, take   steal, size      all but steal and size: the owner only
 *   owner's        never                    yes
 *   steal          yes                      yes
 *
 * The deque belongs to the worker, its entries to the stack that runs on it at the moment. A task
 * that leaves its stack gives all of them away first (sched/fork.c), so a worker never has entries
 * of two stacks, and they never lie where their task has gone from.
 *
 * `head` differs from `floor` while entries may be left: `floor` is a lower bound of `top` that was
 * read with acquire, and equals `head` when the owner knows that it has nothing.
 *
 * Rejected: entries in the deque of tasks, which costs each fork the exchange of taking back, and
 * its reader a look at what kind an entry is; a list through the frames instead of an array (as
 * fast, but the shared part needs positions); a flag by which thieves ask (each searcher writes to
 * the owner's cache line; `top` is written by a theft only).
 */
#ifndef RT_RUNQ_JOBS_H
#define RT_RUNQ_JOBS_H

#include "runq/deque.h"

/* What a job's word says. Anything else is the name of the wait of the task that joins it. */
enum {
    RT_FORK_PENDING = 0, /* in the deque, or with the task that it was given to */
    RT_FORK_DONE = 1,    /* that task has ended it; `value` is the result       */
    RT_FORK_KEPT = 2,    /* nobody else has it: the one who joins calls it      */
};

/* The record, in memory of the one who forks, until the join returns. */
struct rt_fork {
    void *(*fn)(void *);
    RT_VAR(void *) value;     /* the argument; the result once DONE                          */
    void *owner;              /* the task that forked it and has not joined it; that task's  */
    RT_ATOMIC(uint64_t) word; /* see above; the joining task, and who ends the job           */
    uintptr_t vars;           /* a context for the task that runs it, while it is shared, or 0 */
    int was_worth_it;         /* it took longer than taking it over; who ends it, until then   */
};

struct rt_jobs {
    int64_t head;             /* next free position; owner                                   */
    int64_t floor;            /* see above; owner                                            */
    int64_t shared;           /* bottom, or no number at all when nobody steals; owner       */
    int64_t back;             /* single entries taken back, which count in top; owner        */
    int64_t stolen;           /* thefts that the owner has noticed; owner                    */
    uint32_t quiet;           /* shares that tell nobody: still to come, and in the last     */
    uint32_t quiet_last;      /* round; owner                                                */
    RT_ATOMIC(uint32_t) told; /* what is shared is worth a thief's while; owner, watch       */
    struct rt_deque deque;
};

/* stealing: whether there is anybody to share with. */
static inline void rt_jobs_init(struct rt_jobs *j, int stealing)
{
    j->head = j->floor = j->back = j->stolen = 0;
    j->quiet = j->quiet_last = 0;
    j->shared = stealing ? 0 : INT64_MAX;
    rt_init(&j->told, 0);
    rt_init(&j->deque.top, 0);
    rt_init(&j->deque.bottom, 0);
}

/* Owner: may there be entries? */
static inline int rt_jobs_any(const struct rt_jobs *j)
{
    return j->head != j->floor;
}

/* Owner: entries nobody else can see. */
static inline int64_t rt_jobs_private(struct rt_jobs *j)
{
    return j->head - rt_load_relaxed(&j->deque.bottom); /* relaxed: own write */
}

/* Owner: true = in, privately; false = full. */
static inline int rt_jobs_push(struct rt_jobs *j, uintptr_t x)
{
    int64_t h = j->head;
    if (RT_UNLIKELY(h - j->floor >= RT_DEQUE_CAP)) {
        j->floor = rt_load_acquire(&j->deque.top); /* pairs: DQTOP <- rt_deque_oldest */
        if (h - j->floor >= RT_DEQUE_CAP)
            return 0;
    }
    /* relaxed: published by rt_jobs_share; a thief that reads it before fails to validate it */
    rt_store_relaxed(&j->deque.slot[h & (RT_DEQUE_CAP - 1)], x);
    j->head = h + 1;
    return 1;
}

/* Owner: take x out, if it is the newest entry and private. */
static inline int rt_jobs_pop(struct rt_jobs *j, uintptr_t x)
{
    int64_t h = j->head - 1;
    /* relaxed: own write */
    if (rt_jobs_private(j) <= 0 || rt_load_relaxed(&j->deque.slot[h & (RT_DEQUE_CAP - 1)]) != x)
        return 0;
    j->head = h;
    return 1;
}

/* Owner: the newest entry of all, private or shared; only if rt_jobs_any. It may be stolen. */
static inline uintptr_t rt_jobs_newest(struct rt_jobs *j)
{
    /* relaxed: own write */
    return rt_load_relaxed(&j->deque.slot[(j->head - 1) & (RT_DEQUE_CAP - 1)]);
}

/* Owner: is nothing shared any more? A hint: there may be nothing private either. */
static inline int rt_jobs_hungry(struct rt_jobs *j)
{
    return rt_load_relaxed(&j->deque.top) >= j->shared; /* relaxed: a hint */
}

/* Owner: the private entry that is shared next but i, i < rt_jobs_private. */
static inline uintptr_t rt_jobs_at(struct rt_jobs *j, int64_t i)
{
    int64_t b = rt_load_relaxed(&j->deque.bottom); /* relaxed, both: own writes */
    return rt_load_relaxed(&j->deque.slot[(b + i) & (RT_DEQUE_CAP - 1)]);
}

/* Owner: share the n oldest private entries, 1 <= n <= rt_jobs_private. told: as
 * rt_deque_push_announced, so that the caller may go and wake somebody. */
static inline void rt_jobs_share(struct rt_jobs *j, int64_t n, int told)
{
    int64_t b = rt_load_relaxed(&j->deque.bottom); /* relaxed: own write */
    rt_store_relaxed(&j->told, (uint32_t)told);    /* relaxed: published by the push */
    for (int64_t end = b + n; b < end; b++) {
        /* relaxed: own write */
        uintptr_t x = rt_load_relaxed(&j->deque.slot[b & (RT_DEQUE_CAP - 1)]);
        if (told && b == end - 1)
            (void)rt_deque_push_announced(&j->deque, x);
        else
            (void)rt_deque_push(&j->deque, x);
    }
    if (j->shared != INT64_MAX)
        j->shared = b;
}

/* Owner, nothing private: take the newest shared entry back; 0 = none is left. */
static inline uintptr_t rt_jobs_take(struct rt_jobs *j)
{
    int64_t   before = rt_load_relaxed(&j->deque.bottom); /* relaxed: own write */
    uintptr_t x = rt_deque_take(&j->deque);
    int64_t   b = rt_load_relaxed(&j->deque.bottom); /* relaxed: own write */
    j->head = b;
    if (b == before) { /* none, or the last one, which went through the top: all below is gone */
        j->floor = b;
        j->back += x != 0;
    }
    if (j->shared != INT64_MAX)
        j->shared = b;
    return x;
}

/* Owner: how many were stolen since it asked last. */
static inline int64_t rt_jobs_thefts(struct rt_jobs *j)
{
    /* relaxed: a count */
    int64_t stolen = rt_load_relaxed(&j->deque.top) - j->back;
    int64_t thefts = stolen - j->stolen;
    j->stolen = stolen;
    return thefts;
}

/* Any thread: are there entries that a thief should look at? */
static inline int rt_jobs_worth_a_look(struct rt_jobs *j)
{
    /* relaxed: published by the push, if the look at the size sees that */
    return rt_deque_size(&j->deque) > 0 && rt_load_relaxed(&j->told);
}

/* Any thread: take the oldest shared entry, or 0. */
static inline uintptr_t rt_jobs_steal(struct rt_jobs *j)
{
    return rt_deque_oldest(&j->deque);
}

/* Owner, nothing private: take the oldest shared entry back; 0 = none is left. */
static inline uintptr_t rt_jobs_oldest(struct rt_jobs *j)
{
    while (rt_deque_size(&j->deque) > 0) {
        uintptr_t x = rt_deque_oldest(&j->deque);
        if (x) {
            j->back++;
            return x;
        }
    }
    j->floor = j->head;
    return 0;
}

/* --- the record --- */

/* Whoever was given the job, at its end; afterwards the record is not his any more. word: DONE,
 * with the result, or KEPT, with `value` as it was. Returns the name of the wait to be claimed,
 * or 0. */
static inline uint64_t rt_fork_end(struct rt_fork *job, uint64_t word)
{
    uint64_t name = rt_xchg_acq_rel(&job->word, word); /* pairs: FORKEND -> rt_fork_look */
    return name == RT_FORK_PENDING ? 0 : name;
}

/* The joining task: what the word says by now. */
static inline uint64_t rt_fork_look(struct rt_fork *job)
{
    return rt_load_acquire(&job->word); /* pairs: FORKEND <- rt_fork_end */
}

/* The joining task, its wait armed: leave the name in the word. False: the job has ended (look). */
static inline int rt_fork_await(struct rt_fork *job, uint64_t name)
{
    uint64_t old = rt_load_relaxed(&job->word); /* relaxed: the CAS decides */
    while (old != RT_FORK_DONE && old != RT_FORK_KEPT) {
        /* relaxed: the wait word orders what the claimer needs, rt_fork_look the result */
        if (rt_cas_relaxed(&job->word, &old, name))
            return 1;
    }
    return 0;
}

#endif
