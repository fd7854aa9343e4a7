/* SPDX-License-Identifier: MIT */
/* Goal: time limits: nested, moved, expired together or never; the request of a scope is its own
 * and is taken back by it; wait_for and shield follow. */
#include "scale.h"
#include "t.h"

#include <math.h>

static int body(double inner, double outer, double sleep, int *ret_inner)
{
    skua_timeout a, b;
    T_EXPECT_INT(skua_timeout_enter(&a, outer), 0);
    T_EXPECT_INT(skua_timeout_enter(&b, inner), 0);
    int r = skua_sleep(sleep);
    *ret_inner = r = skua_timeout_exit(&b, r);
    r = skua_timeout_exit(&a, r);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT_INT(skua_sleep(0.001), 0); /* no request is left over */
    return r;
}

static void *nested(void *arg)
{
    int inner;
    (void)arg;
    T_EXPECT_INT(body(1, 2, 0.5, &inner), 0);
    T_EXPECT_INT(inner, 0);
    T_EXPECT_INT(body(1, 2, 5, &inner), -ETIMEDOUT);
    T_EXPECT_INT(inner, -ETIMEDOUT);
    T_EXPECT_INT(body(2, 1, 5, &inner), -ETIMEDOUT);
    T_EXPECT_INT(inner, -ECANCELED);
    T_EXPECT_INT(body(INFINITY, 1, 5, &inner), -ETIMEDOUT);
    T_EXPECT_INT(inner, -ECANCELED);
    T_EXPECT_INT(body(INFINITY, INFINITY, 5, &inner), 0);
    return NULL;
}

static void test_scope_nested(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        t_run(nested, NULL, .workers = workers);
        t_run(nested, NULL, .workers = workers, .free_main = true);
    }
}

static void *moved(void *arg)
{
    skua_timeout s;
    double       now = skua_loop_time();
    (void)arg;
    T_EXPECT_INT(skua_timeout_enter(&s, 1), 0);
    T_EXPECT_INT(skua_timeout_reschedule(&s, now + 10), 0);
    T_EXPECT_INT(skua_sleep(5), 0);
    T_EXPECT(!skua_timeout_expired(&s));
    T_EXPECT_INT(skua_timeout_reschedule(&s, now + 6), 0);
    T_EXPECT_INT(skua_sleep(5), -ECANCELED);
    T_EXPECT(skua_timeout_expired(&s));
    T_EXPECT_INT(skua_timeout_reschedule(&s, now + 20), -EINVAL);
    T_EXPECT_INT(skua_timeout_exit(&s, -ECANCELED), -ETIMEDOUT);
    T_EXPECT(skua_timeout_expired(&s));
    T_EXPECT_INT(skua_timeout_exit(&s, 0), -EINVAL);
    T_EXPECT_INT(skua_timeout_enter(&s, NAN), -EINVAL);
    T_EXPECT_INT(skua_timeout_enter(&s, 1), 0);
    T_EXPECT_INT(skua_timeout_reschedule(&s, INFINITY), 0);
    T_EXPECT_INT(skua_sleep(5), 0);
    T_EXPECT_INT(skua_timeout_reschedule(&s, skua_loop_time() - 1), 0);
    T_EXPECT_INT(skua_sleep(1), -ECANCELED);
    T_EXPECT_INT(skua_timeout_exit(&s, -EIO), -EIO); /* another error is not hidden */
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return NULL;
}

static void test_scope_moved(void **state)
{
    t_run(moved, NULL);
    t_run(moved, NULL, .free_main = true);
}

/* Both limits pass in one batch, and somebody else cancels in the same one. */
static void *same_batch(void *arg)
{
    skua_timeout a, b;
    (void)arg;
    double when = skua_loop_time() + 1;
    T_EXPECT_INT(skua_timeout_enter(&a, 100), 0);
    T_EXPECT_INT(skua_timeout_enter(&b, 100), 0);
    T_EXPECT_INT(skua_timeout_reschedule(&a, when), 0);
    T_EXPECT_INT(skua_timeout_reschedule(&b, when), 0);
    int r = skua_sleep(5);
    T_EXPECT_INT(r, -ECANCELED);
    T_EXPECT(skua_timeout_expired(&a) && skua_timeout_expired(&b));
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 2);
    r = skua_timeout_exit(&b, r);
    r = skua_timeout_exit(&a, r);
    T_EXPECT_INT(r < 0, 1);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    T_EXPECT_INT(skua_sleep(0.001), 0);
    return NULL;
}

static void test_scopes_expire_together(void **state)
{
    t_run(same_batch, NULL, .workers = 1);
    t_run(same_batch, NULL, .workers = 1, .free_main = true);
}

/* The limit passes at about the time the work ends: one or the other, and nothing is left. */
static void *near_miss(void *arg)
{
    int turns = T_NUM(arg);
    for (int i = 0; i < turns; i++) {
        skua_timeout s;
        double       limit = 1e-5 * (double)(i % 30);
        T_EXPECT_INT(skua_timeout_enter(&s, limit), 0);
        int r = skua_sleep(1e-4);
        r = skua_timeout_exit(&s, r);
        T_EXPECT(r == 0 || r == -ETIMEDOUT);
        T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
        T_EXPECT_INT(skua_yield(), 0);
    }
    return NULL;
}

static void *near_misses(void *arg)
{
    skua_task *t[8];
    for (int i = 0; i < 8; i++)
        t[i] = i % 2 ? skua_go(near_miss, arg) : skua_spawn(near_miss, arg);
    T_EXPECT_INT(skua_gather(t, 8, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void test_scope_near_misses(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2)
        t_run(near_misses, T_PTR(T_SCALE(300, 80)), .workers = workers, .real_time = true);
}

/* --- wait_for --- */

static void *sleep_then(void *arg)
{
    int r = skua_sleep((double)T_NUM(arg));
    return r < 0 ? skua_fail(r) : T_PTR(8);
}

static void *answers_with_value(void *arg)
{
    SKUA_IGNORE(skua_sleep(1000));
    return arg;
}

static void *slow_to_end(void *arg)
{
    int r = skua_sleep(1000);
    T_EXPECT_INT(skua_sleep(2), 0);
    return arg ? arg : skua_fail(r);
}

static void *wait_for_all(void *arg)
{
    bool is_free = arg != NULL;
    static const struct {
        skua_fn fn;
        int     arg;
        double  timeout;
        int     r, value;
    } rows[] = {
        { sleep_then, 1, 2, 0, 8 },
        { sleep_then, 3, 2, -ETIMEDOUT, 0 },
        { sleep_then, 3, 0, -ETIMEDOUT, 0 },
        { sleep_then, 3, INFINITY, 0, 8 },
        { sleep_then, 3, NAN, -EINVAL, 0 },
        { answers_with_value, 5, 1, 0, 5 },
        { slow_to_end, 0, 1, -ETIMEDOUT, 0 },
        { slow_to_end, 6, 1, 0, 6 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void      *value = NULL;
        skua_task *t = is_free ? skua_go(rows[i].fn, T_PTR(rows[i].arg))
                               : skua_spawn(rows[i].fn, T_PTR(rows[i].arg));
        T_EXPECT_INT(skua_wait_for(t, rows[i].timeout, &value), rows[i].r);
        T_EXPECT_INT(T_NUM(value), rows[i].value);
        T_EXPECT(skua_done(t) || rows[i].r == -EINVAL);
        T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
        (void)skua_cancel(t, NULL);
        skua_release(t);
    }
    T_EXPECT_INT(skua_wait_for(NULL, 1, NULL), -EINVAL);
    T_EXPECT_INT(skua_wait_for(skua_current_task(), 1, NULL), -EDEADLK);
    return NULL;
}

static void test_wait_for(void **state)
{
    for (int workers = 1; workers <= 2; workers++)
        for (intptr_t is_free = 0; is_free < 2; is_free++) {
            t_run(wait_for_all, (void *)is_free, .workers = workers);
            t_run(wait_for_all, (void *)is_free, .workers = workers, .free_main = true);
        }
}

/* --- shield --- */

static void *await_shield(void *arg)
{
    int r = skua_join(skua_shield(arg), NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *shielded(void *arg)
{
    bool       is_free = arg != NULL;
    void      *value = NULL;
    skua_task *inner = is_free ? skua_go(sleep_then, T_PTR(2)) : skua_spawn(sleep_then, T_PTR(2));
    skua_task *outer = is_free ? skua_go(await_shield, inner) : skua_spawn(await_shield, inner);
    T_EXPECT_INT(skua_sleep(1), 0);
    T_EXPECT(skua_cancel(outer, NULL));
    T_EXPECT_INT(skua_join(outer, NULL), -ECANCELED);
    T_EXPECT(!skua_done(inner));
    T_EXPECT_INT(skua_join(skua_shield(inner), &value), 0);
    T_EXPECT_INT(T_NUM(value), 8);
    skua_task *same = skua_shield(inner); /* done already: the task itself */
    T_EXPECT(same == inner);
    skua_release(same);
    skua_release(inner);
    T_EXPECT(skua_shield(NULL) == NULL);
    return NULL;
}

static void test_shield(void **state)
{
    for (int workers = 1; workers <= 2; workers++)
        for (intptr_t is_free = 0; is_free < 2; is_free++)
            t_run(shielded, (void *)is_free, .workers = workers);
    assert_null(skua_shield(NULL));
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_scope_nested),
    T_TEST(test_scope_moved),
    T_TEST(test_scopes_expire_together),
    T_TEST(test_scope_near_misses),
    T_TEST(test_wait_for),
    T_TEST(test_shield),
};
T_MAIN(tests, NULL)
