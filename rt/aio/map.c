/* SPDX-License-Identifier: MIT */
/* floor 7: aio. map: a nursery with a limit. Each of its lanes has one call at a time; whoever
 * takes note of the end of one begins the lane's next, so that nobody waits for the parent's
 * turn. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>

#include "aio/nursery.h"
#include "base/mem.h"
#include "sched/context.h"
#include "sched/finish.h"
#include "sched/spawn.h"
#include "sched/wait.h"

struct map;

struct lane {
    struct rt_tg_child child;
    struct map        *map;
    size_t             index; /* of the call that runs */
};

struct map {
    struct rt_tg         nursery;
    struct rt_runtime   *rt;
    struct skua_group   *group;
    skua_fn              fn;
    void *const         *args;
    void               **results;
    size_t               n;
    const char          *where;
    uintptr_t            vars;   /* context of the caller at the beginning */
    bool                 keeps_errors;
    RT_ATOMIC(uint64_t)  next;   /* the first call that was not begun */
    RT_ATOMIC(uint64_t)  failed;
};

/* Whoever stores a result has the index alone. */
static void store(struct map *m, size_t i, void *result)
{
    if (m->results)
        m->results[i] = result;
}

/* Each call has a copy of the context in which map was called, whoever begins it. */
static struct skua_task *spawn_call(struct map *m, void *arg, struct skua_spawn_opts *opts,
                                    int *ret_err)
{
    struct rt_worker *w = rt_self();
    if (RT_LIKELY(!rt_vars_are_used()))
        return rt_spawn(w, m->rt, m->group, m->fn, arg, opts, ret_err);
    opts->context = rt_vars_new(m->vars);
    if (!opts->context) {
        *ret_err = -ENOMEM;
        return NULL;
    }
    struct skua_task *t = rt_spawn(w, m->rt, m->group, m->fn, arg, opts, ret_err);
    rt_vars_drop(rt_vars_word(opts->context));
    return t;
}

/* The next call, for a lane. A task; or NULL: *ret_err is 0 when all have begun. */
static struct skua_task *begin_call(struct lane *lane, int *ret_err)
{
    struct map            *m = lane->map;
    struct skua_spawn_opts opts = { .size = sizeof opts, .where = m->where };
    uint64_t               i = rt_add_relaxed(&m->next, 1); /* relaxed: the number is all */
    *ret_err = 0;
    if (i >= m->n)
        return NULL;
    lane->index = i;
    struct skua_task *t = spawn_call(m, m->args[i], &opts, ret_err);
    if (!t)
        store(m, i, skua_fail(*ret_err));
    return t;
}

/* A call has ended. */
static int judge(struct rt_tg_child *child)
{
    struct lane      *lane = rt_container_of(child, struct lane, child);
    struct map       *m = lane->map;
    struct skua_task *t = child->task;
    int               err = 0;
    store(m, lane->index, t->value);
    if (rt_st_load(&t->state) & (RT_ST_FAILED | RT_ST_CANCELLED)) {
        err = skua_failed(t->value);
        (void)rt_or_acq_rel(&t->state.bits, RT_ST_RETRIEVED);
        (void)rt_add_relaxed(&m->failed, 1); /* relaxed: read after the join */
    }
    bool is_ending = rt_tg_is_aborting(&m->nursery);
    if (err < 0 && !m->keeps_errors)
        return is_ending && err == -ECANCELED ? 0 : err;
    if (is_ending || !(t = begin_call(lane, &err)))
        return is_ending ? 0 : err;
    rt_tg_child_again(child, t);
    return RT_TG_GOES_ON;
}

/* 0, or why a call could not begin. */
static int begin(struct map *m, struct lane *lanes, size_t n)
{
    int err = 0;
    for (size_t i = 0; i < n && rt_tg_hold(&m->nursery) == 0; i++) {
        lanes[i].map = m;
        lanes[i].child.judge = judge;
        lanes[i].child.is_dropped = true;
        struct skua_task *t = begin_call(&lanes[i], &err);
        if (!t) {
            rt_tg_unhold(&m->nursery);
            break;
        }
        rt_tg_child_add(&m->nursery, &lanes[i].child, t);
    }
    return err;
}

/* All lanes are at rest. The first error of a call, by completion, or 0. */
static int tidy_up(struct map *m)
{
    struct rt_list *it;
    int             first = 0;
    while ((it = rt_list_pop_front(&m->nursery.ended)) != NULL) {
        struct rt_tg_child *child = rt_list_entry(it, struct rt_tg_child, link);
        first = first ? first : child->err;
        rt_task_unref(rt_self(), child->task);
    }
    /* relaxed: written before the join ended */
    for (uint64_t i = rt_load_relaxed(&m->next); i < m->n; i++)
        store(m, i, skua_fail(-ECANCELED));
    return first;
}

static int map(struct map *m, struct lane *lanes, size_t n)
{
    int start = begin(m, lanes, n);
    int r;
    /* Without a stack to wait with it may not return either: the calls use what is the caller's. */
    while ((r = rt_tg_join(&m->nursery, start)) == -ENOMEM)
        SKUA_IGNORE(rt_sys_sched_yield());
    int      first = tidy_up(m);
    uint64_t failed = rt_load_relaxed(&m->failed); /* relaxed: likewise */
    if (r < 0)
        return r;
    if (first < 0 || start < 0)
        return first < 0 ? first : start;
    return failed > INT_MAX ? INT_MAX : (int)failed;
}

int skua_map_with(skua_fn fn, void *const *args, size_t n, void **results,
                  const struct skua_map_opts *opts)
{
    static const struct skua_map_opts none = { .size = sizeof none };
    const struct skua_map_opts       *o = opts ? opts : &none;
    struct rt_worker                 *w = rt_self();
    if (!fn || (n > 0 && !args) || o->size != sizeof *o || (o->flags & ~SKUA_RETURN_ERRORS))
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    if (n == 0)
        return 0;
    int r = rt_suspend_prepare(w);
    if (r < 0)
        return r;
    size_t       limit = o->limit && o->limit < n ? o->limit : n;
    struct lane *lanes = NULL;
    if (limit <= PTRDIFF_MAX / sizeof *lanes)
        lanes = rt_calloc(limit, sizeof *lanes);
    if (!lanes)
        return -ENOMEM;
    struct map m = {
        .rt = w->rt, .group = o->free ? NULL : w->cur->group, .fn = fn, .args = args,
        .results = results, .n = n, .where = o->where,
        .keeps_errors = (o->flags & SKUA_RETURN_ERRORS) != 0,
    };
    m.vars = rt_context_capture();
    rt_tg_init(&m.nursery, w->cur);
    r = map(&m, lanes, limit);
    rt_vars_drop(m.vars);
    rt_free(lanes);
    return r;
}
