/* SPDX-License-Identifier: MIT */
/* Goal: a handle keeps the object, the last one frees it, and a freed object is used again; counted
 * from outside by the state word. */
#include "scale.h"
#include "t.h"

#include <pthread.h>

#include "base/mem.h"
#include "sched/worker.h"

static uint64_t refs(const skua_task *t)
{
    return rt_st_refs(rt_st_load((struct rt_stateword *)&t->state));
}

static void *value(void *arg)
{
    return arg;
}

static void *yielder(void *arg)
{
    (void)skua_yield();
    return arg;
}

static void *counts(void *arg)
{
    skua_task *t = skua_spawn(yielder, NULL);
    T_EXPECT_INT(refs(t), 2); /* the runtime's and ours */
    T_EXPECT(skua_retain(t) == t);
    T_EXPECT_INT(refs(t), 3);
    skua_release(t);
    T_EXPECT_INT(skua_await(t, NULL), 0);
    T_EXPECT_INT(refs(t), 1);
    skua_release(t);
    T_EXPECT_INT(refs(t), 0);
    skua_future *f = skua_future_new();
    T_EXPECT_INT(refs(f), 1);
    skua_detach(f);
    T_EXPECT_INT(refs(f), 0);
    T_EXPECT(skua_retain(NULL) == NULL);
    skua_release(NULL);
    skua_detach(NULL);
    skua_release_all(NULL, 3);
    return arg;
}

static void test_handle_counts(void **state)
{
    t_run(counts, NULL, .workers = 1);
    t_run(counts, NULL, .workers = 1, .free_main = true);
}

/* A task whose handle is gone runs on, and its object comes back when it ends. */
static void *objects_come_back(void *arg)
{
    for (int i = 0; i < 2000; i++)
        skua_release(skua_spawn(value, NULL, .name = i % 2 ? "named" : NULL));
    (void)skua_yield();
    uint32_t carved = rt_slab_carved();
    int64_t  live = rt_mem_live();
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 1000; i++)
            skua_detach(i % 2 ? skua_spawn(value, NULL, .name = "named") : skua_future_new());
        (void)skua_yield();
    }
    T_EXPECT_INT(rt_slab_carved(), carved);
    T_EXPECT_INT(rt_mem_live(), live);
    T_EXPECT_INT(skua_all_tasks(NULL, 0), 1);
    return arg;
}

static void test_handle_objects_come_back(void **state)
{
    t_run(objects_come_back, NULL, .workers = 1);
}

/* --- many hands --- */

enum { HANDS = 3, PASSES = T_SCALE(20000, 3000) };

static RT_ATOMIC(skua_task *) table[8];
static RT_ATOMIC(int)         stop;

static void *juggle(void *arg)
{
    unsigned at = (unsigned)T_NUM(arg);
    while (!rt_load_acquire(&stop)) {
        skua_task *t = rt_xchg_acq_rel(&table[at++ % 8], NULL);
        if (!t)
            continue;
        T_EXPECT(refs(t) > 0);
        (void)skua_retain(t);
        (void)skua_done(t);
        (void)skua_name(t);
        skua_release(t);
        skua_release(rt_xchg_acq_rel(&table[at++ % 8], t));
    }
    return NULL;
}

static void *deal(void *arg)
{
    (void)arg;
    for (int i = 0; i < PASSES; i++) {
        skua_task *t = i % 3 ? skua_go(yielder, NULL) : skua_spawn(value, NULL);
        skua_release(rt_xchg_acq_rel(&table[i % 8], t));
        if (i % 8 == 0)
            (void)skua_yield();
    }
    rt_store_release(&stop, 1);
    return NULL;
}

static void test_handle_many_hands(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        pthread_t threads[HANDS];
        rt_store_relaxed(&stop, 0);
        for (int i = 0; i < HANDS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, juggle, T_PTR(i)), 0);
        t_run(deal, NULL, .workers = workers, .real_time = true);
        for (int i = 0; i < HANDS; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < 8; i++)
            skua_release(rt_xchg_acq_rel(&table[i], NULL)); /* after the end of their runtime */
    }
}

/* --- all_tasks --- */

static void *waiter(void *arg)
{
    return skua_fail(skua_await(arg, NULL));
}

static void *count_all(void *arg)
{
    enum { N = 30 };
    skua_task   *t[N], *all[N + 10];
    skua_future *f = skua_future_new();
    for (int i = 0; i < N; i++)
        t[i] = i % 2 ? skua_go(waiter, f) : skua_spawn(waiter, f);
    T_EXPECT_INT(skua_all_tasks(NULL, 0), N + 1);
    T_EXPECT_INT(skua_all_tasks(all, 5), N + 1);
    skua_release_all(all, 5);
    size_t n = skua_all_tasks(all, N + 10);
    T_EXPECT_INT(n, N + 1);
    for (int i = 0; i < N; i++) {
        size_t k = 0;
        while (k < n && all[k] != t[i])
            k++;
        T_EXPECT(k < n);
    }
    skua_release_all(all, n);
    T_EXPECT(skua_future_set_result(f, NULL));
    T_EXPECT_INT(skua_gather(t, N, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), N);
    skua_release(f);
    T_EXPECT_INT(skua_all_tasks(NULL, 0), 1);
    return arg;
}

static void test_all_tasks(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(count_all, NULL, .workers = workers, .real_time = true);
    assert_int_equal(skua_all_tasks(NULL, 0), 0);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_handle_counts),
    T_TEST(test_handle_objects_come_back),
    T_TEST(test_handle_many_hands),
    T_TEST(test_all_tasks),
};
T_MAIN(tests, NULL)
