/* SPDX-License-Identifier: MIT */
/* Goal: a request to a task that waits for a child which it called in place goes on to that child,
 * also while an eager task of the child runs. That one has a stack of its own, where the two were
 * not looked for: the request stayed with the waiter, who went on as if nothing had happened. */
#include "t.h"

static skua_task *waiter, *child;

static void *cancel_waiter(void *arg)
{
    T_EXPECT(skua_cancel(waiter, NULL));
    return arg;
}

static void *spawn_eagerly(void *arg)
{
    skua_detach(skua_spawn(cancel_waiter, NULL, .eager = true));
    return arg;
}

static void *await_child(void *arg)
{
    T_EXPECT_INT(skua_await(child, NULL), -ECANCELED);
    return arg;
}

static void *cancel_main(void *arg)
{
    waiter = skua_spawn(await_child, NULL);
    child = skua_spawn(spawn_eagerly, NULL);
    SKUA_IGNORE(skua_sleep(1));
    T_EXPECT(skua_cancelled(child)); /* a request that was never delivered ends the task */
    T_EXPECT_INT(skua_cancelling(child), 1);
    T_EXPECT(!skua_cancelled(waiter));
    skua_release(waiter);
    skua_release(child);
    return arg;
}

static void test_eager_child_cancels_the_inline_parent(void **state)
{
    (void)state;
    t_run(cancel_main, NULL);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_eager_child_cancels_the_inline_parent),
};
T_MAIN(tests, NULL)
