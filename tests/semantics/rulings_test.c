/* SPDX-License-Identifier: MIT */
/* What asyncio leaves open because it has one thread: rules 83 to 89 and 93. */
#include "../support/t.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* ---- rule 83 ---- */

static void *rounds(void *name)
{
    for (int i = 0; i < 3; i++) {
        t_log("%s%d", (const char *)name, i);
        T_EXPECT_INT(skua_yield(), 0);
    }
    return NULL;
}

static atomic_bool stop_yielding;

static void *free_yielder(void *arg)
{
    while (!atomic_load(&stop_yielding))
        SKUA_IGNORE(skua_yield());
    return arg;
}

static void *fifo_beside_free_main(void *arg)
{
    skua_task *noise[4];
    atomic_store(&stop_yielding, false);
    for (int i = 0; i < 4; i++)
        noise[i] = skua_go(free_yielder, NULL);
    static char names[3][2] = { "a", "b", "c" };
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(rounds, names[i]);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    atomic_store(&stop_yielding, true);
    T_EXPECT_INT(skua_gather(noise, 4, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_83_a_pinned_group_keeps_its_order_beside_free_tasks(void **state)
{
    /* Goal: FIFO start and round robin hold however many workers and free tasks there are. */
    (void)state;
    t_run(fifo_beside_free_main, NULL);
    t_check_log("a0 b0 c0 a1 b1 c1 a2 b2 c2");
}

static atomic_int starts;

static void *count_start(void *arg)
{
    atomic_fetch_add(&starts, 1);
    return arg;
}

static void *no_starving_main(void *arg)
{
    enum { NOISE = 16, N = 64 };
    skua_task *noise[NOISE], *t[N];
    atomic_store(&stop_yielding, false);
    atomic_store(&starts, 0);
    for (int i = 0; i < NOISE; i++)
        noise[i] = skua_go(free_yielder, NULL);
    for (int i = 0; i < N; i++)
        t[i] = skua_go(count_start, NULL);
    T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(atomic_load(&starts), N);
    atomic_store(&stop_yielding, true);
    T_EXPECT_INT(skua_gather(noise, NOISE, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_83_no_ready_free_task_waits_for_ever(void **state)
{
    /* Goal: among endless yielders every new task gets its turn. */
    (void)state;
    t_run(no_starving_main, NULL);
}

/* ---- rule 84 ---- */

struct home {
    pid_t thread;
    int worker;
    int counter;            /* plain on purpose: only tasks of one pinned group touch it */
};

static void *stay_home(void *arg)
{
    struct home *h = arg;
    for (int i = 0; i < 200; i++) {
        int seen = h->counter;
        T_EXPECT_INT(gettid(), h->thread);
        T_EXPECT_INT(skua_worker_index(), h->worker);
        h->counter = seen + 1;
        T_EXPECT_INT(i % 10 == 0 ? skua_sleep(0.001) : skua_yield(), 0);
    }
    return NULL;
}

static void *home_main(void *arg)
{
    enum { N = 8 };
    struct home h = { gettid(), skua_worker_index(), 0 };
    T_EXPECT_INT(h.worker, 0);
    skua_task *t[N], *noise[4];
    atomic_store(&stop_yielding, false);
    for (int i = 0; i < 4; i++)
        noise[i] = skua_go(free_yielder, NULL);
    for (int i = 0; i < N; i++)
        t[i] = skua_spawn(stay_home, &h);
    T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(h.counter, N * 200);
    atomic_store(&stop_yielding, true);
    T_EXPECT_INT(skua_gather(noise, 4, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_84_main_and_its_children_are_one_pinned_group(void **state)
{
    /* Goal: one thread, one at a time: a plain counter needs no lock. */
    (void)state;
    pid_t caller = gettid();
    t_run(home_main, NULL, .real_time = true);
    assert_int_equal(gettid(), caller);
}

static atomic_uint workers_seen;

static void *note_worker(void *arg)
{
    atomic_fetch_or(&workers_seen, 1u << skua_worker_index());
    t_nap(0.001);
    return arg;
}

static void *spread_main(void *arg)
{
    enum { N = 16 };
    unsigned all = (1u << t_workers()) - 1;
    atomic_store(&workers_seen, 0);
    double start = t_wall();
    while (atomic_load(&workers_seen) != all && t_wall() - start < 20) {
        skua_task *t[N];
        for (int i = 0; i < N; i++)
            t[i] = skua_go(note_worker, NULL);
        T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE), 0);
    }
    T_EXPECT_INT(atomic_load(&workers_seen), all);
    return arg;
}

static void test_rule_84_free_tasks_run_on_every_worker(void **state)
{
    /* Goal: what is asked for by name, go, is spread. */
    (void)state;
    t_run(spread_main, NULL, .real_time = true);
}

static void *run_in_group(void *arg)
{
    struct home *h = arg;
    if (h->thread == 0) {
        h->thread = gettid();
        h->worker = skua_worker_index();
    }
    return stay_home(h);
}

static void *groups_main(void *arg)
{
    enum { GROUPS = 3, EACH = 3 };
    skua_group *g[GROUPS];
    struct home h[GROUPS] = { { 0 } };
    skua_task *t[GROUPS * EACH];
    for (int i = 0; i < GROUPS * EACH; i++) {
        int at = i % GROUPS;
        if (i < GROUPS)
            g[at] = skua_group_new(.worker = at % t_workers() + 1);
        T_EXPECT(g[at] != NULL);
        t[i] = skua_spawn(run_in_group, &h[at], .group = g[at]);
    }
    T_EXPECT_INT(skua_gather(t, GROUPS * EACH, NULL, SKUA_RELEASE), 0);
    for (int i = 0; i < GROUPS; i++) {
        T_EXPECT_INT(h[i].counter, EACH * 200);
        T_EXPECT_INT(h[i].worker, i % t_workers());
        skua_group_release(g[i]);
    }
    return arg;
}

static void test_rule_84_each_group_has_one_home(void **state)
{
    /* Goal: the same on further groups, each on the worker it was asked onto. */
    (void)state;
    t_run(groups_main, NULL, .real_time = true);
}

/* ---- rule 86 ---- */

struct published {
    skua_future *f;
    int payload;            /* plain: written before set_result, read after done */
};

static void *observe(void *arg)
{
    struct published *p = arg;
    while (!skua_done(p->f))
        SKUA_IGNORE(skua_yield());
    T_EXPECT_INT(p->payload, 1234);
    void *value = NULL;
    T_EXPECT_INT(skua_result(p->f, &value), 0);
    T_EXPECT(value == p);
    T_EXPECT(skua_done(p->f) && !skua_cancelled(p->f));
    return NULL;
}

static void *publish(void *arg)
{
    struct published *p = arg;
    p->payload = 1234;
    T_EXPECT(skua_future_set_result(p->f, p));
    return NULL;
}

static void *visible_main(void *arg)
{
    for (int i = 0; i < 300; i++) {
        struct published p = { skua_future_new(), 0 };
        skua_task *t[3] = { skua_go(observe, &p), skua_go(observe, &p), skua_go(publish, &p) };
        T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
        skua_release(p.f);
    }
    return arg;
}

static void test_rule_86_who_sees_done_sees_the_result(void **state)
{
    /* Goal: done never goes back, and what was written before set_result is visible after it. */
    (void)state;
    t_run(visible_main, NULL);
}

/* ---- rule 87 ---- */

static void *sleep_number(void *arg)
{
    int r = skua_sleep(T_NUM(arg) / 100.0);
    return r < 0 ? skua_fail(r) : arg;
}

static void *across_main(void *arg)
{
    skua_group *g = skua_group_new(.name = "other");
    skua_task *t[3] = { skua_spawn(sleep_number, T_PTR(3)), skua_go(sleep_number, T_PTR(1)),
                        skua_spawn(sleep_number, T_PTR(2), .group = g) };
    skua_as_completed it;
    T_EXPECT_INT(skua_as_completed_init(&it, t, 3, 10), 0);
    T_EXPECT(skua_as_completed_next(&it, NULL) == t[1]);
    T_EXPECT(skua_as_completed_next(&it, NULL) == t[2]);
    T_EXPECT(skua_as_completed_next(&it, NULL) == t[0]);
    skua_as_completed_fini(&it);
    void *results[3];
    T_EXPECT_INT(skua_gather(t, 3, results, SKUA_RELEASE), 0);
    T_EXPECT(results[0] == T_PTR(3) && results[1] == T_PTR(1) && results[2] == T_PTR(2));
    skua_group_release(g);
    return arg;
}

static void test_rule_87_combinators_take_tasks_of_any_group(void **state)
{
    /* Goal: order of completion as the combinator's own group sees it; results by argument. */
    (void)state;
    t_run(across_main, NULL);
}

static void *fail_number(void *arg)
{
    SKUA_IGNORE(skua_yield());
    return skua_fail(-T_NUM(arg));
}

static void *first_of_many_main(void *arg)
{
    for (int i = 0; i < 200; i++) {
        skua_task *t[4];
        for (int k = 0; k < 4; k++)
            t[k] = skua_go(fail_number, T_PTR(10 + k));
        int r = skua_gather(t, 4, NULL, 0);
        T_EXPECT(r <= -10 && r >= -13);
        size_t done = 0;
        T_EXPECT_INT(skua_wait(t, 4, 10, SKUA_ALL_COMPLETED, &done), 0);
        T_EXPECT_INT(done, 4);
        skua_release_all(t, 4);
    }
    return arg;
}

static void test_rule_87_one_first_failure_whatever_the_workers_do(void **state)
{
    /* Goal: four failures on several workers at once: exactly one of them is reported. */
    (void)state;
    t_run(first_of_many_main, NULL);
}

/* ---- rule 93 ---- */

static void *keeps_errno(void *arg)
{
    int mine = T_NUM(arg);
    for (int i = 0; i < 100; i++) {
        errno = mine;
        T_EXPECT_INT(i % 4 == 0 ? skua_sleep(0.0005) : skua_yield(), 0);
        T_EXPECT_INT(errno, mine);
    }
    return NULL;
}

static void *errno_main(void *arg)
{
    enum { N = 12 };
    skua_task *t[N];
    for (int i = 0; i < N; i++) {
        void *mine = T_PTR(100 + i);
        t[i] = i % 2 ? skua_go(keeps_errno, mine) : skua_spawn(keeps_errno, mine);
    }
    errno = 77;
    T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(errno, 77);
    int r = skua_to_thread(count_start, NULL, NULL);
    T_EXPECT_INT(r, 0);
    T_EXPECT_INT(errno, 77);
    return arg;
}

static void test_rule_93_errno_belongs_to_the_task(void **state)
{
    /* Goal: across every suspension, migrating or not, errno is as the task left it. */
    (void)state;
    t_run(errno_main, NULL, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_83_a_pinned_group_keeps_its_order_beside_free_tasks),
    T_TEST(test_rule_83_no_ready_free_task_waits_for_ever),
    T_TEST(test_rule_84_main_and_its_children_are_one_pinned_group),
    T_TEST(test_rule_84_free_tasks_run_on_every_worker),
    T_TEST(test_rule_84_each_group_has_one_home),
    T_TEST(test_rule_86_who_sees_done_sees_the_result),
    T_TEST(test_rule_87_combinators_take_tasks_of_any_group),
    T_TEST(test_rule_87_one_first_failure_whatever_the_workers_do),
    T_TEST(test_rule_93_errno_belongs_to_the_task),
};

T_MAIN(tests, NULL)
