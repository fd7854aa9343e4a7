/* SPDX-License-Identifier: MIT */
/* Futures: rules 18 to 23 of asyncio. */
#include "../support/t.h"

/* ---- rule 18 ---- */

static void *states_main(void *arg)
{
    skua_future *f = skua_future_new();
    void *value = T_PTR(99);
    T_EXPECT(f != NULL);
    T_EXPECT(!skua_done(f));
    T_EXPECT(!skua_cancelled(f));
    int early = skua_result(f, &value);
    T_EXPECT(early < 0 && early != -ECANCELED);
    T_EXPECT(skua_error(f) < 0 && skua_error(f) != -ECANCELED);
    T_EXPECT(value == T_PTR(99));
    T_EXPECT(skua_future_set_result(f, T_PTR(7)));
    T_EXPECT(skua_done(f));
    T_EXPECT(!skua_future_set_result(f, T_PTR(8)));
    T_EXPECT(!skua_future_set_error(f, -EIO));
    T_EXPECT(!skua_cancel(f, NULL));
    T_EXPECT(!skua_cancelled(f));
    T_EXPECT_INT(skua_result(f, &value), 0);
    T_EXPECT(value == T_PTR(7));
    T_EXPECT_INT(skua_error(f), 0);
    skua_release(f);
    return arg;
}

static void test_rule_18_a_future_is_finished_once(void **state)
{
    /* Goal: the first completion wins; later ones answer false and change nothing. */
    (void)state;
    t_run(states_main, NULL);
}

static void *failed_and_cancelled_main(void *arg)
{
    skua_future *failed = skua_future_new(), *gone = skua_future_new();
    void *value = T_PTR(99);
    T_EXPECT(skua_future_set_error(failed, -EIO));
    T_EXPECT(!skua_cancel(failed, NULL));
    T_EXPECT(!skua_future_set_result(failed, NULL));
    T_EXPECT_INT(skua_error(failed), -EIO);
    T_EXPECT_INT(skua_result(failed, &value), -EIO);
    T_EXPECT(skua_cancel(gone, NULL));
    T_EXPECT(skua_done(gone) && skua_cancelled(gone));
    T_EXPECT(!skua_cancel(gone, NULL));
    T_EXPECT(!skua_future_set_result(gone, NULL));
    T_EXPECT_INT(skua_result(gone, &value), -ECANCELED);
    T_EXPECT_INT(skua_error(gone), -ECANCELED);
    T_EXPECT(value == T_PTR(99));
    T_EXPECT_INT(skua_await(gone, &value), -ECANCELED);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    skua_release(failed);
    skua_release(gone);
    return arg;
}

static void test_rule_18_failed_and_cancelled_are_final_too(void **state)
{
    /* Goal: an error and a cancel are ends like a result, and read back as what they were. */
    (void)state;
    t_run(failed_and_cancelled_main, NULL);
}

/* ---- rule 19 ---- */

static void say_done(skua_task *task, void *word)
{
    T_EXPECT(skua_done(task));
    T_EXPECT(skua_current_task() == NULL);
    t_log("%s", (const char *)word);
}

static void *callbacks_main(void *arg)
{
    skua_future *f = skua_future_new();
    T_EXPECT_INT(skua_add_done_callback(f, say_done, "c1"), 0);
    struct t_waiter w = { f, "w" };
    skua_task *waiter = skua_spawn(t_waiter, &w);
    skua_yield();
    T_EXPECT_INT(skua_add_done_callback(f, say_done, "c2"), 0);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(4));
    T_EXPECT(skua_future_set_result(f, NULL));
    t_log("set");
    T_EXPECT_INT(skua_add_done_callback(f, say_done, "c3"), 0);
    t_log("added");
    T_EXPECT_INT(skua_join(waiter, NULL), 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(f);
    return arg;
}

static void test_rule_19_done_callbacks_run_in_order_and_never_inside_set_result(void **state)
{
    /* Goal: callbacks and waiters share one queue; one added after the end is scheduled soon. */
    (void)state;
    t_run(callbacks_main, NULL);
    t_check_log("w- set added 0 c1 w c2 c3 1 2 3");
}

static void *remove_main(void *arg)
{
    skua_future *f = skua_future_new();
    static char one[] = "one", two[] = "two";
    SKUA_IGNORE(skua_add_done_callback(f, say_done, one));
    SKUA_IGNORE(skua_add_done_callback(f, say_done, two));
    SKUA_IGNORE(skua_add_done_callback(f, say_done, one));
    T_EXPECT_INT(skua_remove_done_callback(f, say_done, one), 2);
    T_EXPECT_INT(skua_remove_done_callback(f, say_done, one), 0);
    T_EXPECT_INT(skua_remove_done_callback(f, say_done, f), 0);
    skua_future_set_result(f, NULL);
    t_yield_times(3);
    skua_release(f);
    return arg;
}

static void test_rule_19_remove_takes_all_equal_callbacks(void **state)
{
    /* Goal: remove_done_callback counts every equal entry; function and argument both count. */
    (void)state;
    t_run(remove_main, NULL);
    t_check_log("two");
}

static void *task_callback_main(void *arg)
{
    struct t_job job = { .name = "body" };
    skua_task *t = skua_spawn(t_job, &job);
    SKUA_IGNORE(skua_add_done_callback(t, say_done, "done"));
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(3));
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(t);
    return arg;
}

static void test_rule_19_a_task_has_callbacks_as_well(void **state)
{
    /* Goal: the end of a task schedules its callbacks exactly one trip later. */
    (void)state;
    t_run(task_callback_main, NULL);
    t_check_log("body 0 done 1 2");
}

/* ---- rule 20 ---- */

static void *wake_order_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter w[3] = { { f, "a" }, { f, "b" }, { f, "c" } };
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(t_waiter, &w[i]);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    skua_yield();
    skua_future_set_result(f, T_PTR(7));
    t_log("set");
    void *value = NULL;
    T_EXPECT_INT(skua_await(t[0], &value), 0);
    t_log("m");
    T_EXPECT(value == T_PTR(7));
    T_EXPECT_INT(skua_await(ticker, NULL), 0);
    for (int i = 0; i < 3; i++) {
        T_EXPECT_INT(skua_result(t[i], &value), 0);
        T_EXPECT(value == T_PTR(7));
    }
    skua_release_all(t, 3);
    skua_release(ticker);
    skua_release(f);
    return arg;
}

static void test_rule_20_waiters_wake_in_the_order_they_began(void **state)
{
    /* Goal: one future, three waiters: first come, first woken, all with the same value. */
    (void)state;
    t_run(wake_order_main, NULL);
    t_check_log("a- b- c- 0 set 1 a b c 2 m 3 4");
}

static void *same_error_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter w[2] = { { f, "a" }, { f, "b" } };
    skua_task *t[2] = { skua_spawn(t_waiter, &w[0]), skua_spawn(t_waiter, &w[1]) };
    skua_yield();
    skua_future_set_error(f, -EIO);
    T_EXPECT_INT(skua_join(t[0], NULL), -EIO);
    T_EXPECT_INT(skua_join(t[1], NULL), -EIO);
    skua_release(f);
    return arg;
}

static void test_rule_20_each_waiter_gets_the_same_error(void **state)
{
    /* Goal: an error reaches every waiter, too. */
    (void)state;
    t_run(same_error_main, NULL);
    t_check_log("a- b- a? b?");
}

/* ---- rule 21 ---- */

static void complete(void *future)
{
    T_EXPECT(skua_future_set_result(future, NULL));
}

static void *no_trip_main(void *arg)
{
    skua_future *f = skua_future_new(), *g = skua_future_new();
    skua_future_set_result(f, NULL);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(4));
    skua_yield();
    t_log("m0");
    T_EXPECT_INT(skua_await(f, NULL), 0);
    t_log("m1");
    skua_call_soon(complete, g);
    T_EXPECT_INT(skua_await(g, NULL), 0);
    t_log("m2");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(f);
    skua_release(g);
    return arg;
}

static void test_rule_21_awaiting_what_is_done_takes_no_trip(void **state)
{
    /* Goal: a done future costs no trip, a pending one exactly the trip of its wake-up. */
    (void)state;
    t_run(no_trip_main, NULL);
    t_check_log("0 m0 m1 1 2 m2 3");
}

static void *task_hop_main(void *arg)
{
    struct t_job job = { .name = "c" };
    skua_task *t = skua_spawn(t_job, &job);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    T_EXPECT_INT(skua_await(t, NULL), 0);
    t_log("m0");
    T_EXPECT_INT(skua_await(t, NULL), 0);
    t_log("m1");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(t);
    return arg;
}

static void test_rule_21_awaiting_a_task_is_one_hop(void **state)
{
    /* Goal: parent wakes in the trip after the child's end; awaiting again costs nothing. */
    (void)state;
    t_run(task_hop_main, NULL);
    t_check_log("c 0 m0 m1 1 2 3 4");
}

/* ---- rule 22 ---- */

static void *fail_at_once(void *arg)
{
    return skua_fail(T_NUM(arg));
}

static void *unretrieved_main(void *arg)
{
    skua_task *t = skua_spawn(fail_at_once, T_PTR(-EIO), .name = "nobody-asked");
    t_yield_times(3);
    T_EXPECT(skua_done(t));
    skua_release(t);
    return arg;
}

static int unretrieved_scenario(void)
{
    return skua_run(unretrieved_main, NULL, .debug = true, .virtual_time = true) == 0 ? 0 : 1;
}

static void test_rule_22_an_error_nobody_retrieved_is_reported(void **state)
{
    /* Goal: at the last release of a failed task that nobody asked, debug mode names it. */
    (void)state;
    struct t_child child;
    t_child_run("unretrieved", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "nobody-asked"));
}

static void *retrieved_main(void *arg)
{
    skua_task *awaited = skua_spawn(fail_at_once, T_PTR(-EIO), .name = "was-awaited");
    skua_task *asked = skua_spawn(fail_at_once, T_PTR(-EIO), .name = "was-asked");
    skua_task *gone = skua_spawn(fail_at_once, T_PTR(-EIO), .name = "was-cancelled");
    skua_cancel(gone, NULL);
    T_EXPECT_INT(skua_join(awaited, NULL), -EIO);
    t_yield_times(2);
    T_EXPECT_INT(skua_error(asked), -EIO);
    skua_release(asked);
    skua_release(gone);
    return arg;
}

static int retrieved_scenario(void)
{
    return skua_run(retrieved_main, NULL, .debug = true, .virtual_time = true) == 0 ? 0 : 1;
}

static void test_rule_22_what_was_retrieved_or_cancelled_is_not_reported(void **state)
{
    /* Goal: await, skua_error and cancel each clear the report. */
    (void)state;
    struct t_child child;
    t_child_run("retrieved", &child);
    assert_true(t_child_exited(&child, 0));
    t_child_did_not_write(&child, "was-", "never retrieved");
}

/* ---- rule 23 ---- */

static void *complete_later(void *future)
{
    T_EXPECT_INT(skua_sleep(0.5), 0);
    T_EXPECT(skua_future_set_result(future, T_PTR(5)));
    return NULL;
}

static void *other_loop_main(void *arg)
{
    skua_group *other = skua_group_new(.name = "other");
    skua_future *f = skua_future_new();
    skua_task *t = skua_spawn(complete_later, f, .group = other);
    void *value = NULL;
    T_EXPECT_INT(skua_await(f, &value), 0);
    T_EXPECT(value == T_PTR(5));
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_group_release(other);
    skua_release(f);
    return arg;
}

static void test_rule_23_a_future_of_another_loop_may_be_awaited(void **state)
{
    /* Goal: asyncio refuses this; here the waiter is woken in its own home. */
    (void)state;
    t_run(other_loop_main, NULL);
}

static const struct t_scenario scenarios[] = {
    { "unretrieved", unretrieved_scenario },
    { "retrieved", retrieved_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_18_a_future_is_finished_once),
    T_TEST(test_rule_18_failed_and_cancelled_are_final_too),
    T_TEST(test_rule_19_done_callbacks_run_in_order_and_never_inside_set_result),
    T_TEST(test_rule_19_remove_takes_all_equal_callbacks),
    T_TEST(test_rule_19_a_task_has_callbacks_as_well),
    T_TEST(test_rule_20_waiters_wake_in_the_order_they_began),
    T_TEST(test_rule_20_each_waiter_gets_the_same_error),
    T_TEST(test_rule_21_awaiting_what_is_done_takes_no_trip),
    T_TEST(test_rule_21_awaiting_a_task_is_one_hop),
    T_TEST(test_rule_22_an_error_nobody_retrieved_is_reported),
    T_TEST(test_rule_22_what_was_retrieved_or_cancelled_is_not_reported),
    T_TEST(test_rule_23_a_future_of_another_loop_may_be_awaited),
};

T_MAIN(tests, scenarios)
