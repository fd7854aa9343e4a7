/* SPDX-License-Identifier: MIT */
/*
 * lanes: calls on all lanes of threads at once, many more than there are threads. Some return by
 * themselves, some wait for their token, some wait in a read that nothing ends but a signal. Their
 * tasks are cancelled before they begin, while they run and when they are over; some are left
 * alone, with a copy of their argument.
 */
#include "stress.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 96, LANES = 3 };

enum kind { RETURNS, NAPS, LOOKS, READS, KINDS };

static const char *const lane_names[LANES] = {"default", "dns", "file"};

struct call;

/* What the function uses: outlives the round, since it may be left alone. */
struct entry {
    atomic_int begun;
    atomic_int ended;
    atomic_int strayed; /* interrupted, and nobody had asked */
    atomic_bool asked;
    skua_token token;
    enum kind kind;
    int read_end;
};

struct crowd {
    struct stress_run *run;
    struct entry *entry;
    atomic_uint returned;
    atomic_uint cancelled;
    int read_end;
};

struct call {
    struct crowd *crowd;
    struct entry *entry;
    const char *lane;
    bool copies;
    bool interrupts;
    bool by_handle;
    bool is_entered; /* its task, then whoever joined that */
    uintptr_t answer;
};

struct argument {
    struct entry *entry;
    uintptr_t answer;
};

static bool nap_is_cut(long ns)
{
    return nanosleep(&(struct timespec){.tv_nsec = ns}, NULL) < 0;
}

static void *function(void *arg)
{
    struct argument *a = arg;
    struct entry *e = a->entry;
    char byte;
    atomic_fetch_add(&e->begun, 1);
    switch (e->kind) {
    case RETURNS:
        break;
    case NAPS:
        if (nap_is_cut(100000) && !atomic_load(&e->asked))
            atomic_fetch_add(&e->strayed, 1);
        break;
    case LOOKS:
        while (!skua_token_is_set(&e->token))
            (void)nap_is_cut(200000);
        break;
    default:
        if (read(e->read_end, &byte, 1) >= 0 || errno != EINTR || !atomic_load(&e->asked))
            atomic_fetch_add(&e->strayed, 1);
        break;
    }
    void *answer = (void *)a->answer;
    atomic_fetch_add(&e->ended, 1);
    return answer;
}

static int call_by_handle(struct call *c, struct argument *a, void **ret_value)
{
    int err = 0;
    skua_task *t = skua_spawn_thread(function, a, .lane = c->lane, .copy = sizeof *a,
                                     .interrupt = c->interrupts, .token = &c->entry->token,
                                     .ret_err = &err);
    return t == NULL ? err : skua_join(t, ret_value);
}

static int call_directly(struct call *c, struct argument *a, void **ret_value)
{
    return skua_to_thread(function, a, ret_value, .lane = c->lane,
                          .copy = c->copies ? sizeof *a : 0, .interrupt = c->interrupts,
                          .token = &c->entry->token);
}

static void *caller(void *arg)
{
    struct call *c = arg;
    struct crowd *crowd = c->crowd;
    struct entry *e = c->entry;
    struct argument a = {e, c->answer};
    void *value = NULL;
    c->is_entered = true;
    int err = c->by_handle ? call_by_handle(c, &a, &value) : call_directly(c, &a, &value);
    int begun = atomic_load(&e->begun), ended = atomic_load(&e->ended);
    STRESS_CHECK(crowd->run, err == 0 || err == -ECANCELED, "a call ended with %d", err);
    STRESS_CHECK(crowd->run, err != 0 || (ended == 1 && value == (void *)c->answer),
                 "a call answered wrongly");
    STRESS_CHECK(crowd->run, c->copies || c->by_handle || begun == ended,
                 "a call came back before its function");
    STRESS_CHECK(crowd->run, err == 0 || atomic_load(&e->asked), "cancelled by nobody");
    atomic_fetch_add(err == 0 ? &crowd->returned : &crowd->cancelled, 1);
    stress_op(crowd->run);
    return NULL;
}

static void fill_in(struct crowd *crowd, struct call *c, int i, struct stress_rng *rng)
{
    struct entry *e = &crowd->entry[i];
    e->kind = stress_below(rng, KINDS);
    e->read_end = crowd->read_end;
    *c = (struct call){
        .crowd = crowd,
        .entry = e,
        .lane = lane_names[stress_below(rng, LANES)],
        .copies = stress_below(rng, 3) == 0,
        .interrupts = e->kind == READS || stress_below(rng, 2),
        .by_handle = stress_below(rng, 4) == 0,
        .answer = (uintptr_t)i + 1,
    };
}

static void cancel_some(struct crowd *crowd, skua_task **t, struct stress_rng *rng)
{
    for (int i = 0; i < CALLS; i++) {
        if (stress_below(rng, 8) == 0)
            SKUA_IGNORE(skua_sleep(1e-6 * stress_below(rng, 300)));
        /* Those that would not return by themselves are all cancelled, some of the others too. */
        if (crowd->entry[i].kind < LOOKS && stress_below(rng, 3) > 0)
            continue;
        atomic_store(&crowd->entry[i].asked, true);
        (void)skua_cancel(t[i], NULL);
    }
}

/* Functions that were left alone: until none is running or queued. */
static void await_stragglers(struct crowd *crowd)
{
    for (int lane = 0; lane < LANES; lane++) {
        struct skua_lane_stats s = {.size = sizeof s};
        double deadline = stress_now() + 30;
        do {
            SKUA_IGNORE(skua_sleep(0.0005));
            STRESS_CHECK(crowd->run, skua_lane_stats_get(lane_names[lane], &s) == 0, "no figures");
        } while (s.running + s.queued > 0 && stress_now() < deadline);
        STRESS_CHECK(crowd->run, s.running + s.queued == 0, "%ju calls still in lane %s",
                     (uintmax_t)(s.running + s.queued), lane_names[lane]);
        STRESS_CHECK(crowd->run, s.threads <= s.threads_max, "%d threads in lane %s", s.threads,
                     lane_names[lane]);
    }
}

static void check_books(struct crowd *crowd)
{
    for (int i = 0; i < CALLS; i++) {
        struct entry *e = &crowd->entry[i];
        int begun = atomic_load(&e->begun), ended = atomic_load(&e->ended);
        STRESS_CHECK(crowd->run, begun == ended && begun <= 1,
                     "a function began %d times and ended %d", begun, ended);
        STRESS_CHECK(crowd->run, atomic_load(&e->strayed) == 0, "a signal hit the wrong call");
    }
    unsigned back = atomic_load(&crowd->returned) + atomic_load(&crowd->cancelled);
    STRESS_CHECK(crowd->run, back == CALLS, "%u of %d calls came back", back, CALLS);
}

static void run_crowd(struct crowd *crowd, struct call *calls, struct stress_rng *rng)
{
    static skua_task *t[CALLS]; /* too large for the frame of a task; one round at a time */
    for (int i = 0; i < CALLS; i++) {
        fill_in(crowd, &calls[i], i, rng);
        unsigned at = stress_below(rng, (unsigned)crowd->run->group_count + 1);
        t[i] = (int)at < crowd->run->group_count
                   ? skua_spawn(caller, &calls[i], .group = crowd->run->group[at])
                   : skua_go(caller, &calls[i]);
        if (stress_task(crowd->run, t[i]) == NULL)
            abort();
    }
    cancel_some(crowd, t, rng);
    for (int i = 0; i < CALLS; i++) {
        int err = skua_join(t[i], NULL);
        STRESS_CHECK(crowd->run, err == 0 || atomic_load(&crowd->entry[i].asked), "join: %d", err);
        if (!calls[i].is_entered) /* cancelled before its first step */
            atomic_fetch_add(&crowd->cancelled, 1);
    }
    await_stragglers(crowd);
    check_books(crowd);
}

static void lanes_round(struct stress_run *run, uint64_t seed)
{
    struct stress_rng rng = stress_rng_new(seed, 1);
    struct crowd crowd = {.run = run};
    struct call *calls = calloc(CALLS, sizeof *calls);
    int fds[2];
    crowd.entry = calloc(CALLS, sizeof *crowd.entry);
    if (calls == NULL || crowd.entry == NULL || pipe(fds) < 0) {
        stress_violation(run, "no memory or no descriptors");
    } else {
        crowd.read_end = fds[0];
        run_crowd(&crowd, calls, &rng);
        close(fds[0]);
        close(fds[1]);
    }
    free(crowd.entry);
    free(calls);
}

STRESS_CASE(700, "lanes", "calls on all lanes of threads, cancelled, interrupted and left alone",
            lanes_round);
