/* SPDX-License-Identifier: MIT */
/* Goal: when main has ended every task that is left is cancelled once and waited for, those that
 * appear meanwhile too; a limit names those that will not go. */
#include "scale.h"
#include "t.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/mem.h"

enum { MANY = T_SCALE(1000, 300) };

static atomic_int ended, dropped, spawned;

static void *obey(void *arg)
{
    (void)arg;
    int r = skua_sleep(1000);
    T_EXPECT_INT(r, -ECANCELED);
    atomic_fetch_add(&ended, 1);
    return skua_fail(r);
}

static void forget(void)
{
    atomic_store(&ended, 0);
    atomic_store(&dropped, 0);
    atomic_store(&spawned, 0);
}

static void *leave_many(void *arg)
{
    for (int i = 0; i < MANY; i++)
        skua_detach(i % 2 ? skua_spawn(obey, NULL) : skua_go(obey, NULL));
    if (arg)
        T_EXPECT_INT(skua_sleep(0.02), 0); /* long enough for all to suspend, with one worker */
    return NULL;
}

static void test_shutdown_cancels_all_that_sleep(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        forget();
        t_run(leave_many, T_PTR(1), .workers = workers, .real_time = true);
        if (workers == 1)
            assert_int_equal(atomic_load(&ended), MANY);
    }
}

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void *never(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ended, 1);
    return NULL;
}

/* Every body ran or had its argument dropped, each once. */
static void *leave_unstarted(void *arg)
{
    for (int i = 0; i < MANY; i++)
        skua_detach(arg ? skua_go(never, NULL, .drop = drop)
                        : skua_spawn(never, NULL, .drop = drop));
    return NULL;
}

static void test_shutdown_runs_or_drops_what_was_ready(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        for (intptr_t is_free = 0; is_free < 2; is_free++) {
            forget();
            t_run(leave_unstarted, (void *)is_free, .workers = workers, .real_time = true);
            assert_int_equal(atomic_load(&ended) + atomic_load(&dropped), MANY);
        }
    }
}

/* --- tasks that spawn while they are being cancelled --- */

static void *spawn_on_cancel(void *arg)
{
    int left = T_NUM(arg);
    SKUA_IGNORE(skua_sleep(1000));
    if (left > 0) {
        skua_task *t = left % 2 ? skua_spawn(spawn_on_cancel, T_PTR(left - 1))
                                : skua_go(spawn_on_cancel, T_PTR(left - 1));
        T_EXPECT(t != NULL);
        skua_release(t);
        (void)skua_yield();
        atomic_fetch_add(&spawned, 1);
    }
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void *leave_spawners(void *arg)
{
    for (int i = 0; i < 20; i++)
        skua_detach(i % 2 ? skua_spawn(spawn_on_cancel, arg) : skua_go(spawn_on_cancel, arg));
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return NULL;
}

static void test_shutdown_cancels_what_is_spawned_meanwhile(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        for (int round = 0; round < T_SCALE(20, 4); round++) {
            forget();
            t_run(leave_spawners, T_PTR(5), .workers = workers, .real_time = true);
            assert_in_range(atomic_load(&ended), workers == 1 ? 20 : 1, 20 * 6);
        }
    }
}

/* --- one request each --- */

static void *swallow_once(void *arg)
{
    (void)arg;
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    T_EXPECT_INT(skua_sleep(0.005), 0); /* clean-up may suspend, and is not disturbed */
    (void)skua_yield();
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 1);
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void *leave_swallowers(void *arg)
{
    for (int i = 0; i < 50; i++)
        skua_detach(i % 2 ? skua_spawn(swallow_once, NULL) : skua_go(swallow_once, NULL));
    T_EXPECT_INT(skua_sleep(0.02), 0);
    return arg;
}

static void test_shutdown_asks_each_task_once(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        forget();
        t_run(leave_swallowers, T_PTR(9), .workers = workers, .want_value = T_PTR(9),
              .real_time = true);
        if (workers == 1)
            assert_int_equal(atomic_load(&ended), 50);
    }
}

/* Leftovers that wait for each other, and for a future nobody will set. */
static void *wait_for_arg(void *arg)
{
    int r = skua_await(arg, NULL);
    T_EXPECT_INT(r, -ECANCELED);
    return skua_fail(r);
}

static void *leave_waiters(void *arg)
{
    skua_future *f = skua_future_new();
    skua_task   *before = f;
    for (int i = 0; i < 100; i++) {
        skua_task *t = i % 2 ? skua_spawn(wait_for_arg, before) : skua_go(wait_for_arg, before);
        before = t; /* leaked to the task after it: released below */
        skua_retain(t);
        skua_detach(t);
        (void)skua_yield();
    }
    skua_release(before);
    return arg;
}

static void test_shutdown_ends_waiters_of_waiters(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(leave_waiters, NULL, .workers = workers, .real_time = true);
}

/* --- the limit --- */

static void *stubborn(void *arg)
{
    while (arg == NULL)
        SKUA_IGNORE(skua_sleep(0.001));
    return NULL;
}

static void *leave_stubborn(void *arg)
{
    skua_detach(skua_spawn(stubborn, NULL, .name = "mule"));
    skua_detach(skua_go(stubborn, NULL, .name = "donkey"));
    skua_detach(skua_spawn(obey, NULL, .name = "lamb"));
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return arg;
}

static int scenario_stubborn(void)
{
    double before = t_wall();
    int    r = skua_run(leave_stubborn, NULL, .shutdown_timeout = 0.2);
    double took = t_wall() - before;
    T_EXPECT(took >= 0.2 && took < 5);
    _exit(t_failures() > 0 ? 99 : r == 0 ? 0 : 1); /* the stubborn ones are leaked */
}

static void test_shutdown_limit_names_the_stubborn(void **state)
{
    struct t_child child;
    t_child_run("stubborn", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "mule"));
    assert_non_null(strstr(child.text, "donkey"));
    assert_null(strstr(child.text, "lamb"));
    assert_non_null(strstr(child.text, "shutdown_test.c:"));
}

static const struct t_scenario scenarios[] = {
    { "stubborn", scenario_stubborn },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_shutdown_cancels_all_that_sleep),
    T_TEST(test_shutdown_runs_or_drops_what_was_ready),
    T_TEST(test_shutdown_cancels_what_is_spawned_meanwhile),
    T_TEST(test_shutdown_asks_each_task_once),
    T_TEST(test_shutdown_ends_waiters_of_waiters),
    T_TEST(test_shutdown_limit_names_the_stubborn),
};
T_MAIN(tests, scenarios)
