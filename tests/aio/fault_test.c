/* SPDX-License-Identifier: MIT */
/* Goal: every call that may need memory says so when there is none, changes nothing, loses nothing,
 * and works the next time. Method: the nth allocation of one round fails, for every n until none
 * does, with one worker, so that a round allocates in the same order each time. */
#include "t.h"

#include <math.h>

#include "base/mem.h"

enum { SWEEP_MAX = 200, CHILDREN = 20 };

struct thing {
    int (*round)(void); /* 0 or a negative error; leaves nothing behind either way */
    int at_least;       /* allocations it makes */
};

static void *value(void *arg)
{
    return arg;
}

static void *yielder(void *arg)
{
    (void)skua_yield();
    return arg;
}

/* --- rounds --- */

static int spawn_dressed(void)
{
    char       text[40] = "an argument of one's own";
    int        err = 0;
    skua_task *t = skua_spawn(value, text, .name = "dressed", .copy = sizeof text, .ret_err = &err);
    if (!t) {
        T_EXPECT_INT(err, -ENOMEM);
        return err;
    }
    return skua_join(t, NULL);
}

static int spawn_plain(void)
{
    skua_task *t = skua_spawn(yielder, T_PTR(1));
    return t ? skua_join(t, NULL) : -ENOMEM;
}

static int go_plain(void)
{
    skua_task *t = skua_go(yielder, T_PTR(1));
    return t ? skua_join(t, NULL) : -ENOMEM;
}

static int gather_twenty(void)
{
    skua_task *t[CHILDREN];
    void      *results[CHILDREN] = { 0 };
    for (int i = 0; i < CHILDREN; i++)
        T_EXPECT((t[i] = skua_spawn(yielder, T_PTR(i + 1))) != NULL);
    int r = skua_gather(t, CHILDREN, results, 0);
    T_EXPECT_INT(T_NUM(results[CHILDREN - 1]), r == 0 ? CHILDREN : 0);
    for (int i = 0; i < CHILDREN; i++) /* untouched by a gather that failed */
        T_EXPECT_INT(skua_join(t[i], NULL), 0);
    return r;
}

static int wait_twenty(void)
{
    skua_task *t[CHILDREN];
    size_t     done = 99;
    for (int i = 0; i < CHILDREN; i++)
        T_EXPECT((t[i] = skua_spawn(yielder, NULL)) != NULL);
    int r = skua_wait(t, CHILDREN, INFINITY, SKUA_ALL_COMPLETED, &done);
    T_EXPECT_INT(done, r == 0 ? CHILDREN : 99);
    for (int i = 0; i < CHILDREN; i++)
        T_EXPECT_INT(skua_join(t[i], NULL), 0);
    return r;
}

static int heard;

static void hear(skua_task *t, void *arg)
{
    (void)t;
    heard += T_NUM(arg);
}

static int add_callback(void)
{
    heard = 0;
    skua_task *t = skua_spawn(yielder, NULL);
    int        r = skua_add_done_callback(t, hear, T_PTR(1));
    T_EXPECT_INT(skua_join(t, NULL), 0);
    (void)skua_yield();
    T_EXPECT_INT(heard, r == 0);
    return r;
}

static int iterate(void)
{
    skua_task        *t[CHILDREN];
    skua_as_completed it;
    int               n = 0, err;
    for (int i = 0; i < CHILDREN; i++)
        T_EXPECT((t[i] = skua_spawn(yielder, NULL)) != NULL);
    int r = skua_as_completed_init(&it, t, CHILDREN, 1.0);
    while (r == 0 && skua_as_completed_next(&it, &err))
        n++;
    if (r == 0 && n < CHILDREN)
        r = err;
    skua_as_completed_fini(&it);
    for (int i = 0; i < CHILDREN; i++)
        T_EXPECT_INT(skua_join(t[i], NULL), 0);
    return r;
}

static void add_one(void *arg)
{
    ++*(int *)arg;
}

static int call_later(void)
{
    int         calls = 0;
    skua_handle h = skua_call_later(0.001, add_one, &calls), g = skua_call_soon(add_one, &calls);
    int         r = skua_sleep(0.002);
    T_EXPECT_INT(calls, (h.id != 0) + (g.id != 0));
    return r < 0 ? r : h.id && g.id ? 0 : -ENOMEM;
}

static int group_new(void)
{
    skua_group *g = skua_group_new(.name = "some group");
    if (!g)
        return -ENOMEM;
    skua_task *t = skua_spawn(yielder, NULL, .group = g);
    int        r = t ? skua_join(t, NULL) : -ENOMEM;
    skua_group_release(g);
    T_EXPECT_INT(skua_sleep(0.001), 0); /* it is freed when the worker next has nothing to do */
    T_EXPECT_INT(skua_sleep(0.001), 0);
    return r;
}

static int shield(void)
{
    skua_task *t = skua_spawn(yielder, NULL);
    skua_task *s = skua_shield(t);
    int        r = s ? skua_join(s, NULL) : -ENOMEM;
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return r;
}

static int time_out(void)
{
    skua_timeout scope;
    int          r = skua_timeout_enter(&scope, 0.001);
    if (r < 0)
        return r;
    r = skua_sleep(10);
    r = skua_timeout_exit(&scope, r);
    return r == -ETIMEDOUT ? 0 : r;
}

static int wait_for(void)
{
    skua_task *t = skua_spawn(yielder, NULL);
    int        r = skua_wait_for(t, 5.0, NULL);
    if (r == -ENOMEM)
        T_EXPECT_INT(skua_await(t, NULL), 0);
    skua_release(t);
    return r;
}

static int rename_it(void)
{
    skua_task *t = skua_spawn(yielder, NULL);
    int        r = skua_set_name(t, "a new name");
    T_EXPECT(skua_name(t) != NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return r;
}

static int task_group(void)
{
    skua_taskgroup tg;
    int            err = 0;
    T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
    for (int i = 0; i < CHILDREN && err == 0; i++) {
        (void)skua_taskgroup_spawn(&tg, yielder, NULL, .ret_err = &err);
        if (err == 0)
            (void)skua_taskgroup_go(&tg, yielder, NULL, .name = "named", .ret_err = &err);
    }
    int r = skua_taskgroup_join(&tg, err);
    T_EXPECT_INT(skua_taskgroup_errors(&tg, NULL, 0), err < 0);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return r;
}

static int map_all(void)
{
    void *args[CHILDREN], *results[CHILDREN];
    for (int i = 0; i < CHILDREN; i++)
        args[i] = results[i] = T_PTR(i + 1);
    int r = skua_map(yielder, args, CHILDREN, results, .limit = 3);
    int q = skua_map(yielder, args, CHILDREN, results, .free = true, .flags = SKUA_RETURN_ERRORS);
    for (int i = 0; i < CHILDREN; i++)
        T_EXPECT(q < 0 || results[i] == args[i]);
    return r < 0 ? r : q;
}

/* --- the sweep --- */

static void *sweep(void *arg)
{
    const struct thing *thing = arg;
    int                 failures = 0;
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(thing->round(), 0);
    int64_t live = rt_mem_live();
    for (uint64_t nth = 1; nth < SWEEP_MAX; nth++) {
        rt_fault_alloc_arm(nth);
        int      r = thing->round();
        uint64_t hits = rt_fault_alloc_hits();
        rt_fault_alloc_arm(0);
        failures += r < 0;
        if (!T_EXPECT(r == 0 || r == -ENOMEM) || !T_EXPECT_INT(rt_mem_live(), live) ||
            !T_EXPECT_INT(thing->round(), 0) || hits == 0)
            break;
    }
    T_EXPECT(failures >= thing->at_least);
    rt_fault_alloc_arm_from(1);
    int r = thing->round();
    rt_fault_alloc_arm(0);
    T_EXPECT(r == -ENOMEM || thing->at_least == 0);
    T_EXPECT_INT(rt_mem_live(), live);
    T_EXPECT_INT(thing->round(), 0);
    return NULL;
}

static void sweep_thing(int (*round)(void), int at_least)
{
    struct thing thing = { round, at_least };
    t_run(sweep, &thing, .workers = 1);
}

static void test_fault_spawn(void **state)
{
    sweep_thing(spawn_dressed, 3);
    sweep_thing(spawn_plain, 0);
    sweep_thing(go_plain, 0);
    sweep_thing(rename_it, 2);
}

static void test_fault_gather_and_wait(void **state)
{
    sweep_thing(gather_twenty, 1);
    sweep_thing(wait_twenty, 2);
}

static void test_fault_done_callback(void **state)
{
    sweep_thing(add_callback, 1);
}

static void test_fault_as_completed(void **state)
{
    sweep_thing(iterate, 1);
}

static void test_fault_call_later(void **state)
{
    sweep_thing(call_later, 0);
}

static void test_fault_group(void **state)
{
    sweep_thing(group_new, 2);
}

static void test_fault_shield(void **state)
{
    sweep_thing(shield, 1);
}

static void test_fault_task_group_and_map(void **state)
{
    sweep_thing(task_group, 4 * CHILDREN);
    sweep_thing(map_all, 2);
}

static void test_fault_timeouts(void **state)
{
    sweep_thing(time_out, 0);
    sweep_thing(wait_for, 0);
}

/* Timer heaps grow: without memory a sleep says so, and those that sleep are not disturbed. */
static int sleeping;

static void *sleep_one(void *arg)
{
    (void)arg;
    sleeping++;
    return skua_fail(skua_sleep(1));
}

static void *many_sleepers(void *arg)
{
    enum { MANY = 3000 };
    static skua_task *t[MANY];
    int               no_memory = 0, fine = 0;
    (void)arg;
    for (int i = 0; i < MANY; i++) {
        T_EXPECT((t[i] = skua_spawn(sleep_one, NULL)) != NULL);
        rt_fault_alloc_arm(i % 3 ? 0 : 1);
        (void)skua_yield();
        rt_fault_alloc_arm(0);
    }
    for (int i = 0; i < MANY; i++) {
        int r = skua_join(t[i], NULL);
        no_memory += r == -ENOMEM;
        fine += r == -EINVAL; /* skua_fail(0) */
    }
    T_EXPECT_INT(no_memory + fine, MANY);
    T_EXPECT(no_memory > 0 && no_memory < 100);
    return NULL;
}

static void test_fault_sleep(void **state)
{
    t_run(many_sleepers, NULL, .workers = 1);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_fault_spawn),
    T_TEST(test_fault_gather_and_wait),
    T_TEST(test_fault_done_callback),
    T_TEST(test_fault_as_completed),
    T_TEST(test_fault_call_later),
    T_TEST(test_fault_group),
    T_TEST(test_fault_shield),
    T_TEST(test_fault_task_group_and_map),
    T_TEST(test_fault_timeouts),
    T_TEST(test_fault_sleep),
};
T_MAIN(tests, NULL)
