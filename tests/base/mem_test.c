/* SPDX-License-Identifier: MIT */
/* Goal: the allocation seam gives memory, counts it in testing builds and fails where told. */
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_mem_gives_what_was_asked_for(void **state)
{
    char *copy = rt_strdup("skua");
    unsigned char *zero = rt_calloc(10, 10);
    char *grown;
    void *line = rt_aligned(64, 100);

    (void)state;
    assert_string_equal(copy, "skua");
    grown = rt_realloc(copy, 4096);
    assert_string_equal(grown, "skua");
    for (int i = 0; i < 100; i++)
        assert_int_equal(zero[i], 0);
    assert_int_equal((uintptr_t)line % 64, 0);
    memset(line, 1, 128);
    rt_free(grown);
    rt_free(zero);
    rt_free(line);
    rt_free(NULL);
}

static void test_mem_impossible_sizes_fail(void **state)
{
    volatile size_t huge = SIZE_MAX - 8;

    (void)state;
    assert_null(rt_aligned(64, huge));
}

#ifdef RT_TESTING
static void test_mem_live_counts_blocks(void **state)
{
    int64_t before = rt_mem_live();
    void *a = rt_malloc(1);
    void *b = rt_realloc(NULL, 1);

    (void)state;
    assert_int_equal(rt_mem_live(), before + 2);
    b = rt_realloc(b, 1000);
    b = rt_realloc(b, 0);
    assert_int_equal(rt_mem_live(), before + 2);
    rt_free(a);
    rt_free(b);
    assert_int_equal(rt_mem_live(), before);
}

static void test_mem_nth_allocation_fails_once(void **state)
{
    void *p[4];

    (void)state;
    rt_fault_alloc_arm(3);
    p[0] = rt_malloc(8);
    p[1] = rt_calloc(1, 8);
    assert_null(rt_strdup("x"));
    p[2] = rt_aligned(16, 16);
    p[3] = rt_malloc(8);
    assert_int_equal(rt_fault_alloc_hits(), 1);
    assert_int_equal(rt_fault_alloc_uses(), 5);
    for (int i = 0; i < 4; i++) {
        assert_non_null(p[i]);
        rt_free(p[i]);
    }
    rt_fault_alloc_arm(0);
}

static void test_mem_all_from_nth_fail(void **state)
{
    char *p;

    (void)state;
    rt_fault_alloc_arm_from(2);
    p = rt_strdup("kept");
    assert_non_null(p);
    assert_null(rt_realloc(p, 100));
    assert_null(rt_malloc(8));
    assert_null(rt_calloc(1, 8));
    assert_null(rt_aligned(16, 8));
    assert_int_equal(rt_fault_alloc_hits(), 4);
    rt_fault_alloc_arm(0);
    assert_string_equal(p, "kept");
    rt_free(p);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem_gives_what_was_asked_for),
        cmocka_unit_test(test_mem_impossible_sizes_fail),
#ifdef RT_TESTING
        cmocka_unit_test(test_mem_live_counts_blocks),
        cmocka_unit_test(test_mem_nth_allocation_fails_once),
        cmocka_unit_test(test_mem_all_from_nth_fail),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
