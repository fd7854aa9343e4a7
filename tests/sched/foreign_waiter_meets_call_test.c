/* SPDX-License-Identifier: MIT */
/* Goal: before a task is called in place it is asked whether somebody waits for it; somebody on
 * another worker may begin to at that moment. Its list of waiters used to be read without the lock
 * that they take, which TSan reports. */
#include <math.h>
#include <sched.h>
#include <stdatomic.h>

#include "scale.h"
#include "t.h"

enum { ROUNDS = T_SCALE(1000, 500) };

static _Atomic(skua_task *) child;
static atomic_int taken;

/* Time goes on when the follower waits for it as well, which is after it was called. */
static void *called(void *arg)
{
    T_EXPECT_INT(skua_sleep(0.001), 0);
    return arg;
}

static void *follow(void *arg)
{
    for (int i = 1; i <= ROUNDS; i++) {
        while (atomic_load(&taken) < i)
            sched_yield(); /* the thread is its own; looking around would put things in order */
        skua_task *t = atomic_exchange(&child, NULL);
        T_EXPECT_INT(skua_wait(&t, 1, INFINITY, SKUA_ALL_COMPLETED, NULL), 0);
        skua_release(t);
    }
    return arg;
}

static void *meet_main(void *arg)
{
    skua_group *other = skua_group_new(.worker = 2);
    skua_task *follower = skua_spawn(follow, NULL, .group = other);
    for (int i = 1; i <= ROUNDS; i++) {
        while (atomic_load(&child) != NULL)
            SKUA_IGNORE(skua_yield());
        skua_task *t = skua_spawn(called, NULL);
        atomic_store(&child, skua_retain(t));
        atomic_store(&taken, i);
        T_EXPECT_INT(skua_join(t, NULL), 0);
    }
    T_EXPECT_INT(skua_join(follower, NULL), 0);
    skua_group_release(other);
    return arg;
}

static void test_waiter_from_elsewhere_meets_a_call_in_place(void **state)
{
    (void)state;
    t_run(meet_main, NULL, .workers = 2);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_waiter_from_elsewhere_meets_a_call_in_place),
};
T_MAIN(tests, NULL)
