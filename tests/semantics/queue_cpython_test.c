/* SPDX-License-Identifier: MIT */
/* Queues, rule 81: what CPython's test_queues asks of asyncio, scenario by scenario under its names
 * there; what it asks of all three kinds of queue is asked of all three. */
#include "../support/t.h"

#include <math.h>

static int by_number(const void *a, const void *b)
{
    return T_NUM(a) - T_NUM(b);
}

enum kind { FIFO, LIFO, PRIORITY, KINDS };

static skua_queue make(enum kind kind, size_t maxsize)
{
    if (kind == LIFO)
        return (skua_queue)SKUA_LIFO_QUEUE_INIT(maxsize);
    if (kind == PRIORITY)
        return (skua_queue)SKUA_PRIORITY_QUEUE_INIT(maxsize, by_number);
    return (skua_queue)SKUA_QUEUE_INIT(maxsize);
}

static void each_kind(skua_fn fn)
{
    for (int kind = 0; kind < KINDS; kind++)
        t_run(fn, T_PTR(kind));
}

struct hand {
    skua_queue *q;
    int item, n;
};

static void *get_items(void *arg)
{
    struct hand *h = arg;
    for (int i = 0; i < h->n; i++) {
        void *item = NULL;
        int r = skua_queue_get(h->q, &item, INFINITY);
        if (r < 0)
            return skua_fail(r);
        h->item = T_NUM(item);
        t_log("g%d", h->item);
    }
    return NULL;
}

static void *put_items(void *arg)
{
    struct hand *h = arg;
    for (int i = 0; i < h->n; i++) {
        int r = skua_queue_put(h->q, T_PTR(h->item + i), INFINITY);
        if (r < 0)
            return skua_fail(r);
        t_log("p%d", h->item + i);
    }
    return NULL;
}

static int take(skua_queue *q)
{
    void *item = T_PTR(-1);
    T_EXPECT_INT(skua_queue_get(q, &item, 5), 0);
    return T_NUM(item);
}

/* ---- in and out ---- */

static void *basics_main(void *kind)
{
    static const int order[KINDS][3] = { { 1, 3, 2 }, { 2, 3, 1 }, { 1, 2, 3 } };
    static const int items[3] = { 1, 3, 2 };
    skua_queue q = make((enum kind)T_NUM(kind), 3);
    T_EXPECT(skua_queue_empty(&q) && !skua_queue_full(&q));
    T_EXPECT_INT(skua_queue_get_nowait(&q, NULL), -EAGAIN);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_queue_put(&q, T_PTR(items[i]), INFINITY), 0);
    T_EXPECT(!skua_queue_empty(&q) && skua_queue_full(&q));
    T_EXPECT_INT(skua_queue_put_nowait(&q, NULL), -EAGAIN);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(take(&q), order[T_NUM(kind)][i]);
    T_EXPECT(skua_queue_empty(&q) && !skua_queue_full(&q));
    skua_queue_fini(&q);
    return NULL;
}

static void test_rule_81_order_empty_full_and_nonblocking(void **state)
{
    (void)state;
    each_kind(basics_main);
}

static void *maxsize_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(2);
    struct hand h = { &q, 0, 3 };
    skua_task *t = skua_spawn(put_items, &h);
    t_yield_times(2);
    T_EXPECT_LOG("p0 p1");
    T_EXPECT_INT(take(&q), 0);
    skua_yield();
    T_EXPECT_LOG("p2");
    T_EXPECT_INT(take(&q), 1);
    T_EXPECT_INT(take(&q), 2);
    T_EXPECT(skua_done(t));
    skua_release(t);
    skua_queue_fini(&q);
    return arg;
}

static void test_rule_81_maxsize(void **state)
{
    (void)state;
    t_run(maxsize_main, NULL);
}

static void put_one_now(void *q)
{
    T_EXPECT_INT(skua_queue_put_nowait(q, T_PTR(1)), 0);
}

static void get_one_now(void *q)
{
    T_EXPECT_INT(skua_queue_get_nowait(q, NULL), 0);
}

static void *blocking_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(1);
    struct hand get = { &q, 0, 1 }, put = { &q, 1, 2 };
    skua_task *t = skua_spawn(get_items, &get);
    skua_call_later(0.01, put_one_now, &q);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(get.item, 1);
    skua_call_later(0.01, get_one_now, &q);
    t = skua_spawn(put_items, &put);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(take(&q), 2);
    skua_queue_fini(&q);
    t_log_reset();
    return arg;
}

static void test_rule_81_blocking_get_wait_and_put_wait(void **state)
{
    (void)state;
    t_run(blocking_main, NULL);
}

static void *why_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(1);
    struct hand put = { &q, 0, 5 }, get = { &q, 0, 5 };
    skua_task *t[2] = { skua_spawn(put_items, &put), skua_spawn(get_items, &get) };
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0); /* why_are_getters_waiting */
    struct hand one[2] = { { &q, 7, 1 }, { &q, 8, 1 } };
    skua_detach(skua_spawn(put_items, &one[0]));
    skua_detach(skua_spawn(put_items, &one[1]));
    T_EXPECT_INT(take(&q), 7); /* get_with_waiting_putters */
    T_EXPECT_INT(take(&q), 8);
    skua_queue_fini(&q);
    t_log_reset();
    return arg;
}

static void test_rule_81_why_are_getters_waiting(void **state)
{
    (void)state;
    t_run(why_main, NULL);
}

static void *empty_it(void *q)
{
    T_EXPECT_INT(skua_yield(), 0);
    for (size_t n = skua_queue_size(q); n > 0; n--)
        T_EXPECT_INT(skua_queue_get_nowait(q, NULL), 0);
    return NULL;
}

static void *putters_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(2);
    struct hand h[4] = { { &q, 0, 1 }, { &q, 1, 1 }, { &q, 2, 1 }, { &q, 3, 1 } };
    skua_task *t[5] = { skua_spawn(empty_it, &q) };
    for (int i = 0; i < 4; i++)
        t[1 + i] = skua_spawn(put_items, &h[i]);
    T_EXPECT_INT(skua_gather(t, 5, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(skua_queue_size(&q), 2);
    skua_queue_fini(&q);
    return arg;
}

static void test_rule_81_why_are_putters_waiting(void **state)
{
    /* Goal: two are taken at once: both putters are woken, not only the first. */
    (void)state;
    t_run(putters_main, NULL);
    t_check_log("p0 p1 p2 p3");
}

/* ---- cancelled ---- */

static void *readers_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(0);
    struct hand h[3] = { { &q, 0, 1 }, { &q, 0, 1 }, { &q, 0, 1 } };
    skua_task *t[3] = { skua_spawn(get_items, &h[0]) };
    skua_yield();
    for (int i = 1; i <= 2; i++)
        T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(i)), 0);
    skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_join(t[0], NULL), -ECANCELED);
    T_EXPECT_INT(take(&q), 1); /* get_cancel_drop_one_pending_reader: 2 would mean that 1 is lost */
    T_EXPECT_INT(take(&q), 2);
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(get_items, &h[i]);
    skua_yield();
    for (int i = 1; i <= 2; i++)
        T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(i)), 0);
    skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    T_EXPECT_INT(h[1].item, 1);
    T_EXPECT_INT(h[2].item, 2);
    skua_queue_fini(&q);
    t_log_reset();
    return arg;
}

static void test_rule_81_get_cancel_drop_one_and_many_pending_readers(void **state)
{
    (void)state;
    t_run(readers_main, NULL);
}

static void *put_cancel_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(1);
    struct hand h[3] = { { &q, 1, 1 }, { &q, 2, 1 }, { &q, 9, 1 } };
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(0)), 0);
    skua_task *t = skua_spawn(put_items, &h[1]);
    skua_yield();
    T_EXPECT_INT(skua_queue_get_nowait(&q, NULL), 0);
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT_INT(skua_join(skua_spawn(put_items, &h[1]), NULL), 0); /* there is room */
    T_EXPECT_INT(take(&q), 2);
    T_EXPECT(skua_queue_empty(&q));
    skua_task *p[3]; /* put_cancelled_race */
    for (int i = 0; i < 3; i++)
        p[i] = skua_spawn(put_items, &h[i]);
    skua_yield();
    T_EXPECT(skua_done(p[0]) && !skua_done(p[1]));
    skua_cancel(p[2], NULL);
    skua_yield();
    T_EXPECT(skua_cancelled(p[2]));
    T_EXPECT_INT(take(&q), 1);
    skua_yield();
    T_EXPECT_INT(take(&q), 2);
    T_EXPECT_INT(skua_gather(p, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    skua_queue_fini(&q);
    t_log_reset();
    return arg;
}

static void test_rule_81_put_cancel_drop_and_race(void **state)
{
    (void)state;
    t_run(put_cancel_main, NULL);
}

/* ---- task_done and join ---- */

struct work {
    skua_queue *q;
    int sum;
    bool over;
};

static void *work(void *arg)
{
    struct work *w = arg;
    while (!w->over) {
        w->sum += take(w->q);
        T_EXPECT_INT(skua_queue_task_done(w->q), 0);
    }
    return NULL;
}

static void *task_done_main(void *kind)
{
    skua_queue q = make((enum kind)T_NUM(kind), 0);
    struct work w = { &q, 0, false };
    T_EXPECT_INT(skua_queue_task_done(&q), -EINVAL);
    T_EXPECT_INT(skua_queue_join(&q), 0);
    T_EXPECT_INT(skua_queue_join(&q), 0);
    for (int i = 0; i < 100; i++)
        T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(i)), 0);
    skua_task *t[2] = { skua_spawn(work, &w), skua_spawn(work, &w) };
    T_EXPECT_INT(skua_queue_join(&q), 0);
    T_EXPECT_INT(w.sum, 99 * 100 / 2);
    w.over = true;
    for (int i = 0; i < 2; i++)
        T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(0)), 0);
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    skua_queue_fini(&q);
    return NULL;
}

static void test_rule_81_task_done_and_join_empty_queue(void **state)
{
    (void)state;
    each_kind(task_done_main);
}

/* ---- shutdown ---- */

static void *join_it(void *q)
{
    int r = skua_queue_join(q);
    return r < 0 ? skua_fail(r) : NULL;
}

static void expect_shut(skua_queue *q)
{
    T_EXPECT_INT(skua_queue_put(q, NULL, INFINITY), -EPIPE);
    T_EXPECT_INT(skua_queue_put_nowait(q, NULL), -EPIPE);
    T_EXPECT_INT(skua_queue_get(q, NULL, INFINITY), -EPIPE);
    T_EXPECT_INT(skua_queue_get_nowait(q, NULL), -EPIPE);
}

static void *shut_empty_main(void *kind)
{
    skua_queue q = make((enum kind)T_NUM(kind), 0);
    struct hand h = { &q, 0, 1 };
    skua_task *t = skua_spawn(get_items, &h);
    skua_yield();
    T_EXPECT_INT(skua_queue_shutdown(&q, false), 0);
    T_EXPECT_INT(skua_queue_size(&q), 0);
    T_EXPECT_INT(skua_queue_join(&q), 0);
    skua_yield();
    T_EXPECT(skua_done(t));
    T_EXPECT_INT(skua_join(t, NULL), -EPIPE);
    expect_shut(&q);
    skua_queue_fini(&q);
    return NULL;
}

static void test_rule_81_shutdown_empty(void **state)
{
    (void)state;
    each_kind(shut_empty_main);
}

static void *shut_nonempty_main(void *kind)
{
    skua_queue q = make((enum kind)T_NUM(kind), 1);
    struct hand h = { &q, 2, 1 };
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(1)), 0);
    skua_task *join = skua_spawn(join_it, &q), *put = skua_spawn(put_items, &h);
    skua_yield();
    T_EXPECT(!skua_done(put));
    T_EXPECT_INT(skua_queue_shutdown(&q, false), 0);
    T_EXPECT_INT(skua_queue_size(&q), 1);
    skua_yield();
    T_EXPECT(skua_done(put));
    T_EXPECT_INT(skua_join(put, NULL), -EPIPE);
    T_EXPECT_INT(take(&q), 1);
    skua_yield();
    T_EXPECT(!skua_done(join));
    expect_shut(&q);
    T_EXPECT_INT(skua_queue_task_done(&q), 0);
    skua_yield();
    T_EXPECT(skua_done(join));
    T_EXPECT_INT(skua_join(join, NULL), 0);
    T_EXPECT_INT(skua_queue_task_done(&q), -EINVAL);
    skua_queue_fini(&q);
    return NULL;
}

static void test_rule_81_shutdown_nonempty(void **state)
{
    (void)state;
    each_kind(shut_nonempty_main);
}

static void *shut_immediate_main(void *kind)
{
    for (int taken = 0; taken < 2; taken++) {
        skua_queue q = make((enum kind)T_NUM(kind), 0);
        for (int i = 0; i < 1 + taken; i++)
            T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(4)), 0);
        skua_task *join = skua_spawn(join_it, &q);
        if (taken)
            T_EXPECT_INT(take(&q), 4);
        T_EXPECT_INT(skua_queue_shutdown(&q, true), 0);
        T_EXPECT_INT(skua_queue_size(&q), 0);
        skua_yield();
        T_EXPECT_INT(skua_done(join), !taken); /* what was taken is still to be dealt with */
        expect_shut(&q);
        T_EXPECT_INT(skua_queue_task_done(&q), taken ? 0 : -EINVAL);
        T_EXPECT_INT(skua_queue_task_done(&q), -EINVAL);
        t_yield_times(2);
        T_EXPECT(skua_done(join));
        T_EXPECT_INT(skua_join(join, NULL), 0);
        skua_queue_fini(&q);
    }
    return NULL;
}

static void test_rule_81_shutdown_immediate_and_with_unfinished(void **state)
{
    (void)state;
    each_kind(shut_immediate_main);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_81_order_empty_full_and_nonblocking),
    T_TEST(test_rule_81_maxsize),
    T_TEST(test_rule_81_blocking_get_wait_and_put_wait),
    T_TEST(test_rule_81_why_are_getters_waiting),
    T_TEST(test_rule_81_why_are_putters_waiting),
    T_TEST(test_rule_81_get_cancel_drop_one_and_many_pending_readers),
    T_TEST(test_rule_81_put_cancel_drop_and_race),
    T_TEST(test_rule_81_task_done_and_join_empty_queue),
    T_TEST(test_rule_81_shutdown_empty),
    T_TEST(test_rule_81_shutdown_nonempty),
    T_TEST(test_rule_81_shutdown_immediate_and_with_unfinished),
};

T_MAIN(tests, NULL)
