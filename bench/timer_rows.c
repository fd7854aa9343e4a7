/* SPDX-License-Identifier: MIT */
/* Rows of many timers: sleeping tasks, delayed calls, and timers that are armed and cancelled. */
#include "bench.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PENDING = 100000, CHURN_BATCH = 1000, STACK = 65536 };

struct crowd {
    int count;
    double delay;
};

static const struct crowd small_crowd = {.count = 100000, .delay = 2};
static const struct crowd large_crowd = {.count = 1000000, .delay = 4};

/* A line of a file under /proc or /sys whose value is in units of `unit` bytes; -1: not there. */
static double read_bytes(const char *path, const char *key, double unit)
{
    char line[256];
    double value = -1;
    FILE *f = fopen(path, "r");
    while (f != NULL && value < 0 && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%lf", &value) == 1)
            value *= unit;
    if (f != NULL)
        fclose(f);
    return value;
}

/* Resident pages and page tables of this process. */
static double memory_now(void)
{
    return read_bytes("/proc/self/status", "VmRSS:", 1024) +
           read_bytes("/proc/self/status", "VmPTE:", 1024);
}

static bool has_memory(double need, char *why, size_t n)
{
    double have = read_bytes("/proc/meminfo", "MemAvailable:", 1024);
    double limit = read_bytes("/sys/fs/cgroup/memory.max", "", 1);
    double used = read_bytes("/sys/fs/cgroup/memory.current", "", 1);
    if (limit >= 0 && used >= 0 && limit - used < have)
        have = limit - used;
    if (have >= need)
        return true;
    snprintf(why, n, "needs %.1f GB of memory, %.1f GB are free", need * 1e-9, have * 1e-9);
    return false;
}

/* ---- sleep_100k, sleep_1m: a task each ---- */

struct dormitory {
    double delay;
    atomic_int asleep;
};

static void *sleep_once(void *arg)
{
    struct dormitory *d = arg;
    atomic_fetch_add(&d->asleep, 1);
    return skua_sleep(d->delay) < 0 ? skua_fail(-EIO) : NULL;
}

/* Memory a sleeper, above what there was before. Nobody has woken before `begin` + delay: until
 * then all who fell asleep still sleep, even where the others could not be started in that time. */
static double memory_a_sleeper(struct dormitory *d, int count, double begin, double before)
{
    while (atomic_load(&d->asleep) < count && bench_now() < begin + d->delay * 0.95)
        if (skua_sleep(0.005) < 0)
            break;
    int asleep = atomic_load(&d->asleep);
    return asleep > 0 ? (memory_now() - before) / asleep : 0;
}

static void sleep_crowd(const struct crowd *crowd, struct bench_sample *s)
{
    struct dormitory d = {.delay = crowd->delay};
    skua_task **t = calloc((size_t)crowd->count, sizeof *t);
    int started = 0;
    int failed = 0;
    if (t == NULL) {
        bench_fail(s, "out of memory");
        return;
    }
    memset(t, 0xff, (size_t)crowd->count * sizeof *t); /* its pages are not the sleepers' */
    double before = memory_now();
    struct bench_clock begin = bench_clock_read();
    while (started < crowd->count && (t[started] = skua_go(sleep_once, &d)) != NULL)
        started++;
    double memory = memory_a_sleeper(&d, started, begin.wall, before);
    for (int i = 0; i < started; i++)
        failed += skua_join(t[i], NULL) < 0;
    s->value[0] = bench_value_ns(begin, crowd->count);
    s->value[0].value = bench_now() - begin.wall - crowd->delay;
    s->value[1] = s->value[0];
    s->value[1].value = memory;
    if (started < crowd->count || failed > 0)
        bench_fail(s, "%d of %d tasks could be started, %d could not sleep", started, crowd->count,
                   failed);
    free(t);
}

static void sleep_100k(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    sleep_crowd(&small_crowd, s);
}

static void sleep_1m(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    sleep_crowd(&large_crowd, s);
}

/* ---- later_100k, later_1m: a delayed call each ---- */

struct alarm {
    int left;
    skua_future *rung;
};

static void ring(void *arg)
{
    struct alarm *a = arg;
    if (--a->left == 0)
        skua_future_set_result(a->rung, NULL);
}

static void later_crowd(const struct crowd *crowd, struct bench_sample *s)
{
    struct alarm a = {.left = crowd->count, .rung = skua_future_new()};
    double before = memory_now();
    struct bench_clock begin = bench_clock_read();
    for (int i = 0; i < crowd->count; i++)
        if (skua_call_later(crowd->delay, ring, &a).id == 0) {
            bench_fail(s, "%d of %d calls could be armed", i, crowd->count);
            return;
        }
    double during = memory_now();
    if (skua_join(a.rung, NULL) < 0)
        bench_fail(s, "the calls did not come");
    s->value[0] = bench_value_ns(begin, crowd->count);
    s->value[0].value = bench_now() - begin.wall - crowd->delay;
    s->value[1] = s->value[0];
    s->value[1].value = (during - before) / crowd->count;
}

static void later_100k(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    later_crowd(&small_crowd, s);
}

static void later_1m(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    later_crowd(&large_crowd, s);
}

/* ---- touch_100k, touch_1m: what the memory of that many guarded stacks costs by itself ---- */

static bool guard_page(char *page, size_t n)
{
    enum { GUARD_INSTALL = 102 }; /* MADV_GUARD_INSTALL of Linux 6.13 */
    return madvise(page, n, GUARD_INSTALL) == 0;
}

static bool can_guard(char *why, size_t n)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool is_good = page != MAP_FAILED && guard_page(page, 4096);
    if (page != MAP_FAILED)
        munmap(page, 4096);
    if (!is_good)
        snprintf(why, n, "this kernel has no MADV_GUARD_INSTALL");
    return is_good;
}

static void touch_crowd(const struct crowd *crowd, struct bench_sample *s)
{
    enum { ARENA = 1000 };
    double before = memory_now();
    struct bench_clock begin = bench_clock_read();
    for (int i = 0; i < crowd->count; i += ARENA) {
        char *arena = mmap(NULL, (size_t)ARENA * STACK, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        for (char *stack = arena; arena != MAP_FAILED && stack < arena + (size_t)ARENA * STACK;
             stack += STACK) {
            if (!guard_page(stack, 4096))
                bench_fail(s, "a guard could not be installed");
            stack[STACK - 64] = 1;
        }
        if (arena == MAP_FAILED)
            bench_fail(s, "out of address space");
    }
    s->value[0] = bench_value_ns(begin, crowd->count);
    s->value[0].value = bench_now() - begin.wall;
    s->value[1] = s->value[0];
    s->value[1].value = (memory_now() - before) / crowd->count;
}

static void touch_100k(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    touch_crowd(&small_crowd, s);
}

static void touch_1m(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    touch_crowd(&large_crowd, s);
}

static bool can_sleep_100k(char *why, size_t n)
{
    return has_memory(1e9, why, n);
}

static bool can_sleep_1m(char *why, size_t n)
{
    return has_memory(8e9, why, n);
}

static bool can_later_1m(char *why, size_t n)
{
    return has_memory(5e8, why, n);
}

static bool can_touch_100k(char *why, size_t n)
{
    return can_guard(why, n) && can_sleep_100k(why, n);
}

static bool can_touch_1m(char *why, size_t n)
{
    return can_guard(why, n) && can_sleep_1m(why, n);
}

/* ---- timer_churn: armed and cancelled, with many pending ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Far enough away that none fires. */
static double random_delay(uint64_t *state)
{
    return 100 + (double)(next_random(state) % 1000000) * 1e-4;
}

static void must_not_ring(void *arg)
{
    bench_fail(arg, "a timer fired too early");
}

static void timer_churn(const struct bench_config *config, struct bench_sample *s)
{
    static skua_handle pending[PENDING];
    uint64_t state = 88172645463325252u;
    double ops = 0;
    bool is_good = true;
    for (int i = 0; i < PENDING; i++)
        pending[i] = skua_call_later(random_delay(&state), must_not_ring, s);
    struct bench_clock begin = bench_clock_read();
    do {
        for (int i = 0; i < CHURN_BATCH; i++) {
            skua_handle *h = &pending[next_random(&state) % PENDING];
            is_good = skua_handle_cancel(*h) && is_good;
            *h = skua_call_later(random_delay(&state), must_not_ring, s);
        }
        ops += CHURN_BATCH;
    } while (is_good && skua_yield() == 0 && bench_now() - begin.wall < config->seconds);
    s->value[0] = bench_value_ns(begin, ops);
    for (int i = 0; i < PENDING; i++)
        is_good = skua_handle_cancel(pending[i]) && is_good;
    if (!is_good)
        bench_fail(s, "a pending timer could not be armed or cancelled");
}

static const struct bench_row rows[] = {
    {.figure = {{"timer_churn", "a random one of 100,000 pending delayed calls is cancelled and "
                                "armed anew"}},
     .unit = "ns/op",
     .body = timer_churn},
    {.figure = {{"sleep_100k", "100,000 tasks sleep for 2 s: time over that"},
                {"sleep_100k_mem", "resident memory and page tables a sleeper"}},
     .unit = "s",
     .figure_unit = {NULL, "B"},
     .body = sleep_100k,
     .can_run = can_sleep_100k,
     .is_free_main = true,
     .is_once = true},
    {.figure = {{"later_100k", "100,000 delayed calls in 2 s: time over that"},
                {"later_100k_mem", "resident memory and page tables a call"}},
     .unit = "s",
     .figure_unit = {NULL, "B"},
     .body = later_100k,
     .is_once = true},
    {.figure = {{"touch_100k", "100,000 stacks mapped, guarded and touched: the least that "
                               "sleeping tasks cost"},
                {"touch_100k_mem", "resident memory and page tables a stack"}},
     .unit = "s",
     .figure_unit = {NULL, "B"},
     .body = touch_100k,
     .can_run = can_touch_100k,
     .is_once = true},
    {.figure = {{"sleep_1m", "1,000,000 tasks sleep for 4 s: time over that"},
                {"sleep_1m_mem", "resident memory and page tables a sleeper"}},
     .unit = "s",
     .figure_unit = {NULL, "B"},
     .body = sleep_1m,
     .can_run = can_sleep_1m,
     .is_free_main = true,
     .is_once = true,
     .limit_s = 120},
    {.figure = {{"later_1m", "1,000,000 delayed calls in 4 s: time over that"},
                {"later_1m_mem", "resident memory and page tables a call"}},
     .unit = "s",
     .figure_unit = {NULL, "B"},
     .body = later_1m,
     .can_run = can_later_1m,
     .is_once = true},
    {.figure = {{"touch_1m", "1,000,000 stacks mapped, guarded and touched"},
                {"touch_1m_mem", "resident memory and page tables a stack"}},
     .unit = "s",
     .figure_unit = {NULL, "B"},
     .body = touch_1m,
     .can_run = can_touch_1m,
     .is_once = true},
};
BENCH_ROWS(800, rows);
