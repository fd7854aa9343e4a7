/* SPDX-License-Identifier: MIT */
/* Races that have one winner: rules 85, 88 and 89. */
#include "../support/t.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { ROUNDS = 2000 };

/* Two racers go through the same futures in step; one sets, the other cancels. */
static struct race {
    skua_future *f[ROUNDS];
    bool won[2][ROUNDS];
    atomic_int at[2];
} race;

static void race_all(int me, bool in_task)
{
    for (int i = 0; i < ROUNDS; i++) {
        atomic_store(&race.at[me], i);
        while (atomic_load(&race.at[!me]) < i) {
            if (in_task)
                SKUA_IGNORE(skua_yield());
            else
                sched_yield();
        }
        race.won[me][i] = me == 0 ? skua_future_set_result(race.f[i], T_PTR(i + 1))
                                  : skua_cancel(race.f[i], NULL);
    }
    atomic_store(&race.at[me], ROUNDS);
}

static void *race_task(void *me)
{
    race_all(T_NUM(me), true);
    return NULL;
}

static void *race_thread(void *me)
{
    race_all(T_NUM(me), false);
    return NULL;
}

static void prepare_race(void)
{
    for (int i = 0; i < ROUNDS; i++)
        race.f[i] = skua_future_new();
    atomic_store(&race.at[0], 0);
    atomic_store(&race.at[1], 0);
}

/* Awaits every future while the racers are at it. */
static void collect_ends(int *ends)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *value = NULL;
        ends[i] = skua_await(race.f[i], &value);
        T_EXPECT(ends[i] == 0 ? value == T_PTR(i + 1) : ends[i] == -ECANCELED);
    }
}

static void judge_race(const int *ends)
{
    int twice = 0, none = 0, wrong = 0;
    for (int i = 0; i < ROUNDS; i++) {
        twice += race.won[0][i] && race.won[1][i];
        none += !race.won[0][i] && !race.won[1][i];
        wrong += race.won[0][i] != (ends[i] == 0);
        wrong += race.won[1][i] != skua_cancelled(race.f[i]);
    }
    T_EXPECT_INT(twice, 0);
    T_EXPECT_INT(none, 0);
    T_EXPECT_INT(wrong, 0);
    skua_release_all(race.f, ROUNDS);
}

static void *race_tasks_main(void *arg)
{
    static int ends[ROUNDS];
    prepare_race();
    skua_task *t[2] = { skua_go(race_task, T_PTR(0)), skua_go(race_task, T_PTR(1)) };
    collect_ends(ends);
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    judge_race(ends);
    return arg;
}

static void test_rule_85_set_result_against_cancel_one_wins(void **state)
{
    /* Goal: free tasks race over thousands of futures; both and the waiter learn who won. */
    (void)state;
    t_run(race_tasks_main, NULL);
}

static void *race_threads_main(void *arg)
{
    static int ends[ROUNDS];
    prepare_race();
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, race_thread, T_PTR(i));
    collect_ends(ends);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    judge_race(ends);
    return arg;
}

static void test_rule_85_plain_threads_may_set_and_cancel(void **state)
{
    /* Goal: the same race between threads the runtime does not know. */
    (void)state;
    t_run(race_threads_main, NULL, .real_time = true);
}

/* ---- rule 85: the waiter against both ---- */

struct duel {
    skua_future *f;
    skua_task *waiter;
    bool set, cancelled;
};

static void *duel_wait(void *arg)
{
    struct duel *d = arg;
    void *value = NULL;
    int r = skua_await(d->f, &value);
    return r < 0 ? skua_fail(r) : value;
}

static void *duel_set(void *arg)
{
    struct duel *d = arg;
    d->set = skua_future_set_result(d->f, d);
    return NULL;
}

static void *duel_cancel(void *arg)
{
    struct duel *d = arg;
    d->cancelled = skua_cancel(d->waiter, NULL);
    return NULL;
}

static void fight(bool free_waiter)
{
    struct duel d = { .f = skua_future_new() };
    d.waiter = free_waiter ? skua_go(duel_wait, &d) : skua_spawn(duel_wait, &d);
    skua_yield();
    skua_task *t[2] = { skua_go(duel_set, &d), skua_go(duel_cancel, &d) };
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    void *value = NULL;
    int r = skua_await(d.waiter, &value);
    T_EXPECT(r == 0 ? value == &d : r == -ECANCELED);
    T_EXPECT(r == 0 || d.cancelled);
    T_EXPECT(r == -ECANCELED || d.set);
    T_EXPECT_INT(skua_cancelling(d.waiter), d.cancelled);
    skua_release(d.waiter);
    skua_release(d.f);
}

static void *duels_main(void *arg)
{
    for (int i = 0; i < 1500; i++)
        fight(i % 2);
    return arg;
}

static void test_rule_85_a_waiter_between_setter_and_canceller(void **state)
{
    /* Goal: the waiter ends with the value or cancelled, never lost, never both. */
    (void)state;
    t_run(duels_main, NULL);
}

/* ---- rule 88 ---- */

static void *until_cancelled(void *arg)
{
    int r;
    while ((r = skua_yield()) == 0)
        continue;
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(skua_sleep(0), 0);
    (void)arg;
    return skua_fail(r);
}

static void *sleeper(void *arg)
{
    int r = skua_sleep(1e6);
    (void)arg;
    return skua_fail(r);
}

static void *cancel_it(void *task)
{
    T_EXPECT(skua_cancel(task, "from afar"));
    return NULL;
}

static void cancel_from_afar(skua_task *target)
{
    skua_yield();
    skua_task *c = skua_go(cancel_it, target);
    T_EXPECT_INT(skua_join(c, NULL), 0);
    T_EXPECT_INT(skua_await(target, NULL), -ECANCELED);
    T_EXPECT(skua_cancelled(target));
    T_EXPECT_INT(skua_cancelling(target), 1);
    T_EXPECT(!skua_cancel(target, NULL));
    skua_release(target);
}

static void *afar_main(void *arg)
{
    for (int i = 0; i < 200; i++) {
        cancel_from_afar(skua_spawn(until_cancelled, NULL));
        cancel_from_afar(skua_go(until_cancelled, NULL));
        cancel_from_afar(skua_spawn(sleeper, NULL));
        cancel_from_afar(skua_go(sleeper, NULL));
    }
    return arg;
}

static void test_rule_88_cancel_from_another_worker(void **state)
{
    /* Goal: delivered once, at the target's next suspension; false only if it was done. */
    (void)state;
    t_run(afar_main, NULL, .real_time = true);
}

static void *cancel_done_main(void *arg)
{
    struct t_job job = { .name = "x" };
    skua_task *done = skua_go(t_job, &job);
    T_EXPECT_INT(skua_await(done, NULL), 0);
    T_EXPECT(!skua_cancel(done, NULL));
    T_EXPECT_INT(skua_cancelling(done), 0);
    skua_release(done);
    return arg;
}

static void test_rule_88_a_done_task_of_another_worker_says_false(void **state)
{
    /* Goal: the answer is about the moment of the call. */
    (void)state;
    t_run(cancel_done_main, NULL);
}

/* ---- rule 89 ---- */

enum { LASTING = 12, LISTED = 4096 };

static void *brief(void *arg)
{
    SKUA_IGNORE(skua_yield());
    return arg;
}

static void *churn(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        skua_task *t[8];
        for (int i = 0; i < 8; i++)
            t[i] = skua_spawn(brief, NULL);
        T_EXPECT_INT(skua_gather(t, 8, NULL, SKUA_RELEASE), 0);
    }
    return NULL;
}

static void *await_future(void *future)
{
    return skua_await(future, NULL) < 0 ? skua_fail(-EIO) : NULL;
}

static int count_in(skua_task *const *all, size_t n, skua_task *const *wanted, size_t m)
{
    int found = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m; k++)
            found += all[i] == wanted[k];
    return found;
}

static void *snapshot_main(void *arg)
{
    static skua_task *all[LISTED];
    atomic_bool stop = false;
    skua_future *f = skua_future_new();
    skua_task *lasting[LASTING], *noise[3];
    for (int i = 0; i < LASTING; i++)
        lasting[i] = i % 2 ? skua_go(await_future, f) : skua_spawn(await_future, f);
    for (int i = 0; i < 3; i++)
        noise[i] = skua_go(churn, &stop);
    for (int round = 0; round < 200; round++) {
        size_t n = skua_all_tasks(all, LISTED);
        T_EXPECT(n <= LISTED);
        T_EXPECT_INT(count_in(all, n, lasting, LASTING), LASTING);
        T_EXPECT_INT(count_in(all, n, noise, 3), 3);
        skua_release_all(all, n);
        skua_yield();
    }
    atomic_store(&stop, true);
    T_EXPECT_INT(skua_gather(noise, 3, NULL, SKUA_RELEASE), 0);
    T_EXPECT(skua_future_set_result(f, NULL));
    T_EXPECT_INT(skua_gather(lasting, LASTING, NULL, SKUA_RELEASE), 0);
    skua_release(f);
    return arg;
}

static void test_rule_89_all_tasks_holds_whatever_lived_through_the_call(void **state)
{
    /* Goal: beside tasks that come and go, those alive all the time are each listed once. */
    (void)state;
    t_run(snapshot_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_85_set_result_against_cancel_one_wins),
    T_TEST(test_rule_85_plain_threads_may_set_and_cancel),
    T_TEST(test_rule_85_a_waiter_between_setter_and_canceller),
    T_TEST(test_rule_88_cancel_from_another_worker),
    T_TEST(test_rule_88_a_done_task_of_another_worker_says_false),
    T_TEST(test_rule_89_all_tasks_holds_whatever_lived_through_the_call),
};

T_MAIN(tests, NULL)
