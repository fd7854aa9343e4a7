/* SPDX-License-Identifier: MIT */
/* The books of tasks, and small tasks to wait for. */
#include "soup.h"

void soup_init(struct soup *s, struct stress_run *run)
{
    s->run = run;
    atomic_store(&s->spawned, 0);
    atomic_store(&s->started, 0);
    atomic_store(&s->ended, 0);
    atomic_store(&s->dropped, 0);
}

static void move(struct soup_entry *e, int from, int to, atomic_uint *counter)
{
    int before = atomic_exchange(&e->state, to);
    STRESS_CHECK(e->soup->run, before == from, "a task went from state %d to %d", before, to);
    atomic_fetch_add(counter, 1);
}

void soup_begin(struct soup_entry *e)
{
    move(e, SOUP_NEW, SOUP_STARTED, &e->soup->started);
    stress_op(e->soup->run);
}

void soup_end(struct soup_entry *e)
{
    move(e, SOUP_STARTED, SOUP_ENDED, &e->soup->ended);
}

void soup_drop(void *entry)
{
    struct soup_entry *e = entry;
    move(e, SOUP_NEW, SOUP_DROPPED, &e->soup->dropped);
}

void soup_check_books(struct soup *s)
{
    unsigned spawned = atomic_load(&s->spawned);
    unsigned started = atomic_load(&s->started);
    unsigned ended = atomic_load(&s->ended);
    unsigned dropped = atomic_load(&s->dropped);
    STRESS_CHECK(s->run, started == ended && spawned == ended + dropped,
                 "%u spawned, %u started, %u ended, %u dropped", spawned, started, ended, dropped);
}

skua_task *soup_start(struct soup *s, skua_fn fn, void *arg, struct stress_rng *rng)
{
    struct stress_run *run = s->run;
    unsigned at = stress_below(rng, 3);
    if (at == 0)
        return skua_go(fn, arg, .drop = soup_drop);
    if (at == 1)
        return skua_spawn(fn, arg, .drop = soup_drop);
    skua_group *g = run->group[stress_below(rng, (unsigned)run->group_count)];
    return skua_spawn(fn, arg, .drop = soup_drop, .group = g);
}

static void *leaf_run(void *arg)
{
    struct soup_leaf *leaf = arg;
    struct stress_rng rng = stress_rng_new(leaf->seed, 4);
    soup_begin(&leaf->entry);
    int err = 0;
    if (leaf->depth > 0) {
        struct soup_leaf next = {.depth = leaf->depth - 1, .delay = leaf->delay};
        skua_task *t = soup_start_leaf(leaf->entry.soup, &next, &rng);
        if (t != NULL) {
            err = skua_await(t, NULL);
            soup_drain(leaf->entry.soup, t);
        }
    } else {
        err = skua_sleep(leaf->delay);
    }
    STRESS_CHECK(leaf->entry.soup->run, err == 0 || (err == -ECANCELED && !leaf->is_shielded),
                 "a%s inner task saw %d", leaf->is_shielded ? " shielded" : "n", err);
    /* Edge-triggered: a cleanup after the cancel may wait. */
    if (err == -ECANCELED && stress_below(&rng, 2) == 0)
        SKUA_IGNORE(skua_sleep(stress_below(&rng, 300) * 1e-6));
    soup_end(&leaf->entry);
    return err < 0 ? skua_fail(err) : leaf;
}

skua_task *soup_start_leaf(struct soup *s, struct soup_leaf *leaf, struct stress_rng *rng)
{
    leaf->entry.soup = s;
    leaf->seed = stress_next(rng);
    atomic_store(&leaf->entry.state, SOUP_NEW);
    atomic_fetch_add(&s->spawned, 1);
    return stress_task(s->run, soup_start(s, leaf_run, leaf, rng));
}

void soup_start_leaves(struct soup *s, struct soup_leaf *leaf, skua_task **t, int n,
                       struct stress_rng *rng)
{
    for (int i = 0; i < n; i++) {
        leaf[i] = (struct soup_leaf){.delay = stress_below(rng, 8000) * 1e-6};
        t[i] = soup_start_leaf(s, &leaf[i], rng);
    }
}

void soup_drain(struct soup *s, skua_task *t)
{
    skua_cancel(t, NULL);
    for (int tries = 0; !skua_done(t) && tries < 10000; tries++)
        SKUA_IGNORE(skua_await(t, NULL));
    STRESS_CHECK(s->run, skua_done(t), "10000 awaits of a cancelled task returned before its end");
    SKUA_IGNORE(skua_error(t)); /* looked at, so that it counts as retrieved */
    skua_release(t);
}
