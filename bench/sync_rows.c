/* SPDX-License-Identifier: MIT */
/* Rows of queues and locks: two tasks that hand an element to and fro, and tasks that want one
 * lock. */
#include "bench.h"

#include <math.h>

enum { TRIPS_A_LOOK = 100, CROWD = 8 };

/* ---- queue: a round trip of one element over two queues ---- */

struct court {
    skua_queue there, back;
    double until;
    uint64_t trips;
};

static void *answer(void *arg)
{
    struct court *c = arg;
    void *ball = c;
    while (ball != NULL) {
        if (skua_queue_get(&c->there, &ball, INFINITY) < 0 ||
            skua_queue_put(&c->back, ball, INFINITY) < 0)
            return skua_fail(-EIO);
    }
    return NULL;
}

static void *serve(void *arg)
{
    struct court *c = arg;
    void *ball = c;
    while (ball != NULL) {
        if (c->trips % TRIPS_A_LOOK == 0 && bench_now() >= c->until)
            ball = NULL;
        if (skua_queue_put(&c->there, ball, INFINITY) < 0 ||
            skua_queue_get(&c->back, &ball, INFINITY) < 0)
            return skua_fail(-EIO);
        c->trips++;
    }
    return NULL;
}

static void queue(const struct bench_config *config, struct bench_sample *s, bool is_free)
{
    struct bench_clock begin = bench_clock_read();
    struct court c = {.there = SKUA_QUEUE_INIT(1), .back = SKUA_QUEUE_INIT(1),
                      .until = begin.wall + config->seconds};
    skua_task *t[2];
    t[0] = is_free ? skua_go(serve, &c) : skua_spawn(serve, &c);
    t[1] = is_free ? skua_go(answer, &c) : skua_spawn(answer, &c);
    if (skua_gather(t, 2, NULL, SKUA_RELEASE) < 0)
        bench_fail(s, "an element was not handed over");
    s->value[0] = bench_value_ns(begin, (double)c.trips);
    skua_queue_fini(&c.there);
    skua_queue_fini(&c.back);
}

static void queue_pinned(const struct bench_config *config, struct bench_sample *s)
{
    queue(config, s, false);
}

static void queue_free(const struct bench_config *config, struct bench_sample *s)
{
    queue(config, s, true);
}

/* ---- lock: wanted by eight tasks, whose holder lets the others come ---- */

struct crowd {
    skua_lock lock;
    double until;
    uint64_t taken; /* while it is held */
};

static void *want(void *arg)
{
    struct crowd *c = arg;
    for (int turn = 1; turn % TRIPS_A_LOOK != 0 || bench_now() < c->until; turn++) {
        if (skua_lock_acquire(&c->lock) < 0)
            return skua_fail(-EIO);
        c->taken++;
        int r = skua_yield();
        if (skua_lock_release(&c->lock) < 0 || r < 0)
            return skua_fail(-EIO);
    }
    return NULL;
}

static void lock(const struct bench_config *config, struct bench_sample *s, bool is_free)
{
    struct bench_clock begin = bench_clock_read();
    struct crowd c = {.lock = SKUA_LOCK_INIT, .until = begin.wall + config->seconds};
    skua_task *t[CROWD];
    for (int i = 0; i < CROWD; i++)
        t[i] = is_free ? skua_go(want, &c) : skua_spawn(want, &c);
    if (skua_gather(t, CROWD, NULL, SKUA_RELEASE) < 0)
        bench_fail(s, "the lock was not to be had");
    s->value[0] = bench_value_ns(begin, (double)c.taken);
}

static void lock_pinned(const struct bench_config *config, struct bench_sample *s)
{
    lock(config, s, false);
}

static void lock_free(const struct bench_config *config, struct bench_sample *s)
{
    lock(config, s, true);
}

static void lock_alone(const struct bench_config *config, struct bench_sample *s)
{
    struct bench_clock begin = bench_clock_read();
    skua_lock l = SKUA_LOCK_INIT;
    bool is_good = true;
    double ops = 0;
    while (is_good && bench_now() - begin.wall < config->seconds) {
        for (int i = 0; i < TRIPS_A_LOOK; i++)
            is_good = is_good && skua_lock_acquire(&l) == 0 && skua_lock_release(&l) == 0;
        ops += TRIPS_A_LOOK;
    }
    if (!is_good)
        bench_fail(s, "the lock was not to be had");
    s->value[0] = bench_value_ns(begin, ops);
}

static const struct bench_row rows[] = {
    {.figure = {{"queue", "an element to and fro over two queues, in a pinned group"}},
     .unit = "ns/op",
     .body = queue_pinned},
    {.figure = {{"queue_free", "the same between free tasks"}},
     .unit = "ns/op",
     .body = queue_free,
     .is_free_main = true},
    {.figure = {{"lock", "one lock that eight tasks of a pinned group want"}},
     .unit = "ns/op",
     .body = lock_pinned},
    {.figure = {{"lock_free", "one lock that eight free tasks want"}},
     .unit = "ns/op",
     .body = lock_free,
     .is_free_main = true},
    {.figure = {{"lock_alone", "a lock that nobody else wants, acquired and released"}},
     .unit = "ns/op",
     .body = lock_alone},
};
BENCH_ROWS(170, rows);
