/* SPDX-License-Identifier: MIT */
/* Goal: the cancel word under every verb, as a table; then requests that are taken back while
 * another thread makes one, which is never lost. */
#include "t.h"

#include <pthread.h>
#include <sched.h>

#include "task/cancelword.h"

#define N(n)   ((uint32_t)(n) * RT_CW_ONE)
#define P      RT_CW_POSTED
#define D      RT_CW_DUE
#define I      RT_CW_INSIDE_ONE
#define ROUNDS 20000

static struct rt_cancelword c;
static struct rt_waitword w;

static void set(uint32_t bits, uint64_t wait)
{
    rt_store_relaxed(&c.bits, bits);
    rt_store_relaxed(&w.bits, wait);
}

static void expect(uint32_t bits, uint64_t wait)
{
    assert_int_equal(rt_load_relaxed(&c.bits), bits);
    assert_int_equal(rt_load_relaxed(&w.bits), wait);
}

static void test_cancelword_on_its_way(void **state)
{
    set(N(2), 0);
    assert_true(rt_cw_post(&c, 0));
    expect(N(3) | P | D, 0);
    assert_false(rt_cw_post(&c, 0));
    expect(N(4) | P | D, 0);
    assert_true(rt_cw_take_due(&c));
    expect(N(4) | P, 0);
    assert_false(rt_cw_take_due(&c));
    assert_false(rt_cw_post(&c, 1));
    expect(N(4) | P | D, 0);
    assert_true(rt_cw_arrive(&c));
    expect(N(4), 0);
    set(N(1) | P, 0);
    assert_false(rt_cw_arrive(&c));
    rt_cw_raise(&c);
    expect(N(2), 0);
    assert_int_equal(rt_cw_count(&c), 2);
}

static void test_cancelword_counts_no_further_than_it_can(void **state)
{
    set(RT_CW_REQUESTS - RT_CW_ONE, 0);
    rt_cw_raise(&c);
    expect(RT_CW_REQUESTS, 0);
    assert_true(rt_cw_post(&c, 0));
    assert_true(rt_cw_enter(&c));
    expect(RT_CW_REQUESTS | P | D | I, 0);
    rt_cw_leave(&c);
    expect(RT_CW_REQUESTS | P | D, 0);
    set(RT_CW_INSIDE, 0);
    assert_false(rt_cw_enter(&c));
    expect(RT_CW_INSIDE, 0);
}

static void test_cancelword_felt(void **state)
{
    uint32_t felt = 9;
    set(N(1) | I, 0);
    assert_false(rt_cw_felt(&c, &w, &felt));
    rt_cw_leave(&c);
    assert_true(rt_cw_felt(&c, &w, &felt));
    assert_int_equal(felt, 1);
    set(N(3) | D, 0);
    assert_true(rt_cw_felt(&c, &w, &felt));
    assert_int_equal(felt, 2);
    set(N(3), RT_WW_CANCEL);
    assert_true(rt_cw_felt(&c, &w, &felt));
    assert_int_equal(felt, 2);
    set(0, RT_WW_CANCEL);
    assert_true(rt_cw_felt(&c, &w, &felt));
    assert_int_equal(felt, 0);
}

static void take_back(uint32_t bits, int dropped, uint32_t left)
{
    int has_dropped = 0;
    uint32_t now = 9;
    set(bits, RT_WW_CANCEL);
    assert_true(rt_cw_take_back(&c, &w, &has_dropped, &now));
    assert_int_equal(has_dropped, dropped);
    assert_int_equal(now, left);
}

static void test_cancelword_take_back(void **state)
{
    int dropped = 0;
    uint32_t left;
    take_back(N(2) | P | D, 0, 1);
    expect(N(1) | P | D, RT_WW_CANCEL);
    take_back(N(1) | P | D, 1, 0);
    expect(P, 0);
    take_back(0, 0, 0);
    expect(0, RT_WW_CANCEL);
    take_back(N(2) | I, 0, 1);
    expect(N(1) | I, RT_WW_CANCEL);
    assert_false(rt_cw_take_back(&c, &w, &dropped, &left));
    assert_false(dropped);
    expect(N(1) | I, RT_WW_CANCEL);
}

static void cancel(void)
{
    uint64_t word;
    assert_true(rt_cw_enter(&c));
    (void)rt_ww_cancel(&w, 9, &word);
    rt_cw_leave(&c);
}

static RT_ATOMIC(int) begun, ended; /* rounds */

static void *cancel_each_round(void *arg)
{
    for (int i = 1; i <= ROUNDS; i++) {
        while (rt_load_acquire(&begun) < i)
            sched_yield();
        cancel();
        rt_store_release(&ended, i);
    }
    return arg;
}

static void test_cancelword_taken_back_while_another_comes(void **state)
{
    pthread_t thread;
    set(0, 0);
    assert_int_equal(pthread_create(&thread, NULL, cancel_each_round, NULL), 0);
    for (int i = 1; i <= ROUNDS; i++) {
        int dropped = 0;
        uint32_t left;
        cancel();
        rt_store_release(&begun, i);
        while (!rt_cw_take_back(&c, &w, &dropped, &left))
            sched_yield();
        if (dropped && left > 0)
            (void)rt_or_acq_rel(&w.bits, RT_WW_CANCEL);
        while (rt_load_acquire(&ended) < i)
            sched_yield();
        expect(N(1), RT_WW_CANCEL);
        set(0, 0);
    }
    pthread_join(thread, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_cancelword_on_its_way),
    T_TEST(test_cancelword_counts_no_further_than_it_can),
    T_TEST(test_cancelword_felt),
    T_TEST(test_cancelword_take_back),
    T_TEST(test_cancelword_taken_back_while_another_comes),
};
T_MAIN(tests, NULL)
