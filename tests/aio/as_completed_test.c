/* SPDX-License-Identifier: MIT */
/* Goal: as_completed hands out every task once, in the order of completion, until the timeout or a
 * cancel; it may be ended at any point, also while children end on other workers. */
#include "scale.h"
#include "t.h"

#include <math.h>

#include "base/mem.h"

enum { N = 12 };

static void *sleep_number(void *arg)
{
    int r = skua_sleep((double)T_NUM(arg) * 1e-4);
    return r < 0 ? skua_fail(r) : arg;
}

static void start_all(skua_task **t, bool is_free, int step)
{
    for (int i = 0; i < N; i++) {
        void *arg = T_PTR(i * step % N);
        T_EXPECT((t[i] = is_free ? skua_go(sleep_number, arg) : skua_spawn(sleep_number, arg)));
    }
}

static void *in_order(void *arg)
{
    skua_task        *t[N], *got;
    skua_as_completed it;
    int               err, last = -1, n = 0;
    start_all(t, arg != NULL, 5);
    T_EXPECT_INT(skua_as_completed_init(&it, t, N, INFINITY), 0);
    while ((got = skua_as_completed_next(&it, &err)) != NULL) {
        void *value = NULL;
        T_EXPECT_INT(skua_result(got, &value), 0);
        T_EXPECT(T_NUM(value) > last);
        last = T_NUM(value);
        n++;
    }
    T_EXPECT_INT(err, 0);
    T_EXPECT_INT(n, N);
    T_EXPECT(skua_as_completed_next(&it, &err) == NULL);
    T_EXPECT_INT(err, 0);
    skua_as_completed_fini(&it);
    skua_as_completed_fini(&it);
    skua_release_all(t, N);
    return NULL;
}

static void test_as_completed_order(void **state)
{
    for (intptr_t is_free = 0; is_free < 2; is_free++) {
        t_run(in_order, (void *)is_free, .workers = 1);
        t_run(in_order, (void *)is_free, .workers = 1, .free_main = true);
    }
}

/* Ended after k of them, for every k, with the others still to end. */
static void *end_early(void *arg)
{
    int64_t live = rt_mem_live();
    for (int k = 0; k <= N; k++) {
        for (int pause = 0; pause < 3; pause++) {
            skua_task        *t[N];
            skua_as_completed it;
            int               err;
            start_all(t, arg != NULL, 7);
            if (pause == 1)
                (void)skua_yield();
            if (pause == 2)
                T_EXPECT_INT(skua_sleep(5e-4), 0);
            T_EXPECT_INT(skua_as_completed_init(&it, t, N, 10), 0);
            for (int i = 0; i < k; i++)
                T_EXPECT(skua_as_completed_next(&it, &err) != NULL);
            skua_as_completed_fini(&it);
            for (int i = 0; i < N; i++)
                T_EXPECT_INT(skua_join(t[i], NULL), 0);
        }
    }
    T_EXPECT(rt_mem_live() - live <= 4); /* the heaps of timers, which stay */
    return NULL;
}

static void test_as_completed_ended_anywhere(void **state)
{
    setenv("SKUA_SPARE_THREADS", "-1", 1); /* their memory is not what is looked at */
    for (int workers = 1; workers <= 4; workers *= 2)
        for (intptr_t is_free = 0; is_free < 2; is_free++) {
            t_run(end_early, (void *)is_free, .workers = workers, .real_time = true);
            t_run(end_early, (void *)is_free, .workers = workers, .real_time = true,
                  .free_main = true);
        }
}

static void *sleep_for_ever(void *arg)
{
    (void)arg;
    return skua_fail(skua_sleep(10000));
}

static void *iterate_stuck(void *arg)
{
    skua_task        *t = skua_spawn(sleep_for_ever, NULL);
    skua_as_completed it;
    int               err = 0;
    T_EXPECT_INT(skua_as_completed_init(&it, &t, 1, arg ? 0.01 : INFINITY), 0);
    T_EXPECT(skua_as_completed_next(&it, &err) == NULL);
    T_EXPECT_INT(err, arg ? -ETIMEDOUT : -ECANCELED);
    T_EXPECT(!skua_done(t));
    skua_as_completed_fini(&it);
    (void)skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return skua_fail(err);
}

static void *stuck(void *arg)
{
    skua_task *t = arg ? skua_go(iterate_stuck, T_PTR(1)) : skua_spawn(iterate_stuck, T_PTR(1));
    T_EXPECT_INT(skua_join(t, NULL), -ETIMEDOUT);
    t = arg ? skua_go(iterate_stuck, NULL) : skua_spawn(iterate_stuck, NULL);
    T_EXPECT_INT(skua_sleep(0.01), 0);
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return NULL;
}

static void test_as_completed_timeout_and_cancel(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        t_run(stuck, NULL, .workers = workers);
        t_run(stuck, T_PTR(1), .workers = workers);
    }
}

static void *odd(void *arg)
{
    skua_as_completed it;
    skua_task        *null = NULL;
    int               err = 1;
    T_EXPECT_INT(skua_as_completed_init(&it, NULL, 0, INFINITY), 0);
    T_EXPECT(skua_as_completed_next(&it, &err) == NULL);
    T_EXPECT_INT(err, 0);
    skua_as_completed_fini(&it);
    T_EXPECT_INT(skua_as_completed_init(&it, &null, 1, INFINITY), -EINVAL);
    T_EXPECT_INT(skua_as_completed_init(NULL, &null, 1, INFINITY), -EINVAL);
    T_EXPECT_INT(skua_as_completed_init(&it, NULL, 0, NAN), -EINVAL);
    skua_as_completed_fini(NULL);
    return arg;
}

static void test_as_completed_odd_arguments(void **state)
{
    t_run(odd, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_as_completed_order),
    T_TEST(test_as_completed_ended_anywhere),
    T_TEST(test_as_completed_timeout_and_cancel),
    T_TEST(test_as_completed_odd_arguments),
};
T_MAIN(tests, NULL)
