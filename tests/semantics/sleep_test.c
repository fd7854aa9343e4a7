/* SPDX-License-Identifier: MIT */
/* sleep: rules 42 and 43 of asyncio. */
#include "../support/t.h"

#include <math.h>

/* ---- rule 42 ---- */

static void *three_rounds(void *name)
{
    for (int i = 0; i < 3; i++) {
        t_log("%s%d", (const char *)name, i);
        T_EXPECT_INT(skua_sleep(0), 0);
    }
    return NULL;
}

static void *round_robin_main(void *arg)
{
    skua_task *a = skua_spawn(three_rounds, "a"), *b = skua_spawn(three_rounds, "b");
    void *value = NULL;
    T_EXPECT_INT(skua_sleep_result(0, T_PTR(5), &value), 0);
    T_EXPECT(value == T_PTR(5));
    t_log("m");
    T_EXPECT_INT(skua_await(a, NULL), 0);
    t_log("m1");
    T_EXPECT_INT(skua_await(b, NULL), 0);
    skua_release(a);
    skua_release(b);
    return arg;
}

static void test_rule_42_sleep_zero_is_one_trip_round_robin(void **state)
{
    /* Goal: equals take turns; the result comes back; no timer is involved. */
    (void)state;
    t_run(round_robin_main, NULL);
    t_check_log("a0 b0 m a1 b1 a2 b2 m1");
}

static void *negative_main(void *arg)
{
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(4));
    skua_yield();
    double before = skua_loop_time();
    T_EXPECT_INT(skua_sleep(-1), 0);
    t_log("m");
    T_EXPECT_INT(skua_sleep(-INFINITY), 0);
    t_log("m1");
    T_EXPECT(skua_loop_time() == before);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return arg;
}

static void test_rule_42_a_negative_delay_is_one_trip(void **state)
{
    /* Goal: a delay in the past is a bare yield, too, and takes no time. */
    (void)state;
    t_run(negative_main, NULL);
    t_check_log("0 1 m 2 m1 3");
}

static void *nan_main(void *arg)
{
    void *value = T_PTR(1);
    T_EXPECT_INT(skua_sleep(NAN), -EINVAL);
    T_EXPECT_INT(skua_sleep_result(NAN, NULL, &value), -EINVAL);
    T_EXPECT(value == T_PTR(1));
    T_EXPECT_INT(skua_sleep_until(NAN), -EINVAL);
    return arg;
}

static void test_rule_42_nan_is_refused(void **state)
{
    /* Goal: a delay that is no number is an error, not a wait. */
    (void)state;
    t_run(nan_main, NULL);
}

/* ---- rule 43 ---- */

static void *sleep_then_say(void *name)
{
    T_EXPECT_INT(skua_sleep(0.1), 0);
    t_log("%s", (const char *)name);
    return NULL;
}

static void say_x_then_y(void *arg)
{
    (void)arg;
    t_log("x");
    skua_call_soon(t_say, "y");
}

static void *two_hops_main(void *arg)
{
    double start = skua_loop_time();
    skua_task *a = skua_spawn(sleep_then_say, "a"), *b = skua_spawn(sleep_then_say, "b");
    T_EXPECT_INT(skua_sleep(0), 0);
    skua_call_later(0.1, say_x_then_y, NULL);
    T_EXPECT_INT(skua_await(a, NULL), 0);
    t_log("m");
    T_EXPECT_INT(skua_await(b, NULL), 0);
    T_EXPECT(t_elapsed(start) == 0.1);
    skua_release(a);
    skua_release(b);
    return arg;
}

static void test_rule_43_a_timer_wakes_its_sleeper_in_two_hops(void **state)
{
    /* Goal: the timer's own step comes first, the sleeper one trip later: a callback due at the
     * same time runs between them. */
    (void)state;
    t_run(two_hops_main, NULL);
    t_check_log("x a b y m");
}

static void *not_early_main(void *arg)
{
    for (int i = 1; i <= 20; i++) {
        double want = i / 1000.0, before = t_wall();
        T_EXPECT_INT(skua_sleep(want), 0);
        T_EXPECT(t_wall() - before >= want - 1e-6);
    }
    double until = skua_loop_time() + 0.01;
    T_EXPECT_INT(skua_sleep_until(until), 0);
    T_EXPECT(skua_loop_time() >= until - 1e-6);
    return arg;
}

static void test_rule_43_never_wakes_early(void **state)
{
    /* Goal: on the clock on the wall, sleep and sleep_until take at least what they were told. */
    (void)state;
    t_run(not_early_main, NULL, .real_time = true);
}

static void *long_sleep(void *arg)
{
    T_EXPECT_INT(skua_sleep(100), -ECANCELED);
    t_log("c");
    return arg;
}

static void *cancel_main(void *arg)
{
    double start = skua_loop_time();
    skua_task *t = skua_spawn(long_sleep, skua_fail(-ECANCELED));
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(4));
    skua_yield();
    skua_cancel(t, NULL);
    t_log("m");
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    t_log("m1");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    T_EXPECT(t_elapsed(start) == 0);
    T_EXPECT_INT(skua_sleep(200), 0);
    T_EXPECT(t_elapsed(start) == 200);
    skua_release(t);
    return arg;
}

static void test_rule_43_cancel_removes_the_timer(void **state)
{
    /* Goal: the sleeper wakes at once, and its timer does not fire later. */
    (void)state;
    t_run(cancel_main, NULL);
    t_check_log("0 m 1 c 2 m1 3");
}

static void *result_main(void *arg)
{
    void *value = NULL;
    T_EXPECT_INT(skua_sleep_result(3600, "late", &value), 0);
    T_EXPECT_STR(value, "late");
    double start = skua_loop_time();
    T_EXPECT_INT(skua_sleep_until(start + 5), 0);
    T_EXPECT(t_elapsed(start) == 5);
    T_EXPECT_INT(skua_sleep_until(start - 5), 0);
    T_EXPECT(t_elapsed(start) == 5);
    return arg;
}

static void test_rule_43_sleep_gives_its_result(void **state)
{
    /* Goal: the result comes with the wake-up; sleep_until takes a time of the loop's clock. */
    (void)state;
    t_run(result_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_42_sleep_zero_is_one_trip_round_robin),
    T_TEST(test_rule_42_a_negative_delay_is_one_trip),
    T_TEST(test_rule_42_nan_is_refused),
    T_TEST(test_rule_43_a_timer_wakes_its_sleeper_in_two_hops),
    T_TEST(test_rule_43_never_wakes_early),
    T_TEST(test_rule_43_cancel_removes_the_timer),
    T_TEST(test_rule_43_sleep_gives_its_result),
};

T_MAIN(tests, NULL)
