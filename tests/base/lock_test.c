/* SPDX-License-Identifier: MIT */
/* Goal: the lock excludes, loses no wake and keeps its ranks; the condition keeps its deadlines.
 * Method: threads on a plain counter (ThreadSanitizer watches), misuse in a child. */
#include "capture.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>

#define THREADS 4
#define ROUNDS  2000
#define REPEATS 50 /* a lost wake shows when the last threads leave */

static struct rt_lock lock = RT_LOCK_INIT(RT_RANK_OBJECT);
static uint64_t shared_counter; /* guarded by lock */

static void *add_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 7 != 0)
            rt_lock(&lock);
        else
            while (!rt_trylock(&lock))
                rt_sys_sched_yield();
        shared_counter++;
        if (i % 64 == 0)
            rt_sys_sched_yield(); /* makes the others sleep */
        rt_unlock(&lock);
    }
    return NULL;
}

static void test_lock_contended_excludes(void **state)
{
    struct rt_thread thread[THREADS];

    (void)state;
    shared_counter = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(rt_sys_thread_create(&thread[i], add_many, NULL, "lock"), 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(rt_sys_thread_join(thread[i]), 0);
    }
    assert_int_equal(shared_counter, (uint64_t)REPEATS * THREADS * ROUNDS);
    assert_int_equal(rt_load_relaxed(&lock.word), 0);
}

static void test_lock_uncontended_states(void **state)
{
    struct rt_lock l;

    (void)state;
    rt_lock_init(&l, RT_RANK_TIMERS);
    rt_lock(&l);
    assert_int_equal(rt_load_relaxed(&l.word), 1);
    assert_false(rt_trylock(&l));
    assert_int_equal(rt_locks_held(), RT_DEBUG);
    rt_unlock(&l);
    assert_int_equal(rt_locks_held(), 0);
    assert_true(rt_trylock(&l));
    rt_unlock(&l);
    assert_int_equal(rt_load_relaxed(&l.word), 0);
}

#if RT_DEBUG
static struct rt_lock low = RT_LOCK_INIT(RT_RANK_FD);
static struct rt_lock high = RT_LOCK_INIT(RT_RANK_TIMERS);
static struct rt_lock high2 = RT_LOCK_INIT(RT_RANK_TIMERS);

static void wrong_order(void)
{
    rt_lock(&high);
    rt_lock(&low);
}

static void same_rank(void)
{
    rt_lock(&high);
    rt_lock(&high2);
}

static void unlock_free(void)
{
    rt_unlock(&high);
}

static void test_lock_ranks_are_checked(void **state)
{
    (void)state;
    rt_lock(&low);
    rt_lock(&high);
    assert_true(rt_trylock(&high2)); /* cannot deadlock: allowed */
    assert_int_equal(rt_locks_held(), 3);
    rt_unlock(&low); /* any order of release */
    rt_unlock(&high2);
    rt_unlock(&high);
    assert_int_equal(rt_locks_held(), 0);
    char words[80];
    snprintf(words, sizeof(words), "lock of rank %d wanted while one of rank %d is held",
             RT_RANK_FD, RT_RANK_TIMERS);
    capture_expect_panic(wrong_order, words);
    snprintf(words, sizeof(words), "lock of rank %d wanted while one of rank %d is held",
             RT_RANK_TIMERS, RT_RANK_TIMERS);
    capture_expect_panic(same_rank, words);
    capture_expect_panic(unlock_free, "check failed");
}
#endif

static struct rt_mutex_cond mc;
static int turn; /* guarded by mc */

static void *take_turns(void *arg)
{
    int me = *(int *)arg;

    for (int i = 0; i < 1000; i++) {
        rt_mutex_cond_lock(&mc);
        while (turn != me)
            rt_mutex_cond_wait(&mc, i % 2 == 0 ? RT_NEVER : rt_clock_now() + RT_NS_PER_SEC);
        turn = 1 - me;
        rt_mutex_cond_signal(&mc);
        rt_mutex_cond_unlock(&mc);
    }
    return NULL;
}

static void test_mutex_cond_ping_pong(void **state)
{
    int who[2] = { 0, 1 };
    struct rt_thread thread[2];

    (void)state;
    assert_int_equal(rt_mutex_cond_init(&mc), 0);
    turn = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(rt_sys_thread_create(&thread[i], take_turns, &who[i], NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rt_sys_thread_join(thread[i]), 0);
    rt_mutex_cond_broadcast(&mc);
    rt_mutex_cond_fini(&mc);
}

static void test_mutex_cond_wait_ends_at_deadline(void **state)
{
    uint64_t deadline = rt_clock_now() + 5 * RT_NS_PER_MS;
    int rc = 0;

    (void)state;
    assert_int_equal(rt_mutex_cond_init(&mc), 0);
    rt_mutex_cond_lock(&mc);
    assert_int_equal(rt_mutex_cond_wait(&mc, 0), -ETIMEDOUT);
    while (rc == 0)
        rc = rt_mutex_cond_wait(&mc, deadline);
    assert_int_equal(rc, -ETIMEDOUT);
    assert_true(rt_clock_now() >= deadline);
    rt_mutex_cond_unlock(&mc);
    rt_mutex_cond_fini(&mc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_uncontended_states),
#if RT_DEBUG
        cmocka_unit_test(test_lock_ranks_are_checked),
#endif
        cmocka_unit_test(test_lock_contended_excludes),
        cmocka_unit_test(test_mutex_cond_ping_pong),
        cmocka_unit_test(test_mutex_cond_wait_ends_at_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
