/* SPDX-License-Identifier: MIT */
/* Goal: a cancel from another thread that meets a callback at its turn, or a gather as it begins to
 * wait, is neither lost nor delivered twice; a ring of awaits and a gather are ended whole; a group
 * may be released after run. Method: a plain thread cancels as fast as it can what the tasks arm,
 * and everything is counted. */
#include "expect.h"

#include <errno.h>
#include <sched.h>

enum { HANDLES = 32, CALL_ROUNDS = 2000, GATHER_ROUNDS = 5000 };

static RT_ATOMIC(uint64_t) handles[HANDLES];
static RT_ATOMIC(int) stop;
static RT_ATOMIC(uint64_t) round_begun, round_cancelled;
static RT_ATOMIC(uint64_t) n_fired, n_cancelled;
static RT_ATOMIC(struct skua_task *) gatherer;

/* --- callbacks --- */

static void *cancel_handles(void *arg)
{
    while (!rt_load_acquire(&stop)) {
        for (int i = 0; i < HANDLES; i++) {
            uint64_t id = rt_load_acquire(&handles[i]);
            if (id && skua_handle_cancel((skua_handle){ id }))
                (void)rt_add_relaxed(&n_cancelled, 1);
        }
    }
    return arg;
}

static void count(void *arg)
{
    (void)rt_add_relaxed(&n_fired, 1);
}

static void *calls_main(void *arg)
{
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_handles, NULL);
    for (int round = 0; round < CALL_ROUNDS; round++) {
        for (int i = 0; i < HANDLES; i++) {
            skua_handle h = skua_call_later(1e-6, count, NULL);
            EXPECT(h.id != 0);
            rt_store_release(&handles[i], h.id);
        }
        EXPECT_INT(skua_yield(), 0);
    }
    EXPECT_INT(skua_sleep(0.01), 0);
    rt_store_release(&stop, 1);
    pthread_join(thread, NULL);
    uint64_t settled = rt_load_relaxed(&n_fired) + rt_load_relaxed(&n_cancelled);
    EXPECT_INT(settled, (uint64_t)CALL_ROUNDS * HANDLES);
    return NULL;
}

static void test_cancel_race_callback_at_its_turn(void **state)
{
    rt_init(&stop, 0);
    rt_init(&n_fired, 0);
    rt_init(&n_cancelled, 0);
    assert_int_equal(skua_run(calls_main, NULL, .workers = 1), 0);
    assert_all_held();
}

/* --- gather --- */

static void *cancel_gatherers(void *arg)
{
    uint64_t last = 0;
    while (!rt_load_acquire(&stop)) {
        uint64_t now = rt_load_acquire(&round_begun);
        if (now == last)
            continue;
        last = now;
        for (volatile uint64_t i = 0; i < now % 60; i++)
            ;
        (void)skua_cancel(rt_load_acquire(&gatherer), NULL);
        rt_store_release(&round_cancelled, now);
    }
    return arg;
}

static void *gather_two(void *arg)
{
    static uint64_t round;
    skua_task *const *f = arg;
    rt_store_release(&gatherer, skua_current_task());
    rt_store_release(&round_begun, ++round);
    EXPECT_INT(skua_gather(f, 2, NULL, 0), -ECANCELED);
    EXPECT(skua_cancelled(f[0]) && skua_cancelled(f[1]));
    EXPECT_INT(skua_yield(), 0);
    while (rt_load_acquire(&round_cancelled) != round)
        (void)sched_yield();
    return NULL;
}

static void *gather_main(void *arg)
{
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_gatherers, NULL);
    for (int round = 0; round < GATHER_ROUNDS; round++) {
        skua_task *f[2] = { skua_future_new(), skua_future_new() };
        SKUA_IGNORE(skua_join(skua_go(gather_two, f), NULL));
        skua_release_all(f, 2);
    }
    rt_store_release(&stop, 1);
    pthread_join(thread, NULL);
    return NULL;
}

static void test_cancel_race_gather_begins_to_wait(void **state)
{
    rt_init(&stop, 0);
    assert_int_equal(skua_run(gather_main, NULL, .workers = 1, .free_main = true), 0);
    assert_all_held();
}

/* --- a ring of awaits --- */

static skua_task *ring[2];

static void *await_other(void *arg)
{
    return skua_fail(skua_await(ring[!(intptr_t)arg], NULL));
}

static void *ring_main(void *arg)
{
    ring[0] = skua_spawn(await_other, NUM(0));
    ring[1] = skua_spawn(await_other, NUM(1));
    EXPECT_INT(skua_wait_for(ring[0], 0.01, NULL), -ETIMEDOUT);
    EXPECT_INT(skua_join(ring[0], NULL), -ECANCELED);
    EXPECT_INT(skua_join(ring[1], NULL), -ECANCELED);
    for (intptr_t i = 0; i < 2; i++)
        ring[i] = skua_spawn(await_other, NUM(i));
    EXPECT_INT(skua_yield(), 0); /* the second ring is left to the end of run */
    skua_release_all(ring, 2);
    return NULL;
}

static void test_cancel_ring_of_awaits_is_broken(void **state)
{
    assert_int_equal(skua_run(ring_main, NULL, .workers = 1), 0);
    assert_all_held();
}

/* --- a group that outlives its runtime --- */

static skua_group *kept;

static void *keep_group(void *arg)
{
    kept = skua_group_new();
    EXPECT(kept != NULL);
    return arg;
}

static void test_group_released_after_run(void **state)
{
    assert_int_equal(skua_run(keep_group, NULL), 0);
    skua_group_release(kept);
    assert_all_held();
}

/* --- a cancelled gather --- */

static void *clean_up_slowly(void *seconds)
{
    EXPECT_INT(skua_sleep(10), -ECANCELED);
    EXPECT_INT(skua_sleep((double)(intptr_t)seconds / 1000), 0);
    return skua_fail(-ECANCELED);
}

static void *gather_cleaners(void *arg)
{
    skua_task *t[2] = { skua_spawn(clean_up_slowly, NUM(1)), skua_spawn(clean_up_slowly, NUM(30)) };
    int r = skua_gather(t, 2, NULL, 0);
    EXPECT(skua_done(t[0]) && skua_done(t[1]));
    skua_release_all(t, 2);
    return skua_fail(r);
}

static void *cancelled_gather_main(void *arg)
{
    skua_task *(*const spawn[])(skua_fn, void *, const struct skua_spawn_opts *) = {
        skua_spawn_with, skua_go_with };
    for (int i = 0; i < 2; i++) {
        skua_task *t = spawn[i](gather_cleaners, NULL, NULL);
        EXPECT_INT(skua_sleep(0.005), 0);
        EXPECT(skua_cancel(t, NULL));
        EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    }
    int err = 0;
    EXPECT(skua_spawn(gather_cleaners, NULL, .copy = 5, .ret_err = &err) == NULL);
    EXPECT_INT(err, -EINVAL);
    return NULL;
}

static void test_cancelled_gather_waits_for_all(void **state)
{
    assert_int_equal(skua_run(cancelled_gather_main, NULL, .workers = 2), 0);
    assert_all_held();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_race_callback_at_its_turn),
        cmocka_unit_test(test_cancel_race_gather_begins_to_wait),
        cmocka_unit_test(test_cancel_ring_of_awaits_is_broken),
        cmocka_unit_test(test_group_released_after_run),
        cmocka_unit_test(test_cancelled_gather_waits_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
