/* SPDX-License-Identifier: MIT */
/*
 * spawn_tree: recursive fan-out and fan-in. A tree whose shape follows from the seed is computed
 * twice: by plain recursion, and by tasks that start their children free, in their own group or in
 * another pinned group, and collect them in every way there is. Caught: a child run twice or never,
 * a result lost or mixed up, a pinned task on a second thread, two tasks of one group at a time.
 */
#include "stress.h"

#include <math.h>

enum { DEPTH = 6, FAN_MAX = 4, SALT_WEIGHT = 11, SALT_HOW = 12, SALT_PLACE = 13 };

struct tree {
    struct stress_run *run;
    atomic_uint nodes;
    atomic_uint pinned_nodes[STRESS_GROUPS_MAX];
    unsigned plain_nodes[STRESS_GROUPS_MAX]; /* no lock: only tasks of that group touch it */
    uint64_t plain_work[STRESS_GROUPS_MAX];
    atomic_int inside[STRESS_GROUPS_MAX];
    atomic_int worker[STRESS_GROUPS_MAX]; /* index + 1 of the worker the group was seen on */
};

struct node {
    struct tree *tree;
    uint64_t seed;
    int depth;
    int pin; /* the group this node must run in, or -1 */
};

static uint64_t salted(uint64_t seed, uint64_t salt)
{
    return stress_mix(seed ^ stress_mix(salt));
}

static unsigned fan_of(uint64_t seed, int depth)
{
    return depth == 0 ? 0 : 1 + (unsigned)(stress_mix(seed) >> 40) % FAN_MAX;
}

static uint64_t weight_of(uint64_t seed)
{
    return salted(seed, SALT_WEIGHT) & 0xffff;
}

static uint64_t expected(uint64_t seed, int depth, unsigned *nodes)
{
    uint64_t sum = weight_of(seed);
    ++*nodes;
    unsigned fan = fan_of(seed, depth);
    for (unsigned i = 0; i < fan; i++)
        sum += expected(stress_mix(seed + i + 1), depth - 1, nodes);
    return sum;
}

/* Nothing in here suspends, so that no other task of the group may be in here. */
static void occupy_group(struct node *n)
{
    struct tree *tree = n->tree;
    int others = atomic_exchange(&tree->inside[n->pin], 1);
    STRESS_CHECK(tree->run, others == 0, "two tasks of group %d ran at a time", n->pin);
    for (uint64_t i = 0, x = n->seed; i < 1000; i++) {
        x = stress_mix(x);
        tree->plain_work[n->pin] += x & 1;
    }
    tree->plain_nodes[n->pin]++;
    atomic_store(&tree->inside[n->pin], 0);
}

static void check_pin(struct node *n)
{
    struct tree *tree = n->tree;
    if (n->pin < 0)
        return;
    STRESS_CHECK(tree->run, skua_loop_current() == tree->run->group[n->pin],
                 "a pinned node runs outside its group");
    int here = skua_worker_index() + 1;
    int before = 0;
    if (!atomic_compare_exchange_strong(&tree->worker[n->pin], &before, here))
        STRESS_CHECK(tree->run, before == here, "group %d ran on worker %d and on %d", n->pin,
                     before - 1, here - 1);
    atomic_fetch_add(&tree->pinned_nodes[n->pin], 1);
    occupy_group(n);
}

static void disturb(struct node *n, uint64_t how)
{
    int r = 0;
    switch ((how >> 8) % 10) {
    case 0:
        SKUA_IGNORE(skua_yield());
        break;
    case 1:
        r = skua_sleep(0);
        break;
    case 2:
        r = skua_sleep(50e-6);
        break;
    default:
        break;
    }
    STRESS_CHECK(n->tree->run, r == 0, "a sleep of an uncancelled task ended with %d", r);
}

static void *node_run(void *arg);

static skua_task *start_child(struct node *n, struct node *kid, unsigned i)
{
    struct stress_run *run = n->tree->run;
    struct stress_rng rng = stress_rng_new(n->seed + i, SALT_PLACE);
    kid->pin = -1;
    switch (stress_below(&rng, 8)) {
    case 0:
        kid->pin = n->pin;
        return stress_task(run, skua_spawn(node_run, kid));
    case 1:
        kid->pin = (int)stress_below(&rng, (unsigned)run->group_count);
        return stress_task(run, skua_spawn(node_run, kid, .group = run->group[kid->pin]));
    case 2:
        return stress_task(run, skua_go(node_run, kid, .copy = sizeof *kid));
    case 3:
        return stress_task(run, skua_go(node_run, kid, .name = "leaf"));
    default:
        return stress_task(run, skua_go(node_run, kid));
    }
}

static uint64_t take(struct stress_run *run, int err, void *value)
{
    STRESS_CHECK(run, err == 0, "collecting a child ended with %d", err);
    return err == 0 ? (uint64_t)(uintptr_t)value : 0;
}

static uint64_t join_all(struct stress_run *run, skua_task **t, unsigned fan, bool reverse)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < fan; i++) {
        void *value = NULL;
        int err = skua_join(t[reverse ? fan - 1 - i : i], &value);
        sum += take(run, err, value);
    }
    return sum;
}

static uint64_t await_twice(struct stress_run *run, skua_task **t, unsigned fan)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < fan; i++) {
        void *first = NULL;
        void *again = NULL;
        int err = skua_await(t[i], &first);
        sum += take(run, err, first);
        err = skua_await(t[i], &again);
        STRESS_CHECK(run, err == 0 && again == first, "a second await answered differently (%d)",
                     err);
    }
    skua_release_all(t, fan);
    return sum;
}

static uint64_t gather_all(struct stress_run *run, skua_task **t, unsigned fan)
{
    void *value[FAN_MAX] = {NULL};
    uint64_t sum = 0;
    int err = skua_gather(t, fan, value, SKUA_RELEASE);
    for (unsigned i = 0; i < fan; i++)
        sum += take(run, err, value[i]);
    return sum;
}

static uint64_t wait_first(struct stress_run *run, skua_task **t, unsigned fan, enum skua_when when)
{
    uint64_t sum = 0;
    unsigned taken = 0;
    while (taken < fan) {
        size_t done = 0;
        int err = skua_wait(t + taken, fan - taken, INFINITY, when, &done);
        STRESS_CHECK(run, err == 0 && done > 0, "wait without a timeout: %d, %zu done", err, done);
        if (err < 0 || done == 0)
            break;
        sum += join_all(run, t + taken, (unsigned)done, false);
        taken += (unsigned)done;
    }
    return sum;
}

static uint64_t as_completed_all(struct stress_run *run, skua_task **t, unsigned fan)
{
    skua_as_completed it;
    uint64_t sum = 0;
    unsigned seen = 0;
    int err = skua_as_completed_init(&it, t, fan, INFINITY);
    STRESS_CHECK(run, err == 0, "as_completed_init: %d", err);
    if (err < 0)
        return join_all(run, t, fan, false);
    for (skua_task *done; (done = skua_as_completed_next(&it, &err)) != NULL; seen++) {
        void *value = NULL;
        err = skua_result(done, &value);
        sum += take(run, err, value);
    }
    skua_as_completed_fini(&it);
    STRESS_CHECK(run, seen == fan, "as_completed gave %u of %u (%d)", seen, fan, err);
    skua_release_all(t, fan);
    return sum;
}

static uint64_t collect(struct stress_run *run, skua_task **t, unsigned fan, uint64_t how)
{
    switch (how % 7) {
    case 0:
        return join_all(run, t, fan, false);
    case 1:
        return join_all(run, t, fan, true);
    case 2:
        return gather_all(run, t, fan);
    case 3:
        return wait_first(run, t, fan, SKUA_ALL_COMPLETED);
    case 4:
        return wait_first(run, t, fan, SKUA_FIRST_COMPLETED);
    case 5:
        return as_completed_all(run, t, fan);
    default:
        return await_twice(run, t, fan);
    }
}

static void *node_run(void *arg)
{
    struct node me = *(struct node *)arg;
    struct stress_run *run = me.tree->run;
    uint64_t how = salted(me.seed, SALT_HOW);
    unsigned fan = fan_of(me.seed, me.depth);
    struct node kid[FAN_MAX];
    skua_task *t[FAN_MAX] = {NULL};
    unsigned started = 0;

    atomic_fetch_add(&me.tree->nodes, 1);
    stress_op(run);
    check_pin(&me);
    disturb(&me, how);
    for (unsigned i = 0; i < fan; i++) {
        kid[i] = (struct node){me.tree, stress_mix(me.seed + i + 1), me.depth - 1, -1};
        t[started] = start_child(&me, &kid[i], i);
        started += t[started] != NULL;
    }
    if ((how >> 16) % 4 == 0)
        disturb(&me, how >> 20);
    uint64_t sum = weight_of(me.seed);
    if (started > 0)
        sum += collect(run, t, started, how);
    return (void *)(uintptr_t)sum;
}

static void spawn_tree_round(struct stress_run *run, uint64_t seed)
{
    struct tree tree = {.run = run};
    unsigned nodes = 0;
    uint64_t want = expected(seed, DEPTH, &nodes);
    struct node root = {&tree, seed, DEPTH, -1};
    skua_task *t = stress_task(run, skua_go(node_run, &root));
    if (t == NULL)
        return;
    void *got = NULL;
    int err = skua_join(t, &got);
    STRESS_CHECK(run, err == 0 && (uintptr_t)got == want, "sum %ju, expected %ju (%d)",
                 (uintmax_t)(uintptr_t)got, (uintmax_t)want, err);
    unsigned ran = atomic_load(&tree.nodes);
    STRESS_CHECK(run, ran == nodes, "%u bodies ran for %u tasks", ran, nodes);
    for (int g = 0; g < run->group_count; g++) {
        unsigned pinned = atomic_load(&tree.pinned_nodes[g]);
        STRESS_CHECK(run, pinned == tree.plain_nodes[g], "group %d: plain counter %u of %u", g,
                     tree.plain_nodes[g], pinned);
    }
}

STRESS_CASE(100, "spawn_tree",
            "recursive fan-out and fan-in, every way of starting and collecting; sums checked",
            spawn_tree_round);
