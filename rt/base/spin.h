/* SPDX-License-Identifier: MIT */
/* floor 0: base. Busy waiting: one pause, and exponential backoff. Orders nothing. */
#ifndef RT_BASE_SPIN_H
#define RT_BASE_SPIN_H

#include <ck_pr.h>

static inline void rt_spin_pause(void)
{
    ck_pr_stall();
#if defined(__aarch64__)
    /* Concurrency Kit only holds back the compiler there. isb drains the pipeline, which takes long
     * enough to matter; yield does nothing on most cores. */
    __asm__ volatile("isb" ::: "memory");
#endif
}

struct rt_backoff {
    unsigned turns;
};

#define RT_BACKOFF_INIT { 4 }
#define RT_BACKOFF_MAX 64u

/* Waits a little longer each time. */
static inline void rt_backoff_wait(struct rt_backoff *b)
{
    for (unsigned i = 0; i < b->turns; i++)
        rt_spin_pause();
    if (b->turns < RT_BACKOFF_MAX)
        b->turns *= 2;
}

#endif
