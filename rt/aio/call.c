/* SPDX-License-Identifier: MIT */
/* floor 7: aio. call_soon, call_later, call_at and their handles.
 *
 * A callback lives in a slab object like a task does, and its handle is a name like that of a wait:
 * so a stale handle names nothing, and nobody has to release it.
 *
 * Who frees it: whoever claims the name owns the callback. Its turn claims and frees it; a
 * canceller takes it out of the heap of timers and frees it. One that is queued already cannot be
 * taken out from another thread: there the canceller and the turn both come by, and the second of
 * them frees.
 */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/spin.h"
#include "sched/context.h"
#include "sched/queues.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/spawn.h"

struct call {
    struct rt_link       unused;
    uint32_t             unused_count;
    uint32_t             slot;
    struct rt_waitword   wait;  /* claimed by whoever runs or cancels the callback */
    struct rt_stateword  state; /* no references: walkers pass it by */
    struct rt_step_timer timer;
    skua_cb              cb;
    void                *arg;
    uintptr_t            vars; /* the context it runs in */
};

_Static_assert(sizeof(struct call) <= RT_SLAB_OBJECT_BYTES,
               "a callback fills one slab object at most");
_Static_assert(offsetof(struct call, slot) == RT_SLAB_SLOT_OFFSET, "the slab numbers its objects");
_Static_assert(offsetof(struct call, wait) == offsetof(struct skua_task, wait),
               "names are looked up in tasks");
_Static_assert(offsetof(struct call, state) == offsetof(struct skua_task, state),
               "walkers look at tasks");
_Static_assert(sizeof(struct call) <= offsetof(struct skua_task, runtime),
               "what follows is the task's");

static void free_call(struct call *c)
{
    struct rt_worker *w = rt_self();
    rt_group_unkeep(c->timer.step.home);
    rt_vars_drop(c->vars);
    /* as a task leaves it: nothing cold */
    memset(&c->timer, 0, sizeof *c - offsetof(struct call, timer));
    rt_slab_put(w ? &w->slab : NULL, c);
}

static struct call *call_of(struct rt_step *step)
{
    return rt_container_of(rt_container_of(step, struct rt_step_timer, step), struct call, timer);
}

/* The value of a claimed name. */
enum { RAN = 0, CANCELLING = 1, LEFT = 2 };

/* First or second of canceller and turn? True: the second. */
static bool is_second(struct call *c)
{
    uint64_t old = rt_load_acquire(&c->wait.bits); /* pairs: CALL <- is_second */
    uint64_t left = (old & ~RT_WW_VALUE_MASK) | (uint64_t)LEFT << RT_WW_VALUE_BIT;
    /* pairs: CALL -> is_second */
    return rt_ww_value(old) == LEFT || !rt_cas_acq_rel(&c->wait.bits, &old, left);
}

static bool claim(struct call *c)
{
    uint64_t word = rt_load_relaxed(&c->wait.bits); /* relaxed: the claim decides */
    return rt_ww_claim(&c->wait, rt_ww_ticket(word), RAN) != RT_CLAIM_STALE;
}

static void run(struct rt_step *step)
{
    struct call *c = call_of(step);
    skua_cb      cb = c->cb;
    void        *arg = c->arg;
    if (claim(c)) {
        rt_context_step_begin(rt_self(), c->vars);
        c->vars = 0;
        free_call(c);
        cb(arg);
        rt_context_step_end(rt_self());
    } else if (is_second(c)) {
        free_call(c);
    }
}

/* Its loop ends, and so do the timers that a canceller may be looking into: it is waited for. */
static void drop(struct rt_step *step)
{
    struct call      *c = call_of(step);
    struct rt_backoff b = RT_BACKOFF_INIT;
    if (!claim(c)) {
        /* pairs: CALL <- is_second */
        while (rt_ww_value(rt_load_acquire(&c->wait.bits)) == CANCELLING) {
            rt_backoff_wait(&b);
            if (b.turns >= RT_BACKOFF_MAX)
                SKUA_IGNORE(rt_sys_sched_yield());
        }
    }
    free_call(c);
}

static struct call *make(struct rt_worker *w, struct skua_group *home, skua_cb cb, void *arg)
{
    uint32_t     slot;
    struct call *c = rt_slab_get(w ? &w->slab : NULL, &slot);
    if (!c)
        return NULL;
    /* relaxed: fixed while in use */
    rt_store_relaxed(&((struct skua_task *)(void *)c)->kind, RT_KIND_CALL);
    rt_store_relaxed(&((struct skua_task *)(void *)c)->runtime, home->worker->rt->id);
    rt_store_relaxed(&c->state.bits, 0); /* relaxed: published by the queue */
    rt_store_relaxed(&c->wait.bits, rt_load_relaxed(&c->wait.bits) & RT_WW_TICKET);
    (void)rt_ww_arm_pinned(&c->wait);
    c->timer = (struct rt_step_timer){ .step = { .run = run, .drop = drop, .home = home } };
    c->cb = cb;
    c->arg = arg;
    c->vars = rt_context_capture();
    rt_group_keep(home);
    return c;
}

static skua_handle handle_of(struct call *c)
{
    /* relaxed: own write */
    return (skua_handle){ rt_ww_ticket(rt_load_relaxed(&c->wait.bits)) | c->slot };
}

/* The worker whose loop the caller is on, or NULL. */
static struct rt_worker *on_loop(const char *call)
{
    struct rt_worker *w = rt_self();
    if (RT_LIKELY(w && w->in_group))
        return w;
    SKUA_IGNORE(rt_wrong_thread(call));
    return NULL;
}

skua_handle skua_call_soon(skua_cb cb, void *arg)
{
    struct rt_worker *w = on_loop("skua_call_soon");
    struct call      *c = cb && w ? make(w, w->in_group, cb, arg) : NULL;
    if (!c)
        return (skua_handle){ 0 };
    skua_handle h = handle_of(c);
    rt_post_step(&c->timer.step);
    return h;
}

static skua_handle call_at(struct rt_worker *w, uint64_t deadline, skua_cb cb, void *arg)
{
    struct call *c = make(w, w->in_group, cb, arg);
    if (!c)
        return (skua_handle){ 0 };
    skua_handle h = handle_of(c);
    if (rt_timer_arm(&w->timers, &c->timer.timer, RT_TIMER_STEP, deadline) < 0) {
        free_call(c);
        return (skua_handle){ 0 };
    }
    return h;
}

skua_handle skua_call_later(double delay, skua_cb cb, void *arg)
{
    struct rt_worker *w = on_loop("skua_call_later");
    uint64_t          ns;
    if (!cb || !w || rt_ns_from_seconds(fabs(delay), &ns) < 0)
        return (skua_handle){ 0 };
    uint64_t now = rt_timers_read_clock(&w->timers);
    if (delay < 0) /* in the past: before those that are due now */
        return call_at(w, now > ns ? now - ns : 0, cb, arg);
    return call_at(w, rt_ns_add(now, ns), cb, arg);
}

skua_handle skua_call_at(double when, skua_cb cb, void *arg)
{
    struct rt_worker *w = on_loop("skua_call_at");
    uint64_t          deadline;
    if (!cb || !w || rt_ns_from_seconds(when, &deadline) < 0)
        return (skua_handle){ 0 };
    return call_at(w, deadline, cb, arg);
}

static bool cancel(struct call *c, skua_handle h)
{
    if (rt_ww_claim(&c->wait, rt_ww_ticket(h.id), CANCELLING) == RT_CLAIM_STALE)
        return false;
    if (rt_timer_disarm(&c->timer.timer) || is_second(c))
        free_call(c);
    return true;
}

bool skua_handle_cancel(skua_handle h)
{
    struct rt_worker *w = rt_self();
    struct skua_task *t = h.id ? rt_name_task(h.id) : NULL;
    if (!t || rt_task_kind(t) != RT_KIND_CALL)
        return false;
    struct call *c = (struct call *)(void *)t;
    uint16_t     id = rt_load_relaxed(&t->runtime); /* relaxed: if it is another one's, the claim
                                                       fails */
    if (w && w->rt->id == id)
        return cancel(c, h);
    struct rt_runtime *rt = rt_runtime_visit(id);
    bool               cancelled = rt && cancel(c, h);
    if (rt)
        rt_runtime_unvisit(rt);
    return cancelled;
}

int skua_call_soon_threadsafe(skua_loop *loop, skua_cb cb, void *arg)
{
    if (!loop || !cb)
        return -EINVAL;
    if (!rt_group_visit(loop))
        return -ESHUTDOWN;
    struct rt_worker *w = rt_self();
    struct call      *c = make(w && w->rt == loop->worker->rt ? w : NULL, loop, cb, arg);
    if (c)
        rt_post_step(&c->timer.step);
    rt_group_leave(loop);
    return c ? 0 : -ENOMEM;
}
