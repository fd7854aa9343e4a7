/* SPDX-License-Identifier: MIT */
/*
 * wake_storm: many wakers, one winner. Tasks publish wishes (a future and a token) and wait; free
 * tasks, plain threads and callbacks posted by plain threads grant them, often two of them the same
 * wish at once, often against a timeout. Caught: a lost wake-up (the watchdog), a wait woken twice
 * or by another wait's waker, a wish granted by two, a value that went to the wrong task, a posted
 * callback that ran twice or never.
 */
#include "stress.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { SLOTS = 8, WAITERS = 12, WISHES = 100, WAKERS = 3, THREADS = 2 };

struct storm;

struct wish {
    struct storm *storm;
    skua_future *f;
    uintptr_t token;
    atomic_int refs;
    atomic_int wins;
    bool is_got; /* written by the waiter before it gives its reference back */
};

struct storm {
    struct stress_run *run;
    uint64_t seed;
    _Atomic(struct wish *) slot[SLOTS];
    atomic_uint next_stream;
    atomic_uintptr_t next_token;
    atomic_uint posted;
    atomic_uint called;
    atomic_bool stop;
    skua_loop *main_loop;
};

static struct stress_rng stream(struct storm *s)
{
    return stress_rng_new(s->seed, atomic_fetch_add(&s->next_stream, 1));
}

static void wish_put(struct wish *w)
{
    if (atomic_fetch_sub(&w->refs, 1) > 1)
        return;
    /* A wait that times out just after its future was set may lose the value, as in asyncio. */
    int wins = atomic_load(&w->wins);
    bool is_cancelled = skua_cancelled(w->f);
    STRESS_CHECK(w->storm->run, wins + is_cancelled == 1 && (wins == 1 || !w->is_got),
                 "%d wakers won, %s, and the waiter got %s", wins,
                 is_cancelled ? "the wait was cancelled" : "nobody cancelled",
                 w->is_got ? "a value" : "none");
    skua_release(w->f);
    free(w);
}

static void grant(struct wish *w)
{
    if (skua_future_set_result(w->f, (void *)w->token))
        atomic_fetch_add(&w->wins, 1);
    wish_put(w);
}

static void publish(struct storm *s, struct wish *w, unsigned at)
{
    struct wish *old = atomic_exchange(&s->slot[at % SLOTS], w);
    if (old != NULL)
        grant(old);
}

static void make_wish(struct storm *s, struct stress_rng *rng)
{
    struct stress_run *run = s->run;
    struct wish *w = malloc(sizeof *w);
    skua_future *f = stress_task(run, skua_future_new());
    if (w == NULL || f == NULL) {
        free(w);
        return;
    }
    unsigned copies = 1 + stress_below(rng, 2);
    *w = (struct wish){.storm = s, .f = f, .token = atomic_fetch_add(&s->next_token, 1) + 1};
    atomic_store(&w->refs, (int)copies + 1);
    for (unsigned i = 0; i < copies; i++)
        publish(s, w, stress_below(rng, SLOTS));

    void *value = NULL;
    bool is_timed = stress_below(rng, 4) == 0;
    double limit = stress_below(rng, 300) * 1e-6;
    int err = is_timed ? skua_wait_for(f, limit, &value) : skua_await(f, &value);
    if (err == 0)
        STRESS_CHECK(run, (uintptr_t)value == w->token, "token %ju came to the waiter for %ju",
                     (uintmax_t)(uintptr_t)value, (uintmax_t)w->token);
    else
        STRESS_CHECK(run, is_timed && err == -ETIMEDOUT, "a wait ended with %d", err);
    w->is_got = err == 0;
    wish_put(w);
    stress_op(run);
}

static void *waiter(void *arg)
{
    struct storm *s = arg;
    struct stress_rng rng = stream(s);
    for (unsigned i = 0; i < WISHES && !stress_interrupted(); i++)
        make_wish(s, &rng);
    return NULL;
}

static struct wish *take(struct storm *s, struct stress_rng *rng)
{
    return atomic_exchange(&s->slot[stress_below(rng, SLOTS)], NULL);
}

static void *waker(void *arg)
{
    struct storm *s = arg;
    struct stress_rng rng = stream(s);
    for (unsigned misses = 0; !atomic_load(&s->stop);) {
        struct wish *w = take(s, &rng);
        misses = w != NULL ? 0 : misses + 1;
        if (w != NULL)
            grant(w);
        else if (misses % 16 != 0)
            SKUA_IGNORE(skua_yield());
        else
            SKUA_IGNORE(skua_sleep(100e-6));
    }
    return NULL;
}

static void on_posted(void *arg)
{
    struct wish *w = arg;
    atomic_fetch_add(&w->storm->called, 1);
    grant(w);
}

static void post(struct storm *s, struct wish *w, unsigned at)
{
    int n = s->run->group_count;
    skua_loop *loop = (int)at < n ? s->run->group[at] : s->main_loop;
    atomic_fetch_add(&s->posted, 1);
    int err = skua_call_soon_threadsafe(loop, on_posted, w);
    if (err == 0)
        return;
    stress_violation(s->run, "a callback could not be posted to a running loop: %d", err);
    atomic_fetch_sub(&s->posted, 1);
    grant(w);
}

static void *outsider(void *arg)
{
    struct storm *s = arg;
    struct stress_rng rng = stream(s);
    while (!atomic_load(&s->stop)) {
        struct wish *w = take(s, &rng);
        if (w == NULL)
            nanosleep(&(struct timespec){.tv_nsec = 1000 * (1 + stress_below(&rng, 100))}, NULL);
        else if (stress_below(&rng, 2) == 0)
            grant(w);
        else
            post(s, w, stress_below(&rng, (unsigned)s->run->group_count + 1));
    }
    return NULL;
}

static skua_task *start_waiter(struct storm *s, struct stress_rng *rng)
{
    unsigned at = stress_below(rng, (unsigned)s->run->group_count * 2);
    if ((int)at < s->run->group_count)
        return skua_spawn(waiter, s, .group = s->run->group[at]);
    return stress_below(rng, 4) == 0 ? skua_spawn(waiter, s) : skua_go(waiter, s);
}

/* The wishes that no waker took yet, and the callbacks still in some loop's inbox. */
static void finish(struct storm *s)
{
    for (int i = 0; i < SLOTS; i++) {
        struct wish *w = atomic_exchange(&s->slot[i], NULL);
        if (w != NULL)
            grant(w);
    }
    double deadline = stress_now() + 10;
    while (atomic_load(&s->called) < atomic_load(&s->posted) && stress_now() < deadline)
        SKUA_IGNORE(skua_sleep(200e-6));
    unsigned called = atomic_load(&s->called);
    unsigned posted = atomic_load(&s->posted);
    STRESS_CHECK(s->run, called == posted, "%u callbacks posted, %u ran", posted, called);
}

static void wake_storm_round(struct stress_run *run, uint64_t seed)
{
    struct storm s = {.run = run, .seed = seed, .main_loop = skua_loop_current()};
    struct stress_rng rng = stream(&s);
    skua_task *waiters[WAITERS];
    skua_task *wakers[WAKERS];
    pthread_t threads[THREADS];
    int thread_count = 0;

    for (int i = 0; i < WAKERS; i++)
        wakers[i] = stress_task(run, skua_go(waker, &s));
    while (thread_count < THREADS &&
           pthread_create(&threads[thread_count], NULL, outsider, &s) == 0)
        thread_count++;
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = stress_task(run, start_waiter(&s, &rng));
    for (int i = 0; i < WAITERS; i++) {
        int err = skua_join(waiters[i], NULL);
        STRESS_CHECK(run, err == 0, "a waiter ended with %d", err);
    }
    atomic_store(&s.stop, true);
    for (int i = 0; i < WAKERS; i++) {
        int err = skua_join(wakers[i], NULL);
        STRESS_CHECK(run, err == 0, "a waker ended with %d", err);
    }
    for (int i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    finish(&s);
}

STRESS_CASE(200, "wake_storm",
            "tasks wait for futures that tasks, threads and callbacks set in competition",
            wake_storm_round);
