/* SPDX-License-Identifier: MIT */
/* Goal: when nothing is left to do everybody sleeps and the counters are at rest: no searcher,
 * every parked bit set, no steps; and whatever comes then wakes somebody. Method: a thread of its
 * own looks at the runtime from outside while main sleeps. */
#include "scale.h"
#include "t.h"

#include <pthread.h>
#include <unistd.h>

#include "sched/spawn.h"

enum { ROUNDS = T_SCALE(40, 10) };

struct watcher {
    struct rt_runtime *rt;
    skua_future       *over;
};

static bool at_rest(struct rt_runtime *rt)
{
    if (rt_load_sc(&rt->idle.searching) != 0 || rt_gate_inside(&rt->watch.gate) != rt->n)
        return false;
    for (unsigned i = 0; i < rt->n; i++)
        if (!(rt_load_sc(&rt->idle.parked[i / 64]) >> (i % 64) & 1))
            return false;
    return true;
}

static uint64_t steps(struct rt_runtime *rt)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < rt->n; i++)
        n += RT_STAT_GET(&rt->workers[i]->steps);
    return n;
}

static void *watch(void *arg)
{
    struct watcher    *w = arg;
    struct rt_runtime *rt = w->rt;
    double             deadline = t_wall() + 10;
    bool               is_quiet;
    do { /* a ring may be on its way, to one that had been preempted */
        uint64_t before = steps(rt);
        usleep(20000);
        is_quiet = at_rest(rt) && steps(rt) == before;
    } while (!is_quiet && t_wall() < deadline);
    T_EXPECT(is_quiet);
    T_EXPECT(skua_future_set_result(w->over, NULL));
    return NULL;
}

static void *yield_some(void *arg)
{
    t_yield_times(T_NUM(arg));
    return NULL;
}

static void bustle(int round)
{
    skua_task *t[40];
    for (int i = 0; i < 40; i++)
        t[i] = i % 3 ? skua_go(yield_some, T_PTR(round % 7)) : skua_spawn(yield_some, T_PTR(i % 5));
    T_EXPECT_INT(skua_gather(t, 40, NULL, SKUA_RELEASE), 0);
}

static void *rest_after_bustle(void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t      thread;
        struct watcher w = { rt_self()->rt, skua_future_new() };
        bustle(round);
        T_EXPECT_INT(pthread_create(&thread, NULL, watch, &w), 0);
        T_EXPECT_INT(skua_await(w.over, NULL), 0);
        pthread_join(thread, NULL);
        skua_release(w.over);
    }
    return NULL;
}

static void test_park_counters_come_to_rest(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(rest_after_bustle, NULL, .workers = workers, .real_time = true);
}

/* --- wakes that must not be lost: everybody is about to sleep when they come --- */

enum { KNOCKS = T_SCALE(3000, 500) };

static RT_ATOMIC(int) knocked;

static void *count_knock(void *arg)
{
    (void)arg;
    (void)rt_add_acq_rel(&knocked, 1);
    return NULL;
}

static void *knock(void *arg)
{
    struct watcher *w = arg;
    int             err;
    for (int i = 0; i < KNOCKS; i++) {
        int               before = rt_load_acquire(&knocked);
        struct skua_task *t = rt_spawn(rt_self(), w->rt, NULL, count_knock, NULL, NULL, &err);
        double            deadline = t_wall() + 5;
        skua_release(t);
        while (rt_load_acquire(&knocked) == before && t_wall() < deadline)
            continue;
        if (!T_EXPECT(rt_load_acquire(&knocked) == before + 1))
            break;
        for (volatile int spin = i * 37 % 2000; spin > 0; spin--)
            continue;
    }
    T_EXPECT(skua_future_set_result(w->over, NULL));
    return NULL;
}

static void *be_knocked(void *arg)
{
    pthread_t      thread;
    struct watcher w = { rt_self()->rt, skua_future_new() };
    (void)arg;
    rt_store_relaxed(&knocked, 0);
    T_EXPECT_INT(pthread_create(&thread, NULL, knock, &w), 0);
    T_EXPECT_INT(skua_await(w.over, NULL), 0);
    pthread_join(thread, NULL);
    skua_release(w.over);
    return NULL;
}

static void test_park_no_knock_is_missed(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(be_knocked, NULL, .workers = workers, .real_time = true);
}

/* Two groups on two workers hand a ball to and fro; each sleeps while the other has it. */
struct ball {
    skua_future *throws[2][KNOCKS];
};

static struct ball ball;

static void *play(void *arg)
{
    int side = T_NUM(arg);
    for (int i = 0; i < KNOCKS; i++) {
        if (side == 0)
            T_EXPECT(skua_future_set_result(ball.throws[0][i], NULL));
        T_EXPECT_INT(skua_await(ball.throws[1 - side][i], NULL), 0);
        if (side == 1)
            T_EXPECT(skua_future_set_result(ball.throws[1][i], NULL));
    }
    return NULL;
}

static void *play_across(void *arg)
{
    skua_group *g[2];
    skua_task  *t[2];
    (void)arg;
    for (int i = 0; i < KNOCKS; i++) {
        ball.throws[0][i] = skua_future_new();
        ball.throws[1][i] = skua_future_new();
    }
    for (int side = 0; side < 2; side++) {
        T_EXPECT((g[side] = skua_group_new(.worker = side + 1)) != NULL);
        t[side] = skua_spawn(play, T_PTR(side), .group = g[side]);
        skua_group_release(g[side]);
    }
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    for (int side = 0; side < 2; side++)
        skua_release_all(ball.throws[side], KNOCKS);
    return NULL;
}

static void test_park_two_workers_play_ball(void **state)
{
    t_run(play_across, NULL, .workers = 2, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_park_counters_come_to_rest),
    T_TEST(test_park_no_knock_is_missed),
    T_TEST(test_park_two_workers_play_ball),
};
T_MAIN(tests, NULL)
