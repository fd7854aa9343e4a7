/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Timeout scopes and wait_for. */
#include <errno.h>
#include <string.h>

#include "aio/fanin.h"
#include "sched/cancel.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sync/await.h"

enum scope_state { SCOPE_IDLE = 0, SCOPE_ACTIVE = 0x5c09e, SCOPE_ENDED = 0xe4ded };

struct scope {
    struct rt_step_timer timer;
    struct skua_task    *task;
    uint32_t             entered_with; /* cancel requests that were felt before it entered */
    uint32_t             state;
    RT_ATOMIC(uint32_t)  expired;
    bool                 queued;       /* the step was posted directly, the deadline had passed */
};

_Static_assert(sizeof(struct scope) <= sizeof(skua_timeout), "a scope fits into the user's object");

static struct scope *scope_of(const skua_timeout *scope)
{
    return (struct scope *)scope;
}

static void expire(struct scope *s)
{
    rt_store_release(&s->expired, 1); /* pairs: SCOPE -> skua_timeout_exit */
    (void)rt_cancel(s->task);
}

static void run_step(struct rt_step *step)
{
    struct rt_step_timer *timer = rt_container_of(step, struct rt_step_timer, step);
    struct scope         *s = rt_container_of(timer, struct scope, timer);
    s->queued = false;
    expire(s);
}

/* A free task: under the lock of the heap, so that the scope cannot end meanwhile. */
static void expire_free(struct rt_step_timer *timer)
{
    expire(rt_container_of(timer, struct scope, timer));
}

static int arm(struct rt_worker *w, struct scope *s, uint64_t deadline)
{
    if (deadline == RT_NEVER)
        return 0;
    if (deadline > rt_timers_read_clock(&w->timers))
        return rt_timer_arm(&w->timers, &s->timer.timer, RT_TIMER_STEP, deadline);
    if (s->timer.step.home) {
        s->queued = true;
        rt_post_step(&s->timer.step); /* passed already: on the next round, not now */
    } else {
        expire(s);
    }
    return 0;
}

static void disarm(struct scope *s)
{
    bool was_armed = rt_timer_disarm(&s->timer.timer);
    bool may_be_queued = s->queued || s->timer.timer.owner;
    /* relaxed: own thread */
    if (s->timer.step.home && !was_armed && may_be_queued && !rt_load_relaxed(&s->expired))
        rt_unpost_step(&s->timer.step);
    s->queued = false;
    s->timer.timer.owner = NULL;
}

static int enter(struct rt_worker *w, struct scope *s, uint64_t deadline)
{
    memset(s, 0, sizeof *s);
    s->timer.step = (struct rt_step){ .run = run_step, .home = w->cur->group };
    s->timer.expire = expire_free;
    s->task = w->cur;
    s->entered_with = rt_cancels_felt(w->cur);
    int r = arm(w, s, deadline);
    s->state = r < 0 ? SCOPE_ENDED : SCOPE_ACTIVE;
    return r;
}

int skua_timeout_enter(skua_timeout *scope, double delay)
{
    struct rt_worker *w = rt_self();
    uint64_t          deadline;
    if (!scope)
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    int r = rt_deadline(w, delay, &deadline);
    if (r < 0)
        return r;
    r = enter(w, scope_of(scope), deadline);
    if (r == 0)
        rt_note_begun(w, scope, "a timeout scope that it never left");
    return r;
}

int skua_timeout_reschedule(skua_timeout *scope, double when)
{
    struct rt_worker *w = rt_self();
    struct scope     *s = scope_of(scope);
    uint64_t          deadline;
    if (!scope || rt_ns_from_seconds(when, &deadline) < 0)
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    if (s->state != SCOPE_ACTIVE)
        return -EINVAL;
    if (w->cur != s->task)
        return -EPERM;
    if (rt_load_acquire(&s->expired)) /* pairs: SCOPE <- expire */
        return -EINVAL;
    disarm(s);
    if (rt_load_acquire(&s->expired)) /* pairs: SCOPE <- expire */
        return -EINVAL;
    return arm(w, s, deadline);
}

bool skua_timeout_expired(const skua_timeout *scope)
{
    return scope && rt_load_acquire(&scope_of(scope)->expired); /* pairs: SCOPE <- expire */
}

static int leave(struct scope *s, int err)
{
    disarm(s);
    s->state = SCOPE_ENDED;
    if (!rt_load_acquire(&s->expired)) /* pairs: SCOPE <- expire */
        return err;
    /* the scope's own request is taken back; what other requests remain were somebody else's */
    uint32_t left = rt_cancel_take_back(s->task);
    if (err != -ECANCELED)
        return err;
    if (left <= s->entered_with)
        return -ETIMEDOUT;
    (void)rt_cw_take_due(&s->task->cancels); /* this is theirs, though it may be on its way still */
    return err;
}

int skua_timeout_exit(skua_timeout *scope, int err)
{
    struct scope *s = scope_of(scope);
    if (!scope || s->state != SCOPE_ACTIVE)
        return -EINVAL;
    if (rt_current() != s->task)
        return -EPERM;
    rt_note_ended(rt_self(), scope);
    return leave(s, err);
}

/* --- wait_for --- */

/* No time at all: whoever is not done is cancelled, and waited for. */
static int cancel_and_wait(struct skua_task *task, void **ret_result)
{
    struct rt_fanin f;
    struct skua_task *one[] = { task };
    int               r = rt_fanin_init(&f, one, 1, RT_FANIN_ALL);
    if (r < 0)
        return r;
    (void)rt_cancel(task);
    r = rt_fanin_wait(&f, RT_NEVER, false);
    rt_fanin_fini(&f);
    if (r < 0)
        return r;
    r = rt_outcome(task, ret_result);
    return r == -ECANCELED ? -ETIMEDOUT : r;
}

static int wait_for(struct rt_worker *w, struct skua_task *task, uint64_t deadline,
                    void **ret_result)
{
    struct scope s;
    void        *result = NULL;
    int          r = enter(w, &s, deadline);
    if (r < 0)
        return r;
    r = rt_await(rt_self(), task);
    if (r == 0)
        r = rt_outcome(task, &result);
    r = leave(&s, r);
    if (r == 0 && ret_result)
        *ret_result = result;
    return r;
}

int skua_wait_for(skua_task *task, double timeout, void **ret_result)
{
    struct rt_worker *w = rt_self();
    uint64_t          deadline;
    if (!task)
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    rt_check_alive(task);
    if (task == w->cur)
        return -EDEADLK;
    int r = rt_deadline(w, timeout, &deadline);
    if (r < 0)
        return r;
    if (timeout > 0)
        return wait_for(w, task, deadline, ret_result);
    return rt_task_is_done(task) ? rt_outcome(task, ret_result) : cancel_and_wait(task, ret_result);
}
