/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Pinned groups: life and death. Their queues are in pick.c and ready.c. */
#include <string.h>

#include "base/mem.h"
#include "sched/queues.h"
#include "sched/spawn.h"

static void unref_at_home(struct skua_group *g)
{
    if (rt_sub_acq_rel(&g->refs, 1) == 1) /* pairs: GROUP -> rt_group_check_dead */
        rt_group_check_dead(g);
}

/* The last handle was released on another thread: it is given back on the group's own. */
static void run_reap(struct rt_step *step)
{
    unref_at_home(rt_container_of(step, struct skua_group, reap));
}

void rt_group_init(struct skua_group *g, struct rt_worker *home)
{
    *g = (struct skua_group){ .worker = home, .runtime = home->rt->id };
    g->reap.run = run_reap;
    g->reap.home = &home->free_group;
    rt_init(&g->refs, 1);
}

struct skua_group *rt_group_new(struct rt_worker *home, const char *name)
{
    struct skua_group *g = rt_calloc(1, sizeof *g);
    if (!g)
        return NULL;
    rt_group_init(g, home);
    if (name && !(g->name = rt_strdup(name))) {
        rt_free(g);
        return NULL;
    }
    rt_lock(&home->rt->lock);
    g->sibling = home->rt->groups;
    home->rt->groups = g;
    rt_unlock(&home->rt->lock);
    return g;
}

void rt_group_free(struct skua_group *g)
{
    struct rt_runtime *rt = g->worker->rt;
    rt_lock(&rt->lock);
    for (struct skua_group **at = &rt->groups; *at; at = &(*at)->sibling) {
        if (*at == g) {
            *at = g->sibling;
            break;
        }
    }
    rt_unlock(&rt->lock);
    rt_free(g->name);
    rt_free(g);
}

void rt_group_check_dead(struct skua_group *g)
{
    struct rt_worker *w = g->worker;
    if (g->live > 0 || g->in_ring || g->is_loop || g->is_free || g->dying)
        return;
    if (rt_load_acquire(&g->refs) != 0) /* pairs: GROUP <- rt_group_unref */
        return;
    g->dying = true;
    g->ring_next = w->dead;
    w->dead = g;
}

void rt_group_bury(struct rt_worker *w)
{
    struct skua_group *g = w->dead;
    w->dead = g->ring_next;
    rt_group_free(g);
}

/* Elsewhere the last reference stays until the step has come home with it, so that the group is
 * there for the step. A group that has outlived its runtime is not counted any more. */
static void unref_from_afar(struct skua_group *g)
{
    uint32_t refs = rt_load_relaxed(&g->refs); /* relaxed: the CAS decides */
    if (!rt_group_visit(g))
        return;
    /* This group may be freed as soon as the step is posted: visit one that stays. */
    struct skua_group *stays = g->worker->rt->main_group;
    bool               visiting = rt_group_visit(stays);
    rt_group_leave(g);
    if (!visiting)
        return; /* the end has begun: it takes the group along */
    /* pairs: GROUP -> rt_group_check_dead */
    while (refs > 1 && !rt_cas_acq_rel(&g->refs, &refs, refs - 1)) {
    }
    if (refs == 1)
        rt_post_step(&g->reap);
    rt_group_leave(stays);
}

void rt_group_unref(struct skua_group *g)
{
    if (rt_group_is_ours(g) && g->worker == rt_self())
        unref_at_home(g);
    else
        unref_from_afar(g);
}

void rt_group_keep(struct skua_group *g)
{
    if (!g->is_free && !g->is_loop)
        (void)rt_add_relaxed(&g->refs, 1); /* relaxed: the caller runs in it, or has a handle */
}

/* When the threads have gone the groups go with the runtime. */
void rt_group_unkeep(struct skua_group *g)
{
    /* pairs: PHASE <- stop */
    if (!g->is_free && !g->is_loop && rt_load_acquire(&g->worker->rt->phase) != RT_CLOSED)
        rt_group_unref(g);
}
