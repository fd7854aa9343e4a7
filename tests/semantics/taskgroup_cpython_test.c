/* SPDX-License-Identifier: MIT */
/* Task groups, rules 67 to 71: what CPython's test_taskgroups asks of asyncio beyond what the tests
 * of those rules ask, under its names there. */
#include "taskgroup_acts.h"

static void *sleep_then(void *value)
{
    int r = skua_sleep(0.1 * T_NUM(value));
    return r < 0 ? skua_fail(r) : value;
}

/* ---- taskgroup_01 to _03: what children end with ---- */

static void *values_main(void *late)
{
    skua_taskgroup tg;
    void *value = NULL;
    open_group(&tg);
    skua_task *a = skua_retain(skua_taskgroup_spawn(&tg, sleep_then, T_PTR(1)));
    if (late)
        T_EXPECT_INT(skua_sleep(0.15), 0); /* the first has ended; the group has not */
    skua_task *b = skua_retain(skua_taskgroup_spawn(&tg, sleep_then, T_PTR(2)));
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT_INT(skua_result(a, &value), 0);
    T_EXPECT(value == T_PTR(1));
    T_EXPECT_INT(skua_result(b, &value), 0);
    T_EXPECT(value == T_PTR(2));
    skua_release(a);
    skua_release(b);
    return NULL;
}

static void *late_values_main(void *arg)
{
    return values_main(arg ? arg : T_PTR(1));
}

static void test_rule_67_taskgroup_01_and_02(void **state)
{
    (void)state;
    both(values_main);
    both(late_values_main);
}

static void *cancel_one_main(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    skua_task *a = skua_taskgroup_spawn(&tg, sleep_then, T_PTR(10));
    T_EXPECT_INT(skua_sleep(0.15), 0);
    skua_cancel(a, NULL);
    skua_task *b = skua_taskgroup_spawn(&tg, sleep_then, T_PTR(2));
    skua_retain(a);
    skua_retain(b);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT(skua_cancelled(a));
    T_EXPECT_INT(skua_error(b), 0);
    skua_release(a);
    skua_release(b);
    return arg;
}

static void test_rule_69_taskgroup_03(void **state)
{
    /* Goal: everything goes on as before. */
    (void)state;
    both(cancel_one_main);
}

/* ---- taskgroup_11 and _12: a cancel that meets errors two groups deep ---- */

struct deep {
    bool outer_child;
    int inner, outer; /* how many errors each group had */
};

static void *deep(void *arg)
{
    struct deep *d = arg;
    skua_taskgroup outer, inner;
    struct act crash = { .delay = 10, .clean_up_err = -EIO }, idle = { .delay = 10 };
    open_group(&outer);
    if (d->outer_child)
        T_EXPECT(skua_taskgroup_spawn(&outer, act, &idle) != NULL);
    open_group(&inner);
    for (int i = 0; i < 5; i++)
        T_EXPECT(skua_taskgroup_spawn(&inner, act, &crash) != NULL);
    int r = skua_taskgroup_join(&inner, skua_sleep(10));
    d->inner = (int)skua_taskgroup_errors(&inner, NULL, 0);
    r = skua_taskgroup_join(&outer, r);
    d->outer = (int)skua_taskgroup_errors(&outer, NULL, 0);
    T_EXPECT_INT(cancelling(), 1);
    return skua_fail(r);
}

static void *deep_main(void *arg)
{
    for (int i = 0; i < 2; i++) {
        struct deep d = { .outer_child = i };
        skua_task *t = skua_spawn(deep, &d);
        T_EXPECT_INT(skua_sleep(0.1), 0);
        T_EXPECT(!skua_done(t));
        skua_cancel(t, NULL);
        T_EXPECT_INT(skua_join(t, NULL), -EIO);
        T_EXPECT_INT(d.inner, 5);
        T_EXPECT_INT(d.outer, 1); /* the inner group's error is the body's */
    }
    return arg;
}

static void test_rule_71_taskgroup_11_and_12(void **state)
{
    (void)state;
    both(deep_main);
}

/* ---- taskgroup_19, _20a and _21a: child and body fail, each with an error of its own ---- */

static void *each_fails_main(void *arg)
{
    skua_taskgroup tg;
    struct act crash = { .delay = 0.1, .err = -EIO };
    int errs[3] = { 0 };
    open_group(&tg);
    T_EXPECT(skua_taskgroup_spawn(&tg, act, &crash) != NULL);
    T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -EDOM), -EIO);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, errs, 3), 2);
    T_EXPECT_INT(errs[0], -EIO);
    T_EXPECT_INT(errs[1], -EDOM);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void test_rule_69_taskgroup_19_20a_and_21a(void **state)
{
    (void)state;
    both(each_fails_main);
}

/* ---- taskgroup_23: a group that lives long ---- */

static void *long_lived_main(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    for (int i = 0; i < 10; i++) {
        T_EXPECT_INT(skua_sleep(0.1), 0);
        skua_task *t = skua_taskgroup_spawn(&tg, sleep_then, T_PTR(3));
        T_EXPECT(t != NULL);
        skua_taskgroup_detach(&tg, t);
        if (i == 5)
            T_EXPECT(skua_all_tasks(NULL, 0) <= 1 + 4); /* those that ended are gone */
    }
    T_EXPECT_INT(skua_sleep(1.35), 0);
    T_EXPECT_INT(skua_all_tasks(NULL, 0), 1);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    return arg;
}

static void test_rule_67_taskgroup_23(void **state)
{
    (void)state;
    both(long_lived_main);
}

/* ---- names, contexts, groups that are not open ---- */

static skua_var var = SKUA_VAR_INIT("var", NULL);

static void *set_var(void *value)
{
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(skua_var_set(&var, value, NULL), 0);
    return NULL;
}

static void *options_main(void *arg)
{
    skua_taskgroup tg;
    open_group(&tg);
    skua_task *t = skua_taskgroup_spawn(&tg, sleep_then, NULL, .name = "yolo");
    T_EXPECT_STR(skua_name(t), "yolo"); /* taskgroup_task_name */
    skua_context *context = skua_context_copy(); /* taskgroup_task_context */
    T_EXPECT(skua_context_get(context, &var) == NULL);
    for (int i = 1; i <= 2; i++) {
        t = skua_taskgroup_spawn(&tg, set_var, T_PTR(i), .context = context);
        T_EXPECT_INT(skua_await(t, NULL), 0);
        T_EXPECT(skua_context_get(context, &var) == T_PTR(i));
    }
    T_EXPECT(skua_var_get(&var) == NULL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    skua_context_release(context);
    return arg;
}

static void test_rule_67_taskgroup_task_name_and_context(void **state)
{
    (void)state;
    both(options_main);
}

static void *not_open_main(void *arg)
{
    skua_taskgroup tg = { { 0 } };
    int err = 0;
    T_EXPECT(!skua_taskgroup_spawn(&tg, sleep_then, NULL, .ret_err = &err)); /* not_entered */
    T_EXPECT_INT(err, -EINVAL);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), -EINVAL);
    open_group(&tg);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), 0);
    T_EXPECT(!skua_taskgroup_spawn(&tg, sleep_then, NULL, .ret_err = &err)); /* finished */
    T_EXPECT_INT(err, -ESHUTDOWN);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), -EINVAL);
    return arg;
}

static void test_rule_67_taskgroup_not_entered_and_finished(void **state)
{
    (void)state;
    skua_taskgroup tg;
    assert_int_equal(skua_taskgroup_init(&tg), -EPERM); /* taskgroup_without_parent_task */
    both(not_open_main);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_67_taskgroup_01_and_02),
    T_TEST(test_rule_69_taskgroup_03),
    T_TEST(test_rule_71_taskgroup_11_and_12),
    T_TEST(test_rule_69_taskgroup_19_20a_and_21a),
    T_TEST(test_rule_67_taskgroup_23),
    T_TEST(test_rule_67_taskgroup_task_name_and_context),
    T_TEST(test_rule_67_taskgroup_not_entered_and_finished),
};

T_MAIN(tests, NULL)
