/* SPDX-License-Identifier: MIT */
/* Goal: a task that a free task woke does not wait for its waker to end while others are idle.
 * Cause: it lay in the worker's next slot, where neither the watch nor thieves looked. */
#include "t.h"

#include <stdatomic.h>
#include <time.h>

static atomic_bool  woken;
static skua_future *gate;

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *waits(void *arg)
{
    T_EXPECT_INT(skua_await(gate, NULL), 0);
    atomic_store(&woken, true);
    return arg;
}

static void *wakes_and_computes(void *arg)
{
    double end = seconds() + 5;
    T_EXPECT(skua_future_set_result(gate, NULL));
    while (!atomic_load(&woken) && seconds() < end) {
    }
    T_EXPECT(atomic_load(&woken));
    return arg;
}

static void *busy_main(void *arg)
{
    gate = skua_future_new();
    skua_task *w = skua_go(waits, NULL);
    T_EXPECT_INT(skua_sleep(0.05), 0);
    skua_task *c = skua_go(wakes_and_computes, NULL);
    T_EXPECT_INT(skua_join(c, NULL), 0);
    T_EXPECT_INT(skua_join(w, NULL), 0);
    skua_release(gate);
    return arg;
}

static void test_woken_task_behind_a_busy_worker(void **state)
{
    (void)state;
    t_run(busy_main, NULL, .real_time = true, .workers = 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_woken_task_behind_a_busy_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
