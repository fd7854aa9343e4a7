/* SPDX-License-Identifier: MIT */
/* floor 7: aio. A task that waits for its job.
 *
 * A call that has started cannot be stopped. Whether its caller may leave it is a question of
 * memory: the function may write through its argument into the caller's frame. So a caller who is
 * cancelled, or out of time, waits for the function all the same, unless the argument was copied or
 * the caller takes that upon himself.
 */
#include <errno.h>

#include "aio/pool.h"
#include "sched/wait.h"

/* The caller's frame is in use: waits on, whatever comes. */
static void wait_out(struct rt_job *job)
{
    for (;;) {
        struct rt_worker *w = rt_self();
        uint64_t          name;
        bool              late;
        int               r = rt_wait_begin_passing(w, &name);
        if (r == -ECANCELED) {
            (void)rt_ww_drop_cancel(&w->cur->wait); /* one more request for what is under way */
            continue;
        }
        if (r < 0) { /* no stack for the worker to go on with: it waits here */
            rt_job_block(job);
            return;
        }
        if (!rt_job_set_name(job, name)) {
            SKUA_IGNORE(rt_wait_abandon(name));
            return;
        }
        SKUA_IGNORE(rt_wait_park_passing(&late));
    }
}

static void leave(struct rt_job *job, bool may_leave)
{
    if (rt_job_withdraw(job) != RT_JOB_RUNNING)
        return;
    rt_job_ask(job);
    if (!may_leave)
        wait_out(job);
}

int rt_job_run(struct rt_worker *w, struct rt_job *job, uint64_t deadline, bool may_leave)
{
    uint64_t name;
    int      r = rt_wait_begin(w, &name);
    if (r < 0)
        return r;
    job->item.name = name; /* nobody else knows of it yet */
    r = rt_job_submit(job);
    if (r < 0)
        return rt_wait_give_up(name, r);
    r = rt_wait_timer(w, deadline);
    if (r < 0) {
        r = rt_wait_give_up(name, r);
    } else {
        r = rt_wait_park();
        rt_wait_timer_end(r);
    }
    if (r != 0)
        leave(job, may_leave);
    return r > 0 ? -r : r;
}
