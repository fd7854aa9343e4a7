/* SPDX-License-Identifier: MIT */
/* Goal: a request from another thread counts before it arrives at the task's own thread. Meanwhile
 * the task may feel another one, and then both are one (rule 34): it used to be felt once more when
 * it arrived. Or the task ends: then it ends cancelled, and who passed the request on to it does
 * not lose it: it used to be lost. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "t.h"

static void *cancel_in_thread(void *task)
{
    T_EXPECT(skua_cancel(task, NULL));
    return NULL;
}

static double deadline;
static skua_group *other;
static skua_task *on;

static void *limited(void *arg)
{
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, INFINITY), 0);
    T_EXPECT_INT(skua_timeout_reschedule(&limit, deadline), 0);
    int r = skua_sleep(100);
    T_EXPECT_INT(skua_timeout_exit(&limit, r), -ECANCELED);
    T_EXPECT_INT(skua_sleep(1), 0); /* both have been felt */
    return arg;
}

static void *start_later(void *arg)
{
    T_EXPECT_INT(skua_sleep(0.25), 0);
    on = skua_spawn(limited, NULL, .group = other);
    return arg;
}

/* Main's timer was set first, so it goes on first; then the request is behind the timeout. */
static void *limited_main(void *arg)
{
    other = skua_group_new(.worker = 1);
    deadline = skua_loop_time() + 1;
    skua_task *t = skua_spawn(start_later, NULL);
    T_EXPECT_INT(skua_sleep_until(deadline), 0);
    pthread_t thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, cancel_in_thread, on), 0);
    pthread_join(thread, NULL);
    T_EXPECT_INT(skua_join(on, NULL), 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_group_release(other);
    return arg;
}

static void test_request_on_its_way_is_one_with_what_is_felt(void **state)
{
    (void)state;
    t_run(limited_main, NULL, .workers = 1);
    t_check();
}

static atomic_bool runs, may_end;

static void *busy(void *arg)
{
    atomic_store(&runs, true);
    while (!atomic_load(&may_end))
        sched_yield(); /* its thread looks at nothing else */
    return arg;
}

static void *await_it(void *task)
{
    void *value = NULL;
    T_EXPECT_INT(skua_await(task, &value), -ECANCELED);
    return NULL;
}

static void *busy_main(void *arg)
{
    other = skua_group_new(.worker = 2);
    on = skua_spawn(busy, arg, .group = other);
    skua_task *t = skua_spawn(await_it, on);
    do
        SKUA_IGNORE(skua_yield()); /* so that t awaits it */
    while (!atomic_load(&runs));
    T_EXPECT(skua_cancel(t, NULL)); /* goes on to the busy one */
    atomic_store(&may_end, true);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT(skua_cancelled(on));
    skua_release(on);
    skua_group_release(other);
    return arg;
}

static void test_request_that_meets_the_end_ends_the_task_cancelled(void **state)
{
    (void)state;
    t_run(busy_main, NULL, .workers = 2);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_request_on_its_way_is_one_with_what_is_felt),
    T_TEST(test_request_that_meets_the_end_ends_the_task_cancelled),
};
T_MAIN(tests, NULL)
