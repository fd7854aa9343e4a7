/* SPDX-License-Identifier: MIT */
/*
 * crowd_cancel: a hundred thousand tasks, a random subset of which is cancelled while the others
 * are still being started. Each is accounted for: it ran from begin to end, or its argument was
 * dropped, once; a body that began has ended; who was never cancelled has its own result.
 */
#include "soup.h"

#include <stdlib.h>

enum { CROWD = STRESS_IS_SANITIZED ? 10000 : 100000, BATCH = 1000, CANCELLERS = 2 };
enum { KIND_PLAIN, KIND_YIELD, KIND_SLEEP, KIND_WAIT };

struct member {
    struct soup_entry entry; /* first: `.drop` gets its address */
    int kind;
    atomic_bool is_touched;
    skua_task *task;
};

struct crowd {
    struct soup soup;
    uint64_t seed;
    struct member *member;
    skua_future *never;
    atomic_uint shown; /* members the cancellers may look at */
    atomic_uint next_stream;
    atomic_bool stop;
};

static int live(struct crowd *c, const struct member *m)
{
    switch (m->kind) {
    case KIND_YIELD:
        return skua_yield();
    case KIND_SLEEP:
        return skua_sleep(0.001);
    case KIND_WAIT:
        return skua_await(skua_shield(c->never), NULL);
    default:
        return 0;
    }
}

static void *member_run(void *arg)
{
    struct member *m = arg;
    struct crowd *c = (struct crowd *)m->entry.soup; /* its first member */
    soup_begin(&m->entry);
    int err = live(c, m);
    STRESS_CHECK(c->soup.run, err == 0 || (err == -ECANCELED && atomic_load(&m->is_touched)),
                 "kind %d: a task nobody cancelled saw %d", m->kind, err);
    soup_end(&m->entry);
    return err < 0 ? skua_fail(err) : m;
}

/* Before the call, so that whoever sees the effect sees the mark. */
static void touch(struct crowd *c, struct member *m)
{
    atomic_store(&m->is_touched, true);
    bool is_asked = skua_cancel(m->task, NULL);
    STRESS_CHECK(c->soup.run, is_asked || skua_done(m->task),
                 "cancel of a running task was refused");
}

static void *cancel_some(void *arg)
{
    struct crowd *c = arg;
    struct stress_rng rng = stress_rng_new(c->seed, 9 + atomic_fetch_add(&c->next_stream, 1));
    while (!atomic_load(&c->stop)) {
        unsigned shown = atomic_load(&c->shown);
        for (int i = 0; i < 16 && shown > 0; i++) {
            unsigned back = stress_below(&rng, 2) == 0 ? stress_below(&rng, shown)
                                                       : stress_below(&rng, BATCH) % shown;
            touch(c, &c->member[shown - 1 - back]);
        }
        SKUA_IGNORE(skua_yield());
    }
    return NULL;
}

/* Few suspend: a stack each for all would be another case. */
static int choose_kind(struct stress_rng *rng)
{
    unsigned x = stress_below(rng, 1024);
    return x < 8 ? KIND_YIELD : x < 12 ? KIND_SLEEP : x < 14 ? KIND_WAIT : KIND_PLAIN;
}

static void start_all(struct crowd *c)
{
    struct stress_rng rng = stress_rng_new(c->seed, 1);
    for (unsigned i = 0; i < CROWD; i++) {
        struct member *m = &c->member[i];
        m->entry.soup = &c->soup;
        m->kind = choose_kind(&rng);
        atomic_fetch_add(&c->soup.spawned, 1);
        m->task = stress_task(c->soup.run, soup_start(&c->soup, member_run, m, &rng));
        if (stress_below(&rng, 8) == 0)
            touch(c, m);
        if (i % BATCH == BATCH - 1) {
            atomic_store(&c->shown, i + 1);
            SKUA_IGNORE(skua_yield());
        }
    }
}

static void collect(struct crowd *c, struct member *m)
{
    void *value = NULL;
    if (m->kind == KIND_WAIT)
        touch(c, m);
    int err = skua_join(m->task, &value);
    int state = atomic_load(&m->entry.state);
    STRESS_CHECK(c->soup.run, state == SOUP_ENDED || state == SOUP_DROPPED,
                 "a done task is in state %d", state);
    STRESS_CHECK(c->soup.run, err == (value == m ? 0 : -ECANCELED), "a task ended with %d", err);
    STRESS_CHECK(c->soup.run, state != SOUP_DROPPED || err == -ECANCELED,
                 "a task without a run ended with %d", err);
    STRESS_CHECK(c->soup.run, err == 0 || atomic_load(&m->is_touched),
                 "a task nobody cancelled ended with %d", err);
}

static void crowd_cancel_round(struct stress_run *run, uint64_t seed)
{
    struct crowd c = {.seed = seed, .member = calloc(CROWD, sizeof *c.member)};
    skua_task *canceller[CANCELLERS];
    soup_init(&c.soup, run);
    c.never = stress_task(run, skua_future_new());
    if (c.member == NULL || c.never == NULL) {
        stress_violation(run, "out of memory");
        free(c.member);
        return;
    }
    for (int i = 0; i < CANCELLERS; i++)
        canceller[i] = stress_task(run, skua_go(cancel_some, &c));
    start_all(&c);
    atomic_store(&c.stop, true);
    for (int i = 0; i < CANCELLERS; i++) {
        int err = skua_join(canceller[i], NULL);
        STRESS_CHECK(run, err == 0, "a canceller ended with %d", err);
    }
    for (unsigned i = 0; i < CROWD; i++)
        collect(&c, &c.member[i]);
    soup_check_books(&c.soup);
    skua_release(c.never);
    free(c.member);
}

STRESS_CASE(450, "crowd_cancel",
            "100,000 tasks started, a random subset cancelled meanwhile; each accounted for",
            crowd_cancel_round);
