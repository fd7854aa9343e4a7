/* SPDX-License-Identifier: MIT */
/* Every wait against every pair of what may end it: a grant, a cancel, a timeout, a close; in each
 * order, in one step, in two, far apart, from the waiter's own group, from another one, from a free
 * task and from a plain thread, also one from here and one from there at the same moment; for a
 * waiter in the group of main, in another one, and in none.
 *
 * The result has to be that of an event that happened; nothing may be lost and nothing come twice:
 * what the waiter did not take goes to a rival that waits behind it, or stays; a request to cancel
 * is felt once; everybody ends. */
#include <pthread.h>
#include <stdio.h>

#include "pairs_io.h"
#include "pairs_real.h"
#include "pairs_sync.h"
#include "pairs_tasks.h"
#include "../support/scale.h"

enum place { OWN, OTHER, FREE, THREAD, PLACES };
enum gap { SAME, YIELD, APART, BLOCKED, GAPS };
enum home { HOME_MAIN, HOME_OTHER, HOME_NONE, HOMES };

struct combo {
    const struct row *row;
    enum event event[2];
    enum place place[2];
    enum gap gap; /* where both events come from one place */
    enum home home;
};

/* Virtual time stands still until everybody has done what can be done. In real time somebody may be
 * late: then other things happen than were meant, and have to be consistent too. */
enum kind { VIRTUAL, REAL, LATE };

static enum kind kind;
static double tick; /* seconds between two steps */

/* Some of the events of a combo, by one who issues them. */
struct issue {
    const struct combo *combo;
    struct scene *scene;
    int from, to;
    double at;
};

/* ---- issuing ---- */

static void fire(struct scene *s, enum event event)
{
    switch (event) {
    case GRANT:
        s->row->grant(s);
        atomic_fetch_add(&s->grants, 1);
        break;
    case CANCEL:
        atomic_fetch_add(&s->cancels, skua_cancel(s->task[WAITER], NULL));
        break;
    case CLOSE:
        atomic_fetch_add(&s->closes, 1);
        s->row->close(s);
        break;
    default: /* the time for it has come */
        break;
    }
}

static void pause_for(enum gap gap)
{
    if (gap == YIELD)
        T_EXPECT_INT(skua_yield(), 0);
    else if (gap == APART)
        T_EXPECT_INT(skua_sleep(tick), 0);
    else
        t_nap(2 * tick); /* the deadline passes, and nobody in the group has run */
}

static void *fire_all(void *issue)
{
    struct issue *i = issue;
    for (int e = i->from; e < i->to; e++)
        fire(i->scene, i->combo->event[e]);
    return NULL;
}

/* Its task does not go on before the thread has ended. */
static void fire_in_thread(struct issue i)
{
    pthread_t thread;
    if (T_EXPECT_INT(pthread_create(&thread, NULL, fire_all, &i), 0))
        pthread_join(thread, NULL);
}

static void *issuer(void *issue)
{
    struct issue *i = issue;
    void (*const now)(struct issue) = i->combo->place[i->from] == THREAD ? fire_in_thread : NULL;
    T_EXPECT_INT(skua_sleep_until(i->at), 0);
    if (i->combo->gap == SAME) {
        if (now)
            now(*i);
        else
            fire_all(i);
        return NULL;
    }
    for (int e = i->from; e < i->to; e++) {
        struct issue one = *i;
        one.from = e;
        one.to = e + 1;
        if (e > i->from)
            pause_for(i->combo->gap);
        if (now)
            now(one);
        else
            fire_all(&one);
    }
    return NULL;
}

static skua_task *spawn_in(struct scene *s, enum home home, skua_fn fn, void *arg)
{
    return home == HOME_NONE ? skua_go(fn, arg)
           : home == HOME_OTHER ? skua_spawn(fn, arg, .group = s->other)
                                : skua_spawn(fn, arg);
}

static enum home home_of(const struct combo *c, enum place place)
{
    if (place == OWN)
        return c->home;
    if (place == OTHER)
        return c->home == HOME_OTHER ? HOME_MAIN : HOME_OTHER;
    return place == FREE ? HOME_NONE : HOME_MAIN;
}

/* One for both events if they come from one place, else one for each. */
static size_t start_issuers(const struct combo *c, struct scene *s, struct issue issue[2],
                            skua_task *ret_task[2], double at)
{
    size_t n = c->place[0] == c->place[1] ? 1 : 2;
    for (size_t i = 0; i < n; i++) {
        issue[i] = (struct issue){ c, s, (int)i, n == 1 ? 2 : (int)i + 1, at };
        ret_task[i] = spawn_in(s, home_of(c, c->place[i]), issuer, &issue[i]);
    }
    return n;
}

/* ---- waiting ---- */

static int wait_until(struct scene *s)
{
    skua_timeout limit;
    int r = skua_timeout_enter(&limit, INFINITY);
    if (r == 0)
        r = skua_timeout_reschedule(&limit, s->deadline);
    if (r == 0)
        r = s->row->wait(s, WAITER, INFINITY);
    return skua_timeout_exit(&limit, r);
}

static void *waiter(void *scene)
{
    struct scene *s = scene;
    atomic_store(&s->began[WAITER], true);
    int r = !s->timed          ? s->row->wait(s, WAITER, INFINITY)
            : s->row->has_timer ? s->row->wait(s, WAITER, s->deadline - skua_loop_time())
                                : wait_until(s);
    s->r[WAITER] = r;
    s->r_after = skua_yield();
    if (r == 0 && s->row->leave)
        s->row->leave(s, WAITER);
    return NULL;
}

static void *rival(void *scene)
{
    struct scene *s = scene;
    atomic_store(&s->began[RIVAL], true);
    s->r[RIVAL] = s->row->wait(s, RIVAL, INFINITY);
    if (s->r[RIVAL] == 0 && s->row->leave)
        s->row->leave(s, RIVAL);
    return NULL;
}

static void start(struct scene *s, int who, enum home home)
{
    s->task[who] = spawn_in(s, home, who == WAITER ? waiter : rival, s);
    do
        T_EXPECT_INT(skua_sleep(tick), 0);
    while (!atomic_load(&s->began[who]));
}

static bool ends(skua_task *t)
{
    if (!t)
        return true;
    skua_task *one[] = { t };
    T_EXPECT_INT(skua_wait(one, 1, 10 * HOUR, SKUA_ALL_COMPLETED, NULL), 0);
    if (!T_EXPECT(skua_done(t)))
        skua_cancel(t, NULL);
    return skua_done(t);
}

/* ---- one of them ---- */

static bool has(const struct combo *c, enum event event)
{
    return c->event[0] == event || c->event[1] == event;
}

static void judge(const struct combo *c, struct scene *s)
{
    int r = s->r[WAITER], closed = c->row->closed;
    bool is_closed = has(c, CLOSE) && r == closed;
    T_EXPECT(is_closed || (r == 0 && has(c, GRANT)) || (r == -ECANCELED && has(c, CANCEL)) ||
             (r == -ETIMEDOUT && has(c, TIMEOUT)));
    int felt = (r == -ECANCELED) + (s->r_after == -ECANCELED) + skua_cancelled(s->task[WAITER]);
    enum place from = c->event[0] == CANCEL ? c->place[0] : c->place[1];
    /* A timeout that meets a request which has just been counted takes it for the reason. */
    bool is_apart = from != OWN || c->home == HOME_NONE;
    bool may_meet = has(c, TIMEOUT) && is_apart && t_workers() > 1;
    T_EXPECT(felt <= s->cancels + may_meet + (has(c, CLOSE) && closed == -ECANCELED));
    /* A request from elsewhere, or passed on elsewhere, may meet a task that ends just then. */
    bool here = c->place[0] == OWN && c->place[1] == OWN && c->home != HOME_NONE;
    if (s->cancels > 0 && here && (!c->row->is_far || t_workers() == 1))
        T_EXPECT(felt >= 1);
}

static void start_scene(const struct combo *c, struct scene *s, skua_group *other)
{
    *s = (struct scene){ .row = c->row, .other = other };
    s->lock = (skua_lock)SKUA_LOCK_INIT;
    if (c->row->set_up)
        c->row->set_up(s);
    s->timed = has(c, TIMEOUT);
    s->deadline = skua_loop_time() + 4 * tick;
}

static void end_scene(struct scene *s)
{
    T_EXPECT_INT(skua_sleep(tick), 0); /* when nobody has anything left to do */
    if (s->task[RIVAL])
        s->rival_early = skua_done(s->task[RIVAL]);
    if (s->row->finish)
        s->row->finish(s);
    ends(s->task[RIVAL]);
    for (int i = 0; i < HELPERS; i++) {
        ends(s->helper[i]);
        skua_release(s->helper[i]);
    }
    if (s->row->check)
        s->row->check(s);
    skua_release(s->task[WAITER]);
    skua_release(s->task[RIVAL]);
}

/* Of two timers that are due together the one that was set first is first. */
static void play(const struct combo *c, skua_group *other)
{
    struct scene s;
    struct issue issue[2];
    skua_task *issuers[2];
    bool early = c->event[1] == TIMEOUT && kind == VIRTUAL;
    size_t n = 0;
    start_scene(c, &s, other);
    double at = s.deadline - (c->gap == BLOCKED ? tick : 0);
    if (early)
        n = start_issuers(c, &s, issue, issuers, at);
    T_EXPECT_INT(skua_sleep(tick), 0);
    start(&s, WAITER, c->home);
    if (c->row->has_rival)
        start(&s, RIVAL, HOME_MAIN);
    if (!early)
        n = start_issuers(c, &s, issue, issuers, at);
    T_EXPECT_INT(skua_gather(issuers, n, NULL, SKUA_RELEASE), 0);
    if (c->row->outlasts)
        c->row->finish(&s);
    ends(s.task[WAITER]);
    judge(c, &s);
    end_scene(&s);
}

/* ---- all of them ---- */

struct table {
    const struct row *rows;
    size_t n;
    unsigned stride; /* plays one in so many */
    unsigned played, counted;
};

static void report(const struct combo *c)
{
    static const char *const event[] = { "grant", "cancel", "timeout", "close" };
    static const char *const place[] = { "own", "other", "free", "thread" };
    static const char *const gap[] = { "same step", "next step", "apart", "blocked" };
    static const char *const home[] = { "main", "other", "none" };
    fprintf(stderr, "%s: %s from %s, %s from %s, %s, waiter in %s\n", c->row->name,
            event[c->event[0]], place[c->place[0]], event[c->event[1]], place[c->place[1]],
            gap[c->gap], home[c->home]);
}

/* In real time, where each takes its time, less is played. */
static bool belongs(const struct combo *c)
{
    if (kind == LATE)
        return c->gap == BLOCKED && c->event[1] == TIMEOUT && c->home == HOME_MAIN &&
               c->place[0] == OWN && c->place[1] == OWN && !c->row->is_far;
    if (c->gap == BLOCKED)
        return false;
    return kind == VIRTUAL || (c->gap == SAME && c->place[0] % 3 == 0 && c->place[1] % 3 == 0);
}

static bool exists(const struct combo *c)
{
    for (int i = 0; i < 2; i++)
        if ((c->event[i] == GRANT && !c->row->grant) || (c->event[i] == CLOSE && !c->row->close))
            return false;
    if (c->event[0] == TIMEOUT && c->event[1] == TIMEOUT)
        return false;
    if (c->gap != SAME && c->place[0] != c->place[1])
        return false; /* two who issue do so at one moment */
    return c->home != HOME_NONE || (c->place[0] != FREE && c->place[1] != FREE); /* that is own */
}

static void try_one(struct table *t, const struct combo *c, skua_group *other)
{
    if (!exists(c) || !belongs(c) || t->counted++ % t->stride != 0)
        return;
    int before = t_failures();
    play(c, other);
    t->played++;
    if (t_failures() > before)
        report(c);
}

/* The numbers of all combos of a row, as digits. */
static void play_row(struct table *t, const struct row *row, skua_group *other)
{
    enum { ALL = EVENTS * EVENTS * PLACES * PLACES * GAPS * HOMES };
    for (int i = 0; i < ALL && t_failures() == 0; i++) {
        int n = i;
        struct combo c = { .row = row };
        c.home = (enum home)(n % HOMES), n /= HOMES;
        c.gap = (enum gap)(n % GAPS), n /= GAPS;
        c.place[0] = (enum place)(n % PLACES), n /= PLACES;
        c.place[1] = (enum place)(n % PLACES), n /= PLACES;
        c.event[0] = (enum event)(n % EVENTS), n /= EVENTS;
        c.event[1] = (enum event)n;
        try_one(t, &c, other);
    }
}

static void *table_main(void *table)
{
    struct table *t = table;
    skua_group *other = skua_group_new(.worker = t_workers() > 1 ? 2 : 1);
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR1, count_signal, NULL), 0);
    for (size_t i = 0; i < t->n; i++)
        play_row(t, &t->rows[i], other);
    skua_group_release(other);
    return NULL;
}

static void play_table(const struct row *rows, size_t n, enum kind as, unsigned stride)
{
    struct table t = { .rows = rows, .n = n, .stride = stride };
    kind = as;
    tick = kind == VIRTUAL ? 0.25 : 0.001;
    t_run(table_main, &t, .real_time = kind != VIRTUAL);
    t_check();
    printf("%u combinations of %u\n", t.played, t.counted);
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define PLAY(rows)  play_table(rows, COUNT(rows), VIRTUAL, T_SCALE(1, 7))

static void test_pairs_of_locks_and_their_kin(void **state)
{
    (void)state;
    PLAY(sync_rows);
}

static void test_pairs_of_queues(void **state)
{
    (void)state;
    PLAY(queue_rows);
}

static void test_pairs_of_futures_and_tasks(void **state)
{
    (void)state;
    PLAY(task_rows);
}

static void test_pairs_of_descriptors(void **state)
{
    (void)state;
    PLAY(io_rows);
}

static void test_pairs_of_threads_and_signals(void **state)
{
    (void)state;
    play_table(real_rows, COUNT(real_rows), REAL, T_SCALE(5, 11));
}

static void test_deadline_that_passes_before_the_waiter_runs(void **state)
{
    (void)state;
    play_table(sync_rows, COUNT(sync_rows), LATE, 1);
    play_table(queue_rows, COUNT(queue_rows), LATE, 1);
    play_table(task_rows, COUNT(task_rows), LATE, 1);
    play_table(io_rows, COUNT(io_rows), LATE, 1);
    play_table(real_rows, COUNT(real_rows), LATE, 1);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_pairs_of_locks_and_their_kin),
    T_TEST(test_pairs_of_queues),
    T_TEST(test_pairs_of_futures_and_tasks),
    T_TEST(test_pairs_of_descriptors),
    T_TEST(test_pairs_of_threads_and_signals),
    T_TEST(test_deadline_that_passes_before_the_waiter_runs),
};
T_MAIN(tests, NULL)
