/* SPDX-License-Identifier: MIT */
/* Goal: trees of free tasks run depth first on a handful of stacks, whichever way parents wait, and
 * that preference starves nobody. */
#include "scale.h"
#include "t.h"

#include "sched/worker.h"

enum how { GATHER, AWAIT_FIRST, AWAIT_LAST, JOIN };

struct node {
    int      depth, width;
    enum how how;
};

static RT_ATOMIC(int) leaves;

static uint64_t stacks_created(void)
{
    struct skua_stats stats = { .size = sizeof stats };
    T_EXPECT_INT(skua_stats_get(&stats), 0);
    return stats.stacks_created;
}

static int wait_all(skua_task **t, int n, enum how how)
{
    int r = 0;
    if (how == GATHER)
        r = skua_gather(t, (size_t)n, NULL, 0);
    for (int i = 0; i < n && r == 0 && how != GATHER; i++)
        r = skua_await(t[how == AWAIT_LAST ? n - 1 - i : i], NULL);
    skua_release_all(t, (size_t)n);
    return r;
}

static void *grow(void *arg)
{
    const struct node *me = arg;
    struct node        child = { me->depth - 1, me->width, me->how };
    skua_task         *t[8] = { NULL };
    if (me->depth == 0) {
        (void)rt_add_relaxed(&leaves, 1);
        return NULL;
    }
    for (int i = 0; i < me->width; i++)
        T_EXPECT((t[i] = skua_go(grow, &child)) != NULL);
    T_EXPECT_INT(wait_all(t, me->width, me->how), 0);
    return NULL;
}

static int power(int base, int n)
{
    return n ? base * power(base, n - 1) : 1;
}

static void tree(int workers, enum how how, int width, int depth, unsigned stacks)
{
    struct node root = { depth, width, how };
    uint64_t    before = rt_stacks_created();
    rt_store_relaxed(&leaves, 0);
    t_run(grow, &root, .workers = workers, .free_main = true, .real_time = true);
    assert_int_equal(rt_load_relaxed(&leaves), power(width, depth));
    /* Each 62nd pick is the oldest task and not the newest: that opens one more branch. */
    unsigned opened = (unsigned)power(width, depth) * 2 / RT_DIVE_MAX;
    assert_in_range(rt_stacks_created() - before, 0, stacks + opened);
}

/* The limits: one stack for each level of the path being walked, and as much again for siblings
 * that were started by the way. */
static void test_tree_binary_few_stacks(void **state)
{
    for (int how = GATHER; how <= AWAIT_LAST; how++)
        tree(1, (enum how)how, 2, 13, 40);
}

static void test_tree_wide_few_stacks(void **state)
{
    for (int how = GATHER; how <= AWAIT_LAST; how++)
        tree(1, (enum how)how, 8, 4, 40);
}

static void test_tree_many_workers_few_stacks(void **state)
{
    for (int workers = 2; workers <= 4; workers += 2)
        for (int how = GATHER; how <= AWAIT_LAST; how++)
            tree(workers, (enum how)how, 2, 12, 64 * (unsigned)workers);
}

/* --- nobody starves --- */

static RT_ATOMIC(int) oldest_started, started;

static void *oldest(void *arg)
{
    (void)arg;
    rt_store_release(&oldest_started, 1);
    return NULL;
}

static void *brief(void *arg)
{
    (void)arg;
    (void)rt_add_relaxed(&started, 1);
    return NULL;
}

/* Spawns and waits without an end, always with a fresh child to prefer. */
static void *spawner(void *how)
{
    while (!rt_load_acquire(&oldest_started) && rt_load_relaxed(&started) < 100000) {
        skua_task *t[2];
        for (int i = 0; i < 2; i++)
            T_EXPECT((t[i] = skua_go(brief, NULL)) != NULL);
        T_EXPECT_INT(wait_all(t, 2, (enum how)T_NUM(how)), 0);
    }
    return NULL;
}

/* main and its spawner take turns in being the parent, so the tail holds what was there before. */
static void *spawn_beside_oldest(void *how)
{
    rt_store_relaxed(&oldest_started, 0);
    rt_store_relaxed(&started, 0);
    skua_task *t[2];
    T_EXPECT((t[0] = skua_go(oldest, NULL)) != NULL);
    T_EXPECT((t[1] = skua_go(spawner, how)) != NULL);
    T_EXPECT_INT(skua_join(t[1], NULL), 0);
    int limit = RT_LOOK_EVERY + 2 * RT_BUDGET;
    T_EXPECT(rt_load_relaxed(&started) <= limit * t_workers());
    T_EXPECT_INT(skua_join(t[0], NULL), 0);
    return NULL;
}

static void test_tree_oldest_starts_beside_endless_spawner(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        for (int how = GATHER; how <= AWAIT_LAST; how++)
            t_run(spawn_beside_oldest, T_PTR(how), .workers = workers, .free_main = true,
                  .real_time = true);
}

/* Parents that gather: each pick is one task, so the limit is that of picks in a row. */
static void *count_picks(void *arg)
{
    (void)arg;
    (void)spawn_beside_oldest(T_PTR(GATHER));
    T_EXPECT(rt_load_relaxed(&started) <= RT_DIVE_MAX + 4);
    return NULL;
}

static void test_tree_dive_ends_after_61_picks(void **state)
{
    t_run(count_picks, NULL, .workers = 1, .free_main = true, .real_time = true);
}

/* A chain without an end: every task waits for a younger one. */
static void *descend(void *arg)
{
    int depth = T_NUM(arg);
    (void)rt_add_relaxed(&started, 1);
    if (rt_load_acquire(&oldest_started) || depth > 2000)
        return NULL;
    skua_task *child = skua_go(descend, T_PTR(depth + 1));
    T_EXPECT_INT(skua_gather(&child, 1, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void *descend_beside_oldest(void *arg)
{
    (void)arg;
    rt_store_relaxed(&oldest_started, 0);
    rt_store_relaxed(&started, 0);
    skua_task *old = skua_go(oldest, NULL);
    SKUA_IGNORE(descend(T_PTR(0)));
    T_EXPECT(rt_load_relaxed(&started) <= RT_DIVE_MAX + 4);
    T_EXPECT_INT(skua_join(old, NULL), 0);
    return NULL;
}

static void test_tree_endless_descent_lets_oldest_start(void **state)
{
    t_run(descend_beside_oldest, NULL, .workers = 1, .free_main = true, .real_time = true);
}

/* --- taking back --- */

static RT_ATOMIC(uintptr_t) caller_stack;

static void *note_stack(void *arg)
{
    (void)arg;
    rt_store_relaxed(&caller_stack, (uintptr_t)rt_self()->stack);
    return T_PTR(5);
}

static void *await_fresh(void *arg)
{
    (void)arg;
    void *value = NULL;
    (void)skua_yield();
    uint64_t   before = stacks_created();
    skua_task *t = skua_go(note_stack, NULL);
    T_EXPECT_INT(skua_await(t, &value), 0);
    T_EXPECT_INT(T_NUM(value), 5);
    T_EXPECT(rt_load_relaxed(&caller_stack) == (uintptr_t)rt_self()->stack);
    T_EXPECT_INT(stacks_created() - before, 0);
    skua_release(t);
    /* With a class of its own it is not called on this stack. */
    t = skua_go(note_stack, NULL, .stack_size = 200 * 1024);
    T_EXPECT_INT(skua_await(t, NULL), 0);
    T_EXPECT(rt_load_relaxed(&caller_stack) != (uintptr_t)rt_self()->stack);
    skua_release(t);
    return NULL;
}

static void test_await_fresh_child_is_a_call(void **state)
{
    t_run(await_fresh, NULL, .workers = 1, .free_main = true, .real_time = true);
}

/* Awaiting children of children, far deeper than one stack has room for. */
static void *nest(void *arg)
{
    int depth = T_NUM(arg);
    volatile char room[2000];
    void *value = NULL;
    room[0] = room[1999] = (char)depth;
    if (depth == 0)
        return T_PTR(0);
    skua_task *t = skua_go(nest, T_PTR(depth - 1));
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT(room[0] == (char)depth && room[1999] == (char)depth);
    return T_PTR(T_NUM(value) + 1);
}

static void test_await_nested_deeper_than_a_stack(void **state)
{
    for (int workers = 1; workers <= 2; workers++)
        t_run(nest, T_PTR(T_SCALE(2000, 500)), .workers = workers, .free_main = true,
              .real_time = true, .want_value = T_PTR(T_SCALE(2000, 500)));
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_tree_binary_few_stacks),
    T_TEST(test_tree_wide_few_stacks),
    T_TEST(test_tree_many_workers_few_stacks),
    T_TEST(test_tree_oldest_starts_beside_endless_spawner),
    T_TEST(test_tree_dive_ends_after_61_picks),
    T_TEST(test_tree_endless_descent_lets_oldest_start),
    T_TEST(test_await_fresh_child_is_a_call),
    T_TEST(test_await_nested_deeper_than_a_stack),
};
T_MAIN(tests, NULL)
