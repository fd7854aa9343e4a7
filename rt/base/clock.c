/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <math.h>

uint64_t rt_clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * RT_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

int rt_ns_from_seconds(double s, uint64_t *ret_ns)
{
    double ns;
    uint64_t whole;

    if (isnan(s))
        return -EINVAL;
    if (s <= 0) {
        *ret_ns = 0;
        return 0;
    }
    ns = s * 1e9;
    if (ns >= 0x1p64) {
        *ret_ns = RT_NEVER;
        return 0;
    }
    whole = (uint64_t)ns;
    *ret_ns = (double)whole < ns ? whole + 1 : whole; /* above 2^53 every double is whole */
    return 0;
}

double rt_seconds_from_ns(uint64_t ns)
{
    if (ns == RT_NEVER)
        return INFINITY;
    return (double)ns / 1e9;
}

int64_t rt_ns_until(uint64_t deadline, uint64_t now)
{
    if (deadline == RT_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    return deadline - now > INT64_MAX ? INT64_MAX : (int64_t)(deadline - now);
}

int rt_ms_from_ns(int64_t ns)
{
    int64_t ms;

    if (ns < 0)
        return -1;
    ms = ns / (int64_t)RT_NS_PER_MS + (ns % (int64_t)RT_NS_PER_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

struct timespec rt_timespec_from_ns(uint64_t ns)
{
    struct timespec ts = {
        .tv_sec = (time_t)(ns / RT_NS_PER_SEC),
        .tv_nsec = (long)(ns % RT_NS_PER_SEC),
    };

    return ts;
}
