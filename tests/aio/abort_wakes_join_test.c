/* SPDX-License-Identifier: MIT */
/* Goal: a child that fails while the parent waits in join wakes it, as asyncio's abort does: it
 * goes on as soon as no child is left. It used to be woken by the last child's note only, which
 * comes a trip later where that child had ended already. */
#include "t.h"

#include <errno.h>

static skua_task *bad, *middle;

static void *end_badly(void *arg)
{
    return skua_fail(-EIO);
}

static void *nothing(void *arg)
{
    return arg;
}

static void *parent(void *arg)
{
    skua_taskgroup group;
    T_EXPECT_INT(skua_taskgroup_init(&group), 0);
    bad = skua_taskgroup_spawn(&group, end_badly, NULL);
    T_EXPECT(skua_taskgroup_spawn(&group, nothing, NULL) != NULL);
    T_EXPECT_INT(skua_taskgroup_join(&group, 0), -EIO);
    t_log("parent");
    return arg;
}

static void *await_bad(void *arg)
{
    T_EXPECT_INT(skua_await(bad, NULL), -EIO);
    t_log("middle");
    return arg;
}

static void *await_middle(void *arg)
{
    T_EXPECT_INT(skua_await(middle, NULL), 0);
    t_log("last");
    return arg;
}

static void *abort_main(void *arg)
{
    skua_task *p = skua_spawn(parent, NULL);
    middle = skua_spawn(await_bad, NULL);
    skua_task *all[] = { p, middle, skua_spawn(await_middle, NULL) };
    T_EXPECT_INT(skua_gather(all, 3, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_abort_wakes_the_parent_in_join(void **state)
{
    (void)state;
    t_run(abort_main, NULL);
    t_check_log("middle parent last");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_abort_wakes_the_parent_in_join),
};
T_MAIN(tests, NULL)
