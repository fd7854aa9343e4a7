/* SPDX-License-Identifier: MIT */
/* floor 7: aio. A lane: a bounded set of threads with one queue. Who may do what when.
 *
 * One mutex, one condition, one FIFO. A call is QUEUED, RUNNING or DONE; only the lane's threads
 * make it RUNNING, and a canceller who finds it QUEUED takes it out, so that it never starts. A
 * thread is made when a call finds no idle one, as long as the bound allows it, and leaves when it
 * found nothing to do until a deadline.
 *
 * A thread and its call belong to each other only under the mutex (`seat.item`). Signals that
 * interrupt a call are sent under the mutex to seats that have one: none is sent once the call has
 * left its seat. What was sent is pending for the thread then, and its next system call delivers
 * it.
 *
 * At the end of its runtime a lane is closed: nothing is queued any more, what was queued is handed
 * back, and a call that does not return in time is given up: its seat is forgotten, and its thread
 * learns of that when it comes back.
 *
 * This header is the whole protocol and is model-checked (tests/model/lane_model.cpp); what a call
 * and a thread are is in pool.c and lane.c.
 */
#ifndef RT_AIO_LANE_H
#define RT_AIO_LANE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/lock.h"

enum rt_job_state {
    RT_JOB_NEW,     /* not submitted                          */
    RT_JOB_QUEUED,  /* not started; can be withdrawn          */
    RT_JOB_RUNNING, /* a thread is inside the function        */
    RT_JOB_DONE,    /* the result is there, or nobody gets it */
};

/* A call, as its lane sees it. All of it under the mutex, except `nagged`. */
struct rt_lane_item {
    struct rt_list      node;   /* of the queue */
    RT_VAR(int)         state;  /* enum rt_job_state */
    RT_VAR(unsigned)    refs;   /* its maker's, and the lane's from push until it was delivered */
    RT_VAR(uint64_t)    name;   /* of the wait to claim when it is done; 0: none */
    RT_VAR(uint64_t)    nag_at; /* when the next signal is due */
    RT_VAR(bool)        hit;    /* a signal was sent */
    RT_ATOMIC(uint32_t) nagged; /* its thread shall be interrupted; any thread */
};

/* A thread of a lane. */
struct rt_seat {
    struct rt_list                node;   /* of the lane's seats; under the mutex */
    struct rt_lane               *lane;
    RT_VAR(struct rt_lane_item *) item;   /* it runs; under the mutex */
    RT_VAR(bool)                  forgotten; /* the lane goes on without it; under the mutex */
    bool                          fresh;  /* never asked for a call; the thread */
    struct rt_seat               *before; /* ended before it, to be joined; the thread */
};

struct rt_lane {
    struct rt_mutex_cond mc;
    /* With the mutex held: makes a thread, which enters by rt_lane_enter. 0 or -errno. Fixed. */
    int                (*start)(struct rt_lane *lane);
    unsigned             limit;    /* of threads; fixed */
    /* under the mutex */
    struct rt_list       queue;    /* of items */
    struct rt_list       seats;    /* that have not ended and are not forgotten */
    struct rt_seat      *ended;    /* the last one that ended by itself, not joined yet */
    RT_VAR(unsigned)     queued;
    RT_VAR(unsigned)     count;    /* of seats */
    RT_VAR(unsigned)     idle;     /* seats without an item, fresh ones included */
    RT_VAR(unsigned)     running;
    RT_VAR(unsigned)     watchers; /* who wait for calls or threads to end */
    RT_VAR(bool)         is_short; /* a thread could not be made */
    RT_VAR(bool)         closed;
    /* counts, for who looks at it */
    RT_VAR(uint64_t)     done;
    RT_VAR(uint64_t)     withdrawn;
    RT_VAR(uint64_t)     given_up;
};

/* --- with the mutex held --- */

/* Who waits for calls or threads to end shares the condition with idle threads. */
static inline void rt_lane_wake(struct rt_lane *lane)
{
    if (RT_VAR_GET(lane->watchers) > 0)
        rt_mutex_cond_broadcast(&lane->mc);
    else
        rt_mutex_cond_signal(&lane->mc);
}

static inline void rt_lane_wake_watchers(struct rt_lane *lane)
{
    if (RT_VAR_GET(lane->watchers) > 0)
        rt_mutex_cond_broadcast(&lane->mc);
}

/* A seat is taken; by `start`. */
static inline void rt_lane_enter(struct rt_lane *lane, struct rt_seat *seat)
{
    seat->lane = lane;
    seat->fresh = true;
    rt_list_push_back(&lane->seats, &seat->node);
    RT_VAR_SET(lane->count, RT_VAR_GET(lane->count) + 1);
    RT_VAR_SET(lane->idle, RT_VAR_GET(lane->idle) + 1);
}

/* The thread could not be made after all. */
static inline void rt_lane_leave(struct rt_lane *lane, struct rt_seat *seat)
{
    rt_list_remove(&seat->node);
    RT_VAR_SET(lane->count, RT_VAR_GET(lane->count) - 1);
    RT_VAR_SET(lane->idle, RT_VAR_GET(lane->idle) - 1);
}

/* One more call is to come: is there somebody for it? No thread to be had is an error only where
 * there is none at all; otherwise the call takes its turn, and later ones try again. */
static inline int rt_lane_staff(struct rt_lane *lane)
{
    if (RT_VAR_GET(lane->queued) < RT_VAR_GET(lane->idle) ||
        RT_VAR_GET(lane->count) >= lane->limit)
        return 0;
    int r = lane->start(lane);
    if (r < 0)
        RT_VAR_SET(lane->is_short, true);
    return RT_VAR_GET(lane->count) > 0 ? 0 : r;
}

/* What is queued without a thread, because none was to be had, gets one now if it can. */
static inline void rt_lane_catch_up(struct rt_lane *lane)
{
    bool caught_up = true;
    while (caught_up && RT_VAR_GET(lane->queued) > RT_VAR_GET(lane->idle) &&
           RT_VAR_GET(lane->count) < lane->limit)
        caught_up = lane->start(lane) == 0;
    RT_VAR_SET(lane->is_short, !caught_up);
}

/* --- whoever has a call --- */

static inline void rt_lane_item_init(struct rt_lane_item *item)
{
    rt_list_init(&item->node);
    RT_VAR_SET(item->state, RT_JOB_NEW);
    RT_VAR_SET(item->refs, 1u);
    RT_VAR_SET(item->name, (uint64_t)0);
    RT_VAR_SET(item->nag_at, (uint64_t)0);
    RT_VAR_SET(item->hit, false);
    rt_init(&item->nagged, 0);
}

/* Queues it, with a reference for the lane. 0, -ESHUTDOWN, or why there is no thread. */
static inline int rt_lane_push(struct rt_lane *lane, struct rt_lane_item *item)
{
    rt_mutex_cond_lock(&lane->mc);
    int r = RT_VAR_GET(lane->closed) ? -ESHUTDOWN : rt_lane_staff(lane);
    if (r == 0) {
        RT_VAR_SET(item->state, RT_JOB_QUEUED);
        RT_VAR_SET(item->refs, RT_VAR_GET(item->refs) + 1);
        rt_list_push_back(&lane->queue, &item->node);
        RT_VAR_SET(lane->queued, RT_VAR_GET(lane->queued) + 1);
        rt_lane_wake(lane);
    }
    rt_mutex_cond_unlock(&lane->mc);
    return r;
}

/* QUEUED: it was taken out and never starts; the lane's reference is gone. */
static inline int rt_lane_withdraw(struct rt_lane *lane, struct rt_lane_item *item)
{
    rt_mutex_cond_lock(&lane->mc);
    int found = RT_VAR_GET(item->state);
    if (found == RT_JOB_QUEUED) {
        rt_list_remove(&item->node);
        RT_VAR_SET(lane->queued, RT_VAR_GET(lane->queued) - 1);
        RT_VAR_SET(lane->withdrawn, RT_VAR_GET(lane->withdrawn) + 1);
        RT_VAR_SET(item->state, RT_JOB_DONE);
        RT_VAR_SET(item->refs, RT_VAR_GET(item->refs) - 1);
    }
    rt_mutex_cond_unlock(&lane->mc);
    return found;
}

/* The wait to claim from now on. False: it is done. */
static inline bool rt_lane_rename(struct rt_lane *lane, struct rt_lane_item *item, uint64_t name)
{
    rt_mutex_cond_lock(&lane->mc);
    bool pending = RT_VAR_GET(item->state) != RT_JOB_DONE;
    if (pending)
        RT_VAR_SET(item->name, name);
    rt_mutex_cond_unlock(&lane->mc);
    return pending;
}

/* Blocks the thread until the call is done. */
static inline void rt_lane_block(struct rt_lane *lane, struct rt_lane_item *item)
{
    rt_mutex_cond_lock(&lane->mc);
    RT_VAR_SET(lane->watchers, RT_VAR_GET(lane->watchers) + 1);
    while (RT_VAR_GET(item->state) != RT_JOB_DONE)
        (void)rt_mutex_cond_wait(&lane->mc, UINT64_MAX);
    RT_VAR_SET(lane->watchers, RT_VAR_GET(lane->watchers) - 1);
    rt_mutex_cond_unlock(&lane->mc);
}

/* Drops a reference. True: it was the last one. */
static inline bool rt_lane_unref(struct rt_lane *lane, struct rt_lane_item *item)
{
    rt_mutex_cond_lock(&lane->mc);
    unsigned left = RT_VAR_GET(item->refs) - 1;
    RT_VAR_SET(item->refs, left);
    rt_mutex_cond_unlock(&lane->mc);
    return left == 0;
}

/* --- its threads --- */

/* The next call, or NULL: nothing came until the deadline, or the lane is closed. Then the seat is
 * no longer the lane's, and *seat->before is to be joined by the thread, if there is one. */
static inline struct rt_lane_item *rt_lane_pull(struct rt_lane *lane, struct rt_seat *seat,
                                                uint64_t deadline)
{
    struct rt_lane_item *item = NULL;
    int                  r = 0;
    rt_mutex_cond_lock(&lane->mc);
    if (!seat->fresh)
        RT_VAR_SET(lane->idle, RT_VAR_GET(lane->idle) + 1);
    seat->fresh = false;
    while (rt_list_is_empty(&lane->queue) && !RT_VAR_GET(lane->closed) && r == 0)
        r = rt_mutex_cond_wait(&lane->mc, deadline);
    RT_VAR_SET(lane->idle, RT_VAR_GET(lane->idle) - 1);
    struct rt_list *node = rt_list_pop_front(&lane->queue);
    if (node) {
        item = rt_container_of(node, struct rt_lane_item, node);
        RT_VAR_SET(lane->queued, RT_VAR_GET(lane->queued) - 1);
        RT_VAR_SET(lane->running, RT_VAR_GET(lane->running) + 1);
        RT_VAR_SET(item->state, RT_JOB_RUNNING);
        RT_VAR_SET(seat->item, item);
        if (RT_VAR_GET(lane->is_short))
            rt_lane_catch_up(lane);
    } else {
        rt_list_remove(&seat->node);
        RT_VAR_SET(lane->count, RT_VAR_GET(lane->count) - 1);
        seat->before = lane->ended;
        lane->ended = seat;
        rt_lane_wake_watchers(lane);
    }
    rt_mutex_cond_unlock(&lane->mc);
    return item;
}

/* The function has returned, with its result in place. True: *ret_name is the wait to claim, and
 * the result is to be delivered; *ret_hit: a signal may be pending. False: nobody waits for this
 * thread any more, and its seat is its own. */
static inline bool rt_lane_finish(struct rt_lane *lane, struct rt_seat *seat,
                                  struct rt_lane_item *item, uint64_t *ret_name, bool *ret_hit)
{
    rt_mutex_cond_lock(&lane->mc);
    bool mine = !RT_VAR_GET(seat->forgotten);
    RT_VAR_SET(seat->item, (struct rt_lane_item *)NULL);
    *ret_name = RT_VAR_GET(item->name);
    *ret_hit = RT_VAR_GET(item->hit);
    if (mine) {
        RT_VAR_SET(lane->running, RT_VAR_GET(lane->running) - 1);
        RT_VAR_SET(lane->done, RT_VAR_GET(lane->done) + 1);
        RT_VAR_SET(item->state, RT_JOB_DONE);
        rt_lane_wake_watchers(lane);
    }
    rt_mutex_cond_unlock(&lane->mc);
    return mine;
}

/* --- interrupting --- */

/* Any thread: a call shall be interrupted while it runs. Then the watch is asked to nag. */
static inline void rt_lane_ask(struct rt_lane_item *item)
{
    rt_store_relaxed(&item->nagged, 1); /* relaxed: rt_watch_ask publishes it */
}

/* Lets `hit` send a signal to each thread whose call was asked, when that is due. True: to be
 * called again. */
static inline bool rt_lane_nag(struct rt_lane *lane, uint64_t now, uint64_t period,
                               void (*hit)(struct rt_seat *seat))
{
    bool again = false;
    rt_mutex_cond_lock(&lane->mc);
    rt_list_foreach(node, &lane->seats)
    {
        struct rt_seat      *seat = rt_container_of(node, struct rt_seat, node);
        struct rt_lane_item *item = RT_VAR_GET(seat->item);
        if (!item || !rt_load_relaxed(&item->nagged)) /* relaxed: the watch was asked */
            continue;
        again = true;
        if (RT_VAR_GET(item->nag_at) > now)
            continue;
        RT_VAR_SET(item->nag_at, now + period);
        RT_VAR_SET(item->hit, true);
        hit(seat);
    }
    rt_mutex_cond_unlock(&lane->mc);
    return again;
}

/* --- the end --- */

/* Nothing starts any more. What was queued moves to `left`, DONE, with the lane's references;
 * `told` is called for each call that runs. */
static inline void rt_lane_close(struct rt_lane *lane, struct rt_list *left,
                                 void (*told)(struct rt_lane_item *item))
{
    rt_mutex_cond_lock(&lane->mc);
    RT_VAR_SET(lane->closed, true);
    RT_VAR_SET(lane->withdrawn, RT_VAR_GET(lane->withdrawn) + RT_VAR_GET(lane->queued));
    RT_VAR_SET(lane->queued, 0u);
    rt_list_foreach(node, &lane->queue)
    {
        struct rt_lane_item *item = rt_container_of(node, struct rt_lane_item, node);
        RT_VAR_SET(item->state, RT_JOB_DONE);
    }
    rt_list_splice_back(left, &lane->queue);
    rt_list_foreach(node, &lane->seats)
    {
        struct rt_seat *seat = rt_container_of(node, struct rt_seat, node);
        if (RT_VAR_GET(seat->item))
            told(RT_VAR_GET(seat->item));
    }
    rt_mutex_cond_broadcast(&lane->mc);
    rt_mutex_cond_unlock(&lane->mc);
}

/* With the mutex held: the call runs on, but the lane does not know of it. */
static inline void rt_lane_forget(struct rt_lane *lane, struct rt_seat *seat,
                                  void (*give_up)(struct rt_seat *seat, struct rt_lane_item *item))
{
    struct rt_lane_item *item = RT_VAR_GET(seat->item);
    rt_list_remove(&seat->node);
    RT_VAR_SET(lane->count, RT_VAR_GET(lane->count) - 1);
    RT_VAR_SET(lane->running, RT_VAR_GET(lane->running) - 1);
    RT_VAR_SET(lane->given_up, RT_VAR_GET(lane->given_up) + 1);
    RT_VAR_SET(seat->forgotten, true);
    give_up(seat, item);
}

/* After closing: waits until every thread has left, and from the deadline on only for those
 * without a call, which leave at once. Returns the last seat that ended, to be joined, or NULL. */
static inline struct rt_seat *
rt_lane_drain(struct rt_lane *lane, uint64_t deadline,
              void (*give_up)(struct rt_seat *seat, struct rt_lane_item *item))
{
    rt_mutex_cond_lock(&lane->mc);
    RT_VAR_SET(lane->watchers, RT_VAR_GET(lane->watchers) + 1);
    while (RT_VAR_GET(lane->count) > 0) {
        if (rt_mutex_cond_wait(&lane->mc, deadline) != -ETIMEDOUT)
            continue;
        rt_list_foreach_safe(node, &lane->seats)
        {
            struct rt_seat *seat = rt_container_of(node, struct rt_seat, node);
            if (RT_VAR_GET(seat->item))
                rt_lane_forget(lane, seat, give_up);
        }
        deadline = UINT64_MAX;
    }
    RT_VAR_SET(lane->watchers, RT_VAR_GET(lane->watchers) - 1);
    struct rt_seat *last = lane->ended;
    lane->ended = NULL;
    rt_mutex_cond_unlock(&lane->mc);
    return last;
}

#endif
