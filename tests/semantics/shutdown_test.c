/* SPDX-License-Identifier: MIT */
/* The end of run: rule 90, with rules 3, 4, 5, 66 and 74 where they meet it. */
#include "../support/t.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* ---- first: closed to foreign threads ---- */

struct visitor {
    skua_loop *loop;
    int spawned, posted;
};

static void *never(void *arg)
{
    T_EXPECT(!"this task never runs");
    return arg;
}

static void never_called(void *arg)
{
    (void)arg;
    T_EXPECT(!"this callback never runs");
}

static void *try_from_outside(void *arg)
{
    struct visitor *v = arg;
    skua_task *t = skua_spawn_threadsafe(v->loop, never, NULL, .ret_err = &v->spawned);
    T_EXPECT(t == NULL);
    v->posted = skua_call_soon_threadsafe(v->loop, never_called, NULL);
    return NULL;
}

static void *outside(void *arg)
{
    pthread_t thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, try_from_outside, arg), 0);
    pthread_join(thread, NULL);
    return NULL;
}

static void *ask_in_cleanup(void *arg)
{
    struct visitor *v = arg;
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    SKUA_IGNORE(outside(v));
    skua_task *own = skua_spawn(t_ticker, T_PTR(0)); /* tasks may still spawn */
    T_EXPECT(own != NULL);
    T_EXPECT(skua_call_soon(t_say, "called").id != 0);
    skua_release(own);
    skua_yield();
    skua_yield();
    return skua_fail(-ECANCELED);
}

static void *closed_main(void *arg)
{
    struct visitor *v = arg;
    v->loop = skua_loop_current();
    skua_detach(skua_spawn(ask_in_cleanup, v));
    skua_yield();
    return NULL;
}

static void test_rule_90_foreign_threads_are_refused_first(void **state)
{
    /* Goal: when the leftovers clean up nobody from outside can add to them, while they can. */
    (void)state;
    struct visitor v = { .spawned = 0 };
    t_run(closed_main, &v);
    assert_int_equal(v.spawned, -ESHUTDOWN);
    assert_int_equal(v.posted, -ESHUTDOWN);
    t_check_log("called");
}

/* ---- then: cancel, and look again until nothing is left ---- */

static atomic_int generations;

static void *leaves_a_child(void *arg)
{
    int left = T_NUM(arg);
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    atomic_fetch_add(&generations, 1);
    if (left > 0)
        skua_detach(left % 2 ? skua_spawn(leaves_a_child, T_PTR(left - 1), .eager = true)
                             : skua_spawn(leaves_a_child, T_PTR(left - 1)));
    for (int i = 0; i < 3; i++)
        skua_yield();
    return skua_fail(-ECANCELED);
}

static void *generations_main(void *arg)
{
    skua_detach(skua_spawn(leaves_a_child, arg, .eager = true));
    return NULL;
}

static void test_rule_90_the_snapshot_is_repeated_until_it_is_empty(void **state)
{
    /* Goal: what a clean-up spawns is cancelled too; an eager child is asleep by then, so that it
     * runs its own clean-up. */
    (void)state;
    atomic_store(&generations, 0);
    t_run(generations_main, T_PTR(1));
    assert_int_equal(atomic_load(&generations), 2);
}

static void *counted_cancel(void *arg)
{
    int n = 0;
    while (n < 1 || skua_cancelling(skua_current_task()) > n) {
        T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
        n++;
    }
    for (int i = 0; i < 20; i++)
        T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 1);
    return arg;
}

static void *once_main(void *arg)
{
    for (int i = 0; i < 4; i++)
        skua_detach(i % 2 ? skua_spawn(counted_cancel, NULL, .eager = true)
                          : skua_spawn(leaves_a_child, T_PTR(3), .eager = true));
    return arg;
}

static void test_rule_90_each_is_asked_once_however_often_it_looks(void **state)
{
    /* Goal: repeated snapshots send no second cancel to a task that still cleans up. */
    (void)state;
    t_run(once_main, NULL);
}

/* ---- shields and threads do not hold it up ---- */

static void *shielded(void *arg)
{
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    t_log("inner-cancelled");
    return skua_fail(-ECANCELED);
}

static void *shield_main(void *arg)
{
    skua_task *t = skua_spawn(shielded, NULL, .eager = true);
    skua_release(skua_shield(t));
    skua_release(t);
    return arg;
}

static void test_rule_66_a_shield_does_not_keep_a_task_from_the_end_of_run(void **state)
{
    /* Goal: what is behind it is cancelled like everything else. */
    (void)state;
    t_run(shield_main, NULL);
    t_check_log("inner-cancelled");
}

static atomic_int began, returned;

static void *blocks(void *arg)
{
    atomic_fetch_add(&began, 1);
    t_nap(0.05);
    atomic_fetch_add(&returned, 1);
    return arg;
}

static void *calls_thread(void *arg)
{
    T_EXPECT_INT(skua_to_thread(blocks, NULL, NULL), -ECANCELED);
    T_EXPECT(atomic_load(&returned) >= 1); /* its frame was in use so long */
    int err = 0;
    T_EXPECT(skua_failed(arg) == 0 && skua_to_thread(blocks, arg, NULL, .ret_err = &err) == 0);
    return skua_fail(-ECANCELED);
}

static void *thread_main(void *arg)
{
    skua_detach(skua_spawn(calls_thread, NULL, .eager = true));
    skua_release(skua_spawn_thread(blocks, NULL));
    while (atomic_load(&began) == 0)
        SKUA_IGNORE(skua_sleep(0.001));
    return arg;
}

static void test_rule_74_thread_jobs_are_waited_for(void **state)
{
    /* Goal: run returns when every function has, and clean-up may still use the pool. */
    (void)state;
    atomic_store(&began, 0);
    atomic_store(&returned, 0);
    t_run(thread_main, NULL, .real_time = true, .blocking_threads = 1);
    assert_in_range(atomic_load(&returned), 1, 3);
}

/* ---- with a limit ---- */

static void *will_not_end(void *arg)
{
    atomic_fetch_add(&began, 1);
    for (;;)
        SKUA_IGNORE(skua_sleep(0.01));
    return arg;
}

static void *fails(void *arg)
{
    SKUA_IGNORE(skua_sleep(1000));
    return skua_failf(-EIO, "the disk of %s is full", (char *)arg);
}

static void *stuck_main(void *arg)
{
    atomic_store(&began, 0);
    skua_detach(skua_spawn(will_not_end, NULL, .name = "pinned-mule", .eager = true));
    skua_detach(skua_go(will_not_end, NULL, .name = "free-mule"));
    skua_detach(skua_spawn(fails, "lamb", .name = "failing-lamb", .eager = true));
    while (atomic_load(&began) < 2)
        SKUA_IGNORE(skua_sleep(0.001));
    return arg;
}

static int stuck_scenario(void)
{
    void *value = NULL;
    int r = skua_run(stuck_main, T_PTR(5), .result = &value, .shutdown_timeout = 0.1);
    if (r != 0 || value != T_PTR(5))
        return 1;
    skua_runner *runner = skua_runner_new(.shutdown_timeout = 0.1);
    if (skua_runner_run(runner, stuck_main, NULL, NULL) != 0 ||
        skua_runner_close(runner) != -ETIMEDOUT || skua_runner_close(runner) != 0)
        return 2;
    skua_loop *loop = skua_loop_new(.shutdown_timeout = 0.1);
    skua_task *t = skua_spawn(stuck_main, NULL, .group = loop);
    if (skua_loop_run_until_complete(loop, t, NULL) != 0 || skua_loop_close(loop) != -ETIMEDOUT)
        return 3;
    _Exit(t_failures() > 0 ? 4 : 0); /* what the stubborn ones hold is lost */
}

static void test_rule_90_a_deadline_names_those_that_do_not_end(void **state)
{
    /* Goal: run keeps main's result; close says -ETIMEDOUT; each stubborn task is named with its
     * place, each that failed with its error. */
    (void)state;
    struct t_child child;
    t_child_run("stuck", &child);
    if (!t_child_exited(&child, 0))
        fail_msg("%s", child.text);
    assert_non_null(strstr(child.text, "pinned-mule"));
    assert_non_null(strstr(child.text, "free-mule"));
    assert_non_null(strstr(child.text, "shutdown_test.c:"));
    assert_non_null(strstr(child.text, "failing-lamb"));
    assert_non_null(strstr(child.text, "the disk of lamb is full"));
}

static void *ends_in_time(void *arg)
{
    T_EXPECT_INT(skua_sleep(1000), -ECANCELED);
    T_EXPECT_INT(skua_sleep(9), 0);
    t_log("cleaned");
    return arg;
}

static void *in_time_main(void *arg)
{
    skua_detach(skua_spawn(ends_in_time, NULL, .eager = true));
    return arg;
}

static void test_rule_90_a_deadline_does_not_disturb_those_that_end(void **state)
{
    /* Goal: the whole time may be used, by the runtime's clock, and nothing is waited for after. */
    (void)state;
    double before = t_wall();
    t_run(in_time_main, NULL, .shutdown_timeout = 10);
    t_check_log("cleaned");
    assert_true(t_wall() - before < 5);
}

static const struct t_scenario scenarios[] = {
    { "stuck", stuck_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_90_foreign_threads_are_refused_first),
    T_TEST(test_rule_90_the_snapshot_is_repeated_until_it_is_empty),
    T_TEST(test_rule_90_each_is_asked_once_however_often_it_looks),
    T_TEST(test_rule_66_a_shield_does_not_keep_a_task_from_the_end_of_run),
    T_TEST(test_rule_74_thread_jobs_are_waited_for),
    T_TEST(test_rule_90_a_deadline_names_those_that_do_not_end),
    T_TEST(test_rule_90_a_deadline_does_not_disturb_those_that_end),
};

T_MAIN(tests, scenarios)
