/* SPDX-License-Identifier: MIT */
/* Goal: forked jobs spread to workers that have nothing to do, also where forks seldom paid before;
 * stolen ones may do what tasks do, on a stack as large as their forker's; without a task object or
 * a stack for it a job is called at its join. Method: wait for the event, with a deadline. */
#include "scale.h"
#include "t.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "sched/fork.h"
#include "sched/runtime.h"
#include "sched/spawn.h"

static RT_ATOMIC(int) flag;
static RT_ATOMIC(int) job_worker; /* index + 1 of the worker that ran the job */

static bool flag_comes(void)
{
    double deadline = t_wall() + 10;
    while (!rt_load_acquire(&flag) && t_wall() < deadline)
        continue;
    return rt_load_acquire(&flag) != 0;
}

static void *raise_flag(void *arg)
{
    rt_store_relaxed(&job_worker, skua_worker_index() + 1);
    rt_store_release(&flag, 1);
    return arg;
}

/* --- a sleeper comes for a job --- */

static void *hold_until_stolen(void *arg)
{
    skua_job job;
    for (int i = 0; i < 20; i++) {
        rt_store_relaxed(&flag, 0);
        skua_fork(&job, raise_flag, T_PTR(i));
        int here = skua_worker_index() + 1;
        T_EXPECT(flag_comes());
        T_EXPECT(rt_load_relaxed(&job_worker) != here);
        T_EXPECT(skua_fork_join(&job) == T_PTR(i));
    }
    return arg;
}

static void test_fork_wakes_a_sleeper(void **state)
{
    for (int workers = 2; workers <= 4; workers++) {
        t_run(hold_until_stolen, NULL, .workers = workers, .real_time = true);
        t_run(hold_until_stolen, NULL, .workers = workers, .real_time = true, .free_main = true);
    }
}

/* --- forks that nobody wants do not wake each time; one that is long is found all the same --- */

static void *same(void *arg)
{
    return arg;
}

static uint64_t wakeups(void)
{
    return RT_STAT_GET(&rt_self()->wakeups);
}

static void *churn_then_hold(void *arg)
{
    skua_job job;
    int      forks = T_SCALE(300000, 30000);
    uint64_t before = wakeups();
    for (int i = 0; i < forks; i++) {
        skua_fork(&job, same, T_PTR(i));
        T_EXPECT(skua_fork_join(&job) == T_PTR(i));
    }
    T_EXPECT(wakeups() - before < (uint64_t)forks / 10);
    rt_store_relaxed(&flag, 0);
    skua_fork(&job, raise_flag, T_PTR(5));
    T_EXPECT(flag_comes());
    T_EXPECT(skua_fork_join(&job) == T_PTR(5));
    return arg;
}

static void test_fork_churn_wakes_seldom(void **state)
{
    t_run(churn_then_hold, NULL, .workers = 2, .real_time = true, .free_main = true);
}

/* --- every worker gets some --- */

enum { WORKERS_MOST = 8 };

static RT_ATOMIC(uint32_t) ran_on[WORKERS_MOST];

static void toil(size_t begin, size_t end, void *arg)
{
    double until = t_wall() + 100e-6 * (double)(end - begin);
    (void)arg;
    while (t_wall() < until)
        continue;
    (void)rt_add_relaxed(&ran_on[skua_worker_index()], 1);
}

static int workers_seen(void)
{
    int n = 0;
    for (int i = 0; i < WORKERS_MOST; i++)
        n += rt_load_relaxed(&ran_on[i]) > 0;
    return n;
}

static void *spread(void *workers)
{
    double deadline = t_wall() + 10;
    for (int i = 0; i < WORKERS_MOST; i++)
        rt_store_relaxed(&ran_on[i], 0);
    while (workers_seen() < T_NUM(workers) && t_wall() < deadline)
        T_EXPECT_INT(skua_parallel_for(0, 64, 1, toil, NULL), 0);
    T_EXPECT(workers_seen() >= T_NUM(workers)); /* a spare may have stepped in */
    return NULL;
}

static void *toil_a_little(void *arg)
{
    toil(0, 1, NULL);
    return arg;
}

/* The jobs of a flat loop, newest first: the owner calls them while thieves take the oldest. */
static void *spread_flat(void *workers)
{
    double   deadline = t_wall() + 10;
    skua_job job[64];
    for (int i = 0; i < WORKERS_MOST; i++)
        rt_store_relaxed(&ran_on[i], 0);
    while (workers_seen() < T_NUM(workers) && t_wall() < deadline) {
        for (int i = 0; i < 64; i++)
            skua_fork(&job[i], toil_a_little, T_PTR(i));
        for (int i = 63; i >= 0; i--)
            T_EXPECT(skua_fork_join(&job[i]) == T_PTR(i));
    }
    T_EXPECT(workers_seen() >= T_NUM(workers)); /* a spare may have stepped in */
    return NULL;
}

static void test_fork_spreads_to_every_worker(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        t_run(spread, T_PTR(workers), .workers = workers, .real_time = true);
        t_run(spread, T_PTR(workers), .workers = workers, .real_time = true, .free_main = true);
    }
    t_run(spread_flat, T_PTR(2), .workers = 2, .real_time = true);
    t_run(spread_flat, T_PTR(4), .workers = 4, .real_time = true);
}

static void *stays(void *arg)
{
    skua_job job[3];
    for (int i = 0; i < 3; i++)
        skua_fork(&job[i], raise_flag, NULL);
    t_nap(0.02);
    for (int i = 2; i >= 0; i--) {
        T_EXPECT(skua_fork_join(&job[i]) == NULL);
        T_EXPECT_INT(rt_load_relaxed(&job_worker), skua_worker_index() + 1);
    }
    return arg;
}

static void test_fork_steal_off_keeps_jobs_at_home(void **state)
{
    setenv("SKUA_STEAL", "off", 1);
    t_run(stays, NULL, .workers = 4, .real_time = true);
    unsetenv("SKUA_STEAL");
    t_run(stays, NULL, .workers = 1, .real_time = true);
}

/* --- stolen jobs suspend, spawn, fork --- */

static void *busy_job(void *arg)
{
    void    *value = NULL;
    skua_job job;
    rt_store_release(&flag, 1);
    T_EXPECT_INT(skua_sleep(0.001), 0);
    T_EXPECT(skua_loop_current() == NULL);
    skua_task *t = skua_go(same, T_PTR(3));
    skua_fork(&job, same, T_PTR(4));
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT_INT(skua_sleep(0.001), 0);
    return T_PTR(T_NUM(value) + T_NUM(skua_fork_join(&job)) + T_NUM(arg));
}

static void *stolen_suspends(void *arg)
{
    for (int i = 0; i < 10; i++) {
        skua_job job;
        rt_store_relaxed(&flag, 0);
        skua_fork(&job, busy_job, T_PTR(i));
        T_EXPECT(flag_comes());
        T_EXPECT(skua_fork_join(&job) == T_PTR(7 + i));
    }
    return arg;
}

static void test_fork_stolen_jobs_are_tasks(void **state)
{
    t_run(stolen_suspends, NULL, .workers = 2, .real_time = true);
    t_run(stolen_suspends, NULL, .workers = 3, .real_time = true, .free_main = true);
}

/* --- stacks --- */

static void *deep(void *arg)
{
    volatile char room[300 * 1024];
    for (size_t i = 0; i < sizeof room; i += 1024)
        room[i] = (char)i;
    (void)raise_flag(NULL);
    T_EXPECT_INT(room[2048], 0);
    return arg;
}

static void *fork_deep(void *give_away)
{
    skua_job job;
    rt_store_relaxed(&flag, 0);
    skua_fork(&job, deep, T_PTR(1));
    if (give_away)
        skua_yield();
    T_EXPECT(flag_comes());
    T_EXPECT(skua_fork_join(&job) == T_PTR(1));
    return NULL;
}

static void *fork_deep_on_a_large_stack(void *arg)
{
    for (int i = 0; i < 4; i++) {
        skua_task *t = skua_go(fork_deep, T_PTR(i % 2), .stack_size = 512 * 1024);
        T_EXPECT_INT(skua_join(t, NULL), 0);
    }
    return arg;
}

static void test_fork_stolen_job_has_the_stack_of_its_forker(void **state)
{
    t_run(fork_deep_on_a_large_stack, NULL, .workers = 2, .real_time = true);
}

/* --- what cannot be given away --- */

static void *refuse(void *arg)
{
    struct rt_fork job = { .fn = same, .value = T_PTR(8), .owner = skua_current_task() };
    (void)arg;
    rt_init(&job.word, RT_FORK_PENDING);
    struct skua_task t = { .value = &job };
    rt_fork_refuse(&t);
    T_EXPECT(skua_fork_join((skua_job *)&job) == T_PTR(8));
    T_EXPECT_INT(skua_failed(skua_fork_join((skua_job *)&job)), -EINVAL);
    return NULL;
}

static void test_fork_a_refused_job_is_called_at_its_join(void **state)
{
    t_run(refuse, NULL, .workers = 1);
}

/* --- no memory --- */

static void fail_memory(void)
{
    rt_fault_arm_from(RT_SYS_MMAP, 1, ENOMEM);
    rt_fault_arm_from(RT_SYS_MADVISE, 1, ENOMEM);
    rt_fault_arm_from(RT_SYS_MPROTECT, 1, ENOMEM);
}

static void *join_without_stacks(void *arg)
{
    struct rt_worker *w = rt_self();
    struct rt_stack  *s, *held = NULL;
    skua_job          jobs[3];
    int               err;
    for (int i = 0; i < 3; i++)
        skua_fork(&jobs[i], same, T_PTR(i));
    rt_fork_give_away(w);
    fail_memory();
    while ((s = rt_stack_get(&w->stacks, RT_STACK_CLASS_DEFAULT, rt_worker_loop, &err)) != NULL) {
        s->next = held;
        held = s;
    }
    for (int i = 0; i < 3; i++)
        T_EXPECT(skua_fork_join(&jobs[i]) == T_PTR(i));
    rt_fault_reset();
    while ((s = held) != NULL) {
        held = s->next;
        rt_stack_put(&w->stacks, s);
    }
    return arg;
}

static void test_fork_a_join_without_stacks_lends_its_own(void **state)
{
    t_run(join_without_stacks, NULL, .workers = 1);
    t_run(join_without_stacks, NULL, .workers = 1, .free_main = true);
}

static void *give_away_without_tasks(void *arg)
{
    struct rt_worker *w = rt_self();
    struct skua_task *t, *held = NULL;
    skua_job          job;
    fail_memory();
    while ((t = rt_task_prepare(w)) != NULL) {
        t->value = held;
        held = t;
    }
    skua_fork(&job, same, T_PTR(6));
    rt_fork_give_away(w);
    T_EXPECT(rt_fork_look((struct rt_fork *)&job) == RT_FORK_KEPT);
    rt_fault_reset();
    while ((t = held) != NULL) {
        held = t->value;
        rt_task_free(&w->slab, t);
    }
    T_EXPECT(skua_fork_join(&job) == T_PTR(6));
    return arg;
}

static void test_fork_without_task_objects_jobs_are_kept(void **state)
{
    t_run(give_away_without_tasks, NULL, .workers = 1);
}

/* --- forgotten joins --- */

static void *forget(void *arg)
{
    skua_job job[2];
    skua_fork(&job[0], same, NULL);
    skua_fork(&job[1], same, NULL);
    return arg;
}

static void *forget_and_go_on(void *arg)
{
    skua_job job;
    skua_fork(&job, same, T_PTR(2));
    T_EXPECT_INT(skua_join(skua_go(forget, NULL), NULL), 0);
    skua_yield();
    T_EXPECT(skua_fork_join(&job) == T_PTR(2));
    T_EXPECT_INT(skua_join(skua_go(forget, NULL), NULL), 0);
    T_EXPECT_INT(skua_sleep(1.0), 0);
    T_EXPECT(!rt_jobs_any(&rt_self()->jobs));
    return arg;
}

static int scenario_forgotten(void)
{
    skua_run(forget_and_go_on, NULL, .workers = 1, .virtual_time = true, .debug = true);
    return t_failures();
}

static const struct t_scenario scenarios[] = { { "forgotten", scenario_forgotten }, { 0 } };

static void test_fork_a_forgotten_join_is_reported(void **state)
{
    struct t_child child;
    t_child_run("forgotten", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "2 forked jobs of a task that has ended"));
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_fork_wakes_a_sleeper),
    T_TEST(test_fork_churn_wakes_seldom),
    T_TEST(test_fork_spreads_to_every_worker),
    T_TEST(test_fork_steal_off_keeps_jobs_at_home),
    T_TEST(test_fork_stolen_jobs_are_tasks),
    T_TEST(test_fork_stolen_job_has_the_stack_of_its_forker),
    T_TEST(test_fork_a_refused_job_is_called_at_its_join),
    T_TEST(test_fork_a_join_without_stacks_lends_its_own),
    T_TEST(test_fork_without_task_objects_jobs_are_kept),
    T_TEST(test_fork_a_forgotten_join_is_reported),
};
T_MAIN(tests, scenarios)
