/* SPDX-License-Identifier: MIT */
/* Timeout scopes: rule 63 of asyncio. */
#include "../support/t.h"

#include <math.h>

static void *past_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    skua_yield();
    skua_timeout scope;
    int r = skua_timeout_enter(&scope, -1);
    T_EXPECT_INT(r, 0);
    t_log("in");
    r = skua_await(f, NULL);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_timeout_exit(&scope, r), -ETIMEDOUT);
    t_log("TO");
    T_EXPECT(skua_timeout_expired(&scope));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(f);
    return arg;
}

static void test_rule_63_a_deadline_in_the_past_cancels_in_the_next_iteration(void **state)
{
    /* Goal: entering runs nothing; the first wait is cut off, by the timer's own step. */
    (void)state;
    t_run(past_main, NULL);
    t_check_log("0 in 1 2 TO 3 4");
}

static void *zero_yield_main(void *arg)
{
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    skua_yield();
    skua_timeout scope;
    SKUA_IGNORE(skua_timeout_enter(&scope, 0));
    t_log("in");
    int r = skua_yield();
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_timeout_exit(&scope, r), -ETIMEDOUT);
    t_log("TO");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return arg;
}

static void test_rule_63_a_bare_yield_is_cut_off_as_well(void **state)
{
    /* Goal: the timer's step comes before the yielding task's next one. */
    (void)state;
    t_run(zero_yield_main, NULL);
    t_check_log("0 in 1 TO 2 3 4");
}

static void *no_wait_main(void *arg)
{
    skua_timeout scope;
    SKUA_IGNORE(skua_timeout_enter(&scope, 0));
    T_EXPECT_INT(skua_timeout_exit(&scope, 0), 0);
    T_EXPECT(!skua_timeout_expired(&scope));
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return arg;
}

static void test_rule_63_a_body_that_never_waits_is_not_cut_off(void **state)
{
    /* Goal: the scope was left before the timer's step; the timer is gone with it. */
    (void)state;
    t_run(no_wait_main, NULL);
}

static void *reschedule_main(void *arg)
{
    double start = skua_loop_time();
    skua_timeout scope;
    SKUA_IGNORE(skua_timeout_enter(&scope, 1));
    T_EXPECT_INT(skua_timeout_reschedule(&scope, start + 5), 0);
    T_EXPECT_INT(skua_sleep(2), 0);
    int r = skua_sleep(9);
    T_EXPECT_INT(skua_timeout_exit(&scope, r), -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 5);

    SKUA_IGNORE(skua_timeout_enter(&scope, 1));
    T_EXPECT_INT(skua_timeout_reschedule(&scope, INFINITY), 0);
    r = skua_sleep(3);
    T_EXPECT_INT(r, 0);
    T_EXPECT_INT(skua_timeout_exit(&scope, r), 0);
    T_EXPECT(t_elapsed(start) == 8);

    SKUA_IGNORE(skua_timeout_enter(&scope, INFINITY));
    T_EXPECT_INT(skua_timeout_reschedule(&scope, skua_loop_time() - 1), 0);
    r = skua_sleep(9);
    T_EXPECT_INT(skua_timeout_exit(&scope, r), -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 8);
    return arg;
}

static void test_rule_63_a_scope_may_be_rescheduled(void **state)
{
    /* Goal: later, never, and to a time that has passed. */
    (void)state;
    t_run(reschedule_main, NULL);
}

static void *inactive_main(void *arg)
{
    skua_timeout scope = { { 0 } };
    T_EXPECT_INT(skua_timeout_reschedule(&scope, skua_loop_time() + 1), -EINVAL);
    T_EXPECT_INT(skua_timeout_exit(&scope, 0), -EINVAL);
    SKUA_IGNORE(skua_timeout_enter(&scope, 1));
    T_EXPECT_INT(skua_timeout_exit(&scope, 0), 0);
    T_EXPECT_INT(skua_timeout_reschedule(&scope, skua_loop_time() + 1), -EINVAL);
    SKUA_IGNORE(skua_timeout_enter(&scope, 1));
    T_EXPECT_INT(skua_sleep(2), -ECANCELED);
    T_EXPECT(skua_timeout_expired(&scope));
    T_EXPECT_INT(skua_timeout_reschedule(&scope, skua_loop_time() + 1), -EINVAL);
    T_EXPECT_INT(skua_timeout_exit(&scope, -ECANCELED), -ETIMEDOUT);
    return arg;
}

static void test_rule_63_only_an_active_scope_may_be_rescheduled(void **state)
{
    /* Goal: scopes never entered, left or expired say so, and not that they are another's. */
    (void)state;
    t_run(inactive_main, NULL);
}

static void *outer_first_main(void *arg)
{
    double start = skua_loop_time();
    skua_timeout outer, inner;
    SKUA_IGNORE(skua_timeout_enter(&outer, 2));
    SKUA_IGNORE(skua_timeout_enter(&inner, 5));
    int r = skua_sleep(9);
    r = skua_timeout_exit(&inner, r);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(!skua_timeout_expired(&inner));
    T_EXPECT(skua_timeout_expired(&outer));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 1);
    T_EXPECT_INT(skua_timeout_exit(&outer, r), -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 2);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return arg;
}

static void test_rule_63_the_inner_scope_does_not_convert_the_outers_cancel(void **state)
{
    /* Goal: -ECANCELED passes through the inner scope and becomes -ETIMEDOUT at the outer. */
    (void)state;
    t_run(outer_first_main, NULL);
}

static void *inner_first_main(void *arg)
{
    double start = skua_loop_time();
    skua_timeout outer, inner;
    SKUA_IGNORE(skua_timeout_enter(&outer, 5));
    SKUA_IGNORE(skua_timeout_enter(&inner, 2));
    int r = skua_sleep(9);
    T_EXPECT_INT(skua_timeout_exit(&inner, r), -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 2);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT_INT(skua_sleep(1), 0);
    r = skua_sleep(9);
    T_EXPECT_INT(skua_timeout_exit(&outer, r), -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 5);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return arg;
}

static void test_rule_63_the_outer_goes_on_after_the_inner_expired(void **state)
{
    /* Goal: each scope expires for itself, and the count comes back to the entry value. */
    (void)state;
    t_run(inner_first_main, NULL);
}

static void *same_deadline_main(void *arg)
{
    skua_timeout outer, inner;
    SKUA_IGNORE(skua_timeout_enter(&outer, 2));
    double when = skua_loop_time() + 2;
    SKUA_IGNORE(skua_timeout_enter(&inner, INFINITY));
    SKUA_IGNORE(skua_timeout_reschedule(&outer, when));
    SKUA_IGNORE(skua_timeout_reschedule(&inner, when));
    int r = skua_sleep(9);
    r = skua_timeout_exit(&inner, r);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(skua_timeout_expired(&inner) && skua_timeout_expired(&outer));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 1);
    T_EXPECT_INT(skua_timeout_exit(&outer, r), -ETIMEDOUT);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return arg;
}

static void test_rule_63_two_scopes_with_one_deadline(void **state)
{
    /* Goal: both expired, the outer one converts. */
    (void)state;
    t_run(same_deadline_main, NULL);
}

static void *swallow_main(void *arg)
{
    skua_task *me = skua_current_task();
    skua_timeout scope;
    SKUA_IGNORE(skua_timeout_enter(&scope, 1));
    T_EXPECT_INT(skua_sleep(9), -ECANCELED);
    T_EXPECT_INT(skua_cancelling(me), 1);
    T_EXPECT_INT(skua_timeout_exit(&scope, 0), 0);
    T_EXPECT(skua_timeout_expired(&scope));
    T_EXPECT_INT(skua_cancelling(me), 0);
    T_EXPECT_INT(skua_sleep(1), 0);
    SKUA_IGNORE(skua_timeout_enter(&scope, 1));
    T_EXPECT_INT(skua_sleep(9), -ECANCELED);
    T_EXPECT_INT(skua_timeout_exit(&scope, -EIO), -EIO);
    T_EXPECT_INT(skua_cancelling(me), 0);
    return arg;
}

static void test_rule_63_a_body_that_swallows_the_cancel_keeps_its_end(void **state)
{
    /* Goal: only -ECANCELED is converted; a success or another error stays what it is. */
    (void)state;
    t_run(swallow_main, NULL);
}

static void *foreign(void *unused)
{
    (void)unused;
    skua_timeout scope;
    SKUA_IGNORE(skua_timeout_enter(&scope, 1));
    int r = skua_sleep(9);
    r = skua_timeout_exit(&scope, r);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(!skua_timeout_expired(&scope));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 1);
    return skua_fail(r);
}

static void cancel_task(void *task)
{
    skua_cancel(task, NULL);
}

static void *foreign_main(void *arg)
{
    skua_task *t = skua_spawn(foreign, NULL);
    skua_call_later(0.5, cancel_task, t);
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(t));
    skua_release(t);
    return arg;
}

static void test_rule_63_a_cancel_from_outside_is_no_timeout(void **state)
{
    /* Goal: the scope had not expired, so the cancel passes. */
    (void)state;
    t_run(foreign_main, NULL);
}

static void *cancelled_before(void *arg)
{
    T_EXPECT_INT(skua_sleep(9), -ECANCELED);
    skua_timeout scope;
    SKUA_IGNORE(skua_timeout_enter(&scope, 1));
    int r = skua_sleep(9);
    T_EXPECT_INT(skua_timeout_exit(&scope, r), -ETIMEDOUT);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 1);
    return arg;
}

static void *cancelled_before_main(void *arg)
{
    skua_task *t = skua_spawn(cancelled_before, NULL);
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_rule_63_the_count_at_entry_is_what_counts(void **state)
{
    /* Goal: a request that was there before the scope does not hide its expiry. */
    (void)state;
    t_run(cancelled_before_main, NULL);
}

static void test_rule_63_a_scope_needs_a_task(void **state)
{
    /* Goal: outside a task there is nothing to cut off. */
    (void)state;
    skua_timeout scope;
    assert_int_equal(skua_timeout_enter(&scope, 1), -EPERM);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_63_a_deadline_in_the_past_cancels_in_the_next_iteration),
    T_TEST(test_rule_63_a_bare_yield_is_cut_off_as_well),
    T_TEST(test_rule_63_a_body_that_never_waits_is_not_cut_off),
    T_TEST(test_rule_63_a_scope_may_be_rescheduled),
    T_TEST(test_rule_63_only_an_active_scope_may_be_rescheduled),
    T_TEST(test_rule_63_the_inner_scope_does_not_convert_the_outers_cancel),
    T_TEST(test_rule_63_the_outer_goes_on_after_the_inner_expired),
    T_TEST(test_rule_63_two_scopes_with_one_deadline),
    T_TEST(test_rule_63_a_body_that_swallows_the_cancel_keeps_its_end),
    T_TEST(test_rule_63_a_cancel_from_outside_is_no_timeout),
    T_TEST(test_rule_63_the_count_at_entry_is_what_counts),
    T_TEST(test_rule_63_a_scope_needs_a_task),
};

T_MAIN(tests, NULL)
