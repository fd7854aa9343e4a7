/* SPDX-License-Identifier: MIT */
/* Goal: an item is a link and a tag, and a fifo keeps its order whatever is appended to it or taken
 * out of its middle. */
#include "t.h"

#include "runq/link.h"

enum { N = 8 };

static struct rt_link links[N];

static uintptr_t item(int i)
{
    return rt_item(&links[i], RT_TAG_TASK);
}

static void fill(struct rt_fifo *f, int from, int to)
{
    *f = (struct rt_fifo){ 0 };
    for (int i = from; i < to; i++)
        rt_fifo_push(f, item(i));
}

static void expect_order(struct rt_fifo *f, const char *order)
{
    assert_int_equal(f->count, strlen(order));
    for (; *order; order++)
        assert_true(rt_fifo_pop(f) == item(*order - '0'));
    assert_int_equal(f->head, 0);
    assert_int_equal(f->count, 0);
    assert_int_equal(rt_fifo_pop(f), 0);
}

static void test_item_keeps_link_and_tag(void **state)
{
    for (int tag = RT_TAG_TASK; tag <= RT_TAG_CANCEL; tag++) {
        uintptr_t x = rt_item(&links[3], (enum rt_tag)tag);
        assert_ptr_equal(rt_item_link(x), &links[3]);
        assert_int_equal(rt_item_tag(x), tag);
    }
}

static void test_fifo_push_keeps_order(void **state)
{
    struct rt_fifo f;
    fill(&f, 0, 5);
    expect_order(&f, "01234");
    fill(&f, 0, 1);
    expect_order(&f, "0");
    fill(&f, 0, 0);
    expect_order(&f, "");
}

static void test_fifo_push_after_it_ran_empty(void **state)
{
    struct rt_fifo f;
    fill(&f, 0, 2);
    (void)rt_fifo_pop(&f);
    (void)rt_fifo_pop(&f);
    rt_fifo_push(&f, item(4));
    rt_fifo_push(&f, item(5));
    expect_order(&f, "45");
}

static void test_fifo_append_joins_and_empties(void **state)
{
    static const struct {
        int a, b;
        const char *order;
    } rows[] = { { 0, 0, "" }, { 3, 0, "012" }, { 0, 2, "56" }, { 1, 1, "05" }, { 3, 2, "01256" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rt_fifo a, b;
        fill(&a, 0, rows[i].a);
        fill(&b, 5, 5 + rows[i].b);
        rt_fifo_append(&a, &b);
        assert_int_equal(b.head, 0);
        assert_int_equal(b.count, 0);
        expect_order(&a, rows[i].order);
    }
}

static void test_fifo_append_then_push_goes_behind(void **state)
{
    struct rt_fifo a, b;
    fill(&a, 0, 2);
    fill(&b, 2, 4);
    rt_fifo_append(&a, &b);
    rt_fifo_push(&a, item(7));
    expect_order(&a, "01237");
}

/* Every place of every length; afterwards the tail must still be usable. */
static void test_fifo_remove_at_every_place(void **state)
{
    for (int n = 1; n <= 5; n++) {
        for (int at = 0; at < n; at++) {
            struct rt_fifo f;
            char           order[N] = "";
            size_t         used = 0;
            fill(&f, 0, n);
            assert_int_equal(rt_fifo_remove(&f, item(at)), at + 1);
            assert_int_equal(rt_fifo_remove(&f, item(at)), 0);
            rt_fifo_push(&f, item(6));
            for (int i = 0; i < n; i++)
                if (i != at)
                    order[used++] = (char)('0' + i);
            order[used] = '6';
            expect_order(&f, order);
        }
    }
}

static void test_fifo_remove_looks_at_the_tag(void **state)
{
    struct rt_fifo f;
    fill(&f, 0, 3);
    assert_int_equal(rt_fifo_remove(&f, rt_item(&links[1], RT_TAG_STEP)), 0);
    assert_int_equal(rt_fifo_remove(&f, item(5)), 0);
    expect_order(&f, "012");
    assert_int_equal(rt_fifo_remove(&f, item(0)), 0);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_item_keeps_link_and_tag),
    T_TEST(test_fifo_push_keeps_order),
    T_TEST(test_fifo_push_after_it_ran_empty),
    T_TEST(test_fifo_append_joins_and_empties),
    T_TEST(test_fifo_append_then_push_goes_behind),
    T_TEST(test_fifo_remove_at_every_place),
    T_TEST(test_fifo_remove_looks_at_the_tag),
};
T_MAIN(tests, NULL)
