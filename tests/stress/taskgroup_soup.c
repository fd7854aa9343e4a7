/* SPDX-License-Identifier: MIT */
/*
 * taskgroup_soup: trees of task groups and maps, their children in the parent's group, in other
 * pinned groups and free; leaves fail, bodies fail, groups are closed, roots are cancelled and
 * given limits. When a join or a map returns, nothing that it started still runs; every argument is
 * used up once; a group leaves no cancel behind on its parent.
 */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>

enum { ROOTS = 12, CANCELLERS = 2, DEPTH = 4, FAN = 4, CALLS = 12 };

struct pot {
    struct stress_run *run;
    uint64_t seed;
    atomic_int made, ended, dropped, refused;
    atomic_uint next_stream;
    atomic_bool stop;
    skua_task *root[ROOTS];
};

/* Freed by whoever uses it up: the body, the drop function, or the spawner that was refused. */
struct node {
    struct pot *pot;
    atomic_int *alive; /* of the parent's children, this one included */
    uint64_t seed;
    int depth;
    bool may_fail;
};

static void use_up(struct node *node, atomic_int *how)
{
    atomic_fetch_add(how, 1);
    atomic_int *alive = node->alive;
    free(node);
    if (alive != NULL)
        atomic_fetch_sub(alive, 1);
}

static void node_drop(void *arg)
{
    struct node *node = arg;
    use_up(node, &node->pot->dropped);
}

static struct node *make(struct node *parent, atomic_int *alive, struct stress_rng *rng)
{
    struct node *node = malloc(sizeof *node);
    if (node == NULL)
        return NULL;
    *node = (struct node){parent->pot, alive, stress_next(rng), parent->depth - 1,
                          parent->may_fail};
    atomic_fetch_add(&node->pot->made, 1);
    atomic_fetch_add(alive, 1);
    return node;
}

static void *node_run(void *arg);

static void add_child(skua_taskgroup *tg, struct node *self, atomic_int *alive,
                      struct stress_rng *rng)
{
    struct stress_run *run = self->pot->run;
    struct node *node = make(self, alive, rng);
    int err = 0;
    skua_task *t = NULL;
    if (node == NULL)
        return;
    unsigned where = stress_below(rng, 3);
    if (where == 0)
        t = skua_taskgroup_go(tg, node_run, node, .drop = node_drop, .ret_err = &err);
    else
        t = skua_taskgroup_spawn(
            tg, node_run, node, .drop = node_drop, .ret_err = &err,
            .group = where == 1 && run->group_count > 0
                         ? run->group[stress_below(rng, (unsigned)run->group_count)]
                         : NULL);
    if (t != NULL) {
        if (stress_below(rng, 4) == 0)
            skua_taskgroup_detach(tg, t);
        return;
    }
    STRESS_CHECK(run, err == -ESHUTDOWN, "a spawn into a group was refused with %d", err);
    use_up(node, &self->pot->refused);
}

static int body(skua_taskgroup *tg, struct node *self, atomic_int *alive, struct stress_rng *rng)
{
    int err = 0;
    for (unsigned n = 1 + stress_below(rng, FAN); n > 0; n--) {
        add_child(tg, self, alive, rng);
        if (stress_below(rng, 8) == 0 && (err = skua_yield()) < 0)
            return err;
    }
    switch (stress_below(rng, 8)) {
    case 0:
        skua_taskgroup_cancel(tg);
        return 0;
    case 1:
        return self->may_fail ? -EDOM : 0;
    case 2:
        return skua_sleep(stress_below(rng, 2000) * 1e-6);
    default:
        return err;
    }
}

static int run_group(struct node *self, struct stress_rng *rng)
{
    struct stress_run *run = self->pot->run;
    skua_taskgroup tg;
    atomic_int alive = 0;
    int err = skua_taskgroup_init(&tg);
    STRESS_CHECK(run, err == 0, "taskgroup_init: %d", err);
    err = skua_taskgroup_join(&tg, body(&tg, self, &alive, rng));
    STRESS_CHECK(run, atomic_load(&alive) == 0, "join returned %d with %d children alive", err,
                 atomic_load(&alive));
    size_t errors = skua_taskgroup_errors(&tg, NULL, 0);
    STRESS_CHECK(run, err == 0 || err == -EIO || err == -EDOM || err == -ECANCELED,
                 "join returned %d", err);
    STRESS_CHECK(run, (errors > 0) == (err == -EIO || err == -EDOM),
                 "join returned %d with %zu errors", err, errors);
    return err;
}

struct call {
    atomic_int *running, *begun;
    uint64_t seed;
    bool may_fail;
};

static void *call_run(void *arg)
{
    struct call *c = arg;
    struct stress_rng rng = stress_rng_new(c->seed, 9);
    atomic_fetch_add(c->running, 1);
    atomic_fetch_add(c->begun, 1);
    int err = stress_below(&rng, 2) == 0 ? skua_sleep(stress_below(&rng, 300) * 1e-6) : 0;
    if (err == 0 && c->may_fail && stress_below(&rng, 30) == 0)
        err = -EIO;
    atomic_fetch_sub(c->running, 1);
    return err < 0 ? skua_fail(err) : c;
}

static int run_map(struct node *self, struct stress_rng *rng)
{
    struct stress_run *run = self->pot->run;
    atomic_int running = 0, begun = 0;
    struct call call[CALLS];
    void *args[CALLS], *results[CALLS];
    int values = 0;
    bool keep = stress_below(rng, 2) == 0;
    for (int i = 0; i < CALLS; i++) {
        call[i] = (struct call){&running, &begun, stress_next(rng), self->may_fail};
        args[i] = &call[i];
    }
    int err = skua_map(call_run, args, CALLS, results, .limit = stress_below(rng, 5),
                       .free = stress_below(rng, 2) == 0, .flags = keep ? SKUA_RETURN_ERRORS : 0);
    STRESS_CHECK(run, atomic_load(&running) == 0, "map returned %d with %d calls alive", err,
                 atomic_load(&running));
    for (int i = 0; i < CALLS; i++) {
        bool is_value = skua_failed(results[i]) == 0;
        STRESS_CHECK(run, !is_value || results[i] == args[i], "map gave a foreign result");
        values += is_value;
    }
    STRESS_CHECK(run, values <= atomic_load(&begun), "%d values of %d calls", values,
                 atomic_load(&begun));
    STRESS_CHECK(run, err < 0 || (keep ? CALLS - err : CALLS) == values,
                 "map returned %d with %d values", err, values);
    return err > 0 ? 0 : err;
}

static void *node_run(void *arg)
{
    struct node *node = arg;
    struct pot *pot = node->pot;
    struct stress_rng rng = stress_rng_new(node->seed, 7);
    int err = 0;
    if (node->depth > 0)
        err = stress_below(&rng, 5) == 0 ? run_map(node, &rng) : run_group(node, &rng);
    else if (stress_below(&rng, 2) == 0)
        err = skua_sleep(stress_below(&rng, 1500) * 1e-6);
    if (err == 0 && node->depth == 0 && node->may_fail && stress_below(&rng, 20) == 0)
        err = -EIO;
    stress_op(pot->run);
    use_up(node, &pot->ended);
    return err < 0 ? skua_fail(err) : pot;
}

/* ---- a round ---- */

static void *cancel_some(void *arg)
{
    struct pot *pot = arg;
    struct stress_rng rng = stress_rng_new(pot->seed, 50 + atomic_fetch_add(&pot->next_stream, 1));
    while (!atomic_load(&pot->stop)) {
        skua_task *t = pot->root[1 + stress_below(&rng, ROOTS / 2)];
        if (stress_below(&rng, 3) == 0)
            skua_cancel(t, "soup");
        int err = skua_sleep(stress_below(&rng, 800) * 1e-6);
        STRESS_CHECK(pot->run, err == 0, "a canceller's own wait ended with %d", err);
    }
    return NULL;
}

/* Roots 1 .. ROOTS / 2 are cancelled; the first may not fail, and nobody cancels it. */
static void *root_run(void *arg)
{
    struct node *node = arg;
    struct pot *pot = node->pot;
    bool is_quiet = !node->may_fail;
    struct stress_rng rng = stress_rng_new(node->seed, 11);
    skua_timeout limit;
    bool is_timed = !is_quiet && stress_below(&rng, 3) == 0;
    int err = is_timed ? skua_timeout_enter(&limit, stress_below(&rng, 3000) * 1e-6) : 0;
    STRESS_CHECK(pot->run, err == 0, "timeout_enter: %d", err);
    err = run_group(node, &rng);
    if (is_timed)
        err = skua_timeout_exit(&limit, err);
    STRESS_CHECK(pot->run, !is_quiet || skua_cancelling(skua_current_task()) == 0,
                 "a group left its cancel behind");
    STRESS_CHECK(pot->run, !is_quiet || err == 0, "a group that nothing disturbed gave %d", err);
    use_up(node, &pot->ended);
    return err < 0 ? skua_fail(err) : pot;
}

static void taskgroup_soup_round(struct stress_run *run, uint64_t seed)
{
    struct pot pot = {.run = run, .seed = seed};
    struct stress_rng rng = stress_rng_new(seed, 1);
    skua_task *canceller[CANCELLERS];
    struct node origin = {&pot, NULL, 0, DEPTH, true};
    atomic_int alive = 0;
    for (int i = 0; i < ROOTS; i++) {
        struct node *node = make(&origin, &alive, &rng);
        if (node == NULL)
            return;
        node->may_fail = i > 0;
        pot.root[i] = stress_task(run, i % 2 ? skua_go(root_run, node, .drop = node_drop)
                                             : skua_spawn(root_run, node, .drop = node_drop));
    }
    for (int i = 0; i < CANCELLERS; i++)
        canceller[i] =
            stress_task(run, i == 0 ? skua_spawn(cancel_some, &pot) : skua_go(cancel_some, &pot));
    for (int i = 0; i < ROOTS; i++)
        SKUA_IGNORE(skua_await(pot.root[i], NULL));
    atomic_store(&pot.stop, true);
    for (int i = 0; i < CANCELLERS; i++)
        SKUA_IGNORE(skua_join(canceller[i], NULL));
    skua_release_all(pot.root, ROOTS);
    STRESS_CHECK(run, atomic_load(&alive) == 0, "%d roots did not end", atomic_load(&alive));
    int made = atomic_load(&pot.made), ended = atomic_load(&pot.ended);
    int dropped = atomic_load(&pot.dropped), refused = atomic_load(&pot.refused);
    STRESS_CHECK(run, made == ended + dropped + refused,
                 "%d arguments made, %d ended, %d dropped, %d refused", made, ended, dropped,
                 refused);
}

STRESS_CASE(460, "taskgroup_soup",
            "trees of task groups and maps that fail, are closed, cancelled and limited at random",
            taskgroup_soup_round);
