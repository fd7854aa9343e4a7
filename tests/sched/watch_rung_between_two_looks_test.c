/* SPDX-License-Identifier: MIT */
/* Goal: the last to fall asleep are looked at, however soon after the look before.
 * Cause: a watch that was rung that soon slept on without a look, and so did one that was about to
 * sleep when somebody was up for a moment. When all slept again by then, for ever: the run of a
 * deadlock did not end. */
#include "t.h"

#include <errno.h>

static void *waits_for(void *future)
{
    int r = skua_await(future, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

/* All sleep, and so does the watch. Then it is rung twice within the time between two looks. */
static void *up_twice_main(void *arg)
{
    (void)arg;
    T_EXPECT_INT(skua_sleep(0.25), 0);
    T_EXPECT_INT(skua_sleep(0.001), 0);
    skua_future *end = skua_future_new();
    int          r = skua_join(skua_spawn(waits_for, end), NULL);
    skua_release(end);
    return skua_fail(r);
}

/* A process of its own: other threads count as who could end the wait. */
static int up_twice_scenario(void)
{
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_run(up_twice_main, NULL), -EDEADLK);
    return t_failures() == 0 ? 0 : 1;
}

static void test_who_was_up_for_a_moment_only_is_looked_at(void **state)
{
    struct t_child child;
    (void)state;
    t_child_run("up_twice", &child);
    assert_true(t_child_exited(&child, 0));
    t_child_wrote(&child, "deadlock:");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_who_was_up_for_a_moment_only_is_looked_at),
};
static const struct t_scenario scenarios[] = {
    { "up_twice", up_twice_scenario },
    { NULL, NULL },
};

T_MAIN(tests, scenarios)
