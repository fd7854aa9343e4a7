/* SPDX-License-Identifier: MIT */
/*
 * timers: sleeps and delayed calls on all loops, many of them cancelled, from other workers too.
 * Caught: a timer that fires early, twice, or after its cancellation succeeded; one that neither
 * fires nor is cancelled; delayed calls of one loop that fire against the order of their deadlines.
 */
#include "stress.h"

#include <math.h>

enum { CALLS = 24, SLEEPERS = 48, CANCELLERS = 2 };

/* The clock is read in doubles of seconds; a microsecond is far above their rounding. */
static const double clock_slack = 1e-6;

struct deck;

struct call {
    struct deck *deck;
    double when;
    _Atomic(uint64_t) handle; /* 0 until armed */
    atomic_int fired;
    atomic_int cancelled; /* cancellations that answered true */
};

/* The delayed calls of one group, armed in one step, so that their order is known. */
struct deck {
    struct stress_run *run;
    uint64_t seed;
    struct call call[CALLS];
    double last_when; /* plain: only callbacks of the group touch it */
    atomic_int settled;
};

struct sleeper {
    struct stress_run *run;
    double delay;
    bool is_until;
    atomic_bool is_touched;
};

struct board {
    struct stress_run *run;
    uint64_t seed;
    int deck_count;
    struct deck deck[STRESS_GROUPS_MAX + 1];
    struct sleeper sleeper[SLEEPERS];
    skua_task *task[SLEEPERS];
    atomic_bool stop;
};

static void on_time(void *arg)
{
    struct call *c = arg;
    struct deck *d = c->deck;
    double now = skua_loop_time();
    int before = atomic_fetch_add(&c->fired, 1);
    STRESS_CHECK(d->run, before == 0, "a delayed call fired twice");
    STRESS_CHECK(d->run, now >= c->when - clock_slack, "a delayed call fired %.9f s early",
                 c->when - now);
    STRESS_CHECK(d->run, c->when >= d->last_when, "delayed calls out of order by %.9f s",
                 d->last_when - c->when);
    d->last_when = c->when;
    atomic_fetch_add(&d->settled, 1);
    stress_op(d->run);
}

static void cancel_call(struct call *c)
{
    uint64_t id = atomic_load(&c->handle);
    if (id == 0 || !skua_handle_cancel((skua_handle){id}))
        return;
    int before = atomic_fetch_add(&c->cancelled, 1);
    STRESS_CHECK(c->deck->run, before == 0, "a delayed call was cancelled twice");
    atomic_fetch_add(&c->deck->settled, 1);
}

static void *deal(void *arg)
{
    struct deck *d = arg;
    struct stress_rng rng = stress_rng_new(d->seed, 7);
    double base = skua_loop_time();
    for (int i = 0; i < CALLS; i++) {
        struct call *c = &d->call[i];
        c->deck = d;
        c->when = base + stress_below(&rng, 20000) * 1e-6;
        skua_handle h = skua_call_at(c->when, on_time, c);
        STRESS_CHECK(d->run, h.id != 0, "a delayed call could not be armed");
        atomic_store(&c->handle, h.id);
    }
    double deadline = stress_now() + 10;
    while (atomic_load(&d->settled) < CALLS && stress_now() < deadline) {
        int err = skua_sleep(500e-6);
        STRESS_CHECK(d->run, err == 0, "a sleep ended with %d", err);
        if (stress_below(&rng, 4) == 0)
            cancel_call(&d->call[stress_below(&rng, CALLS)]);
    }
    return NULL;
}

static void *sleep_once(void *arg)
{
    struct sleeper *s = arg;
    double begin = skua_loop_time();
    int err = s->is_until ? skua_sleep_until(begin + s->delay) : skua_sleep(s->delay);
    double took = skua_loop_time() - begin;
    if (err == 0)
        STRESS_CHECK(s->run, took >= s->delay - clock_slack, "a sleep of %.6f s took %.9f s",
                     s->delay, took);
    else
        STRESS_CHECK(s->run, err == -ECANCELED && atomic_load(&s->is_touched),
                     "a sleep ended with %d", err);
    stress_op(s->run);
    return err < 0 ? skua_fail(err) : NULL;
}

static void *cancel_some(void *arg)
{
    struct board *b = arg;
    struct stress_rng rng = stress_rng_new(b->seed, 9);
    while (!atomic_load(&b->stop)) {
        struct deck *d = &b->deck[stress_below(&rng, (unsigned)b->deck_count)];
        cancel_call(&d->call[stress_below(&rng, CALLS)]);
        if (stress_below(&rng, 4) == 0) {
            unsigned at = stress_below(&rng, SLEEPERS);
            atomic_store(&b->sleeper[at].is_touched, true);
            skua_cancel(b->task[at], NULL);
        }
        int err = skua_sleep(stress_below(&rng, 1500) * 1e-6);
        STRESS_CHECK(b->run, err == 0, "a sleep ended with %d", err);
    }
    return NULL;
}

static void start_sleepers(struct board *b, struct stress_rng *rng)
{
    struct stress_run *run = b->run;
    for (int i = 0; i < SLEEPERS; i++) {
        struct sleeper *s = &b->sleeper[i];
        s->run = run;
        s->delay = stress_below(rng, 8) == 0 ? 0 : stress_below(rng, 25000) * 1e-6;
        s->is_until = stress_below(rng, 4) == 0;
        atomic_store(&s->is_touched, false);
        unsigned at = stress_below(rng, 2 * (unsigned)run->group_count);
        skua_task *t = (int)at < run->group_count
                           ? skua_spawn(sleep_once, s, .group = run->group[at])
                           : skua_go(sleep_once, s);
        b->task[i] = stress_task(run, t);
    }
}

static void check_deck(struct deck *d)
{
    for (int i = 0; i < CALLS; i++) {
        int fired = atomic_load(&d->call[i].fired);
        int cancelled = atomic_load(&d->call[i].cancelled);
        STRESS_CHECK(d->run, fired + cancelled == 1,
                     "a delayed call fired %d times and was cancelled %d times", fired, cancelled);
    }
}

static void play(struct board *b)
{
    struct stress_run *run = b->run;
    struct stress_rng rng = stress_rng_new(b->seed, 1);
    skua_task *dealer[STRESS_GROUPS_MAX + 1];
    skua_task *canceller[CANCELLERS];

    start_sleepers(b, &rng);
    for (int i = 0; i < b->deck_count; i++) {
        b->deck[i] = (struct deck){.run = run, .seed = stress_mix(b->seed + (unsigned)i)};
        dealer[i] = i < run->group_count ? skua_spawn(deal, &b->deck[i], .group = run->group[i])
                                         : skua_spawn(deal, &b->deck[i]);
        stress_task(run, dealer[i]);
    }
    for (int i = 0; i < CANCELLERS; i++)
        canceller[i] = stress_task(run, skua_go(cancel_some, b));
    for (int i = 0; i < b->deck_count; i++) {
        int err = skua_join(dealer[i], NULL);
        STRESS_CHECK(run, err == 0, "a dealer ended with %d", err);
        check_deck(&b->deck[i]);
    }
    atomic_store(&b->stop, true);
    for (int i = 0; i < CANCELLERS; i++) {
        int err = skua_join(canceller[i], NULL);
        STRESS_CHECK(run, err == 0, "a canceller ended with %d", err);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        int err = skua_join(b->task[i], NULL);
        STRESS_CHECK(run, err == 0 || (err == -ECANCELED && atomic_load(&b->sleeper[i].is_touched)),
                     "a sleeper ended with %d", err);
    }
}

static void timers_round(struct stress_run *run, uint64_t seed)
{
    static struct board b; /* too large for the frame of a task; one round at a time */
    b.run = run;
    b.seed = seed;
    b.deck_count = run->group_count + 1;
    atomic_store(&b.stop, false);
    play(&b);
}

STRESS_CASE(
    500, "timers",
    "sleeps and delayed calls with cancels from everywhere; none early, each once or cancelled",
    timers_round);
