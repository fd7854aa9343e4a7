/* SPDX-License-Identifier: MIT */
/* wait_for: rules 57 to 62 of asyncio. */
#include "../support/t.h"

#include <math.h>

/* Cleans up for a second when it is cancelled, then ends as it is told. */
static void *slow_to_end(void *end)
{
    T_EXPECT_INT(skua_sleep(9), -ECANCELED);
    t_log("c!");
    T_EXPECT_INT(skua_sleep(1), 0);
    t_log("cend");
    return end;
}

/* Ends at once as it is told when it is cancelled. */
static void *end_with(void *end)
{
    T_EXPECT_INT(skua_sleep(9), -ECANCELED);
    return end;
}

/* ---- rule 57 ---- */

static void *none_and_done_main(void *arg)
{
    struct t_job job = { .name = "a", .sleep = 2 };
    skua_task *a = skua_spawn(t_job, &job);
    void *value[3] = { NULL, NULL, NULL };
    T_EXPECT_INT(skua_wait_for(a, INFINITY, &value[0]), 0);
    T_EXPECT_INT(skua_wait_for(a, 0, &value[1]), 0);
    T_EXPECT_INT(skua_wait_for(a, -1, &value[2]), 0);
    for (int i = 0; i < 3; i++)
        T_EXPECT_STR(value[i], "a");
    skua_release(a);
    return arg;
}

static void test_rule_57_no_timeout_awaits_and_a_done_task_answers(void **state)
{
    /* Goal: INFINITY is a plain await; with nothing left to wait for the timeout is no matter. */
    (void)state;
    t_run(none_and_done_main, NULL);
}

static void *zero_main(void *arg)
{
    double start = skua_loop_time();
    struct t_job job = { .name = "never" };
    void *value = T_PTR(1);
    skua_task *fresh = skua_spawn(t_job, &job);
    T_EXPECT_INT(skua_wait_for(fresh, 0, &value), -ETIMEDOUT);
    T_EXPECT(skua_cancelled(fresh));
    T_EXPECT(value == T_PTR(1));
    skua_task *slow = skua_spawn(slow_to_end, skua_fail(-ECANCELED));
    skua_yield();
    T_EXPECT_INT(skua_wait_for(slow, 0, NULL), -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 1);
    T_EXPECT(skua_cancelled(slow));
    skua_release(fresh);
    skua_release(slow);
    return arg;
}

static void test_rule_57_zero_cancels_waits_for_the_end_and_times_out(void **state)
{
    /* Goal: a task not started never starts; one that runs is waited for. */
    (void)state;
    t_run(zero_main, NULL);
    t_check_log("c! cend");
}

static void *zero_hops_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "t" };
    skua_task *t = skua_spawn(t_waiter, &w);
    skua_yield();
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(6));
    skua_yield();
    t_log("m0");
    T_EXPECT_INT(skua_wait_for(t, 0, NULL), -ETIMEDOUT);
    t_log("m1");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(t);
    skua_release(f);
    return arg;
}

static void test_rule_57_zero_wakes_two_hops_after_the_end(void **state)
{
    /* Goal: the end of the inner passes through a callback of its own. */
    (void)state;
    t_run(zero_hops_main, NULL);
    t_check_log("t- 0 m0 1 t! 2 3 m1 4 5");
}

static void *zero_swallow_main(void *arg)
{
    skua_task *t = skua_spawn(end_with, T_PTR(4));
    skua_yield();
    void *value = NULL;
    T_EXPECT_INT(skua_wait_for(t, 0, &value), 0);
    T_EXPECT(value == T_PTR(4));
    skua_release(t);
    return arg;
}

static void test_rule_57_zero_returns_the_value_of_who_swallows_the_cancel(void **state)
{
    /* Goal: a result that exists is not thrown away. */
    (void)state;
    t_run(zero_swallow_main, NULL);
}

/* ---- rule 58 ---- */

static void *hops_main(void *arg)
{
    struct t_job job = { .name = "t" };
    skua_task *t = skua_spawn(t_job, &job);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    T_EXPECT_INT(skua_wait_for(t, 5, NULL), 0);
    t_log("m");
    T_EXPECT_INT(skua_wait_for(t, 5, NULL), 0);
    t_log("m1");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(t);
    return arg;
}

static void test_rule_58_a_timeout_adds_no_hop(void **state)
{
    /* Goal: wait_for is the await with a scope around it: one hop, none for a done task. */
    (void)state;
    t_run(hops_main, NULL);
    t_check_log("t 0 m m1 1 2 3 4");
}

static void *callers_task_main(void *arg)
{
    skua_task *me = skua_current_task();
    skua_timeout scope;
    T_EXPECT_INT(skua_timeout_enter(&scope, 5), 0);
    int r = skua_sleep(1);
    T_EXPECT(skua_current_task() == me);
    T_EXPECT_INT(skua_timeout_exit(&scope, r), 0);
    T_EXPECT(!skua_timeout_expired(&scope));
    return arg;
}

static void test_rule_58_a_scope_runs_its_body_in_the_callers_task(void **state)
{
    /* Goal: the form for plain calls: no task is made to put a timeout on them. */
    (void)state;
    t_run(callers_task_main, NULL);
}

/* ---- rule 59 ---- */

static void *expiry_main(void *arg)
{
    double start = skua_loop_time();
    skua_task *t = skua_spawn(slow_to_end, skua_fail(-ECANCELED));
    T_EXPECT_INT(skua_wait_for(t, 2, NULL), -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 3);
    T_EXPECT(skua_cancelled(t));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    skua_release(t);
    return arg;
}

static void test_rule_59_expiry_waits_for_the_real_end(void **state)
{
    /* Goal: 2 s of timeout and 1 s of cleanup are 3 s; the caller's own count is restored. */
    (void)state;
    t_run(expiry_main, NULL);
    t_check_log("c! cend");
}

/* ---- rule 60 ---- */

static void *swallow_main(void *arg)
{
    skua_task *value_of = skua_spawn(end_with, T_PTR(4));
    skua_task *error_of = skua_spawn(end_with, skua_fail(-EIO));
    void *value = NULL;
    T_EXPECT_INT(skua_wait_for(value_of, 2, &value), 0);
    T_EXPECT(value == T_PTR(4));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT_INT(skua_wait_for(error_of, 2, NULL), -EIO);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT_INT(skua_sleep(1), 0);
    skua_release(value_of);
    skua_release(error_of);
    return arg;
}

static void test_rule_60_an_inner_that_swallows_the_cancel_has_the_word(void **state)
{
    /* Goal: its value or its error comes out, not -ETIMEDOUT. */
    (void)state;
    t_run(swallow_main, NULL);
}

/* ---- rule 61 ---- */

struct outer {
    skua_task *inner;
    double timeout;
    int want_cancelling;
};

static void *wait_for_inner(void *arg)
{
    const struct outer *o = arg;
    int r = skua_wait_for(o->inner, o->timeout, NULL);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), o->want_cancelling);
    t_log(r == -ECANCELED ? "o!" : r == -ETIMEDOUT ? "TO" : "o");
    return r < 0 ? skua_fail(r) : NULL;
}

static void *outside_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "i" };
    struct outer o = { skua_spawn(t_waiter, &w), 5, 1 };
    skua_task *t = skua_spawn(wait_for_inner, &o);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(6));
    t_yield_times(2);
    skua_cancel(t, NULL);
    t_log("c");
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    t_log("m");
    T_EXPECT(skua_cancelled(o.inner));
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(o.inner);
    skua_release(f);
    return arg;
}

static void test_rule_61_cancelled_from_outside_is_no_timeout(void **state)
{
    /* Goal: the inner is cancelled first, then the caller gets -ECANCELED. */
    (void)state;
    t_run(outside_main, NULL);
    t_check_log("i- 0 1 c 2 i! 3 o! 4 m 5");
}

static void cancel_task(void *task)
{
    skua_cancel(task, NULL);
}

static void *both_main(void *later)
{
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "i" };
    struct outer o = { skua_spawn(t_waiter, &w), 5, 1 };
    skua_task *t = skua_spawn(wait_for_inner, &o);
    if (!later)
        skua_call_later(5, cancel_task, t);
    skua_yield();
    if (later)
        skua_call_later(5, cancel_task, t);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    skua_release(o.inner);
    skua_release(f);
    return NULL;
}

static void test_rule_61_both_at_once_the_outer_cancel_wins(void **state)
{
    /* Goal: timer and cancel in one batch, in either order. */
    (void)state;
    t_run(both_main, NULL);
    t_check_log("i- i! o!");
    t_run(both_main, T_PTR(1));
    t_check_log("i- i! o!");
}

/* ---- rule 62 ---- */

static void *same_trip_main(void *arg)
{
    struct outer o = { skua_future_new(), 5, 1 };
    skua_task *t = skua_spawn(wait_for_inner, &o);
    skua_yield();
    T_EXPECT(skua_future_set_result(o.inner, T_PTR(1)));
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT(!skua_cancelled(o.inner));
    skua_release(o.inner);
    return arg;
}

static void test_rule_62_done_and_cancelled_in_one_trip_loses_the_result(void **state)
{
    /* Goal: as with a plain await, the cancel is what the caller sees. */
    (void)state;
    t_run(same_trip_main, NULL);
    t_check_log("o!");
}

static void *shielded_main(void *arg)
{
    double start = skua_loop_time();
    struct t_job job = { .name = "i", .sleep = 5 };
    skua_task *inner = skua_spawn(t_job, &job);
    skua_task *s = skua_shield(inner);
    T_EXPECT_INT(skua_wait_for(s, 2, NULL), -ETIMEDOUT);
    T_EXPECT(!skua_done(inner));
    T_EXPECT_INT(skua_cancelling(inner), 0);
    T_EXPECT_INT(skua_await(inner, NULL), 0);
    T_EXPECT(t_elapsed(start) == 5);
    skua_release(s);
    skua_release(inner);
    return arg;
}

static void test_rule_62_a_shielded_inner_is_not_stopped(void **state)
{
    /* Goal: the timeout ends the waiting, not the work. */
    (void)state;
    t_run(shielded_main, NULL);
    t_check_log("i");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_57_no_timeout_awaits_and_a_done_task_answers),
    T_TEST(test_rule_57_zero_cancels_waits_for_the_end_and_times_out),
    T_TEST(test_rule_57_zero_wakes_two_hops_after_the_end),
    T_TEST(test_rule_57_zero_returns_the_value_of_who_swallows_the_cancel),
    T_TEST(test_rule_58_a_timeout_adds_no_hop),
    T_TEST(test_rule_58_a_scope_runs_its_body_in_the_callers_task),
    T_TEST(test_rule_59_expiry_waits_for_the_real_end),
    T_TEST(test_rule_60_an_inner_that_swallows_the_cancel_has_the_word),
    T_TEST(test_rule_61_cancelled_from_outside_is_no_timeout),
    T_TEST(test_rule_61_both_at_once_the_outer_cancel_wins),
    T_TEST(test_rule_62_done_and_cancelled_in_one_trip_loses_the_result),
    T_TEST(test_rule_62_a_shielded_inner_is_not_stopped),
};

T_MAIN(tests, NULL)
