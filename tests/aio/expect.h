/* SPDX-License-Identifier: MIT */
/* What the tests of this folder share. cmocka's asserts jump, which may not leave the stack of a
 * task or a thread: there EXPECT only writes down, and assert_all_held looks on the test's own. */
#ifndef TESTS_AIO_EXPECT_H
#define TESTS_AIO_EXPECT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <skua.h>

#include "base/atomic.h"

#define EXPECT(x)        expect_at(!!(x), #x, __FILE__, __LINE__)
#define EXPECT_INT(a, b) expect_int_at((long long)(a), (long long)(b), #a, __FILE__, __LINE__)
#define NUM(n)           ((void *)(intptr_t)(n))

static RT_ATOMIC(int) expect_failures;

static inline void expect_at(bool holds, const char *text, const char *file, int line)
{
    if (holds)
        return;
    (void)rt_add_relaxed(&expect_failures, 1); /* relaxed: a count */
    fprintf(stderr, "%s:%d: expected %s\n", file, line, text);
}

static inline void expect_int_at(long long a, long long b, const char *text, const char *file,
                                 int line)
{
    if (a == b)
        return;
    (void)rt_add_relaxed(&expect_failures, 1); /* relaxed: a count */
    fprintf(stderr, "%s:%d: %s is %lld, expected %lld\n", file, line, text, a, b);
}

static inline void assert_all_held(void)
{
    assert_int_equal(rt_load_relaxed(&expect_failures), 0); /* relaxed: the threads are joined */
}

/* Seconds of the clock on the wall. */
static inline double wall(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline void nap(double seconds)
{
    struct timespec ts = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    nanosleep(&ts, NULL);
}

/* A gate that threads wait at until somebody opens it, and that counts who has come. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int came;
    bool open;
};

#define GATE_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false }

static inline void gate_pass(struct gate *g)
{
    pthread_mutex_lock(&g->mutex);
    g->came++;
    pthread_cond_broadcast(&g->cond);
    while (!g->open)
        pthread_cond_wait(&g->cond, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static inline void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->mutex);
    g->open = true;
    pthread_cond_broadcast(&g->cond);
    pthread_mutex_unlock(&g->mutex);
}

static inline int gate_came(struct gate *g)
{
    pthread_mutex_lock(&g->mutex);
    int came = g->came;
    pthread_mutex_unlock(&g->mutex);
    return came;
}

/* In a task: until n have come, at most ten seconds. */
static inline void gate_await(struct gate *g, int n)
{
    for (int i = 0; i < 10000 && gate_came(g) < n; i++)
        SKUA_IGNORE(skua_sleep(0.001));
    EXPECT(gate_came(g) >= n);
}

#endif
