/* SPDX-License-Identifier: MIT */
/* Goal: whoever is ready gets its turn: beside pairs that wake each other, beside tasks that never
 * have to wait, beside tasks that only yield. Method: one worker, so that turns can be counted. */
#include "t.h"

#include "sched/worker.h"

enum { EXCHANGES = 2000, TURNS = 100 };

static skua_future *pings[EXCHANGES], *pongs[EXCHANGES];
static int          exchanged, at_end_of_third;

static void *ping(void *arg)
{
    (void)arg;
    for (int i = 0; i < EXCHANGES; i++) {
        T_EXPECT(skua_future_set_result(pings[i], NULL));
        T_EXPECT_INT(skua_await(pongs[i], NULL), 0);
        exchanged++;
    }
    return NULL;
}

static void *pong(void *arg)
{
    (void)arg;
    for (int i = 0; i < EXCHANGES; i++) {
        T_EXPECT_INT(skua_await(pings[i], NULL), 0);
        T_EXPECT(skua_future_set_result(pongs[i], NULL));
    }
    return NULL;
}

static void *third(void *arg)
{
    (void)arg;
    t_yield_times(TURNS);
    at_end_of_third = exchanged;
    return NULL;
}

static void *pair_and_third(void *arg)
{
    skua_task *t[3];
    (void)arg;
    exchanged = 0;
    for (int i = 0; i < EXCHANGES; i++)
        T_EXPECT((pings[i] = skua_future_new()) && (pongs[i] = skua_future_new()));
    t[0] = skua_spawn(pong, NULL);
    t[1] = skua_spawn(ping, NULL);
    t[2] = skua_spawn(third, NULL);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    skua_release_all(pings, EXCHANGES);
    skua_release_all(pongs, EXCHANGES);
    T_EXPECT_INT(exchanged, EXCHANGES);
    return NULL;
}

/* At most three tasks in a row come from the next slot, so third has every fourth turn or so. */
static void test_pair_does_not_starve_a_third(void **state)
{
    t_run(pair_and_third, NULL, .workers = 1, .free_main = true, .real_time = true);
    assert_in_range(at_end_of_third, 1, 4 * TURNS);
}

static void test_pinned_pair_takes_turns(void **state)
{
    t_run(pair_and_third, NULL, .workers = 1, .real_time = true);
    assert_in_range(at_end_of_third, TURNS / 4, 2 * TURNS);
}

/* --- waits that need not wait --- */

static RT_ATOMIC(int) turns;

static void *count_turns(void *arg)
{
    (void)arg;
    for (;;) {
        (void)rt_add_relaxed(&turns, 1);
        int r = skua_yield();
        if (r < 0)
            return skua_fail(r);
    }
}

static void *never_waits(void *arg)
{
    (void)arg;
    skua_future *done = skua_future_new();
    skua_task   *other = skua_spawn(count_turns, NULL);
    T_EXPECT(skua_future_set_result(done, NULL));
    rt_store_relaxed(&turns, 0);
    for (int i = 0; i < 10 * RT_BUDGET; i++)
        T_EXPECT_INT(skua_await(done, NULL), 0);
    int had = rt_load_relaxed(&turns);
    T_EXPECT(skua_cancel(other, NULL));
    T_EXPECT_INT(skua_join(other, NULL), -ECANCELED);
    skua_release(done);
    return T_PTR(had);
}

static void test_free_task_that_never_waits_lets_others_in(void **state)
{
    t_run(never_waits, NULL, .workers = 1, .free_main = true, .real_time = true,
          .want_value = T_PTR(10));
}

/* In a pinned group switches happen only where asyncio has them. */
static void test_pinned_task_that_never_waits_keeps_its_turn(void **state)
{
    t_run(never_waits, NULL, .workers = 1, .real_time = true);
    assert_int_equal(rt_load_relaxed(&turns), 0);
}

/* --- clocks --- */

static void *sleeps_beside_yielders(void *arg)
{
    skua_task *t[3];
    (void)arg;
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(count_turns, NULL);
    double before = t_wall();
    T_EXPECT_INT(skua_sleep(0.01), 0);
    double took = t_wall() - before;
    T_EXPECT(took >= 0.01 && took < 2.0);
    for (int i = 0; i < 3; i++)
        T_EXPECT(skua_cancel(t[i], NULL));
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 3);
    return NULL;
}

static void test_sleeper_wakes_beside_yielders(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        t_run(sleeps_beside_yielders, NULL, .workers = workers, .real_time = true);
        t_run(sleeps_beside_yielders, NULL, .workers = workers, .free_main = true,
              .real_time = true);
    }
}

/* --- order --- */

static void *say_number(void *arg)
{
    t_log("%d", T_NUM(arg));
    return NULL;
}

static void *start_ten(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        skua_detach(skua_spawn(say_number, T_PTR(i)));
    (void)skua_yield();
    t_log("back");
    return NULL;
}

static void test_free_tasks_start_oldest_first(void **state)
{
    t_run(start_ten, NULL, .workers = 1, .free_main = true);
    t_check_log("0 1 2 3 4 5 6 7 8 9 back");
}

/* More than a deque holds: the older half goes through the injector, and everybody runs once. */
static RT_ATOMIC(int) ran;

static void *count_run(void *arg)
{
    (void)arg;
    (void)rt_add_relaxed(&ran, 1);
    return NULL;
}

static void *spill(void *arg)
{
    enum { N = 5 * RT_DEQUE_CAP + 17 };
    static skua_task *t[N];
    (void)arg;
    rt_store_relaxed(&ran, 0);
    for (int i = 0; i < N; i++)
        T_EXPECT((t[i] = skua_go(count_run, NULL)) != NULL);
    T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(rt_load_relaxed(&ran), N);
    return NULL;
}

static void test_deque_overflow_loses_nothing(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        t_run(spill, NULL, .workers = workers, .free_main = true, .real_time = true);
        t_run(spill, NULL, .workers = workers, .real_time = true);
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_pair_does_not_starve_a_third),
    T_TEST(test_pinned_pair_takes_turns),
    T_TEST(test_free_task_that_never_waits_lets_others_in),
    T_TEST(test_pinned_task_that_never_waits_keeps_its_turn),
    T_TEST(test_sleeper_wakes_beside_yielders),
    T_TEST(test_free_tasks_start_oldest_first),
    T_TEST(test_deque_overflow_loses_nothing),
};
T_MAIN(tests, NULL)
