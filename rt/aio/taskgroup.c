/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Task groups: the public calls. */
#include <errno.h>

#include "aio/nursery.h"
#include "base/mem.h"
#include "sched/finish.h"
#include "sched/report.h"
#include "sched/spawn.h"
#include "sched/wait.h"

enum { OPEN = 0x7a5c09e1, ENDED = 0x7a5ce4de, ERRORS_KEPT = 48 };

/* In the user's memory. While the group is open its errors are with its children, afterwards the
 * first ones are here: there is no call that could free more. */
struct taskgroup {
    RT_ATOMIC(uint32_t) state; /* mixed with the address: a copy is no group */
    union {
        struct rt_tg nursery;
        struct {
            uint64_t n;
            int16_t  errors[ERRORS_KEPT];
        } report;
    };
};

_Static_assert(sizeof(struct taskgroup) <= sizeof(skua_taskgroup),
               "a task group fits into the user's object");

static struct taskgroup *group_of(const skua_taskgroup *tg)
{
    return (struct taskgroup *)tg;
}

static uint32_t mark(const struct taskgroup *g, uint32_t state)
{
    return state ^ (uint32_t)(uintptr_t)g;
}

static bool is_in(struct taskgroup *g, uint32_t state)
{
    /* relaxed: who uses a group knows that it was begun */
    return g && rt_load_relaxed(&g->state) == mark(g, state);
}

int skua_taskgroup_init(skua_taskgroup *tg)
{
    struct taskgroup *g = group_of(tg);
    struct skua_task *me = rt_current();
    if (!g)
        return -EINVAL;
    rt_store_relaxed(&g->state, 0); /* relaxed: see is_in */
    if (!me)
        return -EPERM;
    rt_tg_init(&g->nursery, me);
    rt_store_relaxed(&g->state, mark(g, OPEN));
    rt_note_begun(rt_self(), g, "a task group that it never joined");
    return 0;
}

/* --- children --- */

typedef skua_task *spawner(skua_fn fn, void *arg, const struct skua_spawn_opts *opts);

static skua_task *spawn(skua_taskgroup *tg, spawner *spawn_it, skua_fn fn, void *arg,
                        const struct skua_spawn_opts *opts)
{
    struct taskgroup *g = group_of(tg);
    if (!is_in(g, OPEN))
        return rt_spawn_refuse(opts, is_in(g, ENDED) ? -ESHUTDOWN : -EINVAL);
    struct rt_tg_child *child = rt_calloc(1, sizeof *child);
    if (!child)
        return rt_spawn_refuse(opts, -ENOMEM);
    int err = rt_tg_hold(&g->nursery);
    if (err < 0) {
        rt_free(child);
        return rt_spawn_refuse(opts, err);
    }
    skua_task *t = spawn_it(fn, arg, opts);
    if (!t) {
        rt_tg_unhold(&g->nursery);
        rt_free(child);
        return NULL;
    }
    child->step.home = g->nursery.parent->group;
    rt_tg_child_add(&g->nursery, child, t);
    return t;
}

skua_task *skua_taskgroup_spawn_with(skua_taskgroup *tg, skua_fn fn, void *arg,
                                     const struct skua_spawn_opts *opts)
{
    return spawn(tg, skua_spawn_with, fn, arg, opts);
}

skua_task *skua_taskgroup_go_with(skua_taskgroup *tg, skua_fn fn, void *arg,
                                  const struct skua_spawn_opts *opts)
{
    return spawn(tg, skua_go_with, fn, arg, opts);
}

/* The newest first: it is mostly the one that was just spawned. */
static struct rt_tg_child *find(struct rt_list *children, const struct skua_task *task)
{
    for (struct rt_list *it = children->prev; it != children; it = it->prev) {
        struct rt_tg_child *child = rt_list_entry(it, struct rt_tg_child, link);
        if (child->task == task)
            return child;
    }
    return NULL;
}

void skua_taskgroup_detach(skua_taskgroup *tg, skua_task *child)
{
    struct taskgroup *g = group_of(tg);
    if (!child || !is_in(g, OPEN))
        return;
    struct rt_tg *n = &g->nursery;
    rt_lock(&n->lock);
    struct rt_tg_child *it = find(&n->live, child);
    if (it)
        it->is_dropped = true;
    it = it ? NULL : find(&n->ended, child);
    bool is_gone = it && it->err == 0;
    if (is_gone)
        rt_list_remove(&it->link);
    else if (it)
        it->task = NULL; /* its error stays */
    rt_unlock(&n->lock);
    if (it)
        rt_task_unref(rt_self(), child);
    if (is_gone)
        rt_free(it);
}

void skua_taskgroup_cancel(skua_taskgroup *tg)
{
    struct taskgroup *g = group_of(tg);
    if (is_in(g, OPEN))
        rt_tg_abort(&g->nursery);
}

/* --- the end --- */

/* Takes the children apart. The errors go into the report, the body's last. */
static int end(struct taskgroup *g, int body_err)
{
    struct rt_list  ended = RT_LIST_INIT(ended);
    struct rt_list *it;
    uint64_t        n = 0;
    int             first = 0;
    rt_list_splice_back(&ended, &g->nursery.ended);
    while ((it = rt_list_pop_front(&ended)) != NULL) {
        struct rt_tg_child *child = rt_list_entry(it, struct rt_tg_child, link);
        if (child->err < 0) {
            first = first ? first : child->err;
            if (n < ERRORS_KEPT)
                g->report.errors[n] = (int16_t)child->err;
            n++;
        }
        if (child->task)
            rt_task_unref(rt_self(), child->task);
        rt_free(child);
    }
    if (body_err < 0 && body_err != -ECANCELED) {
        first = first ? first : body_err;
        if (n < ERRORS_KEPT)
            g->report.errors[n] = (int16_t)body_err;
        n++;
    }
    g->report.n = n;
    rt_note_ended(rt_self(), g);
    rt_store_relaxed(&g->state, mark(g, ENDED)); /* relaxed: see is_in */
    return first;
}

int skua_taskgroup_join(skua_taskgroup *tg, int err)
{
    struct taskgroup *g = group_of(tg);
    if (!is_in(g, OPEN))
        return -EINVAL;
    if (rt_current() != g->nursery.parent)
        return -EPERM;
    if (err < 0)
        err = skua_failed(skua_fail(err)); /* what is no error number becomes -EINVAL */
    int r = rt_tg_join(&g->nursery, err);
    if (r < 0 && r != -ECANCELED)
        return r;
    int first = end(g, err);
    if (r < 0)
        return r;
    return first < 0 || err < 0 ? first : err;
}

static size_t report(struct taskgroup *g, int *ret_errs, size_t n)
{
    for (size_t i = 0; ret_errs && i < n && i < g->report.n && i < ERRORS_KEPT; i++)
        ret_errs[i] = g->report.errors[i];
    return g->report.n;
}

size_t skua_taskgroup_errors(const skua_taskgroup *tg, int *ret_errs, size_t n)
{
    struct taskgroup *g = group_of(tg);
    size_t            found = 0;
    if (is_in(g, ENDED))
        return report(g, ret_errs, n);
    if (!is_in(g, OPEN))
        return 0;
    rt_lock(&g->nursery.lock);
    rt_list_foreach(it, &g->nursery.ended) {
        int err = rt_list_entry(it, struct rt_tg_child, link)->err;
        if (err == 0)
            continue;
        if (ret_errs && found < n)
            ret_errs[found] = err;
        found++;
    }
    rt_unlock(&g->nursery.lock);
    return found;
}
