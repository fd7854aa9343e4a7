/* SPDX-License-Identifier: MIT */
/* Goal: timers leave by deadline, equal ones in the order they were armed; disarming from another
 * thread and expiry agree about who had the timer; time may be virtual. Method: one heap without a
 * runtime; tasks made by hand stand in for sleepers. */
#include "t.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/rand.h"
#include "loop/timer.h"

enum { N = 64 };

static struct rt_time       vtime = { .is_virtual = true };
static struct rt_timers     ts;
static struct skua_group   *here = (struct skua_group *)(uintptr_t)64; /* never looked into */
static struct rt_step_timer steps[N];

static int setup(void **state)
{
    rt_time_move(&vtime, 0);
    rt_timers_init(&ts, &vtime);
    memset(steps, 0, sizeof steps);
    for (int i = 0; i < N; i++)
        steps[i].step.home = here;
    return t_setup(state);
}

static int teardown(void **state)
{
    rt_timers_fini(&ts);
    return t_teardown(state);
}

static void arm(int i, uint64_t deadline)
{
    assert_int_equal(rt_timer_arm(&ts, &steps[i].timer, RT_TIMER_STEP, deadline), 0);
}

static void expect_due(uint64_t now, const char *order)
{
    struct rt_fifo out = { 0 };
    uintptr_t      item;
    rt_timers_expire(&ts, now, &out);
    while ((item = rt_fifo_pop(&out)) != 0) {
        assert_int_equal(rt_item_tag(item), RT_TAG_STEP);
        t_log("%d", (int)((struct rt_step_timer *)(void *)rt_item_link(item) - steps));
    }
    t_check_log(order);
}

static void test_timers_by_deadline_then_by_arming(void **state)
{
    arm(0, 300);
    arm(1, 100);
    arm(2, 200);
    arm(3, 100);
    arm(4, 100);
    arm(5, 200);
    assert_int_equal(rt_timers_next(&ts), 100);
    expect_due(99, "");
    expect_due(100, "1 3 4");
    assert_int_equal(rt_timers_next(&ts), 200);
    expect_due(1000, "2 5 0");
    assert_int_equal(rt_timers_next(&ts), RT_NEVER);
    expect_due(RT_NEVER - 1, "");
}

static void test_timers_disarm_once(void **state)
{
    struct rt_timer never = { 0 };
    assert_false(rt_timer_disarm(&never));
    arm(0, 10);
    arm(1, 20);
    arm(2, 20);
    assert_true(rt_timer_disarm(&steps[0].timer));
    assert_false(rt_timer_disarm(&steps[0].timer));
    assert_int_equal(rt_timers_next(&ts), 20);
    assert_true(rt_timer_disarm(&steps[1].timer));
    expect_due(50, "2");
    assert_false(rt_timer_disarm(&steps[2].timer));
    arm(2, 70);
    expect_due(70, "2");
}

static void test_timers_rearm_goes_behind_its_equals(void **state)
{
    arm(0, 10);
    arm(1, 10);
    assert_true(rt_timer_disarm(&steps[0].timer));
    arm(0, 10);
    expect_due(10, "1 0");
}

static void expire_in_place(struct rt_step_timer *self)
{
    t_log("in-place-%d", (int)(self - steps));
}

static void test_timers_homeless_step_expires_in_place(void **state)
{
    steps[0].step.home = NULL;
    steps[0].expire = expire_in_place;
    arm(0, 10);
    arm(1, 10);
    expect_due(10, "in-place-0 1");
}

static void test_timers_follow_virtual_time(void **state)
{
    assert_int_equal(rt_timers_read_clock(&ts), 0);
    rt_time_move(&vtime, 5 * RT_NS_PER_SEC);
    assert_int_equal(ts.seen, 0);
    assert_int_equal(rt_timers_read_clock(&ts), 5 * RT_NS_PER_SEC);
    assert_int_equal(ts.seen, 5 * RT_NS_PER_SEC);
    struct rt_time real = { 0 };
    uint64_t       before = rt_clock_now();
    assert_in_range(rt_time_now(&real), before, before + 60 * RT_NS_PER_SEC);
}

static void test_timers_without_memory(void **state)
{
    rt_fault_alloc_arm_from(1);
    int r = rt_timer_arm(&ts, &steps[0].timer, RT_TIMER_STEP, 10);
    rt_fault_alloc_arm(0);
    assert_int_equal(r, -ENOMEM);
    assert_false(rt_timer_disarm(&steps[0].timer));
    assert_int_equal(rt_timers_next(&ts), RT_NEVER);
    arm(0, 10);
    expect_due(10, "0");
}

/* --- timers of tasks --- */

static struct skua_task *make(struct skua_group *g)
{
    uint32_t          slot;
    struct skua_task *t = rt_slab_get(NULL, &slot);
    assert_non_null(t);
    memset(&t->timer, 0, sizeof t->timer);
    t->group = g;
    rt_store_relaxed(&t->wait.bits, rt_load_relaxed(&t->wait.bits) & RT_WW_TICKET);
    return t;
}

static void drop(struct skua_task *t)
{
    rt_store_relaxed(&t->state.bits, 0);
    rt_slab_put(NULL, t);
}

static void test_timers_free_task_is_claimed(void **state)
{
    struct skua_task *parked = make(NULL), *armed = make(NULL), *gone = make(NULL);
    struct rt_fifo    out = { 0 };
    uint64_t          names[3];
    struct skua_task *all[] = { parked, armed, gone };
    for (int i = 0; i < 3; i++) {
        names[i] = rt_wait_name(all[i], rt_ww_arm(&all[i]->wait));
        assert_int_equal(rt_timer_arm(&ts, &all[i]->timer, RT_TIMER_TASK, 10), 0);
    }
    assert_true(rt_ww_park(&parked->wait));
    assert_true(rt_name_claim(names[2], 5, &out));
    rt_timers_expire(&ts, 10, &out);
    assert_int_equal(out.count, 1);
    assert_true(rt_fifo_pop(&out) == rt_item(&parked->run, RT_TAG_TASK));
    int late;
    assert_int_equal(rt_ww_finish(&parked->wait, &late), ETIMEDOUT);
    assert_false(rt_ww_park(&armed->wait));
    assert_int_equal(rt_ww_finish(&armed->wait, &late), ETIMEDOUT);
    assert_int_equal(rt_ww_finish(&gone->wait, &late), 5);
    for (int i = 0; i < 3; i++)
        drop(all[i]);
}

/* A pinned task is not claimed at once: its hop takes a turn in the group, during which an event
 * may still be faster. */
static void test_timers_pinned_task_hops(void **state)
{
    struct skua_task *waits = make(here), *woken = make(here);
    struct rt_fifo    out = { 0 };
    uint64_t          name = rt_wait_name(waits, rt_ww_arm_pinned(&waits->wait));
    uint64_t          other = rt_wait_name(woken, rt_ww_arm_pinned(&woken->wait));
    assert_int_equal(rt_timer_arm(&ts, &woken->timer, RT_TIMER_TASK, 10), 0);
    assert_int_equal(rt_timer_arm(&ts, &waits->timer, RT_TIMER_TASK, 10), 0);
    assert_true(rt_name_claim(other, 0, &out));
    (void)rt_fifo_pop(&out);
    rt_timers_expire(&ts, 10, &out);
    assert_int_equal(out.count, 1);
    assert_true(rt_fifo_pop(&out) == rt_item(&waits->hop, RT_TAG_HOP));
    assert_int_equal(waits->timer.hop_queued, 1);
    assert_int_equal(woken->timer.hop_queued, 0);
    assert_true(rt_name_claim(name, 0, &out));
    drop(waits);
    drop(woken);
}

/* --- disarming on another thread while timers expire --- */

enum { ROUNDS = 400 };

static pthread_barrier_t barrier;
static _Atomic(int)      disarmed[N];

static void *disarmer(void *arg)
{
    struct rt_rand r;
    rt_rand_init(&r, (uint64_t)T_NUM(arg));
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        for (int k = 0; k < N; k++) {
            int i = (int)rt_rand_below(&r, N);
            if (rt_timer_disarm(&steps[i].timer))
                atomic_fetch_add(&disarmed[i], 1);
        }
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void test_timers_disarm_races_with_expiry(void **state)
{
    pthread_t threads[2];
    pthread_barrier_init(&barrier, NULL, 3);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, disarmer, T_PTR(i + 1)), 0);
    for (int round = 0; round < ROUNDS; round++) {
        int expired[N] = { 0 };
        for (int i = 0; i < N; i++) {
            atomic_store(&disarmed[i], 0);
            arm(i, (uint64_t)(i * 7 % N) + 1);
        }
        pthread_barrier_wait(&barrier);
        for (uint64_t now = 1; now <= N; now++) {
            struct rt_fifo out = { 0 };
            uintptr_t      item;
            rt_timers_expire(&ts, now, &out);
            while ((item = rt_fifo_pop(&out)) != 0)
                expired[(struct rt_step_timer *)(void *)rt_item_link(item) - steps]++;
        }
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < N; i++)
            T_EXPECT_INT(expired[i] + atomic_load(&disarmed[i]), 1);
        assert_int_equal(rt_heap_count(&ts.heap), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    t_check();
}

#define TIMER_TEST(fn) { #fn, fn, setup, teardown, (void *)#fn }
static const struct CMUnitTest tests[] = {
    TIMER_TEST(test_timers_by_deadline_then_by_arming),
    TIMER_TEST(test_timers_disarm_once),
    TIMER_TEST(test_timers_rearm_goes_behind_its_equals),
    TIMER_TEST(test_timers_homeless_step_expires_in_place),
    TIMER_TEST(test_timers_follow_virtual_time),
    TIMER_TEST(test_timers_without_memory),
    TIMER_TEST(test_timers_free_task_is_claimed),
    TIMER_TEST(test_timers_pinned_task_hops),
    TIMER_TEST(test_timers_disarm_races_with_expiry),
};
T_MAIN(tests, NULL)
