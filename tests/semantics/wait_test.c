/* SPDX-License-Identifier: MIT */
/* wait and as_completed: rules 51 to 56 of asyncio. */
#include "../support/t.h"

#include <math.h>

static void complete(void *future)
{
    T_EXPECT(skua_future_set_result(future, NULL));
}

/* ---- rule 51 ---- */

static void *never_raises_main(void *arg)
{
    struct t_job a = { "a", 0, 0, -EIO }, b = { "b", 1, 0, 0 };
    skua_task *t[2] = { skua_spawn(t_job, &a), skua_spawn(t_job, &b) };
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(7));
    size_t done = 99;
    T_EXPECT_INT(skua_wait(t, 2, INFINITY, SKUA_ALL_COMPLETED, &done), 0);
    t_log("m");
    T_EXPECT_INT(done, 2);
    T_EXPECT_INT(skua_error(t[0]), -EIO);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release_all(t, 2);
    return arg;
}

static void test_rule_51_wait_never_fails_for_its_children(void **state)
{
    /* Goal: an error of a child is the child's; wait returns 0 two hops after the last end. */
    (void)state;
    t_run(never_raises_main, NULL);
    t_check_log("a 0 b 1 2 m 3 4 5 6");
}

static void *reorder_main(void *arg)
{
    skua_future *f[4];
    for (int i = 0; i < 4; i++)
        f[i] = skua_future_new();
    complete(f[3]);
    complete(f[1]);
    skua_task *t[5] = { f[0], f[1], f[2], f[3], f[1] };
    size_t done = 0;
    T_EXPECT_INT(skua_wait(t, 5, INFINITY, SKUA_FIRST_COMPLETED, &done), 0);
    T_EXPECT_INT(done, 3);
    T_EXPECT(t[0] == f[1] && t[1] == f[3] && t[2] == f[1]);
    T_EXPECT(t[3] == f[0] && t[4] == f[2]);
    skua_release_all(f, 4);
    return arg;
}

static void test_rule_51_done_ones_come_first_each_part_in_argument_order(void **state)
{
    /* Goal: the array is the answer: done then pending; duplicates stay where asyncio's set
     * would drop them. */
    (void)state;
    t_run(reorder_main, NULL);
}

static void *empty_main(void *arg)
{
    skua_task *none[1] = { NULL };
    size_t done = 99;
    T_EXPECT_INT(skua_wait(none, 0, INFINITY, SKUA_ALL_COMPLETED, &done), -EINVAL);
    T_EXPECT_INT(skua_wait(none, 1, INFINITY, SKUA_ALL_COMPLETED, &done), -EINVAL);
    T_EXPECT_INT(done, 99);
    return arg;
}

static void test_rule_51_waiting_for_nothing_is_an_error(void **state)
{
    /* Goal: no tasks and NULL tasks are refused before anything happens. */
    (void)state;
    t_run(empty_main, NULL);
}

static void *wait_for_one(void *task)
{
    skua_task *t = task;
    size_t done = 99;
    T_EXPECT_INT(skua_wait(&t, 1, INFINITY, SKUA_ALL_COMPLETED, &done), -ECANCELED);
    T_EXPECT_INT(done, 99);
    t_log("M!");
    return skua_fail(-ECANCELED);
}

static void *cancel_wait_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter wa = { f, "a" };
    skua_task *a = skua_spawn(t_waiter, &wa), *m = skua_spawn(wait_for_one, a);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(6));
    t_yield_times(2);
    skua_cancel(m, NULL);
    t_log("c");
    T_EXPECT_INT(skua_join(m, NULL), -ECANCELED);
    t_log("m");
    T_EXPECT(!skua_done(a));
    T_EXPECT_INT(skua_cancelling(a), 0);
    complete(f);
    T_EXPECT_INT(skua_join(a, NULL), 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(f);
    return arg;
}

static void test_rule_51_cancelling_wait_cancels_no_child(void **state)
{
    /* Goal: the waiting task wakes cancelled one hop later, the child goes on. */
    (void)state;
    t_run(cancel_wait_main, NULL);
    t_check_log("a- 0 1 c 2 M! 3 m 4 a 5");
}

/* ---- rule 52 ---- */

static void *timeout_main(void *arg)
{
    double start = skua_loop_time();
    struct t_job a = { .name = "a", .sleep = 1 }, b = { .name = "b", .sleep = 3 };
    skua_task *t[2] = { skua_spawn(t_job, &b), skua_spawn(t_job, &a) };
    size_t done = 0;
    T_EXPECT_INT(skua_wait(t, 2, 2, SKUA_ALL_COMPLETED, &done), 0);
    T_EXPECT_INT(done, 1);
    T_EXPECT(t_elapsed(start) == 2);
    T_EXPECT(skua_done(t[0]) && !skua_done(t[1]));
    T_EXPECT_INT(skua_cancelling(t[1]), 0);
    T_EXPECT_INT(skua_await(t[1], NULL), 0);
    T_EXPECT(t_elapsed(start) == 3);
    skua_release_all(t, 2);
    return arg;
}

static void test_rule_52_a_timeout_is_no_error_and_cancels_nothing(void **state)
{
    /* Goal: 0, and what is done at that moment. */
    (void)state;
    t_run(timeout_main, NULL);
    t_check_log("a b");
}

static void *zero_timeout_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_task *t[1] = { f };
    size_t done = 99;
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(6));
    skua_yield();
    t_log("m0");
    T_EXPECT_INT(skua_wait(t, 1, 0, SKUA_ALL_COMPLETED, &done), 0);
    t_log("m1");
    T_EXPECT_INT(done, 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(f);
    return arg;
}

static void test_rule_52_timeout_zero_still_makes_a_trip(void **state)
{
    /* Goal: the timer's step and the wake-up, as with any other timeout. */
    (void)state;
    t_run(zero_timeout_main, NULL);
    t_check_log("0 m0 1 2 m1 3 4 5");
}

/* ---- rule 53 ---- */

struct three {
    skua_future *f[3];
};

static void complete_second(void *arg)
{
    complete(((struct three *)arg)->f[1]);
    t_log("set2");
}

static void complete_first(void *arg)
{
    complete(((struct three *)arg)->f[0]);
    skua_call_soon(complete_second, arg);
    t_log("set");
}

static void *first_completed_main(void *arg)
{
    struct three it;
    for (int i = 0; i < 3; i++)
        it.f[i] = skua_future_new();
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(5));
    skua_call_soon(complete_first, &it);
    skua_task *t[3] = { it.f[2], it.f[1], it.f[0] };
    size_t done = 0;
    T_EXPECT_INT(skua_wait(t, 3, INFINITY, SKUA_FIRST_COMPLETED, &done), 0);
    t_log("m");
    T_EXPECT_INT(done, 2);
    T_EXPECT(t[0] == it.f[1] && t[1] == it.f[0] && t[2] == it.f[2]);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release_all(it.f, 3);
    return arg;
}

static void test_rule_53_first_completed_returns_all_that_are_done_by_then(void **state)
{
    /* Goal: one that ends between the first completion and the waiter's step is in the answer. */
    (void)state;
    t_run(first_completed_main, NULL);
    t_check_log("0 set 1 set2 2 m 3 4");
}

/* ---- rule 54 ---- */

static void cancel_task(void *task)
{
    skua_cancel(task, NULL);
}

static void *first_exception_main(void *arg)
{
    double start = skua_loop_time();
    skua_future *g = skua_future_new();
    struct t_waiter wa = { g, "a" };
    struct t_job b = { .name = "b", .sleep = 1 }, c = { .name = "c", .sleep = 2, .err = -EIO };
    struct t_job d = { .name = "d", .sleep = 3 };
    skua_task *t[4] = { skua_spawn(t_waiter, &wa), skua_spawn(t_job, &b), skua_spawn(t_job, &c),
                        skua_spawn(t_job, &d) };
    skua_call_later(0.5, cancel_task, t[0]);
    size_t done = 0;
    T_EXPECT_INT(skua_wait(t, 4, INFINITY, SKUA_FIRST_EXCEPTION, &done), 0);
    T_EXPECT_INT(done, 3);
    T_EXPECT(t_elapsed(start) == 2);
    T_EXPECT(skua_cancelled(t[0]));
    T_EXPECT_INT(skua_error(t[2]), -EIO);
    T_EXPECT_INT(skua_await(t[3], NULL), 0);
    skua_release_all(t, 4);
    skua_release(g);
    return arg;
}

static void test_rule_54_first_exception_does_not_count_a_cancelled_child(void **state)
{
    /* Goal: only an error ends it early. */
    (void)state;
    t_run(first_exception_main, NULL);
    t_check_log("a- a! b c d");
}

static void *no_exception_main(void *arg)
{
    double start = skua_loop_time();
    skua_future *g = skua_future_new();
    struct t_waiter wa = { g, "a" };
    struct t_job b = { .name = "b", .sleep = 1 };
    skua_task *t[2] = { skua_spawn(t_waiter, &wa), skua_spawn(t_job, &b) };
    skua_call_later(0.5, cancel_task, t[0]);
    size_t done = 0;
    T_EXPECT_INT(skua_wait(t, 2, INFINITY, SKUA_FIRST_EXCEPTION, &done), 0);
    T_EXPECT_INT(done, 2);
    T_EXPECT(t_elapsed(start) == 1);
    skua_release_all(t, 2);
    skua_release(g);
    return arg;
}

static void test_rule_54_without_an_error_it_waits_for_all(void **state)
{
    /* Goal: FIRST_EXCEPTION with no error is ALL_COMPLETED. */
    (void)state;
    t_run(no_exception_main, NULL);
}

/* ---- rule 55 ---- */

static void *already_done_main(void *arg)
{
    skua_future *f = skua_future_new(), *g = skua_future_new();
    complete(f);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(8));
    skua_yield();
    t_log("m0");
    skua_task *one[1] = { f }, *two[2] = { f, g };
    size_t done = 0;
    T_EXPECT_INT(skua_wait(one, 1, INFINITY, SKUA_ALL_COMPLETED, &done), 0);
    t_log("m1");
    T_EXPECT_INT(done, 1);
    T_EXPECT_INT(skua_wait(two, 2, INFINITY, SKUA_FIRST_COMPLETED, &done), 0);
    t_log("m2");
    T_EXPECT_INT(done, 1);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(f);
    skua_release(g);
    return arg;
}

static void test_rule_55_inputs_already_done_still_suspend_once(void **state)
{
    /* Goal: their callbacks go through the ready queue before wait returns. */
    (void)state;
    t_run(already_done_main, NULL);
    t_check_log("0 m0 1 2 m1 3 4 m2 5 6 7");
}

/* ---- rule 56 ---- */

static void *completion_order_main(void *arg)
{
    struct t_job jobs[3] = { { "a", 0, 3, 0 }, { "b", 0, 1, 0 }, { "c", 0, 2, -EIO } };
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(t_job, &jobs[i]);
    skua_as_completed it;
    T_EXPECT_INT(skua_as_completed_init(&it, t, 3, INFINITY), 0);
    int err = -1;
    T_EXPECT(skua_as_completed_next(&it, &err) == t[1]);
    t_log("g1");
    T_EXPECT(skua_as_completed_next(&it, &err) == t[2]);
    t_log("g2");
    T_EXPECT_INT(skua_error(t[2]), -EIO);
    T_EXPECT(skua_as_completed_next(&it, &err) == t[0]);
    T_EXPECT_INT(err, 0);
    T_EXPECT(skua_as_completed_next(&it, &err) == NULL);
    T_EXPECT_INT(err, 0);
    skua_as_completed_fini(&it);
    skua_release_all(t, 3);
    return arg;
}

static void test_rule_56_as_completed_gives_tasks_in_completion_order(void **state)
{
    /* Goal: the original handles, first done first; a failed one is given like any other. */
    (void)state;
    t_run(completion_order_main, NULL);
    t_check_log("b g1 c g2 a");
}

static void *hops_main(void *arg)
{
    struct t_job jobs[3] = { { "a", 2, 0, 0 }, { "b", 0, 0, 0 }, { "c", 1, 0, 0 } };
    skua_task *t[3], *next;
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(t_job, &jobs[i]);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(8));
    skua_as_completed it;
    T_EXPECT_INT(skua_as_completed_init(&it, t, 3, INFINITY), 0);
    while ((next = skua_as_completed_next(&it, NULL))) {
        void *name = NULL;
        T_EXPECT_INT(skua_result(next, &name), 0);
        t_log("g%s", (const char *)name);
    }
    skua_as_completed_fini(&it);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release_all(t, 3);
    return arg;
}

static void test_rule_56_as_completed_wakes_in_two_hops(void **state)
{
    /* Goal: the child's callback, then the waiter; what is there already costs no trip. */
    (void)state;
    t_run(hops_main, NULL);
    t_check_log("b 0 c 1 a gb 2 gc ga 3 4 5 6 7");
}

static void *iteration_timeout_main(void *arg)
{
    double start = skua_loop_time();
    struct t_job jobs[3] = { { "a", 0, 3, 0 }, { "b", 0, 1, 0 }, { "c", 0, 5, 0 } };
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(t_job, &jobs[i]);
    skua_as_completed it;
    T_EXPECT_INT(skua_as_completed_init(&it, t, 3, 2), 0);
    int err = 0;
    T_EXPECT(skua_as_completed_next(&it, &err) == t[1]);
    T_EXPECT(skua_as_completed_next(&it, &err) == NULL);
    T_EXPECT_INT(err, -ETIMEDOUT);
    T_EXPECT(t_elapsed(start) == 2);
    skua_as_completed_fini(&it);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_cancelling(t[i]), 0);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_56_the_timeout_ends_the_iteration_and_cancels_nothing(void **state)
{
    /* Goal: NULL with -ETIMEDOUT, the rest runs on. */
    (void)state;
    t_run(iteration_timeout_main, NULL);
    t_check_log("b a c");
}

static void *abandon_main(void *arg)
{
    struct t_job jobs[2] = { { "a", 0, 2, 0 }, { "b", 0, 1, 0 } };
    skua_task *t[2] = { skua_spawn(t_job, &jobs[0]), skua_spawn(t_job, &jobs[1]) };
    skua_as_completed it;
    T_EXPECT_INT(skua_as_completed_init(&it, t, 2, 10), 0);
    T_EXPECT(skua_as_completed_next(&it, NULL) == t[1]);
    skua_as_completed_fini(&it);
    memset(&it, 0xa5, sizeof it);
    T_EXPECT_INT(skua_sleep(20), 0);
    T_EXPECT(skua_done(t[0]) && !skua_cancelled(t[0]));
    skua_release_all(t, 2);
    return arg;
}

static void test_rule_56_abandoning_the_iteration_cancels_nothing(void **state)
{
    /* Goal: after fini nothing of the iterator is touched, children and timer included. */
    (void)state;
    t_run(abandon_main, NULL);
    t_check_log("b a");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_51_wait_never_fails_for_its_children),
    T_TEST(test_rule_51_done_ones_come_first_each_part_in_argument_order),
    T_TEST(test_rule_51_waiting_for_nothing_is_an_error),
    T_TEST(test_rule_51_cancelling_wait_cancels_no_child),
    T_TEST(test_rule_52_a_timeout_is_no_error_and_cancels_nothing),
    T_TEST(test_rule_52_timeout_zero_still_makes_a_trip),
    T_TEST(test_rule_53_first_completed_returns_all_that_are_done_by_then),
    T_TEST(test_rule_54_first_exception_does_not_count_a_cancelled_child),
    T_TEST(test_rule_54_without_an_error_it_waits_for_all),
    T_TEST(test_rule_55_inputs_already_done_still_suspend_once),
    T_TEST(test_rule_56_as_completed_gives_tasks_in_completion_order),
    T_TEST(test_rule_56_as_completed_wakes_in_two_hops),
    T_TEST(test_rule_56_the_timeout_ends_the_iteration_and_cancels_nothing),
    T_TEST(test_rule_56_abandoning_the_iteration_cancels_nothing),
};

T_MAIN(tests, NULL)
