/* SPDX-License-Identifier: MIT */
/* Goal: in debug mode, who leaves a timeout scope, a task group or an iteration open at its end, or
 * begins another one in the same memory, is told so, with its name and place of spawn; and nobody
 * else is. The objects are static, so that nothing is really lost. */
#include "process.h"
#include "t.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static skua_timeout      scope;
static skua_taskgroup    group;
static skua_as_completed iteration;

static void *leaves_all_open(void *arg)
{
    T_EXPECT_INT(skua_timeout_enter(&scope, INFINITY), 0);
    T_EXPECT_INT(skua_taskgroup_init(&group), 0);
    T_EXPECT_INT(skua_as_completed_init(&iteration, NULL, 0, INFINITY), 0);
    return arg;
}

static void *enters_twice(void *arg)
{
    T_EXPECT_INT(skua_timeout_enter(&scope, INFINITY), 0);
    T_EXPECT_INT(skua_timeout_enter(&scope, INFINITY), 0);
    T_EXPECT_INT(skua_timeout_exit(&scope, 0), 0);
    return arg;
}

static void *ends_all(void *arg)
{
    skua_timeout   mine;
    skua_taskgroup tg;
    for (int i = 0; i < 3; i++) {
        T_EXPECT_INT(skua_timeout_enter(&mine, 10), 0);
        T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
        T_EXPECT_INT(skua_as_completed_init(&iteration, NULL, 0, 10), 0);
        skua_yield(); /* a free task may go on elsewhere */
        skua_as_completed_fini(&iteration);
        T_EXPECT_INT(skua_taskgroup_join(&tg, -EIO), -EIO);
        T_EXPECT_INT(skua_timeout_exit(&mine, 0), 0);
    }
    T_EXPECT_INT(skua_timeout_enter(&mine, NAN), -EINVAL);
    return arg;
}

static void *is_cancelled(void *arg)
{
    skua_timeout mine;
    T_EXPECT_INT(skua_timeout_enter(&mine, 10), 0);
    (void)arg;
    return skua_fail(skua_timeout_exit(&mine, skua_sleep(10)));
}

/* Left behind by the end of run: its note goes with it, and it did not end inside anything. */
static void *is_stubborn(void *arg)
{
    skua_timeout mine;
    if (arg)
        T_EXPECT_INT(skua_timeout_enter(&mine, INFINITY), 0);
    for (;;)
        SKUA_IGNORE(skua_sleep(10));
    return arg;
}

static void *start_all(void *arg)
{
    skua_task *t = skua_spawn(leaves_all_open, NULL, .name = "forgetful");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_as_completed_fini(&iteration); /* what it hangs on is lost otherwise */
    T_EXPECT_INT(skua_join(skua_spawn(enters_twice, NULL, .name = "hasty"), NULL), 0);
    T_EXPECT_INT(skua_join(skua_spawn(ends_all, NULL, .name = "tidy"), NULL), 0);
    T_EXPECT_INT(skua_join(skua_go(ends_all, NULL, .name = "tidy"), NULL), 0);
    t = skua_spawn(is_cancelled, NULL, .name = "tidy");
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return arg;
}

static void *start_stubborn(void *arg)
{
    skua_detach(skua_spawn(is_stubborn, arg, .name = "stubborn"));
    skua_yield();
    return arg;
}

/* What stays allocated: the stack that it waits on. */
static int64_t lost_to_stubborn(void *arg)
{
    int64_t before = t_holdings().allocations;
    T_EXPECT_INT(skua_run(start_stubborn, arg, .debug = true, .shutdown_timeout = 0.05), 0);
    return t_holdings().allocations - before;
}

static int in_debug(void)
{
    int here;
    int r = skua_run(start_all, NULL, .debug = true);
    T_EXPECT_INT(lost_to_stubborn(&here), lost_to_stubborn(NULL));
    return r;
}

static int without(void)
{
    unsetenv("SKUA_DEBUG");
    return skua_run(start_all, NULL);
}

static void test_debug_reports_what_was_left_open(void **state)
{
    static const char *const expected[] = {
        "forgetful ended inside a timeout scope that it never left (spawned at ",
        "forgetful ended inside a task group that it never joined (spawned at ",
        "forgetful ended inside an iteration that it never ended (spawned at ",
        "hasty wrote over a timeout scope that it never left (spawned at ",
        "owed_test.c:",
    };
    struct t_child child;
    (void)state;
    t_child_run("in_debug", &child);
    assert_true(t_child_exited(&child, 0));
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_non_null(strstr(child.text, expected[i]));
    assert_null(strstr(child.text, "hasty ended"));
    assert_null(strstr(child.text, "tidy"));
    assert_non_null(strstr(child.text, "stubborn (spawned at "));
    assert_null(strstr(child.text, "stubborn ended"));
}

static void test_without_debug_nothing_is_said(void **state)
{
    struct t_child child;
    (void)state;
    t_child_run("without", &child);
    assert_true(t_child_exited(&child, 0));
    assert_null(strstr(child.text, "never"));
}

static const struct t_scenario scenarios[] = {
    { "in_debug", in_debug },
    { "without", without },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_debug_reports_what_was_left_open),
    T_TEST(test_without_debug_nothing_is_said),
};

T_MAIN(tests, scenarios)
