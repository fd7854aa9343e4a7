/* SPDX-License-Identifier: MIT */
/* Timeouts, rules 57 to 63: what CPython's test_timeouts and test_waitfor ask of asyncio beyond
 * what the tests of those rules ask, under their names there. */
#include "../support/t.h"

#include <math.h>

static int cancelling(void)
{
    return skua_cancelling(skua_current_task());
}

/* ---- test_timeouts ---- */

static void *errors_main(void *arg)
{
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 0.01), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, -EIO), -EIO); /* foreign_exception_passed */
    T_EXPECT(!skua_timeout_expired(&limit));
    T_EXPECT_INT(skua_timeout_enter(&limit, 10), 0); /* timeout_not_called */
    T_EXPECT_INT(skua_sleep(0.01), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, 7), 7);
    T_EXPECT(!skua_timeout_expired(&limit));
    T_EXPECT_INT(skua_timeout_enter(&limit, INFINITY), 0); /* timeout_disabled */
    T_EXPECT_INT(skua_sleep(1e6), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, 0), 0);
    T_EXPECT(!skua_timeout_expired(&limit));
    T_EXPECT_INT(skua_timeout_enter(&limit, 0.01), 0); /* foreign_exception_on_timeout */
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT_INT(skua_timeout_exit(&limit, -EDOM), -EDOM);
    T_EXPECT(skua_timeout_expired(&limit));
    T_EXPECT_INT(cancelling(), 0);
    skua_timeout never = { { 0 } }; /* timeout_not_entered */
    T_EXPECT(skua_timeout_reschedule(&never, skua_loop_time() + 1) < 0);
    T_EXPECT_INT(skua_timeout_exit(&never, 0), -EINVAL);
    return arg;
}

static void test_rule_63_foreign_exceptions_and_limits_not_reached(void **state)
{
    (void)state;
    t_run(errors_main, NULL);
    t_run(errors_main, NULL, .free_main = true);
}

static void *cancels_itself(void *arg)
{
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 10), 0);
    skua_cancel(skua_current_task(), NULL);
    int r = skua_timeout_exit(&limit, skua_sleep(20));
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(!skua_timeout_expired(&limit));
    return skua_fail(r);
}

static void *times_out(void *arg)
{
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 0.001), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, skua_sleep(10)), -ETIMEDOUT);
    return arg;
}

static void *own_cancel_main(void *arg)
{
    T_EXPECT_INT(skua_join(skua_spawn(cancels_itself, NULL), NULL), -ECANCELED);
    skua_task *t = skua_spawn(times_out, NULL); /* outer_task_is_not_cancelled */
    T_EXPECT_INT(skua_await(t, NULL), 0);
    T_EXPECT(!skua_cancelled(t));
    skua_release(t);
    return arg;
}

static void test_rule_63_foreign_cancel_doesnt_timeout_if_not_expired(void **state)
{
    (void)state;
    t_run(own_cancel_main, NULL);
}

static void *busy_main(void *arg)
{
    skua_timeout outer, inner;
    T_EXPECT_INT(skua_timeout_enter(&outer, 0.002), 0);
    T_EXPECT_INT(skua_timeout_enter(&inner, 60), 0);
    t_nap(0.01); /* the loop looks at no timer meanwhile */
    int r = skua_timeout_exit(&inner, skua_sleep(30));
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_timeout_exit(&outer, r), -ETIMEDOUT);
    T_EXPECT_INT(skua_timeout_enter(&outer, 60), 0);
    T_EXPECT_INT(skua_timeout_enter(&inner, 0.002), 0);
    t_nap(0.01);
    T_EXPECT_INT(skua_timeout_exit(&inner, skua_sleep(30)), -ETIMEDOUT);
    T_EXPECT_INT(skua_timeout_reschedule(&outer, skua_loop_time()), 0);
    T_EXPECT_INT(skua_timeout_exit(&outer, skua_sleep(30)), -ETIMEDOUT);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void test_rule_63_nested_timeouts_concurrent_and_loop_busy(void **state)
{
    (void)state;
    t_run(busy_main, NULL, .real_time = true);
}

static void *finally_main(void *arg)
{
    skua_timeout outer, inner;
    T_EXPECT_INT(skua_timeout_enter(&outer, 0.01), 0);
    int r = skua_sleep(1);
    T_EXPECT_INT(skua_timeout_enter(&inner, 0.01), 0); /* while it cleans up */
    T_EXPECT_INT(skua_timeout_exit(&inner, skua_sleep(10)), -ETIMEDOUT);
    T_EXPECT_INT(skua_timeout_exit(&outer, r), -ETIMEDOUT);
    T_EXPECT_INT(cancelling(), 0);
    return arg;
}

static void test_rule_63_nested_timeout_in_finally(void **state)
{
    (void)state;
    t_run(finally_main, NULL);
}

static void *after_cancel(void *again)
{
    skua_cancel(skua_current_task(), NULL);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, again ? 1 : 0), 0);
    if (again)
        skua_cancel(skua_current_task(), NULL);
    int r = skua_timeout_exit(&limit, skua_sleep(2));
    T_EXPECT_INT(r, again ? -ECANCELED : -ETIMEDOUT);
    T_EXPECT_INT(cancelling(), again ? 2 : 1);
    return skua_fail(r);
}

static void *after_cancel_main(void *arg)
{
    T_EXPECT_INT(skua_join(skua_spawn(after_cancel, NULL), NULL), -ETIMEDOUT);
    T_EXPECT_INT(skua_join(skua_spawn(after_cancel, T_PTR(1)), NULL), -ECANCELED);
    return arg;
}

static void test_rule_63_timeout_and_cancel_after_cancellation(void **state)
{
    (void)state;
    t_run(after_cancel_main, NULL);
}

static void *crash_in_clean_up(void *arg)
{
    T_EXPECT_INT(skua_sleep(2), -ECANCELED);
    return skua_fail(-EIO);
}

static void *group_main(void *arg)
{
    skua_timeout limit;
    skua_taskgroup tg;
    int errs[2] = { 0 };
    T_EXPECT_INT(skua_timeout_enter(&limit, 0.01), 0);
    T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
    T_EXPECT(skua_taskgroup_spawn(&tg, crash_in_clean_up, NULL) != NULL);
    int r = skua_taskgroup_join(&tg, skua_sleep(1));
    T_EXPECT_INT(r, -EIO);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, errs, 2), 1);
    T_EXPECT_INT(skua_timeout_exit(&limit, r), -EIO);
    T_EXPECT(skua_timeout_expired(&limit));
    T_EXPECT_INT(cancelling(), 0);
    T_EXPECT_INT(skua_sleep(1), 0);
    return arg;
}

static void test_rule_63_timeout_taskgroup(void **state)
{
    /* Goal: the error of a child goes first, and of the limit's request nothing is left. */
    (void)state;
    t_run(group_main, NULL);
    t_run(group_main, NULL, .free_main = true);
}

/* ---- test_waitfor ---- */

/* Goes on for its time whatever it is asked. */
static void *stubborn(void *ended)
{
    double end = skua_loop_time() + 0.2;
    while (skua_loop_time() < end)
        SKUA_IGNORE(skua_sleep_until(end));
    *(bool *)ended = true;
    return NULL;
}

struct call {
    skua_task *inner;
    double timeout;
};

static void *wait_for_inner(void *arg)
{
    const struct call *c = arg;
    int r = skua_wait_for(c->inner, c->timeout, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *stubborn_main(void *arg)
{
    static const double timeouts[] = { 0.4, 0.1 };
    for (int i = 0; i < 2; i++) {
        bool ended = false;
        struct call c = { skua_spawn(stubborn, &ended), timeouts[i] };
        skua_task *t = skua_spawn(wait_for_inner, &c);
        skua_yield();
        if (i == 0) /* asyncio_wait_for_cancelled, else _timeout */
            skua_cancel(t, NULL);
        size_t done;
        T_EXPECT_INT(skua_wait(&t, 1, INFINITY, SKUA_ALL_COMPLETED, &done), 0);
        T_EXPECT(ended);
        T_EXPECT_INT(skua_error(t), 0); /* it swallowed the request, and its value goes first */
        skua_release(t);
        skua_release(c.inner);
    }
    return arg;
}

static void test_rule_60_asyncio_wait_for_cancelled_and_timeout(void **state)
{
    (void)state;
    t_run(stubborn_main, NULL);
}

static void set_ok(void *f)
{
    T_EXPECT(skua_future_set_result(f, T_PTR(1)));
}

static void cancel_task(void *task)
{
    skua_cancel(task, NULL);
}

static void *races_main(void *arg)
{
    static const double timeouts[] = { INFINITY, 60 };
    skua_future *f = skua_future_new();
    void *value = NULL;
    skua_call_soon(set_ok, f); /* wait_for_race_condition */
    T_EXPECT_INT(skua_wait_for(f, 0.2, &value), 0);
    T_EXPECT(value == T_PTR(1));
    skua_release(f);
    for (int i = 0; i < 2; i++) { /* cancel_blocking_wait_for, cancel_wait_for */
        struct t_waiter w = { skua_future_new(), "w" };
        struct call c = { skua_spawn(t_waiter, &w), timeouts[i] };
        skua_task *t = skua_spawn(wait_for_inner, &c);
        skua_call_soon(cancel_task, t);
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        T_EXPECT(skua_cancelled(c.inner));
        skua_release(c.inner);
        skua_release(w.on);
    }
    return arg;
}

static void test_rule_61_cancel_wait_for_and_race_condition(void **state)
{
    (void)state;
    t_run(races_main, NULL);
    t_check_log("w- w! w- w!");
}

static void *shields_main(void *arg)
{
    static const double timeouts[] = { 0, 0.01, INFINITY };
    for (int i = 0; i < 3; i++) { /* zero_timeout, shielded_timeout, none_timeout */
        struct t_job job = { .name = "done", .sleep = 0.1 };
        skua_task *t = skua_spawn(t_job, &job), *shield = skua_shield(t);
        T_EXPECT_INT(skua_wait_for(shield, timeouts[i], NULL), i < 2 ? -ETIMEDOUT : 0);
        T_EXPECT_INT(skua_cancelled(shield), i < 2);
        T_EXPECT_INT(skua_done(t), i == 2);
        skua_release(shield);
        T_EXPECT_INT(skua_join(t, NULL), 0);
    }
    return arg;
}

static void test_rule_62_zero_none_and_shielded_timeout(void **state)
{
    (void)state;
    t_run(shields_main, NULL);
    t_check_log("done done done");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_63_foreign_exceptions_and_limits_not_reached),
    T_TEST(test_rule_63_foreign_cancel_doesnt_timeout_if_not_expired),
    T_TEST(test_rule_63_nested_timeouts_concurrent_and_loop_busy),
    T_TEST(test_rule_63_nested_timeout_in_finally),
    T_TEST(test_rule_63_timeout_and_cancel_after_cancellation),
    T_TEST(test_rule_63_timeout_taskgroup),
    T_TEST(test_rule_60_asyncio_wait_for_cancelled_and_timeout),
    T_TEST(test_rule_61_cancel_wait_for_and_race_condition),
    T_TEST(test_rule_62_zero_none_and_shielded_timeout),
};

T_MAIN(tests, NULL)
