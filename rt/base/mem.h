/* SPDX-License-Identifier: MIT */
/* floor 0: base. The one allocation seam.
 *
 * Running out of memory is an ordinary error: every function may return NULL. Release builds go
 * straight to libc (another allocator comes in by linking it); RT_TESTING builds count live blocks
 * and can fail the nth allocation.
 */
#ifndef RT_BASE_MEM_H
#define RT_BASE_MEM_H

#include "base/compiler.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* All released by rt_free. */
RT_MUST_USE char *rt_strdup(const char *s);

#ifdef RT_TESTING

RT_MUST_USE void *rt_malloc(size_t size);
RT_MUST_USE void *rt_calloc(size_t n, size_t size);
RT_MUST_USE void *rt_realloc(void *p, size_t size);
RT_MUST_USE void *rt_aligned(size_t align, size_t size);
void rt_free(void *p);

/* The nth allocation from now on, counted from 1 over all threads, fails once; 0 disarms. */
void rt_fault_alloc_arm(uint64_t nth);
/* The nth and all later ones fail until disarmed by rt_fault_alloc_arm(0). */
void rt_fault_alloc_arm_from(uint64_t nth);
/* What the thread whose allocation fails does before it is told so, for races with that moment;
 * NULL: nothing. Set while nothing is armed. */
void rt_fault_alloc_meanwhile(void (*fn)(void *arg), void *arg);
/* How many allocations have failed by injection since the last arm. */
uint64_t rt_fault_alloc_hits(void);
/* Allocations tried since the last arm: run once unarmed to learn how far nth has to go. */
uint64_t rt_fault_alloc_uses(void);
/* Blocks allocated and not yet freed. */
int64_t rt_mem_live(void);

#else

static inline RT_MUST_USE void *rt_malloc(size_t size)
{
    return malloc(size);
}

static inline RT_MUST_USE void *rt_calloc(size_t n, size_t size)
{
    return calloc(n, size);
}

static inline RT_MUST_USE void *rt_realloc(void *p, size_t size)
{
    return realloc(p, size);
}

/* align: a power of two. The size is rounded up to a multiple of it. */
static inline RT_MUST_USE void *rt_aligned(size_t align, size_t size)
{
    if (size > SIZE_MAX - align)
        return NULL;
    return aligned_alloc(align, (size + align - 1) & ~(align - 1));
}

static inline void rt_free(void *p)
{
    free(p);
}

#endif
#endif
