/* SPDX-License-Identifier: MIT */
/* Goal: a timer that a task leaves behind while it holds its worker is seen to by others, also when
 * it came after they had begun to serve that worker, and also on a spare that was told to rest.
 * Method: an eager child sleeps; its parent keeps the worker until the child has slept. */
#include "t.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "base/atomic.h"
#include "sched/runtime.h"
#include "sched/spawn.h"

enum { PATIENCE = 60, WORKERS = 2 };

static struct {
    struct rt_runtime *rt;
    sem_t              gate; /* of those that hold the workers */
    sem_t              slept;
    RT_ATOMIC(int)     holding;
    RT_ATOMIC(int)     on_spare;
} all;

static void begin(void)
{
    memset(&all, 0, sizeof all);
    assert_int_equal(sem_init(&all.gate, 0, 0), 0);
    assert_int_equal(sem_init(&all.slept, 0, 0), 0);
}

static bool wait_at(sem_t *sem)
{
    struct timespec until;
    int             r;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    while ((r = sem_timedwait(sem, &until)) < 0 && errno == EINTR)
        continue;
    return r == 0;
}

static void *sleeps(void *arg)
{
    T_EXPECT_INT(skua_sleep(0.01), 0);
    sem_post(&all.slept);
    return arg;
}

/* Without a step of its worker: others see no change. */
static void hold_until_child_slept(void)
{
    skua_task *t = skua_go(sleeps, NULL, .eager = true);
    T_EXPECT(t != NULL);
    T_EXPECT(wait_at(&all.slept));
    T_EXPECT_INT(skua_join(t, NULL), 0);
}

/* --- behind a guard --- */

static bool guard_sleeps(void)
{
    uint32_t guard = rt_load_sc(&all.rt->rescue.guard);
    return guard != 0 && rt_load_sc(&all.rt->workers[guard - 1]->poller.bell.asleep);
}

static void *held_from_before(void *arg)
{
    double deadline = t_wall() + PATIENCE;
    while (!guard_sleeps() && t_wall() < deadline)
        t_nap(0.001);
    T_EXPECT(guard_sleeps());
    hold_until_child_slept();
    return arg;
}

static void *behind_guard(void *arg)
{
    all.rt = rt_self()->rt;
    T_EXPECT_INT(skua_join(skua_go(held_from_before, NULL), NULL), 0);
    return arg;
}

static void test_timer_armed_behind_a_guard(void **state)
{
    (void)state;
    begin();
    assert_int_equal(skua_run(behind_guard, NULL, .workers = WORKERS), 0);
    t_check();
}

/* --- on a spare that was told to rest --- */

static void *hold(void *arg)
{
    (void)rt_add_acq_rel(&all.holding, 1);
    T_EXPECT(wait_at(&all.gate));
    return arg;
}

static bool is_resting(struct rt_worker *w)
{
    return rt_load_acquire(&w->leave_asked) == RT_ORDER_REST;
}

/* Steps often enough not to be taken for held, until its spare is told to rest. */
static void *rests_late(void *arg)
{
    double deadline = t_wall() + PATIENCE;
    while (!is_resting(rt_self()) && t_wall() < deadline) {
        double until = t_wall() + 0.001;
        if (skua_worker_index() >= WORKERS)
            rt_store_release(&all.on_spare, 1);
        while (!is_resting(rt_self()) && t_wall() < until)
            continue;
        if (!is_resting(rt_self()))
            T_EXPECT_INT(skua_yield(), 0);
    }
    hold_until_child_slept();
    return arg;
}

static void *spawn_when_held(void *arg)
{
    int    err;
    double deadline = t_wall() + PATIENCE;
    while (rt_load_acquire(&all.holding) < WORKERS && t_wall() < deadline)
        t_nap(0.001);
    skua_task *t = rt_spawn(NULL, all.rt, NULL, rests_late, NULL, NULL, &err);
    while (!rt_load_acquire(&all.on_spare) && t_wall() < deadline)
        t_nap(0.001);
    for (int i = 0; i < WORKERS; i++)
        sem_post(&all.gate);
    *(skua_task **)arg = t;
    return NULL;
}

static void *on_spare(void *arg)
{
    skua_task *t[WORKERS], *late = NULL;
    pthread_t  thread;
    (void)arg;
    all.rt = rt_self()->rt;
    for (int i = 0; i < WORKERS; i++)
        t[i] = skua_go(hold, NULL);
    T_EXPECT_INT(pthread_create(&thread, NULL, spawn_when_held, &late), 0);
    T_EXPECT_INT(skua_gather(t, WORKERS, NULL, SKUA_RELEASE), 0);
    pthread_join(thread, NULL);
    T_EXPECT_INT(skua_join(late, NULL), 0);
    return NULL;
}

static void test_timer_armed_on_a_spare_told_to_rest(void **state)
{
    (void)state;
    begin();
    assert_int_equal(skua_run(on_spare, NULL, .workers = WORKERS), 0);
    t_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timer_armed_behind_a_guard),
        cmocka_unit_test(test_timer_armed_on_a_spare_told_to_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
