/* SPDX-License-Identifier: MIT */
/* floor 0: base. Monotonic time in nanoseconds. A deadline is a uint64_t; RT_NEVER lies after every
 * other. */
#ifndef RT_BASE_CLOCK_H
#define RT_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define RT_NEVER      UINT64_MAX
#define RT_NS_PER_US  UINT64_C(1000)
#define RT_NS_PER_MS  UINT64_C(1000000)
#define RT_NS_PER_SEC UINT64_C(1000000000)

/* CLOCK_MONOTONIC. */
uint64_t rt_clock_now(void);

/* 0, or -EINVAL for NaN. s <= 0 gives 0; infinity and what does not fit give RT_NEVER; otherwise
 * rounds up, so that a sleeper never wakes early. */
int rt_ns_from_seconds(double s, uint64_t *ret_ns);

/* RT_NEVER gives infinity. */
double rt_seconds_from_ns(uint64_t ns);

/* Time left in the form that the waiting calls of sys.h take: -1 (for ever) for RT_NEVER, 0 when
 * due, else > 0. */
int64_t rt_ns_until(uint64_t deadline, uint64_t now);

/* Milliseconds for poll and epoll_wait: rounds up, negative stays -1 (for ever), too large gives
 * INT_MAX. */
int rt_ms_from_ns(int64_t ns);

struct timespec rt_timespec_from_ns(uint64_t ns);

/* Saturates at RT_NEVER. */
static inline uint64_t rt_ns_add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? RT_NEVER : sum;
}

#endif
