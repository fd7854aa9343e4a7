/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Fan-in: one task waits for several. What gather, wait and friends are built of.
 *
 * Each child gets a waiter in `nodes`. The child whose end decides the matter *triggers*: in a
 * pinned group it posts the fan-in's step, which wakes the waiting task when its turn comes (the
 * two trips asyncio makes); a free task is woken at once.
 *
 * Who may touch what: a node is touched under the lock of its child. The one that counts `pending`
 * down last, or triggers, touches nothing afterwards. So the owner may leave without taking any
 * lock only if it was woken by the trigger and nothing is pending; otherwise rt_fanin_leave takes
 * every child's lock once.
 */
#ifndef RT_AIO_FANIN_H
#define RT_AIO_FANIN_H

#include "sched/queues.h"
#include "sched/wait.h"

enum rt_fanin_mode {
    RT_FANIN_ALL,         /* triggers when all are done                              */
    RT_FANIN_FIRST,       /* ... when one is done                                    */
    RT_FANIN_FIRST_ERROR, /* ... when one failed, cancelled ones not counted, or all */
    RT_FANIN_FIRST_BAD,   /* ... when one failed or was cancelled, or all            */
};

struct rt_fanin;

struct rt_fanin_node {
    struct rt_waiter waiter;
    struct rt_fanin *in;
};

enum { RT_FANIN_LOCAL = 8 }; /* children whose nodes fit into the frame */

struct rt_fanin {
    struct rt_awaitable   awaitable; /* passes cancels on for gather; says what is awaited */
    struct rt_step        step;
    struct skua_task     *owner;
    struct skua_task *const *tasks;
    size_t                n;
    struct rt_fanin_node *nodes;
    enum rt_fanin_mode    mode;
    bool                  step_ran;
    bool                  woken;     /* by the trigger                                     */
    bool                  requested; /* a cancel was passed on to the children             */
    bool                  passing;   /* one is being passed on                             */
    uint32_t              passed;    /* so many                                            */
    RT_ATOMIC(uint64_t)   name;      /* of the current suspension                          */
    RT_ATOMIC(uint64_t)   pending;
    RT_ATOMIC(uint32_t)   triggered;
    RT_ATOMIC(struct skua_task *) first; /* the failure that decided                       */
    struct rt_fanin_node  local[RT_FANIN_LOCAL];
};

/* 0, -EINVAL (no tasks, or a NULL among them), -EDEADLK (the caller itself), -EPERM (outside a
 * task), -ENOMEM. */
int  rt_fanin_init(struct rt_fanin *f, struct skua_task *const *tasks, size_t n,
                   enum rt_fanin_mode mode);
void rt_fanin_fini(struct rt_fanin *f);

/* Links the nodes and waits for the trigger. 0; -ETIMEDOUT; -ECANCELED; -ENOMEM. A wait that passes
 * cancels on goes on after one, see rt_fanin.requested. All nodes are unlinked when it returns. */
RT_MUST_USE int rt_fanin_wait(struct rt_fanin *f, uint64_t deadline, bool passes_cancel);

#endif
