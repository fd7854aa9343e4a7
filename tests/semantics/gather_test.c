/* SPDX-License-Identifier: MIT */
/* gather: rules 44 to 50 of asyncio. */
#include "../support/t.h"

static void spawn_jobs(struct t_job *jobs, size_t n, skua_task **ret_tasks)
{
    for (size_t i = 0; i < n; i++)
        ret_tasks[i] = skua_spawn(t_job, &jobs[i]);
}

/* ---- rule 44 ---- */

static void *order_main(void *arg)
{
    struct t_job jobs[3] = { { "a", 2, 0, 0 }, { "b", 0, 0, 0 }, { "c", 1, 0, 0 } };
    skua_task *t[3];
    void *results[3];
    spawn_jobs(jobs, 3, t);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(8));
    T_EXPECT_INT(skua_gather(t, 3, results, SKUA_RELEASE), 0);
    t_log("m");
    for (int i = 0; i < 3; i++)
        T_EXPECT_STR(results[i], jobs[i].name);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return arg;
}

static void test_rule_44_results_in_argument_order_two_hops_after_the_last(void **state)
{
    /* Goal: completion order does not matter; the last child's callback, then the waiter. */
    (void)state;
    t_run(order_main, NULL);
    t_check_log("b 0 c 1 a 2 3 m 4 5 6 7");
}

static void *duplicate_main(void *arg)
{
    struct t_job job = { .name = "a" };
    skua_task *one = skua_spawn(t_job, &job);
    skua_task *t[2] = { one, one };
    void *results[2] = { NULL, NULL };
    T_EXPECT_INT(skua_gather(t, 2, results, 0), 0);
    T_EXPECT_STR(results[0], "a");
    T_EXPECT_STR(results[1], "a");
    skua_release(one);
    return arg;
}

static void test_rule_44_a_duplicate_runs_once_and_appears_twice(void **state)
{
    /* Goal: the same task in two places fills both. */
    (void)state;
    t_run(duplicate_main, NULL);
    t_check_log("a");
}

static void *empty_main(void *arg)
{
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(3));
    skua_yield();
    t_log("m0");
    T_EXPECT_INT(skua_gather(NULL, 0, NULL, 0), 0);
    T_EXPECT_INT(skua_gather(NULL, 0, NULL, SKUA_RETURN_ERRORS | SKUA_RELEASE), 0);
    t_log("m1");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return arg;
}

static void test_rule_44_nothing_to_gather_is_done_at_once(void **state)
{
    /* Goal: no tasks, no trip. */
    (void)state;
    t_run(empty_main, NULL);
    t_check_log("0 m0 m1 1 2");
}

/* ---- rule 45 ---- */

static void *first_failure_main(void *arg)
{
    struct t_job jobs[3] = { { "a", 3, 0, 0 }, { "b", 1, 0, -EIO }, { "c", 2, 0, -EPIPE } };
    skua_task *t[3];
    void *results[3] = { T_PTR(1), T_PTR(2), T_PTR(3) };
    spawn_jobs(jobs, 3, t);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(8));
    T_EXPECT_INT(skua_gather(t, 3, results, 0), -EIO);
    t_log("m");
    for (int i = 0; i < 3; i++) {
        T_EXPECT(results[i] == T_PTR(i + 1));
        T_EXPECT_INT(skua_cancelling(t[i]), 0);
    }
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    T_EXPECT_INT(skua_error(t[0]), 0);
    T_EXPECT_INT(skua_error(t[1]), -EIO);
    T_EXPECT_INT(skua_error(t[2]), -EPIPE);
    skua_release_all(t, 3);
    return arg;
}

static void test_rule_45_the_first_failure_is_reported_and_siblings_run_on(void **state)
{
    /* Goal: first by completion, not by argument; nothing is cancelled, no results are written. */
    (void)state;
    t_run(first_failure_main, NULL);
    t_check_log("0 b 1 c 2 a m 3 4 5 6 7");
}

static void *late_failure_main(void *arg)
{
    struct t_job jobs[2] = { { "a", 1, 0, -EIO }, { "b", 3, 0, -EPIPE } };
    skua_task *t[2] = { skua_spawn(t_job, &jobs[0], .name = "gathered-first"),
                        skua_spawn(t_job, &jobs[1], .name = "gathered-later") };
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), -EIO);
    t_yield_times(6);
    return arg;
}

static int late_failure_scenario(void)
{
    return skua_run(late_failure_main, NULL, .debug = true, .virtual_time = true) == 0 ? 0 : 1;
}

static void test_rule_45_later_errors_count_as_retrieved(void **state)
{
    /* Goal: what fails after gather gave up is not reported as an error nobody saw. */
    (void)state;
    struct t_child child;
    t_child_run("late_failure", &child);
    assert_true(t_child_exited(&child, 0));
    t_child_did_not_write(&child, "gathered-", "never retrieved");
}

/* ---- rule 46 ---- */

struct pair {
    skua_task *t[2];
    skua_task *gatherer;
};

static void *gather_pair(void *arg)
{
    struct pair *p = arg;
    int r = skua_gather(p->t, 2, NULL, 0);
    t_log(r == -ECANCELED ? "M!" : r < 0 ? "M?" : "M");
    return r < 0 ? skua_fail(r) : NULL;
}

static void cancel_gatherer(skua_task *task, void *arg)
{
    (void)task;
    struct pair *p = arg;
    t_log("X");
    T_EXPECT(skua_cancel(p->gatherer, NULL));
}

static void *after_failure_main(void *arg)
{
    struct t_job a = { "a", 4, 0, 0 }, b = { "b", 1, 0, -EIO };
    struct pair p;
    p.t[1] = skua_spawn(t_job, &b);
    p.t[0] = skua_spawn(t_job, &a);
    p.gatherer = skua_spawn(gather_pair, &p);
    skua_yield();
    SKUA_IGNORE(skua_add_done_callback(p.t[1], cancel_gatherer, &p));
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(7));
    T_EXPECT_INT(skua_await(p.gatherer, NULL), -ECANCELED);
    t_log("m");
    T_EXPECT_INT(skua_cancelling(p.t[0]), 0);
    T_EXPECT_INT(skua_await(p.t[0], NULL), 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release_all(p.t, 2);
    skua_release(p.gatherer);
    return arg;
}

static void test_rule_46_cancel_after_the_failure_cancels_no_child(void **state)
{
    /* Goal: the gather is over with its first failure, though its task has not woken yet. */
    (void)state;
    t_run(after_failure_main, NULL);
    t_check_log("b 0 X 1 M! 2 m a 3 4 5 6");
}

/* ---- rule 47 ---- */

static void *child_cancelled_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter wa = { f, "a" };
    struct t_job b = { "b", 4, 0, 0 };
    struct pair p;
    p.t[0] = skua_spawn(t_waiter, &wa);
    p.t[1] = skua_spawn(t_job, &b);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(7));
    p.gatherer = skua_spawn(gather_pair, &p);
    t_yield_times(2);
    skua_cancel(p.t[0], NULL);
    t_log("c");
    T_EXPECT_INT(skua_await(p.gatherer, NULL), -ECANCELED);
    T_EXPECT_INT(skua_cancelling(p.gatherer), 0);
    T_EXPECT_INT(skua_cancelling(p.t[1]), 0);
    T_EXPECT_INT(skua_await(p.t[1], NULL), 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release_all(p.t, 2);
    skua_release(p.gatherer);
    skua_release(f);
    return arg;
}

static void test_rule_47_a_cancelled_child_is_a_failure_not_a_cancel_of_gather(void **state)
{
    /* Goal: the gatherer sees -ECANCELED without a request of its own; siblings run on. */
    (void)state;
    t_run(child_cancelled_main, NULL);
    t_check_log("a- 0 1 c 2 a! 3 b 4 M! 5 6");
}

/* ---- rule 48 ---- */

static void cancel_task(void *task)
{
    skua_cancel(task, NULL);
}

static void *return_errors_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter wa = { f, "a" };
    struct t_job b = { "b", 1, 0, -EIO }, c = { "c", 2, 0, 0 };
    skua_task *t[3] = { skua_spawn(t_waiter, &wa), skua_spawn(t_job, &b), skua_spawn(t_job, &c) };
    void *results[3];
    skua_call_soon(cancel_task, t[0]);
    T_EXPECT_INT(skua_gather(t, 3, results, SKUA_RETURN_ERRORS | SKUA_RELEASE), 2);
    T_EXPECT_INT(skua_failed(results[0]), -ECANCELED);
    T_EXPECT_INT(skua_failed(results[1]), -EIO);
    T_EXPECT_STR(results[2], "c");
    skua_release(f);
    return arg;
}

static void test_rule_48_return_errors_waits_for_all_and_lists_them(void **state)
{
    /* Goal: errors and cancels are results among the others, counted. */
    (void)state;
    t_run(return_errors_main, NULL);
    t_check_log("a- b a! c");
}

/* ---- rule 49 ---- */

static void *slow_cleanup(void *future)
{
    T_EXPECT_INT(skua_await(future, NULL), -ECANCELED);
    t_log("a!");
    t_yield_times(2);
    t_log("aend");
    return skua_fail(-ECANCELED);
}

static void *stubborn(void *future)
{
    T_EXPECT_INT(skua_await(future, NULL), -ECANCELED);
    t_log("b!");
    return T_PTR(5);
}

struct cancelled_gather {
    skua_task *t[2];
    unsigned flags;
};

static void *gather_flags(void *arg)
{
    struct cancelled_gather *g = arg;
    void *results[2] = { T_PTR(1), T_PTR(2) };
    T_EXPECT_INT(skua_gather(g->t, 2, results, g->flags), -ECANCELED);
    T_EXPECT(results[0] == T_PTR(1) && results[1] == T_PTR(2));
    T_EXPECT(skua_done(g->t[0]) && skua_done(g->t[1]));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 1);
    t_log("M!");
    return skua_fail(-ECANCELED);
}

static void *cancel_gather_main(void *flags)
{
    skua_future *f = skua_future_new(), *g = skua_future_new();
    struct cancelled_gather it = { .flags = (unsigned)T_NUM(flags) };
    it.t[0] = skua_spawn(slow_cleanup, f);
    it.t[1] = skua_spawn(stubborn, g);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(9));
    skua_task *m = skua_spawn(gather_flags, &it);
    t_yield_times(2);
    T_EXPECT(skua_cancel(m, NULL));
    T_EXPECT_INT(skua_await(m, NULL), -ECANCELED);
    t_log("m");
    T_EXPECT(skua_cancelled(it.t[0]));
    T_EXPECT(!skua_cancelled(it.t[1]));
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release_all(it.t, 2);
    skua_task *rest[3] = { m, f, g };
    skua_release_all(rest, 3);
    return NULL;
}

static void test_rule_49_cancelling_gather_cancels_all_children_and_waits(void **state)
{
    /* Goal: every unfinished child is asked; gather ends when all are done, then -ECANCELED, with
     * SKUA_RETURN_ERRORS as without. */
    (void)state;
    t_run(cancel_gather_main, T_PTR(0));
    t_check_log("0 1 2 a! b! 3 4 aend 5 6 M! 7 m 8");
    t_run(cancel_gather_main, T_PTR(SKUA_RETURN_ERRORS));
    t_check_log("0 1 2 a! b! 3 4 aend 5 6 M! 7 m 8");
}

static void *gather_one(void *child)
{
    skua_task *t = child;
    int r = skua_gather(&t, 1, NULL, 0);
    t_log(r == -ECANCELED ? "M!" : "M");
    return r < 0 ? skua_fail(r) : NULL;
}

static void *cancel_late_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter wa = { f, "a" };
    skua_task *a = skua_spawn(t_waiter, &wa), *m = skua_spawn(gather_one, a);
    t_yield_times(2);
    skua_future_set_result(f, NULL);
    skua_yield();
    T_EXPECT(skua_done(a));
    T_EXPECT(skua_cancel(m, NULL));
    T_EXPECT_INT(skua_join(m, NULL), -ECANCELED);
    T_EXPECT(!skua_cancelled(a));
    skua_release(a);
    skua_release(f);
    return arg;
}

static void test_rule_49_cancel_when_no_child_is_left_to_cancel(void **state)
{
    /* Goal: children are done, the gatherer has not woken: it is cancelled, they keep values. */
    (void)state;
    t_run(cancel_late_main, NULL);
    t_check_log("a- a M!");
}

/* ---- rule 50 ---- */

static void *all_done_main(void *arg)
{
    struct t_job jobs[2] = { { .name = "a" }, { .name = "b" } };
    skua_task *t[2];
    spawn_jobs(jobs, 2, t);
    t_yield_times(2);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(4));
    skua_yield();
    t_log("m0");
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    t_log("m1");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return arg;
}

static void test_rule_50_children_already_done_take_no_trip(void **state)
{
    /* Goal: nothing to wait for, no suspension. */
    (void)state;
    t_run(all_done_main, NULL);
    t_check_log("a b 0 m0 m1 1 2 3");
}

static void *some_done_main(void *arg)
{
    struct t_job jobs[2] = { { .name = "a" }, { .name = "b" } };
    skua_task *t[2];
    t[0] = skua_spawn(t_job, &jobs[0]);
    T_EXPECT_INT(skua_await(t[0], NULL), 0);
    t[1] = skua_spawn(t_job, &jobs[1]);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    t_log("m0");
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    t_log("m1");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return arg;
}

static void test_rule_50_pending_children_still_take_two_hops(void **state)
{
    /* Goal: the done child costs nothing, the pending one its callback and the wake-up. */
    (void)state;
    t_run(some_done_main, NULL);
    t_check_log("a m0 b 0 1 m1 2 3 4");
}

static void *failed_done_main(void *arg)
{
    struct t_job a = { "a", 0, 0, -EIO }, b = { "b", 1, 0, 0 };
    skua_task *t[2];
    t[1] = skua_spawn(t_job, &a);
    T_EXPECT_INT(skua_await(t[1], NULL), -EIO);
    t[0] = skua_spawn(t_job, &b);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    skua_yield();
    t_log("m0");
    T_EXPECT_INT(skua_gather(t, 2, NULL, 0), -EIO);
    t_log("m1");
    T_EXPECT_INT(skua_await(t[0], NULL), 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release_all(t, 2);
    return arg;
}

static void test_rule_50_a_child_that_failed_before_ends_gather_at_once(void **state)
{
    /* Goal: a failure found at the door needs no trip, whatever is still pending. */
    (void)state;
    t_run(failed_done_main, NULL);
    t_check_log("a 0 m0 m1 b 1 2 3 4");
}

static const struct t_scenario scenarios[] = {
    { "late_failure", late_failure_scenario },
    { NULL, NULL },
};

static void *say_then_gather_main(void *arg)
{
    struct t_job job[2] = { { .name = "a", .err = -EIO }, { .name = "b" } };
    skua_task   *t[2] = { skua_spawn(t_job, &job[0]), skua_spawn(t_job, &job[1]) };
    t_yield_times(3);
    skua_call_soon(t_say, "later");
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    t_log("gathered");
    skua_yield();
    return arg;
}

static void test_rule_50_errors_to_be_returned_take_no_trip_either(void **state)
{
    /* Goal: where all are done it is over at once, also when the first of them failed: the count of
     * those done used to stop there. */
    (void)state;
    t_run(say_then_gather_main, NULL);
    t_check_log("a b gathered later");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_44_results_in_argument_order_two_hops_after_the_last),
    T_TEST(test_rule_44_a_duplicate_runs_once_and_appears_twice),
    T_TEST(test_rule_44_nothing_to_gather_is_done_at_once),
    T_TEST(test_rule_45_the_first_failure_is_reported_and_siblings_run_on),
    T_TEST(test_rule_45_later_errors_count_as_retrieved),
    T_TEST(test_rule_46_cancel_after_the_failure_cancels_no_child),
    T_TEST(test_rule_47_a_cancelled_child_is_a_failure_not_a_cancel_of_gather),
    T_TEST(test_rule_48_return_errors_waits_for_all_and_lists_them),
    T_TEST(test_rule_49_cancelling_gather_cancels_all_children_and_waits),
    T_TEST(test_rule_49_cancel_when_no_child_is_left_to_cancel),
    T_TEST(test_rule_50_children_already_done_take_no_trip),
    T_TEST(test_rule_50_pending_children_still_take_two_hops),
    T_TEST(test_rule_50_a_child_that_failed_before_ends_gather_at_once),
    T_TEST(test_rule_50_errors_to_be_returned_take_no_trip_either),
};

T_MAIN(tests, scenarios)
