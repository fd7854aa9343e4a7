/* SPDX-License-Identifier: MIT */
/* Goal: await, join and the questions about an outcome agree, for every kind of end and of waiter;
 * one future wakes a thousand waiters, in order, wherever they live. */
#include "scale.h"
#include "t.h"

#include <stdatomic.h>

#include "sched/worker.h"

enum { WAITERS = T_SCALE(1000, 300) };

static void *end_with(void *arg)
{
    return arg;
}

static void *yield_and_end_with(void *arg)
{
    (void)skua_yield();
    return arg;
}

static skua_task *start(skua_fn fn, void *arg, bool is_free)
{
    skua_task *t = is_free ? skua_go(fn, arg) : skua_spawn(fn, arg);
    T_EXPECT(t != NULL);
    return t;
}

static void expect_outcome(skua_task *t, void *end)
{
    void *value = T_PTR(-1);
    int   err = skua_failed(end);
    T_EXPECT_INT(skua_await(t, &value), err);
    T_EXPECT(value == (err ? T_PTR(-1) : end));
    T_EXPECT_INT(skua_await(t, NULL), err);
    T_EXPECT_INT(skua_result(t, &value), err);
    T_EXPECT_INT(skua_error(t), err);
    T_EXPECT(skua_done(t));
    T_EXPECT_INT(skua_cancelled(t), err == -ECANCELED);
    T_EXPECT(!skua_cancel(t, "too late"));
    T_EXPECT_INT(skua_cancelling(t), 0);
    value = T_PTR(-1);
    T_EXPECT_INT(skua_join(t, &value), err);
    T_EXPECT(value == (err ? T_PTR(-1) : end));
}

static void *outcomes(void *arg)
{
    void *const ends[] = { NULL, T_PTR(1), &arg, skua_fail(-EIO), skua_fail(-ECANCELED),
                           skua_fail(-4095), skua_fail(-1) };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        for (int kind = 0; kind < 4; kind++)
            expect_outcome(start(kind / 2 ? end_with : yield_and_end_with, ends[i], kind % 2),
                           ends[i]);
        skua_future *f = skua_future_new();
        T_EXPECT_INT(skua_result(f, NULL), -EAGAIN);
        T_EXPECT(skua_failed(ends[i]) ? skua_future_set_error(f, skua_failed(ends[i]))
                                      : skua_future_set_result(f, ends[i]));
        expect_outcome(f, ends[i]);
    }
    return NULL;
}

static void test_await_every_outcome(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        t_run(outcomes, NULL, .workers = workers, .real_time = true);
        t_run(outcomes, NULL, .workers = workers, .real_time = true, .free_main = true);
    }
}

/* --- who may --- */

static void in_callback(void *arg)
{
    T_EXPECT_INT(skua_await(arg, NULL), -EPERM);
    T_EXPECT_INT(skua_join(skua_retain(arg), NULL), -EPERM);
    T_EXPECT_INT(skua_sleep(0), -EPERM);
    T_EXPECT_INT(skua_yield(), -EPERM);
}

static void *refusals(void *arg)
{
    skua_future *f = skua_future_new();
    T_EXPECT_INT(skua_await(NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_join(NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_await(skua_current_task(), NULL), -EDEADLK);
    T_EXPECT_INT(skua_result(skua_current_task(), NULL), -EAGAIN);
    if (skua_loop_current())
        skua_call_soon(in_callback, f);
    (void)skua_yield();
    (void)skua_yield();
    skua_release(f);
    return arg;
}

static void test_await_refusals(void **state)
{
    t_run(refusals, NULL);
    t_run(refusals, NULL, .free_main = true);
    assert_int_equal(skua_await(NULL, NULL), -EINVAL);
    assert_null(skua_current_task());
}

/* --- texts --- */

static void *fail_with_text(void *arg)
{
    (void)arg;
    return skua_failf(-EPROTO, "line %d of %s", 3, "a file");
}

static void *sleep_long(void *arg)
{
    (void)arg;
    return skua_fail(skua_sleep(1000));
}

static void *texts(void *arg)
{
    char long_text[300];
    memset(long_text, 'y', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    skua_task *t = skua_spawn(fail_with_text, NULL, .name = "parser");
    T_EXPECT_INT(skua_await(t, NULL), -EPROTO);
    T_EXPECT_STR(skua_error_message(t), "line 3 of a file");
    T_EXPECT_STR(skua_name(t), "parser");
    skua_release(t);
    t = skua_spawn(sleep_long, NULL);
    (void)skua_yield();
    T_EXPECT(skua_error_message(t) == NULL);
    T_EXPECT(skua_cancel(t, "first"));
    T_EXPECT(skua_cancel(t, long_text));
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_cancelling(t), 3);
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT_INT(strlen(skua_error_message(t)), 127);
    T_EXPECT_INT(skua_set_name(t, "renamed"), 0);
    T_EXPECT_STR(skua_name(t), "renamed");
    skua_release(t);
    T_EXPECT_INT(skua_failed(skua_failf(-EIO, "kept with %s", "this task")), -EIO);
    T_EXPECT_STR(skua_error_message(skua_current_task()), "kept with this task");
    T_EXPECT(skua_name(NULL) == NULL && skua_error_message(NULL) == NULL);
    T_EXPECT_INT(skua_set_name(NULL, "x"), -EINVAL);
    return arg;
}

static void test_await_texts(void **state)
{
    t_run(texts, NULL);
    assert_int_equal(skua_failed(skua_failf(-EIO, "%s", "dropped")), -EIO);
}

/* --- many waiters --- */

static atomic_int woken, out_of_order, last;

struct waiter {
    skua_future *on;
    int          number;
};

static void *await_number(void *arg)
{
    struct waiter *w = arg;
    void          *value = NULL;
    T_EXPECT_INT(skua_await(w->on, &value), 0);
    T_EXPECT_INT(T_NUM(value), 4711);
    int before = atomic_exchange(&last, w->number);
    out_of_order += before >= w->number;
    woken++;
    return NULL;
}

enum crowd { PINNED, FREE, GROUPS };

static void *thousand(void *arg)
{
    static skua_task     *t[WAITERS];
    static struct waiter  w[WAITERS];
    enum crowd            crowd = (enum crowd)T_NUM(arg);
    skua_future          *f = skua_future_new();
    skua_group           *g[3];
    woken = out_of_order = 0;
    last = -1;
    for (int i = 0; i < 3; i++)
        g[i] = skua_group_new();
    for (int i = 0; i < WAITERS; i++) {
        w[i] = (struct waiter){ f, i };
        t[i] = crowd == FREE     ? skua_go(await_number, &w[i])
               : crowd == PINNED ? skua_spawn(await_number, &w[i])
                                 : skua_spawn(await_number, &w[i], .group = g[i % 3]);
        T_EXPECT(t[i] != NULL);
        if (i % 100 == 0)
            T_EXPECT_INT(skua_sleep(0.0005), 0);
    }
    (void)skua_yield();
    T_EXPECT(skua_future_set_result(f, T_PTR(4711)));
    T_EXPECT_INT(skua_gather(t, WAITERS, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(woken, WAITERS);
    if (crowd == PINNED)
        T_EXPECT_INT(out_of_order, 0);
    for (int i = 0; i < 3; i++)
        skua_group_release(g[i]);
    skua_release(f);
    return NULL;
}

static void test_await_future_by_a_thousand(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        for (int crowd = PINNED; crowd <= GROUPS; crowd++)
            t_run(thousand, T_PTR(crowd), .workers = workers, .real_time = true);
}

/* A third of them are cancelled while the future is being set: the others still hear of it. */
static void *await_or_cancelled(void *arg)
{
    int r = skua_await(arg, NULL);
    T_EXPECT(r == 0 || r == -ECANCELED);
    woken++;
    return r < 0 ? skua_fail(r) : NULL;
}

static void *set_it(void *arg)
{
    (void)skua_future_set_result(arg, NULL);
    return NULL;
}

/* Cancelling a waiter cancels what it waits for, so each waits behind a shield. */
static void *await_shielded(void *arg)
{
    skua_task *s = skua_shield(arg);
    int        r = skua_join(s, NULL);
    T_EXPECT(r == 0 || r == -ECANCELED);
    woken++;
    return r < 0 ? skua_fail(r) : NULL;
}

static void *cancel_some(void *arg)
{
    enum { N = 60 };
    skua_fn fn = arg ? await_shielded : await_or_cancelled;
    for (int round = 0; round < T_SCALE(30, 8); round++) {
        skua_task   *t[N];
        skua_future *f = skua_future_new();
        int          cancelled = 0;
        woken = 0;
        for (int i = 0; i < N; i++)
            t[i] = i % 2 ? skua_go(fn, f) : skua_spawn(fn, f);
        T_EXPECT_INT(skua_sleep(0.001), 0);
        skua_task *setter = skua_go(set_it, f);
        for (int i = 0; i < N; i += 3)
            (void)skua_cancel(t[i], NULL);
        T_EXPECT_INT(skua_join(setter, NULL), 0);
        for (int i = 0; i < N; i++) {
            int r = skua_join(t[i], NULL);
            cancelled += r == -ECANCELED;
            if (arg && i % 3)
                T_EXPECT_INT(r, 0);
        }
        T_EXPECT(skua_done(f));
        T_EXPECT(!arg || cancelled <= N / 3);
        skua_release(f);
    }
    return NULL;
}

static void test_await_some_are_cancelled_meanwhile(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        t_run(cancel_some, NULL, .workers = workers, .real_time = true);
        t_run(cancel_some, T_PTR(1), .workers = workers, .real_time = true);
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_await_every_outcome),
    T_TEST(test_await_refusals),
    T_TEST(test_await_texts),
    T_TEST(test_await_future_by_a_thousand),
    T_TEST(test_await_some_are_cancelled_meanwhile),
};
T_MAIN(tests, NULL)
