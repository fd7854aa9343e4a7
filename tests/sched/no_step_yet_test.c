/* SPDX-License-Identifier: MIT */
/* Goal: a worker that has made no step yet stands still since the watch began to look.
 * Cause: it was taken to stand still since the clock began. The first task of a run whose thread
 * came late to its first step was said to have held the worker as long as the machine was up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/seen.h"

enum { UP_NS = 2000000000, TICK_NS = 4000000 };

static void test_no_step_yet_is_no_step_since_the_beginning(void **state)
{
    struct rt_seen seen[2];
    (void)state;
    rt_seen_begin(seen, 2, UP_NS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(seen[i].steps, 0); /* the same as of a worker that made none */
        assert_int_equal(rt_seen_still(&seen[i], UP_NS + TICK_NS), TICK_NS);
    }
}

static void test_a_step_begins_anew(void **state)
{
    struct rt_seen seen;
    (void)state;
    rt_seen_begin(&seen, 1, UP_NS);
    seen.asked = 3;
    seen.name[0] = 'x';
    rt_seen_anew(&seen, 7, UP_NS + TICK_NS);
    assert_int_equal(rt_seen_still(&seen, UP_NS + TICK_NS), 0);
    assert_int_equal(seen.steps, 7);
    assert_int_equal(seen.asked, 0);
    assert_int_equal(seen.name[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_step_yet_is_no_step_since_the_beginning),
        cmocka_unit_test(test_a_step_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
