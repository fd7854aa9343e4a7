/* SPDX-License-Identifier: MIT */
#include "base/env.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

int rt_parse_int(const char *s, int64_t *ret_value)
{
    int base = 10;
    int sign = 1;
    int64_t value = 0;

    if (*s == '-' || *s == '+')
        sign = *s++ == '-' ? -1 : 1;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    }
    if (*s == '\0')
        return -EINVAL;
    for (const char *p = s; *p != '\0'; p++) {
        if (digit_of(*p) >= base)
            return -EINVAL;
    }
    for (; *s != '\0'; s++) {
        /* With its sign from the start, since INT64_MIN has no positive. */
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, sign * digit_of(*s), &value))
            return -ERANGE;
    }
    *ret_value = value;
    return 0;
}

const char *rt_env_str(const char *name)
{
    const char *s = secure_getenv(name);

    return s != NULL && *s != '\0' ? s : NULL;
}

int64_t rt_env_int(const char *name, int64_t lo, int64_t hi, int64_t fallback)
{
    const char *s = rt_env_str(name);
    int64_t value = 0;
    int rc;

    if (s == NULL)
        return fallback;
    rc = rt_parse_int(s, &value);
    if (rc == -EINVAL) {
        rt_warn("%s=%.64s ignored: not an integer", name, s);
        return fallback;
    }
    if (rc < 0 || value < lo || value > hi) {
        rt_warn("%s=%.64s ignored: not within %" PRId64 " .. %" PRId64, name, s, lo, hi);
        return fallback;
    }
    return value;
}

bool rt_env_bool(const char *name, bool fallback)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        { "1", true },  { "yes", true }, { "true", true },   { "on", true },
        { "0", false }, { "no", false }, { "false", false }, { "off", false },
    };
    const char *s = rt_env_str(name);

    if (s == NULL)
        return fallback;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(s, words[i].word) == 0)
            return words[i].value;
    }
    rt_warn("%s=%.64s ignored: not 0 or 1", name, s);
    return fallback;
}
