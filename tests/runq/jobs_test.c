/* SPDX-License-Identifier: MIT */
/* Goal: private and shared entries, one order, a fixed size; under theft each comes out once.
 * Method: the owner's moves alone, then thieves on threads that mark what they got. */
#include "scale.h"
#include "t.h"

#include <pthread.h>

#include "runq/jobs.h"

enum { THIEVES = 3, TOTAL = 200000 };

static struct rt_jobs         j;
static RT_ATOMIC(int)         stop;
static _Atomic(unsigned char) seen[TOTAL + 1];

static void test_jobs_private_ones_are_nobody_elses(void **state)
{
    rt_jobs_init(&j, 1);
    assert_false(rt_jobs_any(&j));
    assert_false(rt_jobs_pop(&j, 1));
    for (uintptr_t i = 1; i <= 3; i++)
        assert_true(rt_jobs_push(&j, i));
    assert_true(rt_jobs_any(&j));
    assert_true(rt_jobs_hungry(&j));
    assert_int_equal(rt_jobs_private(&j), 3);
    assert_int_equal(rt_jobs_steal(&j), 0);
    assert_false(rt_jobs_worth_a_look(&j));
    assert_false(rt_jobs_pop(&j, 2)); /* not the newest */
    for (uintptr_t i = 3; i >= 1; i--)
        assert_true(rt_jobs_pop(&j, i));
    assert_false(rt_jobs_any(&j));
}

static void test_jobs_the_oldest_are_shared(void **state)
{
    rt_jobs_init(&j, 1);
    for (uintptr_t i = 1; i <= 5; i++)
        assert_true(rt_jobs_push(&j, i));
    rt_jobs_share(&j, 2, 0);
    assert_false(rt_jobs_hungry(&j));
    assert_false(rt_jobs_worth_a_look(&j));
    assert_int_equal(rt_jobs_steal(&j), 1);
    assert_int_equal(rt_jobs_steal(&j), 2);
    assert_int_equal(rt_jobs_steal(&j), 0);
    assert_true(rt_jobs_hungry(&j));
    assert_int_equal(rt_jobs_thefts(&j), 2);
    assert_int_equal(rt_jobs_thefts(&j), 0);
    rt_jobs_share(&j, 1, 1);
    assert_true(rt_jobs_worth_a_look(&j));
    assert_true(rt_jobs_pop(&j, 5));
    assert_true(rt_jobs_pop(&j, 4));
    assert_false(rt_jobs_pop(&j, 3)); /* shared */
    assert_int_equal(rt_jobs_newest(&j), 3);
    assert_int_equal(rt_jobs_take(&j), 3);
    assert_false(rt_jobs_any(&j));
    assert_int_equal(rt_jobs_thefts(&j), 0); /* what the owner took itself is none */
}

static void test_jobs_all_can_be_taken_oldest_first(void **state)
{
    rt_jobs_init(&j, 1);
    for (uintptr_t i = 1; i <= 4; i++)
        assert_true(rt_jobs_push(&j, i));
    rt_jobs_share(&j, rt_jobs_private(&j), 0);
    for (uintptr_t i = 1; i <= 4; i++)
        assert_int_equal(rt_jobs_oldest(&j), i);
    assert_int_equal(rt_jobs_oldest(&j), 0);
    assert_false(rt_jobs_any(&j));
    assert_int_equal(rt_jobs_thefts(&j), 0);
}

static void test_jobs_full_refuses_until_one_leaves(void **state)
{
    rt_jobs_init(&j, 1);
    for (uintptr_t i = 1; i <= RT_DEQUE_CAP; i++)
        assert_true(rt_jobs_push(&j, i));
    assert_false(rt_jobs_push(&j, 9999));
    rt_jobs_share(&j, 1, 1);
    assert_false(rt_jobs_push(&j, 9999));
    assert_int_equal(rt_jobs_steal(&j), 1);
    assert_true(rt_jobs_push(&j, 9999));
    assert_false(rt_jobs_push(&j, 9999));
    assert_true(rt_jobs_pop(&j, 9999));
}

static void test_jobs_without_thieves_nothing_is_shared(void **state)
{
    rt_jobs_init(&j, 0);
    assert_true(rt_jobs_push(&j, 1));
    assert_false(rt_jobs_hungry(&j));
    rt_jobs_share(&j, 1, 0); /* before they are given away */
    assert_false(rt_jobs_hungry(&j));
    assert_int_equal(rt_jobs_oldest(&j), 1);
    assert_true(rt_jobs_push(&j, 2));
    assert_true(rt_jobs_pop(&j, 2));
}

/* --- theft --- */

static void mark(uintptr_t x)
{
    if (x)
        (void)rt_add_relaxed(&seen[x], 1);
}

static void *thief(void *arg)
{
    while (!rt_load_acquire(&stop))
        mark(rt_jobs_steal(&j));
    return arg;
}

/* As fork and join do it: up and down by some, newest first. */
static void up_and_down(uintptr_t first, uintptr_t n)
{
    for (uintptr_t x = first; x < first + n; x++) {
        assert_true(rt_jobs_push(&j, x));
        if (rt_jobs_hungry(&j))
            rt_jobs_share(&j, (rt_jobs_private(&j) + 1) / 2, x & 1);
    }
    for (uintptr_t x = first + n - 1; x >= first; x--) {
        if (rt_jobs_pop(&j, x))
            mark(x);
        else if (rt_jobs_any(&j))
            mark(rt_jobs_take(&j));
    }
}

static void test_jobs_each_comes_out_once(void **state)
{
    pthread_t thieves[THIEVES];
    int       total = T_SCALE(TOTAL, TOTAL / 10);
    rt_jobs_init(&j, 1);
    rt_store_release(&stop, 0);
    for (int i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_create(&thieves[i], NULL, thief, NULL), 0);
    uintptr_t x = 1, n = 1;
    for (; x + n <= (uintptr_t)total; x += n, n = n % 9 + 1)
        up_and_down(x, n);
    rt_store_release(&stop, 1);
    for (int i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_join(thieves[i], NULL), 0);
    for (uintptr_t i = 1; i < x; i++)
        assert_int_equal(rt_load_relaxed(&seen[i]), 1);
}

/* --- the record --- */

static void test_jobs_the_end_gives_the_name_back(void **state)
{
    struct rt_fork job = { 0 };
    rt_init(&job.word, RT_FORK_PENDING);
    assert_int_equal(rt_fork_end(&job, RT_FORK_DONE), 0);
    assert_int_equal(rt_fork_look(&job), RT_FORK_DONE);
    assert_false(rt_fork_await(&job, 1 << 24));
    rt_init(&job.word, RT_FORK_PENDING);
    assert_true(rt_fork_await(&job, 1 << 24));
    assert_true(rt_fork_await(&job, 2 << 24)); /* again, after a cancel */
    assert_int_equal(rt_fork_end(&job, RT_FORK_KEPT), 2 << 24);
    assert_int_equal(rt_fork_look(&job), RT_FORK_KEPT);
    assert_false(rt_fork_await(&job, 3 << 24));
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_jobs_private_ones_are_nobody_elses),
    T_TEST(test_jobs_the_oldest_are_shared),
    T_TEST(test_jobs_all_can_be_taken_oldest_first),
    T_TEST(test_jobs_full_refuses_until_one_leaves),
    T_TEST(test_jobs_without_thieves_nothing_is_shared),
    T_TEST(test_jobs_each_comes_out_once),
    T_TEST(test_jobs_the_end_gives_the_name_back),
};
T_MAIN(tests, NULL)
