/* SPDX-License-Identifier: MIT */
/* Goal: a cancel from another thread that meets a callback at its turn, or a gather as it begins to
 * wait, is neither lost nor delivered twice. Method: a plain thread cancels as fast as it can what
 * the tasks arm, and everything is counted. */
#include "expect.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_race_callback_at_its_turn),
        cmocka_unit_test(test_cancel_race_gather_begins_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
