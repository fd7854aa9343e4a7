/* SPDX-License-Identifier: MIT */
/* Goal: an eager task runs inside the call that starts it up to its first suspension, and its
 * spawner goes on before anything else. */
#include "t.h"

#include "sched/worker.h"

static void *speak(void *arg)
{
    t_log("%s", (const char *)arg);
    return arg;
}

static void *speak_twice(void *arg)
{
    t_log("%s1", (const char *)arg);
    (void)skua_yield();
    t_log("%s2", (const char *)arg);
    return arg;
}

static char a[] = "a", b[] = "b", c[] = "c";

static void *eager_order(void *arg)
{
    (void)arg;
    skua_task *first = skua_spawn(speak, c);
    t_log("x");
    skua_task *t = skua_spawn(speak, a, .eager = true);
    t_log("y");
    T_EXPECT(skua_done(t));
    skua_task *u = skua_spawn(speak_twice, b, .eager = true);
    t_log("z");
    T_EXPECT(!skua_done(u));
    skua_task *all[] = { first, t, u };
    T_EXPECT_INT(skua_gather(all, 3, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void test_eager_runs_inside_the_call(void **state)
{
    t_run(eager_order, NULL, .workers = 1);
    t_check_log("x a y b1 z c b2");
    t_run(eager_order, NULL, .workers = 1, .free_main = true);
    t_check_log("x a y b1 z b2 c"); /* free tasks that are gathered go newest first */
}

/* Each starts the next one eagerly before it suspends: spawners go on from the inside out. */
static void *nest(void *arg)
{
    int depth = T_NUM(arg);
    t_log("%d", depth);
    if (depth == 0)
        return NULL;
    skua_task *t = skua_spawn(nest, T_PTR(depth - 1), .eager = true);
    t_log("%d'", depth);
    (void)skua_yield();
    T_EXPECT_INT(skua_join(t, NULL), 0);
    t_log("%d.", depth);
    return NULL;
}

static void test_eager_nested_goes_back_inside_out(void **state)
{
    t_run(nest, T_PTR(3), .workers = 1);
    t_check_log("3 2 1 0 1' 2' 3' 1. 2. 3.");
    t_run(nest, T_PTR(3), .workers = 1, .free_main = true);
    t_log_reset();
    t_run(nest, T_PTR(40), .workers = 2, .free_main = true, .real_time = true);
    t_log_reset();
}

static void *own_name(void *arg)
{
    T_EXPECT(skua_current_task() != arg);
    T_EXPECT_STR(skua_name(skua_current_task()), "child");
    return skua_fail(-EIO);
}

static void *eager_identity(void *arg)
{
    (void)arg;
    skua_task *me = skua_current_task();
    skua_task *t = skua_spawn(own_name, me, .eager = true, .name = "child");
    T_EXPECT(skua_current_task() == me);
    T_EXPECT_INT(skua_error(t), -EIO);
    skua_release(t);
    return NULL;
}

static void test_eager_child_is_itself(void **state)
{
    t_run(eager_identity, NULL);
    t_run(eager_identity, NULL, .free_main = true);
}

/* Where it cannot run at once it is started as any other task. */
static void *eager_elsewhere(void *arg)
{
    (void)arg;
    skua_group *g = skua_group_new(.worker = 1);
    skua_task  *t = skua_spawn(speak, a, .eager = true, .group = g);
    t_log("main");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_group_release(g);
    return NULL;
}

static void spawn_in_callback(void *arg)
{
    skua_task **t = arg;
    *t = skua_spawn(speak, b, .eager = true);
    t_log("callback");
}

static void *eager_in_callback(void *arg)
{
    (void)arg;
    skua_task *t = NULL;
    skua_call_soon(spawn_in_callback, &t);
    (void)skua_yield();
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return NULL;
}

static void test_eager_where_it_cannot(void **state)
{
    t_run(eager_elsewhere, NULL, .workers = 1);
    t_check_log("main a");
    t_run(eager_in_callback, NULL, .workers = 1);
    t_check_log("callback b");
}

/* The child cancels its spawner, which is not waiting: delivered at the next wait. */
static void *cancel_parent(void *arg)
{
    T_EXPECT(skua_cancel(arg, NULL));
    return NULL;
}

static void *cancelled_by_eager(void *arg)
{
    (void)arg;
    skua_task *t = skua_spawn(cancel_parent, skua_current_task(), .eager = true);
    T_EXPECT(skua_done(t));
    skua_release(t);
    T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    T_EXPECT_INT(skua_uncancel(skua_current_task()), 0);
    return T_PTR(1);
}

static void test_eager_child_cancels_its_spawner(void **state)
{
    t_run(cancelled_by_eager, NULL, .want_value = T_PTR(1));
    t_run(cancelled_by_eager, NULL, .want_value = T_PTR(1), .free_main = true);
}

static RT_ATOMIC(int) ended;

static void *eager_leaf(void *arg)
{
    if (T_NUM(arg) % 2)
        (void)skua_yield();
    (void)rt_add_relaxed(&ended, 1);
    return arg;
}

static void *eager_parent(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        void      *value = NULL;
        skua_task *t = skua_spawn(eager_leaf, T_PTR(i), .eager = true);
        T_EXPECT_INT(skua_join(t, &value), 0);
        T_EXPECT_INT(T_NUM(value), i);
    }
    return NULL;
}

static void *eager_many(void *arg)
{
    skua_task *t[4];
    (void)arg;
    rt_store_relaxed(&ended, 0);
    for (int i = 0; i < 4; i++)
        t[i] = skua_go(eager_parent, NULL);
    T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(rt_load_relaxed(&ended), 2000);
    return NULL;
}

static void test_eager_on_many_workers(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(eager_many, NULL, .workers = workers, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_eager_runs_inside_the_call),
    T_TEST(test_eager_nested_goes_back_inside_out),
    T_TEST(test_eager_child_is_itself),
    T_TEST(test_eager_where_it_cannot),
    T_TEST(test_eager_child_cancels_its_spawner),
    T_TEST(test_eager_on_many_workers),
};
T_MAIN(tests, NULL)
