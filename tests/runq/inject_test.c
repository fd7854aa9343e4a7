/* SPDX-License-Identifier: MIT */
/* Goal: the injector hands out in the order it was given, never more than asked for, and its length
 * is exact when nobody is at it. */
#include "t.h"

#include <pthread.h>

#include "runq/inject.h"

enum { PRODUCERS = 2, TAKERS = 2, EACH = 30000, BATCH = 7 };

static struct rt_inject q;
static struct rt_link   links[PRODUCERS][EACH];
static RT_ATOMIC(int)   got;
static _Atomic(unsigned char) seen[PRODUCERS][EACH];

static void test_inject_order_and_length(void **state)
{
    struct rt_fifo f = { 0 }, out = { 0 };
    rt_inject_init(&q);
    assert_int_equal(rt_inject_take(&q, 5, &out), 0);
    for (int i = 0; i < 6; i++)
        rt_fifo_push(&f, rt_item(&links[0][i], RT_TAG_TASK));
    rt_inject_push(&q, &f);
    assert_int_equal(f.head, 0);
    rt_inject_push(&q, &f);
    assert_int_equal(rt_inject_length(&q), 6);
    assert_int_equal(rt_inject_take(&q, 0, &out), 0);
    assert_int_equal(rt_inject_take(&q, 4, &out), 4);
    assert_int_equal(rt_inject_length(&q), 2);
    assert_int_equal(rt_inject_take(&q, 100, &out), 2);
    assert_int_equal(rt_inject_length(&q), 0);
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(rt_item_link(rt_fifo_pop(&out)), &links[0][i]);
}

static void *produce(void *arg)
{
    struct rt_link *mine = links[T_NUM(arg)];
    for (int i = 0; i < EACH;) {
        struct rt_fifo f = { 0 };
        for (int k = 0; k < BATCH && i < EACH; k++)
            rt_fifo_push(&f, rt_item(&mine[i++], RT_TAG_TASK));
        rt_inject_push(&q, &f);
    }
    return NULL;
}

static void *take(void *arg)
{
    struct rt_link *before[PRODUCERS] = { NULL };
    (void)arg;
    while (rt_load_relaxed(&got) < PRODUCERS * EACH) {
        struct rt_fifo out = { 0 };
        size_t         n = rt_inject_take(&q, 5, &out);
        T_EXPECT(n <= 5 && n == out.count);
        (void)rt_add_relaxed(&got, (int)n);
        while (out.head) {
            struct rt_link *l = rt_item_link(rt_fifo_pop(&out));
            int             p = l >= links[1];
            T_EXPECT(atomic_fetch_add(&seen[p][l - links[p]], 1) == 0);
            T_EXPECT(l > before[p]);
            before[p] = l;
        }
    }
    return NULL;
}

static void test_inject_threads_each_once_in_order(void **state)
{
    pthread_t threads[PRODUCERS + TAKERS];
    rt_inject_init(&q);
    for (int i = 0; i < PRODUCERS + TAKERS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < PRODUCERS ? produce : take, T_PTR(i)), 0);
    for (int i = 0; i < PRODUCERS + TAKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rt_inject_length(&q), 0);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_inject_order_and_length),
    T_TEST(test_inject_threads_each_once_in_order),
};
T_MAIN(tests, NULL)
