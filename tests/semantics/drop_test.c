/* SPDX-License-Identifier: MIT */
/* Rule 31 for arguments: a task that is cancelled before it begins never runs its body, and .drop
 * is called once with its argument; a task that begins owns it; a spawn that is refused leaves it
 * with the caller. */
#include "../support/t.h"

#include <stdatomic.h>

static atomic_int drops, bodies;

static void count_drop(void *arg)
{
    T_EXPECT(arg != NULL);
    atomic_fetch_add(&drops, 1);
}

static void *count_body(void *arg)
{
    atomic_fetch_add(&bodies, 1);
    return arg;
}

static void expect(int want_drops, int want_bodies)
{
    T_EXPECT_INT(atomic_exchange(&drops, 0), want_drops);
    T_EXPECT_INT(atomic_exchange(&bodies, 0), want_bodies);
}

static void in_all_homes(skua_fn fn)
{
    t_run(fn, NULL);
    t_run(fn, NULL, .free_main = true);
    t_check();
}

/* ---- cancelled by its handle ---- */

static void cancel_fresh(skua_task *t)
{
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    expect(1, 0);
}

static void *handle_main(void *arg)
{
    skua_group *here = skua_group_new(.worker = 1);
    int x = 0;
    cancel_fresh(skua_spawn(count_body, &x, .drop = count_drop));
    cancel_fresh(skua_spawn(count_body, &x, .drop = count_drop, .copy = sizeof x));
    cancel_fresh(skua_spawn(count_body, &x, .drop = count_drop, .stack_size = 200000));
    cancel_fresh(skua_spawn(count_body, &x, .drop = count_drop, .name = "named"));
    if (skua_loop_current())
        cancel_fresh(skua_spawn(count_body, &x, .drop = count_drop, .group = here));
    skua_group_release(here);
    return arg;
}

static void test_rule_31_drop_of_a_cancelled_task(void **state)
{
    (void)state;
    /* one worker: nobody takes the task away before it is cancelled */
    t_run(handle_main, NULL, .workers = 1);
    t_run(handle_main, NULL, .workers = 1, .free_main = true);
    t_run(handle_main, NULL);
    t_check();
}

/* Elsewhere the task may have begun: either its body runs or its argument is dropped. */
static void *elsewhere_main(void *arg)
{
    skua_group *g = skua_group_new();
    for (int i = 0; i < 500; i++) {
        skua_task *t = i % 2 ? skua_go(count_body, &drops, .drop = count_drop)
                             : skua_spawn(count_body, &drops, .drop = count_drop, .group = g);
        bool asked = skua_cancel(t, NULL);
        int r = skua_join(t, NULL);
        int d = atomic_exchange(&drops, 0), b = atomic_exchange(&bodies, 0);
        T_EXPECT_INT(d + b, 1);
        T_EXPECT(asked || b == 1);
        T_EXPECT(d ? r == -ECANCELED : r == 0 || r == -ECANCELED);
    }
    skua_group_release(g);
    return arg;
}

static void test_rule_31_drop_or_body_of_a_task_elsewhere(void **state)
{
    /* Goal: free tasks and tasks of another worker's group race with their cancel. */
    (void)state;
    in_all_homes(elsewhere_main);
}

/* ---- those that begin ---- */

static void *begun_main(void *arg)
{
    int x = 0;
    T_EXPECT_INT(skua_join(skua_spawn(count_body, &x, .drop = count_drop), NULL), 0);
    T_EXPECT_INT(skua_join(skua_go(count_body, &x, .drop = count_drop), NULL), 0);
    skua_task *t = skua_spawn(count_body, &x, .drop = count_drop, .eager = true);
    T_EXPECT(!skua_cancel(t, NULL));
    skua_release(t);
    expect(0, 3);
    return arg;
}

static void test_rule_31_no_drop_once_the_body_has_begun(void **state)
{
    (void)state;
    in_all_homes(begun_main);
}

/* ---- spawns that fail ---- */

static void *refused_main(void *arg)
{
    int x = 0;
    T_EXPECT(!skua_spawn(NULL, &x, .drop = count_drop));
    T_EXPECT(!skua_spawn(count_body, &x, .drop = count_drop, .stack_size = (size_t)1 << 40));
    T_EXPECT(!skua_go(count_body, &x, .drop = count_drop, .group = skua_group_new()) ||
             !skua_loop_current());
    T_EXPECT(!skua_spawn_with(count_body, &x, &(struct skua_spawn_opts){ .drop = count_drop }));
    expect(0, 0);
    return arg;
}

static void test_rule_31_no_drop_when_the_spawn_is_refused(void **state)
{
    (void)state;
    t_run(refused_main, NULL);
    assert_null(skua_spawn(count_body, &drops, .drop = count_drop));
    expect(0, 0);
    t_check();
}

/* ---- task groups ---- */

static void *child_fails(void *arg)
{
    (void)arg;
    return skua_fail(-EIO);
}

static void *group_main(void *arg)
{
    skua_taskgroup tg;
    int x = 0;
    for (int how = 0; how < 3; how++) {
        T_EXPECT_INT(skua_taskgroup_init(&tg), 0);
        if (how == 2)
            T_EXPECT(skua_taskgroup_spawn(&tg, child_fails, NULL, .eager = true) != NULL);
        for (int i = 0; i < 3; i++)
            SKUA_IGNORE(skua_taskgroup_spawn(&tg, count_body, &x, .drop = count_drop));
        if (how == 0)
            skua_taskgroup_cancel(&tg);
        int r = skua_taskgroup_join(&tg, how == 1 ? -EDOM : 0);
        T_EXPECT_INT(r, how == 0 ? 0 : how == 1 ? -EDOM : -EIO);
        expect(3, 0);
    }
    return arg;
}

static void test_rule_31_drop_of_children_that_a_task_group_cancels(void **state)
{
    /* Goal: cancelled, body failed, sibling failed before they began. */
    (void)state;
    t_run(group_main, NULL);
    t_check();
}

/* ---- the end of run ---- */

static void *leave_behind(void *arg);

static void *leave_behind_too(void *arg)
{
    T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    return leave_behind(arg);
}

static void *leave_behind(void *arg)
{
    static int x;
    if (!arg) {
        skua_detach(skua_spawn(leave_behind_too, &x, .eager = true));
        arg = &x;
    }
    skua_group *g = skua_group_new(.worker = 1);
    skua_detach(skua_spawn(count_body, &x, .drop = count_drop));
    skua_detach(skua_spawn(count_body, &x, .drop = count_drop, .group = g));
    skua_detach(skua_go(count_body, &x, .drop = count_drop));
    skua_group_release(g);
    return arg;
}

static void test_rule_31_drop_at_the_end_of_run(void **state)
{
    /* Goal: what main leaves behind begins or is cancelled, each once, also what is spawned while
     * the end is under way. */
    (void)state;
    for (int i = 0; i < 50; i++) {
        t_run(leave_behind, NULL, .any = true);
        int d = atomic_exchange(&drops, 0), b = atomic_exchange(&bodies, 0);
        assert_int_equal(d + b, 6);
    }
    t_check();
}

static void *stubborn(void *arg)
{
    while (skua_sleep(10) < 0 || arg)
        continue;
    return NULL;
}

static void spawn_too_late(void *loop)
{
    skua_detach(skua_spawn(count_body, loop, .drop = count_drop));
}

static void *give_up_main(void *arg)
{
    skua_detach(skua_spawn(stubborn, &drops, .name = "stubborn"));
    T_EXPECT(skua_call_later(0.2, spawn_too_late, skua_loop_current()).id != 0);
    return arg;
}

static void test_rule_31_drop_of_a_task_that_the_end_of_run_gives_up(void **state)
{
    /* Goal: its turn would have come after the limit of the shutdown. */
    (void)state;
    t_run(give_up_main, NULL, .any = true, .shutdown_timeout = 0.2);
    expect(1, 0);
    t_check();
}

/* ---- inside a drop ---- */

static void *follow_up(void *arg)
{
    T_EXPECT(skua_loop_current() == arg);
    atomic_fetch_add(&bodies, 1);
    return NULL;
}

static void busy_drop(void *loop)
{
    skua_taskgroup tg;
    T_EXPECT(skua_current_task() == NULL);
    T_EXPECT_INT(skua_sleep(1), -EPERM);
    T_EXPECT_INT(skua_yield(), -EPERM);
    T_EXPECT_INT(skua_taskgroup_init(&tg), -EPERM);
    skua_task *t = skua_spawn(follow_up, loop);
    T_EXPECT(t != NULL);
    skua_detach(t);
    atomic_fetch_add(&drops, 1);
}

static void *busy_main(void *arg)
{
    skua_loop *loop = skua_loop_current();
    skua_task *t = skua_spawn(count_body, loop, .drop = busy_drop);
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    while (atomic_load(&bodies) == 0)
        T_EXPECT_INT(skua_sleep(0.001), 0);
    expect(1, 1);
    return arg;
}

static void test_rule_31_drop_is_a_callback(void **state)
{
    /* Goal: it may not suspend, it may spawn, and it is in the group of its task. */
    (void)state;
    in_all_homes(busy_main);
}

/* ---- map ---- */

static void *mapper(void *arg)
{
    int x = 0;
    void *args[3] = { &x, &x, &x }, *results[3] = { NULL };
    (void)arg;
    skua_cancel(skua_current_task(), NULL);
    int r = skua_map(count_body, args, 3, results, .limit = 2);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_failed(results[i]), -ECANCELED);
    return skua_fail(r);
}

static void *map_main(void *arg)
{
    T_EXPECT_INT(skua_join(skua_spawn(mapper, NULL), NULL), -ECANCELED);
    expect(0, 0);
    return arg;
}

static void test_rule_31_an_abandoned_map_calls_nobody(void **state)
{
    /* Goal: the arguments stay the caller's, and every slot says that its call was not made. */
    (void)state;
    t_run(map_main, NULL, .workers = 1, .free_main = true);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_31_drop_of_a_cancelled_task),
    T_TEST(test_rule_31_drop_or_body_of_a_task_elsewhere),
    T_TEST(test_rule_31_no_drop_once_the_body_has_begun),
    T_TEST(test_rule_31_no_drop_when_the_spawn_is_refused),
    T_TEST(test_rule_31_drop_of_children_that_a_task_group_cancels),
    T_TEST(test_rule_31_drop_at_the_end_of_run),
    T_TEST(test_rule_31_drop_of_a_task_that_the_end_of_run_gives_up),
    T_TEST(test_rule_31_drop_is_a_callback),
    T_TEST(test_rule_31_an_abandoned_map_calls_nobody),
};
T_MAIN(tests, NULL)
