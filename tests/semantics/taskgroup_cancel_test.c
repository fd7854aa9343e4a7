/* SPDX-License-Identifier: MIT */
/* Task groups: rules 70 and 71 of asyncio. Most scenarios run twice: main and its children in one
 * pinned group, and all of them free. The clock is virtual, so that times are exact. */
#include "taskgroup_acts.h"

/* ---- rule 70 ---- */

struct runner {
    int in_body;            /* 1: waits there too; 2: and turns a cancel into -EDOM */
    struct act child;
    int n;
    int want_cancelling;    /* after the join */
    int want_next;          /* what the next wait gives */
};

static void *runner(void *arg)
{
    struct runner *r = arg;
    skua_taskgroup tg;
    int err = 0;
    open_group(&tg);
    for (int i = 0; i < r->n; i++)
        T_EXPECT(skua_taskgroup_spawn(&tg, act, &r->child) != NULL);
    if (r->in_body)
        err = skua_sleep(10);
    if (r->in_body == 2 && err < 0)
        err = -EDOM;
    err = skua_taskgroup_join(&tg, err);
    T_EXPECT_INT(cancelling(), r->want_cancelling);
    T_EXPECT_INT(skua_sleep(0.001), r->want_next);
    return skua_fail(err);
}

static void cancel_runner(struct runner *r, double after, int want)
{
    skua_task *t = skua_spawn(runner, r);
    T_EXPECT_INT(skua_sleep(after), 0);
    T_EXPECT(!skua_done(t));
    T_EXPECT(skua_cancel(t, "test"));
    T_EXPECT_INT(skua_await(t, NULL), want);
    if (want == -ECANCELED)
        T_EXPECT_STR(skua_error_message(t), "test");
    skua_release(t);
}

static void *outside_main(void *arg)
{
    atomic_int cancels = 0;
    struct runner join = { 0, { .delay = 5, .cancels = &cancels }, 5, 1, 0 };
    cancel_runner(&join, 0.1, -ECANCELED);
    T_EXPECT_INT(atomic_load(&cancels), 5);
    struct runner body = { 1, { .delay = 5, .cancels = &cancels }, 5, 1, 0 };
    cancel_runner(&body, 0.1, -ECANCELED);
    T_EXPECT_INT(atomic_load(&cancels), 10);
    struct runner alone = { .in_body = 1, .want_cancelling = 1 };
    cancel_runner(&alone, 0.1, -ECANCELED);
    return arg;
}

static void test_rule_70_a_cancel_from_outside_ends_the_group(void **state)
{
    /* Goal: asyncio's cancellation, taskgroup_07 and _17: in the join and in the body. */
    (void)state;
    both(outside_main);
    t_check();
}

static void *outside_and_failure_main(void *arg)
{
    /* the children fail while they clean up */
    struct runner join = { 0, { .delay = 5, .clean_up = 0.1, .clean_up_err = -EIO }, 3, 1,
                           -ECANCELED };
    cancel_runner(&join, 0.1, -EIO);
    struct runner body = { 1, { .delay = 5, .clean_up = 0.1, .clean_up_err = -EIO }, 3, 1,
                           -ECANCELED };
    cancel_runner(&body, 0.1, -EIO);
    struct runner weird = { .in_body = 2, .want_cancelling = 1, .want_next = -ECANCELED };
    cancel_runner(&weird, 0.1, -EDOM);
    return arg;
}

static void test_rule_70_an_error_wins_over_the_cancel_which_is_felt_later(void **state)
{
    /* Goal: the error is reported, cancelling() stays 1, the next wait is cancelled. asyncio's
     * taskgroup_18. */
    (void)state;
    both(outside_and_failure_main);
    t_check();
}

static void *slow_body(void *arg)
{
    skua_taskgroup tg;
    struct act bad = { .delay = 0.3, .err = -EIO, .clean_up_err = 0 };
    (void)arg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &bad) != NULL);
    int r = skua_sleep(10);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_sleep(0.1), 0); /* the body cleans up; the child is not asked yet */
    return skua_fail(skua_taskgroup_join(&tg, r));
}

static void *await_slow_body(void *arg)
{
    skua_task *t = skua_spawn(slow_body, arg);
    return skua_fail(skua_join(t, NULL));
}

static void *slow_body_main(void *arg)
{
    skua_fn fns[2] = { slow_body, await_slow_body };
    for (int i = 0; i < 2; i++) {
        skua_task *t = skua_spawn_with(fns[i], NULL, NULL);
        T_EXPECT_INT(skua_sleep(0.1), 0);
        T_EXPECT(skua_cancel(t, NULL));
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    }
    return arg;
}

static void test_rule_70_a_body_that_cleans_up_slowly_is_still_cancelled(void **state)
{
    /* Goal: asyncio's taskgroup_15 and _16: children are cancelled when the body has ended. */
    (void)state;
    both(slow_body_main);
    t_check();
}

static void *again_main(void *arg)
{
    /* cancelled twice in the join: one wait each, both swallowed by it */
    struct runner r = { 0, { .delay = 5, .clean_up = 1 }, 2, 2, 0 };
    skua_task *t = skua_spawn(runner, &r);
    double start = skua_loop_time();
    for (int i = 0; i < 2; i++) {
        T_EXPECT_INT(skua_sleep(0.1), 0);
        T_EXPECT(skua_cancel(t, NULL));
    }
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT(t_elapsed(start) == 1.101 || t_elapsed(start) == 1.1);
    return arg;
}

static void test_rule_70_a_second_cancel_does_not_cut_the_wait_short(void **state)
{
    /* Goal: children are asked once and waited for, however often the parent is cancelled. */
    (void)state;
    both(again_main);
    t_check();
}

/* ---- rule 71 ---- */

struct nest {
    struct act outer, inner;
    int want_inner, want_outer;
    int want_between;       /* cancelling() after the inner join */
};

static void *nest_main(void *arg)
{
    struct nest *n = arg;
    skua_taskgroup outer, inner;
    open_group(&outer);
    if (n->outer.delay > 0)
        T_EXPECT(skua_taskgroup_spawn(&outer, act, &n->outer) != NULL);
    open_group(&inner);
    T_EXPECT(skua_taskgroup_spawn(&inner, act, &n->inner) != NULL);
    int r = skua_taskgroup_join(&inner, 0);
    T_EXPECT_INT(r, n->want_inner);
    T_EXPECT_INT(cancelling(), n->want_between);
    T_EXPECT_INT(skua_taskgroup_join(&outer, r), n->want_outer);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_sleep(0.001), 0);
    return NULL;
}

static void run_nest(struct nest n, bool free_too)
{
    t_run(nest_main, &n);
    if (free_too)
        t_run(nest_main, &n, .free_main = true);
    t_check();
}

static void test_rule_71_a_failure_of_the_outer_group_ends_the_inner(void **state)
{
    /* Goal: asyncio's taskgroup_13. */
    (void)state;
    run_nest((struct nest){ { .delay = 0.1, .err = -EIO }, { .delay = 10 }, -ECANCELED, -EIO, 1 },
             true);
}

static void test_rule_71_a_failure_of_the_inner_group_is_the_bodys_error(void **state)
{
    /* Goal: asyncio's taskgroup_14: its own cancel does not leak outward. */
    (void)state;
    run_nest((struct nest){ { .delay = 10 }, { .delay = 0.1, .err = -EIO }, -EIO, -EIO, 0 },
             true);
}

static void test_rule_71_both_groups_fail_at_the_same_moment(void **state)
{
    /* Goal: asyncio's nested_groups_both_cancelled. */
    (void)state;
    run_nest((struct nest){ { .delay = 0.1, .err = -EIO }, { .delay = 0.1, .err = -EDOM }, -EDOM,
                            -EIO, 1 }, false); /* free tasks have no order at one moment */
}

static void *swallow_main(void *arg)
{
    skua_taskgroup outer, inner;
    struct act bad = { .delay = 0.1, .err = -EIO }, worse = { .delay = 0.1, .err = -EDOM };
    open_group(&outer);
    open_group(&inner);
    T_EXPECT(skua_taskgroup_spawn(&inner, act, &bad) != NULL);
    T_EXPECT(skua_taskgroup_spawn(&outer, act, &worse) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&inner, 0), -EIO);
    /* this error is dealt with; the outer group's cancel is still to be felt */
    T_EXPECT_INT(cancelling(), 1);
    T_EXPECT_INT(skua_sleep(5), -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_join(&outer, -ECANCELED), -EDOM);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void test_rule_71_the_outer_cancel_survives_an_inner_error(void **state)
{
    /* Goal: python/cpython#116720. */
    (void)state;
    t_run(swallow_main, NULL);
    t_check();
}

struct inner {
    skua_future *ready;
    int want_cancelling;
};

static void *error_and_cancel(void *arg)
{
    struct inner *in = arg;
    skua_taskgroup tg;
    struct act bad = { .err = -EIO };
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &bad) != NULL);
    int r = skua_sleep(1);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(skua_future_set_result(in->ready, NULL));
    T_EXPECT_INT(skua_sleep(1), -ECANCELED); /* from outside, while the body cleans up */
    T_EXPECT_INT(skua_taskgroup_join(&tg, r), -EIO);
    T_EXPECT_INT(cancelling(), 1);
    return skua_fail(skua_sleep(1));
}

static void *error_and_cancel_main(void *arg)
{
    struct inner in = { .ready = skua_future_new() };
    skua_task *t = skua_spawn(error_and_cancel, &in);
    T_EXPECT_INT(skua_await(in.ready, NULL), 0);
    T_EXPECT_INT(skua_sleep(0.1), 0);
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    skua_release(in.ready);
    return arg;
}

static void test_rule_71_error_and_cancel(void **state)
{
    /* Goal: asyncio's error_and_cancel: the group takes back its own request only. */
    (void)state;
    both(error_and_cancel_main);
    t_check();
}

static void *entry_value_main(void *arg)
{
    /* In the clean-up of a cancelled task: the count was 1 before. */
    skua_taskgroup tg;
    struct act bad = { .delay = 0.1, .err = -EIO };
    skua_cancel(skua_current_task(), NULL);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &bad) != NULL);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT_INT(cancelling(), 2);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -ECANCELED), -EIO);
    T_EXPECT_INT(cancelling(), 1);
    T_EXPECT_INT(skua_sleep(0.1), 0);
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &bad) != NULL);
    skua_taskgroup_cancel(&tg); /* nobody waits: the request is never delivered */
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT_INT(cancelling(), 1);
    T_EXPECT_INT(skua_sleep(0.1), 0);
    T_EXPECT_INT(skua_uncancel(skua_current_task()), 0);
    return arg;
}

static void test_rule_68_cancelling_returns_to_the_entry_value(void **state)
{
    /* Goal: a request from before the group is neither taken back nor felt again. */
    (void)state;
    both(entry_value_main);
    t_check();
}

/* ---- rule 71: ending a group ---- */

static void *end_in_body_main(void *arg)
{
    skua_taskgroup tg;
    atomic_int cancels = 0;
    struct act a = { .delay = 5, .cancels = &cancels };
    double start = skua_loop_time();
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &a) != NULL);
    T_EXPECT_INT(skua_sleep(0.1), 0);
    skua_taskgroup_cancel(&tg);
    skua_taskgroup_cancel(&tg);
    T_EXPECT_INT(cancelling(), 1);
    T_EXPECT(!skua_taskgroup_spawn(&tg, act, &a));
    int r = skua_sleep(1);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_join(&tg, r), 0);
    T_EXPECT(t_elapsed(start) == 0.1);
    T_EXPECT_INT(atomic_load(&cancels), 1);
    T_EXPECT_INT(cancelling(), 0);
    skua_taskgroup_cancel(&tg); /* over already */
    T_EXPECT_INT(skua_sleep(0.1), 0);
    return arg;
}

static void test_rule_71_cancel_ends_the_group_without_error(void **state)
{
    /* Goal: the body that spawned cancels. */
    (void)state;
    both(end_in_body_main);
    t_check();
}

static void *end_group(void *tg)
{
    int r = skua_sleep(0.1);
    if (r == 0) {
        skua_taskgroup_cancel(tg);
        r = skua_sleep(1); /* it is cancelled too */
    }
    return skua_fail(r);
}

static void *end_by_child_main(void *arg)
{
    skua_taskgroup tg;
    struct act a = { .delay = 5, .clean_up = 0.2 };
    for (int in_body = 0; in_body < 2; in_body++) {
        double start = skua_loop_time();
        open_group(&tg);
        skua_task *t = skua_retain(skua_taskgroup_spawn(&tg, end_group, &tg));
        T_EXPECT(skua_taskgroup_spawn(&tg, act, &a) != NULL);
        int r = in_body ? skua_sleep(1) : 0;
        T_EXPECT_INT(r, in_body ? -ECANCELED : 0);
        T_EXPECT_INT(skua_taskgroup_join(&tg, r), 0);
        T_EXPECT(t_elapsed(start) == 0.3);
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        T_EXPECT_INT(cancelling(), 0);
        T_EXPECT_INT(skua_sleep(0.01), 0);
    }
    return arg;
}

static void test_rule_71_a_child_ends_the_group(void **state)
{
    /* Goal: while the body runs, and while the parent joins. */
    (void)state;
    both(end_by_child_main);
    t_check();
}

static void *end_and_outside(void *arg)
{
    skua_taskgroup tg;
    struct act a = { .delay = 5, .clean_up = 1 };
    (void)arg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, end_group, &tg) != NULL);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &a) != NULL);
    int r = skua_taskgroup_join(&tg, 0);
    T_EXPECT_INT(cancelling(), 1);
    return skua_fail(r);
}

static void *end_and_outside_main(void *arg)
{
    /* before and after the child ends the group */
    for (int after = 0; after < 2; after++) {
        skua_task *t = skua_spawn(end_and_outside, NULL);
        T_EXPECT_INT(skua_sleep(after ? 0.5 : 0.05), 0);
        T_EXPECT(skua_cancel(t, NULL));
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    }
    return arg;
}

static void test_rule_71_a_cancel_from_outside_is_not_taken_for_the_groups_own(void **state)
{
    /* Goal: python/cpython#155433. */
    (void)state;
    both(end_and_outside_main);
    t_check();
}

static void end_group_cb(void *tg)
{
    skua_taskgroup_cancel(tg);
}

static void *end_by_callback_main(void *arg)
{
    skua_taskgroup tg;
    struct act a = { .delay = 5 };
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &a) != NULL);
    skua_handle h = skua_call_later(0.1, end_group_cb, &tg);
    T_EXPECT(h.id != 0);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void test_rule_71_a_callback_ends_the_group(void **state)
{
    (void)state;
    t_run(end_by_callback_main, NULL);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_70_a_cancel_from_outside_ends_the_group),
    T_TEST(test_rule_70_an_error_wins_over_the_cancel_which_is_felt_later),
    T_TEST(test_rule_70_a_body_that_cleans_up_slowly_is_still_cancelled),
    T_TEST(test_rule_70_a_second_cancel_does_not_cut_the_wait_short),
    T_TEST(test_rule_71_a_failure_of_the_outer_group_ends_the_inner),
    T_TEST(test_rule_71_a_failure_of_the_inner_group_is_the_bodys_error),
    T_TEST(test_rule_71_both_groups_fail_at_the_same_moment),
    T_TEST(test_rule_71_the_outer_cancel_survives_an_inner_error),
    T_TEST(test_rule_71_error_and_cancel),
    T_TEST(test_rule_68_cancelling_returns_to_the_entry_value),
    T_TEST(test_rule_71_cancel_ends_the_group_without_error),
    T_TEST(test_rule_71_a_child_ends_the_group),
    T_TEST(test_rule_71_a_cancel_from_outside_is_not_taken_for_the_groups_own),
    T_TEST(test_rule_71_a_callback_ends_the_group),
};
T_MAIN(tests, NULL)
