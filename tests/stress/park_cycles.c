/* SPDX-License-Identifier: MIT */
/*
 * park_cycles: the detector of lost wake-ups. A plain thread hands in one small piece of work,
 * waits until it is done, pauses just long enough for the workers to park (or to be about to), and
 * repeats. Nothing else is going on, so that no other event can hide a wake-up that went missing.
 * Each cycle has a deadline of one second.
 */
#include "stress.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

enum { CYCLES = 100, SUBMITTERS_MAX = 2, KINDS = 6 };

struct parking {
    struct stress_run *run;
    uint64_t seed;
    skua_loop *main_loop;
    skua_future *finished;
    atomic_int submitters;
};

struct cycle {
    struct stress_run *run;
    unsigned kind;
    skua_group *group;
    skua_group *other;
    uintptr_t token;
    skua_future *f; /* for the kind that only posts a callback */
};

struct submitter {
    struct parking *parking;
    unsigned index;
    skua_future *f[CYCLES];
};

static void *echo(void *arg)
{
    return arg;
}

static void *nap(void *arg)
{
    int err = skua_sleep(200e-6);
    return err < 0 ? skua_fail(err) : arg;
}

static void *two_children(struct cycle *c, void *token)
{
    skua_task *t[2] = {skua_go(nap, token), skua_go(echo, token)};
    void *value[2] = {NULL, NULL};
    int err = skua_gather(t, 2, value, SKUA_RELEASE);
    STRESS_CHECK(c->run, err < 0 || value[0] == value[1], "two children answered differently");
    return err < 0 ? skua_fail(err) : value[0];
}

static void *work(void *arg)
{
    struct cycle *c = arg;
    void *token = (void *)c->token;
    void *value = NULL;
    int err = 0;
    switch (c->kind) {
    case 0:
        return token;
    case 1:
        err = skua_join(skua_go(echo, token), &value);
        break;
    case 2:
        err = skua_join(skua_spawn(echo, token, .group = c->other), &value);
        break;
    case 3:
        return nap(token);
    default:
        return two_children(c, token);
    }
    return err < 0 ? skua_fail(err) : value;
}

static void on_call(void *arg)
{
    struct cycle *c = arg;
    if (!skua_future_set_result(c->f, (void *)c->token))
        stress_violation(c->run, "the future of a cycle was already set");
}

/* A host that stalls everybody is no lost wake-up: then there is more time. */
static int wait_done(struct cycle *c, skua_task *t, void **ret_value)
{
    int err = skua_wait_blocking(t, 1.0, ret_value);
    for (int patience = 0; err == -ETIMEDOUT && patience < 10; patience++) {
        double late = stress_host_lateness();
        if (late < 0.2) {
            stress_violation(c->run, "work of kind %u not done within a second: a wake-up was lost",
                             c->kind);
            break;
        }
        err = skua_wait_blocking(t, 1.0, ret_value);
    }
    /* Its memory is the thread's own: it has to end before the thread goes on; the watchdog limits
     * this. */
    while (err == -ETIMEDOUT)
        err = skua_wait_blocking(t, 1.0, ret_value);
    return err;
}

static void cycle_run(struct cycle *c)
{
    skua_task *t = c->f;
    int err = 0;
    if (c->kind == KINDS - 1)
        err = skua_call_soon_threadsafe(c->group, on_call, c);
    else
        t = stress_task(c->run, skua_spawn_threadsafe(c->group, work, c));
    STRESS_CHECK(c->run, err == 0, "a callback could not be posted: %d", err);
    if (err < 0 || t == NULL)
        return;
    void *value = NULL;
    err = wait_done(c, t, &value);
    STRESS_CHECK(c->run, err == 0 && (uintptr_t)value == c->token, "work of kind %u: %d", c->kind,
                 err);
    if (t != c->f)
        skua_release(t);
    stress_op(c->run);
}

static void pause_at_random(struct stress_rng *rng)
{
    switch (stress_below(rng, 4)) {
    case 0:
        return;
    case 1:
        for (double end = stress_now() + stress_below(rng, 60) * 1e-6; stress_now() < end;)
            continue;
        return;
    default:
        nanosleep(&(struct timespec){.tv_nsec = 1000 * (50 + stress_below(rng, 2500))}, NULL);
        return;
    }
}

static skua_group *any_group(struct parking *p, struct stress_rng *rng)
{
    unsigned at = stress_below(rng, (unsigned)p->run->group_count + 1);
    return (int)at < p->run->group_count ? p->run->group[at] : p->main_loop;
}

static void *submit(void *arg)
{
    struct submitter *s = arg;
    struct parking *p = s->parking;
    struct stress_rng rng = stress_rng_new(p->seed, 100 + s->index);
    for (unsigned i = 0; i < CYCLES && !stress_interrupted(); i++) {
        struct cycle c = {
            .run = p->run,
            .kind = stress_below(&rng, KINDS),
            .token = 1 + s->index * CYCLES + i,
            .f = s->f[i],
        };
        c.group = any_group(p, &rng);
        c.other = any_group(p, &rng);
        cycle_run(&c);
        pause_at_random(&rng);
    }
    if (atomic_fetch_sub(&p->submitters, 1) == 1)
        skua_future_set_result(p->finished, NULL);
    return NULL;
}

static void park_cycles_round(struct stress_run *run, uint64_t seed)
{
    static struct submitter s[SUBMITTERS_MAX]; /* too large for the frame of a task */
    pthread_t thread[SUBMITTERS_MAX];
    struct stress_rng rng = stress_rng_new(seed, 1);
    int count = stress_below(&rng, 5) == 0 ? 2 : 1;
    struct parking p = {.run = run, .seed = seed, .main_loop = skua_loop_current()};
    int started = 0;

    p.finished = stress_task(run, skua_future_new());
    if (p.finished == NULL)
        return;
    atomic_store(&p.submitters, count);
    for (int i = 0; i < count; i++) {
        s[i].parking = &p;
        s[i].index = (unsigned)i;
        for (int k = 0; k < CYCLES; k++)
            s[i].f[k] = stress_task(run, skua_future_new());
    }
    while (started < count && pthread_create(&thread[started], NULL, submit, &s[started]) == 0)
        started++;
    if (started < count && atomic_fetch_sub(&p.submitters, count - started) == count - started)
        skua_future_set_result(p.finished, NULL);
    int err = skua_await(p.finished, NULL);
    STRESS_CHECK(run, err == 0, "waiting for the threads ended with %d", err);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < count; i++)
        skua_release_all(s[i].f, CYCLES);
    skua_release(p.finished);
}

STRESS_CASE(
    300, "park_cycles",
    "one piece of work at a time from a plain thread, with pauses; each has a deadline of 1 s",
    park_cycles_round);
