/* SPDX-License-Identifier: MIT */
/* floor 7: aio. The nursery: children that end before their parent goes on. */
#include "aio/nursery.h"

#include <errno.h>

#include "base/mem.h"
#include "sched/cancel.h"
#include "sched/finish.h"
#include "sched/runtime.h"
#include "sched/wait.h"

void rt_tg_init(struct rt_tg *g, struct skua_task *parent)
{
    rt_lock_init(&g->lock, RT_RANK_OBJECT);
    g->parent = parent;
    g->step = (struct rt_step){ .home = parent->group };
    rt_list_init(&g->live);
    rt_list_init(&g->ended);
    g->pending = g->name = 0;
    g->entered_with = rt_cancels_felt(parent);
    g->is_joining = g->is_aborting = g->has_asked = false;
}

/* --- holds --- */

int rt_tg_hold(struct rt_tg *g)
{
    rt_lock(&g->lock);
    bool is_over = g->is_aborting || (g->is_joining && g->pending == 0);
    g->pending += !is_over;
    rt_unlock(&g->lock);
    return is_over ? -ESHUTDOWN : 0;
}

/* Under the lock. The group may be gone once it is unlocked; `out` is made ready after that. */
static void drop_hold(struct rt_tg *g, struct rt_fifo *out)
{
    if (--g->pending > 0 || !g->name)
        return;
    (void)rt_name_claim(g->name, 0, out);
    g->name = 0;
}

void rt_tg_unhold(struct rt_tg *g)
{
    struct rt_fifo out = { 0 };
    rt_lock(&g->lock);
    drop_hold(g, &out);
    rt_unlock(&g->lock);
    rt_ready_batch(&out);
}

/* --- aborting --- */

/* The next child that was not asked to stop, with a reference; NULL: none is left. */
static struct skua_task *next_to_ask(struct rt_tg *g)
{
    struct skua_task *t = NULL;
    rt_lock(&g->lock);
    struct rt_list *first = rt_list_first(&g->live);
    if (first) {
        struct rt_tg_child *child = rt_list_entry(first, struct rt_tg_child, link);
        if (!child->is_asked) {
            child->is_asked = true;
            rt_list_remove(first);
            rt_list_push_back(&g->live, first);
            t = child->task;
            rt_st_retain(&t->state);
        }
    }
    rt_unlock(&g->lock);
    return t;
}

/* Who set is_aborting, with a hold. */
static void ask_all(struct rt_tg *g)
{
    struct skua_task *t;
    while ((t = next_to_ask(g)) != NULL) {
        (void)rt_cancel(t);
        rt_task_unref(rt_self(), t);
    }
}

/* The children, then the parent: its body is cancelled, its wait in join only woken, to look
 * whether the children that have ended meanwhile were all. */
static void ask_all_and_parent(struct rt_tg *g)
{
    struct rt_fifo out = { 0 };
    ask_all(g);
    rt_lock(&g->lock);
    g->has_asked = !g->is_joining;
    bool asks_parent = g->has_asked;
    if (!asks_parent && g->name) {
        (void)rt_name_claim(g->name, 0, &out);
        g->name = 0;
    }
    rt_unlock(&g->lock);
    if (asks_parent)
        (void)rt_cancel(g->parent);
    rt_ready_batch(&out);
}

static void run_abort(struct rt_step *step)
{
    struct rt_tg *g = rt_container_of(step, struct rt_tg, step);
    ask_all_and_parent(g);
    rt_tg_unhold(g);
}

void rt_tg_abort(struct rt_tg *g)
{
    rt_lock(&g->lock);
    bool is_over = g->is_aborting || (g->is_joining && g->pending == 0);
    g->pending += !is_over;
    g->is_aborting = true;
    rt_unlock(&g->lock);
    if (is_over)
        return;
    g->step.run = run_abort;
    /* A pinned parent is asked on its own thread: a request on its way there could come too late,
     * and be felt outside the group. */
    if (g->step.home && g->step.home->worker != rt_self())
        rt_post_step(&g->step);
    else
        run_abort(&g->step);
}

/* --- the end of a child --- */

static void fire(struct rt_waiter *waiter, struct skua_task *done, struct rt_fifo *out)
{
    struct rt_tg_child *child = rt_container_of(waiter, struct rt_tg_child, waiter);
    (void)done;
    if (child->step.home)
        rt_fire_step(&child->step, out);
    else
        rt_fifo_push(out, rt_item(&child->step.link, RT_TAG_NOW));
}

/* False: the child has ended already, and the waiter never fires. */
static bool watch(struct rt_tg_child *child)
{
    child->waiter = (struct rt_waiter){ .fire = fire };
    return rt_waiter_add(child->task, &child->waiter);
}

/* An error counts as looked at: it is the group's now. A child that ended cancelled is ignored. */
static int judge(struct rt_tg_child *child)
{
    struct skua_task *t = child->task;
    if (!(rt_st_load(&t->state) & RT_ST_FAILED))
        return 0;
    (void)rt_or_acq_rel(&t->state.bits, RT_ST_RETRIEVED);
    return skua_failed(t->value);
}

/* Under the lock. What stays of the child: its handle unless it was dropped, its error. True:
 * nothing. */
static bool bury(struct rt_tg *g, struct rt_tg_child *child)
{
    rt_list_remove(&child->link);
    if (child->is_dropped && child->err == 0)
        return true;
    rt_list_push_back(&g->ended, &child->link);
    return false;
}

/* The runtime has ended without the parent, whose frame is lost: what is left goes one by one. */
static bool is_abandoned(struct rt_tg *g)
{
    if (rt_self())
        return false;
    /* relaxed: 0 once the parent is gone */
    struct rt_runtime *rt = rt_runtime_visit(rt_load_relaxed(&g->parent->runtime));
    bool is_over = !rt || rt_load_acquire(&rt->phase) == RT_CLOSED; /* pairs: PHASE <- stop */
    if (rt)
        rt_runtime_unvisit(rt);
    return is_over;
}

static void drop_step(struct rt_step *step)
{
    struct rt_tg_child *child = rt_container_of(step, struct rt_tg_child, step);
    rt_list_remove(&child->link);
    rt_task_unref(rt_self(), child->task);
    if (!child->judge) /* else it is part of something larger */
        rt_free(child);
}

static void take_note(struct rt_tg_child *child)
{
    struct rt_fifo out = { 0 };
    struct rt_tg  *g = child->group;
    bool           is_part = child->judge;
    int            err;
    if (is_abandoned(g)) {
        drop_step(&child->step);
        return;
    }
    while ((err = is_part ? child->judge(child) : judge(child)) == RT_TG_GOES_ON)
        if (watch(child))
            return;
    struct skua_task *task = child->task;
    rt_lock(&g->lock);
    child->err = err;
    bool is_gone = bury(g, child);
    bool begins_abort = err < 0 && !g->is_aborting;
    g->is_aborting |= err < 0;
    if (!begins_abort)
        drop_hold(g, &out);
    rt_unlock(&g->lock);
    rt_ready_batch(&out); /* from here on the group may be gone */
    if (is_gone) {
        rt_task_unref(rt_self(), task);
        if (!is_part)
            rt_free(child);
    }
    if (!begins_abort)
        return;
    ask_all_and_parent(g);
    rt_tg_unhold(g);
}

static void run_step(struct rt_step *step)
{
    take_note(rt_container_of(step, struct rt_tg_child, step));
}

/* --- children --- */

void rt_tg_child_add(struct rt_tg *g, struct rt_tg_child *child, struct skua_task *task)
{
    child->step.run = run_step;
    child->step.drop = drop_step;
    child->group = g;
    child->task = task;
    child->err = 0;
    rt_lock(&g->lock);
    bool is_late = child->is_asked = g->is_aborting;
    child->link = (struct rt_list){ NULL, NULL };
    rt_list_push_back(&g->live, &child->link);
    rt_unlock(&g->lock);
    if (is_late) /* an eager child may have cancelled the group before it belonged to it */
        (void)rt_cancel(task);
    if (watch(child))
        return;
    if (child->step.home)
        rt_post_step(&child->step);
    else
        take_note(child);
}

void rt_tg_child_again(struct rt_tg_child *child, struct skua_task *task)
{
    struct rt_tg     *g = child->group;
    struct skua_task *before = child->task;
    rt_lock(&g->lock);
    bool is_late = child->is_asked = g->is_aborting;
    child->task = task;
    rt_unlock(&g->lock);
    rt_task_unref(rt_self(), before);
    if (is_late)
        (void)rt_cancel(task);
}

bool rt_tg_is_aborting(struct rt_tg *g)
{
    rt_lock(&g->lock);
    bool is_aborting = g->is_aborting;
    rt_unlock(&g->lock);
    return is_aborting;
}

/* --- joining --- */

/* A free parent runs its fresh children depth first, see rt_dive_for. */
static void dive(struct rt_tg *g)
{
    uint32_t left = RT_DIVE_MAX;
    if (g->parent->group)
        return;
    rt_lock(&g->lock);
    rt_list_foreach(it, &g->live) {
        if (left-- == 0)
            break;
        rt_dive_for(rt_self(), rt_list_entry(it, struct rt_tg_child, link)->task, 1);
    }
    rt_unlock(&g->lock);
}

/* Leaves the name for whoever is the last. False: nobody is left. */
static bool leave_name(struct rt_tg *g, uint64_t name)
{
    rt_lock(&g->lock);
    bool is_needed = g->pending > 0;
    g->name = is_needed ? name : 0;
    rt_unlock(&g->lock);
    return is_needed;
}

enum { LIVE_SEEN = 64 };

static void see_live(const struct rt_awaitable *self,
                     void (*see)(struct skua_task *task, void *arg), void *arg)
{
    struct rt_tg     *g = (struct rt_tg *)(uintptr_t)self->object;
    struct skua_task *live[LIVE_SEEN];
    size_t            n = 0;
    rt_lock(&g->lock);
    rt_list_foreach(node, &g->live)
    {
        struct skua_task *t = rt_list_entry(node, struct rt_tg_child, link)->task;
        if (n < LIVE_SEEN && !rt_task_is_done(t))
            live[n++] = t;
    }
    rt_unlock(&g->lock);
    for (size_t i = 0; i < n; i++) /* none of them runs, so none of them goes */
        see(live[i], arg);
}

static const struct rt_wait_kind group_kind = { .what = "the tasks of a group", .whose = ": ",
                                                .tasks = see_live };

enum { NOTHING_PENDING = 1 };

/* One suspension, unless nothing is pending. */
static int wait_once(struct rt_tg *g)
{
    uint64_t            name;
    struct rt_awaitable awaitable = { .kind = &group_kind, .object = g };
    if (!leave_name(g, 0))
        return NOTHING_PENDING;
    int r = rt_wait_begin(rt_self(), &name);
    if (r < 0)
        return r;
    rt_await_combined(rt_current(), &awaitable);
    return leave_name(g, name) ? rt_wait_park() : rt_wait_abandon(name);
}

/* From here on the parent waits, or gives up waiting; with `aborts`, nobody may begin any more. */
static void set_joining(struct rt_tg *g, bool joins, bool aborts)
{
    rt_lock(&g->lock);
    bool begins = aborts && !g->is_aborting;
    g->is_joining = joins;
    g->is_aborting |= aborts;
    rt_unlock(&g->lock);
    if (begins)
        ask_all(g);
}

/* Takes the group's own request back. Returns whether others are left that came since the
 * beginning, or were still to be felt then. */
static bool settle_cancels(struct rt_tg *g)
{
    struct skua_task *me = g->parent;
    uint32_t left = g->has_asked ? rt_cancel_take_back(me) : rt_cw_count(&me->cancels);
    if (left > g->entered_with)
        return true;
    if (g->has_asked) /* a request that was not delivered is forgotten as well */
        (void)rt_ww_drop_cancel(&me->wait);
    return false;
}

static bool has_child_error(struct rt_tg *g)
{
    rt_list_foreach(it, &g->ended)
        if (rt_list_entry(it, struct rt_tg_child, link)->err < 0)
            return true;
    return false;
}

int rt_tg_join(struct rt_tg *g, int body_err)
{
    bool is_cancelled = body_err == -ECANCELED;
    int  r;
    set_joining(g, true, body_err < 0);
    dive(g);
    while ((r = wait_once(g)) != NOTHING_PENDING) {
        if (r == -ECANCELED) {
            is_cancelled = true;
            set_joining(g, true, true);
        } else if (r < 0) {
            set_joining(g, false, false);
            return r;
        }
    }
    bool others_ask = settle_cancels(g);
    bool has_error = has_child_error(g) || (body_err < 0 && body_err != -ECANCELED);
    if (has_error && others_ask)
        rt_cancel_pend(g->parent); /* the error goes first; the cancel is felt at the next wait */
    if (others_ask && (has_error || is_cancelled))
        (void)rt_cw_take_due(&g->parent->cancels); /* though it may be on its way still */
    if (has_error || !is_cancelled || (g->has_asked && !others_ask))
        return 0;
    return -ECANCELED;
}
