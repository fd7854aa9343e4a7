/* SPDX-License-Identifier: MIT */
/* floor 0: base. Counters written by one thread and read by any: a plain add for the owner, never
 * torn for readers. relaxed throughout: a counter orders nothing, and the owner reads its own
 * writes. */
#ifndef RT_BASE_STAT_H
#define RT_BASE_STAT_H

#include "base/atomic.h"

#include <stdint.h>

struct rt_stat {
    RT_ATOMIC(uint64_t) n;
};

/* Owner only. */
#define RT_STAT_ADD(s, k) rt_store_relaxed(&(s)->n, rt_load_relaxed(&(s)->n) + (uint64_t)(k))
#define RT_STAT_SUB(s, k) rt_store_relaxed(&(s)->n, rt_load_relaxed(&(s)->n) - (uint64_t)(k))
#define RT_STAT_INC(s)    RT_STAT_ADD(s, 1)
#define RT_STAT_SET(s, v) rt_store_relaxed(&(s)->n, (uint64_t)(v))
#define RT_STAT_MAX(s, v) \
    do { \
        uint64_t rt_stat_v = (uint64_t)(v); \
        if (rt_stat_v > rt_load_relaxed(&(s)->n)) \
            rt_store_relaxed(&(s)->n, rt_stat_v); \
    } while (0)
/* Any thread. */
#define RT_STAT_GET(s)           rt_load_relaxed(&(s)->n)
/* Any thread, for the few counters without an owner. */
#define RT_STAT_SHARED_ADD(s, k) ((void)rt_add_relaxed(&(s)->n, (uint64_t)(k)))

#endif
