/* SPDX-License-Identifier: MIT */
/* Goal: a second cancel that comes while the first is on its way through the ready queue is one
 * with it (rule 34). A request that was pending when a wait began used to be taken off before that
 * trip, so that the second one was felt once more, at a wait nobody meant to end. */
#include "t.h"

#include <errno.h>
#include <math.h>

static skua_event     event = SKUA_EVENT_INIT;
static skua_lock      lock = SKUA_LOCK_INIT;
static skua_semaphore sem = SKUA_SEMAPHORE_INIT(0);
static skua_queue     queue = SKUA_QUEUE_INIT(1);
static skua_future   *future;
static skua_task     *other;

static int wait_sleep(void)
{
    return skua_sleep(1);
}

static int wait_yield(void)
{
    return skua_yield();
}

static int wait_event(void)
{
    return skua_event_wait(&event);
}

static int wait_lock(void)
{
    return skua_lock_acquire(&lock);
}

static int wait_semaphore(void)
{
    return skua_semaphore_acquire(&sem);
}

static int wait_queue(void)
{
    void *item;
    return skua_queue_get(&queue, &item, INFINITY);
}

static int wait_future(void)
{
    return skua_await(future, NULL);
}

static int wait_gather(void)
{
    skua_task *all[] = { future, future };
    return skua_gather(all, 2, NULL, 0);
}

static int wait_any(void)
{
    skua_task *all[] = { future };
    return skua_wait(all, 1, INFINITY, SKUA_ALL_COMPLETED, NULL);
}

static int wait_as_completed(void)
{
    skua_as_completed it;
    skua_task        *all[] = { future };
    int               r = skua_as_completed_init(&it, all, 1, INFINITY);
    T_EXPECT(!skua_as_completed_next(&it, &r));
    skua_as_completed_fini(&it);
    return r;
}

static void *nothing(void *arg)
{
    return arg;
}

static int wait_taskgroup(void)
{
    skua_taskgroup group;
    T_EXPECT_INT(skua_taskgroup_init(&group), 0);
    T_EXPECT(skua_taskgroup_spawn(&group, nothing, NULL) != NULL);
    return skua_taskgroup_join(&group, 0);
}

static int wait_thread(void)
{
    return skua_to_thread(nothing, NULL, NULL);
}

static void *asked_twice(void *wait)
{
    int (*const *call)(void) = wait;
    T_EXPECT(skua_cancel(skua_current_task(), NULL));
    T_EXPECT_INT((*call)(), -ECANCELED);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 2);
    T_EXPECT_INT(skua_sleep(1), 0);
    return wait;
}

static void *ask_again(void *task)
{
    T_EXPECT(skua_cancel(task, NULL));
    return NULL;
}

static void *trip_main(void *arg)
{
    static int (*const waits[])(void) = {
        wait_sleep,  wait_yield,  wait_event, wait_lock,         wait_semaphore, wait_queue,
        wait_future, wait_gather, wait_any,   wait_as_completed, wait_taskgroup, wait_thread,
    };
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        future = skua_future_new();
        other = skua_spawn(asked_twice, (void *)(uintptr_t)&waits[i]);
        skua_task *again = skua_spawn(ask_again, other); /* its turn is in the middle of the trip */
        T_EXPECT_INT(skua_join(other, NULL), 0);
        T_EXPECT_INT(skua_join(again, NULL), 0);
        skua_release(future);
    }
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    skua_queue_fini(&queue);
    return arg;
}

static void test_second_cancel_during_the_trip_is_one_with_the_first(void **state)
{
    (void)state;
    t_run(trip_main, NULL);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_second_cancel_during_the_trip_is_one_with_the_first),
};
T_MAIN(tests, NULL)
