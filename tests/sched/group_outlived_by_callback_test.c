/* SPDX-License-Identifier: MIT */
/* Goal: a group stays until everything that will still run in it has run: done-callbacks, delayed
 * ones, those that a thread posted, cancels on their way; and it goes once when its last handle is
 * released elsewhere.
 * Cause: only tasks that were not done and handles kept it, so all of these found freed memory. */
#include "t.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LOOKS = 300, ROUNDS = 5000 };

static skua_future *gate;
static atomic_int   called, begun, posted;

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&called, 1);
}

static void on_done(skua_task *t, void *arg)
{
    (void)t;
    count(arg);
}

static void *leaves_callbacks(void *arg)
{
    T_EXPECT_INT(skua_add_done_callback(gate, on_done, NULL), 0);
    T_EXPECT(skua_call_later(0.05, count, NULL).id != 0);
    return arg;
}

static void *posts(void *group)
{
    T_EXPECT_INT(skua_call_soon_threadsafe(group, count, NULL), 0);
    atomic_store(&posted, 1);
    return NULL;
}

/* Long enough for a dead group to be buried. */
static void look_around(void)
{
    t_yield_times(LOOKS);
    T_EXPECT_INT(skua_sleep(0.1), 0);
}

static void *callbacks_main(void *arg)
{
    pthread_t    thread;
    skua_group  *g = skua_group_new(.worker = 1);
    skua_task   *t = skua_spawn((gate = skua_future_new(), leaves_callbacks), NULL, .group = g);
    skua_group_release(g);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    look_around();
    T_EXPECT(skua_future_set_result(gate, NULL));
    look_around();
    T_EXPECT_INT(atomic_load(&called), 2);
    skua_release(gate);
    g = skua_group_new(.worker = 1);
    T_EXPECT_INT(pthread_create(&thread, NULL, posts, g), 0);
    while (!atomic_load(&posted)) {
    }
    T_EXPECT_INT(pthread_join(thread, NULL), 0);
    skua_group_release(g); /* the callback has not arrived yet */
    look_around();
    T_EXPECT_INT(atomic_load(&called), 3);
    return arg;
}

static void test_callbacks_keep_their_group(void **state)
{
    (void)state;
    t_run(callbacks_main, NULL, .real_time = true, .workers = 2);
}

static void *short_body(void *arg)
{
    atomic_store(&begun, 1);
    return arg;
}

static void *cancels(void *arg)
{
    for (int i = 0; i < 2000 && !atomic_load(&begun); i++) {
    }
    skua_cancel(arg, NULL);
    skua_release(arg);
    return NULL;
}

static void *releases(void *arg)
{
    skua_group_release(arg);
    return NULL;
}

static void *races_main(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        atomic_store(&begun, 0);
        skua_group *g = skua_group_new(.worker = 2);
        skua_task  *t = skua_spawn(short_body, NULL, .group = g);
        skua_task  *other[2] = { skua_go(cancels, skua_retain(t)), skua_go(releases, g) };
        T_EXPECT_INT(skua_gather(other, 2, NULL, SKUA_RELEASE), 0);
        SKUA_IGNORE(skua_join(t, NULL)); /* cancelled or not */
    }
    return arg;
}

static void test_end_meets_cancel_and_release(void **state)
{
    (void)state;
    t_run(races_main, NULL, .real_time = true, .workers = 3, .free_main = true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callbacks_keep_their_group),
        cmocka_unit_test(test_end_meets_cancel_and_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
