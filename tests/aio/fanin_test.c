/* SPDX-License-Identifier: MIT */
/* Goal: gather and wait in all their modes, for children that are done already, end later, fail
 * or are cancelled, in one group and across workers, with the caller cancelled or out of time;
 * whatever ended the wait, no child holds anything of it afterwards. */
#include "scale.h"
#include "t.h"

#include <math.h>

#include "base/mem.h"
#include "sched/worker.h"

enum { N = 20 };

enum when { BEFORE, LATER, NEVER };

struct child {
    double sleep;
    int    err; /* 0: a value */
};

static void *run_child(void *arg)
{
    struct child *c = arg;
    int           r = c->sleep < 0 ? 0 : skua_sleep(c->sleep);
    if (r == 0)
        r = c->err;
    return r < 0 ? skua_fail(r) : T_PTR(1);
}

static skua_task *start(struct child *c, bool is_free)
{
    skua_task *t = is_free ? skua_go(run_child, c, .copy = sizeof *c)
                           : skua_spawn(run_child, c, .copy = sizeof *c);
    T_EXPECT(t != NULL);
    return t;
}

/* Nothing waits for these any more: their lists are empty, at the latest when the one that ends has
 * let go of its list. */
static void expect_unlinked(skua_task **t, int n)
{
    double deadline = t_wall() + 5;
    for (int i = 0; i < n; i++)
        while ((rt_st_load(&t[i]->state) & RT_ST_LOCK) && t_wall() < deadline)
            continue;
    for (int i = 0; i < n; i++)
        T_EXPECT(!(rt_st_load(&t[i]->state) & RT_ST_WAITERS));
}

static void end_all(skua_task **t, int n)
{
    for (int i = 0; i < n; i++)
        (void)skua_cancel(t[i], NULL);
    for (int i = 0; i < n; i++)
        SKUA_IGNORE(skua_join(t[i], NULL));
}

/* --- wait: every mode x when the decisive child ends x what it ends with --- */

static void wait_once(enum skua_when mode, enum when when, int err, bool is_free, double timeout)
{
    skua_task *t[N];
    size_t     done = 99;
    for (int i = 0; i < N; i++) {
        bool         decisive = i == 7 || mode == SKUA_ALL_COMPLETED;
        struct child c = { decisive ? (when == LATER ? 0.002 : -1) : 1000, err };
        if (when == NEVER)
            c.sleep = 1000;
        t[i] = start(&c, is_free);
    }
    if (when == BEFORE)
        T_EXPECT_INT(skua_sleep(0.002), 0);
    skua_task *decisive_task = t[7];
    int r = skua_wait(t, N, timeout, mode, &done);
    T_EXPECT_INT(r, 0);
    expect_unlinked(t, N);
    if (when == NEVER) {
        T_EXPECT_INT(done, 0);
    } else {
        T_EXPECT_INT(done, mode == SKUA_ALL_COMPLETED ? N : 1);
        T_EXPECT(t[mode == SKUA_ALL_COMPLETED ? 7 : 0] == decisive_task);
    }
    for (size_t i = 0; i < N; i++)
        T_EXPECT_INT(skua_done(t[i]), i < done);
    end_all(t, N);
}

static void *wait_modes(void *arg)
{
    bool is_free = arg != NULL;
    for (int mode = SKUA_ALL_COMPLETED; mode <= SKUA_FIRST_EXCEPTION; mode++) {
        for (int when = BEFORE; when <= LATER; when++) {
            wait_once((enum skua_when)mode, (enum when)when, -EIO, is_free, INFINITY);
            wait_once((enum skua_when)mode, (enum when)when, -EIO, is_free, 500);
        }
        wait_once((enum skua_when)mode, NEVER, 0, is_free, 0.002);
        wait_once((enum skua_when)mode, NEVER, 0, is_free, 0);
    }
    return NULL;
}

static void test_wait_all_modes(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        for (intptr_t is_free = 0; is_free < 2; is_free++) {
            t_run(wait_modes, (void *)is_free, .workers = workers, .real_time = true);
            t_run(wait_modes, (void *)is_free, .workers = workers, .real_time = true,
                  .free_main = true);
        }
}

/* --- gather --- */

static void *gather_ends(void *arg)
{
    bool is_free = arg != NULL;
    for (int when = BEFORE; when <= LATER; when++) {
        for (unsigned flags = 0; flags <= SKUA_RETURN_ERRORS; flags++) {
            for (int bad = 0; bad < 3; bad++) { /* none, one that fails, one that is cancelled */
                int        err = bad == 0 ? 0 : bad == 1 ? -EIO : -ECANCELED;
                skua_task *t[N];
                void      *results[N] = { 0 };
                for (int i = 0; i < N; i++) {
                    struct child c = { when == LATER ? 0.0005 * (i % 4) : -1, i == 5 ? err : 0 };
                    t[i] = start(&c, is_free);
                }
                if (when == BEFORE)
                    T_EXPECT_INT(skua_sleep(0.002), 0);
                int r = skua_gather(t, N, results, flags);
                expect_unlinked(t, N);
                T_EXPECT_INT(r, flags ? (bad ? 1 : 0) : err);
                T_EXPECT_INT(T_NUM(results[1]), r < 0 ? 0 : 1);
                if (flags)
                    T_EXPECT_INT(skua_failed(results[5]), err);
                end_all(t, N);
            }
        }
    }
    return NULL;
}

static void test_gather_all_ends(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        for (intptr_t is_free = 0; is_free < 2; is_free++) {
            t_run(gather_ends, (void *)is_free, .workers = workers, .real_time = true);
            t_run(gather_ends, (void *)is_free, .workers = workers, .real_time = true,
                  .free_main = true);
        }
}

static void *same_twice(void *arg)
{
    struct child c = { 0.001, 0 };
    skua_task   *t = start(&c, false), *all[3] = { t, t, t }, *with_null[2] = { t, NULL };
    void        *results[3] = { 0 };
    T_EXPECT_INT(skua_gather(with_null, 2, NULL, 0), -EINVAL);
    T_EXPECT_INT(skua_gather(all, 3, results, 0), 0);
    T_EXPECT(results[0] == results[2] && results[0] == T_PTR(1));
    T_EXPECT_INT(skua_gather(NULL, 0, NULL, 0), 0);
    T_EXPECT_INT(skua_gather(all, 3, NULL, 64), -EINVAL);
    skua_task *me = skua_current_task();
    T_EXPECT_INT(skua_gather(&me, 1, NULL, 0), -EDEADLK);
    skua_release(t);
    return arg;
}

static void test_gather_odd_arguments(void **state)
{
    t_run(same_twice, NULL);
    t_run(same_twice, NULL, .free_main = true);
}

/* --- the caller is cancelled --- */

struct call {
    bool     is_wait, is_free;
    unsigned flags;
    skua_task *t[N];
};

static void *wait_for_all(void *arg)
{
    struct call *c = arg;
    struct child child = { 1000, 0 };
    for (int i = 0; i < N; i++)
        c->t[i] = start(&child, c->is_free);
    int r = c->is_wait ? skua_wait(c->t, N, 900, SKUA_ALL_COMPLETED, NULL)
                       : skua_gather(c->t, N, NULL, c->flags);
    T_EXPECT_INT(r, -ECANCELED);
    expect_unlinked(c->t, N);
    int ended = 0;
    for (int i = 0; i < N; i++)
        ended += skua_done(c->t[i]);
    if (c->is_wait)
        T_EXPECT_INT(ended, 0); /* wait never cancels what it waits for */
    else if (c->flags)
        T_EXPECT_INT(ended, N);
    end_all(c->t, N);
    return skua_fail(r);
}

static void *cancel_caller(void *arg)
{
    struct call c = { .is_wait = T_NUM(arg) & 1, .is_free = T_NUM(arg) & 2,
                      .flags = T_NUM(arg) & 4 ? SKUA_RETURN_ERRORS : 0 };
    skua_task  *t = c.is_free ? skua_go(wait_for_all, &c) : skua_spawn(wait_for_all, &c);
    T_EXPECT_INT(skua_sleep(0.005), 0);
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return NULL;
}

static void test_caller_cancelled(void **state)
{
    for (int workers = 1; workers <= 2; workers++)
        for (int kind = 0; kind < 8; kind++)
            t_run(cancel_caller, T_PTR(kind), .workers = workers);
}

/* --- everything at once: ends, cancels and timeouts in a race --- */

static void *race_one(void *arg)
{
    int seed = T_NUM(arg);
    for (int round = 0; round < T_SCALE(60, 15); round++) {
        skua_task *t[12];
        for (int i = 0; i < 12; i++) {
            struct child c = { (double)((seed + i * round) % 5) * 1e-4 - 1e-4,
                               (seed + i) % 7 ? 0 : -EIO };
            t[i] = start(&c, (i + seed) % 3 != 0);
        }
        if (round % 3 == 0)
            (void)skua_cancel(t[round % 12], NULL);
        size_t done = 0;
        double limit = (round % 5) * 1e-4;
        int    r = round % 2 ? skua_wait(t, 12, limit, (enum skua_when)(seed % 3), &done)
                             : skua_gather(t, 12, NULL, seed % 2 ? SKUA_RETURN_ERRORS : 0);
        T_EXPECT(r >= 0 || r == -EIO || r == -ECANCELED);
        end_all(t, 12);
    }
    return NULL;
}

static void *race_all(void *arg)
{
    skua_task *t[8];
    (void)arg;
    for (int i = 0; i < 8; i++)
        t[i] = i % 2 ? skua_go(race_one, T_PTR(i)) : skua_spawn(race_one, T_PTR(i));
    T_EXPECT_INT(skua_gather(t, 8, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void test_fanin_races(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(race_all, NULL, .workers = workers, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_wait_all_modes),
    T_TEST(test_gather_all_ends),
    T_TEST(test_gather_odd_arguments),
    T_TEST(test_caller_cancelled),
    T_TEST(test_fanin_races),
};
T_MAIN(tests, NULL)
