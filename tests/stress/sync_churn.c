/* SPDX-License-Identifier: MIT */
/* sync_churn: locks, semaphores, conditions, queues and barriers under tasks that are cancelled and
 * time out at every wait, on all workers and a plain thread. Nothing that is handed from one to the
 * next may be lost or doubled. Who was cancelled may rest until something new was brought, and who
 * brings waits now and then until all was taken: so a lost wake-up leaves the round hanging. */
#include "stress.h"

#include <math.h>
#include <pthread.h>

enum {
    PERMITS = 3,
    PARTIES = 3,
    CAPACITY = 2,
    ROUNDS = STRESS_IS_SANITIZED ? 20 : 60,
    EACH = STRESS_IS_SANITIZED ? 40 : 150,
    CHURNERS = 8,
    PUTTERS = 3,
    GETTERS = 3,
    MAKERS = 2,
    TAKERS = 3,
    ACTORS = CHURNERS + PUTTERS + GETTERS + MAKERS + TAKERS, /* those who end by themselves */
    CANCELS_MAX = 400,
};

enum { SALT_MAIN = 0x5c00, SALT_THREAD, SALT_ACTOR };

struct hall {
    struct stress_run *run;
    skua_lock lock;
    long count; /* under the lock, as is what has no other word beside it */
    atomic_long counted;
    skua_semaphore permits;
    atomic_int inside;
    skua_rwlock rw;
    atomic_int readers;
    atomic_int writers;
    skua_event pulse;
    skua_event brought; /* by a putter or maker; set for good when all are at their end */
    skua_lock store; /* guards a store of at most CAPACITY things */
    skua_cond came, went;
    int stored, made, taken;
    bool is_closed;
    skua_queue queue;
    atomic_uchar put[PUTTERS * EACH];
    atomic_uchar got[PUTTERS * EACH];
    atomic_int putters, makers, ended;
    skua_barrier barrier;
    atomic_uint met[PARTIES];
    atomic_uint missed;
    atomic_int begun;
    bool thread_takes; /* it looks all the time, which would make up for what others missed */
    atomic_bool is_over;
};

struct actor {
    struct hall *hall;
    skua_fn role;
    struct stress_rng rng;
    int next; /* of what it puts into the queue */
    bool is_fickle; /* may rest when it was cancelled */
    bool is_member; /* goes on as long as the others do, and is no sign of life */
};

static void idle(struct stress_rng *rng)
{
    unsigned how = stress_below(rng, 16);
    if (how == 0)
        SKUA_IGNORE(skua_sleep(stress_below(rng, 60) * 1e-6)); /* a cancel may end it */
    else if (how < 4)
        skua_yield();
}

/* ---- what is done; each may be cancelled ---- */

static int use_lock(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_lock_acquire(&h->lock);
    if (r < 0)
        return r;
    long n = h->count;
    idle(&a->rng);
    h->count = n + 1;
    atomic_fetch_add(&h->counted, 1);
    STRESS_CHECK(h->run, skua_lock_locked(&h->lock), "the lock is free inside");
    r = skua_lock_release(&h->lock);
    STRESS_CHECK(h->run, r == 0, "release: %d", r);
    return 0;
}

static int use_permit(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_semaphore_acquire(&h->permits);
    if (r < 0)
        return r;
    int n = atomic_fetch_add(&h->inside, 1);
    STRESS_CHECK(h->run, n < PERMITS, "%d inside before this one", n);
    idle(&a->rng);
    atomic_fetch_sub(&h->inside, 1);
    r = skua_semaphore_release(&h->permits);
    STRESS_CHECK(h->run, r == 0, "semaphore_release: %d", r);
    return 0;
}

static int read_it(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_rwlock_acquire_read(&h->rw);
    if (r < 0)
        return r;
    atomic_fetch_add(&h->readers, 1);
    idle(&a->rng);
    int n = atomic_load(&h->writers);
    STRESS_CHECK(h->run, n == 0, "%d write while one reads", n);
    atomic_fetch_sub(&h->readers, 1);
    r = skua_rwlock_release_read(&h->rw);
    STRESS_CHECK(h->run, r == 0, "release_read: %d", r);
    return 0;
}

static int write_it(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_rwlock_acquire_write(&h->rw);
    if (r < 0)
        return r;
    int n = atomic_fetch_add(&h->writers, 1) + atomic_load(&h->readers);
    idle(&a->rng);
    STRESS_CHECK(h->run, n == 0, "%d beside one that writes", n);
    atomic_fetch_sub(&h->writers, 1);
    r = skua_rwlock_release_write(&h->rw);
    STRESS_CHECK(h->run, r == 0, "release_write: %d", r);
    return 0;
}

static int await_pulse(struct actor *a)
{
    return skua_event_wait(&a->hall->pulse);
}

static void leave_store(struct hall *h)
{
    bool is_mine = skua_lock_locked(&h->store);
    int r = skua_lock_release(&h->store);
    STRESS_CHECK(h->run, is_mine && r == 0, "a wait came back without the lock: %d", r);
}

static int make(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_lock_acquire(&h->store);
    if (r < 0)
        return r;
    while (r == 0 && h->stored == CAPACITY)
        r = skua_cond_wait(&h->went);
    if (r == 0) {
        h->stored++;
        h->made++;
        SKUA_IGNORE(skua_cond_notify(&h->came, 1));
    }
    leave_store(h);
    return r;
}

/* -EPIPE: it is closed and empty. */
static int take(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_lock_acquire(&h->store);
    if (r < 0)
        return r;
    while (r == 0 && h->stored == 0 && !h->is_closed)
        r = skua_cond_wait(&h->came);
    if (r == 0 && h->stored == 0) {
        r = -EPIPE;
    } else if (r == 0) {
        h->stored--;
        h->taken++;
        SKUA_IGNORE(skua_cond_notify_all(&h->went));
    }
    leave_store(h);
    return r;
}

static int await_taken(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_lock_acquire(&h->store);
    if (r < 0)
        return r;
    while (r == 0 && h->stored > 0)
        r = skua_cond_wait(&h->went);
    leave_store(h);
    return r;
}

static double patience(struct stress_rng *rng)
{
    return stress_below(rng, 3) ? INFINITY : stress_below(rng, 200) * 1e-6;
}

static void note(struct hall *h, atomic_uchar *place, const char *what)
{
    int before = atomic_fetch_add(place, 1);
    STRESS_CHECK(h->run, before == 0, "an element was %s twice", what);
    stress_op(h->run);
}

static int put(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_queue_put(&h->queue, &h->put[a->next], patience(&a->rng));
    if (r == 0)
        note(h, &h->put[a->next++], "put");
    return r;
}

static void note_got(struct hall *h, const void *item)
{
    note(h, &h->got[(const atomic_uchar *)item - h->put], "got");
    int r = skua_queue_task_done(&h->queue);
    STRESS_CHECK(h->run, r == 0, "task_done: %d", r);
}

static int get(struct actor *a)
{
    struct hall *h = a->hall;
    void *item = NULL;
    int r = skua_queue_get(&h->queue, &item, patience(&a->rng));
    if (r == 0)
        note_got(h, item);
    return r;
}

static int await_brought(struct actor *a)
{
    return skua_event_wait(&a->hall->brought);
}

static int await_work_done(struct actor *a)
{
    return skua_queue_join(&a->hall->queue);
}

static int meet(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_barrier_wait(&h->barrier);
    STRESS_CHECK(h->run, r < PARTIES, "index %d", r);
    if (r >= 0)
        atomic_fetch_add(&h->met[r], 1);
    else
        atomic_fetch_add(&h->missed, 1);
    return r < 0 ? r : 0;
}

/* ---- who does it ---- */

/* Does it, often with a limit. 0, -EPIPE, or -EAGAIN: cancelled or late. */
static int attempt(struct actor *a, int (*deed)(struct actor *))
{
    struct stress_run *run = a->hall->run;
    skua_timeout limit;
    bool is_limited = stress_below(&a->rng, 3) == 0;
    int r = is_limited ? skua_timeout_enter(&limit, stress_below(&a->rng, 200) * 1e-6) : 0;
    STRESS_CHECK(run, r == 0, "timeout_enter: %d", r);
    r = deed(a);
    if (is_limited)
        r = skua_timeout_exit(&limit, r);
    STRESS_CHECK(run, r == 0 || r == -ECANCELED || r == -ETIMEDOUT || r == -EPIPE,
                 "a wait ended with %d", r);
    while (skua_cancelling(skua_current_task()) > 0)
        skua_uncancel(skua_current_task());
    if (!a->is_member)
        stress_op(run);
    return r == -ECANCELED || r == -ETIMEDOUT ? -EAGAIN : r;
}

static void *churn(void *arg)
{
    static int (*const deeds[])(struct actor *) = {use_lock, use_permit, read_it,
                                                   read_it,  write_it,   await_pulse};
    struct actor *a = arg;
    for (int i = 0; i < ROUNDS; i++) {
        SKUA_IGNORE(attempt(a, deeds[stress_below(&a->rng, sizeof deeds / sizeof deeds[0])]));
        idle(&a->rng);
    }
    return NULL;
}

/* Puts or makes EACH things, and waits until they were taken after every other one. */
static void bring(struct actor *a, int (*one)(struct actor *), int (*await_all)(struct actor *))
{
    for (int left = EACH; left > 0;) {
        idle(&a->rng);
        if (attempt(a, one) != 0)
            continue;
        left--;
        skua_event_set(&a->hall->brought);
        skua_event_clear(&a->hall->brought);
        while (stress_below(&a->rng, 2) == 0 && attempt(a, await_all) != 0)
            continue;
    }
}

static void fetch(struct actor *a, int (*one)(struct actor *))
{
    int r;
    while ((r = attempt(a, one)) != -EPIPE)
        if (r < 0 && a->is_fickle && stress_below(&a->rng, 2) == 0)
            SKUA_IGNORE(attempt(a, await_brought));
}

static void end_bringing(struct hall *h)
{
    if (atomic_fetch_add(&h->ended, 1) + 1 == PUTTERS + MAKERS)
        skua_event_set(&h->brought);
}

static void *be_putter(void *arg)
{
    struct actor *a = arg;
    bring(a, put, await_work_done);
    if (atomic_fetch_sub(&a->hall->putters, 1) == 1)
        skua_queue_shutdown(&a->hall->queue, false);
    end_bringing(a->hall);
    return NULL;
}

static void *be_getter(void *arg)
{
    fetch(arg, get);
    return NULL;
}

static int close_store(struct actor *a)
{
    struct hall *h = a->hall;
    int r = skua_lock_acquire(&h->store);
    if (r < 0)
        return r;
    h->is_closed = true;
    SKUA_IGNORE(skua_cond_notify_all(&h->came));
    leave_store(h);
    return 0;
}

static void *be_maker(void *arg)
{
    struct actor *a = arg;
    bring(a, make, await_taken);
    if (atomic_fetch_sub(&a->hall->makers, 1) == 1)
        while (attempt(a, close_store) != 0)
            continue;
    end_bringing(a->hall);
    return NULL;
}

static void *be_taker(void *arg)
{
    fetch(arg, take);
    return NULL;
}

static void *be_member(void *arg)
{
    struct actor *a = arg;
    a->is_member = true;
    while (attempt(a, meet) != -EPIPE)
        idle(&a->rng);
    return NULL;
}

static void *be_thread(void *arg)
{
    struct hall *h = arg;
    struct stress_rng rng = stress_rng_new(h->run->seed, SALT_THREAD);
    while (!atomic_load(&h->is_over)) {
        void *item;
        int r = skua_lock_acquire_blocking(&h->lock);
        STRESS_CHECK(h->run, r == 0, "lock_acquire_blocking: %d", r);
        h->count++;
        atomic_fetch_add(&h->counted, 1);
        SKUA_IGNORE(skua_lock_release(&h->lock));
        if (h->thread_takes &&
            skua_queue_get_blocking(&h->queue, &item, stress_below(&rng, 100) * 1e-6) == 0)
            note_got(h, item);
        r = skua_semaphore_acquire_blocking(&h->permits, stress_below(&rng, 100) * 1e-6);
        if (r == 0)
            SKUA_IGNORE(skua_semaphore_release(&h->permits));
        SKUA_IGNORE(skua_event_wait_blocking(&h->pulse, 50e-6));
    }
    return NULL;
}

/* ---- the round ---- */

static void *play(void *arg)
{
    struct actor *a = arg;
    atomic_fetch_add(&a->hall->begun, 1);
    return a->role(a);
}

static skua_task *start(struct hall *h, skua_fn role, struct actor *a, struct stress_rng *rng)
{
    struct stress_run *run = h->run;
    unsigned where = stress_below(rng, 3);
    a->hall = h;
    a->role = role;
    a->rng = stress_rng_new(stress_next(rng), SALT_ACTOR);
    if (where == 0)
        return stress_task(run, skua_go(play, a));
    if (where == 1 || run->group_count == 0)
        return stress_task(run, skua_spawn(play, a));
    skua_group *g = run->group[stress_below(rng, (unsigned)run->group_count)];
    return stress_task(run, skua_spawn(play, a, .group = g));
}

static void check_end(struct hall *h)
{
    struct stress_run *run = h->run;
    int free_permits = 0;
    STRESS_CHECK(run, h->count == atomic_load(&h->counted), "counted %ld, found %ld",
                 atomic_load(&h->counted), h->count);
    STRESS_CHECK(run, skua_lock_try_acquire(&h->lock) == 0, "the lock is not free at the end");
    while (skua_semaphore_try_acquire(&h->permits) == 0)
        free_permits++;
    STRESS_CHECK(run, free_permits == PERMITS, "%d permits at the end", free_permits);
    STRESS_CHECK(run, skua_rwlock_acquire_write(&h->rw) == 0, "no writing at the end");
    STRESS_CHECK(run, h->made == MAKERS * EACH && h->taken == h->made && h->stored == 0,
                 "%d made, %d taken, %d left", h->made, h->taken, h->stored);
    for (int i = 0; i < PUTTERS * EACH; i++)
        STRESS_CHECK(run, atomic_load(&h->put[i]) == 1 && atomic_load(&h->got[i]) == 1,
                     "element %d: put %d times, got %d times", i, atomic_load(&h->put[i]),
                     atomic_load(&h->got[i]));
    STRESS_CHECK(run, skua_queue_join(&h->queue) == 0, "join");
    unsigned meetings = atomic_load(&h->met[PARTIES - 1]);
    for (int i = 0; i < PARTIES; i++) {
        unsigned n = atomic_load(&h->met[i]);
        STRESS_CHECK(run, n <= meetings && meetings - n <= atomic_load(&h->missed),
                     "index %d given %u times in %u meetings", i, n, meetings);
    }
}

/* Cancels at random until all but the members have ended. */
static void disturb(struct hall *h, skua_task **t, struct stress_rng *rng)
{
    unsigned cancels = 0;
    int first = 0;
    while (atomic_load(&h->begun) < ACTORS + PARTIES) /* cancelled before, they would not do */
        skua_yield();                                 /* their part */
    while (first < ACTORS) {
        if (skua_done(t[first])) {
            first++;
            continue;
        }
        if (cancels++ < CANCELS_MAX)
            skua_cancel(t[stress_below(rng, ACTORS + PARTIES)], NULL);
        skua_event_set(&h->pulse);
        skua_event_clear(&h->pulse);
        if (stress_below(rng, 4) == 0)
            SKUA_IGNORE(skua_sleep((20 + stress_below(rng, 100)) * 1e-6));
        else
            skua_yield();
    }
}

static void sync_churn_round(struct stress_run *run, uint64_t seed)
{
    static const struct {
        skua_fn fn;
        int n;
    } roles[] = {{churn, CHURNERS}, {be_putter, PUTTERS}, {be_getter, GETTERS},
                 {be_maker, MAKERS}, {be_taker, TAKERS},  {be_member, PARTIES}};
    struct hall h = {.run = run,
                     .permits = SKUA_SEMAPHORE_INIT(PERMITS),
                     .came = SKUA_COND_INIT(&h.store),
                     .went = SKUA_COND_INIT(&h.store),
                     .queue = SKUA_QUEUE_INIT(CAPACITY),
                     .thread_takes = seed & 1,
                     .putters = PUTTERS,
                     .makers = MAKERS,
                     .barrier = SKUA_BARRIER_INIT(PARTIES)};
    struct stress_rng rng = stress_rng_new(seed, SALT_MAIN);
    struct actor actor[ACTORS + PARTIES] = {{0}};
    skua_task *t[ACTORS + PARTIES];
    pthread_t thread;
    int n = 0;
    bool has_thread = pthread_create(&thread, NULL, be_thread, &h) == 0;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        for (int k = 0; k < roles[i].n; k++, n++) {
            actor[n].next = k * EACH;
            actor[n].is_fickle = k > 0; /* the first of each role stays */
            t[n] = start(&h, roles[i].fn, &actor[n], &rng);
        }
    disturb(&h, t, &rng);
    int r = skua_barrier_abort(&h.barrier);
    STRESS_CHECK(run, r == 0, "barrier_abort: %d", r);
    void *results[ACTORS + PARTIES];
    r = skua_gather(t, (size_t)n, results, SKUA_RELEASE | SKUA_RETURN_ERRORS);
    STRESS_CHECK(run, r >= 0, "gather: %d", r);
    for (int i = 0; i < n; i++) { /* a cancel at the very end may have had no wait to end */
        int err = skua_failed(results[i]);
        STRESS_CHECK(run, err == 0 || err == -ECANCELED, "task %d of %d ended with %d", i, n, err);
    }
    atomic_store(&h.is_over, true);
    if (has_thread)
        pthread_join(thread, NULL);
    check_end(&h);
    skua_queue_fini(&h.queue);
}

STRESS_CASE(470, "sync_churn",
            "locks, semaphores, conditions, queues and barriers; cancels and timeouts everywhere",
            sync_churn_round);
