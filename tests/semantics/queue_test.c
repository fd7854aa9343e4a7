/* SPDX-License-Identifier: MIT */
/* Queues: rule 81 of asyncio. */
#include "../support/t.h"

#include <math.h>
#include <pthread.h>

struct hand {
    skua_queue *q;
    const char *name;
    int         item;
};

static void *get_one(void *arg)
{
    struct hand *h = arg;
    void        *item = NULL;
    int          r = skua_queue_get(h->q, &item, INFINITY);
    if (r == 0)
        t_log("%s%d", h->name, T_NUM(item));
    else
        t_log(r == -EPIPE ? "%s." : "%s!", h->name);
    return r < 0 ? skua_fail(r) : item;
}

static void *put_one(void *arg)
{
    struct hand *h = arg;
    int          r = skua_queue_put(h->q, T_PTR(h->item), INFINITY);
    t_log(r == 0 ? "%s%d" : r == -EPIPE ? "%s%d." : "%s%d!", h->name, h->item);
    return r < 0 ? skua_fail(r) : NULL;
}

/* ---- rule 81 ---- */

static void *order_main(void *arg)
{
    skua_queue  q = SKUA_QUEUE_INIT(2);
    struct hand g[2] = { { &q, "x", 0 }, { &q, "y", 0 } };
    skua_task  *t[2];
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(get_one, &g[i]);
    skua_yield();
    T_EXPECT_INT(skua_queue_put(&q, T_PTR(1), INFINITY), 0);
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(2)), 0);
    T_EXPECT_INT(skua_queue_size(&q), 2); /* as in asyncio: the woken have not looked yet */
    T_EXPECT(skua_queue_full(&q));
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(3)), -EAGAIN);
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    T_EXPECT(skua_queue_empty(&q));
    T_EXPECT_INT(skua_queue_get_nowait(&q, NULL), -EAGAIN);
    skua_queue_fini(&q);
    return arg;
}

static void test_rule_81_getters_in_order(void **state)
{
    (void)state;
    t_run(order_main, NULL);
    t_check_log("x1 y2");
}

static void *putters_main(void *arg)
{
    skua_queue  q = SKUA_QUEUE_INIT(1);
    struct hand p[3] = { { &q, "p", 1 }, { &q, "p", 2 }, { &q, "p", 3 } };
    skua_task  *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(put_one, &p[i]);
    skua_yield();
    for (int i = 0; i < 3; i++) {
        void *item = NULL;
        T_EXPECT_INT(skua_queue_get(&q, &item, INFINITY), 0);
        t_log("g%d", T_NUM(item));
    }
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    skua_queue_fini(&q);
    return arg;
}

static void test_rule_81_putters_in_order(void **state)
{
    (void)state;
    t_run(putters_main, NULL);
    t_check_log("p1 g1 p2 g2 p3 g3");
}

static void *get_race_main(void *arg)
{
    skua_queue  q = SKUA_QUEUE_INIT(0);
    struct hand g[2] = { { &q, "x", 0 }, { &q, "y", 0 } };
    skua_task  *t[2];
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(get_one, &g[i]);
    skua_yield();
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(7)), 0);
    skua_cancel(t[0], NULL); /* woken, has not looked */
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    T_EXPECT_INT(skua_queue_size(&q), 0);
    skua_queue_fini(&q);
    return arg;
}

static void test_rule_81_get_cancelled_race(void **state)
{
    /* Goal: the element goes to the next getter. */
    (void)state;
    t_run(get_race_main, NULL);
    t_check_log("x! y7");
}

static void *put_race_main(void *arg)
{
    skua_queue  q = SKUA_QUEUE_INIT(1);
    struct hand p[2] = { { &q, "p", 1 }, { &q, "p", 2 } };
    skua_task  *t[2];
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(0)), 0);
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(put_one, &p[i]);
    skua_yield();
    T_EXPECT_INT(skua_queue_get_nowait(&q, NULL), 0);
    skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    void *item = NULL;
    T_EXPECT_INT(skua_queue_get_nowait(&q, &item), 0);
    T_EXPECT_INT(T_NUM(item), 2);
    skua_queue_fini(&q);
    return arg;
}

static void test_rule_81_put_cancelled_race(void **state)
{
    /* Goal: the room goes to the next putter, and the cancelled one's element is not in. */
    (void)state;
    t_run(put_race_main, NULL);
    t_check_log("p1! p2");
}

static void *mixed_main(void *arg)
{
    skua_queue  q = SKUA_QUEUE_INIT(1);
    struct hand p[5] = { { &q, "p", 0 }, { &q, "p", 1 }, { &q, "p", 2 }, { &q, "p", 3 },
                         { &q, "p", 9 } };
    struct hand g[3] = { { &q, "x", 0 }, { &q, "y", 0 }, { &q, "z", 0 } };
    skua_task  *t[8];
    void       *item = NULL;
    for (int i = 0; i < 7; i++)
        t[i] = skua_spawn(i < 4 ? put_one : get_one, i < 4 ? &p[i] : &g[i - 4]);
    t_yield_times(2);
    skua_cancel(t[2], NULL);
    T_EXPECT_INT(skua_sleep(1), 0);
    t[7] = skua_spawn(put_one, &p[4]);
    skua_yield();
    T_EXPECT_INT(skua_queue_get_nowait(&q, &item), 0);
    t_log("n%d", T_NUM(item));
    T_EXPECT_INT(skua_gather(t, 8, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    T_EXPECT_INT(skua_queue_size(&q), 0);
    skua_queue_fini(&q);
    return arg;
}

static void test_rule_81_putters_and_getters_as_in_cpython(void **state)
{
    (void)state;
    t_run(mixed_main, NULL);
    t_check_log("p0 x0 p1 y1 p2! p3 z3 p9 n9");
}

static int by_number(const void *a, const void *b)
{
    return T_NUM(a) - T_NUM(b);
}

static void drain(skua_queue *q)
{
    void *item;
    while (skua_queue_get_nowait(q, &item) == 0)
        t_log("%d", T_NUM(item));
    skua_queue_fini(q);
}

static void test_rule_81_lifo_and_priority(void **state)
{
    skua_queue lifo = SKUA_LIFO_QUEUE_INIT(0);
    skua_queue least = SKUA_PRIORITY_QUEUE_INIT(0, by_number);
    static const int items[] = { 5, 1, 4, 1, 3, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4 };
    (void)state;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        assert_int_equal(skua_queue_put_nowait(&lifo, T_PTR((int)i)), 0);
        assert_int_equal(skua_queue_put_nowait(&least, T_PTR(items[i])), 0);
    }
    drain(&lifo);
    t_check_log("19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0");
    drain(&least);
    t_check_log("1 1 2 2 3 3 3 3 4 4 5 5 5 6 7 8 8 9 9 9");
}

static void *worker(void *arg)
{
    skua_queue *q = arg;
    void       *item;
    int         r;
    while ((r = skua_queue_get(q, &item, INFINITY)) == 0) {
        skua_yield();
        t_log("%d", T_NUM(item));
        T_EXPECT_INT(skua_queue_task_done(q), 0);
    }
    return skua_fail(r);
}

static void *join_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(0);
    T_EXPECT_INT(skua_queue_task_done(&q), -EINVAL);
    T_EXPECT_INT(skua_queue_join(&q), 0);
    skua_task *t = skua_spawn(worker, &q);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_queue_put(&q, T_PTR(i), 1), 0);
    T_EXPECT_INT(skua_queue_join(&q), 0);
    t_log("joined");
    T_EXPECT_INT(skua_queue_shutdown(&q, false), 0);
    T_EXPECT_INT(skua_join(t, NULL), -EPIPE);
    T_EXPECT_INT(skua_queue_put(&q, NULL, 1), -EPIPE);
    skua_queue_fini(&q);
    return arg;
}

static void test_rule_81_join_waits_for_the_work(void **state)
{
    (void)state;
    t_run(join_main, NULL);
    t_check_log("0 1 2 joined");
}

static void *joiner(void *q)
{
    int r = skua_queue_join(q);
    t_log("joined");
    return skua_fail(r);
}

static void *shutdown_main(void *arg)
{
    skua_queue  full = SKUA_QUEUE_INIT(1), empty = SKUA_QUEUE_INIT(1);
    struct hand p = { &full, "p", 1 }, g = { &empty, "g", 0 };
    T_EXPECT_INT(skua_queue_put_nowait(&full, NULL), 0);
    skua_task *t[3] = { skua_spawn(put_one, &p), skua_spawn(get_one, &g),
                        skua_spawn(joiner, &full) };
    skua_yield();
    T_EXPECT_INT(skua_queue_shutdown(&full, true), 0);
    T_EXPECT_INT(skua_queue_shutdown(&empty, false), 0);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 3);
    T_EXPECT_INT(skua_queue_get(&full, NULL, 1), -EPIPE);
    skua_queue_fini(&full);
    skua_queue_fini(&empty);
    return arg;
}

static void test_rule_81_shutdown_wakes_everybody(void **state)
{
    /* Goal: immediate drops the elements, which count as done. */
    (void)state;
    t_run(shutdown_main, NULL);
    t_check_log("joined p1. g.");
}

static void *drain_main(void *arg)
{
    skua_queue  q = SKUA_QUEUE_INIT(0);
    struct hand g = { &q, "g", 0 };
    for (int i = 0; i < 2; i++)
        T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(i)), 0);
    T_EXPECT_INT(skua_queue_shutdown(&q, false), 0);
    T_EXPECT_INT(skua_queue_put_nowait(&q, NULL), -EPIPE);
    for (int i = 0; i < 3; i++)
        SKUA_IGNORE(skua_join(skua_spawn(get_one, &g), NULL));
    skua_task *t = skua_spawn(joiner, &q);
    T_EXPECT_INT(skua_queue_shutdown(&q, true), 0); /* what was taken is still to be dealt with */
    t_yield_times(3);
    T_EXPECT(!skua_done(t));
    T_EXPECT_INT(skua_queue_task_done(&q), 0);
    T_EXPECT_INT(skua_queue_task_done(&q), 0);
    T_EXPECT_INT(skua_queue_task_done(&q), -EINVAL);
    T_EXPECT_INT(skua_join(t, NULL), -EINVAL); /* skua_fail(0) */
    skua_queue_fini(&q);
    T_EXPECT_INT(skua_queue_put_nowait(&q, NULL), -EPIPE); /* it stays shut */
    return arg;
}

static void test_rule_81_shutdown_lets_getters_drain(void **state)
{
    (void)state;
    t_run(drain_main, NULL);
    t_check_log("g0 g1 g. joined");
}

static void *timeout_main(void *arg)
{
    void      *slots[1];
    skua_queue q;
    void      *item = arg;
    T_EXPECT_INT(skua_queue_init_buffer(&q, slots, 1), 0);
    T_EXPECT_INT(skua_queue_get(&q, &item, 0), -ETIMEDOUT);
    T_EXPECT_INT(skua_queue_get(&q, &item, -1), -ETIMEDOUT);
    T_EXPECT_INT(skua_queue_get(&q, &item, 2), -ETIMEDOUT);
    T_EXPECT(item == arg); /* written on success only */
    T_EXPECT_INT(skua_queue_put(&q, NULL, 0), 0);
    double since = skua_loop_time();
    T_EXPECT_INT(skua_queue_put(&q, NULL, 3), -ETIMEDOUT);
    T_EXPECT(t_elapsed(since) == 3);
    T_EXPECT_INT(skua_queue_put(&q, NULL, NAN), -EINVAL);
    T_EXPECT_INT(skua_queue_get(NULL, NULL, 1), -EINVAL);
    T_EXPECT_INT(skua_queue_get_blocking(&q, NULL, 1), -EPERM);
    skua_queue unordered = SKUA_PRIORITY_QUEUE_INIT(0, NULL);
    T_EXPECT_INT(skua_queue_put(&unordered, NULL, 1), -EINVAL);
    return arg;
}

static void test_timeouts_and_bad_input_of_queues(void **state)
{
    skua_queue q = SKUA_QUEUE_INIT(1);
    (void)state;
    t_run(timeout_main, NULL);
    assert_int_equal(skua_queue_put(&q, NULL, 1), -EPERM);
    assert_int_equal(skua_queue_join(&q), -EPERM);
    assert_int_equal(skua_queue_get_blocking(&q, NULL, 0), -ETIMEDOUT);
    assert_int_equal(skua_queue_get_blocking(&q, NULL, NAN), -EINVAL);
    assert_int_equal(skua_queue_put_nowait(NULL, NULL), -EINVAL);
    assert_int_equal(skua_queue_init_buffer(&q, NULL, 1), -EINVAL);
    assert_int_equal(skua_queue_shutdown(NULL, true), -EINVAL);
    skua_queue_fini(NULL);
    t_check();
}

/* ---- on all workers, with threads, nothing is lost and nothing comes twice ---- */

enum { PUTTERS = 3, EACH = 3000, GETTERS = 3 };

struct crowd {
    skua_queue q;
    _Atomic(unsigned char) seen[PUTTERS * EACH];
    _Atomic(int)           got, next;
};

static void note(struct crowd *c, void *item)
{
    T_EXPECT_INT(c->seen[T_NUM(item)]++, 0);
    c->got++;
}

static void *putter_of_crowd(void *arg)
{
    struct crowd *c = arg;
    int           first = c->next++ * EACH;
    for (int i = 0; i < EACH; i++)
        if (skua_queue_put(&c->q, T_PTR(first + i), INFINITY) < 0)
            return skua_fail(-EIO);
    return NULL;
}

static void *getter_of_crowd(void *arg)
{
    struct crowd *c = arg;
    void         *item;
    for (int i = 0;; i++) {
        int r = skua_queue_get(&c->q, &item, i % 3 ? INFINITY : 1e-5);
        if (r == -EPIPE)
            return NULL;
        if (r == 0)
            note(c, item);
        else if (r != -ETIMEDOUT)
            return skua_fail(r);
    }
}

static void *thread_of_crowd(void *arg)
{
    struct crowd *c = arg;
    void         *item;
    while (skua_queue_get_blocking(&c->q, &item, INFINITY) == 0)
        note(c, item);
    return NULL;
}

static void *crowd_main(void *arg)
{
    struct crowd *c = arg;
    pthread_t     thread;
    skua_task    *put[PUTTERS], *get[GETTERS];
    T_EXPECT_INT(pthread_create(&thread, NULL, thread_of_crowd, c), 0);
    for (int i = 0; i < GETTERS; i++)
        get[i] = skua_go(getter_of_crowd, c);
    for (int i = 0; i < PUTTERS; i++)
        put[i] = skua_go(putter_of_crowd, c);
    T_EXPECT_INT(skua_gather(put, PUTTERS, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(skua_queue_shutdown(&c->q, false), 0);
    T_EXPECT_INT(skua_gather(get, GETTERS, NULL, SKUA_RELEASE), 0);
    pthread_join(thread, NULL);
    return NULL;
}

static void test_nothing_lost_nothing_twice(void **state)
{
    static struct crowd c = { .q = SKUA_QUEUE_INIT(4) };
    (void)state;
    t_run(crowd_main, &c, .real_time = true);
    assert_int_equal(c.got, PUTTERS * EACH);
    skua_queue_fini(&c.q);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_81_getters_in_order),
    T_TEST(test_rule_81_putters_in_order),
    T_TEST(test_rule_81_get_cancelled_race),
    T_TEST(test_rule_81_put_cancelled_race),
    T_TEST(test_rule_81_putters_and_getters_as_in_cpython),
    T_TEST(test_rule_81_shutdown_lets_getters_drain),
    T_TEST(test_rule_81_lifo_and_priority),
    T_TEST(test_rule_81_join_waits_for_the_work),
    T_TEST(test_rule_81_shutdown_wakes_everybody),
    T_TEST(test_timeouts_and_bad_input_of_queues),
    T_TEST(test_nothing_lost_nothing_twice),
};
T_MAIN(tests, NULL)
