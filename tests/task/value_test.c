/* SPDX-License-Identifier: MIT */
/* Goal: every error survives its pointer, and nothing that can be a pointer is taken for one. */
#include "t.h"

#include <stdlib.h>
#include <sys/mman.h>

static void test_value_every_errno_comes_back(void **state)
{
    for (int e = 1; e <= 4095; e++) {
        assert_int_equal(skua_failed(skua_fail(-e)), -e);
        assert_non_null(skua_fail(-e));
    }
}

static void test_value_other_numbers_become_einval(void **state)
{
    static const int odd[] = { 0,     1,     EPERM,  4095,      4096,
                               -4096, -4097, -65536, INT32_MAX, INT32_MIN };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_int_equal(skua_failed(skua_fail(odd[i])), -EINVAL);
}

static void *everything_below(int bits)
{
    return (void *)(uintptr_t)(((uint64_t)1 << bits) - 1);
}

static void test_value_pointers_are_no_errors(void **state)
{
    int   local;
    void *heap = malloc(16), *large = malloc(1 << 22);
    void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const void *all[] = { NULL, &local, heap, large, map, state, (const void *)skua_fail, "text" };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_int_equal(skua_failed(all[i]), 0);
    munmap(map, 4096);
    free(large);
    free(heap);
}

/* Both halves of the address space, with four and with five levels of page tables (those are all
 * that a mapping can have), small integers and their negatives. */
static void test_value_canonical_addresses_are_no_errors(void **state)
{
    for (int bit = 0; bit < 47; bit++) {
        uint64_t low = (uint64_t)1 << bit;
        assert_int_equal(skua_failed((void *)(uintptr_t)low), 0);
        assert_int_equal(skua_failed(everything_below(bit)), 0);
        assert_int_equal(skua_failed((void *)(uintptr_t)~low), 0);
        assert_int_equal(skua_failed((void *)(uintptr_t)(0 - low)), 0);
    }
    assert_int_equal(skua_failed(everything_below(47)), 0);
    for (intptr_t i = -10000; i <= 10000; i++)
        assert_int_equal(skua_failed((void *)i), 0);
}

static void test_value_error_pointers_are_not_canonical(void **state)
{
    for (int e = 1; e <= 4095; e += 7) {
        uintptr_t top = (uintptr_t)skua_fail(-e) >> 47;
        assert_true(top != 0 && top != 0x1ffff);
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_value_every_errno_comes_back),
    T_TEST(test_value_other_numbers_become_einval),
    T_TEST(test_value_pointers_are_no_errors),
    T_TEST(test_value_canonical_addresses_are_no_errors),
    T_TEST(test_value_error_pointers_are_not_canonical),
};
T_MAIN(tests, NULL)
