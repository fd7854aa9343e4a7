/* SPDX-License-Identifier: MIT */
/* fork_join: trees of forked jobs that suspend, spawn and fork, joined in any order; loops and
 * reductions over ranges. What comes out is what plain recursion gives. */
#include "stress.h"


enum { FAN_MAX = 5, DEPTH = 6, RANGE_MAX = 5000 };

enum { SALT_HOW = 0xf001, SALT_RANGE };

struct forest {
    struct stress_run *run;
    atomic_uint calls;
};

struct leaf {
    struct forest *forest;
    uint64_t seed;
    int depth;
    atomic_uint called;
};

static unsigned fan_of(uint64_t seed, int depth)
{
    return depth == 0 ? 0 : (unsigned)(stress_mix(seed) >> 40) % (FAN_MAX + 1);
}

static uint64_t expected(uint64_t seed, int depth, unsigned *calls)
{
    uint64_t sum = seed & 0xffff;
    unsigned fan = fan_of(seed, depth);
    ++*calls;
    for (unsigned i = 0; i < fan; i++)
        sum += expected(stress_mix(seed + i + 1), depth - 1, calls);
    return sum;
}

static void disturb(struct stress_run *run, uint64_t how)
{
    int r = 0;
    switch (how % 24) {
    case 0:
        r = skua_yield();
        break;
    case 1:
        r = skua_sleep(0);
        break;
    case 2:
        r = skua_sleep(30e-6);
        break;
    case 3:
        for (volatile unsigned i = 0; i < 20000; i++)
            continue;
        break;
    default:
        break;
    }
    STRESS_CHECK(run, r == 0, "a sleep of an uncancelled job ended with %d", r);
}

/* The order of the joins: newest first mostly, else oldest first or from the middle. */
static unsigned place(unsigned i, unsigned n, uint64_t how)
{
    switch (how % 8) {
    case 0:
        return i;
    case 1:
        return (n / 2 + i) % n;
    default:
        return n - 1 - i;
    }
}

static void *grow(void *arg)
{
    struct leaf *me = arg;
    struct stress_run *run = me->forest->run;
    uint64_t how = stress_mix(me->seed ^ SALT_HOW);
    unsigned fan = fan_of(me->seed, me->depth);
    struct leaf kid[FAN_MAX];
    skua_job job[FAN_MAX];
    uint64_t sum = me->seed & 0xffff;

    STRESS_CHECK(run, atomic_fetch_add(&me->called, 1) == 0, "a job was called twice");
    atomic_fetch_add(&me->forest->calls, 1);
    stress_op(run);
    disturb(run, how);
    for (unsigned i = 0; i < fan; i++) {
        kid[i] = (struct leaf){me->forest, stress_mix(me->seed + i + 1), me->depth - 1, 0};
        skua_fork(&job[i], grow, &kid[i]);
    }
    disturb(run, how >> 8);
    if ((how >> 16) % 16 == 0) {
        struct leaf twig = {me->forest, 7, 0, 0};
        void *value = NULL;
        int r = skua_join(stress_task(run, skua_go(grow, &twig)), &value);
        STRESS_CHECK(run, r == 0 && (uintptr_t)value == 7, "a task among jobs ended with %d", r);
        atomic_fetch_sub(&me->forest->calls, 1);
    }
    for (unsigned i = 0; i < fan; i++) {
        void *value = skua_fork_join(&job[place(i, fan, how >> 24)]);
        STRESS_CHECK(run, skua_failed(value) == 0, "a job ended with %d", skua_failed(value));
        sum += (uintptr_t)value;
    }
    return (void *)(uintptr_t)sum;
}

static void round_of_trees(struct stress_run *run, uint64_t seed)
{
    struct forest forest = {.run = run};
    unsigned calls = 0;
    uint64_t want = expected(seed, DEPTH, &calls);
    struct leaf root = {&forest, seed, DEPTH, 0};
    uint64_t got;
    if (seed & 1) {
        void *value = NULL;
        int r = skua_join(stress_task(run, skua_go(grow, &root)), &value);
        STRESS_CHECK(run, r == 0, "the root ended with %d", r);
        got = (uintptr_t)value;
    } else {
        got = (uintptr_t)grow(&root);
    }
    STRESS_CHECK(run, got == want, "sum %ju, expected %ju", (uintmax_t)got, (uintmax_t)want);
    unsigned called = atomic_load(&forest.calls);
    STRESS_CHECK(run, called == calls, "%u calls for %u jobs", called, calls);
}

struct range {
    struct stress_run *run;
    uint64_t seed;
    unsigned char calls[RANGE_MAX]; /* one writer each */
};

static void touch(size_t begin, size_t end, void *arg)
{
    struct range *r = arg;
    for (size_t i = begin; i < end; i++)
        r->calls[i]++;
    disturb(r->run, stress_mix(r->seed + begin));
}

static void *add(size_t begin, size_t end, void *arg)
{
    uintptr_t sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += i;
    touch(begin, end, arg);
    return (void *)sum;
}

static void *add_both(void *left, void *right, void *arg)
{
    (void)arg;
    return (void *)((uintptr_t)left + (uintptr_t)right);
}

static void round_of_ranges(struct stress_run *run, uint64_t seed)
{
    struct stress_rng rng = stress_rng_new(seed, SALT_RANGE);
    struct range r = {.run = run, .seed = seed};
    size_t n = stress_below(&rng, RANGE_MAX);
    size_t grain = stress_below(&rng, 100);
    void *sum = NULL;
    int err = skua_parallel_for(0, n, grain, touch, &r);
    STRESS_CHECK(run, err == 0, "parallel_for: %d", err);
    err = skua_parallel_reduce(0, n, grain, add, add_both, &r, &sum);
    STRESS_CHECK(run, err == 0, "parallel_reduce: %d", err);
    size_t want = n ? n * (n - 1) / 2 : 0;
    STRESS_CHECK(run, (uintptr_t)sum == want, "sum %ju", (uintmax_t)(uintptr_t)sum);
    for (size_t i = 0; i < RANGE_MAX; i++)
        STRESS_CHECK(run, r.calls[i] == (i < n ? 2 : 0), "%u calls for %zu of %zu", r.calls[i], i,
                     n);
}

static void fork_join_round(struct stress_run *run, uint64_t seed)
{
    round_of_trees(run, seed);
    round_of_ranges(run, seed);
}

STRESS_CASE(160, "fork_join",
            "forked jobs that suspend, spawn and fork, joined in any order; loops; sums checked",
            fork_join_round);
