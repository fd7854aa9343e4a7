/* SPDX-License-Identifier: MIT */
/* floor 5: sched. One runtime: its workers and what they share. */
#ifndef RT_SCHED_RUNTIME_H
#define RT_SCHED_RUNTIME_H

#include "runq/inject.h"
#include "sched/idle.h"
#include "sched/lane_plan.h"
#include "sched/rescue.h"
#include "sched/watch.h"
#include "sched/worker.h"

struct rt_pool;
struct rt_signal_handler;
struct rt_reader;

enum { RT_READER_LISTS = 128 };

struct rt_runtime {
    unsigned            n;          /* regular workers */
    struct rt_worker  **workers;    /* those, fixed for life, and behind them the spares */
    RT_ATOMIC(unsigned) crew;       /* all of them, with every spare there ever was */
    uint64_t            seed;       /* of the workers' choices; 0: none was given */
    uint16_t            id;         /* 1 to 1023; tasks carry it */
    bool                debug;
    bool                steal;      /* SKUA_STEAL=off turns it off */
    bool                has_runner; /* its loop is closed by the runner that owns it */
    int                 owner;      /* id of the thread that made it, which is to run its loop */
    RT_ATOMIC(uint32_t) abroad;     /* it waits for a task of another runtime, or did once */
    uint8_t             stack_class; /* of tasks that ask for none */
    double              shutdown_timeout;
    struct rt_time      time;
    struct rt_inject    inject;
    struct rt_idle      idle;
    struct rt_watch     watch;
    struct rt_rescue    rescue;
    /* of the thread lanes; made on first use under lock, see aio/pool.h */
    struct rt_pool     *pool;
    int               (*pool_threads)(struct rt_runtime *rt); /* that there are at least */
    void              (*pool_stop)(struct rt_runtime *rt); /* set with it */
    bool              (*pool_tick)(struct rt_runtime *rt); /* likewise; see rt_watch_ask */
    struct rt_signal_handler *signal_handlers; /* under lock; see aio/signals.c */
    void              (*signal_handlers_free)(struct rt_runtime *rt); /* set with it */
    struct rt_reader   *readers[RT_READER_LISTS]; /* by descriptor; under lock; see aio/reader.c */
    uint32_t            reader_count;             /* under lock */
    void              (*readers_end)(struct rt_runtime *rt); /* set with the first */
    skua_exception_cb   handler; /* of reports, NULL: the default one; under lock, with its arg */
    void               *handler_arg;
    RT_ATOMIC(uint32_t) has_handler; /* a hint, without the lock */
    struct rt_lane_plan lanes;
    struct rt_lock      lock;       /* rank RUNTIME: the fields below, start and stop */
    struct skua_group  *main_group; /* worker 0's */
    struct skua_group  *groups;     /* all of them */
    /* tasks spawned when shutdown cancelled last; worker 0's thread */
    RT_ATOMIC(uint64_t) snapshot;
    unsigned            started;    /* worker threads that run: 1..started */
    RT_ATOMIC(struct skua_task *) waited_for; /* by a run of the loop; NULL: it runs for ever */
    uint32_t            goes_on;    /* slot of a task that needs no other to go on; the watch's */
    RT_ATOMIC(uint32_t) deadlock_told; /* what only another thread could end, in this run */
    RT_ATOMIC(uint32_t) deadlocked; /* the run that waits ends with -EDEADLK */
    RT_ATOMIC(uint32_t) phase;      /* enum rt_rt_phase */
    RT_ATOMIC(uint32_t) next_home;  /* round robin over workers */
    RT_ATOMIC(uint32_t) busy;       /* things that hold virtual time: pool jobs */
    RT_ATOMIC(uint64_t) risings;    /* times that workers got up, in virtual time */
    RT_ATOMIC(uint64_t) changes;    /* tasks that ended or were spawned during shutdown */
    RT_ATOMIC(uint32_t) wakers; /* threads of others that are about to ring one of its workers */
    RT_ATOMIC(uint64_t) foreign_spawned, foreign_finished; /* tasks counted by plain threads */
    RT_ATOMIC(uint64_t) unretrieved;
    RT_ATOMIC(uint32_t) next_id;    /* next range of task numbers */
    RT_ATOMIC(uint64_t) shortage_told; /* times that a stack was lacking; the first was reported */
};

enum rt_rt_phase {
    RT_OPEN,     /* spawning allowed                             */
    RT_CLOSING,  /* cancelling what is left; only tasks may spawn */
    RT_CLOSED,   /* threads are being joined                     */
};

static inline unsigned rt_crew(struct rt_runtime *rt)
{
    return rt_load_acquire(&rt->crew); /* pairs: CREW <- find_free */
}

/* Makes a runtime of n workers; the caller's thread becomes worker 0 whenever it runs the loop. 0
 * or -errno. */
int  rt_runtime_new(const struct skua_run_opts *opts, struct rt_runtime **ret_rt);
/* Cancels every task that is not done and runs the loop until none is left, those spawned meanwhile
 * included. A shutdown timeout bounds it: -ETIMEDOUT, and the stubborn ones are named. Worker 0's
 * thread, no loop running. */
int  rt_runtime_drain(struct rt_runtime *rt);
/* Ends it: drains, joins the threads. On the thread of worker 0, no loop running. */
void rt_runtime_free(struct rt_runtime *rt);

/* On worker 0's thread: runs its loop until rt_runtime_leave. 0 or -errno. */
int  rt_runtime_enter(struct rt_runtime *rt);
void rt_runtime_leave(struct rt_runtime *rt);

/* Gives it a number. 0 or -EAGAIN. */
int  rt_table_enter(struct rt_runtime *rt);
/* Afterwards nobody finds it by its number, nor is anybody inside who did. */
void rt_table_leave(struct rt_runtime *rt);
/* Any thread. The runtime with this id, which stays until unvisit; NULL: it has ended. */
struct rt_runtime *rt_runtime_visit(uint16_t id);
void               rt_runtime_unvisit(struct rt_runtime *rt);

/* 0, -EINVAL or -ENOTSUP. */
int rt_run_opts_check(const struct skua_run_opts *o);

/* rt_waiter_add() of a waiter whose `fire` reaches into the caller's runtime: where the task is
 * another one's, the end of the caller's takes the waiter back. On a worker. */
bool rt_waiter_add_here(struct rt_worker *w, struct skua_task *t, struct rt_waiter *waiter);

/* What users closed stays readable for a while: the block is freed after so many later ones. */
enum { RT_GRAVE_SIZE = 64 };
struct rt_grave {
    void    *kept[RT_GRAVE_SIZE];
    unsigned at;
};
void rt_bury(struct rt_grave *grave, void *block);

/* Tasks of this runtime that are not done. */
uint64_t rt_runtime_alive(struct rt_runtime *rt);

/* Any thread, for calls on a loop or group from outside: false = it has ended. Otherwise it stays
 * until leave. */
bool rt_group_visit(struct skua_group *g);
void rt_group_leave(struct skua_group *g);

/* Is it a group of the runtime whose worker calls, so that it stays without a visit? One that has
 * outlived its runtime may have a worker whose memory is another one's by now. */
static inline bool rt_group_is_ours(struct skua_group *g)
{
    struct rt_worker *w = rt_self();
    /* relaxed: a runtime is closed before another one gets its number */
    return w && g->runtime == w->rt->id && !rt_load_relaxed(&g->closed);
}

/* During shutdown: a task ended or was spawned; worker 0 looks whether it is done. */
void rt_runtime_note_change(struct rt_runtime *rt);

/* The watch, while all sleep: is there anything left that could wake one of them? `is_late`: they
 * have slept for a while. Set by floor obs. */
enum rt_stuck {
    RT_STUCK_NO,    /* there is, or nobody waits: not to be asked again before somebody was up */
    RT_STUCK_ASK,   /* not now, but that may change while they sleep                           */
    RT_STUCK_LATER, /* only another thread of the process: to be reported when it is late      */
    RT_STUCK_YES,   /* no; it was reported, and the run ends                                   */
};
extern enum rt_stuck (*rt_deadlock_look)(struct rt_runtime *rt, bool is_late);

/* Debug mode: what the runtime leaves behind is reported. Set by floor obs. */
extern void (*rt_report_leftovers)(struct rt_runtime *rt);

#endif
