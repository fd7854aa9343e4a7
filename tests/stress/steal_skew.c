/* SPDX-License-Identifier: MIT */
/*
 * steal_skew: one producer starts free tasks of very different length, in bursts longer than a
 * deque, some of which start children; everybody else lives from what he takes from it. Nothing may
 * be lost or run twice, whatever is taken, overflows or is left to the producer.
 */
#include "stress.h"

enum { TASKS = 1500, CHILDREN_MAX = 4, LONG_MAX_US = 150 };

struct field;

struct job {
    struct field *field;
    unsigned token;
    unsigned spin_us;
    unsigned children;
    atomic_uint ran;
};

struct field {
    struct stress_run *run;
    uint64_t seed;
    atomic_uint ran; /* bodies, children included */
    unsigned started;
    struct job job[TASKS];
    skua_task *task[TASKS];
};

static void *child(void *arg)
{
    struct field *f = arg;
    atomic_fetch_add(&f->ran, 1);
    return NULL;
}

static void raise_children(struct job *j)
{
    skua_task *t[CHILDREN_MAX];
    for (unsigned i = 0; i < j->children; i++)
        t[i] = stress_task(j->field->run, skua_go(child, j->field));
    for (unsigned i = 0; i < j->children; i++) {
        int err = skua_join(t[i], NULL);
        STRESS_CHECK(j->field->run, err == 0, "joining a child: %d", err);
    }
}

static void *work(void *arg)
{
    struct job *j = arg;
    unsigned before = atomic_fetch_add(&j->ran, 1);
    STRESS_CHECK(j->field->run, before == 0, "job %u ran again", j->token);
    for (double end = stress_now() + j->spin_us * 1e-6; j->spin_us > 0 && stress_now() < end;)
        continue;
    raise_children(j);
    atomic_fetch_add(&j->field->ran, 1);
    stress_op(j->field->run);
    return (void *)(uintptr_t)(j->token + 1);
}

/* Long ones come alone, in runs, or as nearly all: what a thief finds is what it gets. */
static void fill(struct field *f)
{
    struct stress_rng rng = stress_rng_new(f->seed, 1);
    unsigned one_in = 2u << stress_below(&rng, 6);
    bool is_run = false;
    for (unsigned i = 0; i < TASKS; i++) {
        struct job *j = &f->job[i];
        is_run = stress_below(&rng, one_in) == 0 ? !is_run : is_run;
        bool is_long = one_in > 8 ? stress_below(&rng, one_in) == 0 : is_run;
        j->field = f;
        j->token = i;
        j->spin_us = is_long && stress_below(&rng, 8) == 0 ? stress_below(&rng, LONG_MAX_US) : 0;
        j->children = stress_below(&rng, 16) == 0 ? 1 + stress_below(&rng, CHILDREN_MAX) : 0;
        f->started += 1 + j->children;
        atomic_store(&j->ran, 0);
    }
}

static void collect(struct field *f, unsigned i)
{
    void *value = NULL;
    int err = skua_join(f->task[i], &value);
    STRESS_CHECK(f->run, err == 0 && (uintptr_t)value == i + 1, "job %u came back as %d, %ju", i,
                 err, (uintmax_t)(uintptr_t)value);
}

/* Bursts of a seeded length; after each the oldest, the newest or none of it is waited for. */
static void *produce(void *arg)
{
    struct field *f = arg;
    struct stress_rng rng = stress_rng_new(f->seed, 2);
    unsigned next = 0;
    unsigned head = 0;
    while (next < TASKS) {
        unsigned burst = 1 + stress_below(&rng, 1u << (1 + stress_below(&rng, 11)));
        for (; burst > 0 && next < TASKS; burst--, next++)
            f->task[next] = stress_task(f->run, skua_go(work, &f->job[next]));
        if (stress_below(&rng, 3) == 0)
            collect(f, head++);
        else if (stress_below(&rng, 2) == 0)
            SKUA_IGNORE(skua_yield());
    }
    if (stress_below(&rng, 2) == 0)
        for (unsigned i = TASKS; i > head; i--)
            collect(f, i - 1);
    else
        for (unsigned i = head; i < TASKS; i++)
            collect(f, i);
    return NULL;
}

static void steal_skew_round(struct stress_run *run, uint64_t seed)
{
    static struct field f; /* too large for the frame of a task; one round at a time */
    f.run = run;
    f.seed = seed;
    f.started = 0;
    atomic_store(&f.ran, 0);
    fill(&f);
    if (seed % 2 == 0) { /* the producer is pinned: what it starts goes to its worker's deque too */
        produce(&f);
    } else {
        int err = skua_join(stress_task(run, skua_go(produce, &f)), NULL);
        STRESS_CHECK(run, err == 0, "the producer ended with %d", err);
    }
    unsigned ran = atomic_load(&f.ran);
    STRESS_CHECK(run, ran == f.started, "%u tasks started, %u ran", f.started, ran);
    for (unsigned i = 0; i < TASKS; i++)
        STRESS_CHECK(run, atomic_load(&f.job[i].ran) == 1, "job %u ran %u times", i,
                     atomic_load(&f.job[i].ran));
}

STRESS_CASE(150, "steal_skew",
            "one producer, short and long tasks mixed, thieves live from it; each runs once",
            steal_skew_round);
