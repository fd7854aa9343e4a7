/* SPDX-License-Identifier: MIT */
/* shield: rules 64 to 66 of asyncio. */
#include "../support/t.h"

/* ---- rule 64 ---- */

static void *await_shielded(void *inner)
{
    skua_task *s = skua_shield(inner);
    T_EXPECT(s != NULL);
    T_EXPECT_INT(skua_join(s, NULL), -ECANCELED);
    T_EXPECT(!skua_done(inner));
    T_EXPECT_INT(skua_cancelling(inner), 0);
    t_log("o!");
    return skua_fail(-ECANCELED);
}

static void *outer_cancelled_main(void *arg)
{
    struct t_job job = { .name = "i", .sleep = 2 };
    skua_task *inner = skua_spawn(t_job, &job), *outer = skua_spawn(await_shielded, inner);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(6));
    t_yield_times(2);
    skua_cancel(outer, NULL);
    t_log("c");
    T_EXPECT_INT(skua_join(outer, NULL), -ECANCELED);
    t_log("m");
    void *value = NULL;
    T_EXPECT_INT(skua_join(inner, &value), 0);
    T_EXPECT_STR(value, "i");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return arg;
}

static void test_rule_64_cancelling_the_awaiter_leaves_the_inner_alone(void **state)
{
    /* Goal: the awaiter is cancelled a hop later, the inner runs to its end. */
    (void)state;
    t_run(outer_cancelled_main, NULL);
    t_check_log("0 1 c 2 o! 3 m 4 5 i");
}

static void *hops_main(void *arg)
{
    struct t_job job = { .name = "i", .yields = 1 };
    skua_task *inner = skua_spawn(t_job, &job);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(6));
    skua_task *s = skua_shield(inner);
    void *value = NULL;
    T_EXPECT_INT(skua_join(s, &value), 0);
    T_EXPECT_STR(value, "i");
    t_log("m");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(inner);
    return arg;
}

static void test_rule_64_a_shield_adds_one_hop(void **state)
{
    /* Goal: inner's callback completes the shield, then its awaiter wakes. */
    (void)state;
    t_run(hops_main, NULL);
    t_check_log("0 i 1 2 m 3 4 5");
}

static void *inner_cancelled_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "i" };
    skua_task *inner = skua_spawn(t_waiter, &w);
    skua_task *s = skua_shield(inner);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(6));
    skua_yield();
    skua_cancel(inner, NULL);
    t_log("c");
    T_EXPECT_INT(skua_await(s, NULL), -ECANCELED);
    t_log("m");
    T_EXPECT(skua_cancelled(s));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_task *all[3] = { s, inner, f };
    skua_release_all(all, 3);
    return arg;
}

static void test_rule_64_a_cancelled_inner_cancels_the_shield(void **state)
{
    /* Goal: what happens to the inner shows outside. */
    (void)state;
    t_run(inner_cancelled_main, NULL);
    t_check_log("i- 0 c 1 i! 2 3 m 4 5");
}

static void *already_done_main(void *arg)
{
    struct t_job job = { .name = "i" };
    skua_task *inner = skua_spawn(t_job, &job);
    T_EXPECT_INT(skua_await(inner, NULL), 0);
    skua_task *s = skua_shield(inner);
    T_EXPECT(s == inner);
    skua_release(inner);
    T_EXPECT(skua_done(s));
    T_EXPECT_INT(skua_join(s, NULL), 0);
    return arg;
}

static void test_rule_64_a_done_inner_is_returned_as_it_is(void **state)
{
    /* Goal: the same task, with a reference of its own. */
    (void)state;
    t_run(already_done_main, NULL);
}

/* ---- rule 65 ---- */

static void *fail_later(void *arg)
{
    SKUA_IGNORE(skua_sleep(1));
    return skua_fail(T_NUM(arg));
}

static void *late_failure_main(void *arg)
{
    skua_task *inner = skua_spawn(fail_later, T_PTR(-EIO), .name = "shielded-one");
    skua_task *s = skua_shield(inner);
    skua_release(inner);
    skua_yield();
    T_EXPECT(skua_cancel(s, NULL));
    skua_release(s);
    T_EXPECT_INT(skua_sleep(2), 0);
    return arg;
}

static int late_failure_scenario(void)
{
    return skua_run(late_failure_main, NULL, .debug = true, .virtual_time = true) == 0 ? 0 : 1;
}

static void test_rule_65_a_failure_behind_a_cancelled_shield_is_reported(void **state)
{
    /* Goal: nobody can see that error any more, so debug mode names the task. */
    (void)state;
    struct t_child child;
    t_child_run("late_failure", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "shielded-one"));
}

static void *opt_out_main(void *arg)
{
    skua_task *inner = skua_spawn(fail_later, T_PTR(-EIO), .name = "shielded-one");
    skua_task *s = skua_shield(inner);
    skua_yield();
    T_EXPECT(skua_cancel(s, NULL));
    skua_release(s);
    T_EXPECT_INT(skua_sleep(2), 0);
    T_EXPECT_INT(skua_error(inner), -EIO);
    skua_release(inner);
    return arg;
}

static int opt_out_scenario(void)
{
    return skua_run(opt_out_main, NULL, .debug = true, .virtual_time = true) == 0 ? 0 : 1;
}

static void test_rule_65_who_looks_at_the_inner_gets_no_report(void **state)
{
    /* Goal: keeping a handle and asking for the error is the way to silence it. */
    (void)state;
    struct t_child child;
    t_child_run("opt_out", &child);
    assert_true(t_child_exited(&child, 0));
    t_child_did_not_write(&child, "shielded-one", "never retrieved");
}

static void *failing_main(void *arg)
{
    skua_task *inner = skua_spawn(fail_later, T_PTR(-EIO));
    T_EXPECT_INT(skua_join(skua_shield(inner), NULL), -EIO);
    skua_release(inner);
    return arg;
}

static void test_rule_65_a_failure_passes_through_a_living_shield(void **state)
{
    /* Goal: the error of the inner is the error of the shield. */
    (void)state;
    t_run(failing_main, NULL);
}

/* ---- rule 66 ---- */

static void *sleeps_on(void *arg)
{
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    t_log("inner!");
    return arg;
}

static void *shutdown_main(void *arg)
{
    skua_task *inner = skua_spawn(sleeps_on, skua_fail(-ECANCELED));
    skua_task *s = skua_shield(inner);
    skua_release(inner);
    skua_yield();
    skua_release(s);
    return arg;
}

static void test_rule_66_no_shield_against_the_end_of_run(void **state)
{
    /* Goal: what is left when main ends is cancelled, shielded or not. */
    (void)state;
    t_run(shutdown_main, NULL);
    t_check_log("inner!");
}

static const struct t_scenario scenarios[] = {
    { "late_failure", late_failure_scenario },
    { "opt_out", opt_out_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_64_cancelling_the_awaiter_leaves_the_inner_alone),
    T_TEST(test_rule_64_a_shield_adds_one_hop),
    T_TEST(test_rule_64_a_cancelled_inner_cancels_the_shield),
    T_TEST(test_rule_64_a_done_inner_is_returned_as_it_is),
    T_TEST(test_rule_65_a_failure_behind_a_cancelled_shield_is_reported),
    T_TEST(test_rule_65_who_looks_at_the_inner_gets_no_report),
    T_TEST(test_rule_65_a_failure_passes_through_a_living_shield),
    T_TEST(test_rule_66_no_shield_against_the_end_of_run),
};

T_MAIN(tests, scenarios)
