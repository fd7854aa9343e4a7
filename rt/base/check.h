/* SPDX-License-Identifier: MIT */
/* floor 0: base. Checks and the panic.
 *
 * RT_CHECK stays in every build: it guards against misuse that would corrupt. RT_ASSERT is for
 * states we believe in and costs nothing in release builds. RT_AUDIT is for walks over whole
 * structures.
 */
#ifndef RT_BASE_CHECK_H
#define RT_BASE_CHECK_H

#include "base/compiler.h"

#if defined(SKUA_DEBUG_CHECKS) && SKUA_DEBUG_CHECKS
#define RT_DEBUG 1
#else
#define RT_DEBUG 0
#endif

/* Prints one line "skua: ..." to stderr with a single write, calls rt_panic_hook once, aborts.
 * Allocates nothing. */
_Noreturn void rt_panic(const char *fmt, ...) RT_PRINTF(1, 2) RT_COLD;
_Noreturn void rt_check_failed(const char *expr, const char *file, int line) RT_COLD;

/* The only upward call of the house: set once at start by the floor that can print a dump; NULL
 * otherwise. */
extern void (*rt_panic_hook)(void);

#define RT_CHECK(x) (RT_LIKELY(x) ? (void)0 : rt_check_failed(#x, __FILE__, __LINE__))

#if RT_DEBUG
#define RT_ASSERT(x) RT_CHECK(x)
#else
#define RT_ASSERT(x) ((void)sizeof((x) ? 1 : 0))
#endif

#if defined(SKUA_AUDIT) && SKUA_AUDIT
#define RT_AUDIT(x) RT_CHECK(x)
#else
#define RT_AUDIT(x) ((void)sizeof((x) ? 1 : 0))
#endif

#endif
