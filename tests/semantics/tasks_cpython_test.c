/* SPDX-License-Identifier: MIT */
/* Tasks, and what waits for several of them, rules 9 to 64: scenarios of CPython's test_tasks and
 * test_eager_task_factory under their names there. */
#include "../support/t.h"

#include <math.h>

/* ---- cancelling ---- */

struct steps {
    skua_future *f[3];
    int result;
};

static void *catching(void *arg)
{
    struct steps *s = arg;
    T_EXPECT_INT(skua_await(s->f[0], NULL), 0);
    if (skua_await(s->f[1], NULL) == -ECANCELED && !s->f[2])
        return T_PTR(42);
    void *value = NULL;
    int r = skua_await(s->f[2], &value);
    return r < 0 ? skua_fail(r) : value;
}

static void *catching_main(void *ignores)
{
    struct steps s = { { skua_future_new(), skua_future_new(), NULL }, 0 };
    if (ignores)
        s.f[2] = skua_future_new();
    skua_task *t = skua_spawn(catching, &s);
    skua_yield();
    T_EXPECT(skua_future_set_result(s.f[0], NULL));
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT(skua_cancelled(s.f[1]));
    skua_yield();
    if (ignores)
        T_EXPECT(skua_future_set_result(s.f[2], T_PTR(42)));
    void *value = NULL;
    T_EXPECT_INT(skua_await(t, &value), 0);
    T_EXPECT(value == T_PTR(42));
    T_EXPECT(!skua_cancelled(t));
    T_EXPECT_INT(skua_cancelling(t), 1);
    skua_release(t);
    for (int i = 0; i < 3; i++)
        skua_release(s.f[i]);
    return NULL;
}

static void test_rule_36_cancel_task_catching_and_ignoring(void **state)
{
    (void)state;
    t_run(catching_main, NULL);
    t_run(catching_main, T_PTR(1));
}

static void *both_main(void *arg)
{
    for (int order = 0; order < 2; order++) {
        struct t_waiter w = { skua_future_new(), "w" };
        skua_task *t = skua_spawn(t_waiter, &w);
        skua_yield();
        T_EXPECT(skua_cancel(order ? t : w.on, NULL));
        skua_cancel(order ? w.on : t, NULL);
        T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
        T_EXPECT(skua_cancelled(w.on) && skua_cancelled(t));
        skua_release(t);
        skua_release(w.on);
    }
    return arg;
}

static void test_rule_32_cancel_both_task_and_inner_future(void **state)
{
    (void)state;
    t_run(both_main, NULL);
    t_check_log("w- w! w- w!");
}

static void *uncancelling(void *arg)
{
    T_EXPECT_INT(skua_sleep(10), -ECANCELED);
    T_EXPECT_INT(skua_uncancel(skua_current_task()), 0);
    int r = skua_sleep(10);
    return r < 0 ? skua_fail(r) : arg;
}

static void *uncancel_main(void *arg)
{
    skua_task *t = skua_spawn(uncancelling, NULL);
    for (int i = 0; i < 2; i++) {
        skua_yield();
        T_EXPECT(skua_cancel(t, NULL));
        T_EXPECT_INT(skua_cancelling(t), 1);
        T_EXPECT(!skua_cancelled(t));
    }
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT_INT(skua_uncancel(t), 0); /* of no effect any more */
    T_EXPECT(skua_cancelled(t) && skua_done(t));
    skua_release(t);
    return arg;
}

static void test_rule_38_uncancel_basic(void **state)
{
    (void)state;
    t_run(uncancel_main, NULL);
}

struct request {
    skua_task *task;
    double sleep, timeout;
    bool timed_out, finished, outside;
};

static void on_timeout(void *arg)
{
    struct request *q = arg;
    q->timed_out = true;
    skua_cancel(q->task, NULL);
}

/* A timeout made by hand, of a timer and uncancel. */
static void *structured(void *arg)
{
    struct request *q = arg;
    q->task = skua_current_task();
    skua_handle timer = skua_call_later(q->timeout, on_timeout, q);
    int r = skua_sleep(q->sleep);
    q->finished = r == 0;
    skua_handle_cancel(timer);
    if (q->timed_out && skua_uncancel(q->task) == 0 && r == -ECANCELED)
        r = 0;
    q->outside = skua_sleep(0) == 0;
    return r < 0 ? skua_fail(r) : NULL;
}

static void *structured_main(void *arg)
{
    struct request q[2] = { { .sleep = 10, .timeout = 0.1 }, { .sleep = 0, .timeout = 10 } };
    for (int i = 0; i < 2; i++) {
        skua_task *t = skua_spawn(structured, &q[i]);
        T_EXPECT_INT(skua_await(t, NULL), 0);
        T_EXPECT_INT(q[i].timed_out, i == 0);
        T_EXPECT_INT(q[i].finished, i == 1);
        T_EXPECT(q[i].outside);
        T_EXPECT_INT(skua_cancelling(t), 0);
        skua_release(t);
    }
    return arg;
}

static void test_rule_38_uncancel_structured_blocks(void **state)
{
    (void)state;
    t_run(structured_main, NULL);
}

/* ---- gather and shield ---- */

struct two {
    skua_task *t[2];
    unsigned flags;
};

static void *gather_two(void *arg)
{
    struct two *two = arg;
    int r = skua_gather(two->t, 2, NULL, two->flags);
    t_log("%s", r == -ECANCELED ? "o!" : "o");
    return r < 0 ? skua_fail(r) : NULL;
}

static void *broadcast_main(void *arg)
{
    struct t_waiter w = { skua_future_new(), "i" };
    struct two two = { { skua_spawn(t_waiter, &w), skua_spawn(t_waiter, &w) }, 0 };
    skua_task *t = skua_spawn(gather_two, &two);
    skua_yield();
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(w.on) && skua_cancelled(two.t[0]) && skua_cancelled(two.t[1]));
    skua_release_all(two.t, 2);
    skua_release(w.on);
    return arg;
}

static void test_rule_49_cancellation_broadcast(void **state)
{
    (void)state;
    t_run(broadcast_main, NULL);
    t_check_log("i- i- i! i! o!");
}

static void *sleep_briefly(void *arg)
{
    int r = skua_sleep(0.05);
    return r < 0 ? skua_fail(r) : arg;
}

static void *gather_again(void *arg)
{
    int r = 0;
    while (r >= 0) {
        skua_task *t = skua_spawn(sleep_briefly, NULL);
        r = skua_gather(&t, 1, NULL, SKUA_RETURN_ERRORS | SKUA_RELEASE);
    }
    return skua_fail(r);
}

static void *messages_main(void *arg)
{
    static const char *const messages[] = { NULL, "my message" };
    for (int i = 0; i < 2; i++) {
        skua_task *t = skua_spawn(gather_again, NULL);
        T_EXPECT_INT(skua_sleep(0.2), 0);
        skua_cancel(t, messages[i]);
        T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
        T_EXPECT_STR(skua_error_message(t), messages[i]);
        skua_release(t);
    }
    return arg;
}

static void test_rule_49_cancel_gather_2(void **state)
{
    /* Goal: a loop of gathers that return their errors is stopped all the same. */
    (void)state;
    t_run(messages_main, NULL);
}

static void *gather_shield_main(void *shields_gather)
{
    skua_future *f[2] = { skua_future_new(), skua_future_new() };
    struct two two = { { skua_retain(f[0]), skua_retain(f[1]) }, 0 };
    if (!shields_gather)
        for (int i = 0; i < 2; i++) {
            skua_release(two.t[i]);
            two.t[i] = skua_shield(f[i]);
        }
    skua_task *t = skua_spawn(gather_two, &two);
    skua_task *outer = shields_gather ? skua_shield(t) : skua_retain(t);
    skua_yield();
    skua_cancel(outer, NULL);
    t_yield_times(4);
    T_EXPECT(skua_cancelled(outer));
    T_EXPECT_INT(skua_done(t), !shields_gather);
    for (int i = 0; i < 2; i++) {
        T_EXPECT_INT(skua_cancelled(two.t[i]), !shields_gather);
        T_EXPECT(!skua_done(f[i]));
        T_EXPECT(skua_future_set_result(f[i], T_PTR(1)));
    }
    T_EXPECT_INT(skua_await(t, NULL), shields_gather ? 0 : -ECANCELED);
    skua_release(outer);
    skua_release(t);
    skua_release_all(two.t, 2);
    skua_release_all(f, 2);
    return NULL;
}

static void test_rule_64_gather_shield_and_shield_gather(void **state)
{
    (void)state;
    t_run(gather_shield_main, NULL);
    t_check_log("o!");
    t_run(gather_shield_main, T_PTR(1));
    t_check_log("o");
}

static void *one_cancellation_main(void *arg)
{
    skua_future *f[5];
    void *results[5];
    for (int i = 0; i < 5; i++)
        f[i] = skua_future_new();
    T_EXPECT(skua_future_set_result(f[0], T_PTR(1)));
    T_EXPECT(skua_cancel(f[1], NULL));
    T_EXPECT_INT(skua_gather(f, 5, NULL, 0), -ECANCELED);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT(skua_future_set_result(f[2], T_PTR(3))); /* does nothing any more */
    T_EXPECT(skua_cancel(f[3], NULL));
    T_EXPECT(skua_future_set_error(f[4], -EIO));
    T_EXPECT_INT(skua_gather(f, 5, results, SKUA_RETURN_ERRORS | SKUA_RELEASE), 3);
    T_EXPECT(results[0] == T_PTR(1) && results[2] == T_PTR(3));
    T_EXPECT_INT(skua_failed(results[1]), -ECANCELED);
    T_EXPECT_INT(skua_failed(results[3]), -ECANCELED);
    T_EXPECT_INT(skua_failed(results[4]), -EIO);
    return arg;
}

static void test_rule_47_one_cancellation_and_result_exception(void **state)
{
    (void)state;
    t_run(one_cancellation_main, NULL);
}

/* ---- wait and as_completed ---- */

static void *yields(void *n)
{
    int r = 0;
    for (int i = 0; i < T_NUM(n) && r == 0; i++)
        r = skua_yield();
    return r < 0 ? skua_fail(r) : n;
}

static void *really_done_main(void *arg)
{
    skua_task *t[2] = { skua_spawn(yields, T_PTR(2)), skua_spawn(yields, T_PTR(1)) };
    size_t done = 0;
    T_EXPECT_INT(skua_wait(t, 2, INFINITY, SKUA_FIRST_COMPLETED, &done), 0);
    T_EXPECT_INT(done, 2); /* the other one ended while the news of the first was on its way */
    T_EXPECT(skua_done(t[0]) && skua_done(t[1]));
    skua_release_all(t, 2);
    struct t_job bad = { .name = "b", .sleep = 0.01, .err = -EIO }, late = { "a", 0, 10, 0 };
    t[0] = skua_spawn(t_job, &bad); /* wait_first_exception_in_wait */
    t[1] = skua_spawn(t_job, &late);
    double start = skua_loop_time();
    T_EXPECT_INT(skua_wait(t, 2, INFINITY, SKUA_FIRST_EXCEPTION, &done), 0);
    T_EXPECT_INT(done, 1);
    T_EXPECT_INT(skua_error(t[0]), -EIO);
    T_EXPECT(t_elapsed(start) == 0.01);
    T_EXPECT_INT(skua_wait(t, 2, 0.1, SKUA_ALL_COMPLETED, &done), 0); /* wait_with_timeout */
    T_EXPECT_INT(done, 1);
    T_EXPECT(t_elapsed(start) == 0.11);
    T_EXPECT_INT(skua_join(t[1], NULL), 0);
    skua_release(t[0]);
    return arg;
}

static void test_rule_53_wait_really_done_and_first_exception(void **state)
{
    (void)state;
    t_run(really_done_main, NULL);
    t_check_log("b a");
}

static void *wait_two(void *arg)
{
    struct two *two = arg;
    int r = skua_wait(two->t, 2, INFINITY, SKUA_ALL_COMPLETED, NULL);
    t_log(r == -ECANCELED ? "o!" : "o");
    return r < 0 ? skua_fail(r) : NULL;
}

static void *no_shield_main(void *arg)
{
    struct t_waiter w = { skua_future_new(), "i" };
    struct two two = { { skua_spawn(t_waiter, &w), skua_spawn(t_waiter, &w) }, 0 };
    skua_task *t = skua_spawn(wait_two, &two);
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT(!skua_done(two.t[0]) && !skua_done(two.t[1]));
    T_EXPECT(skua_future_set_result(w.on, NULL));
    T_EXPECT_INT(skua_gather(two.t, 2, NULL, SKUA_RELEASE), 0);
    skua_release(w.on);
    return arg;
}

static void test_rule_51_yield_wait_does_not_shield_cancel(void **state)
{
    (void)state;
    t_run(no_shield_main, NULL);
    t_check_log("i- i- o! i i");
}

static void *completed_main(void *arg) /* as_completed_same_tasks_in_as_out */
{
    struct t_job job[3] = { { "c", 0, 0.15, 0 }, { "a", 0, 0.05, 0 }, { "b", 0, 0.1, -EIO } };
    skua_task *t[4];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(t_job, &job[i]);
    t[3] = t[1]; /* as_completed_duplicate_coroutines: each slot has its turn */
    skua_as_completed it;
    int err = 1;
    skua_task *next;
    T_EXPECT_INT(skua_as_completed_init(&it, t, 4, 1), 0); /* as_completed_with_unused_timeout */
    while ((next = skua_as_completed_next(&it, &err)) != NULL) {
        T_EXPECT(skua_done(next));
        t_log("=%s", next == t[0] ? "c" : next == t[1] ? "a" : next == t[2] ? "b" : "?");
    }
    T_EXPECT_INT(err, 0);
    skua_as_completed_fini(&it);
    skua_release_all(t, 3);
    return arg;
}

static void test_rule_56_as_completed_order_duplicates_and_unused_timeout(void **state)
{
    (void)state;
    t_run(completed_main, NULL);
    t_check_log("a =a =a b =b c =c");
}

/* ---- eager tasks ---- */

static void *at_once(void *value)
{
    return value;
}

static void *eager_gather(void *depth)
{
    if (T_NUM(depth) == 0)
        return T_PTR(1);
    skua_task *t[2];
    void *values[2];
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(eager_gather, T_PTR(T_NUM(depth) - 1), .eager = true);
    int r = skua_gather(t, 2, values, SKUA_RELEASE);
    return r < 0 ? skua_fail(r) : T_PTR(T_NUM(values[0]) + T_NUM(values[1]));
}

static void *eager_groups(void *depth)
{
    skua_taskgroup tg;
    int r = skua_taskgroup_init(&tg);
    skua_task *t[2] = { NULL, NULL };
    if (T_NUM(depth) == 0)
        return r < 0 ? skua_fail(r) : T_PTR(skua_taskgroup_join(&tg, 1));
    for (int i = 0; i < 2; i++)
        t[i] = skua_taskgroup_spawn(&tg, eager_groups, T_PTR(T_NUM(depth) - 1), .eager = true);
    for (int i = 0; i < 2; i++)
        skua_retain(t[i]);
    r = skua_taskgroup_join(&tg, 0);
    int sum = 0;
    for (int i = 0; i < 2; i++) {
        void *value = NULL;
        T_EXPECT_INT(skua_result(t[i], &value), 0);
        sum += T_NUM(value);
    }
    skua_release_all(t, 2);
    return r < 0 ? skua_fail(r) : T_PTR(sum);
}

static void *eager_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "w" };
    void *value = NULL;
    skua_task *t = skua_spawn(at_once, T_PTR(3), .eager = true); /* eager_completion */
    T_EXPECT(skua_done(t));
    T_EXPECT_INT(skua_all_tasks(NULL, 0), 1); /* all_tasks_with_eager_completion */
    T_EXPECT(!skua_cancel(t, NULL)); /* cancellation_after_eager_completion */
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT(value == T_PTR(3));
    t = skua_spawn(t_waiter, &w, .eager = true); /* block_after_eager_step */
    T_EXPECT_INT(skua_all_tasks(NULL, 0), 2);
    T_EXPECT(!skua_done(t));
    T_EXPECT(skua_cancel(t, "eager")); /* cancellation_after_eager_step_blocks */
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT_STR(skua_error_message(t), "eager");
    skua_release(t);
    skua_release(f);
    T_EXPECT_INT(T_NUM(eager_gather(T_PTR(4))), 16); /* recursive_gather */
    T_EXPECT_INT(T_NUM(eager_groups(T_PTR(4))), 16); /* recursive_taskgroups */
    return arg;
}

static void test_rule_25_eager_task_factory(void **state)
{
    (void)state;
    t_run(eager_main, NULL);
    t_check_log("w- w!");
}

/* ---- run_until_complete ---- */

struct counting {
    skua_loop *loop;
    int x;
};

static void *count_and_stop(void *arg)
{
    struct counting *c = arg;
    while (c->x < 10) {
        int r = skua_sleep(0.001);
        if (r < 0)
            return skua_fail(r);
        if (++c->x == 2)
            skua_loop_stop(c->loop);
    }
    return NULL;
}

static void test_rule_9_stop_while_run_in_complete(void **state)
{
    (void)state;
    struct counting c = { skua_loop_new(), 0 };
    assert_non_null(c.loop);
    skua_task *t = skua_spawn_threadsafe(c.loop, count_and_stop, &c);
    assert_non_null(t);
    assert_int_equal(skua_loop_run_until_complete(c.loop, t, NULL), -EAGAIN);
    assert_false(skua_done(t));
    assert_int_equal(c.x, 2);
    assert_true(skua_cancel(t, NULL));
    assert_int_equal(skua_loop_run_until_complete(c.loop, t, NULL), -ECANCELED);
    skua_release(t);
    assert_int_equal(skua_loop_close(c.loop), 0);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_36_cancel_task_catching_and_ignoring),
    T_TEST(test_rule_32_cancel_both_task_and_inner_future),
    T_TEST(test_rule_38_uncancel_basic),
    T_TEST(test_rule_38_uncancel_structured_blocks),
    T_TEST(test_rule_49_cancellation_broadcast),
    T_TEST(test_rule_49_cancel_gather_2),
    T_TEST(test_rule_64_gather_shield_and_shield_gather),
    T_TEST(test_rule_47_one_cancellation_and_result_exception),
    T_TEST(test_rule_53_wait_really_done_and_first_exception),
    T_TEST(test_rule_51_yield_wait_does_not_shield_cancel),
    T_TEST(test_rule_56_as_completed_order_duplicates_and_unused_timeout),
    T_TEST(test_rule_25_eager_task_factory),
    T_TEST(test_rule_9_stop_while_run_in_complete),
};

T_MAIN(tests, NULL)
