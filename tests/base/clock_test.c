/* SPDX-License-Identifier: MIT */
/* Goal: no edge of time arithmetic wraps, wakes early or sleeps for ever by mistake. Method:
 * tables. */
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_ns_from_seconds_edges(void **state)
{
    static const struct {
        double s;
        uint64_t ns;
    } cases[] = {
        { 0.0, 0 },
        { -0.0, 0 },
        { -1.0, 0 },
        { -INFINITY, 0 },
        { 0x1p-1074, 1 }, /* the least denormal */
        { 1e-300, 1 },
        { 1e-10, 1 },
        { 1e-9, 1 },
        { 1.5e-9, 2 },
        { 2.1e-9, 3 },
        { 0.001, 1000000 },
        { 0.1, 100000000 },
        { 0.3, 300000000 },
        { 1.0, 1000000000 },
        { 1.1, 1100000000 },
        { 1.0000000015, 1000000002 },
        { 3600.0, UINT64_C(3600000000000) },
        { 4294967.296, UINT64_C(4294967296000000) }, /* 2^32 ms, 49.7 days */
        { 1e10, UINT64_C(10000000000000000000) },
        { 1.9e10, RT_NEVER },
        { 1e300, RT_NEVER },
        { INFINITY, RT_NEVER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ns = 12345;

        assert_int_equal(rt_ns_from_seconds(cases[i].s, &ns), 0);
        if (ns != cases[i].ns)
            fail_msg("case %zu: %llu", i, (unsigned long long)ns);
    }
}

static void test_ns_from_seconds_nan_is_refused(void **state)
{
    uint64_t ns = 12345;

    (void)state;
    assert_int_equal(rt_ns_from_seconds(NAN, &ns), -EINVAL);
    assert_int_equal(rt_ns_from_seconds(-NAN, &ns), -EINVAL);
    assert_int_equal(ns, 12345);
}

static void test_ns_from_seconds_never_rounds_down(void **state)
{
    (void)state;
    for (uint64_t i = 1; i < 100000; i++) {
        double s = (double)i * 1.37e-8;
        uint64_t ns;

        assert_int_equal(rt_ns_from_seconds(s, &ns), 0);
        assert_true((double)ns >= s * 1e9 && (double)ns < s * 1e9 + 1);
    }
}

static void test_ns_add_saturates(void **state)
{
    (void)state;
    assert_int_equal(rt_ns_add(1, 2), 3);
    assert_true(rt_ns_add(RT_NEVER - 1, 1) == RT_NEVER);
    assert_true(rt_ns_add(RT_NEVER - 1, 2) == RT_NEVER);
    assert_true(rt_ns_add(RT_NEVER, 0) == RT_NEVER);
    assert_true(rt_ns_add(RT_NEVER, RT_NEVER) == RT_NEVER);
}

static void test_ns_until_edges(void **state)
{
    (void)state;
    assert_true(rt_ns_until(RT_NEVER, 0) == -1);
    assert_true(rt_ns_until(RT_NEVER, RT_NEVER) == -1);
    assert_true(rt_ns_until(5, 5) == 0);
    assert_true(rt_ns_until(5, 6) == 0);
    assert_true(rt_ns_until(0, RT_NEVER) == 0);
    assert_true(rt_ns_until(6, 5) == 1);
    assert_true(rt_ns_until(RT_NEVER - 1, 0) == INT64_MAX);
}

static void test_ms_from_ns_rounds_up_and_clamps(void **state)
{
    (void)state;
    assert_int_equal(rt_ms_from_ns(-1), -1);
    assert_int_equal(rt_ms_from_ns(INT64_MIN), -1);
    assert_int_equal(rt_ms_from_ns(0), 0);
    assert_int_equal(rt_ms_from_ns(1), 1);
    assert_int_equal(rt_ms_from_ns(999999), 1);
    assert_int_equal(rt_ms_from_ns(1000000), 1);
    assert_int_equal(rt_ms_from_ns(1000001), 2);
    assert_int_equal(rt_ms_from_ns(INT64_C(2147483647) * 1000000), INT_MAX);
    assert_int_equal(rt_ms_from_ns(INT64_C(2147483647) * 1000000 + 1), INT_MAX);
    assert_int_equal(rt_ms_from_ns(INT64_C(4294967296) * 1000000),
                     INT_MAX); /* 49.7 days: no wrap */
    assert_int_equal(rt_ms_from_ns(INT64_MAX), INT_MAX);
}

static void test_seconds_and_timespec_from_ns(void **state)
{
    struct timespec ts = rt_timespec_from_ns(UINT64_C(3000000007));

    (void)state;
    assert_true(rt_seconds_from_ns(0) == 0.0);
    assert_true(rt_seconds_from_ns(1500000000) == 1.5);
    assert_true(isinf(rt_seconds_from_ns(RT_NEVER)));
    assert_int_equal(ts.tv_sec, 3);
    assert_int_equal(ts.tv_nsec, 7);
}

static void test_now_never_goes_back(void **state)
{
    uint64_t last = rt_clock_now();

    (void)state;
    assert_true(last > 0);
    for (int i = 0; i < 100000; i++) {
        uint64_t now = rt_clock_now();

        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ns_from_seconds_edges),
        cmocka_unit_test(test_ns_from_seconds_nan_is_refused),
        cmocka_unit_test(test_ns_from_seconds_never_rounds_down),
        cmocka_unit_test(test_ns_add_saturates),
        cmocka_unit_test(test_ns_until_edges),
        cmocka_unit_test(test_ms_from_ns_rounds_up_and_clamps),
        cmocka_unit_test(test_seconds_and_timespec_from_ns),
        cmocka_unit_test(test_now_never_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
