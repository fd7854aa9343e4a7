/* SPDX-License-Identifier: MIT */
/* floor 7: aio. The nursery: children that end before their parent goes on. What task groups
 * and map are built of.
 *
 * The parent holds the group in its frame. Whatever may still touch it (a child whose end was not
 * taken note of, a call that is inside) is counted in `pending`, and the parent leaves only when
 * that is 0.
 *
 * Where a child's end is taken note of: in a pinned parent's group as a step, where the end is
 * heard of in the order and with the trips of asyncio; for a free parent, and for map, at once by
 * whoever ended the child.
 */
#ifndef RT_AIO_NURSERY_H
#define RT_AIO_NURSERY_H

#include "base/list.h"
#include "base/lock.h"
#include "sched/queues.h"
#include "task/task.h"

struct rt_tg;

enum { RT_TG_GOES_ON = 1 };

struct rt_tg_child {
    struct rt_waiter  waiter;
    struct rt_step    step;   /* home NULL: the end is taken note of at once            */
    struct rt_list    link;   /* live or ended of the group; under its lock             */
    struct rt_tg     *group;
    struct skua_task *task;   /* one reference; changed under the lock                  */
    /* What its end means: a negative error, 0, or RT_TG_GOES_ON: it has another task by now. */
    int             (*judge)(struct rt_tg_child *child);
    int               err;
    bool              is_asked;   /* was cancelled by the group; under the lock         */
    bool              is_dropped; /* nobody wants its handle: gone when it ends; likewise */
};

struct rt_tg {
    struct rt_lock    lock;    /* what follows, but for what is fixed                   */
    struct skua_task *parent;  /* fixed                                                 */
    struct rt_step    step;    /* pinned parent: a cancel from elsewhere                */
    struct rt_list    live;    /* children, those not asked to stop first               */
    struct rt_list    ended;   /* those whose handle or error is kept, in that order    */
    uint64_t          pending; /* children and calls that may still touch the group     */
    uint64_t          name;    /* of the wait in join; 0 = none                         */
    uint32_t          entered_with;  /* cancel requests that the parent had felt before */
    bool              is_joining;
    bool              is_aborting;   /* no more children                                */
    bool              has_asked;     /* a cancel request of the group is on the parent  */
};

void rt_tg_init(struct rt_tg *g, struct skua_task *parent);

/* Any thread: may one more child begin? Then it counts as pending; child_add or unhold follows. 0,
 * -ESHUTDOWN. */
int  rt_tg_hold(struct rt_tg *g);
void rt_tg_unhold(struct rt_tg *g);
/* The held child has its task, whose reference the group takes over. Fields judge and step.home are
 * set by the caller. */
void rt_tg_child_add(struct rt_tg *g, struct rt_tg_child *child, struct skua_task *task);
/* From judge, which then returns RT_TG_GOES_ON: the child goes on with another task. */
void rt_tg_child_again(struct rt_tg_child *child, struct skua_task *task);
bool rt_tg_is_aborting(struct rt_tg *g);
/* Any thread: no more children, those that live are cancelled; so is the parent's body. */
void rt_tg_abort(struct rt_tg *g);

/* The parent: waits for all children; body_err < 0 cancels them. 0; -ECANCELED: the parent was
 * cancelled by somebody else; -ENOMEM: could not wait, everything is as before. */
RT_MUST_USE int rt_tg_join(struct rt_tg *g, int body_err);

#endif
