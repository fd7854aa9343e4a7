/* SPDX-License-Identifier: MIT */
/* Goal: an eager task that awaits the next one in the queue suspends, and its spawner goes on. It
 * used to call that one in place, as a task does with which nobody else is ready: its spawner is in
 * no queue, but goes on before anything else. */
#include "t.h"

static skua_task *next;

static void *speak(void *arg)
{
    t_log("next");
    return arg;
}

static void *await_next(void *arg)
{
    t_log("eager");
    T_EXPECT_INT(skua_await(next, NULL), 0);
    t_log("over");
    return arg;
}

static void *await_main(void *arg)
{
    next = skua_spawn(speak, NULL);
    skua_task *t = skua_spawn(await_next, NULL, .eager = true);
    t_log("main");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_release(next);
    return arg;
}

static void test_eager_task_that_awaits_the_next_one(void **state)
{
    (void)state;
    t_run(await_main, NULL);
    t_check_log("eager main next over");
}

/* The same where the next one was spawned in the eager step itself. */
static void *spawn_and_await(void *arg)
{
    next = skua_spawn(speak, NULL);
    SKUA_IGNORE(skua_wait_for(next, 1, NULL));
    t_log("over");
    return arg;
}

static void *spawn_main(void *arg)
{
    skua_task *t = skua_spawn(spawn_and_await, NULL, .eager = true);
    t_log("main");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_release(next);
    return arg;
}

static void test_eager_task_that_awaits_its_own_child(void **state)
{
    (void)state;
    t_run(spawn_main, NULL);
    t_check_log("main next over");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_eager_task_that_awaits_the_next_one),
    T_TEST(test_eager_task_that_awaits_its_own_child),
};
T_MAIN(tests, NULL)
