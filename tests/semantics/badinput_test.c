/* SPDX-License-Identifier: MIT */
/* Bad input to the calls about tasks, futures and time: each has an answer, none a crash. */
#include "../support/t.h"

#include <float.h>
#include <math.h>
#include <pthread.h>

static void *give_back(void *arg)
{
    return arg;
}

static void no_callback(void *arg)
{
    (void)arg;
    t_log("never");
}

static void no_done_callback(skua_task *task, void *arg)
{
    (void)task;
    (void)arg;
    t_log("never");
}

/* ---- NULL ---- */

static void expect_null_task_answers(void)
{
    skua_release(NULL);
    skua_detach(NULL);
    skua_release_all(NULL, 0);
    T_EXPECT(skua_retain(NULL) == NULL);
    T_EXPECT(!skua_cancel(NULL, "text"));
    T_EXPECT_INT(skua_cancelling(NULL), -EINVAL);
    T_EXPECT_INT(skua_uncancel(NULL), -EINVAL);
    T_EXPECT(!skua_done(NULL));
    T_EXPECT(!skua_cancelled(NULL));
    T_EXPECT_INT(skua_result(NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_error(NULL), -EINVAL);
    SKUA_IGNORE(skua_error_message(NULL));
    SKUA_IGNORE(skua_name(NULL));
    T_EXPECT_INT(skua_set_name(NULL, "x"), -EINVAL);
    T_EXPECT(!skua_future_set_result(NULL, NULL));
    T_EXPECT(!skua_future_set_error(NULL, -EIO));
    T_EXPECT_INT(skua_add_done_callback(NULL, no_done_callback, NULL), -EINVAL);
    T_EXPECT_INT(skua_remove_done_callback(NULL, no_done_callback, NULL), 0);
    T_EXPECT(skua_shield(NULL) == NULL);
}

static void *null_task_main(void *arg)
{
    expect_null_task_answers();
    T_EXPECT_INT(skua_await(NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_join(NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_wait_for(NULL, 1, NULL), -EINVAL);
    skua_task *t[2] = { skua_spawn(give_back, NULL), NULL };
    size_t done = 9;
    void *results[2] = { T_PTR(1), T_PTR(2) };
    T_EXPECT_INT(skua_gather(t, 2, results, 0), -EINVAL);
    T_EXPECT(results[0] == T_PTR(1));
    T_EXPECT_INT(skua_gather(NULL, 2, NULL, 0), -EINVAL);
    T_EXPECT_INT(skua_wait(t, 2, 1, SKUA_ALL_COMPLETED, &done), -EINVAL);
    T_EXPECT_INT(skua_wait(NULL, 2, 1, SKUA_ALL_COMPLETED, &done), -EINVAL);
    T_EXPECT_INT(done, 9);
    skua_as_completed it;
    T_EXPECT_INT(skua_as_completed_init(&it, t, 2, 1), -EINVAL);
    T_EXPECT_INT(skua_as_completed_init(&it, NULL, 2, 1), -EINVAL);
    T_EXPECT_INT(skua_as_completed_init(NULL, t, 1, 1), -EINVAL);
    T_EXPECT_INT(skua_join(t[0], NULL), 0);
    return arg;
}

static void test_null_tasks_are_answered_inside_a_runtime(void **state)
{
    /* Goal: queries say false or -EINVAL, release does nothing, fan-in touches nothing. */
    (void)state;
    t_run(null_task_main, NULL);
}

static void test_null_tasks_are_answered_outside_a_runtime(void **state)
{
    /* Goal: the same with no runtime in sight. */
    (void)state;
    expect_null_task_answers();
    T_EXPECT_INT(skua_wait_blocking(NULL, 1, NULL), -EINVAL);
    T_EXPECT_INT(skua_loop_run_until_complete(NULL, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_loop_run_forever(NULL), -EINVAL);
    T_EXPECT_INT(skua_loop_close(NULL), -EINVAL);
    skua_loop_stop(NULL);
    T_EXPECT_INT(skua_call_soon_threadsafe(NULL, no_callback, NULL), -EINVAL);
    int err = 0;
    T_EXPECT(skua_spawn_threadsafe(NULL, give_back, NULL, .ret_err = &err) == NULL);
    T_EXPECT_INT(err, -EINVAL);
    skua_group_release(NULL);
    t_check();
}

static void *null_function_main(void *arg)
{
    int err[3] = { 0, 0, 0 };
    T_EXPECT(skua_spawn(NULL, NULL, .ret_err = &err[0]) == NULL);
    T_EXPECT(skua_go(NULL, NULL, .ret_err = &err[1]) == NULL);
    T_EXPECT(skua_spawn_thread(NULL, NULL, .ret_err = &err[2]) == NULL);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(err[i], -EINVAL);
    T_EXPECT(skua_call_soon(NULL, NULL).id == 0);
    T_EXPECT(skua_call_later(1, NULL, NULL).id == 0);
    T_EXPECT(skua_call_at(1, NULL, NULL).id == 0);
    T_EXPECT_INT(skua_call_soon_threadsafe(skua_loop_current(), NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_to_thread(NULL, NULL, NULL), -EINVAL);
    skua_future *f = skua_future_new();
    T_EXPECT_INT(skua_add_done_callback(f, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_set_name(skua_current_task(), NULL), -EINVAL);
    T_EXPECT_INT(skua_timeout_enter(NULL, 1), -EINVAL);
    skua_release(f);
    return arg;
}

static void test_null_functions_are_refused(void **state)
{
    /* Goal: nothing to call, nothing is made. */
    (void)state;
    t_run(null_function_main, NULL);
}

/* ---- times ---- */

static void *nan_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_task *t[1] = { f };
    skua_timeout scope;
    skua_as_completed it;
    T_EXPECT_INT(skua_sleep(NAN), -EINVAL);
    T_EXPECT_INT(skua_sleep_until(NAN), -EINVAL);
    T_EXPECT_INT(skua_sleep_result(NAN, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_wait(t, 1, NAN, SKUA_ALL_COMPLETED, NULL), -EINVAL);
    T_EXPECT_INT(skua_wait_for(f, NAN, NULL), -EINVAL);
    T_EXPECT(!skua_done(f));
    T_EXPECT_INT(skua_as_completed_init(&it, t, 1, NAN), -EINVAL);
    T_EXPECT_INT(skua_timeout_enter(&scope, NAN), -EINVAL);
    T_EXPECT_INT(skua_timeout_enter(&scope, 1), 0);
    T_EXPECT_INT(skua_timeout_reschedule(&scope, NAN), -EINVAL);
    T_EXPECT_INT(skua_timeout_exit(&scope, 0), 0);
    T_EXPECT(skua_call_later(NAN, no_callback, NULL).id == 0);
    T_EXPECT(skua_call_at(NAN, no_callback, NULL).id == 0);
    skua_release(f);
    return arg;
}

static void test_nan_is_no_time(void **state)
{
    /* Goal: -EINVAL, or no handle, and nothing is armed. */
    (void)state;
    t_run(nan_main, NULL);
}

static void *huge_sleeper(void *seconds)
{
    int r = skua_sleep(*(double *)seconds);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *huge_main(void *arg)
{
    double huge[4] = { 1e12, 1e300, DBL_MAX, INFINITY };
    for (int i = 0; i < 4; i++) {
        skua_task *t = skua_spawn(huge_sleeper, &huge[i]), *quick = skua_spawn(give_back, NULL);
        T_EXPECT_INT(skua_wait_for(quick, huge[i], NULL), 0);
        T_EXPECT(!skua_done(t));
        skua_cancel(t, NULL);
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        skua_timeout scope;
        T_EXPECT_INT(skua_timeout_enter(&scope, huge[i]), 0);
        T_EXPECT_INT(skua_timeout_exit(&scope, skua_sleep(1)), 0);
        skua_handle h = skua_call_later(huge[i], no_callback, NULL);
        T_EXPECT(h.id == 0 || skua_handle_cancel(h));
        size_t done = 0;
        skua_task *one[1] = { quick };
        T_EXPECT_INT(skua_wait(one, 1, huge[i], SKUA_ALL_COMPLETED, &done), 0);
        skua_release(quick);
    }
    return arg;
}

static void test_huge_times_are_saturated(void **state)
{
    /* Goal: longer than the clock can count is for ever, not a wrap into the past. */
    (void)state;
    t_run(huge_main, NULL);
    t_check_log("");
}

static void *negative_main(void *arg)
{
    double start = skua_loop_time();
    skua_future *f = skua_future_new();
    skua_task *t[1] = { f };
    size_t done = 9;
    T_EXPECT_INT(skua_sleep(-DBL_MAX), 0);
    T_EXPECT_INT(skua_sleep_until(-1e300), 0);
    T_EXPECT_INT(skua_wait(t, 1, -5, SKUA_ALL_COMPLETED, &done), 0);
    T_EXPECT_INT(done, 0);
    T_EXPECT(t_elapsed(start) == 0);
    T_EXPECT_INT(skua_wait_for(f, -INFINITY, NULL), -ETIMEDOUT);
    T_EXPECT(skua_cancelled(f));
    skua_release(f);
    return arg;
}

static void test_negative_times_have_passed(void **state)
{
    /* Goal: one try, no waiting. */
    (void)state;
    t_run(negative_main, NULL);
}

/* ---- numbers out of range ---- */

static void test_fail_takes_errno_values_only(void **state)
{
    /* Goal: what is no error number reads back as -EINVAL; no value looks like an error. */
    (void)state;
    static const int odd[] = { 0, 1, 5, -4096, -1000000, 2147483647, -2147483647 - 1 };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_int_equal(skua_failed(skua_fail(odd[i])), -EINVAL);
    assert_int_equal(skua_failed(skua_fail(-1)), -1);
    assert_int_equal(skua_failed(skua_fail(-4095)), -4095);
    assert_int_equal(skua_failed(skua_failf(7, "%s", "text")), -EINVAL);
    int on_stack = 0;
    assert_int_equal(skua_failed(NULL), 0);
    assert_int_equal(skua_failed(&on_stack), 0);
    assert_int_equal(skua_failed(T_PTR(-1)), 0);
    assert_int_equal(skua_failed(T_PTR(-EIO)), 0);
}

static void *ranges_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_task *t[1] = { f };
    size_t done = 9;
    T_EXPECT_INT(skua_wait(t, 1, 1, (enum skua_when)77, &done), -EINVAL);
    T_EXPECT_INT(skua_wait(t, 0, 1, SKUA_ALL_COMPLETED, &done), -EINVAL);
    T_EXPECT_INT(done, 9);
    T_EXPECT_INT(skua_gather(t, 1, NULL, 0x100u), -EINVAL);
    bool taken = skua_future_set_error(f, 5);
    T_EXPECT(taken ? skua_error(f) == -EINVAL : !skua_done(f));
    T_EXPECT(skua_group_new(.worker = -1) == NULL);
    T_EXPECT(skua_group_new(.worker = 100000) == NULL);
    T_EXPECT(!skua_handle_cancel((skua_handle){ UINT64_MAX }));
    T_EXPECT_INT(skua_to_thread(give_back, NULL, NULL, .lane = "no such lane"), -EINVAL);
    skua_release(f);
    return arg;
}

static void test_numbers_out_of_range_are_refused(void **state)
{
    /* Goal: unknown flags, modes, workers, lanes and handles. */
    (void)state;
    t_run(ranges_main, NULL);
}

static void *long_texts_main(void *arg)
{
    static char text[100000];
    memset(text, 'x', sizeof text - 1);
    skua_task *t = skua_spawn(give_back, NULL, .name = text);
    T_EXPECT(t != NULL);
    T_EXPECT(strncmp(skua_name(t), "xxx", 3) == 0);
    T_EXPECT(skua_set_name(t, text) <= 0);
    skua_cancel(t, text);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    t = skua_spawn(give_back, skua_failf(-EIO, "%s", text));
    T_EXPECT_INT(skua_join(t, NULL), -EIO);
    return arg;
}

static void test_long_texts_are_cut_not_overrun(void **state)
{
    /* Goal: names and messages of any length. */
    (void)state;
    t_run(long_texts_main, NULL);
}

/* ---- who calls ---- */

static void expect_no_suspending(void)
{
    skua_timeout scope;
    T_EXPECT_INT(skua_sleep(0), -EPERM);
    T_EXPECT_INT(skua_sleep(1), -EPERM);
    T_EXPECT_INT(skua_sleep_until(1), -EPERM);
    T_EXPECT_INT(skua_sleep_result(1, NULL, NULL), -EPERM);
    T_EXPECT_INT(skua_yield(), -EPERM);
    T_EXPECT_INT(skua_gather(NULL, 0, NULL, 0), -EPERM);
    T_EXPECT_INT(skua_timeout_enter(&scope, 1), -EPERM);
    T_EXPECT_INT(skua_to_thread(give_back, NULL, NULL), -EPERM);
}

static void expect_no_runtime(void)
{
    int err[3] = { 0, 0, 0 };
    expect_no_suspending();
    T_EXPECT(skua_spawn(give_back, NULL, .ret_err = &err[0]) == NULL);
    T_EXPECT(skua_go(give_back, NULL, .ret_err = &err[1]) == NULL);
    T_EXPECT(skua_spawn_thread(give_back, NULL, .ret_err = &err[2]) == NULL);
    T_EXPECT_INT(err[0], -EPERM);
    T_EXPECT_INT(err[1], -EPERM);
    T_EXPECT(err[2] == -EPERM || err[2] == -ESHUTDOWN);
    T_EXPECT(skua_future_new() == NULL);
    T_EXPECT(skua_group_new() == NULL);
    T_EXPECT(skua_loop_current() == NULL);
    T_EXPECT(skua_current_task() == NULL);
    T_EXPECT_INT(skua_worker_index(), -1);
    T_EXPECT_INT(skua_all_tasks(NULL, 0), 0);
    T_EXPECT(skua_call_soon(no_callback, NULL).id == 0);
    T_EXPECT(skua_call_later(1, no_callback, NULL).id == 0);
    T_EXPECT(skua_call_at(1, no_callback, NULL).id == 0);
}

static void test_calls_outside_a_runtime_say_eperm(void **state)
{
    /* Goal: before the first run and after the last one. */
    (void)state;
    expect_no_runtime();
    t_run(give_back, NULL);
    expect_no_runtime();
    t_check_log("");
}

static void *foreign_thread(void *future)
{
    expect_no_runtime();
    T_EXPECT_INT(skua_await(future, NULL), -EPERM);
    T_EXPECT_INT(skua_wait_for(future, 1, NULL), -EPERM);
    T_EXPECT(!skua_done(future));
    T_EXPECT(skua_future_set_result(future, NULL));
    return NULL;
}

static void *foreign_thread_main(void *arg)
{
    skua_future *f = skua_future_new();
    pthread_t thread;
    pthread_create(&thread, NULL, foreign_thread, f);
    T_EXPECT_INT(skua_await(f, NULL), 0);
    pthread_join(thread, NULL);
    skua_release(f);
    return arg;
}

static void test_a_plain_thread_beside_a_runtime_is_outside(void **state)
{
    /* Goal: a thread of the program may complete futures, and nothing that needs a task. */
    (void)state;
    t_run(foreign_thread_main, NULL, .real_time = true);
}

static void *in_pool(void *arg)
{
    expect_no_suspending();
    T_EXPECT(skua_current_task() == NULL);
    return arg;
}

static void in_callback(void *future)
{
    expect_no_suspending();
    skua_task *t[1] = { future };
    size_t done = 0;
    T_EXPECT_INT(skua_await(future, NULL), -EPERM);
    T_EXPECT_INT(skua_wait_for(future, 1, NULL), -EPERM);
    T_EXPECT_INT(skua_wait(t, 1, 1, SKUA_ALL_COMPLETED, &done), -EPERM);
    T_EXPECT_INT(skua_gather(t, 1, NULL, 0), -EPERM);
    T_EXPECT(!skua_done(future));
    T_EXPECT(skua_future_set_result(future, NULL));
}

static void *callbacks_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_call_soon(in_callback, f);
    T_EXPECT_INT(skua_await(f, NULL), 0);
    T_EXPECT_INT(skua_to_thread(in_pool, NULL, NULL), 0);
    skua_release(f);
    return arg;
}

static void test_callbacks_and_pool_functions_may_not_suspend(void **state)
{
    /* Goal: -EPERM there, and what they may do works. */
    (void)state;
    t_run(callbacks_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_null_tasks_are_answered_inside_a_runtime),
    T_TEST(test_null_tasks_are_answered_outside_a_runtime),
    T_TEST(test_null_functions_are_refused),
    T_TEST(test_nan_is_no_time),
    T_TEST(test_huge_times_are_saturated),
    T_TEST(test_negative_times_have_passed),
    T_TEST(test_fail_takes_errno_values_only),
    T_TEST(test_numbers_out_of_range_are_refused),
    T_TEST(test_long_texts_are_cut_not_overrun),
    T_TEST(test_calls_outside_a_runtime_say_eperm),
    T_TEST(test_a_plain_thread_beside_a_runtime_is_outside),
    T_TEST(test_callbacks_and_pool_functions_may_not_suspend),
};

T_MAIN(tests, NULL)
