/* SPDX-License-Identifier: MIT */
/* Goal: two ends, one order, a fixed size; under theft every entry is taken exactly once. Method:
 * the owner's moves alone against a model, then thieves on threads that mark what they got. */
#include "t.h"

#include <pthread.h>

#include "base/rand.h"
#include "runq/deque.h"

enum { THIEVES = 3, TOTAL = 200000 };

static struct rt_deque        d;
static RT_ATOMIC(int)         stop;
static _Atomic(unsigned char) seen[TOTAL + 1];

static void test_deque_empty_gives_nothing(void **state)
{
    memset(&d, 0, sizeof d);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rt_deque_take(&d), 0);
        assert_int_equal(rt_deque_oldest(&d), 0);
        assert_int_equal(rt_deque_newest(&d), 0);
        assert_int_equal(rt_deque_size(&d), 0);
    }
}

static void test_deque_order_from_both_ends(void **state)
{
    memset(&d, 0, sizeof d);
    for (uintptr_t i = 1; i <= 6; i++)
        assert_true(i % 2 ? rt_deque_push(&d, i) : rt_deque_push_announced(&d, i));
    assert_int_equal(rt_deque_size(&d), 6);
    assert_int_equal(rt_deque_newest(&d), 6);
    assert_int_equal(rt_deque_oldest(&d), 1);
    assert_int_equal(rt_deque_take(&d), 6);
    assert_int_equal(rt_deque_oldest(&d), 2);
    assert_int_equal(rt_deque_take(&d), 5);
    assert_int_equal(rt_deque_take(&d), 4);
    assert_int_equal(rt_deque_take(&d), 3);
    assert_int_equal(rt_deque_take(&d), 0);
    assert_int_equal(rt_deque_size(&d), 0);
}

static void test_deque_full_refuses_until_one_leaves(void **state)
{
    memset(&d, 0, sizeof d);
    for (uintptr_t i = 1; i <= RT_DEQUE_CAP; i++)
        assert_true(rt_deque_push(&d, i));
    assert_false(rt_deque_push(&d, 9999));
    assert_false(rt_deque_push_announced(&d, 9999));
    assert_int_equal(rt_deque_size(&d), RT_DEQUE_CAP);
    assert_int_equal(rt_deque_oldest(&d), 1);
    assert_true(rt_deque_push(&d, RT_DEQUE_CAP + 1));
    assert_false(rt_deque_push(&d, 9999));
    for (uintptr_t i = 2; i <= RT_DEQUE_CAP + 1; i++)
        assert_int_equal(rt_deque_oldest(&d), i);
    assert_int_equal(rt_deque_oldest(&d), 0);
}

static void test_deque_owner_takes_many_at_once(void **state)
{
    uintptr_t got[8];
    memset(&d, 0, sizeof d);
    assert_int_equal(rt_deque_oldest_many(&d, got, 8), 0);
    for (uintptr_t i = 1; i <= RT_DEQUE_CAP; i++)
        assert_true(rt_deque_push(&d, i));
    assert_int_equal(rt_deque_oldest(&d), 1);
    assert_int_equal(rt_deque_oldest_many(&d, got, 8), 8);
    for (uintptr_t i = 0; i < 8; i++)
        assert_int_equal(got[i], i + 2);
    for (uintptr_t i = 10; i <= RT_DEQUE_CAP - 3; i++)
        assert_int_equal(rt_deque_oldest(&d), i);
    assert_int_equal(rt_deque_oldest_many(&d, got, 8), 3); /* what there is */
    assert_int_equal(got[2], RT_DEQUE_CAP);
    assert_int_equal(rt_deque_size(&d), 0);
}

/* Many times round the ring, by turns nearly empty and nearly full. */
static void test_deque_wraps_like_the_model(void **state)
{
    static uintptr_t model[1 << 17];
    size_t           head = 0, tail = 0;
    uintptr_t        next = 1;
    struct rt_rand   r;
    memset(&d, 0, sizeof d);
    rt_rand_init(&r, 7);
    while (tail < (1 << 17) - 1) {
        bool     filling = (tail >> 11) % 2;
        uint32_t what = rt_rand_below(&r, 8);
        if (what < (filling ? 6u : 3u)) {
            bool pushed = rt_deque_push(&d, next);
            assert_int_equal(pushed, tail - head < RT_DEQUE_CAP);
            if (pushed)
                model[tail++] = next++;
        } else if (what == 7) {
            assert_int_equal(rt_deque_oldest(&d), head == tail ? 0 : model[head]);
            head += head < tail;
        } else {
            assert_int_equal(rt_deque_take(&d), head == tail ? 0 : model[tail - 1]);
            tail -= head < tail;
            if (tail > 0 && head < tail)
                assert_int_equal(rt_deque_newest(&d), model[tail - 1]);
        }
        assert_int_equal(rt_deque_size(&d), tail - head);
    }
}

static void mark(uintptr_t x)
{
    T_EXPECT(x <= TOTAL && atomic_fetch_add(&seen[x], 1) == 0);
}

static void *thief(void *arg)
{
    (void)arg;
    uintptr_t before = 0;
    while (!rt_load_acquire(&stop)) {
        uintptr_t x = rt_deque_oldest(&d);
        if (!x)
            continue;
        mark(x);
        T_EXPECT(x > before); /* the top only goes forward */
        before = x;
    }
    return NULL;
}

/* keep: how many entries the owner lets stand before it takes back; 1 is the fight for the last. */
static void race(int64_t keep, int own_share)
{
    pthread_t threads[THIEVES];
    memset(&d, 0, sizeof d);
    memset(seen, 0, sizeof seen);
    rt_store_relaxed(&stop, 0);
    for (int i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thief, NULL), 0);
    uintptr_t x, next = 1;
    while (next <= TOTAL) {
        if (rt_deque_size(&d) < keep && rt_deque_push(&d, next)) {
            next++;
            if (own_share && next % (unsigned)own_share)
                continue;
        }
        if (next % 11 == 0) {
            uintptr_t many[4];
            for (size_t n = rt_deque_oldest_many(&d, many, 4); n > 0; n--)
                mark(many[n - 1]);
        }
        if ((x = next % 5 ? rt_deque_take(&d) : rt_deque_oldest(&d)) != 0)
            mark(x);
    }
    while (rt_deque_size(&d) > 0)
        if ((x = rt_deque_take(&d)) != 0)
            mark(x);
    rt_store_release(&stop, 1);
    for (int i = 0; i < THIEVES; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i <= TOTAL; i++)
        T_EXPECT(atomic_load(&seen[i]) == 1);
    t_check();
}

static void test_deque_steal_when_one_left_single_winner(void **state)
{
    race(1, 0);
}

static void test_deque_steal_from_many_each_once(void **state)
{
    race(RT_DEQUE_CAP, 3);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_deque_empty_gives_nothing),
    T_TEST(test_deque_order_from_both_ends),
    T_TEST(test_deque_full_refuses_until_one_leaves),
    T_TEST(test_deque_owner_takes_many_at_once),
    T_TEST(test_deque_wraps_like_the_model),
    T_TEST(test_deque_steal_when_one_left_single_winner),
    T_TEST(test_deque_steal_from_many_each_once),
};
T_MAIN(tests, NULL)
