/* SPDX-License-Identifier: MIT */
/* floor 7: aio. The pool of threads that run what blocks: one mutex, one condition, one queue.
 *
 * Threads are made when a job finds no idle one, up to the limit, and end when they were idle for a
 * while. A job is counted: one reference belongs to who made it, one to the pool from submission
 * until its result was delivered. The pool is counted as well, by the runtime, its threads and its
 * jobs: a thread whose job does not return in time is left alone when the runtime ends, and takes
 * the pool with it when it comes back.
 *
 * While a job is queued or running it counts in rt->busy, which holds virtual time; the count is
 * lowered after the waiter has been queued, and then a worker is rung to look at the clock again.
 */
#ifndef RT_AIO_POOL_H
#define RT_AIO_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "sched/runtime.h"

enum { RT_JOB_LABEL = 64, RT_JOB_MESSAGE = 128 };

enum rt_job_state {
    RT_JOB_QUEUED,  /* not started; can be withdrawn          */
    RT_JOB_RUNNING, /* a thread is inside the function        */
    RT_JOB_DONE,    /* the result is there, or nobody gets it */
};

struct rt_job {
    struct rt_list    node;   /* of the queue; under the mutex                              */
    struct rt_pool   *pool;   /* counted                                                    */
    skua_fn           fn;
    void             *arg;
    void             *copy;   /* the argument, when it is ours to free                      */
    uintptr_t         vars;   /* the context it runs in; who runs it, then the last holder  */
    skua_token       *token;  /* set when the function shall stop; or NULL                  */
    struct skua_task *future; /* completed with the result; counted; or NULL                */
    struct rt_waiter  watch;  /* of the future: its cancel sets the token                   */
    uint64_t          name;   /* of the wait to claim when done; or 0; under the mutex      */
    void             *result; /* when DONE                                                  */
    enum rt_job_state state;  /* under the mutex                                            */
    unsigned          refs;   /* under the mutex                                            */
    char              label[RT_JOB_LABEL];     /* for reports                               */
    char              message[RT_JOB_MESSAGE]; /* of skua_failf; its thread, then the waiter */
};

/* A job of the runtime's pool (made on first use), one reference for the caller. `by`: the task
 * that asks, or NULL. NULL and *ret_err: -ENOMEM, -ESHUTDOWN. */
struct rt_job *rt_job_new(struct rt_runtime *rt, skua_fn fn, void *arg, struct skua_task *by,
                          const char *name, int *ret_err);
/* Any thread. Drops a reference. */
void rt_job_release(struct rt_job *job);

/* Queues it. 0, -ESHUTDOWN, or -errno when there is no thread and none can be made. */
RT_MUST_USE int rt_job_submit(struct rt_job *job);
/* Takes it out of the queue if it is there: then it never starts, and the answer is QUEUED. */
enum rt_job_state rt_job_withdraw(struct rt_job *job);
/* The wait to claim from now on. False: it is done. */
bool rt_job_set_name(struct rt_job *job, uint64_t name);
/* Blocks the thread until the job is done. */
void rt_job_block(struct rt_job *job);

/* The text that goes with an error of the job that the calling thread runs, if it runs one. */
void rt_job_set_message(const char *text);

#endif
