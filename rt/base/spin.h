/* SPDX-License-Identifier: MIT */
/* floor 0: base. Busy waiting: one pause, and exponential backoff. Orders nothing. */
#ifndef RT_BASE_SPIN_H
#define RT_BASE_SPIN_H

#include <ck_pr.h>

static inline void rt_spin_pause(void)
{
    ck_pr_stall();
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
        ck_pr_stall();
    if (b->turns < RT_BACKOFF_MAX)
        b->turns *= 2;
}

#endif
