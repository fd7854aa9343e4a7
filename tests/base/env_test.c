/* SPDX-License-Identifier: MIT */
/* Goal: a sane variable is taken, anything else is named in one warning and ignored.
 * Method: tables; warnings are read from a child. */
#include "capture.h"

#include "base/env.h"

#include <errno.h>

#define NAME "SKUA_TEST_VARIABLE"

static void test_parse_int_table(void **state)
{
    static const struct {
        const char *s;
        int rc;
        int64_t value;
    } cases[] = {
        { "0", 0, 0 },
        { "-0", 0, 0 },
        { "42", 0, 42 },
        { "+42", 0, 42 },
        { "-42", 0, -42 },
        { "007", 0, 7 },
        { "0x10", 0, 16 },
        { "0XfF", 0, 255 },
        { "-0x1", 0, -1 },
        { "9223372036854775807", 0, INT64_MAX },
        { "-9223372036854775808", 0, INT64_MIN },
        { "9223372036854775808", -ERANGE, 0 },
        { "-9223372036854775809", -ERANGE, 0 },
        { "99999999999999999999999", -ERANGE, 0 },
        { "99999999999999999999999x", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "-", -EINVAL, 0 },
        { "0x", -EINVAL, 0 },
        { " 1", -EINVAL, 0 },
        { "1 ", -EINVAL, 0 },
        { "1a", -EINVAL, 0 },
        { "0xg", -EINVAL, 0 },
        { "--1", -EINVAL, 0 },
        { "1.5", -EINVAL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 0;
        int rc = rt_parse_int(cases[i].s, &value);

        if (rc != cases[i].rc || value != cases[i].value)
            fail_msg("'%s': %d, %lld", cases[i].s, rc, (long long)value);
    }
}

static void read_int(void)
{
    _exit((int)rt_env_int(NAME, 1, 100, 77));
}

static void read_bool(void)
{
    _exit((rt_env_bool(NAME, false) ? 1 : 0) | (rt_env_bool(NAME, true) ? 2 : 0));
}

static void expect_read(void (*read)(void), const char *value, int want, const char *warning)
{
    struct capture c;

    if (value != NULL)
        assert_int_equal(setenv(NAME, value, 1), 0);
    else
        unsetenv(NAME);
    capture_run(&c, read);
    assert_true(WIFEXITED(c.status));
    assert_int_equal(WEXITSTATUS(c.status), want);
    if (warning == NULL)
        assert_string_equal(c.text, "");
    else if (strstr(c.text, NAME) == NULL || strstr(c.text, warning) == NULL)
        fail_msg("'%s' lacks '%s'", c.text, warning);
}

static void test_env_int_takes_or_warns(void **state)
{
    (void)state;
    expect_read(read_int, NULL, 77, NULL);
    expect_read(read_int, "", 77, NULL);
    expect_read(read_int, "1", 1, NULL);
    expect_read(read_int, "100", 100, NULL);
    expect_read(read_int, "0", 77, "not within 1 .. 100");
    expect_read(read_int, "101", 77, "not within 1 .. 100");
    expect_read(read_int, "999999999999999999999", 77, "not within");
    expect_read(read_int, "many", 77, "=many ignored: not an integer");
}

static void test_env_bool_takes_or_warns(void **state)
{
    (void)state;
    expect_read(read_bool, NULL, 2, NULL);
    expect_read(read_bool, "1", 3, NULL);
    expect_read(read_bool, "Yes", 3, NULL);
    expect_read(read_bool, "TRUE", 3, NULL);
    expect_read(read_bool, "on", 3, NULL);
    expect_read(read_bool, "0", 0, NULL);
    expect_read(read_bool, "off", 0, NULL);
    expect_read(read_bool, "2", 2, "not 0 or 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_int_table),
        cmocka_unit_test(test_env_int_takes_or_warns),
        cmocka_unit_test(test_env_bool_takes_or_warns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
