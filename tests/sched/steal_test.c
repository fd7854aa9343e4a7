/* SPDX-License-Identifier: MIT */
/* Goal: work spreads over all workers and never waits behind a task that does not let go; with
 * SKUA_STEAL=off it stays. Method: wait for the event, with a deadline. */
#include "scale.h"
#include "t.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "sched/spawn.h"

enum { WORKERS_MOST = RT_WORKERS_MAX }; /* spares may have stepped in */

static RT_ATOMIC(uint32_t) ran_on[WORKERS_MOST];
static RT_ATOMIC(int)      child_ran;

static void forget(void)
{
    for (int i = 0; i < WORKERS_MOST; i++)
        rt_store_relaxed(&ran_on[i], 0);
}

static int workers_seen(void)
{
    int n = 0;
    for (int i = 0; i < WORKERS_MOST; i++)
        n += rt_load_relaxed(&ran_on[i]) > 0;
    return n;
}

static void *toil(void *arg)
{
    (void)arg;
    double until = t_wall() + 100e-6;
    while (t_wall() < until)
        continue;
    (void)rt_add_relaxed(&ran_on[skua_worker_index()], 1);
    return NULL;
}

/* One producer; it goes on until every worker had something. */
static void *produce(void *arg)
{
    int    workers = T_NUM(arg);
    double deadline = t_wall() + 10;
    forget();
    while (workers_seen() < workers && t_wall() < deadline) {
        skua_task *t[32];
        for (int i = 0; i < 32; i++)
            T_EXPECT((t[i] = skua_go(toil, NULL)) != NULL);
        T_EXPECT_INT(skua_gather(t, 32, NULL, SKUA_RELEASE), 0);
    }
    T_EXPECT(workers_seen() >= workers); /* a spare may have stepped in */
    return NULL;
}

static void test_steal_every_worker_gets_some(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        t_run(produce, T_PTR(workers), .workers = workers, .free_main = true, .real_time = true);
        t_run(produce, T_PTR(workers), .workers = workers, .real_time = true);
    }
}

static void *count_steals(void *arg)
{
    uint64_t steals = 0;
    (void)arg;
    (void)produce(T_PTR(2));
    for (int i = 0; i < 2; i++) {
        struct skua_worker_stats stats = { .size = sizeof stats };
        T_EXPECT_INT(skua_worker_stats_get(i, &stats), 0);
        steals += stats.steals;
    }
    T_EXPECT(steals > 0);
    return NULL;
}

static void test_steal_is_counted(void **state)
{
    t_run(count_steals, NULL, .workers = 2, .free_main = true, .real_time = true);
}

static void *produce_at_home(void *arg)
{
    (void)arg;
    forget();
    for (int round = 0; round < 20; round++) {
        skua_task *t[32];
        for (int i = 0; i < 32; i++)
            T_EXPECT((t[i] = skua_go(toil, NULL)) != NULL);
        T_EXPECT_INT(skua_gather(t, 32, NULL, SKUA_RELEASE), 0);
    }
    T_EXPECT_INT(workers_seen(), 1);
    return NULL;
}

static void test_steal_off_keeps_tasks_at_home(void **state)
{
    setenv("SKUA_STEAL", "off", 1);
    t_run(produce_at_home, NULL, .workers = 4, .free_main = true, .real_time = true);
    unsetenv("SKUA_STEAL");
}

/* --- behind a task that holds its worker --- */

static void *say_ran(void *arg)
{
    (void)arg;
    rt_store_release(&child_ran, 1);
    return NULL;
}

/* One child is what this worker would run next, so nobody is told of it at first. */
static void *hold(void *arg)
{
    (void)arg;
    double deadline = t_wall() + 10;
    rt_store_relaxed(&child_ran, 0);
    skua_task *child = skua_go(say_ran, NULL);
    while (!rt_load_acquire(&child_ran) && t_wall() < deadline)
        continue;
    T_EXPECT(rt_load_acquire(&child_ran));
    T_EXPECT_INT(skua_join(child, NULL), 0);
    return NULL;
}

static void test_steal_from_a_worker_that_is_held(void **state)
{
    for (int i = 0; i < T_SCALE(20, 5); i++) {
        t_run(hold, NULL, .workers = 2, .free_main = true, .real_time = true);
        t_run(hold, NULL, .workers = 4, .real_time = true);
    }
}

/* --- from threads of nobody --- */

static void *go_from_thread(void *arg)
{
    struct rt_runtime *rt = arg;
    int                err;
    for (int i = 0; i < 200; i++) {
        struct skua_task *t = rt_spawn(NULL, rt, NULL, toil, NULL, NULL, &err);
        T_EXPECT(t != NULL);
        skua_release(t);
        if (i % 50 == 0)
            usleep(2000); /* long enough for everybody to fall asleep */
    }
    return NULL;
}

static uint32_t total(void)
{
    uint32_t n = 0;
    for (int i = 0; i < WORKERS_MOST; i++)
        n += rt_load_relaxed(&ran_on[i]);
    return n;
}

static void *wait_for_foreign(void *arg)
{
    pthread_t thread;
    (void)arg;
    forget();
    T_EXPECT_INT(pthread_create(&thread, NULL, go_from_thread, rt_self()->rt), 0);
    double deadline = t_wall() + 10;
    while (total() < 200 && t_wall() < deadline)
        T_EXPECT_INT(skua_sleep(0.002), 0);
    T_EXPECT_INT(total(), 200);
    pthread_join(thread, NULL);
    return NULL;
}

static void test_injected_tasks_wake_sleepers(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(wait_for_foreign, NULL, .workers = workers, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_steal_every_worker_gets_some),
    T_TEST(test_steal_is_counted),
    T_TEST(test_steal_off_keeps_tasks_at_home),
    T_TEST(test_steal_from_a_worker_that_is_held),
    T_TEST(test_injected_tasks_wake_sleepers),
};
T_MAIN(tests, NULL)
