/* SPDX-License-Identifier: MIT */
/* run: rules 1 to 5 of asyncio. */
#include "../support/process.h"
#include "../support/scale.h"
#include "../support/t.h"

#include <stdatomic.h>

/* ---- rule 1 ---- */

static void *give_back(void *arg)
{
    return arg;
}

static void *nested_main(void *arg)
{
    T_EXPECT_INT(skua_run(give_back, NULL), -EPERM);
    T_EXPECT(skua_loop_new() == NULL);
    T_EXPECT_INT(skua_sleep(1), 0);
    return arg;
}

static void test_rule_1_run_inside_run_is_refused(void **state)
{
    /* Goal: -EPERM, and the running loop goes on unharmed. */
    (void)state;
    t_run(nested_main, T_PTR(1), .want_value = T_PTR(1));
}

static void test_rule_1_run_needs_a_function(void **state)
{
    /* Goal: no main, -EINVAL. */
    (void)state;
    assert_int_equal(skua_run(NULL, NULL), -EINVAL);
    t_run(give_back, T_PTR(1), .want_value = T_PTR(1));
}

/* ---- rule 2 ---- */

static void *value_main(void *arg)
{
    T_EXPECT(skua_loop_current() != NULL);
    T_EXPECT(skua_current_task() != NULL);
    T_EXPECT_INT(skua_sleep(1), 0);
    return arg;
}

static void test_rule_2_run_gives_the_value_or_the_error_of_main(void **state)
{
    /* Goal: a value with 0, an error as it is; a fresh loop each time. */
    (void)state;
    t_run(value_main, T_PTR(42), .want_value = T_PTR(42));
    t_run(value_main, skua_fail(-EIO), .want = -EIO);
    t_run(value_main, skua_fail(-ECANCELED), .want = -ECANCELED);
    t_run(value_main, T_PTR(43), .want_value = T_PTR(43));
    assert_int_equal(skua_run(give_back, T_PTR(1)), 0);
}

static void test_rule_2_a_null_value_is_a_value(void **state)
{
    /* Goal: NULL means success; the result is overwritten with it. */
    (void)state;
    void *value = T_PTR(5);
    assert_int_equal(skua_run(give_back, NULL, .result = &value), 0);
    assert_null(value);
    value = T_PTR(5);
    assert_int_equal(skua_run(give_back, skua_fail(-EIO), .result = &value), -EIO);
    assert_ptr_equal(value, T_PTR(5));
}

/* ---- rule 3 ---- */

static void *cleans_up(void *name)
{
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    t_log("%s!", (const char *)name);
    T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT_INT(skua_yield(), 0);
    t_log("%s.", (const char *)name);
    return skua_fail(-ECANCELED);
}

static void *first_step(void *arg)
{
    t_log("f");
    SKUA_IGNORE(skua_yield());
    return arg;
}

static void *leave_two(void *end)
{
    skua_detach(skua_spawn(cleans_up, "a"));
    skua_yield();
    skua_detach(skua_spawn(first_step, NULL));
    t_log("end");
    return end;
}

static void test_rule_3_leftovers_are_cancelled_and_waited_for(void **state)
{
    /* Goal: whatever the end of main, each leftover gets a cancel and may wait in its cleanup; the
     * loop makes the trip that main's end takes, so what was ready runs before. */
    (void)state;
    t_run(leave_two, T_PTR(3), .want_value = T_PTR(3));
    t_check_log("end f a! a.");
    t_run(leave_two, skua_fail(-EIO), .want = -EIO);
    t_check_log("end f a! a.");
    t_run(leave_two, skua_fail(-ECANCELED), .want = -ECANCELED);
    t_check_log("end f a! a.");
}

static void *cleans_up_and_counts(void *count)
{
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    T_EXPECT_INT(skua_sleep(1), 0);
    atomic_fetch_add((atomic_int *)count, 1);
    return skua_fail(-ECANCELED);
}

static void *leave_many(void *count)
{
    for (int i = 0; i < 100; i++)
        skua_detach(i % 2 ? skua_go(cleans_up_and_counts, count)
                          : skua_spawn(cleans_up_and_counts, count));
    SKUA_IGNORE(skua_sleep(1));
    return NULL;
}

static void test_rule_3_every_leftover_is_waited_for(void **state)
{
    /* Goal: a hundred of them, pinned and free, and none is missing when run returns. */
    (void)state;
    atomic_int count = 0;
    t_run(leave_many, &count);
    assert_int_equal(atomic_load(&count), 100);
}

static void *fails_in_cleanup(void *arg)
{
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    return skua_fail(T_NUM(arg));
}

static void *leave_failing(void *arg)
{
    skua_detach(skua_spawn(fails_in_cleanup, T_PTR(-EIO), .name = "left-failing"));
    skua_yield();
    return arg;
}

static int leave_failing_scenario(void)
{
    void *value = NULL;
    int r = skua_run(leave_failing, T_PTR(7), .result = &value, .virtual_time = true);
    return r == 0 && value == T_PTR(7) ? 0 : 1;
}

static void test_rule_3_a_leftover_that_fails_is_reported_and_changes_nothing(void **state)
{
    /* Goal: run's result stays main's; the error of the leftover is told with its name. */
    (void)state;
    struct t_child child;
    t_child_run("leave_failing", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "left-failing"));
}

static void *use_a_thread(void *arg)
{
    SKUA_IGNORE(skua_to_thread(give_back, arg, NULL));
    return arg;
}

static void test_rule_3_run_closes_what_it_opened(void **state)
{
    /* Goal: loop, workers and pool threads are gone when run returns: descriptors and threads are
     * as many as before. */
    (void)state;
    t_run(use_a_thread, NULL);
    int fds = t_fds(), threads = t_threads();
    for (int i = 0; i < 5; i++)
        t_run(use_a_thread, NULL);
    assert_int_equal(t_fds(), fds);
    if (!T_EMULATED) /* a thread that has been joined is there a little longer */
        assert_int_equal(t_threads(), threads);
    assert_null(skua_loop_current());
}

/* ---- rule 4 ---- */

static bool slept_to_the_end;

static void *endless(void *arg)
{
    slept_to_the_end = skua_sleep(1e6) == 0;
    return arg;
}

static void *spawns_in_cleanup(void *arg)
{
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    skua_task *t = skua_spawn(endless, NULL);
    if (t)
        skua_detach(t);
    skua_yield();
    return arg;
}

static void *leave_spawner(void *arg)
{
    skua_detach(skua_spawn(spawns_in_cleanup, NULL));
    skua_yield();
    return arg;
}

static void test_rule_4_a_task_spawned_by_cleanup_does_not_keep_run(void **state)
{
    /* Goal: run ends long before that task would; it never gets to its natural end. */
    (void)state;
    slept_to_the_end = false;
    t_run(leave_spawner, T_PTR(2), .want_value = T_PTR(2));
    assert_false(slept_to_the_end);
}

/* ---- rule 5 ---- */

static void *swallows(void *arg)
{
    double start = skua_loop_time();
    int cancels = 0;
    while (t_elapsed(start) < 3600)
        cancels += skua_sleep(1) == -ECANCELED;
    T_EXPECT_INT(cancels, 1);
    t_log("an-hour");
    return arg;
}

static void *leave_swallower(void *arg)
{
    skua_detach(skua_spawn(swallows, NULL));
    skua_yield();
    return arg;
}

static void test_rule_5_there_is_no_second_cancel_and_no_deadline_by_default(void **state)
{
    /* Goal: a leftover that swallows its cancel and goes on keeps run waiting. */
    (void)state;
    t_run(leave_swallower, NULL);
    t_check_log("an-hour");
}

static void *never_ends(void *arg)
{
    for (;;)
        SKUA_IGNORE(skua_sleep(0.05));
    return arg;
}

static void *leave_endless(void *arg)
{
    skua_detach(skua_spawn(never_ends, NULL, .name = "left-endless"));
    skua_yield();
    return arg;
}

static int deadline_scenario(void)
{
    double start = t_wall();
    SKUA_IGNORE(skua_run(leave_endless, NULL, .shutdown_timeout = 0.3));
    return t_wall() - start < 10 ? 0 : 1;
}

static void test_rule_5_a_deadline_may_be_set(void **state)
{
    /* Goal: with .shutdown_timeout run gives up on such a task, and says which. */
    (void)state;
    struct t_child child;
    t_child_run("deadline", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "left-endless"));
}

static const struct t_scenario scenarios[] = {
    { "leave_failing", leave_failing_scenario },
    { "deadline", deadline_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_1_run_inside_run_is_refused),
    T_TEST(test_rule_1_run_needs_a_function),
    T_TEST(test_rule_2_run_gives_the_value_or_the_error_of_main),
    T_TEST(test_rule_2_a_null_value_is_a_value),
    T_TEST(test_rule_3_leftovers_are_cancelled_and_waited_for),
    T_TEST(test_rule_3_every_leftover_is_waited_for),
    T_TEST(test_rule_3_a_leftover_that_fails_is_reported_and_changes_nothing),
    T_TEST(test_rule_3_run_closes_what_it_opened),
    T_TEST(test_rule_4_a_task_spawned_by_cleanup_does_not_keep_run),
    T_TEST(test_rule_5_there_is_no_second_cancel_and_no_deadline_by_default),
    T_TEST(test_rule_5_a_deadline_may_be_set),
};

T_MAIN(tests, scenarios)
