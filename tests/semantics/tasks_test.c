/* SPDX-License-Identifier: MIT */
/* Tasks: rules 24, 25, 27 to 29 of asyncio. */
#include "../support/t.h"

#include <stdio.h>

/* ---- rule 24 ---- */

static void *start_order_main(void *arg)
{
    struct t_job a = { .name = "a" }, b = { .name = "b" }, c = { .name = "c" };
    skua_task *ta = skua_spawn(t_job, &a);
    skua_call_soon(t_say, "x");
    skua_task *tb = skua_spawn(t_job, &b);
    t_log("m");
    skua_yield();
    t_log("m1");
    skua_task *tc = skua_spawn(t_job, &c);
    T_EXPECT_INT(skua_join(tc, NULL), 0);
    t_log("m2");
    skua_release(ta);
    skua_release(tb);
    return arg;
}

static void test_rule_24_tasks_start_in_creation_order_and_never_inside_spawn(void **state)
{
    /* Goal: the first step is queued with the callbacks; spawn itself runs nothing. */
    (void)state;
    t_run(start_order_main, NULL);
    t_check_log("m a x b m1 c m2");
}

static void *many_main(void *arg)
{
    enum { N = 40 };
    static char names[N][16];
    struct t_job jobs[N];
    skua_task *t[N];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        jobs[i] = (struct t_job){ .name = names[i] };
        t[i] = skua_spawn(t_job, &jobs[i]);
    }
    T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_24_forty_tasks_keep_their_order(void **state)
{
    /* Goal: the same with more tasks than any fixed little buffer would hold. */
    (void)state;
    t_run(many_main, NULL);
    t_check_log("0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 "
                "30 31 32 33 34 35 36 37 38 39");
}

static void test_rule_24_spawn_needs_a_running_loop(void **state)
{
    /* Goal: outside a runtime there is no task to be had, and the reason is said. */
    (void)state;
    int err = 0;
    struct t_job job = { .name = "never" };
    assert_null(skua_spawn(t_job, &job, .ret_err = &err));
    assert_int_equal(err, -EPERM);
    t_check_log("");
}

static void *names_main(void *arg)
{
    struct t_job job = { .name = "x" };
    char buffer[32] = "given";
    skua_task *named = skua_spawn(t_job, &job, .name = buffer);
    skua_task *first = skua_spawn(t_job, &job), *second = skua_spawn(t_job, &job);
    memset(buffer, 'z', sizeof buffer - 1);
    T_EXPECT_STR(skua_name(named), "given");
    int n = 0, m = 0;
    T_EXPECT(sscanf(skua_name(first), "Task-%d", &n) == 1);
    T_EXPECT(sscanf(skua_name(second), "Task-%d", &m) == 1);
    T_EXPECT(n > 0 && m > n);
    T_EXPECT_INT(skua_set_name(named, "other"), 0);
    T_EXPECT_STR(skua_name(named), "other");
    skua_task *t[3] = { named, first, second };
    T_EXPECT_INT(skua_gather(t, 3, NULL, 0), 0);
    T_EXPECT_INT(skua_set_name(named, "late"), 0);
    T_EXPECT_STR(skua_name(named), "late");
    skua_release_all(t, 3);
    return arg;
}

static void test_rule_24_names_are_given_or_counted(void **state)
{
    /* Goal: a name is copied; without one there is Task-<n> from one counter; set any time. */
    (void)state;
    t_run(names_main, NULL);
}

/* ---- rule 25 ---- */

static void *two_steps(void *name)
{
    t_log("%s0", (const char *)name);
    skua_yield();
    t_log("%s1", (const char *)name);
    return NULL;
}

static void *at_once(void *parent)
{
    T_EXPECT(skua_current_task() != parent);
    T_EXPECT(skua_current_task() != NULL);
    t_log("now");
    return T_PTR(3);
}

static void *eager_main(void *arg)
{
    skua_task *me = skua_current_task();
    skua_task *a = skua_spawn(two_steps, "a");
    skua_task *e = skua_spawn(two_steps, "e", .eager = true);
    T_EXPECT(skua_current_task() == me);
    t_log("m");
    skua_task *d = skua_spawn(at_once, me, .eager = true);
    T_EXPECT(skua_current_task() == me);
    T_EXPECT(skua_done(d));
    void *value = NULL;
    T_EXPECT_INT(skua_result(d, &value), 0);
    T_EXPECT(value == T_PTR(3));
    T_EXPECT_INT(skua_await(e, NULL), 0);
    t_log("m1");
    T_EXPECT_INT(skua_await(a, NULL), 0);
    skua_task *all[3] = { a, e, d };
    skua_release_all(all, 3);
    return arg;
}

static void test_rule_25_an_eager_task_runs_up_to_its_first_suspension(void **state)
{
    /* Goal: the first step is inside spawn; one that ends there never enters the queue. */
    (void)state;
    t_run(eager_main, NULL);
    t_check_log("e0 m now a0 e1 a1 m1");
}

static void *await_arg(void *future)
{
    int r = skua_await(future, NULL);
    t_log("r%d", r == -ECANCELED);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *eager_cancel_main(void *arg)
{
    skua_future *f = skua_future_new();
    skua_task *e = skua_spawn(await_arg, f, .eager = true);
    T_EXPECT(!skua_done(e));
    T_EXPECT(skua_cancel(e, NULL));
    T_EXPECT_INT(skua_join(e, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(f));
    skua_release(f);
    return arg;
}

static void test_rule_25_an_eager_task_that_suspended_is_like_any_other(void **state)
{
    /* Goal: after its eager step it can be cancelled where it waits. */
    (void)state;
    t_run(eager_cancel_main, NULL);
    t_check_log("r1");
}

/* ---- rule 27 ---- */

static void *await_self(void *arg)
{
    int r = skua_await(skua_current_task(), NULL);
    T_EXPECT(r < 0 && r != -ECANCELED);
    skua_task *self = skua_current_task();
    r = skua_gather(&self, 1, NULL, 0);
    T_EXPECT(r < 0 && r != -ECANCELED);
    return arg;
}

static void *self_main(void *arg)
{
    skua_task *t = skua_spawn(await_self, NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    SKUA_IGNORE(await_self(NULL));
    return arg;
}

static void test_rule_27_a_task_cannot_await_itself(void **state)
{
    /* Goal: an error at once, instead of a wait that never ends. */
    (void)state;
    t_run(self_main, NULL);
}

static void *set_on_task_main(void *arg)
{
    struct t_job job = { .name = "body", .yields = 1 };
    skua_task *t = skua_spawn(t_job, &job);
    T_EXPECT(!skua_future_set_result(t, T_PTR(1)));
    T_EXPECT(!skua_future_set_error(t, -EIO));
    T_EXPECT(!skua_done(t));
    void *value = NULL;
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT(value == job.name);
    return arg;
}

static void test_rule_27_a_task_is_completed_by_its_body_only(void **state)
{
    /* Goal: set_result and set_error on a task change nothing. */
    (void)state;
    t_run(set_on_task_main, NULL);
    t_check_log("body");
}

/* ---- rule 28 ---- */

static void no_current(void *arg)
{
    T_EXPECT(skua_current_task() == NULL);
    T_EXPECT(skua_loop_current() == arg);
    t_log("cb");
}

static void *current_main(void *arg)
{
    skua_task *me = skua_current_task();
    T_EXPECT(me != NULL);
    skua_call_soon(no_current, skua_loop_current());
    skua_yield();
    T_EXPECT(skua_current_task() == me);
    return arg;
}

static void test_rule_28_current_task_is_null_outside_a_step(void **state)
{
    /* Goal: a task sees itself, a callback and a plain thread see none. */
    (void)state;
    assert_null(skua_current_task());
    t_run(current_main, NULL);
    t_check_log("cb");
    assert_null(skua_current_task());
}

static bool holds(skua_task *const *tasks, size_t n, const skua_task *one)
{
    for (size_t i = 0; i < n; i++)
        if (tasks[i] == one)
            return true;
    return false;
}

static void *all_tasks_main(void *arg)
{
    struct t_job job = { .name = "x" };
    skua_task *done = skua_spawn(t_job, &job);
    T_EXPECT_INT(skua_await(done, NULL), 0);
    skua_task *ready = skua_spawn(t_job, &job);
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "w" };
    skua_task *waiting = skua_spawn(t_waiter, &w, .eager = true);
    skua_task *all[16];
    size_t n = skua_all_tasks(all, 16);
    T_EXPECT_INT(n, 3);
    T_EXPECT(holds(all, n, skua_current_task()));
    T_EXPECT(holds(all, n, ready));
    T_EXPECT(holds(all, n, waiting));
    T_EXPECT(!holds(all, n, done));
    T_EXPECT(!holds(all, n, f));
    skua_release_all(all, n < 16 ? n : 16);
    T_EXPECT_INT(skua_all_tasks(NULL, 0), 3);
    skua_future_set_result(f, NULL);
    T_EXPECT_INT(skua_join(waiting, NULL), 0);
    T_EXPECT_INT(skua_join(ready, NULL), 0);
    skua_release(done);
    skua_release(f);
    return arg;
}

static void test_rule_28_all_tasks_lists_what_is_not_done(void **state)
{
    /* Goal: running, ready and waiting tasks are listed; done ones and futures are not. */
    (void)state;
    t_run(all_tasks_main, NULL);
}

/* ---- rule 29 ---- */

static void *forgotten(void *ran)
{
    T_EXPECT_INT(skua_sleep(1), 0);
    *(bool *)ran = true;
    return NULL;
}

static void *detach_main(void *ran)
{
    skua_detach(skua_spawn(forgotten, ran));
    T_EXPECT_INT(skua_sleep(2), 0);
    return NULL;
}

static void test_rule_29_a_running_task_never_vanishes(void **state)
{
    /* Goal: nobody holds a handle, and the task still runs to its end. */
    (void)state;
    bool ran = false;
    t_run(detach_main, &ran);
    assert_true(ran);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_24_tasks_start_in_creation_order_and_never_inside_spawn),
    T_TEST(test_rule_24_forty_tasks_keep_their_order),
    T_TEST(test_rule_24_spawn_needs_a_running_loop),
    T_TEST(test_rule_24_names_are_given_or_counted),
    T_TEST(test_rule_25_an_eager_task_runs_up_to_its_first_suspension),
    T_TEST(test_rule_25_an_eager_task_that_suspended_is_like_any_other),
    T_TEST(test_rule_27_a_task_cannot_await_itself),
    T_TEST(test_rule_27_a_task_is_completed_by_its_body_only),
    T_TEST(test_rule_28_current_task_is_null_outside_a_step),
    T_TEST(test_rule_28_all_tasks_lists_what_is_not_done),
    T_TEST(test_rule_29_a_running_task_never_vanishes),
};

T_MAIN(tests, NULL)
