/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio and others had in wait_for, each named after its issue. */
#include "../support/t.h"

#include <math.h>

struct call {
    skua_task *inner;
    double timeout;
    int result;
    bool came_through;  /* went on after the call, and through another wait */
};

/* What every task that waits with a limit does afterwards: it waits again. */
static void *call_then_wait(void *arg)
{
    struct call *c = arg;
    c->result = skua_wait_for(c->inner, c->timeout, NULL);
    int r = c->result < 0 ? c->result : skua_sleep(1);
    c->came_through = r == 0;
    return r < 0 ? skua_fail(r) : NULL;
}

static void *at_once(void *value)
{
    return value;
}

/* Answers a cancel after `delay` seconds, with `err`, or with a value if that is 0. */
struct slow {
    double delay;
    int err;
    int cancels;
    bool ended;
};

static void *slow(void *arg)
{
    struct slow *s = arg;
    double end = INFINITY;
    while (skua_loop_time() < end) {
        int r = end == INFINITY ? skua_sleep(100) : skua_sleep_until(end);
        if (r == -ECANCELED && s->cancels++ == 0)
            end = skua_loop_time() + s->delay;
    }
    s->ended = true;
    return s->err ? skua_fail(s->err) : arg;
}

/* ---- a cancel from outside is never swallowed ---- */

static void *swallow_main(void *arg)
{
    for (int yields = 0; yields < 8; yields++) {
        struct call c = { .inner = skua_spawn(at_once, T_PTR(7)), .timeout = 100 };
        skua_task *t = skua_spawn(call_then_wait, &c);
        t_yield_times(yields);
        T_EXPECT(skua_cancel(t, NULL));
        T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
        T_EXPECT(skua_cancelled(t) && !c.came_through);
        if (yields > 0) { /* else neither has begun */
            void *value = NULL;
            T_EXPECT_INT(skua_result(c.inner, &value), 0);
            T_EXPECT(value == T_PTR(7));
        }
        skua_release(t);
        T_EXPECT_INT(skua_await(c.inner, NULL), 0);
        skua_release(c.inner);
    }
    return arg;
}

static void gh_86296_bpo_42130_a_cancel_is_not_hidden_by_an_inner_that_ends_at_once(void **state)
{
    /* Goal: whenever the cancel comes, also between the end of the inner and the step in which
     * the caller hears of it, the caller does not come through its next wait. */
    (void)state;
    t_run(swallow_main, NULL);
}

static void *beside_main(void *arg)
{
    struct call c = { .inner = skua_future_new(), .timeout = 5 };
    skua_task *t = skua_spawn(call_then_wait, &c);
    skua_yield();
    T_EXPECT(skua_future_set_result(c.inner, T_PTR(1)));
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT_INT(c.result, -ECANCELED);
    void *value = NULL;
    T_EXPECT_INT(skua_result(c.inner, &value), 0); /* what it ended with is still there to be had */
    T_EXPECT(value == T_PTR(1));
    skua_release(c.inner);
    return arg;
}

static void bpo_37658_a_cancel_beside_the_result_leaves_the_result_to_the_inner(void **state)
{
    (void)state;
    t_run(beside_main, NULL);
}

static void *two_trips(void *arg)
{
    int r = skua_yield();
    return r < 0 ? skua_fail(r) : arg;
}

static void *micropython_main(void *arg)
{
    for (int yields = 0; yields < 6; yields++) {
        skua_task *inner = skua_spawn(two_trips, T_PTR(3));
        struct t_waiter w = { inner, "w" };
        skua_task *t = skua_spawn(t_waiter, &w);
        t_yield_times(yields);
        bool was_done = skua_done(t);
        T_EXPECT_INT(skua_cancel(t, NULL), !was_done);
        T_EXPECT_INT(skua_join(t, NULL), was_done ? 0 : -ECANCELED);
        T_EXPECT_INT(skua_join(inner, NULL), yields == 1 ? -ECANCELED : 0);
    }
    return arg;
}

static void micropython_7386_a_waiter_cancelled_as_its_task_ends(void **state)
{
    /* Goal: what wait_for was made of there: before the inner has begun, while it runs, when it has
     * ended and the waiter has not heard of it, and later. */
    (void)state;
    t_run(micropython_main, NULL);
}

static void *soon_after_main(void *arg)
{
    struct call c = { .inner = NULL, .timeout = 100 };
    for (int eager = 0; eager < 2; eager++) {
        c.inner = skua_spawn(at_once, NULL, .eager = eager);
        c.came_through = false;
        skua_task *t = skua_spawn(call_then_wait, &c);
        skua_yield(); /* with eager the inner was done before the call: the limit never began */
        T_EXPECT(!skua_done(t));
        skua_cancel(t, NULL);
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        T_EXPECT(!c.came_through);
        skua_release(c.inner);
    }
    return arg;
}

static void micropython_8717_a_cancel_soon_after_the_start(void **state)
{
    (void)state;
    t_run(soon_after_main, NULL);
}

/* ---- the inner has ended when wait_for returns ---- */

static void *ended_main(void *arg)
{
    static const double timeouts[] = { 2, 0, -1 };
    for (int i = 0; i < 3; i++) {
        struct slow s = { .delay = 3, .err = -ECANCELED };
        skua_task *t = skua_spawn(slow, &s);
        skua_yield();
        double start = skua_loop_time();
        T_EXPECT_INT(skua_wait_for(t, timeouts[i], NULL), -ETIMEDOUT);
        T_EXPECT(s.ended && skua_cancelled(t));
        T_EXPECT_INT(s.cancels, 1);
        T_EXPECT(t_elapsed(start) == (i == 0 ? 5 : 3));
        skua_release(t);
    }
    return arg;
}

static void bpo_32751_the_inner_has_ended_when_the_timeout_is_reported(void **state)
{
    /* Goal: also with a timeout that has passed before it began. */
    (void)state;
    t_run(ended_main, NULL);
}

static void *errors_main(void *arg)
{
    static const double timeouts[] = { 2, 0 };
    for (int i = 0; i < 2; i++) {
        struct slow s = { .delay = i, .err = -EDOM };
        skua_task *t = skua_spawn(slow, &s);
        skua_yield();
        T_EXPECT_INT(skua_wait_for(t, timeouts[i], NULL), -EDOM);
        T_EXPECT_INT(skua_error(t), -EDOM);
        T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
        skua_release(t);
    }
    return arg;
}

static void bpo_40607_an_error_during_the_cancellation_is_what_comes_out(void **state)
{
    (void)state;
    t_run(errors_main, NULL);
}

static void *values_main(void *arg)
{
    static const double timeouts[] = { 2, 0 };
    for (int i = 0; i < 2; i++) {
        struct slow s = { .delay = 1 - i };
        skua_task *t = skua_spawn(slow, &s);
        void *value = NULL;
        skua_yield();
        T_EXPECT_INT(skua_wait_for(t, timeouts[i], &value), 0);
        T_EXPECT(value == &s && s.ended);
        skua_release(t);
    }
    return arg;
}

static void bpo_41891_a_value_during_the_cancellation_is_what_comes_out(void **state)
{
    (void)state;
    t_run(values_main, NULL);
}

static void *zero_main(void *arg)
{
    skua_future *f = skua_future_new();
    struct t_waiter w = { f, "w" };
    skua_task *t = skua_spawn(t_waiter, &w);
    skua_task *ticker = skua_spawn(t_ticker, T_PTR(1));
    void *value = NULL;
    T_EXPECT(skua_future_set_result(f, T_PTR(5)));
    T_EXPECT_INT(skua_wait_for(f, 0, &value), 0); /* without a trip: nobody else has run */
    T_EXPECT(value == T_PTR(5));
    t_log("m");
    T_EXPECT_INT(skua_wait_for(t, 0, NULL), -ETIMEDOUT); /* cancelled before its start */
    T_EXPECT(skua_cancelled(t));
    skua_future *open = skua_future_new();
    T_EXPECT_INT(skua_wait_for(open, -1, NULL), -ETIMEDOUT);
    T_EXPECT(skua_cancelled(open));
    T_EXPECT_INT(skua_join(ticker, NULL), 0);
    skua_release(t);
    skua_release(f);
    skua_release(open);
    return arg;
}

static void bpo_31556_a_timeout_of_zero_answers_what_is_done_and_cancels_the_rest(void **state)
{
    (void)state;
    t_run(zero_main, NULL);
    t_check_log("m 0");
}

static void *chain_main(void *arg)
{
    struct slow s = { .delay = 3, .err = -ECANCELED };
    struct call c = { .inner = skua_spawn(slow, &s), .timeout = 2 };
    skua_task *t = skua_spawn(call_then_wait, &c);
    T_EXPECT_INT(skua_sleep(1), 0);
    double start = skua_loop_time();
    T_EXPECT(skua_cancel(t, "outside"));
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT(s.ended); /* the limit passed meanwhile, at 2: that is one more request */
    T_EXPECT(t_elapsed(start) == 3);
    T_EXPECT_INT(c.result, -ECANCELED);
    T_EXPECT_INT(skua_cancelling(t), 1);
    skua_release(t);
    skua_release(c.inner);
    return arg;
}

static void gh_88537_a_cancelled_wait_for_has_cancelled_its_task_and_waits_for_it(void **state)
{
    /* Goal: no task is left running behind a wait_for that was cancelled, and its own limit, which
     * passes while the inner cleans up, does not make a timeout of it. */
    (void)state;
    t_run(chain_main, NULL);
}

/* ---- nothing that was handed over at the last moment is lost ---- */

static void *produce(void *q)
{
    for (int i = 0; i < 6; i++) {
        T_EXPECT_INT(skua_queue_put(q, T_PTR(i), INFINITY), 0);
        T_EXPECT_INT(skua_sleep(i), 0);
    }
    return NULL;
}

static void *take(void *q)
{
    void *item = NULL;
    int r = skua_queue_get(q, &item, INFINITY);
    return r < 0 ? skua_fail(r) : item;
}

static int next_item(skua_queue *q, bool by_task, void **ret_item)
{
    if (!by_task)
        return skua_queue_get(q, ret_item, 3);
    skua_task *t = skua_spawn(take, q);
    int r = skua_wait_for(t, 3, ret_item);
    skua_release(t);
    return r;
}

static void *consume_main(void *by_task)
{
    skua_queue q = SKUA_QUEUE_INIT(0);
    skua_task *producer = skua_spawn(produce, &q);
    for (int n = 0; n < 6;) {
        void *item = NULL;
        int r = next_item(&q, by_task != NULL, &item);
        T_EXPECT(r == 0 || r == -ETIMEDOUT);
        if (r == 0)
            T_EXPECT_INT(T_NUM(item), n++);
    }
    T_EXPECT_INT(skua_join(producer, NULL), 0);
    T_EXPECT(skua_queue_empty(&q));
    skua_queue_fini(&q);
    return NULL;
}

static void asyncio_343_an_item_put_as_the_timeout_passes_is_not_lost(void **state)
{
    /* Goal: the third item comes exactly when the limit of the getter has passed; by a timeout of
     * the queue's own and by wait_for around a task that gets. */
    (void)state;
    t_run(consume_main, NULL);
    t_run(consume_main, T_PTR(1));
}

static const struct CMUnitTest tests[] = {
    T_TEST(gh_86296_bpo_42130_a_cancel_is_not_hidden_by_an_inner_that_ends_at_once),
    T_TEST(bpo_37658_a_cancel_beside_the_result_leaves_the_result_to_the_inner),
    T_TEST(micropython_7386_a_waiter_cancelled_as_its_task_ends),
    T_TEST(micropython_8717_a_cancel_soon_after_the_start),
    T_TEST(bpo_32751_the_inner_has_ended_when_the_timeout_is_reported),
    T_TEST(bpo_40607_an_error_during_the_cancellation_is_what_comes_out),
    T_TEST(bpo_41891_a_value_during_the_cancellation_is_what_comes_out),
    T_TEST(bpo_31556_a_timeout_of_zero_answers_what_is_done_and_cancels_the_rest),
    T_TEST(gh_88537_a_cancelled_wait_for_has_cancelled_its_task_and_waits_for_it),
    T_TEST(asyncio_343_an_item_put_as_the_timeout_passes_is_not_lost),
};

T_MAIN(tests, NULL)
