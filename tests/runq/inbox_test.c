/* SPDX-License-Identifier: MIT */
/* Goal: nothing handed in is lost or doubled, each producer's order is kept, and of the pushes
 * between two takes exactly one is told that the inbox was empty. */
#include "t.h"

#include <pthread.h>

#include "runq/inbox.h"

enum { PRODUCERS = 3, EACH = 20000 };

struct thing {
    struct rt_link link;
    int            producer, number;
};

static struct rt_inbox inbox;
static struct thing    things[PRODUCERS][EACH];
static RT_ATOMIC(int)  firsts;

static void test_inbox_take_gives_oldest_first(void **state)
{
    struct rt_link links[3];
    struct rt_inbox b = { 0 };
    assert_int_equal(rt_inbox_take(&b), 0);
    assert_false(rt_inbox_has(&b));
    for (int i = 0; i < 3; i++)
        assert_int_equal(rt_inbox_push(&b, rt_item(&links[i], RT_TAG_STEP)), i == 0);
    assert_true(rt_inbox_has(&b));
    uintptr_t x = rt_inbox_take(&b);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(rt_item_link(x), &links[i]);
        assert_int_equal(rt_item_tag(x), RT_TAG_STEP);
        x = rt_item_link(x)->next;
    }
    assert_int_equal(x, 0);
    assert_false(rt_inbox_has(&b));
    assert_true(rt_inbox_push(&b, rt_item(&links[0], RT_TAG_TASK)));
}

static void *produce(void *arg)
{
    int p = T_NUM(arg);
    for (int i = 0; i < EACH; i++) {
        things[p][i].producer = p;
        things[p][i].number = i;
        if (rt_inbox_push(&inbox, rt_item(&things[p][i].link, RT_TAG_TASK)))
            (void)rt_add_relaxed(&firsts, 1);
    }
    return NULL;
}

static void test_inbox_threads_lose_nothing(void **state)
{
    pthread_t threads[PRODUCERS];
    int       next[PRODUCERS] = { 0 }, got = 0, batches = 0;
    for (int p = 0; p < PRODUCERS; p++)
        assert_int_equal(pthread_create(&threads[p], NULL, produce, T_PTR(p)), 0);
    while (got < PRODUCERS * EACH) {
        uintptr_t x = rt_inbox_take(&inbox);
        batches += x != 0;
        while (x) {
            struct thing *t = (struct thing *)(void *)rt_item_link(x);
            x = t->link.next;
            assert_int_equal(t->number, next[t->producer]++);
            got++;
        }
    }
    for (int p = 0; p < PRODUCERS; p++)
        pthread_join(threads[p], NULL);
    assert_int_equal(rt_inbox_take(&inbox), 0);
    assert_int_equal(rt_load_relaxed(&firsts), batches);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_inbox_take_gives_oldest_first),
    T_TEST(test_inbox_threads_lose_nothing),
};
T_MAIN(tests, NULL)
