/* SPDX-License-Identifier: MIT */
/* Goal: a worker whose last pick ran only callbacks looks at its deque once more before it sleeps.
 * Cause: the deque had been looked at first, then a callback woke a free task into it, and with one
 * worker nobody else would ever have run it. */
#include "t.h"

static void set_it(void *arg)
{
    skua_future_set_result(arg, NULL);
}

static void *waits(void *arg)
{
    T_EXPECT_INT(skua_await(arg, NULL), 0);
    return NULL;
}

static void *park_main(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        skua_future *f = skua_future_new();
        skua_task *t = skua_go(waits, f);
        for (int k = i % 3; k >= 0; k--)
            skua_yield();
        skua_call_soon(set_it, f);
        T_EXPECT_INT(skua_join(t, NULL), 0);
        skua_release(f);
    }
    return arg;
}

static void test_callback_that_wakes_a_free_task_is_not_forgotten(void **state)
{
    (void)state;
    t_run(park_main, NULL, .real_time = true, .workers = 1);
    t_run(park_main, NULL, .real_time = true, .workers = 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callback_that_wakes_a_free_task_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
