/* SPDX-License-Identifier: MIT */
/* floor 0: base. Attributes and layout helpers. */
#ifndef RT_BASE_COMPILER_H
#define RT_BASE_COMPILER_H

#include <stddef.h>

#define RT_LIKELY(x)   __builtin_expect(!!(x), 1)
#define RT_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RT_NOINLINE    __attribute__((noinline))
#define RT_COLD        __attribute__((cold, noinline))
#define RT_MUST_USE    __attribute__((warn_unused_result))
#define RT_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Objects written by different threads stay this far apart. */
#define RT_CACHE_LINE 64
#define RT_CACHELINE  __attribute__((aligned(RT_CACHE_LINE)))

#define rt_container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Keeps the compiler from carrying anything over this point (used by thread-state accessors). */
#define RT_COMPILER_BARRIER() __asm__ volatile("" ::: "memory")

#endif
