/* SPDX-License-Identifier: MIT */
/* Task groups: rules 67 to 69 of asyncio. Most scenarios run twice: main and its children in one
 * pinned group, and all of them free. The clock is virtual, so that times are exact. */
#include "taskgroup_acts.h"

/* ---- rule 68: leaving waits ---- */

static void *waits_main(void *arg)
{
    skua_taskgroup tg;
    struct act a = { .delay = 0.1 }, b = { .delay = 0.2 };
    double start = skua_loop_time();
    open_group(&tg);
    skua_task *ta = skua_retain(skua_taskgroup_spawn(&tg, act, &a));
    T_EXPECT_INT(skua_sleep(0.15), 0);
    skua_task *tb = skua_taskgroup_spawn(&tg, act, &b, .name = "second");
    T_EXPECT_STR(skua_name(tb), "second");
    tb = skua_retain(tb);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT(t_elapsed(start) == 0.35);
    void *value[2] = { NULL, NULL };
    T_EXPECT_INT(skua_join(ta, &value[0]), 0);
    T_EXPECT_INT(skua_join(tb, &value[1]), 0);
    T_EXPECT(value[0] == &a && value[1] == &b);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, NULL, 0), 0);
    return arg;
}

static void test_rule_68_leaving_waits_for_all_children(void **state)
{
    /* Goal: asyncio's taskgroup_01 and _02. */
    (void)state;
    both(waits_main);
    t_check();
}

static void *empty_main(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    open_group(&tg);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 7), 7);
    open_group(&tg);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -EIO), -EIO);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, NULL, 0), 1);
    open_group(&tg);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -ECANCELED), -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, NULL, 0), 0);
    open_group(&tg);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -100000), -EINVAL);
    return arg;
}

static void test_rule_68_without_children_the_body_speaks(void **state)
{
    /* Goal: nothing to wait for; the result of the body passes through. */
    (void)state;
    both(empty_main);
    t_check();
}

static void *trips_main(void *arg)
{
    skua_taskgroup tg;
    struct t_job jobs[2] = { { "a", 1, 0, 0 }, { "b", 2, 0, 0 } };
    open_group(&tg);
    for (int i = 0; i < 2; i++)
        T_EXPECT(skua_taskgroup_spawn(&tg, t_job, &jobs[i]) != NULL);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(7));
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    t_log("m");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return arg;
}

static void test_rule_68_two_trips_after_the_last_child(void **state)
{
    /* Goal: the child's callback, then the parent's wake, as in asyncio. */
    (void)state;
    t_run(trips_main, NULL);
    t_check_log("0 a 1 b 2 3 m 4 5 6");
}

static void *say_cancel(void *name)
{
    int r = skua_sleep(10);
    t_log(r == -ECANCELED ? "%s!" : "%s", (const char *)name);
    return skua_fail(r);
}

static void *abort_trips_main(void *in_body)
{
    skua_taskgroup tg;
    struct t_job bad = { "b", 1, 0, -EIO };
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, say_cancel, "a") != NULL);
    T_EXPECT(skua_taskgroup_spawn(&tg, t_job, &bad) != NULL);
    T_EXPECT(skua_taskgroup_spawn(&tg, say_cancel, "c") != NULL);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(9));
    int r = in_body ? skua_failed(say_cancel("body")) : 0;
    T_EXPECT_INT(skua_taskgroup_join(&tg, r), -EIO);
    t_log("m");
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    return NULL;
}

static void test_rule_68_trips_of_an_abort(void **state)
{
    /* Goal: the logs of CPython 3.11 for the same programs. */
    (void)state;
    t_run(abort_trips_main, NULL);
    t_check_log("0 b 1 2 a! c! 3 4 m 5 6 7 8");
    t_run(abort_trips_main, T_PTR(1));
    t_check_log("0 b 1 2 a! c! body! 3 4 m 5 6 7 8");
}

static void *cancelled_trips(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, say_cancel, "a") != NULL);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(8));
    t_yield_times(2);
    int r = skua_taskgroup_join(&tg, 0);
    skua_detach(ticker);
    return r < 0 ? skua_fail(r) : arg;
}

static void *cancelled_trips_main(void *arg)
{
    skua_task *t = skua_spawn(cancelled_trips, NULL);
    t_yield_times(4);
    skua_cancel(t, NULL);
    t_log("X");
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    t_log("m");
    t_yield_times(6);
    return arg;
}

static void test_rule_70_trips_of_a_cancel(void **state)
{
    (void)state;
    t_run(cancelled_trips_main, NULL);
    t_check_log("0 1 2 X 3 4 a! 5 6 7 m");
}

/* ---- rule 67 ---- */

struct tree {
    skua_taskgroup *tg;
    atomic_int *count;
    int depth;
};

/* Each spawns two more into the group that its grandparents wait for. */
static void *grow(void *arg)
{
    struct tree *t = arg;
    atomic_fetch_add(t->count, 1);
    T_EXPECT_INT(skua_sleep(0.01), 0);
    struct tree next = { t->tg, t->count, t->depth - 1 };
    for (int i = 0; i < 2 && t->depth > 0; i++)
        T_EXPECT(skua_taskgroup_spawn(t->tg, grow, &next, .copy = sizeof next) != NULL);
    return NULL;
}

static void *grow_main(void *arg)
{
    skua_taskgroup tg;
    atomic_int count = 0;
    struct tree root = { &tg, &count, 5 };
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, grow, &root) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT_INT(atomic_load(&count), 63);
    return arg;
}

static void test_rule_67_children_spawn_siblings_while_the_parent_joins(void **state)
{
    /* Goal: asyncio's taskgroup_24: who is alive may add. */
    (void)state;
    both(grow_main);
    t_check();
}

struct hydra {
    skua_taskgroup *tg;
    atomic_int *heads;
};

static void *hydra(void *arg)
{
    struct hydra *h = arg;
    atomic_fetch_add(h->heads, 1);
    int r = skua_sleep(0.01);
    for (int i = 0; i < 2 && r == 0; i++) {
        skua_task *t = skua_taskgroup_spawn(h->tg, hydra, h, .ret_err = &r);
        T_EXPECT(t || r == -ESHUTDOWN);
    }
    return skua_fail(r == 0 || r == -ESHUTDOWN ? -ECANCELED : r);
}

static void *hercules(void *arg)
{
    struct hydra *h = arg;
    while (atomic_load(h->heads) < 10)
        T_EXPECT_INT(skua_sleep(0.015), 0);
    return skua_fail(-EOWNERDEAD);
}

static void *hydra_main(void *arg)
{
    skua_taskgroup tg;
    atomic_int heads = 0;
    struct hydra h = { &tg, &heads };
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, hydra, &h) != NULL);
    T_EXPECT(skua_taskgroup_spawn(&tg, hercules, &h) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), -EOWNERDEAD);
    T_EXPECT(atomic_load(&heads) >= 10);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void test_rule_67_a_group_that_grows_for_ever_is_stopped(void **state)
{
    /* Goal: asyncio's taskgroup_25: the failure refuses new children. */
    (void)state;
    both(hydra_main);
    t_check();
}

static void count_drop(void *arg)
{
    ++*(int *)arg;
}

static void *refused_main(void *arg)
{
    skua_taskgroup tg;
    struct act bad = { .err = -EIO };
    int drops = 0, err = 0;
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &bad) != NULL);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT_INT(cancelling(), 1);
    T_EXPECT(!skua_taskgroup_spawn(&tg, act, &drops, .drop = count_drop, .ret_err = &err));
    T_EXPECT_INT(err, -ESHUTDOWN);
    T_EXPECT(!skua_taskgroup_go(&tg, act, &drops, .drop = count_drop, .ret_err = &err));
    T_EXPECT_INT(err, -ESHUTDOWN);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -ECANCELED), -EIO);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT(!skua_taskgroup_spawn(&tg, act, &drops, .drop = count_drop, .ret_err = &err));
    T_EXPECT_INT(err, -ESHUTDOWN);
    T_EXPECT_INT(drops, 0);
    return arg;
}

static void test_rule_67_no_children_after_a_failure_nor_after_the_end(void **state)
{
    /* Goal: refused with a clear error; the argument of a spawn that failed is still the
     * caller's, so drop is not called. */
    (void)state;
    both(refused_main);
    t_check();
}

/* ---- rule 68: failures ---- */

static void *failure_main(void *arg)
{
    skua_taskgroup tg;
    atomic_int cancels = 0;
    struct act bad = { .delay = 0.1, .err = -EIO };
    struct act good = { .delay = 5, .cancels = &cancels };
    double start = skua_loop_time();
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &bad) != NULL);
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_retain(skua_taskgroup_spawn(&tg, act, &good));
    T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    T_EXPECT_INT(cancelling(), 1);
    T_EXPECT(t_elapsed(start) == 0.1);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -ECANCELED), -EIO);
    T_EXPECT_INT(atomic_load(&cancels), 3);
    for (int i = 0; i < 3; i++) {
        T_EXPECT(skua_cancelled(t[i]));
        T_EXPECT_INT(skua_cancelling(t[i]), 1);
        skua_release(t[i]);
    }
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return arg;
}

static void test_rule_68_the_first_failure_cancels_siblings_and_body(void **state)
{
    /* Goal: asyncio's cancel_children_on_child_error and cancelling_level_preserved. */
    (void)state;
    both(failure_main);
    t_check();
}

static void *failure_in_join_main(void *arg)
{
    skua_taskgroup tg;
    atomic_int cancels = 0;
    struct act bad = { .delay = 0.1, .err = -EIO };
    struct act good = { .delay = 5, .cancels = &cancels, .clean_up = 0.5 };
    double start = skua_loop_time();
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &good) != NULL);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &bad) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), -EIO);
    T_EXPECT(t_elapsed(start) == 0.6);
    T_EXPECT_INT(atomic_load(&cancels), 1);
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return arg;
}

static void test_rule_68_a_failure_during_the_join_waits_for_clean_up(void **state)
{
    /* Goal: asyncio's taskgroup_04; the parent's wait goes on until the sibling has cleaned up. */
    (void)state;
    both(failure_in_join_main);
    t_check();
}

static void *order_main(void *arg)
{
    skua_taskgroup tg;
    struct act acts[4] = {
        { .delay = 9, .clean_up = 0.3, .clean_up_err = -EPIPE },
        { .delay = 9, .clean_up = 0.1, .clean_up_err = -ENOENT },
        { .delay = 0.1, .err = -EIO },
        { .delay = 9, .clean_up = 0.2 },
    };
    int errs[4] = { 0 };
    open_group(&tg);
    for (int i = 0; i < 4; i++)
        T_EXPECT(skua_taskgroup_spawn(&tg, act, &acts[i]) != NULL);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, errs, 4), 1);
    T_EXPECT_INT(errs[0], -EIO);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -EBADF), -EIO);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, errs, 4), 4);
    T_EXPECT_INT(errs[0], -EIO);
    T_EXPECT_INT(errs[1], -ENOENT);
    T_EXPECT_INT(errs[2], -EPIPE);
    T_EXPECT_INT(errs[3], -EBADF);
    errs[1] = 0;
    T_EXPECT_INT(skua_taskgroup_errors(&tg, errs, 1), 4);
    T_EXPECT_INT(errs[1], 0);
    return arg;
}

static void test_rule_68_errors_stand_in_completion_order(void **state)
{
    /* Goal: not in the order of the spawns; the body's is the last. */
    (void)state;
    both(order_main);
    t_check();
}

static void *many_errors_main(void *arg)
{
    enum { MANY = 100 };
    skua_taskgroup tg;
    static struct act acts[MANY];
    int errs[MANY] = { 0 };
    open_group(&tg);
    for (int i = 0; i < MANY; i++) {
        acts[i] = (struct act){ .delay = 9, .clean_up = 0.01 * (i + 1), .clean_up_err = -1 - i };
        T_EXPECT(skua_taskgroup_spawn(&tg, act, &acts[i]) != NULL);
    }
    T_EXPECT_INT(skua_sleep(0.01), 0);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -EIO), -1);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, errs, MANY), MANY + 1);
    for (int i = 0; i < 48; i++)
        T_EXPECT_INT(errs[i], -1 - i);
    T_EXPECT_INT(errs[48], 0);
    return arg;
}

static void test_rule_68_all_errors_are_counted_the_first_48_are_kept(void **state)
{
    (void)state;
    both(many_errors_main);
    t_check();
}

/* ---- rule 69 ---- */

static void *cancelled_child_main(void *arg)
{
    skua_taskgroup tg;
    struct act a = { .delay = 1 }, b = { .delay = 0.2 };
    double start = skua_loop_time();
    open_group(&tg);
    skua_task *ta = skua_retain(skua_taskgroup_spawn(&tg, act, &a));
    T_EXPECT_INT(skua_sleep(0.15), 0);
    T_EXPECT(skua_cancel(ta, NULL));
    skua_task *tb = skua_retain(skua_taskgroup_spawn(&tg, act, &b));
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT(t_elapsed(start) == 0.35);
    T_EXPECT(skua_cancelled(ta));
    T_EXPECT_INT(skua_join(tb, NULL), 0);
    skua_release(ta);
    return arg;
}

static void test_rule_69_a_cancelled_child_is_no_failure(void **state)
{
    /* Goal: asyncio's taskgroup_03. */
    (void)state;
    both(cancelled_child_main);
    t_check();
}

static void *body_error_main(void *arg)
{
    skua_taskgroup tg;
    atomic_int cancels = 0;
    struct act a = { .delay = 1, .cancels = &cancels }, b = { .delay = 2, .cancels = &cancels };
    for (int waits = 0; waits < 2; waits++) {
        int err = 0;
        open_group(&tg);
        skua_task *ta = skua_retain(skua_taskgroup_spawn(&tg, act, &a));
        skua_task *tb = skua_retain(skua_taskgroup_spawn(&tg, act, &b));
        if (waits)
            T_EXPECT_INT(skua_sleep(0.1), 0);
        T_EXPECT_INT(skua_taskgroup_join(&tg, -EDOM), -EDOM);
        T_EXPECT_INT(skua_taskgroup_errors(&tg, &err, 1), 1);
        T_EXPECT_INT(err, -EDOM);
        T_EXPECT(skua_cancelled(ta) && skua_cancelled(tb));
        skua_release(ta);
        skua_release(tb);
    }
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void test_rule_69_an_error_of_the_body_cancels_the_children(void **state)
{
    /* Goal: asyncio's taskgroup_09 and _10; a child that had not begun never runs. */
    (void)state;
    both(body_error_main);
    t_check();
}

static void *both_errors_main(void *arg)
{
    skua_taskgroup tg;
    struct act bad = { .delay = 0.1, .err = -EIO };
    int errs[2] = { 0 };
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &bad) != NULL);
    T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -EDOM), -EIO);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, errs, 2), 2);
    T_EXPECT_INT(errs[0], -EIO);
    T_EXPECT_INT(errs[1], -EDOM);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void test_rule_69_both_errors_are_reported(void **state)
{
    /* Goal: asyncio's taskgroup_19: the body turns the group's cancel into an error. */
    (void)state;
    both(both_errors_main);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_68_leaving_waits_for_all_children),
    T_TEST(test_rule_68_without_children_the_body_speaks),
    T_TEST(test_rule_68_two_trips_after_the_last_child),
    T_TEST(test_rule_68_trips_of_an_abort),
    T_TEST(test_rule_70_trips_of_a_cancel),
    T_TEST(test_rule_67_children_spawn_siblings_while_the_parent_joins),
    T_TEST(test_rule_67_a_group_that_grows_for_ever_is_stopped),
    T_TEST(test_rule_67_no_children_after_a_failure_nor_after_the_end),
    T_TEST(test_rule_68_the_first_failure_cancels_siblings_and_body),
    T_TEST(test_rule_68_a_failure_during_the_join_waits_for_clean_up),
    T_TEST(test_rule_68_errors_stand_in_completion_order),
    T_TEST(test_rule_68_all_errors_are_counted_the_first_48_are_kept),
    T_TEST(test_rule_69_a_cancelled_child_is_no_failure),
    T_TEST(test_rule_69_an_error_of_the_body_cancels_the_children),
    T_TEST(test_rule_69_both_errors_are_reported),
};
T_MAIN(tests, NULL)
