/* SPDX-License-Identifier: MIT */
/* Goal: a plain thread that waits for a task hears of its end once, in time, and cancels nothing.
 * Method: many threads on many tasks, short waits against ends, the refusals. */
#include "expect.h"

#include <errno.h>
#include <math.h>

#include "base/sys.h"

enum { THREADS = 64, ROUNDS = 1000, SPAWNERS = 4 };

static RT_ATOMIC(int) right;

/* --- many threads --- */

static skua_task *tasks[THREADS];
static struct rt_thread threads[THREADS];

static void *sleep_then(void *arg)
{
    EXPECT_INT(skua_sleep((double)((intptr_t)arg % 7) * 0.002), 0);
    return (intptr_t)arg % 8 == 7 ? skua_fail(-EIO) : arg;
}

static void *wait_for_one(void *arg)
{
    intptr_t i = (intptr_t)arg;
    void *value = NULL;
    int r = skua_wait_blocking(tasks[i % 32], INFINITY, &value);
    bool is_right = i % 8 == 7 ? r == -EIO && !value : r == 0 && value == NUM(i % 32);
    (void)rt_add_sc(&right, is_right);
    return NULL;
}

static void *join_all(void *arg)
{
    for (int i = 0; i < THREADS; i++)
        EXPECT_INT(rt_sys_thread_join(threads[i]), 0);
    return NULL;
}

static void *many_main(void *arg)
{
    for (int i = 0; i < 32; i++)
        tasks[i] = i % 2 ? skua_go(sleep_then, NUM(i)) : skua_spawn(sleep_then, NUM(i));
    for (int i = 0; i < THREADS; i++)
        EXPECT_INT(rt_sys_thread_create(&threads[i], wait_for_one, NUM(i), "waiter"), 0);
    EXPECT_INT(skua_to_thread(join_all, NULL, NULL), 0);
    EXPECT_INT(rt_load_sc(&right), THREADS);
    skua_release_all(tasks, 32);
    return NULL;
}

static void test_wait_blocking_many_threads_each_get_their_result(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        rt_init(&right, 0);
        assert_int_equal(skua_run(many_main, NULL, .workers = workers), 0);
    }
    assert_all_held();
}

/* --- short waits against ends --- */

static void *give_back(void *arg)
{
    return arg;
}

static void *spawn_and_wait(void *loop)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *value = NULL;
        skua_task *t = skua_spawn_threadsafe(loop, give_back, NUM(i + 1));
        int r;
        while ((r = skua_wait_blocking(t, i % 10 * 1e-6, &value)) == -ETIMEDOUT) {
        }
        EXPECT_INT(r, 0);
        EXPECT(value == NUM(i + 1));
        skua_release(t);
        (void)rt_add_sc(&right, 1);
    }
    return NULL;
}

static void *race_main(void *arg)
{
    struct rt_thread spawner[SPAWNERS];
    for (int i = 0; i < SPAWNERS; i++)
        EXPECT_INT(rt_sys_thread_create(&spawner[i], spawn_and_wait, skua_loop_current(), "x"), 0);
    for (int i = 0; i < 20000 && rt_load_sc(&right) < SPAWNERS * ROUNDS; i++)
        EXPECT_INT(skua_sleep(0.001), 0);
    EXPECT_INT(rt_load_sc(&right), SPAWNERS * ROUNDS);
    for (int i = 0; i < SPAWNERS; i++)
        EXPECT_INT(rt_sys_thread_join(spawner[i]), 0);
    return NULL;
}

static void test_wait_blocking_timeout_against_end_one_of_them_wins(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        rt_init(&right, 0);
        assert_int_equal(skua_run(race_main, NULL, .workers = workers), 0);
    }
    assert_all_held();
}

/* --- what it answers --- */

static void *outside(void *arg)
{
    skua_future *f = arg;
    void *value = NUM(1);
    EXPECT_INT(skua_wait_blocking(NULL, 1, NULL), -EINVAL);
    EXPECT_INT(skua_wait_blocking(f, NAN, NULL), -EINVAL);
    EXPECT_INT(skua_wait_blocking(f, 0, NULL), -ETIMEDOUT);
    EXPECT_INT(skua_wait_blocking(f, -1, NULL), -ETIMEDOUT);
    double begin = wall();
    EXPECT_INT(skua_wait_blocking(f, 0.02, &value), -ETIMEDOUT);
    EXPECT(wall() - begin >= 0.02);
    EXPECT(value == NUM(1));
    EXPECT(!skua_done(f));
    EXPECT(skua_cancel(f, NULL));
    EXPECT_INT(skua_wait_blocking(f, 0, &value), -ECANCELED);
    EXPECT_INT(skua_wait_blocking(f, INFINITY, &value), -ECANCELED);
    EXPECT(value == NUM(1));
    return NULL;
}

static void refuse_in_callback(void *arg)
{
    EXPECT_INT(skua_wait_blocking(arg, 1, NULL), -EPERM);
}

static void *answers_main(void *arg)
{
    skua_future *f = skua_future_new();
    EXPECT_INT(skua_wait_blocking(f, 1, NULL), -EPERM);
    skua_call_soon(refuse_in_callback, f);
    EXPECT_INT(skua_to_thread(outside, f, NULL), 0);
    EXPECT_INT(skua_await(f, NULL), -ECANCELED);
    skua_release(f);
    f = skua_future_new();
    EXPECT(skua_future_set_result(f, NUM(2)));
    return f;
}

static void test_wait_blocking_answers_as_await_does(void **state)
{
    void *f = NULL, *value = NULL;
    assert_int_equal(skua_run(answers_main, NULL, .workers = 2, .result = &f), 0);
    assert_int_equal(skua_wait_blocking(f, 0, &value), 0);
    assert_ptr_equal(value, NUM(2));
    skua_release(f);
    assert_all_held();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_blocking_many_threads_each_get_their_result),
        cmocka_unit_test(test_wait_blocking_timeout_against_end_one_of_them_wins),
        cmocka_unit_test(test_wait_blocking_answers_as_await_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
