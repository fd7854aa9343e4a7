/* SPDX-License-Identifier: MIT */
#include "base/event_count.h"

#include "base/clock.h"
#include "base/sys.h"

#include <assert.h>
#include <ck_ec.h>
#include <errno.h>

static_assert(sizeof(struct rt_event_count) == sizeof(struct ck_ec32), "one word, seen by both");

static int ops_gettime(const struct ck_ec_ops *ops, struct timespec *out)
{
    (void)ops;
    *out = rt_timespec_from_ns(rt_clock_now());
    return 0;
}

static void ops_wait32(const struct ck_ec_wait_state *state, const uint32_t *word,
                       uint32_t expected, const struct timespec *deadline)
{
    int64_t timeout_ns = -1;

    (void)state;
    if (deadline != NULL) {
        uint64_t sec = (uint64_t)deadline->tv_sec;
        uint64_t ns = sec * RT_NS_PER_SEC + (uint64_t)deadline->tv_nsec;

        timeout_ns = rt_ns_until(sec > INT64_MAX / RT_NS_PER_SEC ? RT_NEVER : ns, rt_clock_now());
    }
    /* The kernel only compares the word: its const and its type do not matter. */
    rt_sys_futex_wait((RT_ATOMIC(uint32_t) *)(uintptr_t)word, expected, timeout_ns);
}

static void ops_wake32(const struct ck_ec_ops *ops, const uint32_t *word)
{
    (void)ops;
    rt_sys_futex_wake((RT_ATOMIC(uint32_t) *)(uintptr_t)word, INT32_MAX);
}

static const struct ck_ec_ops ec_ops = {
    .gettime = ops_gettime,
    .wait32 = ops_wait32,
    .wake32 = ops_wake32,
};

static const struct ck_ec_mode ec_mode = { .ops = &ec_ops, .single_producer = false };

void rt_event_count_init(struct rt_event_count *ec)
{
    ck_ec32_init((struct ck_ec32 *)ec, 0);
}

uint32_t rt_event_count_value(const struct rt_event_count *ec)
{
    return ck_ec32_value((const struct ck_ec32 *)ec);
}

int rt_event_count_wait(struct rt_event_count *ec, uint32_t old, uint64_t deadline_ns)
{
    struct timespec ts = rt_timespec_from_ns(deadline_ns);
    const struct timespec *deadline = deadline_ns == RT_NEVER ? NULL : &ts;

    return ck_ec32_wait((struct ck_ec32 *)ec, &ec_mode, old, deadline) == 0 ? 0 : -ETIMEDOUT;
}

void rt_event_count_broadcast(struct rt_event_count *ec)
{
    ck_ec32_inc((struct ck_ec32 *)ec, &ec_mode);
}
