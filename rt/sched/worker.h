/* SPDX-License-Identifier: MIT */
/* floor 5: sched. A worker: a thread, its loop, its deque. Start reading here, then sched/worker.c.
 *
 * Every stack runs the worker loop (rt_worker_loop). A fresh task is a function call from it. A
 * task that suspends keeps the stack, loop frame included, and the worker goes on with another one.
 * So the code below is always executed by some stack on behalf of a worker, and after any call that
 * may switch, rt_self() is read anew.
 */
#ifndef RT_SCHED_WORKER_H
#define RT_SCHED_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/choice.h"
#include "base/stat.h"
#include "base/sys.h"
#include "fiber/stack.h"
#include "loop/poll.h"
#include "loop/timer.h"
#include "runq/deque.h"
#include "runq/inbox.h"
#include "runq/jobs.h"
#include "runq/step.h"
#include "sched/idle.h"
#include "sched/lend.h"
#include "task/task.h"

struct rt_runtime;

/* What the one who leaves a stack asks of whoever comes off the switch. */
enum rt_after {
    RT_AFTER_NOTHING,
    RT_AFTER_PARK,    /* a free task waits: publish that it may be claimed and queued  */
    RT_AFTER_REQUEUE, /* a free task yielded: queue it                                 */
    RT_AFTER_RECYCLE, /* a loop left its stack idle: put the stack into the cache      */
};

enum {
    RT_LOOK_EVERY = 61,    /* picks between two looks at inbox, descriptors, timers and injector */
    RT_NEXT_STREAK_MAX = 3, /* picks in a row from the next slot                                 */
    RT_DIVE_MAX = 61,      /* picks in a row from the bottom of the deque                        */
    RT_MAIL_MAX = 4096,    /* posts from elsewhere that join one batch                           */
    RT_BUDGET = 128,       /* operations of a free task that did not wait                        */
};

/* What a worker is asked to do. */
enum rt_order {
    RT_ORDER_LEAVE = 1, /* the runtime stops: leave the loop               */
    RT_ORDER_REST = 2,  /* a spare: take no work, end when nothing is left */
    RT_ORDER_LEFT = 3,  /* the spare has made up its mind                  */
};

/* Does a thread run it? Regular workers are always on duty. NAP: a spare that was told to rest and
 * runs no task. */
enum rt_duty { RT_DUTY_NONE, RT_DUTY_ON, RT_DUTY_NAP, RT_DUTY_ENDED };

/* A pinned group, which is a loop: its tasks run one at a time, in order, on one worker. */
struct skua_group {
    struct rt_worker  *worker;    /* fixed for life                                             */
    struct skua_group *sibling;   /* next group of the runtime; under its lock                  */
    struct skua_group *ring_next; /* next in the ring of the worker, or next dead one; its thread */
    struct rt_fifo     fifo;      /* what is ready, in order; its thread                        */
    struct rt_fifo     arrivals;  /* events, timers and posts since the last batch; its thread  */
    size_t             batch;     /* items left of the batch that has begun; its thread         */
    uint64_t           live;      /* its tasks that are not done; its thread                    */
    bool               in_ring;
    bool               is_free;   /* not a real group: callbacks of free tasks of this worker   */
    bool               is_loop;   /* the group of main or of skua_loop_new                      */
    RT_ATOMIC(uint32_t) refs;     /* handles, and spawns that have not arrived yet; any thread  */
    RT_ATOMIC(uint32_t) stop;     /* skua_loop_stop was called                                  */
    bool               running;   /* a loop that is being run                                   */
    bool               dying;     /* in the worker's list of dead groups                        */
    uint16_t           runtime;   /* its id; fixed, still right when the worker has been freed   */
    RT_ATOMIC(uint32_t) closed;   /* the runtime has ended; only loops are kept so long         */
    RT_ATOMIC(uint32_t) callers;  /* plain threads inside a call on it                          */
    struct rt_step     reap;      /* the last handle was released elsewhere                     */
    struct rt_step     stopper;   /* posted by skua_loop_stop from elsewhere                    */
    char              *name;
};

struct rt_worker {
    /* --- owner only --- */
    struct skua_task  *cur;       /* the task that runs; NULL in the loop and in callbacks      */
    struct rt_stack   *stack;     /* the stack that is executing                                */
    struct rt_runtime *rt;
    struct skua_group *in_group;  /* group of the running task or callback; NULL = free         */
    struct skua_group *in_step_group; /* group or free group whose callback runs                */
    uintptr_t          step_vars; /* context of the callback that runs, see sched/context.h     */
    struct skua_task  *handoff;   /* fresh task for the loop that is switched to                */
    enum rt_after      after;
    void              *after_obj;
    uint32_t           tick;      /* picks                                                      */
    uint32_t           looked;    /* tick of the last look around                               */
    uint32_t           dive;      /* picks that may still come from the bottom                  */
    uint32_t           dive_run;  /* picks that came from there in a row                        */
    uint64_t           pace_since; /* when `pace` was measured last                             */
    uint32_t           tell_at;   /* entries in the deque with which a sleeper is told          */
    uint32_t           pace_tick; /* the tick of that moment                                    */
    uint32_t           next_run;  /* picks that came from the next slot in a row                */
    uint32_t           pushed;    /* free children spawned since the last wait                 */
    uint32_t           budget;    /* operations left to the running task                        */
    uint32_t           cancel_depth;
    uint32_t           shortcuts; /* children of pinned tasks that were called in place of queued */
    struct rt_fifo     mail;      /* of pinned_inbox, not given to the groups yet               */
    uint32_t           mail_room; /* so many may still join the batch that comes                */
    bool               turn;      /* groups and deque take turns                                */
    bool               searching; /* counted in rt_idle.searching                               */
    bool               woken;     /* by somebody who has work to give away                      */
    bool               leaving;   /* the loop shall return to the thread                        */
    struct skua_group *ring_head; /* groups with something to run; the first has the turn       */
    struct skua_group *ring_tail;
    struct skua_task  *eager_back; /* spawners whose eager child runs; innermost first          */
    struct skua_group *dead;      /* released groups without tasks, freed at the next look      */
    struct rt_slab_cache  slab;
    struct rt_stack_cache stacks;
    struct rt_chooser  chooser;
    struct rt_poller   poller;
    struct rt_timers   timers;    /* has a lock of its own                                      */
    struct rt_stack    thread_stack; /* the thread's own, left at start and come back to at stop */
    struct rt_thread   thread;
    unsigned           index;
    RT_ATOMIC(int)     tid;       /* 0: no thread runs its loop                                 */
    struct skua_group *step_home; /* of callbacks that free tasks add here                      */
    uint32_t           next_id;   /* range of task numbers                                      */
    uint32_t           last_id;
    uint64_t           signs_seen[RT_WORKERS_MAX]; /* of life of the others, at the last look */

    /* --- owner writes, others read --- */
    RT_CACHELINE
    struct rt_stat      steps;    /* picks, for the watch                                       */
    struct rt_stat      spawned;
    struct rt_stat      finished;
    struct rt_stat      ran;      /* tasks entered                                              */
    struct rt_stat      steals;
    struct rt_stat      polls;
    struct rt_stat      parks;
    struct rt_stat      wakeups;  /* rings given                                                */
    struct rt_stat      accepted;
    struct rt_stat      rescues;  /* tasks fetched from workers that were held                  */
    struct rt_lend      lend;     /* naps, and the loops of others: sched/lend.h                */
    RT_ATOMIC(uint64_t) pace;     /* what a pick takes, ns, smoothed                            */
    RT_ATOMIC(uint32_t) share_at; /* entries in the deque from which others take                */
    RT_ATOMIC(uint32_t) running_id; /* task that runs, for the watch; 0 = none                  */

    /* --- written by others --- */
    RT_CACHELINE
    struct rt_inbox     inbox;        /* free tasks and steps for this worker                   */
    struct rt_inbox     pinned_inbox; /* for its groups                                         */
    RT_ATOMIC(uint32_t) poll_due;     /* raised by the watch                                    */
    RT_ATOMIC(uint32_t) leave_asked;  /* enum rt_order                                          */
    RT_ATOMIC(uint32_t) duty;         /* enum rt_duty                                           */
    RT_ATOMIC(uintptr_t) next;        /* a free task woken by the running one                   */

    struct rt_deque     deque;
    struct rt_jobs      jobs;       /* forked by the tasks on the stack that executes           */

    struct skua_group   free_group; /* home of the callbacks that free tasks of this worker add   */
};

/* The worker that executes the caller, or NULL on a plain thread. Never kept across a
 * suspension. */
struct rt_worker *rt_self(void);
void              rt_self_set(struct rt_worker *w);

/* The current task of the caller, or NULL outside a task. */
static inline struct skua_task *rt_current(void)
{
    struct rt_worker *w = rt_self();
    return w ? w->cur : NULL;
}

/* Does it look after the loops of others? See sched/lend.h. */
static inline bool rt_lend_is_concerned(struct rt_worker *w)
{
    /* relaxed: naps are short */
    return rt_load_relaxed(&w->poller.loan.seats) != 0 || w->lend.partner;
}

static inline bool rt_on_duty(struct rt_worker *w)
{
    return rt_load_acquire(&w->duty) == RT_DUTY_ON; /* pairs: DUTY <- rt_spare_start */
}

/* Makes a worker; its thread comes later. 0, -ENOMEM or what making a poller answers. */
int  rt_worker_new(struct rt_runtime *rt, unsigned index, struct rt_worker **ret_w);
/* The whole life of a worker's thread. 0 or -ENOMEM. */
int  rt_worker_thread(struct rt_worker *w);
void rt_worker_ask_leave(struct rt_worker *w);

/* --- the loop --- */

/* Runs the loop on a stack of its own until w->leaving. On the worker's thread. 0 or -ENOMEM. */
int  rt_worker_run(struct rt_worker *w);
/* Body of every stack. */
void rt_worker_loop(void);

/* --- suspending; on the stack of w->cur --- */

/* May the current task suspend? 0, or -ENOMEM when there is no stack to go on with. Before anything
 * is armed. */
int rt_suspend_prepare(struct rt_worker *w);
/* Leaves the current task's stack; returns when the task is resumed, perhaps on another worker. */
void rt_suspend(struct rt_worker *w, enum rt_after after);

/* A child that runs as a plain call of the task that awaits it; linked from rt_stack.inl. */
struct rt_inline {
    struct rt_inline *up;
    struct skua_task *parent;
    struct skua_task *child;
    bool              marked; /* the child suspended: the parent's wait word says INLINE */
    bool              queued; /* the child ended, and the pinned parent has a place in the queue */
};

/* Runs a fresh task at once, on a stack of its own; returns when it suspended or ended. After
 * prepare. */
void rt_switch_eager(struct rt_worker *w, struct skua_task *child);

/* Runs a fresh task as a plain call. The caller has taken it out of its queue. *frame is filled in
 * and says afterwards how it went. Returns the worker that executes by then. */
struct rt_worker *rt_run_inline(struct rt_worker *w, struct skua_task *child,
                                struct rt_inline *frame);

#endif
