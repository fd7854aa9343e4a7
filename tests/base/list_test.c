/* SPDX-License-Identifier: MIT */
/* Goal: order, membership and splicing of the intrusive list. Method: small cases, damage in a
 * child. */
#include "capture.h"

#include "base/list.h"

struct item {
    int value;
    struct rt_list link;
};

static struct rt_list list = RT_LIST_INIT(list);
static struct item item[6];

static int setup(void **state)
{
    (void)state;
    rt_list_init(&list);
    for (int i = 0; i < 6; i++)
        item[i] = (struct item){ .value = i };
    return 0;
}

static void expect_values(const struct rt_list *head, const char *want)
{
    char got[16];
    size_t n = 0;

    rt_list_foreach(it, (struct rt_list *)(uintptr_t)head) got[n++] =
        (char)('0' + rt_list_entry(it, struct item, link)->value);
    got[n] = '\0';
    assert_string_equal(got, want);
    assert_int_equal(rt_list_count(head), n);
}

static void test_list_push_and_pop_both_ends(void **state)
{
    (void)state;
    assert_true(rt_list_is_empty(&list));
    assert_null(rt_list_pop_front(&list));
    assert_null(rt_list_pop_back(&list));
    rt_list_push_back(&list, &item[1].link);
    rt_list_push_back(&list, &item[2].link);
    rt_list_push_front(&list, &item[0].link);
    rt_list_insert_before(&item[2].link, &item[5].link);
    expect_values(&list, "0152");
    assert_ptr_equal(rt_list_first(&list), &item[0].link);
    assert_ptr_equal(rt_list_last(&list), &item[2].link);
    assert_ptr_equal(rt_list_pop_front(&list), &item[0].link);
    assert_ptr_equal(rt_list_pop_back(&list), &item[2].link);
    expect_values(&list, "15");
}

static void test_list_remove_puts_node_to_rest(void **state)
{
    (void)state;
    assert_false(rt_list_is_linked(&item[0].link));
    rt_list_push_back(&list, &item[0].link);
    assert_true(rt_list_is_linked(&item[0].link));
    rt_list_remove(&item[0].link);
    assert_false(rt_list_is_linked(&item[0].link));
    assert_true(rt_list_is_empty(&list));
    rt_list_push_back(&list, &item[0].link);
    expect_values(&list, "0");
}

static void test_list_foreach_safe_survives_removal(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        rt_list_push_back(&list, &item[i].link);
    rt_list_foreach_safe(it, &list)
    {
        if (rt_list_entry(it, struct item, link)->value % 2 == 0)
            rt_list_remove(it);
    }
    expect_values(&list, "135");
}

static void test_list_splice_back_moves_all(void **state)
{
    struct rt_list other = RT_LIST_INIT(other);

    (void)state;
    rt_list_splice_back(&list, &other);
    assert_true(rt_list_is_empty(&list));
    rt_list_push_back(&list, &item[0].link);
    rt_list_push_back(&other, &item[1].link);
    rt_list_push_back(&other, &item[2].link);
    rt_list_splice_back(&list, &other);
    expect_values(&list, "012");
    assert_true(rt_list_is_empty(&other));
    rt_list_splice_back(&other, &list);
    expect_values(&other, "012");
    while (rt_list_pop_front(&other) != NULL)
        ;
}

#if RT_DEBUG
static void push_twice(void)
{
    struct rt_list other = RT_LIST_INIT(other);

    rt_list_push_back(&list, &item[0].link);
    rt_list_push_back(&other, &item[0].link);
}

static void remove_unlinked(void)
{
    rt_list_remove(&item[0].link);
}

static void test_list_misuse_dies_in_debug(void **state)
{
    (void)state;
    capture_expect_panic(push_twice, "!rt_list_is_linked(node)");
    capture_expect_panic(remove_unlinked, "rt_list_is_linked(node)");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_list_push_and_pop_both_ends, setup),
        cmocka_unit_test_setup(test_list_remove_puts_node_to_rest, setup),
        cmocka_unit_test_setup(test_list_foreach_safe_survives_removal, setup),
        cmocka_unit_test_setup(test_list_splice_back_moves_all, setup),
#if RT_DEBUG
        cmocka_unit_test_setup(test_list_misuse_dies_in_debug, setup),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
