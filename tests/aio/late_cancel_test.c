/* SPDX-License-Identifier: MIT */
/* Goal: a cancel that was still to be delivered when a group began is not lost to the error of a
 * child, nor to the cancel of the group.
 * Cause: only requests made after the beginning counted as somebody else's, also where an earlier
 * one was delivered inside the group. */
#include <errno.h>

#include "t.h"

static void *fails_when_cancelled(void *arg)
{
    return skua_sleep(1000) < 0 ? skua_fail(-EIO) : arg;
}

static void *ends_when_cancelled(void *arg)
{
    SKUA_IGNORE(skua_sleep(1000));
    return arg;
}

static void *cancels_group(void *arg)
{
    skua_taskgroup_cancel(arg);
    return NULL;
}

/* The request is felt at the next wait, once, and still counted. */
static void expect_felt(int cancels)
{
    skua_task *me = skua_current_task();
    T_EXPECT_INT(skua_cancelling(me), cancels);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT_INT(skua_sleep(1), 0);
    while (skua_uncancel(me) > 0) {
    }
}

static void expect_settled(int cancels)
{
    skua_task *me = skua_current_task();
    T_EXPECT_INT(skua_cancelling(me), cancels);
    T_EXPECT_INT(skua_sleep(1), 0);
    while (skua_uncancel(me) > 0) {
    }
}

static void *child_fails(void *arg)
{
    skua_taskgroup tg;
    T_EXPECT(skua_cancel(skua_current_task(), NULL));
    T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
    T_EXPECT(skua_taskgroup_spawn(&tg, fails_when_cancelled, NULL) != NULL);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED); /* the children have begun when they are cancelled */
    skua_yield();
    T_EXPECT_INT(skua_taskgroup_join(&tg, -ECANCELED), -EIO);
    expect_felt(1);
    return arg;
}

static void test_child_fails(void **state)
{
    (void)state;
    t_run(child_fails, NULL);
    t_check();
}

static void *call_fails(void *arg)
{
    void *args[2] = { NULL, NULL };
    T_EXPECT(skua_cancel(skua_current_task(), NULL));
    T_EXPECT_INT(skua_map(fails_when_cancelled, args, 2, NULL), -EIO);
    expect_felt(1);
    return arg;
}

static void test_call_of_map_fails(void **state)
{
    (void)state;
    t_run(call_fails, NULL);
    t_check();
}

static void *group_is_cancelled(void *arg)
{
    skua_taskgroup tg;
    T_EXPECT(skua_cancel(skua_current_task(), NULL));
    T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
    T_EXPECT(skua_taskgroup_spawn(&tg, ends_when_cancelled, NULL) != NULL);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT(skua_taskgroup_spawn(&tg, cancels_group, &tg) != NULL);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT_INT(skua_taskgroup_join(&tg, -ECANCELED), -ECANCELED);
    expect_settled(1);
    return arg;
}

static void test_group_is_cancelled(void **state)
{
    (void)state;
    t_run(group_is_cancelled, NULL);
    t_check();
}

static void *taken_back(void *arg)
{
    skua_taskgroup tg;
    skua_task     *me = skua_current_task();
    T_EXPECT(skua_cancel(me, NULL));
    T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT_INT(skua_uncancel(me), 0); /* the body has dealt with it */
    T_EXPECT(skua_taskgroup_spawn(&tg, fails_when_cancelled, NULL) != NULL);
    skua_yield();
    skua_taskgroup_cancel(&tg);
    T_EXPECT_INT(skua_taskgroup_join(&tg, 0), -EIO);
    expect_settled(0);
    return arg;
}

static void test_request_that_the_body_took_back(void **state)
{
    (void)state;
    t_run(taken_back, NULL);
    t_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_fails),
        cmocka_unit_test(test_call_of_map_fails),
        cmocka_unit_test(test_group_is_cancelled),
        cmocka_unit_test(test_request_that_the_body_took_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
