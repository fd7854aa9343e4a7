/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Sleeping and yielding. */
#include <errno.h>
#include <math.h>

#include "sched/wait.h"

int skua_sleep(double s)
{
    struct rt_worker *w = rt_self();
    uint64_t          deadline;
    if (!w || !w->cur)
        return -EPERM;
    if (s <= 0)
        return rt_wait_turn(w);
    int r = rt_deadline(w, s, &deadline);
    return r < 0 ? r : rt_wait_until(deadline);
}

int skua_sleep_result(double s, void *result, void **ret_result)
{
    int r = skua_sleep(s);
    if (r == 0 && ret_result)
        *ret_result = result;
    return r;
}

int skua_sleep_until(double when)
{
    struct rt_worker *w = rt_self();
    uint64_t          deadline;
    if (!w || !w->cur)
        return -EPERM;
    int r = rt_ns_from_seconds(when, &deadline);
    if (r < 0)
        return r;
    return deadline <= rt_timers_read_clock(&w->timers) ? rt_wait_turn(w) : rt_wait_until(deadline);
}

int skua_yield(void)
{
    struct rt_worker *w = rt_self();
    return w && w->cur ? rt_wait_turn(w) : -EPERM;
}
