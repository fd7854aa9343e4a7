/* SPDX-License-Identifier: MIT */
/*
 * cancel_soup: tasks in every kind of wait are cancelled and uncancelled at random from everywhere.
 * The books must balance: every task that was spawned either ran from begin to end or was dropped
 * without ever starting, once; who was never cancelled has its own result; a shielded task is never
 * hit; gather and wait_for return only when nothing they cancelled still runs.
 */
#include "soup.h"

#include <math.h>

enum { ITEMS = 48, CANCELLERS = 3, DROPS = 4, CHAIN_MAX = 5, KINDS = 10 };

struct item {
    struct soup_entry entry; /* first: `.drop` gets its address */
    unsigned kind;
    uint64_t seed;
    bool is_left_alone; /* no canceller may choose it */
    bool must_drop;     /* cancelled before it could start */
    atomic_bool is_touched;
    skua_future *f;
    skua_task *inner;
    struct soup_leaf shielded;
    skua_task *task;
};

struct pot {
    struct soup soup;
    uint64_t seed;
    struct item item[ITEMS];
    atomic_uint next_stream;
    atomic_bool stop;
};

static int do_chain(struct item *it, struct stress_rng *rng)
{
    struct soup_leaf link = {.depth = (int)stress_below(rng, CHAIN_MAX),
                             .delay = stress_below(rng, 8000) * 1e-6};
    skua_task *t = soup_start_leaf(it->entry.soup, &link, rng);
    if (t == NULL)
        return 0;
    int err = skua_await(t, NULL);
    soup_drain(it->entry.soup, t);
    return err;
}

/* Without SKUA_RETURN_ERRORS the first child that ends cancelled ends the gather, as in asyncio. */
static int do_gather(struct item *it, struct stress_rng *rng)
{
    struct soup_leaf leaf[3];
    skua_task *t[3];
    void *value[3];
    unsigned flags = stress_below(rng, 2) == 0 ? SKUA_RETURN_ERRORS : 0;
    soup_start_leaves(it->entry.soup, leaf, t, 3, rng);
    int err = skua_gather(t, 3, value, flags);
    for (int i = 0; i < 3 && (err == 0 || flags == SKUA_RETURN_ERRORS); i++)
        STRESS_CHECK(it->entry.soup->run, skua_done(t[i]),
                     "gather ended with %d before its children", err);
    for (int i = 0; i < 3; i++)
        soup_drain(it->entry.soup, t[i]);
    return err;
}

static int do_wait(struct item *it, struct stress_rng *rng)
{
    struct stress_run *run = it->entry.soup->run;
    struct soup_leaf leaf[3];
    skua_task *t[3];
    soup_start_leaves(it->entry.soup, leaf, t, 3, rng);
    bool is_timed = stress_below(rng, 2) == 0;
    enum skua_when when = stress_below(rng, 2) == 0 ? SKUA_ALL_COMPLETED : SKUA_FIRST_COMPLETED;
    size_t done = 0;
    int err = skua_wait(t, 3, is_timed ? stress_below(rng, 6000) * 1e-6 : INFINITY, when, &done);
    if (err == 0) {
        STRESS_CHECK(run, is_timed || done >= (when == SKUA_ALL_COMPLETED ? 3u : 1u),
                     "wait ended with %zu done", done);
        for (size_t i = 0; i < done; i++)
            STRESS_CHECK(run, skua_done(t[i]), "wait put a running task among the done ones");
    }
    for (int i = 0; i < 3; i++)
        soup_drain(it->entry.soup, t[i]);
    return err;
}

/* Without any time left a cancel may end wait_for before its task has ended, as in asyncio. */
static int do_wait_for(struct item *it, struct stress_rng *rng)
{
    struct soup_leaf leaf[1];
    skua_task *t[1];
    double limit = (1 + stress_below(rng, 8000)) * 1e-6;
    soup_start_leaves(it->entry.soup, leaf, t, 1, rng);
    bool is_late = stress_below(rng, 16) == 0;
    int err = skua_wait_for(t[0], is_late ? 0 : limit, NULL);
    STRESS_CHECK(it->entry.soup->run, skua_done(t[0]) || (is_late && err == -ECANCELED),
                 "wait_for ended with %d before its task", err);
    soup_drain(it->entry.soup, t[0]);
    return err == -ETIMEDOUT ? 0 : err;
}

static int do_shield(struct item *it, struct stress_rng *rng)
{
    it->shielded =
        (struct soup_leaf){.delay = stress_below(rng, 12000) * 1e-6, .is_shielded = true};
    it->inner = soup_start_leaf(it->entry.soup, &it->shielded, rng);
    return it->inner == NULL ? 0 : skua_join(skua_shield(it->inner), NULL);
}

static int do_timeout(struct item *it, struct stress_rng *rng)
{
    struct stress_run *run = it->entry.soup->run;
    double delay = stress_below(rng, 6000) * 1e-6;
    double begin = skua_loop_time();
    skua_timeout scope;
    int err = skua_timeout_enter(&scope, delay);
    STRESS_CHECK(run, err == 0, "timeout_enter: %d", err);
    if (err < 0)
        return 0;
    err = skua_sleep(stress_below(rng, 8000) * 1e-6);
    err = skua_timeout_exit(&scope, err);
    if (err != -ETIMEDOUT)
        return err;
    STRESS_CHECK(run, skua_timeout_expired(&scope), "-ETIMEDOUT from a scope that did not expire");
    STRESS_CHECK(run, skua_loop_time() - begin >= delay - 1e-6, "a timeout scope expired early");
    if (!atomic_load(&it->is_touched))
        STRESS_CHECK(run, skua_cancelling(skua_current_task()) == 0,
                     "a timeout scope left its cancel behind");
    return 0;
}

static int do_yields(struct stress_rng *rng)
{
    int err = 0;
    for (unsigned n = stress_below(rng, 100); n > 0 && err == 0; n--)
        err = skua_yield();
    return err;
}

static int do_swallow(struct stress_rng *rng)
{
    int err = skua_sleep(stress_below(rng, 8000) * 1e-6);
    if (err == -ECANCELED)
        err = skua_sleep(stress_below(rng, 2000) * 1e-6);
    return err == -ECANCELED && stress_below(rng, 2) == 0 ? 0 : err;
}

static int do_kind(struct item *it, struct stress_rng *rng)
{
    switch (it->kind) {
    case 0:
        return skua_sleep(stress_below(rng, 12000) * 1e-6);
    case 1:
        return do_chain(it, rng);
    case 2:
        return do_gather(it, rng);
    case 3:
        return do_wait(it, rng);
    case 4:
        return do_wait_for(it, rng);
    case 5:
        return do_shield(it, rng);
    case 6:
        return do_timeout(it, rng);
    case 7:
        return do_yields(rng);
    case 8:
        return skua_await(it->f, NULL);
    default:
        return do_swallow(rng);
    }
}

static void *item_run(void *arg)
{
    struct item *it = arg;
    struct stress_rng rng = stress_rng_new(it->seed, 3);
    soup_begin(&it->entry);
    int err = do_kind(it, &rng);
    /* gather with SKUA_RETURN_ERRORS counts failed children: none fails by itself. */
    STRESS_CHECK(it->entry.soup->run,
                 err == 0 || (err == -ECANCELED && atomic_load(&it->is_touched)),
                 "kind %u: a task nobody cancelled saw %d", it->kind, err);
    soup_end(&it->entry);
    return err < 0 ? skua_fail(err) : it;
}

static void *cancel_some(void *arg)
{
    struct pot *pot = arg;
    struct stress_run *run = pot->soup.run;
    struct stress_rng rng = stress_rng_new(pot->seed, 50 + atomic_fetch_add(&pot->next_stream, 1));
    while (!atomic_load(&pot->stop)) {
        struct item *it = &pot->item[stress_below(&rng, ITEMS)];
        if (!it->is_left_alone) {
            atomic_store(&it->is_touched, true);
            bool is_asked = skua_cancel(it->task, "soup");
            STRESS_CHECK(run, is_asked || skua_done(it->task),
                         "cancel of a running task was refused");
            if (stress_below(&rng, 6) == 0)
                skua_uncancel(it->task);
        }
        int err =
            stress_below(&rng, 3) == 0 ? skua_yield() : skua_sleep(stress_below(&rng, 400) * 1e-6);
        STRESS_CHECK(run, err == 0, "a canceller's own wait ended with %d", err);
    }
    return NULL;
}

static void fill(struct pot *pot, struct stress_rng *rng)
{
    struct stress_run *run = pot->soup.run;
    for (int i = 0; i < ITEMS; i++) {
        struct item *it = &pot->item[i];
        *it = (struct item){
            .entry = {.soup = &pot->soup},
            .kind = stress_below(rng, KINDS),
            .seed = stress_next(rng),
            .is_left_alone = i % 3 == 0,
            .must_drop = i % 3 == 0 && i / 3 < DROPS,
        };
        if (it->kind == 8)
            it->f = stress_task(run, skua_future_new());
        atomic_fetch_add(&pot->soup.spawned, 1);
        if (it->must_drop)
            it->task = skua_spawn(item_run, it, .drop = soup_drop);
        else
            it->task = soup_start(&pot->soup, item_run, it, rng);
        stress_task(run, it->task);
        if (it->must_drop)
            skua_cancel(it->task, NULL);
    }
}

static void check_item(struct pot *pot, struct item *it)
{
    struct stress_run *run = pot->soup.run;
    void *value = NULL;
    int err = skua_result(it->task, &value);
    int state = atomic_load(&it->entry.state);
    STRESS_CHECK(run, state == SOUP_ENDED || state == SOUP_DROPPED, "a done task is in state %d",
                 state);
    STRESS_CHECK(run, !it->must_drop || state == SOUP_DROPPED,
                 "a task cancelled before its start did start");
    if (err == 0)
        STRESS_CHECK(run, value == it, "kind %u: a foreign result", it->kind);
    else
        STRESS_CHECK(run, err == -ECANCELED && (it->must_drop || atomic_load(&it->is_touched)),
                     "kind %u ended with %d", it->kind, err);
    if (it->inner != NULL) {
        err = skua_join(it->inner, NULL);
        STRESS_CHECK(run, err == 0, "a shielded task ended with %d", err);
    }
    skua_release(it->f);
    skua_release(it->task);
}

static void cancel_soup_round(struct stress_run *run, uint64_t seed)
{
    static struct pot pot; /* too large for the frame of a task; one round at a time */
    struct stress_rng rng = stress_rng_new(seed, 1);
    skua_task *canceller[CANCELLERS];

    soup_init(&pot.soup, run);
    pot.seed = seed;
    atomic_store(&pot.stop, false);
    atomic_store(&pot.next_stream, 0);
    fill(&pot, &rng);
    for (int i = 0; i < CANCELLERS; i++)
        canceller[i] =
            stress_task(run, i == 0 ? skua_spawn(cancel_some, &pot) : skua_go(cancel_some, &pot));
    int err = skua_sleep(stress_below(&rng, 8000) * 1e-6);
    STRESS_CHECK(run, err == 0, "a sleep of main ended with %d", err);
    for (int i = 0; i < ITEMS; i++)
        if (pot.item[i].f != NULL)
            skua_future_set_result(pot.item[i].f, NULL);
    for (int i = 0; i < ITEMS; i++) {
        err = skua_await(pot.item[i].task, NULL);
        STRESS_CHECK(run, skua_done(pot.item[i].task), "an await ended with %d before its task",
                     err);
    }
    atomic_store(&pot.stop, true);
    for (int i = 0; i < CANCELLERS; i++) {
        err = skua_join(canceller[i], NULL);
        STRESS_CHECK(run, err == 0, "a canceller ended with %d", err);
    }
    for (int i = 0; i < ITEMS; i++)
        check_item(&pot, &pot.item[i]);
    soup_check_books(&pot.soup);
}

STRESS_CASE(400, "cancel_soup",
            "random cancels and uncancels of tasks in every kind of wait; the books must balance",
            cancel_soup_round);
