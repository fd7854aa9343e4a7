/* SPDX-License-Identifier: MIT */
/* Who is told of errors that nobody was there to get: rules 3c, 16, 22 and 65. */
#include "../support/t.h"

#include <math.h>
#include <pthread.h>
#include <unistd.h>

static const char *const kinds[] = { "other",    "unretrieved", "shielded",  "leftover",
                                     "stubborn", "thread",      "swallowed", "unreleased" };

static int told;

static void tell(const struct skua_exception_context *c, void *word)
{
    told++;
    t_log("%s:%s", (const char *)word, kinds[c->kind]);
    if (c->name)
        t_log("%s", c->name);
    if (c->error)
        t_log("%d", c->error);
    if (c->error_message)
        t_log("'%s'", c->error_message);
    T_EXPECT_INT(c->size, sizeof *c);
    T_EXPECT(c->message && c->message[0]);
    /* a callback, never in a task: it cannot suspend whoever is in the middle of something */
    T_EXPECT_INT(skua_sleep(0.1), -EPERM);
    T_EXPECT(skua_current_task() == NULL);
}

static void *fails(void *arg)
{
    (void)arg;
    return skua_failf(-EIO, "disk %d", 3);
}

static void *rests(void *arg)
{
    SKUA_IGNORE(skua_sleep(50));
    return arg;
}

/* ---- rule 22 ---- */

static void *unretrieved_main(void *arg)
{
    (void)arg;
    T_EXPECT_INT(skua_set_exception_handler(tell, "h"), 0);
    skua_task *t = skua_spawn(fails, NULL, .name = "reader");
    T_EXPECT_INT(skua_yield(), 0);
    t_log("before");
    skua_release(t);
    t_log("after");
    t = skua_spawn(fails, NULL, .name = "seen");
    T_EXPECT_INT(skua_join(t, NULL), -EIO);
    skua_detach(skua_spawn(fails, NULL, .name = "detached"));
    T_EXPECT_INT(skua_yield(), 0);
    skua_future *f = skua_future_new();
    T_EXPECT_INT(skua_set_name(f, "future"), 0);
    T_EXPECT(skua_future_set_error(f, -ENOENT));
    skua_release(f);
    return NULL;
}

static void test_rule_22_an_error_nobody_looked_at_is_told_at_the_last_release(void **state)
{
    /* Goal: at once, with name, error and text, in every mode; not if somebody looked. */
    (void)state;
    t_run(unretrieved_main, NULL);
    t_check_log("before h:unretrieved reader -5 'disk 3' after h:unretrieved detached -5 'disk 3' "
                "h:unretrieved future -2");
}

/* ---- rule 3c ---- */

static void *leftover(void *arg)
{
    (void)arg;
    SKUA_IGNORE(skua_sleep(50));
    return skua_fail(-EIO);
}

static void *leftover_main(void *arg)
{
    T_EXPECT_INT(skua_set_exception_handler(tell, "h"), 0);
    skua_detach(skua_spawn(leftover, NULL, .name = "left"));
    T_EXPECT_INT(skua_yield(), 0);
    return arg;
}

static void test_rule_3c_a_leftover_that_fails_is_told(void **state)
{
    /* Goal: as a leftover, and, since nobody looks at it, as never retrieved. */
    (void)state;
    t_run(leftover_main, NULL);
    t_check_log("h:leftover left -5 h:unretrieved left -5");
}

static void *stubborn(void *arg)
{
    for (;;)
        SKUA_IGNORE(skua_sleep(50));
    return arg;
}

static void *stubborn_main(void *arg)
{
    T_EXPECT_INT(skua_set_exception_handler(tell, "h"), 0);
    skua_detach(skua_spawn(stubborn, NULL, .name = "stub"));
    T_EXPECT_INT(skua_yield(), 0);
    return arg;
}

static void test_a_task_that_outlives_the_shutdown_timeout_is_told(void **state)
{
    /* Goal: SKUA_EXCEPTION_STUBBORN with its name. */
    (void)state;
    t_run(stubborn_main, NULL, .shutdown_timeout = 3);
    t_check_log("h:stubborn stub -110");
}

static int hold_pipe[2];

static void *blocks(void *arg)
{
    char c;
    SKUA_IGNORE(read(hold_pipe[0], &c, 1));
    return arg;
}

static void *thread_main(void *arg)
{
    T_EXPECT_INT(skua_set_exception_handler(tell, "h"), 0);
    struct skua_lane_stats lane = { .size = sizeof lane };
    skua_detach(skua_spawn_thread(blocks, NULL, .name = "slow"));
    do /* one that has not begun would be withdrawn */
        T_EXPECT_INT(skua_sleep(0.001), 0);
    while (skua_lane_stats_get(NULL, &lane) == 0 && lane.running == 0);
    return arg;
}

static void test_a_thread_call_that_does_not_return_is_told(void **state)
{
    /* Goal: SKUA_EXCEPTION_THREAD; the handler may ask for the lane's figures meanwhile. */
    (void)state;
    assert_int_equal(pipe(hold_pipe), 0);
    t_run(thread_main, NULL, .real_time = true, .shutdown_timeout = 0.05);
    assert_int_equal(write(hold_pipe[1], "x", 1), 1);
    t_check_log("h:thread slow -110");
}

static void test_a_thread_call_left_alone_is_no_handle_never_released(void **state)
{
    /* Goal: the call is named; its handle was given back, what the thread still has is not the
     * user's to release. */
    (void)state;
    assert_int_equal(pipe(hold_pipe), 0);
    t_run(thread_main, NULL, .real_time = true, .shutdown_timeout = 0.05, .debug = true);
    assert_int_equal(write(hold_pipe[1], "x", 1), 1);
    t_check_log("h:thread slow -110");
}

/* ---- rule 65 ---- */

static void *waits_for(void *task)
{
    int r = skua_await(task, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *fails_later(void *arg)
{
    T_EXPECT_INT(skua_sleep(2), 0);
    return fails(arg);
}

static void *shield_main(void *quiet)
{
    T_EXPECT_INT(skua_set_exception_handler(tell, "h"), 0);
    skua_task *inner = skua_spawn(fails_later, NULL, .name = "inner");
    skua_task *outer = skua_shield(inner);
    skua_task *waiter = skua_spawn(waits_for, outer);
    T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT(skua_cancel(waiter, NULL));
    T_EXPECT_INT(skua_join(waiter, NULL), -ECANCELED);
    skua_release(outer);
    if (quiet)
        T_EXPECT_INT(skua_sleep(2), 0);
    if (quiet)
        T_EXPECT_INT(skua_error(inner), -EIO);
    skua_release(inner);
    T_EXPECT_INT(skua_sleep(2), 0);
    t_log("later");
    return NULL;
}

static void test_rule_65_an_error_behind_a_cancelled_shield_is_told(void **state)
{
    /* Goal: with the last handle, once; not where somebody kept one and looked. */
    (void)state;
    t_run(shield_main, NULL);
    t_check_log("h:shielded inner -5 'disk 3' later");
    t_run(shield_main, T_PTR(1));
    t_check_log("later");
}

/* ---- rule 16 ---- */

static void report_more(const struct skua_exception_context *c, void *arg)
{
    const struct skua_exception_context more = { .size = sizeof more, .message = "inner report" };
    (void)arg;
    told++;
    T_EXPECT_STR(c->message, "outer report");
    T_EXPECT_INT(skua_call_exception_handler(&more), 0);
    T_EXPECT_INT(skua_set_exception_handler(NULL, NULL), 0);
}

static void *broken_main(void *arg)
{
    const struct skua_exception_context c = { .size = sizeof c, .message = "outer report" };
    T_EXPECT_INT(skua_set_exception_handler(report_more, NULL), 0);
    T_EXPECT_INT(skua_call_exception_handler(&c), 0);
    T_EXPECT_INT(skua_call_exception_handler(&c), 0); /* to the default one */
    T_EXPECT_INT(told, 1);
    return arg;
}

static int broken_scenario(void)
{
    told = 0;
    return skua_run(broken_main, NULL) == 0 && t_failures() == 0 ? 0 : 1;
}

static void test_rule_16_what_a_handler_reports_goes_to_the_default_one(void **state)
{
    /* Goal: a handler that fails itself does not go round in a circle; NULL takes it back. */
    struct t_child child;
    (void)state;
    t_child_run("broken", &child);
    assert_true(t_child_exited(&child, 0));
    assert_string_equal(child.text, "skua: inner report\nskua: outer report\n");
}

static void *quiet_main(void *arg)
{
    skua_detach(skua_spawn(fails, NULL, .name = "quiet"));
    return arg;
}

static int default_scenario(void)
{
    return skua_run(quiet_main, NULL) == 0 ? 0 : 1;
}

static int default_debug_scenario(void)
{
    return skua_run(quiet_main, NULL, .debug = true) == 0 ? 0 : 1;
}

static void test_without_a_handler_it_is_as_ever(void **state)
{
    /* Goal: errors never retrieved are printed in debug mode only. */
    struct t_child child;
    (void)state;
    t_child_run("default", &child);
    assert_true(t_child_exited(&child, 0));
    assert_string_equal(child.text, "");
    t_child_run("default_debug", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "the error of quiet was never retrieved: -5, disk 3"));
}

/* ---- debug mode's own ---- */

static skua_task *kept; /* beyond the run */

static void *debug_main(void *arg)
{
    T_EXPECT_INT(skua_set_exception_handler(tell, "h"), 0);
    kept = skua_spawn(rests, NULL, .name = "swallows");
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT(skua_cancel(kept, NULL));
    T_EXPECT_INT(skua_await(kept, NULL), 0);
    return arg;
}

static void test_what_debug_mode_reports_goes_to_the_handler_too(void **state)
{
    /* Goal: swallowed cancels and handles never released. */
    (void)state;
    t_run(debug_main, NULL, .debug = true);
    skua_release(kept);
    t_check_log("h:swallowed swallows h:unreleased swallows");
}

/* The kind, and whether the report names this file as the place of spawn. */
static void tell_place(const struct skua_exception_context *c, void *arg)
{
    (void)arg;
    bool is_here = c->where && strstr(c->where, "exception_handler_test.c:") != NULL;
    t_log("%s:%s", kinds[c->kind], is_here && strstr(c->message, c->where) ? "here" : c->message);
}

static void *fails_in_a_thread(void *arg)
{
    (void)arg;
    return skua_fail(-EIO);
}

static void *places_main(void *arg)
{
    T_EXPECT_INT(skua_set_exception_handler(tell_place, NULL), 0);
    skua_task *t = skua_spawn(rests, NULL);
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_detach(skua_spawn(fails, NULL));
    T_EXPECT_INT(skua_yield(), 0);
    t = skua_spawn_thread(fails_in_a_thread, NULL);
    T_EXPECT_INT(skua_wait(&t, 1, INFINITY, SKUA_ALL_COMPLETED, NULL), 0);
    skua_release(t);
    kept = skua_spawn_thread(t_yielder, NULL);
    T_EXPECT_INT(skua_await(kept, NULL), 0);
    return arg;
}

static void test_rule_17_reports_name_the_place_of_spawn(void **state)
{
    /* Goal: file and line, of tasks and of thread calls. */
    (void)state;
    t_run(places_main, NULL, .debug = true);
    skua_release(kept);
    t_check_log("swallowed:here unretrieved:here unretrieved:here unreleased:here");
}

/* ---- bad input ---- */

static void *bad_main(void *arg)
{
    struct skua_exception_context c = { .size = 3, .message = "x" };
    T_EXPECT_INT(skua_call_exception_handler(NULL), -EINVAL);
    T_EXPECT_INT(skua_call_exception_handler(&c), -EINVAL);
    c = (struct skua_exception_context){ .size = sizeof c };
    T_EXPECT_INT(skua_call_exception_handler(&c), -EINVAL);
    return arg;
}

/* ---- two runtimes ---- */

static skua_task *stray;

static void *home_main(void *arg)
{
    T_EXPECT_INT(skua_set_exception_handler(tell, "home"), 0);
    stray = skua_spawn(fails, NULL, .name = "stray");
    T_EXPECT_INT(skua_yield(), 0);
    return arg;
}

static void *abroad_main(void *arg)
{
    T_EXPECT_INT(skua_set_exception_handler(tell, "abroad"), 0);
    skua_release(stray);
    return arg;
}

static void *abroad(void *arg)
{
    T_EXPECT_INT(skua_run(abroad_main, NULL), 0);
    return arg;
}

static void test_a_task_released_by_another_runtime_is_told_at_home(void **state)
{
    /* Goal: a handler hears of its own runtime's tasks, and of no other's. */
    pthread_t thread;
    (void)state;
    skua_loop *loop = skua_loop_new();
    skua_task *t = skua_spawn(home_main, NULL, .group = loop);
    assert_int_equal(skua_loop_run_until_complete(loop, t, NULL), 0);
    skua_release(t);
    assert_int_equal(pthread_create(&thread, NULL, abroad, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(skua_loop_close(loop), 0);
    t_check_log("home:unretrieved stray -5 'disk 3'");
}

static void test_bad_input(void **state)
{
    /* Goal: a clear error. */
    (void)state;
    assert_int_equal(skua_set_exception_handler(tell, NULL), -EPERM);
    assert_int_equal(skua_call_exception_handler(NULL), -EPERM);
    t_run(bad_main, NULL);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_22_an_error_nobody_looked_at_is_told_at_the_last_release),
    T_TEST(test_rule_3c_a_leftover_that_fails_is_told),
    T_TEST(test_a_task_that_outlives_the_shutdown_timeout_is_told),
    T_TEST(test_a_thread_call_that_does_not_return_is_told),
    T_TEST(test_a_thread_call_left_alone_is_no_handle_never_released),
    T_TEST(test_rule_65_an_error_behind_a_cancelled_shield_is_told),
    T_TEST(test_rule_16_what_a_handler_reports_goes_to_the_default_one),
    T_TEST(test_without_a_handler_it_is_as_ever),
    T_TEST(test_what_debug_mode_reports_goes_to_the_handler_too),
    T_TEST(test_rule_17_reports_name_the_place_of_spawn),
    T_TEST(test_a_task_released_by_another_runtime_is_told_at_home),
    T_TEST(test_bad_input),
};
static const struct t_scenario scenarios[] = {
    { "broken", broken_scenario },
    { "default", default_scenario },
    { "default_debug", default_debug_scenario },
    { 0 },
};
T_MAIN(tests, scenarios)
