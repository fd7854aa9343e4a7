/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The doors to the run queues: everything that becomes ready passes through
 * here. */
#ifndef RT_SCHED_QUEUES_H
#define RT_SCHED_QUEUES_H

#include "sched/worker.h"

/* --- in: rt_ready and friends, sched/ready.c --- */

/* Any thread. The task was claimed by the caller (or is fresh): queue it where it belongs. */
void rt_ready(struct skua_task *t);
/* Any thread. Everything of a batch; the batch is empty afterwards. */
void rt_ready_batch(struct rt_fifo *batch);
/* Any thread. A step takes its turn in its home. */
void rt_post_step(struct rt_step *step);
/* The same from a waiter's fire: keeps the order of the waiters where the home is on this thread,
 * through `out`. */
void rt_fire_step(struct rt_step *step, struct rt_fifo *out);
/* Any thread. An item for the thread of a group: into its fifo there, else into the inbox. What a
 * free task posts keeps its order, on whichever workers it runs. */
void rt_post_pinned(struct skua_group *g, uintptr_t item);
/* A fresh free task spawned by the task that runs on w: bottom of the deque. */
void rt_ready_child(struct rt_worker *w, struct skua_task *t);
/* A free task for a certain worker (spreading connections). Any thread. */
void rt_ready_on(struct rt_worker *target, struct skua_task *t);
/* Ring a worker that sleeps so that somebody looks for work; after a seq_cst publication. */
void rt_notify(struct rt_runtime *rt);
/* Every free task that lies ready on this worker goes to the injector. */
void rt_give_away(struct rt_worker *w);
void rt_ring(struct rt_worker *w);

/* Withdraws a step that is queued somewhere in its home; on the home's thread. False: it is not. */
bool rt_unpost_step(struct rt_step *step);
/* The same for the expired timer of a task. */
void rt_unpost_hop(struct skua_task *t);

/* On the group's thread: an item behind everything that is ready. */
void rt_group_enqueue(struct skua_group *g, uintptr_t item);

/* On the group's thread: it has `ready` items and nothing else, no event, no timer due, and nobody
 * spawned the running task eagerly, to go on before anything else. */
static inline bool rt_group_has_only(struct rt_worker *w, struct skua_group *g, size_t ready)
{
    return g->fifo.count == ready && !g->arrivals.head && !w->eager_back &&
           rt_timers_next(&w->timers) > w->timers.seen &&
           !w->mail.head &&
           !rt_load_relaxed(&w->pinned_inbox.head); /* relaxed: what comes later comes later */
}

/* --- out: sched/pick.c --- */

/* A task from the local queues, or NULL: somebody has to look around, or to run callbacks, on a
 * loop stack. */
struct skua_task *rt_pick_local(struct rt_worker *w);
/* Nothing else is ready on this worker, and it is not time to look around. */
bool rt_pick_is_alone(struct rt_worker *w);
/* rt_pick_local on a loop stack, where callbacks that come first are run. NULL: look at
 * w->ring_head. */
struct skua_task *rt_pick_loop(struct rt_worker *w);
/* Empties the inboxes, polls, expires timers, takes from the injector, all into this worker's
 * queues. */
void rt_look_around(struct rt_worker *w);
/* What a poll or an expiry found, into this worker's queues. */
void rt_dispatch(struct rt_worker *w, struct rt_fifo *batch);
/* Pinned inbox: to the arrivals of the groups, as much as may join the next batch; or all of it. */
void rt_absorb_pinned(struct rt_worker *w);
/* Behind what is in the inbox: a free task may have posted that before it came to this worker. */
void rt_post_behind_mail(struct rt_worker *w, uintptr_t item);
void rt_absorb_all_pinned(struct rt_worker *w);
/* On its worker's thread: queue for its turn; free it if nobody needs it any more; free the first
 * dead one. */
void rt_group_into_ring(struct rt_worker *w, struct skua_group *g);
void rt_group_check_dead(struct skua_group *g);
void rt_group_bury(struct rt_worker *w);

/* --- search: sched/find.c --- */
/* The oldest of a worker that is held, more of them into the own deque; or its next slot. */
struct skua_task *rt_steal_held(struct rt_worker *w, struct rt_worker *victim);
/* Did `victim` pick or start a task since w asked last? */
bool              rt_shows_life(struct rt_worker *w, struct rt_worker *victim);
/* Is there anything to take? `one_by_one`: entries of deques as well (sched/pace.h). */
bool              rt_work_visible(struct rt_runtime *rt, bool one_by_one);

/* Find a task, whatever it takes: sched/find.c. NULL: the loop shall leave. On a loop stack. */
struct skua_task *rt_find(struct rt_worker *w);

#endif
