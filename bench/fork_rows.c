/* SPDX-License-Identifier: MIT */
/* The rows of skua-bench that measure fork-join. */
#include "fork_rows.h"

#include <stdlib.h>
#include <string.h>

enum { FIB_N = 30, FIB_WARM_UP = 22, SORT_N = 1 << 20, SORT_GRAIN = 1 << 10, INSERTION_MAX = 24 };

/* ---- fib: a fork for every second call, no cut-off; fib_serial: the same calls without ---- */

static void *fib(void *arg)
{
    uintptr_t n = (uintptr_t)arg;
    if (n < 2)
        return arg;
    skua_job left;
    skua_fork(&left, fib, (void *)(n - 1));
    uintptr_t right = (uintptr_t)fib((void *)(n - 2));
    return (void *)((uintptr_t)skua_fork_join(&left) + right);
}

/* Called through a volatile pointer, so that no compiler makes a loop of it. */
static void *(*volatile fib_serial_call)(void *);

static void *fib_serial(void *arg)
{
    uintptr_t n = (uintptr_t)arg;
    if (n < 2)
        return arg;
    uintptr_t left = (uintptr_t)fib_serial_call((void *)(n - 1));
    return (void *)(left + (uintptr_t)fib_serial_call((void *)(n - 2)));
}

static void fib_row(const struct bench_config *config, struct bench_sample *s, skua_fn fn)
{
    static const uintptr_t expected = 832040;
    static const double forks = 1346268; /* fib(31) - 1 calls that fork */
    double ops = 0;
    fn((void *)(uintptr_t)FIB_WARM_UP);
    struct bench_clock begin = bench_clock_read();
    do {
        if ((uintptr_t)fn((void *)(uintptr_t)FIB_N) != expected) {
            bench_fail(s, "fib(%d) came out wrong", FIB_N);
            return;
        }
        ops += forks;
    } while (bench_now() - begin.wall < config->seconds);
    s->value[0] = bench_value_ns(begin, ops);
}

void bench_fib(const struct bench_config *config, struct bench_sample *s)
{
    fib_row(config, s, fib);
}

void bench_fib_serial(const struct bench_config *config, struct bench_sample *s)
{
    fib_serial_call = fib_serial;
    fib_row(config, s, fib_serial);
}

/* ---- mergesort: a million numbers; the merging is done by halves as well ---- */

struct sort {
    uint32_t *a, *tmp;
    size_t n;
};

static void insertion_sort(uint32_t *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t x = a[i];
        size_t k = i;
        for (; k > 0 && a[k - 1] > x; k--)
            a[k] = a[k - 1];
        a[k] = x;
    }
}

static void merge(const uint32_t *a, size_t na, const uint32_t *b, size_t nb, uint32_t *out)
{
    while (na > 0 && nb > 0) {
        bool is_a = *a <= *b;
        *out++ = is_a ? *a : *b;
        a += is_a;
        na -= is_a;
        b += !is_a;
        nb -= !is_a;
    }
    memcpy(out, a, na * sizeof *a);
    memcpy(out + na, b, nb * sizeof *b);
}

struct merging {
    const uint32_t *a, *b;
    size_t na, nb;
    uint32_t *out;
};

static size_t lower_bound(const uint32_t *a, size_t n, uint32_t x)
{
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        if (a[middle] < x)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

static void *merge_run(void *arg)
{
    struct merging m = *(struct merging *)arg;
    if (m.na + m.nb <= 2 * SORT_GRAIN) {
        merge(m.a, m.na, m.b, m.nb, m.out);
        return NULL;
    }
    if (m.na < m.nb)
        m = (struct merging){m.b, m.a, m.nb, m.na, m.out};
    size_t i = m.na / 2;
    size_t k = lower_bound(m.b, m.nb, m.a[i]);
    struct merging low = {m.a, m.b, i, k, m.out};
    struct merging high = {m.a + i, m.b + k, m.na - i, m.nb - k, m.out + i + k};
    skua_job job;
    skua_fork(&job, merge_run, &high);
    merge_run(&low);
    return skua_fork_join(&job);
}

static void *sort_run(void *arg)
{
    const struct sort *s = arg;
    if (s->n <= INSERTION_MAX) {
        insertion_sort(s->a, s->n);
        return NULL;
    }
    size_t half = s->n / 2;
    struct sort low = {s->a, s->tmp, half};
    struct sort high = {s->a + half, s->tmp + half, s->n - half};
    struct merging m = {low.a, high.a, low.n, high.n, s->tmp};
    if (s->n <= SORT_GRAIN) {
        sort_run(&low);
        sort_run(&high);
        merge(m.a, m.na, m.b, m.nb, m.out);
    } else {
        skua_job job;
        skua_fork(&job, sort_run, &high);
        sort_run(&low);
        skua_fork_join(&job);
        merge_run(&m);
    }
    memcpy(s->a, s->tmp, s->n * sizeof *s->a);
    return NULL;
}

static void fill(uint32_t *a, size_t n)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++)
        a[i] = x = x * 1664525 + 1013904223;
}

static bool is_sorted(const uint32_t *a, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (a[i - 1] > a[i])
            return false;
    return true;
}

void bench_mergesort(const struct bench_config *config, struct bench_sample *s)
{
    uint32_t *a = calloc(2 * (size_t)SORT_N, sizeof *a);
    struct bench_clock sum = {0}, begin;
    double ops = 0;
    bool is_good = a != NULL;
    while (is_good && sum.wall < config->seconds) {
        fill(a, SORT_N);
        begin = bench_clock_read();
        sort_run(&(struct sort){a, a + SORT_N, SORT_N});
        struct bench_clock end = bench_clock_read();
        sum.wall += end.wall - begin.wall;
        sum.cpu += end.cpu - begin.cpu;
        ops += SORT_N;
        is_good = is_sorted(a, SORT_N);
    }
    begin = bench_clock_read();
    begin.wall -= sum.wall;
    begin.cpu -= sum.cpu;
    s->value[0] = bench_value_ns(begin, ops);
    free(a);
    if (!is_good)
        bench_fail(s, "the numbers came out unsorted, or memory was short");
}
