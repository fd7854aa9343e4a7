/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Calls of what blocks (jobs), and the pool: the lanes of one runtime.
 *
 * What a lane does with a job is in lane.h. Here is what a job means to the runtime: its result
 * goes to a task that waits or to a future; while it is queued or running it counts in rt->busy,
 * which holds virtual time; the count is lowered after the waiter has been queued, and then a
 * worker is rung to look at the clock again.
 *
 * A job is counted: one reference belongs to who made it, one to the lane from submission until
 * its result was delivered. The pool is counted as well, by the runtime, its threads and its jobs:
 * a thread whose job does not return in time is left alone when the runtime ends, and takes the
 * pool with it when it comes back.
 */
#ifndef RT_AIO_POOL_H
#define RT_AIO_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "aio/lane.h"
#include "sched/runtime.h"

enum { RT_JOB_LABEL = 64, RT_JOB_MESSAGE = 128 };

struct rt_pool_lane {
    struct rt_lane       lane;
    struct rt_pool      *pool;
    const char          *name;
    uint64_t             idle_ns;
    RT_ATOMIC(uint64_t)  wait_max; /* ns that a job was queued at most */
};

struct rt_pool {
    struct rt_runtime   *rt;   /* not after the runtime has ended */
    RT_ATOMIC(uint32_t)  refs;
    struct rt_lane_plan  plan;
    RT_ATOMIC(int)       threads;  /* never more than there are */
    struct rt_job       *given_up; /* to be reported; who stops the pool */
    unsigned             n;
    struct rt_pool_lane  lane[];
};

struct rt_job {
    struct rt_lane_item  item;
    struct rt_pool      *pool;   /* counted                                                   */
    struct rt_pool_lane *lane;
    skua_fn              fn;
    void                *arg;
    void                *copy;   /* the argument, when it is ours to free                     */
    uintptr_t            vars;   /* the context it runs in; who runs it, then the last holder */
    skua_token          *token;  /* set when the function shall stop; or NULL                 */
    bool                 interrupt; /* a signal is sent when the function shall stop          */
    struct skua_task    *future; /* completed with the result; counted; or NULL               */
    struct rt_waiter     watch;  /* of the future: its cancel asks the function to stop       */
    void                *result; /* when DONE                                                 */
    skua_cb              drop;   /* gets a result that nobody took (left it here), or NULL    */
    uint64_t             since;  /* when it was queued                                        */
    const char          *where;  /* place of the call, or NULL                                */
    struct rt_job       *next_given_up; /* counted, while it is to be reported                */
    char                 label[RT_JOB_LABEL];     /* for reports                              */
    char                 message[RT_JOB_MESSAGE]; /* of skua_failf; its thread, then the waiter */
};

/* A job of the runtime's pool (made on first use), one reference for the caller. `by`: the task
 * that asks, or NULL. NULL and *ret_err: -ENOMEM, -ESHUTDOWN, -EINVAL (no such lane), and with
 * .interrupt -EBUSY (the program uses the signal itself). */
struct rt_job *rt_job_new(struct rt_runtime *rt, skua_fn fn, void *arg, struct skua_task *by,
                          const struct skua_thread_opts *opts, int *ret_err);
/* Any thread. Drops a reference. */
void rt_job_release(struct rt_job *job);

/* In a task: queues it and waits for it (job_wait.c). 0: it has its result. -ECANCELED, -ETIMEDOUT,
 * -ENOMEM, or why it was not queued: then it never starts or, if it runs, was asked to stop. Unless
 * the caller `may_leave`, because the function uses nothing of his, it does not run any more. */
RT_MUST_USE int rt_job_run(struct rt_worker *w, struct rt_job *job, uint64_t deadline,
                           bool may_leave);
/* Queues it. 0, -ESHUTDOWN, or -errno when there is no thread and none can be made. */
RT_MUST_USE int rt_job_submit(struct rt_job *job);
/* Takes it out of the queue if it is there: then it never starts, and the answer is QUEUED. */
enum rt_job_state rt_job_withdraw(struct rt_job *job);
/* Asks the function to stop: by its token, by signals. Takes no lock. */
void rt_job_ask(struct rt_job *job);
/* The wait to claim from now on. False: it is done. */
bool rt_job_set_name(struct rt_job *job, uint64_t name);
/* Blocks the thread until the job is done. */
void rt_job_block(struct rt_job *job);

/* The text that goes with an error of the job that the calling thread runs, if it runs one. */
void rt_job_set_message(const char *text);

/* What the lane `name` (NULL: default) of the runtime does. 0 or -EINVAL. */
int rt_pool_stats(struct rt_runtime *rt, const char *name, struct skua_lane_stats *ret_stats);

/* --- between pool.c and lane.c --- */

/* On a thread of the lane: calls the function. */
void *rt_job_call(struct rt_job *job);
/* The job is DONE: delivers its result, claims the wait `name`, drops the lane's reference. */
void rt_job_settle(struct rt_job *job, uint64_t name);

/* rt_lane.start: makes a thread. */
int rt_lane_start_thread(struct rt_lane *lane);
/* Joins the thread of a seat that ended, and frees it. NULL: does nothing. */
void rt_seat_join(struct rt_seat *seat);
/* Nobody joins it: it frees itself. */
void rt_seat_detach(struct rt_seat *seat);

void rt_pool_keep(struct rt_pool *pool);
void rt_pool_release(struct rt_pool *pool);

/* --- interrupting: lane.c --- */

/* The signal that interrupts calls. Kept free for that: see skua/thread.h. */
int rt_interrupt_signal(void);
/* Makes sure that it is caught. 0, -EBUSY: the program has a handler of its own, or ignores it. */
int rt_interrupt_install(void);
/* Sends it to the thread of a seat; with the mutex held, while the seat has a call. */
void rt_seat_interrupt(struct rt_seat *seat);

#endif
