/* SPDX-License-Identifier: MIT */
/* The rows of skua-bench that need nothing but the runtime. Each body runs in the main task of a
 * fresh process. */
#include "bench.h"
#include "fork_rows.h"

#include <stdlib.h>

enum { FIB_N = 27, WARM_UP = 2000, BATCH = 1000, MANY = 1000000, LATER_PASSES_MIN = 3 };

static void *nothing(void *arg)
{
    return arg;
}

/* ---- fib_tasks: a task for every second call, no cut-off ---- */

struct fib {
    unsigned n;
    uint64_t spawns; /* in this subtree */
};

static void *fib_run(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2)
        return (void *)(uintptr_t)f->n;
    struct fib left = {.n = f->n - 1};
    struct fib right = {.n = f->n - 2};
    skua_task *t = skua_go(fib_run, &left);
    void *b = fib_run(&right);
    void *a = NULL;
    if (skua_join(t, &a) < 0)
        abort();
    f->spawns = 1 + left.spawns + right.spawns;
    return (void *)((uintptr_t)a + (uintptr_t)b);
}

static void fib_tasks(const struct bench_config *config, struct bench_sample *s)
{
    static const uintptr_t expected = 196418;
    struct fib warm = {.n = FIB_N - 6};
    fib_run(&warm);
    double spawns = 0;
    struct bench_clock begin = bench_clock_read();
    do {
        struct fib f = {.n = FIB_N};
        if ((uintptr_t)fib_run(&f) != expected) {
            bench_fail(s, "fib(%d) came out wrong", FIB_N);
            return;
        }
        spawns += (double)f.spawns;
    } while (bench_now() - begin.wall < config->seconds);
    s->value[0] = bench_value_ns(begin, spawns);
}

/* ---- spawn_await, go_await: one at a time ---- */

static bool spawn_await_batch(int n)
{
    for (int i = 0; i < n; i++)
        if (skua_join(skua_spawn(nothing, NULL), NULL) < 0)
            return false;
    return true;
}

static bool go_await_batch(int n)
{
    for (int i = 0; i < n; i++)
        if (skua_join(skua_go(nothing, NULL), NULL) < 0)
            return false;
    return true;
}

static void repeat(const struct bench_config *config, struct bench_sample *s, bool (*batch)(int n))
{
    double ops = 0;
    bool is_good = batch(WARM_UP);
    struct bench_clock begin = bench_clock_read();
    do {
        is_good = is_good && batch(BATCH);
        ops += BATCH;
    } while (is_good && bench_now() - begin.wall < config->seconds);
    s->value[0] = bench_value_ns(begin, ops);
    if (!is_good)
        bench_fail(s, "a task could not be started or joined");
}

static void spawn_await(const struct bench_config *config, struct bench_sample *s)
{
    repeat(config, s, spawn_await_batch);
}

static void go_await(const struct bench_config *config, struct bench_sample *s)
{
    repeat(config, s, go_await_batch);
}

/* ---- spawn_many: a million started, then joined ---- */

static bool many_pass(skua_task **t)
{
    bool is_good = true;
    for (int i = 0; i < MANY; i++)
        t[i] = skua_go(nothing, NULL);
    for (int i = 0; i < MANY; i++)
        is_good = skua_join(t[i], NULL) == 0 && is_good;
    return is_good;
}

static void spawn_many(const struct bench_config *config, struct bench_sample *s)
{
    skua_task **t = malloc(MANY * sizeof *t);
    if (t == NULL) {
        bench_fail(s, "out of memory");
        return;
    }
    /* The array's own pages are not what is measured. */
    for (int i = 0; i < MANY; i++)
        t[i] = NULL;
    struct bench_clock begin = bench_clock_read();
    bool is_good = many_pass(t);
    s->value[0] = bench_value_ns(begin, MANY);
    double ops = 0;
    begin = bench_clock_read();
    for (int pass = 0;
         is_good && (pass < LATER_PASSES_MIN || bench_now() - begin.wall < config->seconds);
         pass++) {
        is_good = many_pass(t);
        ops += MANY;
    }
    s->value[1] = bench_value_ns(begin, ops);
    free(t);
    if (!is_good)
        bench_fail(s, "a task could not be started or joined");
}

/* ---- yield: two tasks in turn ---- */

struct yielder {
    double until; /* bench_now() */
    uint64_t yields;
};

static void *yield_run(void *arg)
{
    struct yielder *y = arg;
    while (bench_now() < y->until) {
        for (int i = 0; i < BATCH; i++)
            if (skua_yield() < 0)
                return skua_fail(-ECANCELED);
        y->yields += BATCH;
    }
    return NULL;
}

static void yield_pair(const struct bench_config *config, struct bench_sample *s, bool is_free)
{
    struct bench_clock begin = bench_clock_read();
    struct yielder y[2] = {{begin.wall + config->seconds, 0}, {begin.wall + config->seconds, 0}};
    skua_task *t[2];
    for (int i = 0; i < 2; i++)
        t[i] = is_free ? skua_go(yield_run, &y[i]) : skua_spawn(yield_run, &y[i]);
    if (skua_gather(t, 2, NULL, SKUA_RELEASE) < 0)
        bench_fail(s, "a yielding task failed");
    s->value[0] = bench_value_ns(begin, (double)(y[0].yields + y[1].yields));
}

static void yield_pinned(const struct bench_config *config, struct bench_sample *s)
{
    yield_pair(config, s, false);
}

static void yield_free(const struct bench_config *config, struct bench_sample *s)
{
    yield_pair(config, s, true);
}

static const struct bench_row rows[] = {
    {.figure = {{"fib_tasks",
                 "fork-join: fib(27) with skua_go and skua_join, no cut-off; per task"}},
     .unit = "ns/op",
     .body = fib_tasks,
     .is_free_main = true},
    {.figure = {{"fib", "fork-join: fib(30) with skua_fork, no cut-off; per fork"}},
     .unit = "ns/op",
     .body = bench_fib,
     .is_free_main = true},
    {.figure = {{"fib_serial", "the same calls without forking, to compare; per fork left out"}},
     .unit = "ns/op",
     .body = bench_fib_serial,
     .is_free_main = true},
    {.figure = {{"mergesort", "fork-join: a million numbers sorted and merged; per number"}},
     .unit = "ns/op",
     .body = bench_mergesort,
     .is_free_main = true},
    {.figure = {{"spawn_await", "spawn and await one task at a time, in a pinned group"}},
     .unit = "ns/op",
     .body = spawn_await},
    {.figure = {{"go_await", "go and await one task at a time, from a free task"}},
     .unit = "ns/op",
     .body = go_await,
     .is_free_main = true},
    {.figure = {{"spawn_many",
                 "a million free tasks started, then joined: the first time in a process"},
                {"spawn_many_later", "the same, all later times"}},
     .unit = "ns/op",
     .body = spawn_many,
     .is_free_main = true},
    {.figure = {{"yield", "two tasks of a pinned group yield in turn"}},
     .unit = "ns/op",
     .body = yield_pinned},
    {.figure = {{"yield_free", "two free tasks yield"}},
     .unit = "ns/op",
     .body = yield_free,
     .is_free_main = true},
};
BENCH_ROWS(100, rows);
