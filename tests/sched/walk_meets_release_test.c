/* SPDX-License-Identifier: MIT */
/* Goal: walking all objects while futures that are not done are released frees each of them once.
 * Cause: the last reference was dropped without a write, so that the walker could still take
 * one. */
#include "t.h"

#include <stdatomic.h>

enum { ROUNDS = 5000000, LOOK_AT = 2000, LIST = 64 };

static atomic_bool stop;

static void *walks(void *arg)
{
    skua_task *list[LIST];
    while (!atomic_load(&stop)) {
        size_t n = skua_all_tasks(list, LIST);
        skua_release_all(list, n < LIST ? n : LIST);
        skua_yield();
    }
    return arg;
}

static void *makes(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        skua_release(skua_future_new());
    atomic_store(&stop, true);
    return arg;
}

static void *walk_main(void *arg)
{
    static skua_future *f[LOOK_AT];
    skua_task          *t[2];
    atomic_store(&stop, false);
    t[0] = skua_go(walks, NULL);
    t[1] = skua_go(makes, NULL);
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    for (int i = 0; i < LOOK_AT; i++) {
        f[i] = skua_future_new();
        for (int k = 0; k < i; k++)
            T_EXPECT(f[i] != f[k]);
    }
    skua_release_all(f, LOOK_AT);
    return arg;
}

static void test_futures_are_freed_once(void **state)
{
    (void)state;
    t_run(walk_main, NULL, .real_time = true, .workers = 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_futures_are_freed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
