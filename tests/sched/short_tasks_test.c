/* SPDX-License-Identifier: MIT */
/* Goal: a worker that has run very short tasks, and so leaves the deques of others alone, still
 * comes to what lies there. Method: a task starts others and does not let go before they have run
 * elsewhere; with a deadline. */
#include "scale.h"
#include "t.h"

#include "sched/pace.h"
#include "sched/runtime.h"

enum { SHORT = 20000, LESSONS = 50, WORKERS_MOST = 4 };

static RT_ATOMIC(int) ran;

static void *touch(void *arg)
{
    (void)rt_add_acq_rel(&ran, 1);
    return arg;
}

static bool ran_elsewhere(int n)
{
    double deadline = t_wall() + 20;
    while (rt_load_acquire(&ran) < n && t_wall() < deadline)
        continue;
    return rt_load_acquire(&ran) == n;
}

static void start(int n)
{
    rt_store_release(&ran, 0);
    for (int i = 0; i < n; i++) {
        skua_task *t = skua_go(touch, NULL);
        T_EXPECT(t != NULL);
        skua_detach(t);
    }
}

/* Until another worker takes nothing one by one any more, or for a while: on a loaded machine it
 * may not learn that. */
static void teach(struct rt_runtime *rt)
{
    for (int i = 0; i < LESSONS; i++) {
        start(SHORT);
        T_EXPECT(ran_elsewhere(SHORT));
        for (unsigned k = 0; k < rt->n; k++)
            if (rt->workers[k] != rt_self() && !rt_pace_takes_one(rt->workers[k]))
                return;
    }
}

static void *hold_few(void *arg)
{
    teach(rt_self()->rt);
    for (int n = 1; n <= RT_DEQUE_CAP; n *= 4) { /* nothing overflows, so there are no blocks */
        start(n);
        T_EXPECT(ran_elsewhere(n));
    }
    return NULL;
}

static void test_short_tasks_behind_a_held_worker_are_fetched(void **state)
{
    for (int workers = 2; workers <= WORKERS_MOST; workers *= 2)
        t_run(hold_few, NULL, .workers = workers, .free_main = true, .real_time = true);
}

static void *wait_for_all(void *arg)
{
    (void)rt_add_acq_rel(&ran, 1);
    T_EXPECT(ran_elsewhere(T_NUM(arg))); /* each holds its worker until all have begun */
    return NULL;
}

/* The pace of before says nothing of them. */
static void *hold_all(void *arg)
{
    int        workers = T_NUM(arg);
    skua_task *t[WORKERS_MOST];
    teach(rt_self()->rt);
    rt_store_release(&ran, 0);
    for (int i = 0; i < workers; i++)
        T_EXPECT((t[i] = skua_go(wait_for_all, arg)) != NULL);
    T_EXPECT_INT(skua_gather(t, (size_t)workers, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void test_long_tasks_after_short_ones_run_side_by_side(void **state)
{
    for (int workers = 2; workers <= WORKERS_MOST; workers *= 2)
        t_run(hold_all, T_PTR(workers), .workers = workers, .free_main = true, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_short_tasks_behind_a_held_worker_are_fetched),
    T_TEST(test_long_tasks_after_short_ones_run_side_by_side),
};
T_MAIN(tests, NULL)
