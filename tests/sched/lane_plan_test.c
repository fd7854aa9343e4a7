/* SPDX-License-Identifier: MIT */
/* Goal: the text that names lanes is read as it is meant or refused as a whole, and the program
 * comes before the environment. Method: a table of texts, and variables set by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sched/lane_plan.h"

static void clear(void)
{
    unsetenv("SKUA_LANES");
    unsetenv("SKUA_BLOCKING_THREADS");
    unsetenv("SKUA_LANE_IDLE_MS");
}

static int threads_of(const struct rt_lane_plan *plan, const char *name)
{
    int i = rt_lane_plan_find(plan, name);
    return i < 0 ? i : rt_lane_plan_threads(plan, (unsigned)i);
}

static void test_lane_plan_has_three_lanes(void **state)
{
    struct rt_lane_plan plan;
    clear();
    rt_lane_plan_init(&plan, 0, NULL);
    assert_int_equal(plan.n, 3);
    assert_in_range(threads_of(&plan, NULL), 5, 32);
    assert_int_equal(threads_of(&plan, "default"), threads_of(&plan, NULL));
    assert_int_equal(threads_of(&plan, "dns"), 4);
    assert_int_equal(threads_of(&plan, "file"), 8);
    assert_int_equal(threads_of(&plan, "fil"), -EINVAL);
    assert_int_equal(threads_of(&plan, "files"), -EINVAL);
    assert_int_equal(threads_of(&plan, ""), -EINVAL);
    assert_int_equal(plan.idle_ns, 10 * RT_NS_PER_SEC);
}

static void test_lane_plan_takes_good_texts(void **state)
{
    struct rt_lane_plan plan;
    clear();
    rt_lane_plan_init(&plan, 0, " dns=2,, my-lane_3=4096\tfile=1 default=7,");
    assert_int_equal(plan.n, 4);
    assert_int_equal(threads_of(&plan, "dns"), 2);
    assert_int_equal(threads_of(&plan, "file"), 1);
    assert_int_equal(threads_of(&plan, "default"), 7);
    assert_int_equal(threads_of(&plan, "my-lane_3"), 4096);
    assert_int_equal(rt_lane_plan_add(&plan, ""), 0);
    assert_int_equal(rt_lane_plan_add(&plan, "dns=9 dns=10"), 0);
    assert_int_equal(threads_of(&plan, "dns"), 10);
}

static void test_lane_plan_refuses_bad_texts_as_a_whole(void **state)
{
    static const char *const bad[] = {
        "dns",      "dns=",     "=3",     "dns=0",   "dns=4097", "dns=99999999999999999999",
        "dns=-1",   "dns=3x",   "d n=3",  "dns:3",   "dns==3",   "dns=3;file=3",
        "dns=1,x",  "caf\xc3\xa9=1", "name-of-24-bytes-too-lon=1",
    };
    struct rt_lane_plan plan;
    clear();
    rt_lane_plan_init(&plan, 0, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(rt_lane_plan_add(&plan, bad[i]), -EINVAL);
        assert_int_equal(rt_lane_plan_check(bad[i]), -EINVAL);
    }
    assert_int_equal(threads_of(&plan, "dns"), 4);
    assert_int_equal(plan.n, 3);
    assert_int_equal(rt_lane_plan_check(NULL), 0);
    assert_int_equal(rt_lane_plan_check("name-of-23-bytes-at-mos=1"), 0);
}

static void test_lane_plan_holds_sixteen(void **state)
{
    struct rt_lane_plan plan;
    char                text[32];
    clear();
    rt_lane_plan_init(&plan, 0, NULL);
    for (int i = 3; i < RT_LANES_MAX; i++) {
        (void)snprintf(text, sizeof text, "lane%d=%d", i, i);
        assert_int_equal(rt_lane_plan_add(&plan, text), 0);
    }
    assert_int_equal(rt_lane_plan_add(&plan, "more=1"), -EINVAL);
    assert_int_equal(rt_lane_plan_add(&plan, "lane15=3"), 0);
    assert_int_equal(threads_of(&plan, "lane15"), 3);
}

static void test_lane_plan_program_before_environment(void **state)
{
    struct rt_lane_plan plan;
    clear();
    setenv("SKUA_BLOCKING_THREADS", "11", 1);
    rt_lane_plan_init(&plan, 0, NULL);
    assert_int_equal(threads_of(&plan, NULL), 11);
    setenv("SKUA_LANES", "default=12 dns=1 extra=5", 1);
    setenv("SKUA_LANE_IDLE_MS", "3", 1);
    rt_lane_plan_init(&plan, 0, NULL);
    assert_int_equal(threads_of(&plan, NULL), 12);
    assert_int_equal(threads_of(&plan, "dns"), 1);
    assert_int_equal(plan.idle_ns, 3 * RT_NS_PER_MS);
    rt_lane_plan_init(&plan, 13, "dns=6");
    assert_int_equal(threads_of(&plan, NULL), 13);
    assert_int_equal(threads_of(&plan, "dns"), 6);
    assert_int_equal(threads_of(&plan, "extra"), 5);
    rt_lane_plan_init(&plan, 13, "default=14");
    assert_int_equal(threads_of(&plan, NULL), 14);
    setenv("SKUA_LANES", "dns=two", 1); /* a warning, no more */
    rt_lane_plan_init(&plan, 0, NULL);
    assert_int_equal(threads_of(&plan, "dns"), 4);
    clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lane_plan_has_three_lanes),
        cmocka_unit_test(test_lane_plan_takes_good_texts),
        cmocka_unit_test(test_lane_plan_refuses_bad_texts_as_a_whole),
        cmocka_unit_test(test_lane_plan_holds_sixteen),
        cmocka_unit_test(test_lane_plan_program_before_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
