/* SPDX-License-Identifier: MIT */
/* Goal: of all who set or cancel a future exactly one wins, and what it set is what everybody gets;
 * done-callbacks are called once each, in order, or were removed. */
#include "scale.h"
#include "t.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"

enum { ROUNDS = T_SCALE(3000, 500), SETTERS = 3, BACKS = 6 };

/* --- one winner --- */

static _Atomic(skua_future *) open_future;
static atomic_int             wins, winner, turn, stop;

static void try_it(skua_future *f, int who)
{
    bool won = who % 3 == 0   ? skua_future_set_result(f, T_PTR(100 + who))
               : who % 3 == 1 ? skua_future_set_error(f, -(100 + who))
                              : skua_cancel(f, NULL);
    if (won) {
        atomic_store(&winner, who);
        atomic_fetch_add(&wins, 1);
    }
}

static void *setter(void *arg)
{
    int seen = 0;
    while (!atomic_load(&stop)) {
        int now = atomic_load(&turn);
        if (now == seen)
            continue;
        seen = now;
        skua_future *f = atomic_load(&open_future);
        try_it(f, T_NUM(arg));
        skua_release(f);
    }
    return NULL;
}

static void *contend(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        void        *value = NULL;
        skua_future *f = skua_future_new();
        for (int k = 0; k < SETTERS; k++)
            skua_retain(f);
        atomic_store(&wins, 0);
        atomic_store(&open_future, f);
        atomic_fetch_add(&turn, 1);
        if (i % 2)
            try_it(f, SETTERS + i % 3);
        int r = skua_await(f, &value);
        double deadline = t_wall() + 5;
        while (atomic_load(&wins) == 0 && t_wall() < deadline)
            continue;
        T_EXPECT_INT(atomic_load(&wins), 1);
        int who = atomic_load(&winner);
        T_EXPECT_INT(r, who % 3 == 0 ? 0 : who % 3 == 1 ? -(100 + who) : -ECANCELED);
        T_EXPECT(who % 3 || T_NUM(value) == 100 + who);
        T_EXPECT(!skua_future_set_result(f, NULL) && !skua_cancel(f, NULL));
        T_EXPECT_INT(skua_result(f, NULL), r);
        skua_release(f);
        /* the next round may begin only when all setters have had this one */
        (void)skua_yield();
    }
    return NULL;
}

static void test_future_one_winner(void **state)
{
    pthread_t threads[SETTERS];
    for (int workers = 1; workers <= 2; workers++) {
        atomic_store(&stop, 0);
        atomic_store(&turn, 0);
        for (int i = 0; i < SETTERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, setter, T_PTR(i)), 0);
        t_run(contend, NULL, .workers = workers, .real_time = true, .free_main = workers == 2);
        atomic_store(&stop, 1);
        for (int i = 0; i < SETTERS; i++)
            pthread_join(threads[i], NULL);
    }
}

static void *odd_calls(void *arg)
{
    skua_task   *me = skua_current_task();
    skua_future *f = skua_future_new();
    T_EXPECT(!skua_future_set_result(NULL, NULL));
    T_EXPECT(!skua_future_set_error(NULL, -EIO));
    T_EXPECT(!skua_future_set_result(me, NULL));
    T_EXPECT(!skua_future_set_error(me, -EIO));
    T_EXPECT(skua_future_set_error(f, 17)); /* not a negative errno value */
    T_EXPECT_INT(skua_error(f), -EINVAL);
    skua_release(f);
    return arg;
}

static void test_future_odd_calls(void **state)
{
    t_run(odd_calls, NULL);
    assert_null(skua_future_new());
}

/* --- done-callbacks --- */

static void hear(skua_task *t, void *arg)
{
    T_EXPECT(skua_done(t));
    T_EXPECT(skua_current_task() == NULL);
    t_log("%d", T_NUM(arg));
}

static void *callbacks_in_order(void *arg)
{
    skua_future *f = skua_future_new();
    for (int i = 0; i < BACKS; i++)
        T_EXPECT_INT(skua_add_done_callback(f, hear, T_PTR(i % 4)), 0);
    T_EXPECT_INT(skua_remove_done_callback(f, hear, T_PTR(9)), 0);
    T_EXPECT_INT(skua_remove_done_callback(f, hear, T_PTR(1)), 2);
    T_EXPECT(skua_future_set_result(f, NULL));
    T_EXPECT_LOG(""); /* never inside the call */
    T_EXPECT_INT(skua_remove_done_callback(f, hear, T_PTR(2)), 0);
    (void)skua_yield();
    T_EXPECT_LOG("0 2 3 0");
    T_EXPECT_INT(skua_add_done_callback(f, hear, T_PTR(8)), 0);
    T_EXPECT_LOG("");
    (void)skua_yield();
    T_EXPECT_LOG("8");
    T_EXPECT_INT(skua_add_done_callback(NULL, hear, NULL), -EINVAL);
    T_EXPECT_INT(skua_add_done_callback(f, NULL, NULL), -EINVAL);
    skua_release(f);
    return arg;
}

static void test_callback_order_and_removal(void **state)
{
    t_run(callbacks_in_order, NULL, .workers = 1);
    assert_int_equal(skua_add_done_callback(NULL, hear, NULL), -EINVAL);
    assert_int_equal(skua_remove_done_callback(NULL, hear, NULL), 0);
}

static atomic_int heard;

static void count(skua_task *t, void *arg)
{
    T_EXPECT(skua_done(t));
    (void)arg;
    heard++;
}

static void *add_and_remove(void *f)
{
    int removed = 0;
    for (int i = 0; i < 20; i++) {
        T_EXPECT_INT(skua_add_done_callback(f, count, T_PTR(7)), 0);
        if (i % 3 == 0)
            removed += (int)skua_remove_done_callback(f, count, T_PTR(7));
    }
    return T_PTR(removed);
}

static void *end_it(void *f)
{
    T_EXPECT(skua_future_set_result(f, NULL));
    return NULL;
}

/* Several tasks add and remove while another one ends the future: called or removed, each once. */
static void *race_callbacks(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS / 10; round++) {
        skua_future *f = skua_future_new();
        skua_task   *t[4];
        void        *removed[4] = { 0 };
        heard = 0;
        for (int i = 0; i < 4; i++)
            t[i] = i == 2 ? skua_go(end_it, f) : skua_go(add_and_remove, f);
        T_EXPECT_INT(skua_gather(t, 4, removed, SKUA_RELEASE), 0);
        int    expect = 3 * 20 - T_NUM(removed[0]) - T_NUM(removed[1]) - T_NUM(removed[3]);
        double deadline = t_wall() + 5;
        while (heard < expect && t_wall() < deadline)
            (void)skua_yield();
        T_EXPECT_INT(heard, expect);
        skua_release(f);
    }
    return NULL;
}

static void test_callback_races(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        t_run(race_callbacks, NULL, .workers = workers, .real_time = true);
        t_run(race_callbacks, NULL, .workers = workers, .real_time = true, .free_main = true);
    }
}

/* What was registered and never called goes with the runtime. */
static void *leave_callbacks(void *arg)
{
    skua_future *done = skua_future_new();
    T_EXPECT(skua_future_set_result(done, NULL));
    for (int i = 0; i < 10; i++)
        T_EXPECT_INT(skua_add_done_callback(done, count, NULL), 0);
    skua_release(done);
    return arg;
}

static void test_callback_left_over(void **state)
{
    for (int i = 0; i < 70; i++)
        t_run(leave_callbacks, NULL, .workers = 1);
    int64_t live = rt_mem_live();
    t_run(leave_callbacks, NULL, .workers = 1);
    assert_int_equal(rt_mem_live(), live);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_future_one_winner),
    T_TEST(test_future_odd_calls),
    T_TEST(test_callback_order_and_removal),
    T_TEST(test_callback_races),
    T_TEST(test_callback_left_over),
};
T_MAIN(tests, NULL)
