/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Making tasks and groups. */
#ifndef RT_SCHED_SPAWN_H
#define RT_SCHED_SPAWN_H

#include <stddef.h>

#include "sched/runtime.h"

/* A fresh future of the runtime, one reference for the caller. w: the caller's worker or NULL.
 * NULL: no memory. */
struct skua_task *rt_future_new(struct rt_runtime *rt, struct rt_worker *w);

/* A fresh task in group g (NULL: free) of the runtime, queued. w: the caller's worker or NULL. Two
 * references: the runtime's and the caller's. NULL and *ret_err. */
struct skua_task *rt_spawn(struct rt_worker *w, struct rt_runtime *rt, struct skua_group *g,
                           skua_fn fn, void *arg, const struct skua_spawn_opts *opts,
                           int *ret_err);

/* A free task in two steps, for what may still be called off: an object of w's runtime that nobody
 * sees (NULL: no memory; rt_task_free undoes it), and, its body set, the beginning of its life,
 * with one reference, the runtime's. It is queued nowhere. */
struct skua_task *rt_task_prepare(struct rt_worker *w);
void              rt_task_begin(struct rt_worker *w, struct skua_task *t);

/* A connection handler: as rt_spawn of a free task, queued on a certain worker; one reference, the
 * runtime's, unless `keep`. NULL: no memory. */
struct skua_task *rt_spawn_on(struct rt_worker *target, skua_fn fn, void *arg,
                              const char *where, bool keep);

/* Checks the fields of spawn options. 0 or -EINVAL. */
int rt_spawn_opts_check(const struct skua_spawn_opts *opts);

/* A spawn that does not take place: tells the reason, returns NULL. */
static inline struct skua_task *rt_spawn_refuse(const struct skua_spawn_opts *opts, int err)
{
    if (opts && opts->size >= offsetof(struct skua_spawn_opts, where) && opts->ret_err)
        *opts->ret_err = err;
    return NULL;
}

/* A pinned group on that worker, one handle for the caller. NULL: no memory. Any thread. */
struct skua_group *rt_group_new(struct rt_worker *home, const char *name);
void               rt_group_init(struct skua_group *g, struct rt_worker *home);
/* Any thread: drop a handle. The group goes when no handle and no task is left. */
void rt_group_unref(struct skua_group *g);
void rt_group_free(struct skua_group *g);
/* A callback keeps the group that it will run in, from the moment it is registered until it has run
 * or is dropped. */
void               rt_group_keep(struct skua_group *g);
void               rt_group_unkeep(struct skua_group *g);

#endif
