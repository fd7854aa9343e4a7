/* SPDX-License-Identifier: MIT */
/* Goal: what a runtime registered on a future of another one, which lives on, is taken back when
 * the first one ends.
 * Cause: callbacks, shields and combinators have their home in a group of the runtime that ended;
 * the future, set later, posted to freed memory. */
#include "scale.h"
#include "t.h"

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

struct meeting {
    skua_future *future; /* of the long-lived runtime */
    sem_t made, used;
    atomic_int called;
};

static void *host_main(void *arg)
{
    struct meeting *m = arg;
    m->future = skua_future_new();
    sem_post(&m->made);
    while (sem_trywait(&m->used) != 0)
        SKUA_IGNORE(skua_sleep(0.0005));
    SKUA_IGNORE(skua_sleep(0.001));
    T_EXPECT(skua_future_set_result(m->future, T_PTR(1)));
    SKUA_IGNORE(skua_sleep(0.001));
    skua_release(m->future);
    return NULL;
}

static void *host_thread(void *arg)
{
    T_EXPECT_INT(skua_run(host_main, arg, .workers = 2), 0);
    return NULL;
}

static void called(skua_task *task, void *arg)
{
    (void)task;
    struct meeting *m = arg;
    atomic_fetch_add(&m->called, 1);
}

/* Will not end when it is cancelled: its frame stays behind, linked to the future. */
static void *stubborn(void *arg)
{
    struct meeting *m = arg;
    skua_task *both[2] = { m->future, m->future };
    for (;;) {
        size_t done;
        SKUA_IGNORE(skua_wait(both, 2, INFINITY, SKUA_ALL_COMPLETED, &done));
    }
    return NULL;
}

static void *iterate(void *arg)
{
    struct meeting *m = arg;
    skua_as_completed it;
    int err;
    if (skua_as_completed_init(&it, &m->future, 1, INFINITY) < 0)
        return NULL;
    (void)skua_as_completed_next(&it, &err);
    skua_as_completed_fini(&it);
    return skua_fail(-ECANCELED);
}

static void *guest_main(void *arg)
{
    struct meeting *m = arg;
    skua_group *g = skua_group_new(.name = "guests");
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_add_done_callback(m->future, called, m), 0);
    T_EXPECT_INT((int)skua_remove_done_callback(m->future, called, NULL), 0);
    skua_release(skua_shield(m->future));
    skua_detach(skua_spawn(iterate, m, .group = g));
    skua_detach(skua_go(iterate, m));
    skua_group_release(g);
    skua_yield();
    SKUA_IGNORE(skua_sleep(0.001));
    return NULL;
}

static void *stubborn_main(void *arg)
{
    skua_detach(skua_spawn(stubborn, arg));
    skua_detach(skua_go(stubborn, arg));
    return guest_main(arg);
}

static void meet(skua_fn guest, double timeout)
{
    struct meeting m = { .future = NULL };
    pthread_t thread;
    sem_init(&m.made, 0, 0);
    sem_init(&m.used, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, host_thread, &m), 0);
    sem_wait(&m.made);
    assert_int_equal(skua_run(guest, &m, .workers = 2, .shutdown_timeout = timeout), 0);
    sem_post(&m.used);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&m.called), 0);
    t_check();
}

static void test_callbacks_on_a_future_that_lives_longer(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++)
        meet(guest_main, 0);
    int64_t live = rt_mem_live();
    for (int i = 0; i < T_SCALE(100, 20); i++)
        meet(guest_main, 0);
    assert_int_equal(rt_mem_live(), live);
}

static int stubborn_scenario(void)
{
    for (int i = 0; i < 10; i++)
        meet(stubborn_main, 0.02);
    _Exit(t_failures() > 0); /* what the stubborn ones hold is lost */
}

static void test_combinators_of_tasks_that_never_ended(void **state)
{
    (void)state;
    struct t_child child;
    t_child_run("stubborn", &child);
    if (!t_child_exited(&child, 0))
        fail_msg("%s", child.text);
}

/* The future is set at the same moment as the guest ends. */
static void *race_main(void *arg)
{
    struct meeting *m = arg;
    m->future = skua_future_new();
    sem_post(&m->made);
    while (sem_trywait(&m->used) != 0)
        SKUA_IGNORE(skua_yield());
    T_EXPECT(skua_future_set_result(m->future, T_PTR(1)));
    skua_release(m->future);
    return NULL;
}

static void *race_thread(void *arg)
{
    T_EXPECT_INT(skua_run(race_main, arg, .workers = 1), 0);
    return NULL;
}

static void *race_guest(void *arg)
{
    struct meeting *m = arg;
    skua_retain(m->future);
    for (int i = 0; i < 50; i++)
        T_EXPECT_INT(skua_add_done_callback(m->future, called, m), 0);
    skua_release(m->future);
    sem_post(&m->used);
    return NULL;
}

static void test_callbacks_fire_while_their_runtime_ends(void **state)
{
    (void)state;
    for (int i = 0; i < T_SCALE(200, 40); i++) {
        struct meeting m = { .future = NULL };
        pthread_t thread;
        sem_init(&m.made, 0, 0);
        sem_init(&m.used, 0, 0);
        assert_int_equal(pthread_create(&thread, NULL, race_thread, &m), 0);
        sem_wait(&m.made);
        assert_int_equal(skua_run(race_guest, &m, .workers = 1 + i % 2), 0);
        pthread_join(thread, NULL);
        assert_in_range(atomic_load(&m.called), 0, 50);
    }
    t_check();
}

static const struct t_scenario scenarios[] = {
    { "stubborn", stubborn_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_callbacks_on_a_future_that_lives_longer),
    T_TEST(test_combinators_of_tasks_that_never_ended),
    T_TEST(test_callbacks_fire_while_their_runtime_ends),
};
T_MAIN(tests, scenarios)
