/* SPDX-License-Identifier: MIT */
/* The loop by hand: rules 9 to 11 and 15 of asyncio. */
#include "../support/t.h"

#include <pthread.h>

/* ---- rule 9 ---- */

static void *give_back(void *arg)
{
    return arg;
}

static void *sleep_and_give(void *arg)
{
    int r = skua_sleep(1);
    return r < 0 ? skua_fail(r) : arg;
}

static void test_rule_9_run_until_complete_gives_result_and_error(void **state)
{
    /* Goal: the task's end is the call's end, time after time on one loop. */
    (void)state;
    skua_loop *loop = skua_loop_new(.virtual_time = true);
    assert_non_null(loop);
    void *value = NULL;
    skua_task *t = skua_spawn(sleep_and_give, T_PTR(4), .group = loop);
    assert_int_equal(skua_loop_run_until_complete(loop, t, &value), 0);
    assert_ptr_equal(value, T_PTR(4));
    skua_release(t);
    t = skua_spawn(give_back, skua_fail(-EIO), .group = loop);
    assert_int_equal(skua_loop_run_until_complete(loop, t, &value), -EIO);
    assert_ptr_equal(value, T_PTR(4));
    skua_release(t);
    assert_int_equal(skua_loop_close(loop), 0);
}

static void test_rule_9_what_is_left_goes_on_with_the_next_run(void **state)
{
    /* Goal: the loop stops one trip after the task's end; others continue where they were. */
    (void)state;
    struct t_job a = { .name = "a" };
    skua_loop *loop = skua_loop_new(.virtual_time = true);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(6), .group = loop);
    skua_task *t = skua_spawn(t_job, &a, .group = loop);
    T_EXPECT_INT(skua_loop_run_until_complete(loop, t, NULL), 0);
    t_log("|");
    T_EXPECT_INT(skua_loop_run_until_complete(loop, ticker, NULL), 0);
    skua_release(t);
    skua_release(ticker);
    T_EXPECT_INT(skua_loop_close(loop), 0);
    t_check_log("0 a 1 | 2 3 4 5");
}

static void stop_loop(void *loop)
{
    skua_loop_stop(loop);
}

static void *await_arg(void *future)
{
    void *value = NULL;
    int r = skua_await(future, &value);
    return r < 0 ? skua_fail(r) : value;
}

static void *new_future(void *arg)
{
    (void)arg;
    return skua_future_new();
}

static skua_future *future_of(skua_loop *loop)
{
    void *f = NULL;
    skua_task *t = skua_spawn(new_future, NULL, .group = loop);
    assert_int_equal(skua_loop_run_until_complete(loop, t, &f), 0);
    skua_release(t);
    return f;
}

static void test_rule_9_a_stopped_loop_says_so_and_can_be_used_again(void **state)
{
    /* Goal: stop before the end is an error of its own; the task is as it was. */
    (void)state;
    skua_loop *loop = skua_loop_new(.virtual_time = true);
    skua_future *f = future_of(loop);
    skua_task *t = skua_spawn(await_arg, f, .group = loop);
    assert_int_equal(skua_call_soon_threadsafe(loop, stop_loop, loop), 0);
    int r = skua_loop_run_until_complete(loop, t, NULL);
    assert_true(r < 0 && r != -ECANCELED);
    assert_false(skua_done(t));
    assert_true(skua_future_set_result(f, T_PTR(4)));
    void *value = NULL;
    assert_int_equal(skua_loop_run_until_complete(loop, t, &value), 0);
    assert_ptr_equal(value, T_PTR(4));
    skua_release(t);
    skua_release(f);
    assert_int_equal(skua_loop_close(loop), 0);
}

static void *run_inside(void *arg)
{
    skua_loop *loop = skua_loop_current();
    skua_task *t = skua_spawn(give_back, NULL);
    T_EXPECT(skua_loop_run_until_complete(loop, t, NULL) < 0);
    T_EXPECT(skua_loop_run_forever(loop) < 0);
    T_EXPECT(skua_loop_close(loop) < 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_rule_9_a_running_loop_cannot_be_run(void **state)
{
    /* Goal: from inside, run and close are errors that change nothing (rule 11 as well). */
    (void)state;
    t_run(run_inside, T_PTR(1), .want_value = T_PTR(1));
}

/* ---- rule 10 ---- */

static void b_then_b2(void *arg)
{
    (void)arg;
    t_log("b");
    skua_call_soon(t_say, "b2");
}

static void test_rule_10_stop_before_start_runs_one_iteration(void **state)
{
    /* Goal: what is ready runs, what that schedules does not. */
    (void)state;
    skua_loop *loop = skua_loop_new(.virtual_time = true);
    assert_int_equal(skua_call_soon_threadsafe(loop, t_say, "a"), 0);
    assert_int_equal(skua_call_soon_threadsafe(loop, b_then_b2, NULL), 0);
    skua_loop_stop(loop);
    assert_int_equal(skua_loop_run_forever(loop), 0);
    t_check_log("a b");
    skua_loop_stop(loop);
    assert_int_equal(skua_loop_run_forever(loop), 0);
    t_check_log("b2");
    assert_int_equal(skua_loop_close(loop), 0);
}

static void stop_then_a2(void *loop)
{
    t_log("a");
    skua_loop_stop(loop);
    skua_call_soon(t_say, "a2");
}

static void test_rule_10_stop_inside_a_callback_lets_the_batch_finish(void **state)
{
    /* Goal: the rest of the batch runs; what it schedules waits for the next run. */
    (void)state;
    skua_loop *loop = skua_loop_new(.virtual_time = true);
    assert_int_equal(skua_call_soon_threadsafe(loop, stop_then_a2, loop), 0);
    assert_int_equal(skua_call_soon_threadsafe(loop, b_then_b2, NULL), 0);
    assert_int_equal(skua_loop_run_forever(loop), 0);
    t_check_log("a b");
    skua_loop_stop(loop);
    assert_int_equal(skua_loop_run_forever(loop), 0);
    t_check_log("a2 b2");
    assert_int_equal(skua_loop_close(loop), 0);
}

/* ---- rule 11 ---- */

static void test_rule_11_close_clears_and_may_be_repeated(void **state)
{
    /* Goal: callbacks and timers not run by then never run; a closed loop answers with errors. */
    (void)state;
    skua_loop *loop = skua_loop_new(.virtual_time = true);
    assert_int_equal(skua_call_soon_threadsafe(loop, t_say, "never"), 0);
    assert_int_equal(skua_loop_close(loop), 0);
    assert_int_equal(skua_loop_close(loop), 0);
    assert_true(skua_loop_run_forever(loop) < 0);
    assert_true(skua_call_soon_threadsafe(loop, t_say, "never") < 0);
    int err = 0;
    assert_null(skua_spawn(give_back, NULL, .group = loop, .ret_err = &err));
    assert_int_equal(err, -ESHUTDOWN);
    t_check_log("");
}

static void test_rule_11_tasks_of_a_closed_loop_never_finish(void **state)
{
    /* Goal: close with a task still waiting: no crash, and its handle answers. */
    (void)state;
    skua_loop *loop = skua_loop_new(.virtual_time = true);
    skua_task *t = skua_spawn(sleep_and_give, NULL, .group = loop);
    skua_loop_stop(loop);
    assert_int_equal(skua_loop_run_forever(loop), 0);
    assert_int_equal(skua_loop_close(loop), 0);
    void *value = NULL;
    assert_true(skua_result(t, &value) < 0);
    skua_release(t);
}

/* ---- rule 15 ---- */

struct posts {
    skua_loop *loop;
    skua_future *finished;
    int seen[2];
    int order_broken;
};

struct post {
    struct posts *to;
    int lane, number;
};

enum { POSTS = 500 };

static void take_post(void *arg)
{
    struct post *p = arg;
    if (p->number != p->to->seen[p->lane]++)
        p->to->order_broken++;
    if (p->to->seen[0] == POSTS && p->to->seen[1] == POSTS)
        SKUA_IGNORE(skua_future_set_result(p->to->finished, NULL));
}

static void *post_all(void *arg)
{
    struct post *first = arg;
    for (int i = 0; i < POSTS; i++) {
        if (skua_call_soon_threadsafe(first->to->loop, take_post, &first[i]) != 0)
            T_EXPECT(!"call_soon_threadsafe succeeds");
        if (i % 100 == 0)
            t_nap(0.002);
    }
    return NULL;
}

static void *threadsafe_main(void *arg)
{
    static struct post post[2][POSTS];
    struct posts it = { .loop = skua_loop_current(), .finished = skua_future_new() };
    pthread_t thread[2];
    for (int lane = 0; lane < 2; lane++) {
        for (int i = 0; i < POSTS; i++)
            post[lane][i] = (struct post){ &it, lane, i };
        pthread_create(&thread[lane], NULL, post_all, post[lane]);
    }
    T_EXPECT_INT(skua_await(it.finished, NULL), 0);
    for (int lane = 0; lane < 2; lane++)
        pthread_join(thread[lane], NULL);
    T_EXPECT_INT(it.order_broken, 0);
    skua_release(it.finished);
    return arg;
}

static void test_rule_15_call_soon_threadsafe_wakes_a_sleeping_loop(void **state)
{
    /* Goal: two plain threads post to one loop: nothing is lost, each thread's order kept. */
    (void)state;
    t_run(threadsafe_main, NULL, .real_time = true);
}

static void *late_post(void *loop)
{
    t_nap(0.05);
    SKUA_IGNORE(skua_call_soon_threadsafe(loop, stop_loop, loop));
    return NULL;
}

static void test_rule_15_it_interrupts_an_idle_run_forever(void **state)
{
    /* Goal: a loop with nothing to do sleeps until another thread calls. */
    (void)state;
    skua_loop *loop = skua_loop_new();
    assert_non_null(loop);
    pthread_t thread;
    pthread_create(&thread, NULL, late_post, loop);
    assert_int_equal(skua_loop_run_forever(loop), 0);
    pthread_join(thread, NULL);
    assert_int_equal(skua_loop_close(loop), 0);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_9_run_until_complete_gives_result_and_error),
    T_TEST(test_rule_9_what_is_left_goes_on_with_the_next_run),
    T_TEST(test_rule_9_a_stopped_loop_says_so_and_can_be_used_again),
    T_TEST(test_rule_9_a_running_loop_cannot_be_run),
    T_TEST(test_rule_10_stop_before_start_runs_one_iteration),
    T_TEST(test_rule_10_stop_inside_a_callback_lets_the_batch_finish),
    T_TEST(test_rule_11_close_clears_and_may_be_repeated),
    T_TEST(test_rule_11_tasks_of_a_closed_loop_never_finish),
    T_TEST(test_rule_15_call_soon_threadsafe_wakes_a_sleeping_loop),
    T_TEST(test_rule_15_it_interrupts_an_idle_run_forever),
};

T_MAIN(tests, NULL)
