/* SPDX-License-Identifier: MIT */
/* Cancellation counted, shared and told: rules 37 to 41 of asyncio. */
#include "../support/t.h"

/* ---- rule 37 ---- */

static void *cancel_self_and_end(void *end)
{
    T_EXPECT(skua_cancel(skua_current_task(), NULL));
    return end;
}

static void *cancel_self_and_yield(void *arg)
{
    skua_cancel(skua_current_task(), NULL);
    t_log("c0");
    T_EXPECT_INT(skua_yield(), -ECANCELED);
    t_log("c1");
    return arg;
}

static void *cancel_self_and_await_done(void *done)
{
    skua_cancel(skua_current_task(), NULL);
    T_EXPECT_INT(skua_await(done, NULL), 0);
    t_log("d1");
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    t_log("d2");
    return skua_fail(-ECANCELED);
}

static void *self_cancel_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_future_set_result(f, NULL);
    skua_task *t[4] = {
        skua_spawn(cancel_self_and_end, T_PTR(5)),
        skua_spawn(cancel_self_and_end, skua_fail(-EIO)),
        skua_spawn(cancel_self_and_yield, skua_fail(-ECANCELED)),
        skua_spawn(cancel_self_and_await_done, f),
    };
    T_EXPECT_INT(skua_await(t[0], NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(t[0]));
    T_EXPECT_INT(skua_await(t[1], NULL), -EIO);
    T_EXPECT(!skua_cancelled(t[1]));
    T_EXPECT_INT(skua_await(t[2], NULL), -ECANCELED);
    T_EXPECT_INT(skua_await(t[3], NULL), -ECANCELED);
    skua_release_all(t, 4);
    skua_release(f);
    return arg;
}

static void test_rule_37_a_task_that_cancels_itself(void **state)
{
    /* Goal: returning drops the value, failing keeps the error, waiting delivers there. */
    (void)state;
    t_run(self_cancel_main, NULL);
    t_check_log("c0 d1 c1 d2");
}

/* ---- rule 38 ---- */

static void *counts(void *arg)
{
    skua_task *me = skua_current_task();
    skua_cancel(me, NULL);
    T_EXPECT_INT(skua_cancelling(me), 1);
    T_EXPECT_INT(skua_uncancel(me), 0);
    T_EXPECT_INT(skua_yield(), 0);
    t_log("alive");
    skua_cancel(me, NULL);
    skua_cancel(me, NULL);
    T_EXPECT_INT(skua_uncancel(me), 1);
    T_EXPECT_INT(skua_yield(), -ECANCELED);
    t_log("c");
    T_EXPECT_INT(skua_cancelling(me), 1);
    T_EXPECT_INT(skua_uncancel(me), 0);
    T_EXPECT_INT(skua_uncancel(me), 0);
    return arg;
}

static void *counts_main(void *arg)
{
    skua_task *t = skua_spawn(counts, T_PTR(3));
    void *value = NULL;
    T_EXPECT_INT(skua_await(t, &value), 0);
    T_EXPECT(value == T_PTR(3));
    T_EXPECT(!skua_cancelled(t));
    skua_release(t);
    return arg;
}

static void test_rule_38_uncancel_counts_down_and_drops_what_was_not_delivered(void **state)
{
    /* Goal: at zero a pending request is gone; above zero it stays; never below zero. */
    (void)state;
    t_run(counts_main, NULL);
    t_check_log("alive c");
}

static void *pass_back(void *arg)
{
    return arg;
}

static void *uncancelled_main(void *arg)
{
    skua_task *t = skua_spawn(pass_back, T_PTR(4));
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_uncancel(t), 0);
    void *value = NULL;
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT(value == T_PTR(4));
    return arg;
}

static void test_rule_38_an_uncancelled_start_runs(void **state)
{
    /* Goal: a request taken back before the first step lets the task run as if never asked. */
    (void)state;
    t_run(uncancelled_main, NULL);
}

/* ---- rule 39 ---- */

static void *both_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter wt = { f, "t" };
    skua_task *t = skua_spawn(t_waiter, &wt);
    struct t_waiter wa = { t, "a" }, wb = { t, "b" };
    skua_task *pair[2] = { skua_spawn(t_waiter, &wa), skua_spawn(t_waiter, &wb) };
    skua_yield();
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    skua_yield();
    skua_cancel(pair[0], NULL);
    t_log("m");
    T_EXPECT_INT(skua_gather(pair, 2, NULL, SKUA_RETURN_ERRORS), 2);
    T_EXPECT(skua_cancelled(pair[0]) && skua_cancelled(pair[1]) && skua_cancelled(t));
    T_EXPECT_INT(skua_cancelling(pair[0]), 1);
    T_EXPECT_INT(skua_cancelling(pair[1]), 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release_all(pair, 2);
    skua_release(t);
    skua_release(f);
    return arg;
}

static void test_rule_39_a_shared_task_takes_both_waiters_with_it(void **state)
{
    /* Goal: cancelling one of two waiters cancels what they share, and so the other. */
    (void)state;
    t_run(both_main, NULL);
    t_check_log("t- a- b- 0 m 1 t! 2 a! b! 3 4");
}

/* ---- rule 40 ---- */

static void *distinct_main(void *arg)
{
    T_EXPECT_INT(skua_failed(skua_fail(-ECANCELED)), -ECANCELED);
    T_EXPECT_INT(skua_failed(skua_fail(-EIO)), -EIO);
    struct t_waiter w = { skua_future_new(), "w" };
    skua_task *t = skua_spawn(t_waiter, &w);
    skua_task *failed = skua_spawn(pass_back, skua_fail(-ETIMEDOUT));
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_await(failed, NULL), -ETIMEDOUT);
    T_EXPECT(skua_done(failed) && !skua_cancelled(failed));
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(t));
    T_EXPECT_INT(skua_error(t), -ECANCELED);
    T_EXPECT_INT(skua_result(t, NULL), -ECANCELED);
    skua_release(failed);
    skua_release(t);
    skua_release(w.on);
    return arg;
}

static void test_rule_40_cancelled_is_a_status_of_its_own(void **state)
{
    /* Goal: -ECANCELED means cancelled, no other error makes a task look cancelled. */
    (void)state;
    t_run(distinct_main, NULL);
}

/* ---- rule 41 ---- */

static void *message_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "w" };
    skua_task *t = skua_spawn(t_waiter, &w);
    skua_yield();
    char text[16] = "one";
    skua_cancel(t, text);
    strcpy(text, "two");
    skua_cancel(t, text);
    strcpy(text, "overwritten");
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT_STR(skua_error_message(t), "two");
    skua_release(t);
    skua_release(f);
    return arg;
}

static void test_rule_41_the_last_message_reaches_the_awaiter(void **state)
{
    /* Goal: the text given to cancel is copied and read from the cancelled task. */
    (void)state;
    t_run(message_main, NULL);
}

static void *inner_message_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter wi = { f, "i" };
    skua_task *inner = skua_spawn(t_waiter, &wi);
    struct t_waiter wo = { inner, "o" };
    skua_task *outer = skua_spawn(t_waiter, &wo);
    t_yield_times(2);
    skua_cancel(outer, "hello");
    T_EXPECT_INT(skua_await(outer, NULL), -ECANCELED);
    T_EXPECT_STR(skua_error_message(outer), "hello");
    T_EXPECT_STR(skua_error_message(inner), "hello");
    skua_task *all[3] = { outer, inner, f };
    skua_release_all(all, 3);
    return arg;
}

static void test_rule_41_the_message_travels_down_the_chain(void **state)
{
    /* Goal: what the inner task was cancelled with is what the outer one was asked with. */
    (void)state;
    t_run(inner_message_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_37_a_task_that_cancels_itself),
    T_TEST(test_rule_38_uncancel_counts_down_and_drops_what_was_not_delivered),
    T_TEST(test_rule_38_an_uncancelled_start_runs),
    T_TEST(test_rule_39_a_shared_task_takes_both_waiters_with_it),
    T_TEST(test_rule_40_cancelled_is_a_status_of_its_own),
    T_TEST(test_rule_41_the_last_message_reaches_the_awaiter),
    T_TEST(test_rule_41_the_message_travels_down_the_chain),
};

T_MAIN(tests, NULL)
