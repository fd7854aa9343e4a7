/* SPDX-License-Identifier: MIT */
/* The rows of calls that run on a thread of a lane and come back. */
#include "bench.h"

enum { BATCH = 100, CALLERS = 64 };

static void *nothing(void *arg)
{
    return arg;
}

struct caller {
    double until; /* bench_now() */
    uint64_t calls;
};

static void *call_on(void *arg)
{
    struct caller *c = arg;
    while (bench_now() < c->until) {
        for (int i = 0; i < BATCH; i++) {
            int err = skua_to_thread(nothing, NULL, NULL);
            if (err < 0)
                return skua_fail(err);
        }
        c->calls += BATCH;
    }
    return NULL;
}

/* One caller: the thread sleeps when the call comes, the worker when it comes back. */
static void to_thread(const struct bench_config *config, struct bench_sample *s)
{
    struct caller warm = {bench_now() + 0.02, 0};
    struct caller c = {0};
    (void)call_on(&warm);
    struct bench_clock begin = bench_clock_read();
    c.until = begin.wall + config->seconds;
    if (skua_failed(call_on(&c)))
        bench_fail(s, "a call failed");
    s->value[0] = bench_value_ns(begin, (double)c.calls);
}

/* Many callers: there is always another call in the queue. */
static void to_thread_busy(const struct bench_config *config, struct bench_sample *s)
{
    struct caller c[CALLERS];
    skua_task *t[CALLERS];
    struct bench_clock begin = bench_clock_read();
    double calls = 0;
    for (int i = 0; i < CALLERS; i++) {
        c[i] = (struct caller){begin.wall + config->seconds, 0};
        t[i] = skua_spawn(call_on, &c[i]);
    }
    if (skua_gather(t, CALLERS, NULL, SKUA_RELEASE) < 0)
        bench_fail(s, "a call failed");
    for (int i = 0; i < CALLERS; i++)
        calls += (double)c[i].calls;
    s->value[0] = bench_value_ns(begin, calls);
}

static const struct bench_row rows[] = {
    {.figure = {{"to_thread", "a function called on a thread of a lane and back, one at a time"}},
     .unit = "ns/op",
     .body = to_thread},
    {.figure = {{"to_thread_busy", "the same by 64 tasks at once; per call"}},
     .unit = "ns/op",
     .body = to_thread_busy},
};
BENCH_ROWS(600, rows);
