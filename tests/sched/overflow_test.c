/* SPDX-License-Identifier: MIT */
/* Goal: a task that runs out of its stack dies at the guard with its name and the place where it
 * was spawned; asking for a larger stack gives one. */
#include "scale.h"
#include "t.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "task/task.h"

enum { KIB = 1024 };

static void no_core(void)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
}

static int descend(volatile char *above, int left)
{
    volatile char here[4 * KIB];
    here[0] = (char)left;
    here[sizeof here - 1] = above[0];
    int sum = left > 0 ? descend(here, left - 1) : 0;
    return sum + here[0];
}

static void *deep(void *kib)
{
    volatile char top[1] = { 0 };
    (void)descend(top, T_NUM(kib) / 4);
    return T_PTR(1);
}

static void *after_suspending(void *kib)
{
    T_EXPECT_INT(skua_sleep(0.001), 0);
    return deep(kib);
}

static void *spawn_deep(void *arg)
{
    skua_task *t = skua_spawn(arg, T_PTR(1 << 20), .name = "mole");
    SKUA_IGNORE(skua_join(t, NULL));
    return NULL;
}

static void *spawn_nameless(void *arg)
{
    skua_task *t = skua_go(arg, T_PTR(1 << 20));
    SKUA_IGNORE(skua_join(t, NULL));
    return NULL;
}

static int scenario_named(void)
{
    no_core();
    return skua_run(spawn_deep, (void *)(uintptr_t)deep);
}

static int scenario_resumed(void)
{
    no_core();
    return skua_run(spawn_deep, (void *)(uintptr_t)after_suspending);
}

static int scenario_nameless(void)
{
    no_core();
    return skua_run(spawn_nameless, (void *)(uintptr_t)after_suspending);
}

static void deep_callback(void *arg)
{
    (void)deep(arg);
}

static void *call_deep(void *arg)
{
    (void)skua_call_soon(deep_callback, T_PTR(1 << 20));
    SKUA_IGNORE(skua_sleep(1));
    return arg;
}

static int scenario_callback(void)
{
    no_core();
    return skua_run(call_deep, NULL);
}

/* A child that runs as a call of its parent is the one that is named. */
static void *join_mole(void *arg)
{
    skua_task *t = skua_go(arg, T_PTR(1 << 20), .name = "mole");
    SKUA_IGNORE(skua_join(t, NULL));
    return NULL;
}

static int scenario_inline(void)
{
    no_core();
    return skua_run(join_mole, (void *)(uintptr_t)deep, .free_main = true);
}

static void expect_death(const char *scenario, const char *name)
{
    struct t_child child;
    t_child_run(scenario, &child);
    bool places = strstr(name, "callback") || strstr(child.text, "overflow_test.c:");
    if (!strstr(child.text, "stack overflow") || !strstr(child.text, name) || !places)
        fail_msg("the child wrote: %s", child.text);
    if (!T_SANITIZED)
        assert_true(t_child_killed(&child, SIGSEGV) || t_child_killed(&child, SIGBUS));
}

static void test_overflow_names_the_task(void **state)
{
    expect_death("named", "'mole'");
    expect_death("resumed", "'mole'");
    expect_death("nameless", "'Task-");
    expect_death("inline", "'mole'");
    expect_death("callback", "in a callback");
}

/* --- enough room when asked for --- */

static void *room(void *arg)
{
    static const size_t sizes[] = { 32, 200, 900, 7000 }; /* KiB */
    (void)arg;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t     want = T_SCALE(sizes[i], sizes[i] / 8);
        skua_task *t[3] = {
            skua_spawn(deep, T_PTR(want), .stack_size = sizes[i] * KIB + 8 * KIB),
            skua_go(deep, T_PTR(want), .stack_size = sizes[i] * KIB + 8 * KIB),
            skua_go(after_suspending, T_PTR(want), .stack_size = sizes[i] * KIB + 8 * KIB),
        };
        void *ok[3] = { 0 };
        T_EXPECT_INT(skua_gather(t, 3, ok, SKUA_RELEASE), 0);
        T_EXPECT(ok[0] && ok[1] && ok[2]);
    }
    return NULL;
}

static void test_stack_size_gives_room(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        t_run(room, NULL, .workers = workers, .real_time = true);
        t_run(room, NULL, .workers = workers, .real_time = true, .free_main = true);
    }
}

/* Eager and awaited at once: the child must not run on a small stack. */
static void *room_at_once(void *arg)
{
    int        want = T_SCALE(700, 80);
    skua_task *t = skua_spawn(deep, T_PTR(want), .stack_size = 800 * KIB, .eager = true);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    t = skua_go(deep, T_PTR(want), .stack_size = 800 * KIB);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_stack_size_of_child_called_at_once(void **state)
{
    t_run(room_at_once, NULL, .real_time = true);
    t_run(room_at_once, NULL, .real_time = true, .free_main = true);
}

/* A parent that has used half of its large stack awaits a child that needs most of one. */
static int await_at_depth(volatile char *above, int left, skua_task *t)
{
    volatile char here[4 * KIB];
    here[0] = above[0];
    here[sizeof here - 1] = (char)left;
    int r = left > 0 ? await_at_depth(here, left - 1, t) : skua_join(t, NULL);
    return here[0] ? -EIO : r;
}

static void *deep_parent(void *kib)
{
    volatile char top[1] = { 0 };
    skua_task    *t = skua_go(deep, kib, .stack_size = 900 * KIB);
    int           r = await_at_depth(top, T_NUM(kib) / 8, t);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *nested_rooms(void *arg)
{
    int        want = T_SCALE(800, 80);
    skua_task *t = skua_go(deep_parent, T_PTR(want), .stack_size = 900 * KIB);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    t = skua_spawn(deep_parent, T_PTR(want), .stack_size = 900 * KIB);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_stack_size_of_child_of_a_deep_parent(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        t_run(nested_rooms, NULL, .workers = workers, .real_time = true);
        t_run(nested_rooms, NULL, .workers = workers, .real_time = true, .free_main = true);
    }
}

/* Each class up to its last byte, one byte more, and what no class has. */
static void *all_sizes(void *arg)
{
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++) {
        size_t     room = rt_stack_class_usable(i);
        skua_task *t[2] = {
            skua_spawn(deep, T_PTR(1), .stack_size = room),
            skua_go(after_suspending, T_PTR(1), .stack_size = room),
        };
        T_EXPECT_INT(rt_task_kind(t[0]), i);
        T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
        t[0] = skua_spawn(deep, T_PTR(1), .stack_size = room + 1);
        if (i + 1 < RT_STACK_CLASSES)
            T_EXPECT_INT(rt_task_kind(t[0]), i + 1);
        else
            T_EXPECT_INT(skua_error(t[0]), -EINVAL);
        SKUA_IGNORE(skua_join(t[0], NULL));
    }
    skua_task *t = skua_go(deep, T_PTR(1), .stack_size = SIZE_MAX);
    T_EXPECT_INT(skua_error(t), -EINVAL);
    skua_release(t);
    t = skua_go(deep, T_PTR(1), .stack_size = 1);
    T_EXPECT_INT(rt_task_kind(t), RT_STACK_CLASS_DEFAULT);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_stack_size_each_class_to_the_byte(void **state)
{
    t_run(all_sizes, NULL, .real_time = true);
    t_run(all_sizes, NULL, .real_time = true, .free_main = true);
    assert_int_equal(skua_run(all_sizes, NULL, .stack_size = SIZE_MAX), -EINVAL);
}

static void *run_wide_child(void *arg)
{
    skua_task *t = skua_spawn(deep, arg);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    t = skua_go(after_suspending, arg);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return deep(arg);
}

static void test_stack_size_of_the_runtime(void **state)
{
    int want = T_SCALE(700, 80);
    assert_int_equal(skua_run(run_wide_child, T_PTR(want), .stack_size = 800 * KIB), 0);
    assert_int_equal(
        skua_run(run_wide_child, T_PTR(want), .stack_size = 800 * KIB, .free_main = true), 0);
    t_check();
}

static const struct t_scenario scenarios[] = {
    { "named", scenario_named },
    { "resumed", scenario_resumed },
    { "nameless", scenario_nameless },
    { "inline", scenario_inline },
    { "callback", scenario_callback },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_overflow_names_the_task),
    T_TEST(test_stack_size_gives_room),
    T_TEST(test_stack_size_of_child_called_at_once),
    T_TEST(test_stack_size_of_child_of_a_deep_parent),
    T_TEST(test_stack_size_each_class_to_the_byte),
    T_TEST(test_stack_size_of_the_runtime),
};
T_MAIN(tests, scenarios)
