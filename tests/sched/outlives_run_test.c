/* SPDX-License-Identifier: MIT */
/* Goal: what outlives its run is closed to late wakers.
 * Cause: a future kept over the end of run, or a task that did not end in time, led a late set into
 * the freed runtime: its callbacks and waits had their home there. */
#include "t.h"

static skua_future *kept;
static skua_task   *stubborn;

static void never(skua_task *task, void *arg)
{
    T_EXPECT_INT(skua_error(task), -ESHUTDOWN);
    t_log("%s", (char *)arg);
}

static void *keep_main(void *arg)
{
    kept = skua_future_new();
    T_EXPECT_INT(skua_add_done_callback(kept, never, "called"), 0);
    return arg;
}

static void test_future_kept_over_the_end_of_run(void **state)
{
    (void)state;
    t_run(keep_main, NULL);
    assert_true(skua_done(kept));
    assert_int_equal(skua_error(kept), -ESHUTDOWN);
    assert_false(skua_future_set_result(kept, NULL));
    skua_release(kept);
}

static void *will_not_end(void *arg)
{
    skua_future *f = arg;
    for (;;) {
        skua_task *s = skua_shield(f);
        SKUA_IGNORE(skua_join(s, NULL));
    }
    return NULL;
}

static void *stubborn_main(void *arg)
{
    kept = skua_future_new();
    stubborn = skua_spawn(will_not_end, kept, .name = "stubborn");
    skua_yield();
    return arg;
}

static int stubborn_run(void *unused)
{
    (void)unused;
    return skua_run(stubborn_main, NULL, .shutdown_timeout = 0.05);
}

static void test_task_that_outlives_the_shutdown_timeout(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) { /* the next run is none the worse */
        assert_int_equal(stubborn_run(NULL), 0);
        assert_int_equal(skua_error(stubborn), -ESHUTDOWN);
        assert_false(skua_future_set_result(kept, NULL));
        skua_release(stubborn);
        skua_release(kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_future_kept_over_the_end_of_run),
        cmocka_unit_test(test_task_that_outlives_the_shutdown_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
