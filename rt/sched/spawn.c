/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Making tasks. */
#include "sched/spawn.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "sched/context.h"
#include "sched/queues.h"

enum { ID_RANGE = 1024 };

static const struct skua_spawn_opts no_options = { .size = sizeof no_options };

/* Task numbers come in ranges, so that spawning on several workers shares no counter. */
static uint32_t new_id(struct rt_runtime *rt, struct rt_worker *w)
{
    if (!w)
        return rt_add_relaxed(&rt->next_id, 1); /* relaxed: only has to be another number */
    if (w->next_id == w->last_id) {
        w->next_id = rt_add_relaxed(&rt->next_id, ID_RANGE); /* relaxed: likewise */
        w->last_id = w->next_id + ID_RANGE;
    }
    return w->next_id++;
}

static inline __attribute__((always_inline)) struct skua_task *
new_object(struct rt_runtime *rt, struct rt_worker *w, uint8_t kind)
{
    uint32_t          slot;
    struct skua_task *t = rt_slab_get(w ? &w->slab : NULL, &slot);
    if (!t)
        return NULL;
    /* relaxed, all here: published by the queue or the caller */
    rt_store_relaxed(&t->cancels.bits, 0);
    t->awaiting = 0;
    t->value = NULL;
    t->stack = NULL;
    t->group = NULL;
    t->waiters = NULL;
    rt_store_relaxed(&t->cold, 0); /* a callback that had the object before wrote over it */
    t->where = NULL;
    t->timer.owner = NULL;
    t->timer.hop_queued = 0;
    t->flags = 0;
    rt_store_relaxed(&t->kind, kind);
    t->id = new_id(rt, w);
    rt_store_relaxed(&t->runtime, rt->id);
    /* the ticket stays: names of the slot's former life must not fit */
    rt_store_relaxed(&t->wait.bits, rt_load_relaxed(&t->wait.bits) & RT_WW_TICKET);
    return t;
}

/* From here on walkers of the slab see the task, whose fields are all set. */
static void publish(struct skua_task *t, uint64_t refs)
{
    /* pairs: DONE -> rt_st_try_retain_pending */
    rt_store_release(&t->state.bits, refs * RT_ST_REF);
}

struct skua_task *rt_future_new(struct rt_runtime *rt, struct rt_worker *w)
{
    struct skua_task *f = new_object(rt, w, RT_KIND_FUTURE);
    if (f)
        publish(f, 1);
    return f;
}

int rt_spawn_opts_check(const struct skua_spawn_opts *opts)
{
    if (!opts)
        return 0;
    if (opts->size != sizeof *opts)
        return -EINVAL;
    return opts->stack_size > rt_stack_class_usable(RT_STACK_CLASSES - 1) ? -EINVAL : 0;
}

/* What only few spawns ask for. 0 or -ENOMEM. */
static int set_cold(struct skua_task *t, const struct skua_spawn_opts *opts)
{
    if (opts->name) {
        int r = rt_task_set_name(t, opts->name);
        if (r < 0)
            return r;
    }
    if (!opts->drop && !opts->copy)
        return 0;
    struct rt_cold *cold = rt_task_cold(t);
    if (!cold)
        return -ENOMEM;
    cold->drop = opts->drop;
    if (opts->copy) {
        cold->copy = rt_malloc(opts->copy);
        if (!cold->copy)
            return -ENOMEM;
        memcpy(cold->copy, t->value, opts->copy);
        t->value = cold->copy;
    }
    return 0;
}

/* One test for all that most spawns leave out, and for contexts, which most programs never use. */
static inline bool is_plain(const struct skua_spawn_opts *opts)
{
    return ((uintptr_t)opts->name | (uintptr_t)opts->drop | opts->copy | opts->stack_size |
            opts->eager | rt_vars_are_used()) == 0;
}

static int set_options(struct skua_task *t, const struct skua_spawn_opts *opts)
{
    if (opts->stack_size)
        /* relaxed: not published yet */
        rt_store_relaxed(&t->kind, (uint8_t)rt_stack_class_for(opts->stack_size));
    if (rt_vars_are_used())
        rt_context_give(t, opts);
    return opts->name || opts->drop || opts->copy ? set_cold(t, opts) : 0;
}

static void count_spawned(struct rt_runtime *rt, struct rt_worker *w)
{
    if (w)
        RT_STAT_INC(&w->spawned);
    else
        (void)rt_add_relaxed(&rt->foreign_spawned, 1); /* relaxed: a count */
    if (RT_UNLIKELY(rt_load_relaxed(&rt->phase) != RT_OPEN)) /* relaxed: see rt_finish */
        rt_runtime_note_change(rt);
}

static void submit(struct rt_worker *w, struct skua_task *t)
{
    struct skua_group *g = t->group;
    if (!g && w) {
        w->pushed++;
        rt_ready_child(w, t);
    } else if (!g || w == g->worker) {
        if (g)
            g->live++;
        rt_ready(t);
    } else {
        t->flags |= RT_TASK_POSTED;
        (void)rt_add_relaxed(&g->refs, 1); /* relaxed: the caller's handle keeps the group alive */
        rt_ready(t);
    }
}

/* The child runs at once; the spawner goes on when it suspends or ends. False: it cannot. */
static bool submit_eager(struct rt_worker *w, struct skua_task *t)
{
    if (!w || !w->cur || t->group != w->cur->group || rt_suspend_prepare(w) < 0)
        return false;
    struct skua_task *me = w->cur;
    if (t->group)
        t->group->live++;
    me->run.next = (uintptr_t)w->eager_back;
    w->eager_back = me;
    rt_switch_eager(w, t);
    return true;
}

struct skua_task *rt_spawn(struct rt_worker *w, struct rt_runtime *rt, struct skua_group *g,
                           skua_fn fn, void *arg, const struct skua_spawn_opts *opts, int *ret_err)
{
    if (RT_UNLIKELY(w && w->rt != rt))
        w = NULL; /* a worker of another runtime is a plain thread here */
    struct skua_task *t = new_object(rt, w, rt->stack_class);
    if (RT_UNLIKELY(!t)) {
        *ret_err = -ENOMEM;
        return NULL;
    }
    if (RT_UNLIKELY(!opts))
        opts = &no_options;
    t->fn = fn;
    t->value = arg;
    t->group = g;
    t->timer.home = g ? (uint16_t)g->worker->index : 0;
    t->where = opts->where;
    bool is_special = !is_plain(opts);
    int  r = RT_UNLIKELY(is_special) ? set_options(t, opts) : 0;
    if (RT_UNLIKELY(r < 0)) {
        *ret_err = r;
        rt_task_free(w ? &w->slab : NULL, t);
        return NULL;
    }
    publish(t, 2);
    count_spawned(rt, w);
    if (RT_LIKELY(!is_special) || !opts->eager || !submit_eager(w, t))
        submit(w, t);
    return t;
}

struct skua_task *rt_task_prepare(struct rt_worker *w)
{
    return new_object(w->rt, w, w->rt->stack_class);
}

void rt_task_begin(struct rt_worker *w, struct skua_task *t)
{
    publish(t, 1);
    count_spawned(w->rt, w);
}

struct skua_task *rt_spawn_on(struct rt_worker *target, skua_fn fn, void *arg,
                              const char *where, bool keep)
{
    struct rt_worker *w = rt_self();
    struct skua_task *t = new_object(target->rt, w, target->rt->stack_class);
    if (!t)
        return NULL;
    t->fn = fn;
    t->value = arg;
    t->where = where;
    if (RT_UNLIKELY(rt_vars_are_used()))
        rt_context_give(t, NULL);
    publish(t, keep ? 2 : 1);
    count_spawned(target->rt, w);
    rt_ready_on(target, t);
    return t;
}
