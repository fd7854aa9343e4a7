/* SPDX-License-Identifier: MIT */
/* Goal: a panic says one line, calls the hook once and aborts; checks cost nothing when they hold.
 * Method: each dying function runs in a child whose stderr is read. */
#include "capture.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/stat.h"

#include <errno.h>

static void panic_plain(void)
{
    rt_panic("value %d of %s", 7, "seven");
}

static void hook(void)
{
    rt_log("hook");
    rt_panic("again");
}

static void panic_with_hook(void)
{
    rt_panic_hook = hook;
    rt_panic("first");
}

static void check_false(void)
{
    int one = 1;

    RT_CHECK(one == 2);
}

static void assert_false_here(void)
{
    int one = 1;

    RT_ASSERT(one == 3);
}

static void log_long(void)
{
    char text[2000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    rt_warn("%s", text);
}

static void test_panic_prints_one_line_and_aborts(void **state)
{
    (void)state;
    capture_expect_panic(panic_plain, "skua: value 7 of seven\n");
}

static void test_panic_in_hook_calls_hook_once(void **state)
{
    struct capture c;

    (void)state;
    capture_run(&c, panic_with_hook);
    assert_true(WIFSIGNALED(c.status));
    assert_string_equal(c.text, "skua: first\nskua: hook\nskua: again\n");
}

static void test_check_false_names_expression_and_place(void **state)
{
    (void)state;
    capture_expect_panic(check_false, "check failed: one == 2 (");
}

static void test_assert_false_dies_in_debug_only(void **state)
{
    struct capture c;

    (void)state;
    capture_run(&c, assert_false_here);
    assert_int_equal(WIFSIGNALED(c.status) != 0, RT_DEBUG);
}

static void test_log_long_line_is_cut_and_ends(void **state)
{
    struct capture c;

    (void)state;
    capture_run(&c, log_long);
    assert_int_equal(strlen(c.text), RT_LOG_LINE_MAX - 1);
    assert_int_equal(strncmp(c.text, "skua: warning: xxx", 18), 0);
    assert_int_equal(c.text[strlen(c.text) - 1], '\n');
}

static void test_err_name_known_and_unknown(void **state)
{
    (void)state;
    assert_string_equal(rt_err_name(-EAGAIN), "EAGAIN");
    assert_string_equal(rt_err_name(ETIMEDOUT), "ETIMEDOUT");
    assert_string_equal(rt_err_name(-99999), "?");
}

static void test_stat_counts(void **state)
{
    struct rt_stat s = { 0 };

    (void)state;
    RT_STAT_INC(&s);
    RT_STAT_ADD(&s, 9);
    RT_STAT_SUB(&s, 3);
    RT_STAT_MAX(&s, 5);
    assert_int_equal(RT_STAT_GET(&s), 7);
    RT_STAT_MAX(&s, 50);
    RT_STAT_SHARED_ADD(&s, 1);
    assert_int_equal(RT_STAT_GET(&s), 51);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_panic_prints_one_line_and_aborts),
        cmocka_unit_test(test_panic_in_hook_calls_hook_once),
        cmocka_unit_test(test_check_false_names_expression_and_place),
        cmocka_unit_test(test_assert_false_dies_in_debug_only),
        cmocka_unit_test(test_log_long_line_is_cut_and_ends),
        cmocka_unit_test(test_err_name_known_and_unknown),
        cmocka_unit_test(test_stat_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
