/* SPDX-License-Identifier: MIT */
/* Goal: no wake is lost between looking and waiting; deadlines hold. Method: threads hand a number
 * round through atomics, waiting only through the event count. */
#include "base/event_count.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PLAYERS 3
#define ROUNDS  3000

static struct rt_event_count ec;
static RT_ATOMIC(uint32_t) number;
static uint32_t payload; /* published by number */

static void *play(void *arg)
{
    uint32_t me = *(uint32_t *)arg;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t mine = round * PLAYERS + me;

        for (;;) {
            uint32_t v = rt_event_count_value(&ec);

            if (rt_load_acquire(&number) == mine)
                break;
            rt_event_count_wait(&ec, v, RT_NEVER);
        }
        if (payload++ != mine)
            return arg;
        rt_store_release(&number, mine + 1);
        rt_event_count_broadcast(&ec);
    }
    return NULL;
}

static void test_event_count_loses_no_wake(void **state)
{
    uint32_t who[PLAYERS];
    struct rt_thread thread[PLAYERS];

    (void)state;
    rt_event_count_init(&ec);
    rt_init(&number, 0);
    payload = 0;
    for (uint32_t i = 0; i < PLAYERS; i++) {
        who[i] = i;
        assert_int_equal(rt_sys_thread_create(&thread[i], play, &who[i], "event count"), 0);
    }
    for (uint32_t i = 0; i < PLAYERS; i++)
        assert_int_equal(rt_sys_thread_join(thread[i]), 0);
    assert_int_equal(payload, PLAYERS * ROUNDS);
}

static void test_event_count_changed_returns_at_once(void **state)
{
    uint32_t v;

    (void)state;
    rt_event_count_init(&ec);
    v = rt_event_count_value(&ec);
    assert_int_equal(v, 0);
    rt_event_count_broadcast(&ec);
    assert_int_not_equal(rt_event_count_value(&ec), v);
    assert_int_equal(rt_event_count_wait(&ec, v, RT_NEVER), 0);
    assert_int_equal(rt_event_count_wait(&ec, v, 0), 0);
}

static void test_event_count_ends_at_deadline(void **state)
{
    uint64_t deadline = rt_clock_now() + 20 * RT_NS_PER_MS;

    (void)state;
    rt_event_count_init(&ec);
    assert_int_equal(rt_event_count_wait(&ec, 0, 0), -ETIMEDOUT);
    assert_int_equal(rt_event_count_wait(&ec, 0, deadline), -ETIMEDOUT);
    assert_true(rt_clock_now() >= deadline);
}

static void *broadcast_later(void *arg)
{
    rt_sys_poll1(-1, 0, 30);
    rt_event_count_broadcast(arg);
    return NULL;
}

static void test_event_count_far_deadline_waits(void **state)
{
    struct rt_thread thread;

    (void)state;
    rt_event_count_init(&ec);
    assert_int_equal(rt_sys_thread_create(&thread, broadcast_later, &ec, NULL), 0);
    assert_int_equal(rt_event_count_wait(&ec, 0, RT_NEVER - 1), 0);
    assert_int_equal(rt_sys_thread_join(thread), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_count_changed_returns_at_once),
        cmocka_unit_test(test_event_count_ends_at_deadline),
        cmocka_unit_test(test_event_count_far_deadline_waits),
        cmocka_unit_test(test_event_count_loses_no_wake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
