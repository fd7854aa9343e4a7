/* SPDX-License-Identifier: MIT */
/* Goal: the injector hands out in the order it was given, never more than asked for, and its length
 * is exact when nobody is at it. */
#include "t.h"

#include <pthread.h>

#include "base/mem.h"
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

static struct rt_inject_block *block_of(uintptr_t first, size_t n)
{
    struct rt_inject_block *b = rt_malloc(sizeof *b);
    T_EXPECT(b != NULL);
    for (b->count = 0; b->count < n; b->count++)
        b->entry[b->count] = first + b->count;
    return b;
}

static void test_inject_blocks_whole_and_in_order(void **state)
{
    struct rt_fifo f = { 0 }, out = { 0 };
    rt_inject_init(&q);
    assert_null(rt_inject_take_block(&q));
    rt_inject_push_block(&q, block_of(100, 3));
    rt_fifo_push(&f, rt_item(&links[0][0], RT_TAG_TASK));
    rt_inject_push(&q, &f);
    rt_inject_push_block(&q, block_of(200, RT_INJECT_BLOCK));
    assert_int_equal(rt_inject_length(&q), 3 + 1 + RT_INJECT_BLOCK);
    assert_int_equal(rt_inject_take(&q, 100, &out), 1); /* lists and blocks are apart */
    struct rt_inject_block *b = rt_inject_take_block(&q);
    assert_int_equal(b->count, 3);
    assert_int_equal(b->entry[2], 102);
    rt_free(b);
    assert_int_equal(rt_inject_length(&q), RT_INJECT_BLOCK);
    rt_inject_push_block(&q, block_of(300, 1));
    rt_inject_fini(&q); /* frees what is left: seen by the leak checker */
    assert_int_equal(rt_inject_length(&q), 0);
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
    T_TEST(test_inject_blocks_whole_and_in_order),
    T_TEST(test_inject_threads_each_once_in_order),
};
T_MAIN(tests, NULL)
