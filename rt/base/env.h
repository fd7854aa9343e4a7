/* SPDX-License-Identifier: MIT */
/* floor 0: base. Reading SKUA_* variables. A value that makes no sense is reported in one warning
 * line that names the variable, and then ignored. Empty counts as unset. */
#ifndef RT_BASE_ENV_H
#define RT_BASE_ENV_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal, or hexadecimal after 0x, within lo..hi; else fallback. */
int64_t rt_env_int(const char *name, int64_t lo, int64_t hi, int64_t fallback);

/* 1 0 yes no true false on off, in any case; else fallback. */
bool rt_env_bool(const char *name, bool fallback);

/* NULL when unset or empty. */
const char *rt_env_str(const char *name);

/* The whole of s as an integer: 0, -EINVAL when malformed, -ERANGE when it does not fit. */
int rt_parse_int(const char *s, int64_t *ret_value);

#endif
