/* SPDX-License-Identifier: MIT */
/* floor 7: aio. The public ways to start tasks, and groups. */
#include "sched/spawn.h"

#include <errno.h>

static int check(skua_fn fn, const void *arg, const struct skua_spawn_opts *opts)
{
    int err = fn ? rt_spawn_opts_check(opts) : -EINVAL;
    return err == 0 && opts && opts->copy && !arg ? -EINVAL : err;
}

/* Into a group, from anywhere. */
static skua_task *spawn_into(skua_group *g, skua_fn fn, void *arg,
                             const struct skua_spawn_opts *opts)
{
    int  err = -ESHUTDOWN;
    bool inside = rt_group_is_ours(g);
    if (!inside && !rt_group_visit(g))
        return rt_spawn_refuse(opts, err);
    skua_task *t = rt_spawn(rt_self(), g->worker->rt, g, fn, arg, opts, &err);
    if (!inside)
        rt_group_leave(g);
    return t ? t : rt_spawn_refuse(opts, err);
}

skua_task *skua_spawn_with(skua_fn fn, void *arg, const struct skua_spawn_opts *opts)
{
    struct rt_worker *w = rt_self();
    int               err = check(fn, arg, opts);
    if (err < 0)
        return rt_spawn_refuse(opts, err);
    if (opts && opts->group)
        return spawn_into(opts->group, fn, arg, opts);
    if (!w)
        return rt_spawn_refuse(opts, -EPERM);
    skua_task *t = rt_spawn(w, w->rt, w->in_group, fn, arg, opts, &err);
    return t ? t : rt_spawn_refuse(opts, err);
}

skua_task *skua_go_with(skua_fn fn, void *arg, const struct skua_spawn_opts *opts)
{
    struct rt_worker *w = rt_self();
    int               err = check(fn, arg, opts);
    if (err == 0 && opts && opts->group)
        err = -EINVAL; /* free, or in a group: not both */
    if (err == 0 && !w)
        err = -EPERM;
    if (err < 0)
        return rt_spawn_refuse(opts, err);
    skua_task *t = rt_spawn(w, w->rt, NULL, fn, arg, opts, &err);
    return t ? t : rt_spawn_refuse(opts, err);
}

skua_task *skua_spawn_threadsafe_with(skua_loop *loop, skua_fn fn, void *arg,
                                      const struct skua_spawn_opts *opts)
{
    int err = loop ? check(fn, arg, opts) : -EINVAL;
    return err < 0 ? rt_spawn_refuse(opts, err) : spawn_into(loop, fn, arg, opts);
}

skua_group *skua_group_new_with(const struct skua_group_opts *opts)
{
    struct rt_worker *w = rt_self();
    if (!w || (opts && opts->size != sizeof *opts))
        return NULL;
    int index = opts ? opts->worker : 0;
    if (index < 0 || index > (int)w->rt->n)
        return NULL;
    /* relaxed: any spread will do */
    unsigned home = index ? (unsigned)index - 1
                          : rt_add_relaxed(&w->rt->next_home, 1) % w->rt->n;
    return rt_group_new(w->rt->workers[home], opts ? opts->name : NULL);
}

void skua_group_release(skua_group *g)
{
    if (g && !g->is_loop)
        rt_group_unref(g);
}
