/* SPDX-License-Identifier: MIT */
/* Goal: cancelling goes down chains of any length without using up a stack: each task waits for the
 * one before it, or gathers a tree, and the request reaches the far end. */
#include "scale.h"
#include "t.h"

enum { LENGTH = T_SCALE(10000, 2000), NESTED = 200 };

static int delivered;
static skua_task *chain[LENGTH];

static void *link_of_chain(void *arg)
{
    int i = T_NUM(arg);
    int r = i == 0 ? skua_sleep(1000) : skua_await(chain[i - 1], NULL);
    T_EXPECT_INT(r, -ECANCELED);
    __atomic_fetch_add(&delivered, 1, __ATOMIC_RELAXED);
    return skua_fail(r);
}

static void wait_until_quiet(void)
{
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_sleep(0.05), 0);
}

static void *cancel_chain(void *arg)
{
    bool is_free = arg != NULL;
    __atomic_store_n(&delivered, 0, __ATOMIC_RELAXED);
    for (int i = 0; i < LENGTH; i++) {
        chain[i] = is_free ? skua_go(link_of_chain, T_PTR(i)) : skua_spawn(link_of_chain, T_PTR(i));
        T_EXPECT(chain[i] != NULL);
        (void)skua_yield();
    }
    wait_until_quiet();
    T_EXPECT(skua_cancel(chain[LENGTH - 1], NULL));
    T_EXPECT_INT(skua_await(chain[LENGTH - 1], NULL), -ECANCELED);
    T_EXPECT_INT(__atomic_load_n(&delivered, __ATOMIC_RELAXED), LENGTH);
    for (int i = 0; i < LENGTH; i++)
        T_EXPECT(skua_cancelled(chain[i]) && skua_cancelling(chain[i]) == 1);
    skua_release_all(chain, LENGTH);
    return NULL;
}

static void test_chain_pinned(void **state)
{
    t_run(cancel_chain, NULL, .workers = 1, .real_time = true);
}

static void test_chain_free(void **state)
{
    for (int workers = 1; workers <= 2; workers++)
        t_run(cancel_chain, T_PTR(1), .workers = workers, .real_time = true);
}

/* Half of the links in main's group, half in another one: the request changes threads each time. */
static void *cancel_across(void *arg)
{
    enum { SHORT = 300 };
    (void)arg;
    skua_group *g = skua_group_new(.worker = 2);
    __atomic_store_n(&delivered, 0, __ATOMIC_RELAXED);
    for (int i = 0; i < SHORT; i++) {
        chain[i] = skua_spawn(link_of_chain, T_PTR(i), .group = i % 2 ? g : NULL);
        (void)skua_yield();
    }
    wait_until_quiet();
    T_EXPECT(skua_cancel(chain[SHORT - 1], NULL));
    T_EXPECT_INT(skua_await(chain[SHORT - 1], NULL), -ECANCELED);
    T_EXPECT_INT(__atomic_load_n(&delivered, __ATOMIC_RELAXED), SHORT);
    skua_release_all(chain, SHORT);
    skua_group_release(g);
    return NULL;
}

static void test_chain_across_groups(void **state)
{
    t_run(cancel_across, NULL, .workers = 2, .real_time = true);
}

/* --- gathers inside gathers --- */

static int      entered;
static unsigned flags;

static void *nest(void *arg)
{
    int depth = T_NUM(arg), r;
    if (depth <= 0) { /* the innermost, or one beside a nest */
        if (depth == 0)
            __atomic_store_n(&entered, 1, __ATOMIC_RELEASE);
        r = skua_sleep(1000);
    } else {
        skua_task *t[2] = { skua_spawn(nest, T_PTR(depth - 1)), skua_spawn(nest, T_PTR(-1)) };
        r = skua_gather(t, 2, NULL, SKUA_RELEASE | flags);
    }
    T_EXPECT_INT(r, -ECANCELED);
    __atomic_fetch_add(&delivered, 1, __ATOMIC_RELAXED);
    return skua_fail(r);
}

static void *cancel_nested(void *arg)
{
    (void)arg;
    __atomic_store_n(&delivered, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&entered, 0, __ATOMIC_RELAXED);
    skua_task *t = skua_spawn(nest, T_PTR(NESTED));
    double     deadline = t_wall() + 10;
    while (!__atomic_load_n(&entered, __ATOMIC_ACQUIRE) && t_wall() < deadline)
        T_EXPECT_INT(skua_sleep(0.001), 0);
    wait_until_quiet();
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    /* The first cancelled child ends a gather unless errors are results. */
    while (!flags && __atomic_load_n(&delivered, __ATOMIC_RELAXED) <= 2 * NESTED &&
           t_wall() < deadline)
        T_EXPECT_INT(skua_sleep(0.001), 0);
    T_EXPECT_INT(__atomic_load_n(&delivered, __ATOMIC_RELAXED), 2 * NESTED + 1);
    return NULL;
}

static void test_nested_gathers(void **state)
{
    for (int i = 0; i < 4; i++) {
        int workers = 1 + i % 2;
        flags = i / 2 ? SKUA_RETURN_ERRORS : 0;
        t_run(cancel_nested, NULL, .workers = workers, .real_time = true);
        t_run(cancel_nested, NULL, .workers = workers, .real_time = true, .free_main = true);
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_chain_pinned),
    T_TEST(test_chain_free),
    T_TEST(test_chain_across_groups),
    T_TEST(test_nested_gathers),
};
T_MAIN(tests, NULL)
