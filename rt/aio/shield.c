/* SPDX-License-Identifier: MIT */
/* floor 7: aio. shield: a future that ends like the task, and whose cancellation the task does not
 * feel. */
#include <errno.h>

#include "base/mem.h"
#include "sched/cancel.h"
#include "sched/finish.h"
#include "sched/queues.h"
#include "sched/spawn.h"
#include "sync/await.h"

struct shield {
    struct rt_step    step;
    struct rt_waiter  waiter;
    struct skua_task *inner; /* one reference each */
    struct skua_task *outer;
};

static void forget(struct rt_step *step)
{
    struct shield    *s = rt_container_of(step, struct shield, step);
    struct rt_worker *w = rt_self();
    rt_group_unkeep(step->home);
    rt_task_unref(w, s->inner);
    rt_task_unref(w, s->outer);
    rt_free(s);
}

/* The inner task's error counts as looked at only if somebody was there to get it. */
static void run(struct rt_step *step)
{
    struct shield *s = rt_container_of(step, struct shield, step);
    const char *message = rt_task_is_done(s->outer) ? NULL : rt_task_message(s->inner);
    if (message) /* first, so that whoever sees the end sees it */
        SKUA_IGNORE(rt_task_set_message(s->outer, message)); /* without memory it goes without */
    bool told = rt_future_complete(s->outer, s->inner->value);
    (void)rt_or_acq_rel(&s->inner->state.bits, told ? RT_ST_RETRIEVED : RT_ST_SHIELDED);
    forget(step);
}

static void fire(struct rt_waiter *waiter, struct skua_task *done, struct rt_fifo *out)
{
    (void)done;
    rt_fire_step(&rt_container_of(waiter, struct shield, waiter)->step, out);
}

skua_task *skua_shield(skua_task *task)
{
    struct rt_worker *w = rt_self();
    if (!task || !w)
        return NULL;
    rt_check_alive(task);
    if (rt_task_is_done(task))
        return skua_retain(task);
    struct shield *s = rt_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->outer = rt_future_new(w->rt, w);
    if (!s->outer) {
        rt_free(s);
        return NULL;
    }
    s->inner = task;
    s->step = (struct rt_step){ .run = run, .drop = forget,
                                .home = w->in_group ? w->in_group : w->step_home };
    s->waiter.fire = fire;
    rt_group_keep(s->step.home);
    rt_st_retain(&task->state);
    rt_st_retain(&s->outer->state);
    struct skua_task *outer = s->outer;
    if (!rt_waiter_add_here(w, task, &s->waiter))
        rt_post_step(&s->step);
    return outer;
}
