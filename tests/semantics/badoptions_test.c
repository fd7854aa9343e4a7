/* SPDX-License-Identifier: MIT */
/* Bad options, bad numbers of workers, handles used after their last release. */
#include "../support/t.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static void *give_back(void *arg)
{
    return arg;
}

/* ---- .size ---- */

static void test_a_size_of_zero_is_refused(void **state)
{
    /* Goal: a struct filled in without the macro and without .size is -EINVAL, not garbage. */
    (void)state;
    struct skua_run_opts run = { .workers = 1 };
    assert_int_equal(skua_run_with(give_back, NULL, &run), -EINVAL);
    assert_null(skua_loop_new_with(&run));
    struct skua_stats stats = { 0 };
    assert_true(skua_stats_get(&stats) < 0);
}

static void test_options_we_do_not_know_are_refused(void **state)
{
    /* Goal: a program built against a newer header is told, not half understood. */
    (void)state;
    struct {
        struct skua_run_opts known;
        uint64_t newer[4];
    } run = { .known.size = sizeof run, .newer = { 0, 0, 0, 1 } };
    assert_int_equal(skua_run_with(give_back, NULL, &run.known), -EINVAL);
    assert_null(skua_loop_new_with(&run.known));
}

static void *sizes_main(void *arg)
{
    struct skua_spawn_opts spawn = { .name = "x" };
    T_EXPECT(skua_spawn_with(give_back, NULL, &spawn) == NULL);
    T_EXPECT(skua_go_with(give_back, NULL, &spawn) == NULL);
    T_EXPECT(skua_spawn_threadsafe_with(skua_loop_current(), give_back, NULL, &spawn) == NULL);
    struct skua_thread_opts thread = { .name = "x" };
    T_EXPECT_INT(skua_to_thread_with(give_back, NULL, NULL, &thread), -EINVAL);
    T_EXPECT(skua_spawn_thread_with(give_back, NULL, &thread) == NULL);
    struct skua_group_opts group = { .worker = 1 };
    T_EXPECT(skua_group_new_with(&group) == NULL);
    struct skua_listen_opts listen = { .backlog = 1 };
    T_EXPECT_INT(skua_listen_with("127.0.0.1:0", &listen), -EINVAL);
    struct skua_connect_opts connect = { .local = NULL };
    T_EXPECT_INT(skua_connect_with("127.0.0.1:1", 1, &connect), -EINVAL);
    struct skua_stats stats = { 0 };
    T_EXPECT_INT(skua_stats_get(&stats), -EINVAL);
    struct skua_worker_stats worker = { 0 };
    T_EXPECT_INT(skua_worker_stats_get(0, &worker), -EINVAL);
    return arg;
}

static void test_every_option_struct_needs_its_size(void **state)
{
    /* Goal: the same for spawn, go, threads, groups, sockets and figures. */
    (void)state;
    t_run(sizes_main, NULL);
}

static void *tails_main(void *arg)
{
    int err = 0;
    struct {
        struct skua_spawn_opts known;
        uint64_t newer[2];
    } spawn = { .known = { .size = sizeof spawn, .ret_err = &err }, .newer = { 0, 1 } };
    T_EXPECT(skua_spawn_with(give_back, NULL, &spawn.known) == NULL);
    T_EXPECT_INT(err, -EINVAL);
    skua_task *t = skua_spawn_with(give_back, NULL, NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void *too_large_main(void *arg)
{
    int err[2] = { 0, 0 };
    T_EXPECT(skua_spawn(give_back, NULL, .stack_size = SIZE_MAX, .ret_err = &err[0]) == NULL);
    T_EXPECT(skua_go(give_back, NULL, .stack_size = SIZE_MAX / 2, .ret_err = &err[1]) == NULL);
    T_EXPECT_INT(err[0], -EINVAL);
    T_EXPECT_INT(err[1], -EINVAL);
    return arg;
}

static void test_a_stack_larger_than_there_are_is_refused(void **state)
{
    /* Goal: not a smaller one in silence. */
    (void)state;
    t_run(too_large_main, NULL);
}

static void test_spawn_treats_its_options_alike(void **state)
{
    /* Goal: an unknown tail is refused, no options at all are the defaults. */
    (void)state;
    t_run(tails_main, NULL);
}

/* ---- values ---- */

static void test_values_of_run_are_checked(void **state)
{
    /* Goal: each of these is -EINVAL before anything is started. */
    (void)state;
    assert_int_equal(skua_run(give_back, NULL, .workers = -1), -EINVAL);
    assert_int_equal(skua_run(give_back, NULL, .workers = 1000000), -EINVAL);
    assert_int_equal(skua_run(give_back, NULL, .blocking_threads = -3), -EINVAL);
    assert_int_equal(skua_run(give_back, NULL, .spare_threads = -7), -EINVAL);
    assert_int_equal(skua_run(give_back, NULL, .shutdown_timeout = NAN), -EINVAL);
    assert_int_equal(skua_run(give_back, NULL, .stack_size = SIZE_MAX / 2), -EINVAL);
    assert_int_equal(skua_run(give_back, NULL, .spare_threads = -1), 0);
    assert_int_equal(skua_run(give_back, NULL, .spare_threads = 1000000), 0); /* the most */
    assert_int_equal(skua_run_with(give_back, NULL, NULL), 0);
}

static void test_simulate_needs_the_simulator(void **state)
{
    /* Goal: the plain library says that it cannot. */
    (void)state;
    assert_int_equal(skua_run(give_back, NULL, .simulate = true), -ENOTSUP);
}

static int workers_counted;

static void *count_workers(void *arg)
{
    workers_counted = t_workers();
    return arg;
}

static int bad_environment_scenario(void)
{
    unsetenv("SKUA_WORKERS");
    T_EXPECT_INT(skua_run(count_workers, NULL), 0);
    int by_default = workers_counted;
    static const char *const bad[] = { "many", "-2", "0x", "3 4", "99999999999" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setenv("SKUA_WORKERS", bad[i], 1);
        T_EXPECT_INT(skua_run(count_workers, NULL), 0);
        T_EXPECT_INT(workers_counted, by_default);
    }
    setenv("SKUA_WORKERS", "2", 1);
    T_EXPECT_INT(skua_run(count_workers, NULL), 0);
    T_EXPECT_INT(workers_counted, 2);
    T_EXPECT_INT(skua_run(count_workers, NULL, .workers = 3), 0);
    T_EXPECT_INT(workers_counted, 3);
    return 0;
}

static void test_a_bad_number_in_the_environment_is_named_and_ignored(void **state)
{
    /* Goal: SKUA_WORKERS that is no number is told on stderr; an argument goes before it. */
    (void)state;
    struct t_child child;
    t_child_run("bad_environment", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "SKUA_WORKERS=many"));
}

static void *figures_main(void *arg)
{
    struct skua_worker_stats w = { .size = sizeof w };
    T_EXPECT_INT(skua_worker_stats_get(-1, &w), -EINVAL);
    T_EXPECT_INT(skua_worker_stats_get(256, &w), -EINVAL);
    T_EXPECT_INT(skua_worker_stats_get(0, NULL), -EINVAL);
    T_EXPECT_INT(skua_stats_get(NULL), -EINVAL);
    T_EXPECT_INT(skua_worker_stats_get(0, &w), 0);
    return arg;
}

static void test_figures_of_workers_that_do_not_exist(void **state)
{
    /* Goal: -EINVAL for a worker out of range and for nowhere to write. */
    (void)state;
    t_run(figures_main, NULL);
}

/* ---- handles ---- */

static skua_task *kept;

static void *keep_main(void *arg)
{
    kept = skua_spawn(give_back, arg);
    T_EXPECT_INT(skua_await(kept, NULL), 0);
    return arg;
}

static void test_a_handle_may_outlive_its_runtime(void **state)
{
    /* Goal: it answers with an error or with what the task ended with, and can be released. */
    (void)state;
    t_run(keep_main, NULL);
    void *value = NULL;
    int r = skua_result(kept, &value);
    assert_true(r == 0 || r == -ESHUTDOWN);
    assert_false(skua_cancel(kept, NULL));
    assert_true(skua_wait_blocking(kept, 1, NULL) <= 0);
    skua_release(kept);
}

#ifdef SKUA_DEBUG_CHECKS
static skua_task *released(void)
{
    skua_task *t = skua_spawn(give_back, NULL, .name = "released-one");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return t;
}

static void say(skua_task *task, void *arg)
{
    (void)task;
    (void)arg;
}

static void *use_after_release_main(void *call)
{
    skua_task *t = released();
    size_t done;
    switch (*(char *)call) {
    case 'a': SKUA_IGNORE(skua_await(t, NULL)); break;
    case 'j': SKUA_IGNORE(skua_join(t, NULL)); break;
    case 'r': skua_release(t); break;
    case 'k': skua_retain(t); break;
    case 'c': skua_cancel(t, NULL); break;
    case 'n': SKUA_IGNORE(skua_set_name(t, "again")); break;
    case 'g': SKUA_IGNORE(skua_gather(&t, 1, NULL, 0)); break;
    case 'w': SKUA_IGNORE(skua_wait(&t, 1, 0, SKUA_ALL_COMPLETED, &done)); break;
    case 'f': SKUA_IGNORE(skua_wait_for(t, 0, NULL)); break;
    case 's': skua_release(skua_shield(t)); break;
    case 'd': SKUA_IGNORE(skua_add_done_callback(t, say, NULL)); break;
    case 'v': skua_future_set_result(t, NULL); break;
    }
    return NULL;
}

static int use_after_release_scenario(void)
{
    return skua_run(use_after_release_main, getenv("T_CALL")) == 0 ? 0 : 1;
}

static void test_a_handle_used_after_its_release_is_caught(void **state)
{
    /* Goal: with debug checks whatever waits for it, changes it or gives it back again ends the
     * process, with a line that says why; an await used to wait for ever. */
    (void)state;
    for (const char *call = "ajrkcngwfsdv"; *call; call++) {
        struct t_child child;
        assert_int_equal(setenv("T_CALL", (char[]){ *call, '\0' }, 1), 0);
        t_child_run("use_after_release", &child);
        assert_true(t_child_killed(&child, SIGABRT));
        assert_non_null(strstr(child.text, "a task handle was used after its release"));
    }
}
#endif

static skua_task *kept;

static void *unreleased_main(void *arg)
{
    kept = skua_spawn(give_back, NULL, .name = "kept-too-long");
    T_EXPECT_INT(skua_await(kept, NULL), 0);
    return arg;
}

static int unreleased_scenario(void)
{
    int r = skua_run(unreleased_main, NULL, .debug = true);
    skua_release(kept); /* reported by now; its name is no leak of this program's */
    return r == 0 ? 0 : 1;
}

static void test_debug_lists_handles_never_released(void **state)
{
    /* Goal: the end of run names the task and the place of its spawn. */
    (void)state;
    struct t_child child;
    t_child_run("unreleased", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "kept-too-long"));
}

static void *swallow(void *arg)
{
    SKUA_IGNORE(skua_sleep(5));
    return arg;
}

static void *swallowed_main(void *arg)
{
    skua_task *t = skua_spawn(swallow, NULL, .name = "swallowed-it");
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static int swallowed_scenario(void)
{
    return skua_run(swallowed_main, NULL, .debug = true) == 0 ? 0 : 1;
}

static void test_debug_reports_a_swallowed_cancel(void **state)
{
    /* Goal: a task that was cancelled and ended with a value is named. */
    (void)state;
    struct t_child child;
    t_child_run("swallowed", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "swallowed-it"));
}

static const struct t_scenario scenarios[] = {
    { "bad_environment", bad_environment_scenario },
    { "unreleased", unreleased_scenario },
    { "swallowed", swallowed_scenario },
#ifdef SKUA_DEBUG_CHECKS
    { "use_after_release", use_after_release_scenario },
#endif
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_a_size_of_zero_is_refused),
    T_TEST(test_options_we_do_not_know_are_refused),
    T_TEST(test_every_option_struct_needs_its_size),
    T_TEST(test_a_stack_larger_than_there_are_is_refused),
    T_TEST(test_spawn_treats_its_options_alike),
    T_TEST(test_values_of_run_are_checked),
    T_TEST(test_simulate_needs_the_simulator),
    T_TEST(test_a_bad_number_in_the_environment_is_named_and_ignored),
    T_TEST(test_figures_of_workers_that_do_not_exist),
    T_TEST(test_a_handle_may_outlive_its_runtime),
#ifdef SKUA_DEBUG_CHECKS
    T_TEST(test_a_handle_used_after_its_release_is_caught),
#endif
    T_TEST(test_debug_lists_handles_never_released),
    T_TEST(test_debug_reports_a_swallowed_cancel),
};

T_MAIN(tests, scenarios)
