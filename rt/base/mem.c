/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <skua/base.h>

#include "base/atomic.h"

void skua_free(void *p)
{
    rt_free(p);
}

#ifdef RT_TESTING

#include <stdbool.h>

/* relaxed throughout: test bookkeeping, read when the threads are quiet */
static RT_ATOMIC(uint64_t) arm_nth;
static RT_ATOMIC(bool) arm_is_from;
static RT_ATOMIC(uint64_t) arm_uses;
static RT_ATOMIC(uint64_t) arm_hits;
static RT_ATOMIC(int64_t) live;
static void (*meanwhile)(void *arg);
static void *meanwhile_arg;

static void arm(uint64_t nth, bool is_from)
{
    rt_store_relaxed(&arm_nth, 0);
    rt_store_relaxed(&arm_uses, 0);
    rt_store_relaxed(&arm_hits, 0);
    rt_store_relaxed(&arm_is_from, is_from);
    rt_store_relaxed(&arm_nth, nth);
}

void rt_fault_alloc_arm(uint64_t nth)
{
    arm(nth, false);
}

void rt_fault_alloc_arm_from(uint64_t nth)
{
    arm(nth, true);
}

void rt_fault_alloc_meanwhile(void (*fn)(void *arg), void *arg)
{
    meanwhile = fn;
    meanwhile_arg = arg;
}

uint64_t rt_fault_alloc_hits(void)
{
    return rt_load_relaxed(&arm_hits);
}

uint64_t rt_fault_alloc_uses(void)
{
    return rt_load_relaxed(&arm_uses);
}

int64_t rt_mem_live(void)
{
    return rt_load_relaxed(&live);
}

static bool alloc_fails(void)
{
    uint64_t use = rt_add_relaxed(&arm_uses, 1) + 1;
    uint64_t nth = rt_load_relaxed(&arm_nth);

    if (nth == 0 || use < nth || (use > nth && !rt_load_relaxed(&arm_is_from)))
        return false;
    rt_add_relaxed(&arm_hits, 1);
    if (meanwhile != NULL)
        meanwhile(meanwhile_arg);
    return true;
}

static void *counted(void *p)
{
    if (p != NULL)
        rt_add_relaxed(&live, 1);
    return p;
}

void *rt_malloc(size_t size)
{
    return alloc_fails() ? NULL : counted(malloc(size));
}

void *rt_calloc(size_t n, size_t size)
{
    return alloc_fails() ? NULL : counted(calloc(n, size));
}

void *rt_realloc(void *p, size_t size)
{
    if (alloc_fails())
        return NULL;
    if (p == NULL)
        return counted(malloc(size));
    return realloc(p, size != 0 ? size : 1);
}

void *rt_aligned(size_t align, size_t size)
{
    if (alloc_fails() || size > SIZE_MAX - align)
        return NULL;
    return counted(aligned_alloc(align, (size + align - 1) & ~(align - 1)));
}

void rt_free(void *p)
{
    if (p != NULL)
        rt_sub_relaxed(&live, 1);
    free(p);
}

#endif /* RT_TESTING */

char *rt_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = rt_malloc(size);

    return copy != NULL ? memcpy(copy, s, size) : NULL;
}
