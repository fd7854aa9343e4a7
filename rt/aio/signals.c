/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Signals for tasks: handlers that run on a loop, and waiting for one.
 *
 * The handlers of a runtime are in one list under its lock, which also guards what a handler calls.
 * All of them are freed after the workers have gone. A handler that is removed while its step is
 * queued stays until the step has its turn, or until the runtime ends.
 */
#include "aio/signals.h"

#include <errno.h>
#include <signal.h>

#include "aio/pool.h"
#include "base/mem.h"
#include "sched/context.h"
#include "sched/queues.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/signal.h"
#include "sched/spawn.h"
#include "sched/wait.h"

struct rt_signal_handler {
    struct rt_signal_sub      sub;
    struct rt_signal_handler *next; /* this and the rest: under the lock of the runtime */
    skua_cb                   cb;
    void                     *arg;
    uintptr_t                 vars; /* the context, of which each call gets a copy */
    bool                      removed;
};

/* What other parts of the process own, or nobody can catch, or comes back at once. */
static bool can_catch(int signo)
{
    static const int never[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,
                                 SIGFPE,  SIGILL,  SIGTRAP, SIGSYS };
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (signo == never[i])
            return false;
    if (signo == rt_interrupt_signal())
        return false;
    return signo >= 1 && signo <= RT_SIGNALS && (signo < 32 || signo >= SIGRTMIN);
}

/* --- handlers --- */

/* Callbacks of free tasks have one home, whichever worker it is on. */
static struct skua_group *home_of(struct rt_worker *w)
{
    return w->in_group ? w->in_group : w->step_home;
}

static bool same_home(const struct skua_group *a, const struct skua_group *b)
{
    return a == b || (a->is_free && b->is_free);
}

static struct rt_signal_handler **find(struct rt_runtime *rt, int signo,
                                       const struct skua_group *home)
{
    struct rt_signal_handler **at = &rt->signal_handlers;
    while (*at) {
        struct rt_signal_handler *h = *at;
        if (!h->removed && h->sub.mask == (uint64_t)1 << (signo - 1) &&
            same_home(h->sub.step.home, home))
            break;
        at = &h->next;
    }
    return at;
}

bool rt_signal_is_handled(struct rt_runtime *rt, int signo)
{
    bool found = false;
    rt_lock(&rt->lock);
    for (struct rt_signal_handler *h = rt->signal_handlers; h && !found; h = h->next)
        found = !h->removed && h->sub.mask == (uint64_t)1 << (signo - 1);
    rt_unlock(&rt->lock);
    return found;
}

/* On a thread of the runtime. */
static void free_handler(struct rt_signal_handler *h)
{
    rt_group_unkeep(h->sub.step.home);
    rt_vars_drop(h->vars);
    rt_free(h);
}

static void unlink_handler(struct rt_runtime *rt, struct rt_signal_handler *h)
{
    struct rt_signal_handler **at = &rt->signal_handlers;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
}

static void run(struct rt_step *step)
{
    struct rt_signal_sub     *sub = rt_container_of(step, struct rt_signal_sub, step);
    struct rt_signal_handler *h = rt_container_of(sub, struct rt_signal_handler, sub);
    struct rt_runtime        *rt = step->home->worker->rt;
    rt_lock(&rt->lock);
    rt_signal_step_begin(&h->sub.queued);
    bool    removed = h->removed;
    skua_cb cb = h->cb;
    void   *arg = h->arg;
    if (removed)
        unlink_handler(rt, h);
    else
        rt_context_step_begin(rt_self(), rt_vars_copy(h->vars));
    rt_unlock(&rt->lock);
    if (removed) {
        free_handler(h);
    } else {
        cb(arg);
        rt_context_step_end(rt_self());
    }
}

static void free_handlers(struct rt_runtime *rt)
{
    while (rt->signal_handlers) {
        struct rt_signal_handler *h = rt->signal_handlers;
        rt->signal_handlers = h->next;
        rt_vars_drop(h->vars);
        rt_free(h); /* the groups go with the runtime */
    }
}

/* With the lock held: into the list, and signals come from now on. */
static int subscribe(struct rt_runtime *rt, struct rt_signal_handler *h)
{
    int r = rt_signal_subscribe(rt, &h->sub);
    if (r < 0)
        return r;
    h->next = rt->signal_handlers;
    rt->signal_handlers = h;
    rt->signal_handlers_free = free_handlers;
    rt_group_keep(h->sub.step.home);
    return 0;
}

int skua_add_signal_handler(int signo, skua_cb cb, void *arg)
{
    struct rt_worker *w = rt_self();
    if (!w)
        return rt_wrong_thread("skua_add_signal_handler");
    if (!can_catch(signo) || !cb)
        return -EINVAL;
    struct rt_runtime        *rt = w->rt;
    struct rt_signal_handler *spare = rt_calloc(1, sizeof *spare);
    if (!spare)
        return -ENOMEM;
    spare->sub.mask = (uint64_t)1 << (signo - 1);
    spare->sub.step.run = run;
    spare->sub.step.home = home_of(w);
    spare->vars = rt_context_capture();
    int r = 0;
    rt_lock(&rt->lock);
    struct rt_signal_handler *h = *find(rt, signo, spare->sub.step.home);
    if (!h) {
        h = spare;
        r = subscribe(rt, h);
    }
    if (r == 0) {
        h->cb = cb;
        h->arg = arg;
    }
    if (r == 0 && h != spare) {
        uintptr_t former = h->vars;
        h->vars = spare->vars;
        spare->vars = former;
    }
    rt_unlock(&rt->lock);
    if (h != spare || r < 0) {
        rt_vars_drop(spare->vars);
        rt_free(spare);
    }
    return r;
}

int skua_remove_signal_handler(int signo)
{
    struct rt_worker *w = rt_self();
    if (!w)
        return rt_wrong_thread("skua_remove_signal_handler");
    if (!can_catch(signo))
        return -EINVAL;
    struct rt_runtime *rt = w->rt;
    rt_lock(&rt->lock);
    struct rt_signal_handler **at = find(rt, signo, home_of(w));
    struct rt_signal_handler  *h = *at;
    bool                       is_queued = false;
    if (h) {
        rt_signal_unsubscribe(rt, &h->sub);
        h->removed = true;
        is_queued = rt_signal_step_is_queued(&h->sub.queued);
        if (!is_queued)
            *at = h->next;
    }
    rt_unlock(&rt->lock);
    if (h && !is_queued)
        free_handler(h);
    return h ? 0 : -ENOENT;
}

/* --- waiting --- */

/* 0: nothing in it, or something that cannot be waited for. */
static uint64_t mask_of(const sigset_t *set)
{
    uint64_t mask = 0;
    for (int signo = 1; set && signo <= RT_SIGNALS; signo++) {
        if (sigismember(set, signo) != 1)
            continue;
        if (!can_catch(signo))
            return 0;
        mask |= (uint64_t)1 << (signo - 1);
    }
    return mask;
}

/* A signal that came before the wait is as good: it wakes the wait that is armed. */
static void offer_pending(struct rt_runtime *rt, uint64_t mask, uint64_t name)
{
    struct rt_fifo out = { 0 };
    int            signo = rt_signal_take_pending(rt, mask);
    if (signo && !rt_name_claim(name, RT_SIGNAL_VALUE + (unsigned)signo, &out))
        rt_signal_give_back(rt, signo);
    rt_ready_batch(&out);
}

/* With the wait armed. The claimer's value, or -errno. */
static int park(struct rt_worker *w, struct rt_signal_sub *sub, uint64_t deadline)
{
    struct rt_runtime *rt = w->rt;
    int                r = rt_signal_subscribe(rt, sub);
    if (r == 0 && (r = rt_wait_timer(w, deadline)) < 0)
        rt_signal_unsubscribe(rt, sub);
    if (r < 0) {
        int other = rt_wait_abandon(sub->name);
        if (other > RT_SIGNAL_VALUE)
            rt_signal_give_back(rt, other - RT_SIGNAL_VALUE);
        return other < 0 ? other : r;
    }
    offer_pending(rt, sub->mask, sub->name);
    bool late;
    r = rt_wait_park_passing(&late);
    rt_wait_timer_end(r);
    rt_signal_unsubscribe(rt, sub);
    if (late && r > RT_SIGNAL_VALUE)
        rt_signal_give_back(rt, r - RT_SIGNAL_VALUE);
    return late || r < 0 ? rt_delivered(rt_current()) : r;
}

int skua_signal_wait(const sigset_t *set, double timeout)
{
    struct rt_worker    *w = rt_self();
    struct rt_signal_sub sub = { .mask = mask_of(set) };
    uint64_t             deadline;
    if (!w || !w->cur)
        return -EPERM;
    if (!sub.mask || rt_deadline(w, timeout, &deadline) < 0)
        return -EINVAL;
    int r = rt_wait_begin(w, &sub.name);
    if (r == 0)
        r = park(w, &sub, deadline);
    if (r > RT_SIGNAL_VALUE)
        return r - RT_SIGNAL_VALUE;
    return r == ETIMEDOUT ? -ETIMEDOUT : r;
}
