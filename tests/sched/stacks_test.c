/* SPDX-License-Identifier: MIT */
/* Goal: once warm, starting and awaiting tasks makes no stack, and task objects come back: memory
 * does not grow with the number of tasks that ever ran. */
#include "scale.h"
#include "t.h"

#include "base/mem.h"
#include "sched/worker.h"

enum { WARM = 2000, MANY = T_SCALE(1000000, 20000), FEW = T_SCALE(100000, 5000) };

static void *nothing(void *arg)
{
    return arg;
}

static void *one_yield(void *arg)
{
    (void)skua_yield();
    return arg;
}

struct load {
    skua_fn fn;
    bool    free;
};

static void start_and_await(const struct load *load, int n)
{
    for (int i = 0; i < n; i++) {
        void      *value = NULL;
        skua_task *t = load->free ? skua_go(load->fn, T_PTR(i)) : skua_spawn(load->fn, T_PTR(i));
        int        r = skua_join(t, &value);
        if (r != 0 || T_NUM(value) != i) {
            T_EXPECT_INT(r, 0);
            T_EXPECT_INT(T_NUM(value), i);
            return;
        }
    }
}

static void *churn(void *arg)
{
    const struct load *load = arg;
    struct skua_stats  before = { .size = sizeof before }, after = { .size = sizeof after };
    int                n = load->fn == nothing ? MANY : FEW;
    start_and_await(load, WARM);
    T_EXPECT_INT(skua_stats_get(&before), 0);
    uint32_t carved = rt_slab_carved();
    int64_t  live = rt_mem_live();
    start_and_await(load, n);
    T_EXPECT_INT(skua_stats_get(&after), 0);
    T_EXPECT_INT(rt_mem_live(), live);
    T_EXPECT_INT(after.tasks_alive, before.tasks_alive);
    if (after.workers == 1) {
        T_EXPECT_INT(after.stacks_created, before.stacks_created);
        T_EXPECT_INT(rt_slab_carved(), carved);
    } else {
        T_EXPECT(after.stacks_created - before.stacks_created <= 8u * (unsigned)after.workers);
        T_EXPECT(rt_slab_carved() - carved <= 2048u * (unsigned)after.workers);
    }
    return NULL;
}

static void test_stacks_pinned_spawn_makes_none(void **state)
{
    struct load load = { nothing, false };
    t_run(churn, &load, .workers = 1, .real_time = true);
}

static void test_stacks_pinned_child_that_suspends_makes_none(void **state)
{
    struct load load = { one_yield, false };
    t_run(churn, &load, .workers = 1, .real_time = true);
}

static void test_stacks_free_go_makes_none(void **state)
{
    struct load load = { nothing, true };
    t_run(churn, &load, .workers = 1, .real_time = true, .free_main = true);
}

static void test_stacks_free_child_that_suspends_makes_none(void **state)
{
    struct load load = { one_yield, true };
    t_run(churn, &load, .workers = 1, .real_time = true, .free_main = true);
}

static void test_stacks_free_with_two_workers_few(void **state)
{
    struct load load = { one_yield, true };
    t_run(churn, &load, .workers = 2, .real_time = true, .free_main = true);
}

/* From a pinned main every go is a wake of another thread and back. */
static void *churn_across(void *arg)
{
    struct load       load = { nothing, true };
    struct skua_stats before = { .size = sizeof before }, after = { .size = sizeof after };
    (void)arg;
    start_and_await(&load, 500);
    T_EXPECT_INT(skua_stats_get(&before), 0);
    start_and_await(&load, T_SCALE(10000, 1000));
    T_EXPECT_INT(skua_stats_get(&after), 0);
    T_EXPECT(after.stacks_created - before.stacks_created <= 8);
    return NULL;
}

static void test_stacks_go_from_pinned_main_few(void **state)
{
    for (int workers = 1; workers <= 2; workers++)
        t_run(churn_across, NULL, .workers = workers, .real_time = true);
}

/* A thousand sleepers at once need a thousand stacks, and the second thousand needs none. */
static void *crowd(void *arg)
{
    enum { CROWD = 1000 };
    static skua_task *t[CROWD];
    struct skua_stats first = { .size = sizeof first }, second = { .size = sizeof second };
    (void)arg;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < CROWD; i++)
            t[i] = skua_spawn(one_yield, NULL);
        T_EXPECT_INT(skua_gather(t, CROWD, NULL, SKUA_RELEASE), 0);
        T_EXPECT_INT(skua_stats_get(round ? &second : &first), 0);
    }
    T_EXPECT_INT(second.stacks_created, first.stacks_created);
    return NULL;
}

static void test_stacks_crowd_reuses_its_stacks(void **state)
{
    t_run(crowd, NULL, .workers = 1);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_stacks_pinned_spawn_makes_none),
    T_TEST(test_stacks_pinned_child_that_suspends_makes_none),
    T_TEST(test_stacks_free_go_makes_none),
    T_TEST(test_stacks_free_child_that_suspends_makes_none),
    T_TEST(test_stacks_free_with_two_workers_few),
    T_TEST(test_stacks_go_from_pinned_main_few),
    T_TEST(test_stacks_crowd_reuses_its_stacks),
};
T_MAIN(tests, NULL)
