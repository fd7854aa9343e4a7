/* SPDX-License-Identifier: MIT */
/* The runner, and loops that are used again: rules 1, 6, 8, 9, 10 and 11 of asyncio. */
#include "../support/t.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static skua_var visits = SKUA_VAR_INIT("visits", NULL);

static void *give_back(void *arg)
{
    return arg;
}

/* ---- rule 8 ---- */

static void *visit(void *arg)
{
    T_EXPECT(skua_var_get(&visits) == arg);
    T_EXPECT_INT(skua_var_set(&visits, T_PTR(T_NUM(arg) + 1), NULL), 0);
    T_EXPECT_INT(skua_sleep(1), 0);
    return skua_loop_current();
}

static void test_rule_8_many_runs_on_one_loop_and_in_one_context(void **state)
{
    /* Goal: the loop is the same in each run, and a variable keeps what the last main set; the
     * thread's own context is not touched. */
    (void)state;
    skua_runner *r = skua_runner_new(.virtual_time = true);
    void        *loop = NULL, *first = NULL;
    assert_non_null(r);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(skua_runner_run(r, visit, T_PTR(i), &loop), 0);
        assert_true(i == 0 || loop == first);
        first = loop;
    }
    assert_ptr_equal(skua_runner_get_loop(r), first);
    assert_null(skua_var_get(&visits));
    assert_int_equal(skua_runner_close(r), 0);
    t_check();
}

static void *free_visit(void *arg)
{
    T_EXPECT(skua_loop_current() == NULL);
    T_EXPECT(skua_var_get(&visits) == arg);
    T_EXPECT_INT(skua_var_set(&visits, T_PTR(T_NUM(arg) + 1), NULL), 0);
    skua_yield();
    return arg;
}

static void test_rule_8_also_with_a_free_main(void **state)
{
    /* Goal: the context persists for mains that any worker runs. */
    (void)state;
    skua_runner *r = skua_runner_new(.free_main = true);
    for (int i = 0; i < 20; i++)
        assert_int_equal(skua_runner_run(r, free_visit, T_PTR(i), NULL), 0);
    assert_int_equal(skua_runner_close(r), 0);
    t_check();
}

static void *first_visit(void *arg)
{
    T_EXPECT(skua_var_get(&visits) == arg);
    return NULL;
}

static void test_rule_8_the_context_is_the_first_users(void **state)
{
    /* Goal: a copy, taken when the loop is made. */
    (void)state;
    skua_var_token token;
    skua_runner   *r = skua_runner_new();
    assert_int_equal(skua_var_set(&visits, T_PTR(7), &token), 0);
    assert_non_null(skua_runner_get_loop(r));
    assert_int_equal(skua_var_reset(&visits, token), 0);
    assert_int_equal(skua_runner_run(r, first_visit, T_PTR(7), NULL), 0);
    assert_int_equal(skua_runner_close(r), 0);
}

static void test_rule_8_values_and_errors(void **state)
{
    /* Goal: each run answers as run() does; an error of one does not touch the next. */
    (void)state;
    skua_runner *r = skua_runner_new();
    void        *value = T_PTR(9);
    assert_int_equal(skua_runner_run(r, give_back, skua_fail(-EIO), &value), -EIO);
    assert_ptr_equal(value, T_PTR(9));
    assert_int_equal(skua_runner_run(r, give_back, skua_fail(-ECANCELED), &value), -ECANCELED);
    assert_int_equal(skua_runner_run(r, give_back, NULL, &value), 0);
    assert_null(value);
    assert_int_equal(skua_runner_run(r, give_back, NULL, NULL), 0);
    assert_int_equal(skua_runner_run(r, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(skua_runner_close(r), 0);
}

static void test_rule_8_close_may_be_repeated_and_ends_all_use(void **state)
{
    /* Goal: after it every use is -ESHUTDOWN, also of one that never ran. */
    (void)state;
    for (int ran = 0; ran < 2; ran++) {
        skua_runner *r = skua_runner_new();
        if (ran)
            assert_int_equal(skua_runner_run(r, give_back, NULL, NULL), 0);
        assert_int_equal(skua_runner_close(r), 0);
        assert_int_equal(skua_runner_close(r), 0);
        assert_int_equal(skua_runner_run(r, give_back, NULL, NULL), -ESHUTDOWN);
        assert_null(skua_runner_get_loop(r));
    }
    assert_int_equal(skua_runner_close(NULL), -EINVAL);
    assert_int_equal(skua_runner_run(NULL, give_back, NULL, NULL), -EINVAL);
    assert_null(skua_runner_get_loop(NULL));
}

static void test_rule_8_bad_options_make_no_runner(void **state)
{
    /* Goal: what run() refuses, the runner refuses at once. */
    (void)state;
    struct skua_run_opts wrong_size = { .size = 3 };
    assert_null(skua_runner_new(.workers = -1));
    assert_null(skua_runner_new(.shutdown_timeout = -1));
    assert_null(skua_runner_new_with(&wrong_size));
    skua_runner *r = skua_runner_new_with(NULL);
    assert_non_null(r);
    assert_int_equal(skua_runner_close(r), 0);
}

/* ---- rule 1 ---- */

static void *misuse(void *arg)
{
    skua_runner *r = arg, *other = skua_runner_new();
    T_EXPECT_INT(skua_runner_run(r, give_back, NULL, NULL), -EPERM);
    T_EXPECT_INT(skua_runner_close(r), -EPERM);
    T_EXPECT(skua_runner_get_loop(r) == NULL);
    T_EXPECT_INT(skua_loop_close(skua_loop_current()), -EPERM);
    T_EXPECT(other != NULL); /* it may be made here, and used elsewhere */
    T_EXPECT_INT(skua_runner_run(other, give_back, NULL, NULL), -EPERM);
    return other;
}

static void test_rule_1_inside_a_runtime_a_runner_is_refused(void **state)
{
    /* Goal: run and close are -EPERM there, of this runner and of another one, and all goes on. */
    (void)state;
    skua_runner *r = skua_runner_new();
    void        *other = NULL;
    assert_int_equal(skua_runner_run(r, misuse, r, &other), 0);
    assert_int_equal(skua_loop_close(skua_runner_get_loop(r)), -EPERM);
    assert_int_equal(skua_runner_run(r, give_back, NULL, NULL), 0);
    assert_int_equal(skua_runner_run(other, give_back, NULL, NULL), 0);
    assert_int_equal(skua_runner_close(other), 0);
    assert_int_equal(skua_runner_close(r), 0);
    t_check();
}

static void test_two_runners_take_turns_in_one_thread(void **state)
{
    /* Goal: one after the other, in any order. */
    (void)state;
    skua_runner *r[2] = { skua_runner_new(.virtual_time = true), skua_runner_new() };
    void        *loop[2];
    for (int i = 0; i < 10; i++)
        for (int k = 0; k < 2; k++)
            assert_int_equal(skua_runner_run(r[k], first_visit, NULL, NULL), 0);
    for (int k = 0; k < 2; k++)
        loop[k] = skua_runner_get_loop(r[k]);
    assert_ptr_not_equal(loop[0], loop[1]);
    assert_int_equal(skua_runner_close(r[0]), 0);
    assert_int_equal(skua_runner_run(r[1], give_back, NULL, NULL), 0);
    assert_int_equal(skua_runner_close(r[1]), 0);
    t_check();
}

static void *use_elsewhere(void *arg)
{
    skua_runner *r = arg;
    T_EXPECT_INT(skua_runner_run(r, give_back, NULL, NULL), -EPERM);
    T_EXPECT_INT(skua_runner_close(r), -EPERM);
    T_EXPECT(skua_runner_get_loop(r) == NULL);
    return NULL;
}

static void *elsewhere_while_running(void *arg)
{
    pthread_t thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, use_elsewhere, arg), 0);
    T_EXPECT_INT(skua_to_thread(use_elsewhere, arg, NULL), 0);
    pthread_join(thread, NULL);
    return NULL;
}

static void test_a_runner_belongs_to_the_thread_that_ran_it_first(void **state)
{
    /* Goal: others get -EPERM, while it runs and when it does not. */
    (void)state;
    skua_runner *r = skua_runner_new();
    pthread_t    thread;
    assert_int_equal(skua_runner_run(r, elsewhere_while_running, r, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, use_elsewhere, r), 0);
    pthread_join(thread, NULL);
    assert_int_equal(skua_runner_close(r), 0);
    t_check();
}

static void *loop_elsewhere(void *loop)
{
    T_EXPECT_INT(skua_loop_run_forever(loop), -EPERM);
    T_EXPECT_INT(skua_loop_close(loop), -EPERM);
    return NULL;
}

static void test_rule_9_a_loop_belongs_to_the_thread_that_made_it(void **state)
{
    /* Goal: as for runners. */
    (void)state;
    skua_loop *loop = skua_loop_new();
    pthread_t  thread;
    assert_int_equal(pthread_create(&thread, NULL, loop_elsewhere, loop), 0);
    pthread_join(thread, NULL);
    assert_int_equal(skua_loop_close(loop), 0);
    t_check();
}

/* ---- what stays between runs ---- */

static void *ticks(void *arg)
{
    int *n = arg;
    while (skua_sleep(1) == 0)
        ++*n;
    t_log("cancelled-after-%d", *n);
    return NULL;
}

static void *leave_ticker(void *arg)
{
    skua_detach(skua_spawn(ticks, arg));
    T_EXPECT_INT(skua_sleep(2.5), 0);
    return NULL;
}

static void *stay(void *arg)
{
    T_EXPECT_INT(skua_sleep(3), 0);
    return arg;
}

static void test_rule_8_what_is_left_goes_on_with_the_next_run(void **state)
{
    /* Goal: leftovers live between runs and are cancelled by close only. */
    (void)state;
    int          n = 0;
    skua_runner *r = skua_runner_new(.virtual_time = true, .workers = 1);
    assert_int_equal(skua_runner_run(r, leave_ticker, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(skua_runner_run(r, stay, NULL, NULL), 0);
    assert_int_equal(n, 5);
    assert_int_equal(skua_runner_close(r), 0);
    t_check_log("cancelled-after-5");
}

static void *to_thread_main(void *arg)
{
    void *value = NULL;
    T_EXPECT_INT(skua_to_thread(give_back, arg, &value), 0);
    return value;
}

static void test_rule_8_the_pool_of_threads_stays_too(void **state)
{
    /* Goal: to_thread works in each run. */
    (void)state;
    skua_runner *r = skua_runner_new();
    for (int i = 1; i < 4; i++) {
        void *value = NULL;
        assert_int_equal(skua_runner_run(r, to_thread_main, T_PTR(i), &value), 0);
        assert_ptr_equal(value, T_PTR(i));
    }
    assert_int_equal(skua_runner_close(r), 0);
    t_check();
}

/* ---- rule 10: stopped from anywhere, and used again ---- */

static void stop(void *loop)
{
    skua_loop_stop(loop);
}

static void *stop_in_thread(void *loop)
{
    skua_loop_stop(loop);
    return NULL;
}

static void *prepare_signal(void *loop)
{
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR1, stop, loop), 0);
    return NULL;
}

static void *end_signal(void *loop)
{
    T_EXPECT_INT(skua_remove_signal_handler(SIGUSR1), 0);
    return loop;
}

static void do_in(skua_loop *loop, skua_fn fn)
{
    skua_task *t = skua_spawn_threadsafe(loop, fn, loop);
    assert_int_equal(skua_loop_run_until_complete(loop, t, NULL), 0);
    skua_release(t);
}

static void test_rule_10_stopped_from_a_callback_a_thread_and_a_signal(void **state)
{
    /* Goal: run_forever returns 0 each time, and the loop can be run again. */
    (void)state;
    skua_loop *loop = skua_loop_new();
    do_in(loop, prepare_signal);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        assert_int_equal(skua_call_soon_threadsafe(loop, stop, loop), 0);
        assert_int_equal(skua_loop_run_forever(loop), 0);
        assert_int_equal(pthread_create(&thread, NULL, stop_in_thread, loop), 0);
        assert_int_equal(skua_loop_run_forever(loop), 0);
        pthread_join(thread, NULL);
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        assert_int_equal(skua_loop_run_forever(loop), 0);
        do_in(loop, give_back);
    }
    do_in(loop, end_signal);
    assert_int_equal(skua_loop_close(loop), 0);
    t_check();
}

static void *stops_itself(void *arg)
{
    skua_loop_stop(skua_loop_current());
    T_EXPECT_INT(skua_sleep(1), 0);
    return arg;
}

static void test_a_stop_does_not_end_a_runs_main(void **state)
{
    /* Goal: run goes on until main has ended. */
    (void)state;
    skua_runner *r = skua_runner_new(.virtual_time = true);
    void        *value = NULL;
    assert_int_equal(skua_runner_run(r, stops_itself, T_PTR(3), &value), 0);
    assert_ptr_equal(value, T_PTR(3));
    assert_int_equal(skua_runner_close(r), 0);
    t_check();
}

/* ---- rule 6 ---- */

static void *interrupted(void *arg)
{
    T_EXPECT_INT(kill(getpid(), SIGINT), 0);
    int r = skua_sleep(60);
    return r < 0 ? skua_fail(r) : arg;
}

static int interrupt_scenario(void)
{
    skua_runner *r = skua_runner_new();
    for (int i = 0; i < 3; i++)
        if (skua_runner_run(r, interrupted, NULL, NULL) != -EINTR ||
            skua_runner_run(r, give_back, NULL, NULL) != 0)
            return 1;
    return skua_runner_close(r) == 0 && t_failures() == 0 ? 0 : 2;
}

static void test_rule_6_each_run_takes_sigint(void **state)
{
    /* Goal: it cancels the main of this run; the runner can be used on. */
    (void)state;
    struct t_child child;
    t_child_run("interrupt", &child);
    assert_true(t_child_exited(&child, 0));
}

static const struct t_scenario scenarios[] = {
    { "interrupt", interrupt_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_8_many_runs_on_one_loop_and_in_one_context),
    T_TEST(test_rule_8_also_with_a_free_main),
    T_TEST(test_rule_8_the_context_is_the_first_users),
    T_TEST(test_rule_8_values_and_errors),
    T_TEST(test_rule_8_close_may_be_repeated_and_ends_all_use),
    T_TEST(test_rule_8_bad_options_make_no_runner),
    T_TEST(test_rule_1_inside_a_runtime_a_runner_is_refused),
    T_TEST(test_two_runners_take_turns_in_one_thread),
    T_TEST(test_a_runner_belongs_to_the_thread_that_ran_it_first),
    T_TEST(test_rule_9_a_loop_belongs_to_the_thread_that_made_it),
    T_TEST(test_rule_8_what_is_left_goes_on_with_the_next_run),
    T_TEST(test_rule_8_the_pool_of_threads_stays_too),
    T_TEST(test_rule_10_stopped_from_a_callback_a_thread_and_a_signal),
    T_TEST(test_a_stop_does_not_end_a_runs_main),
    T_TEST(test_rule_6_each_run_takes_sigint),
};

T_MAIN(tests, scenarios)
