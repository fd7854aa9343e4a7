/* SPDX-License-Identifier: MIT */
/* The core of cancellation: rules 30 to 41 of asyncio. */
#include "../support/t.h"

/* A t_waiter on a fresh future, already waiting for it. */
struct waiting {
    struct t_waiter w;
    skua_task *task;
};

static void begin_waiting(struct waiting *it, const char *name)
{
    it->w = (struct t_waiter){ skua_future_new(), name };
    it->task = skua_spawn(t_waiter, &it->w);
    skua_yield();
}

static void end_waiting(struct waiting *it)
{
    skua_release(it->task);
    skua_release(it->w.on);
}

/* ---- rule 30 ---- */

static void *request_main(void *arg)
{
    struct waiting w;
    w.w = (struct t_waiter){ skua_future_new(), "w" };
    w.task = skua_spawn(t_waiter, &w.w);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    skua_yield();
    t_log("m0");
    T_EXPECT(skua_cancel(w.task, NULL));
    T_EXPECT(!skua_done(w.task));
    T_EXPECT_INT(skua_await(w.task, NULL), -ECANCELED);
    t_log("m1");
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT(skua_cancelled(w.task));
    T_EXPECT(!skua_cancel(w.task, NULL));
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    end_waiting(&w);
    return arg;
}

static void test_rule_30_cancel_is_a_request_delivered_on_a_later_step(void **state)
{
    /* Goal: true for a live task, nothing happens inside the call, false once it is done. */
    (void)state;
    t_run(request_main, NULL);
    t_check_log("w- 0 m0 1 w! 2 m1 3 4");
}

/* ---- rule 31 ---- */

static void count_drop(void *arg)
{
    ++*(int *)arg;
}

static void *never_run(void *arg)
{
    t_log("body");
    return arg;
}

static void *not_started_main(void *drops)
{
    skua_task *t = skua_spawn(never_run, drops, .drop = count_drop);
    T_EXPECT(skua_cancel(t, NULL));
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(4));
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    t_log("m1");
    T_EXPECT(skua_cancelled(t));
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(t);
    return NULL;
}

static void test_rule_31_a_task_cancelled_before_its_start_never_runs(void **state)
{
    /* Goal: the body is skipped, the task ends cancelled, its argument is dropped once. */
    (void)state;
    int drops = 0;
    t_run(not_started_main, &drops);
    t_check_log("0 m1 1 2 3");
    assert_int_equal(drops, 1);
}

/* ---- rule 32 ---- */

static void *chain_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter wc = { f, "c" };
    skua_task *c = skua_spawn(t_waiter, &wc);
    struct t_waiter wb = { c, "b" };
    skua_task *b = skua_spawn(t_waiter, &wb);
    struct t_waiter wa = { b, "a" };
    skua_task *a = skua_spawn(t_waiter, &wa);
    t_yield_times(3);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(7));
    skua_yield();
    t_log("m0");
    skua_cancel(a, NULL);
    T_EXPECT_INT(skua_await(a, NULL), -ECANCELED);
    t_log("m1");
    T_EXPECT(skua_cancelled(f) && skua_cancelled(c) && skua_cancelled(b) && skua_cancelled(a));
    T_EXPECT_INT(skua_cancelling(c), 1);
    T_EXPECT_INT(skua_cancelling(b), 1);
    T_EXPECT_INT(skua_cancelling(a), 1);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_task *all[4] = { a, b, c, f };
    skua_release_all(all, 4);
    return arg;
}

static void test_rule_32_the_request_goes_down_the_chain_and_unwinds_up(void **state)
{
    /* Goal: the innermost task of an await chain gets it first, then each awaiter, a trip apart. */
    (void)state;
    t_run(chain_main, NULL);
    t_check_log("c- b- a- 0 m0 1 c! 2 b! 3 a! 4 m1 5 6");
}

/* ---- rule 33 ---- */

static void *lost_main(void *arg)
{
    struct waiting w;
    begin_waiting(&w, "w");
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(4));
    T_EXPECT(skua_future_set_result(w.w.on, T_PTR(1)));
    T_EXPECT(skua_cancel(w.task, NULL));
    T_EXPECT_INT(skua_await(w.task, NULL), -ECANCELED);
    t_log("m1");
    T_EXPECT(!skua_cancelled(w.w.on));
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    end_waiting(&w);
    return arg;
}

static void test_rule_33_result_lost_when_cancel_after_set(void **state)
{
    /* Goal: the wake-up was already queued; the cancel is delivered at it, the value is lost. */
    (void)state;
    t_run(lost_main, NULL);
    t_check_log("w- 0 w! 1 m1 2 3");
}

static void *set_after_cancel_main(void *arg)
{
    struct waiting w;
    begin_waiting(&w, "w");
    T_EXPECT(skua_cancel(w.task, NULL));
    T_EXPECT(skua_done(w.w.on) && skua_cancelled(w.w.on));
    T_EXPECT(!skua_future_set_result(w.w.on, T_PTR(1)));
    T_EXPECT_INT(skua_await(w.task, NULL), -ECANCELED);
    end_waiting(&w);
    return arg;
}

static void test_rule_33_set_result_after_cancel_is_refused(void **state)
{
    /* Goal: the other order: the future was cancelled inside cancel(), so set_result loses. */
    (void)state;
    t_run(set_after_cancel_main, NULL);
    t_check_log("w- w!");
}

/* ---- rule 34 ---- */

static void *survivor(void *future)
{
    T_EXPECT_INT(skua_await(future, NULL), -ECANCELED);
    t_log("c");
    T_EXPECT_INT(skua_yield(), 0);
    t_log("n");
    T_EXPECT_INT(skua_yield(), 0);
    t_log("end%d", skua_cancelling(skua_current_task()));
    return T_PTR(2);
}

static void *several_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_task *t = skua_spawn(survivor, f);
    skua_yield();
    for (int i = 0; i < 3; i++)
        T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_cancelling(t), 3);
    void *value = NULL;
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT(value == T_PTR(2));
    skua_release(f);
    return arg;
}

static void test_rule_34_several_cancels_before_a_step_are_one(void **state)
{
    /* Goal: three requests count three and are delivered once. */
    (void)state;
    t_run(several_main, NULL);
    t_check_log("c n end3");
}

static void *yielder(void *arg)
{
    T_EXPECT_INT(skua_yield(), -ECANCELED);
    t_log("c");
    T_EXPECT_INT(skua_yield(), 0);
    t_log("n");
    return arg;
}

static void *several_ready_main(void *arg)
{
    skua_task *t = skua_spawn(yielder, NULL);
    skua_yield();
    skua_cancel(t, NULL);
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_rule_34_also_for_a_task_in_the_ready_queue(void **state)
{
    /* Goal: a task between two trips of yield gets one cancel for two requests. */
    (void)state;
    t_run(several_ready_main, NULL);
    t_check_log("c n");
}

/* ---- rule 35 ---- */

static void *cleans_up(void *future)
{
    T_EXPECT_INT(skua_await(future, NULL), -ECANCELED);
    t_log("f0");
    T_EXPECT_INT(skua_yield(), 0);
    t_log("f1");
    T_EXPECT_INT(skua_sleep(0.1), 0);
    t_log("f2");
    T_EXPECT_INT(skua_sleep(9), -ECANCELED);
    t_log("again");
    return skua_fail(-ECANCELED);
}

static void *edge_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_task *t = skua_spawn(cleans_up, f);
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_sleep(1), 0);
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(t));
    T_EXPECT_INT(skua_cancelling(t), 2);
    skua_release(t);
    skua_release(f);
    return arg;
}

static void test_rule_35_delivery_is_edge_triggered(void **state)
{
    /* Goal: once delivered, further waits work, so cleanup may wait; a new request delivers
     * again. */
    (void)state;
    t_run(edge_main, NULL);
    t_check_log("f0 f1 f2 again");
}

/* ---- rule 36 ---- */

static void *catch_and(void *end)
{
    T_EXPECT_INT(skua_sleep(9), -ECANCELED);
    return end;
}

static void *caught_main(void *arg)
{
    skua_task *t[3] = {
        skua_spawn(catch_and, T_PTR(5)),
        skua_spawn(catch_and, skua_fail(-EIO)),
        skua_spawn(catch_and, skua_fail(-ECANCELED)),
    };
    skua_yield();
    for (int i = 0; i < 3; i++)
        skua_cancel(t[i], NULL);
    void *value = NULL;
    T_EXPECT_INT(skua_await(t[0], &value), 0);
    T_EXPECT(value == T_PTR(5));
    T_EXPECT(!skua_cancelled(t[0]));
    T_EXPECT_INT(skua_cancelling(t[0]), 1);
    T_EXPECT_INT(skua_await(t[1], NULL), -EIO);
    T_EXPECT(!skua_cancelled(t[1]));
    T_EXPECT_INT(skua_await(t[2], NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(t[2]));
    skua_release_all(t, 3);
    return arg;
}

static void test_rule_36_a_caught_cancel_leaves_the_end_to_the_task(void **state)
{
    /* Goal: value, error or cancelled: what the task returns after the delivery is its end. */
    (void)state;
    t_run(caught_main, NULL);
}

static void *pass_back(void *arg)
{
    return arg;
}

static void *uncalled_main(void *arg)
{
    skua_task *t = skua_spawn(pass_back, skua_fail(-ECANCELED));
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(t));
    T_EXPECT_INT(skua_cancelling(t), 0);
    skua_release(t);
    return arg;
}

static void test_rule_36_ending_with_ecanceled_needs_no_request(void **state)
{
    /* Goal: a task that ends with -ECANCELED counts as cancelled even if nobody asked. */
    (void)state;
    t_run(uncalled_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_30_cancel_is_a_request_delivered_on_a_later_step),
    T_TEST(test_rule_31_a_task_cancelled_before_its_start_never_runs),
    T_TEST(test_rule_32_the_request_goes_down_the_chain_and_unwinds_up),
    T_TEST(test_rule_33_result_lost_when_cancel_after_set),
    T_TEST(test_rule_33_set_result_after_cancel_is_refused),
    T_TEST(test_rule_34_several_cancels_before_a_step_are_one),
    T_TEST(test_rule_34_also_for_a_task_in_the_ready_queue),
    T_TEST(test_rule_35_delivery_is_edge_triggered),
    T_TEST(test_rule_36_a_caught_cancel_leaves_the_end_to_the_task),
    T_TEST(test_rule_36_ending_with_ecanceled_needs_no_request),
};

T_MAIN(tests, NULL)
