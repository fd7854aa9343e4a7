/* SPDX-License-Identifier: MIT */
/* floor 6: sync. Handles of tasks and futures: references, questions, names, cancelling. */
#include <errno.h>

#include "sched/cancel.h"
#include "sched/finish.h"
#include "sched/spawn.h"
#include "sched/wait.h"
#include "sync/await.h"

void rt_panic_released(const struct skua_task *t)
{
    rt_panic("a task handle was used after its release (object %p, last known as Task-%u)",
             (const void *)t, t->id);
}

skua_task *skua_retain(skua_task *task)
{
    if (task) {
        rt_check_alive(task);
        rt_st_retain(&task->state);
    }
    return task;
}

void skua_release(skua_task *task)
{
    if (!task)
        return;
    rt_check_alive(task);
    rt_task_unref(rt_self(), task);
}

void skua_release_all(skua_task *const *tasks, size_t n)
{
    for (size_t i = 0; tasks && i < n; i++)
        skua_release(tasks[i]);
}

void skua_detach(skua_task *task)
{
    skua_release(task);
}

bool skua_cancel(skua_task *task, const char *msg)
{
    if (!task)
        return false;
    rt_check_alive(task);
    if (rt_task_is_done(task))
        return false;
    if (msg)
        /* without memory the cancel goes without its text */
        SKUA_IGNORE(rt_task_set_message(task, msg));
    return rt_cancel(task);
}

int skua_cancelling(const skua_task *task)
{
    if (!task)
        return -EINVAL;
    return (int)rt_cw_count(&((skua_task *)task)->cancels);
}

int skua_uncancel(skua_task *task)
{
    return task ? (int)rt_cancel_take_back(task) : -EINVAL;
}

bool skua_done(const skua_task *task)
{
    return task && rt_task_is_done(task);
}

bool skua_cancelled(const skua_task *task)
{
    return task && (rt_st_load((struct rt_stateword *)&task->state) & RT_ST_CANCELLED);
}

int skua_result(skua_task *task, void **ret_result)
{
    if (!task)
        return -EINVAL;
    return rt_task_is_done(task) ? rt_outcome(task, ret_result) : -EAGAIN;
}

int skua_error(skua_task *task)
{
    return skua_result(task, NULL);
}

const char *skua_error_message(const skua_task *task)
{
    return task ? rt_task_message(task) : NULL;
}

const char *skua_name(const skua_task *task)
{
    return task ? rt_task_name((skua_task *)task) : NULL;
}

int skua_set_name(skua_task *task, const char *name)
{
    if (!task || !name)
        return -EINVAL;
    rt_check_alive(task);
    return rt_task_set_name(task, name);
}

skua_task *skua_current_task(void)
{
    return rt_current();
}

/* One task of the snapshot: alive during the whole walk means visited alive. */
static bool collect(struct skua_task *t, uint16_t runtime)
{
    if (!t || !rt_st_try_retain_pending(&t->state))
        return false;
    /* relaxed: fixed while we hold a reference */
    if (rt_load_relaxed(&t->runtime) == runtime && !rt_task_is_future(t))
        return true;
    rt_task_unref(rt_self(), t);
    return false;
}

size_t skua_all_tasks(skua_task **ret_tasks, size_t n)
{
    struct rt_worker *w = rt_self();
    size_t            found = 0;
    uint32_t          carved = w ? rt_slab_carved() : 0;
    for (uint32_t slot = 1; slot <= carved; slot++) {
        struct skua_task *t = rt_slab_at(slot);
        if (!collect(t, w->rt->id))
            continue;
        if (ret_tasks && found < n)
            ret_tasks[found] = t;
        else
            rt_task_unref(w, t);
        found++;
    }
    return found;
}
