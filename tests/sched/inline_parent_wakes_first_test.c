/* SPDX-License-Identifier: MIT */
/* Goal: those who wait for a task wake in the order in which they began, also when the first of
 * them runs it in place, as a plain call. Such a parent used to queue up behind the others: it was
 * not among the waiters, and took its turn only when the call had returned. */
#include "t.h"

static skua_task *child;

static void *nap(void *arg)
{
    SKUA_IGNORE(skua_sleep(1));
    return arg;
}

static void *first(void *arg)
{
    T_EXPECT_INT(skua_await(child, NULL), 0); /* alone in the queue: it is called */
    t_log("first");
    return arg;
}

static void *suspended_main(void *arg)
{
    skua_task *t = skua_spawn(first, NULL);
    child = skua_spawn(nap, NULL);
    SKUA_IGNORE(skua_sleep(0.5));
    T_EXPECT_INT(skua_await(child, NULL), 0);
    t_log("second");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_release(child);
    return arg;
}

static void test_parent_of_a_child_that_suspended(void **state)
{
    (void)state;
    t_run(suspended_main, NULL);
    t_check_log("first second");
}

static void say_done(skua_task *task, void *word)
{
    (void)task;
    t_log("%s", (char *)word);
}

/* A task that adds a callback to itself, after its parent has begun to wait. */
static void *watch_itself(void *arg)
{
    T_EXPECT_INT(skua_add_done_callback(skua_current_task(), say_done, "callback"), 0);
    return arg;
}

static void *straight_main(void *arg)
{
    child = skua_spawn(watch_itself, NULL);
    T_EXPECT_INT(skua_await(child, NULL), 0);
    t_log("parent");
    skua_yield();
    skua_release(child);
    return arg;
}

static void test_parent_before_the_callbacks_of_the_child(void **state)
{
    (void)state;
    t_run(straight_main, NULL);
    t_check_log("parent callback");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_parent_of_a_child_that_suspended),
    T_TEST(test_parent_before_the_callbacks_of_the_child),
};
T_MAIN(tests, NULL)
