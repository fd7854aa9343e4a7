/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Which thread lanes a runtime has. */
#include "sched/lane_plan.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/env.h"
#include "base/log.h"

enum {
    DEFAULT_MAX = 32, /* of the default lane, min(32, CPUs + 4), which is asyncio's */
    DEFAULT_MORE = 4,
    DNS_THREADS = 4,  /* a resolver that hangs may hold these, and nobody else's    */
    FILE_THREADS = 8, /* more than a disk serves better at once                     */
    IDLE_MS = 10000,
    IDLE_MS_MAX = 3600000,
};

static int find(const struct rt_lane_plan *plan, const char *name, size_t n)
{
    for (unsigned i = 0; i < plan->n; i++)
        if (strlen(plan->lane[i].name) == n && memcmp(plan->lane[i].name, name, n) == 0)
            return (int)i;
    return -EINVAL;
}

int rt_lane_plan_find(const struct rt_lane_plan *plan, const char *name)
{
    return name ? find(plan, name, strlen(name)) : 0;
}

static int set(struct rt_lane_plan *plan, const char *name, size_t n, int threads)
{
    int at = find(plan, name, n);
    if (at < 0 && plan->n == RT_LANES_MAX)
        return -EINVAL;
    if (at < 0) {
        at = (int)plan->n++;
        memcpy(plan->lane[at].name, name, n);
        plan->lane[at].name[n] = '\0';
    }
    plan->lane[at].threads = threads;
    return 0;
}

static const char *skip(const char *s)
{
    return s + strspn(s, " ,\t\n");
}

/* One "name=number" at s. What follows it, or NULL. */
static const char *parse_one(struct rt_lane_plan *plan, const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (n == 0 || n >= RT_LANE_NAME || s[n] != '=')
        return NULL;
    const char *digits = s + n + 1;
    size_t      length = strspn(digits, "0123456789");
    int         threads = 0;
    if (length == 0 || length > 4)
        return NULL;
    for (size_t i = 0; i < length; i++)
        threads = threads * 10 + (digits[i] - '0');
    if (threads < 1 || threads > RT_LANE_THREADS_MAX || set(plan, s, n, threads) < 0)
        return NULL;
    const char *end = digits + length;
    return *end == '\0' || skip(end) != end ? skip(end) : NULL;
}

int rt_lane_plan_add(struct rt_lane_plan *plan, const char *text)
{
    struct rt_lane_plan changed = *plan;
    const char         *s = skip(text);
    while (s && *s)
        s = parse_one(&changed, s);
    if (!s)
        return -EINVAL;
    *plan = changed;
    return 0;
}

static void begin(struct rt_lane_plan *plan)
{
    *plan = (struct rt_lane_plan){ .n = 0 };
    (void)set(plan, "default", 7, 0);
    (void)set(plan, "dns", 3, DNS_THREADS);
    (void)set(plan, "file", 4, FILE_THREADS);
}

int rt_lane_plan_check(const char *text)
{
    struct rt_lane_plan plan;
    begin(&plan);
    return text ? rt_lane_plan_add(&plan, text) : 0;
}

int rt_lane_plan_threads(const struct rt_lane_plan *plan, unsigned i)
{
    int cpus = plan->lane[i].threads ? 0 : rt_cpu_count("");
    if (!cpus)
        return plan->lane[i].threads;
    return cpus + DEFAULT_MORE < DEFAULT_MAX ? cpus + DEFAULT_MORE : DEFAULT_MAX;
}

void rt_lane_plan_init(struct rt_lane_plan *plan, int threads, const char *text)
{
    const char *env = rt_env_str("SKUA_LANES");
    begin(plan);
    plan->lane[0].threads = (int)rt_env_int("SKUA_BLOCKING_THREADS", 1, RT_LANE_THREADS_MAX, 0);
    if (env && rt_lane_plan_add(plan, env) < 0)
        rt_warn("SKUA_LANES=%.64s ignored: not a list of name=threads", env);
    if (threads > 0)
        plan->lane[0].threads = threads;
    if (text)
        (void)rt_lane_plan_add(plan, text); /* checked with the other options */
    int64_t idle_ms = rt_env_int("SKUA_LANE_IDLE_MS", 1, IDLE_MS_MAX, IDLE_MS);
    plan->idle_ns = RT_NS_PER_MS * (uint64_t)idle_ms;
}
