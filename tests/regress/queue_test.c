/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio and others had in queues, each named after its issue. */
#include "../support/t.h"

#include <math.h>

struct hand {
    skua_queue *q;
    int item;
    int result;
};

static void *get_one(void *arg)
{
    struct hand *h = arg;
    void *item = NULL;
    h->result = skua_queue_get(h->q, &item, INFINITY);
    h->item = T_NUM(item);
    return h->result < 0 ? skua_fail(h->result) : NULL;
}

static void *put_one(void *arg)
{
    struct hand *h = arg;
    h->result = skua_queue_put(h->q, T_PTR(h->item), INFINITY);
    return h->result < 0 ? skua_fail(h->result) : NULL;
}

enum { GETTERS = 3 };

/* `items` are put while three wait, one of whom is cancelled before or after that. */
static void get_race(int items, int who, bool cancel_first, int yields)
{
    skua_queue q = SKUA_QUEUE_INIT(0);
    struct hand h[GETTERS];
    skua_task *t[GETTERS];
    for (int i = 0; i < GETTERS; i++) {
        h[i] = (struct hand){ &q, -1, 0 };
        t[i] = skua_spawn(get_one, &h[i]);
    }
    skua_yield();
    for (int step = 0; step < 2; step++) {
        if (cancel_first == (step == 0))
            skua_cancel(t[who], NULL);
        else
            for (int i = 0; i < items; i++)
                T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(i)), 0);
        if (step == 0)
            t_yield_times(yields);
    }
    t_yield_times(6);
    int next = 0, waiting = 0;
    for (int i = 0; i < GETTERS; i++) {
        waiting += !skua_done(t[i]);
        if (skua_done(t[i]) && h[i].result == 0)
            T_EXPECT_INT(h[i].item, next++); /* in the order of the getters, none twice */
    }
    T_EXPECT_INT((int)skua_queue_size(&q), items - next);
    T_EXPECT(waiting == 0 || next == items); /* nobody waits while there is something */
    for (int i = 0; i < GETTERS; i++)
        skua_cancel(t[i], NULL);
    SKUA_IGNORE(skua_gather(t, GETTERS, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS));
    skua_queue_fini(&q);
}

static void *get_races_main(void *arg)
{
    for (int items = 1; items <= 4; items++)
        for (int i = 0; i < GETTERS * 2 * 3; i++)
            get_race(items, i % GETTERS, i / GETTERS % 2, i / (GETTERS * 2));
    return arg;
}

static void bpo_23812_no_item_is_lost_to_a_getter_that_is_cancelled(void **state)
{
    (void)state;
    t_run(get_races_main, NULL);
}

enum { PUTTERS = 3 };

static void put_race(int room, int who, bool cancel_first, int yields)
{
    skua_queue q = SKUA_QUEUE_INIT(2);
    struct hand h[PUTTERS];
    skua_task *t[PUTTERS];
    for (int i = 0; i < 2; i++)
        T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(100)), 0);
    for (int i = 0; i < PUTTERS; i++) {
        h[i] = (struct hand){ &q, i, 0 };
        t[i] = skua_spawn(put_one, &h[i]);
    }
    skua_yield();
    for (int step = 0; step < 2; step++) {
        if (cancel_first == (step == 0))
            skua_cancel(t[who], NULL);
        else
            for (int i = 0; i < room; i++)
                T_EXPECT_INT(skua_queue_get_nowait(&q, NULL), 0);
        if (step == 0)
            t_yield_times(yields);
    }
    t_yield_times(6);
    int in = 0, waiting = 0;
    for (int i = 0; i < PUTTERS; i++) {
        waiting += !skua_done(t[i]);
        in += skua_done(t[i]) && h[i].result == 0;
    }
    T_EXPECT_INT((int)skua_queue_size(&q), 2 - room + in);
    T_EXPECT(waiting == 0 || skua_queue_full(&q)); /* nobody waits beside free room */
    void *item = NULL;
    for (int last = -1; skua_queue_get_nowait(&q, &item) == 0;) {
        if (T_NUM(item) == 100)
            continue;
        T_EXPECT(T_NUM(item) > last && h[T_NUM(item)].result == 0);
        last = T_NUM(item);
    }
    for (int i = 0; i < PUTTERS; i++)
        skua_cancel(t[i], NULL);
    SKUA_IGNORE(skua_gather(t, PUTTERS, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS));
    skua_queue_fini(&q);
}

static void *put_races_main(void *arg)
{
    for (int room = 1; room <= 2; room++)
        for (int i = 0; i < PUTTERS * 2 * 3; i++)
            put_race(room, i % PUTTERS, i / PUTTERS % 2, i / (PUTTERS * 2));
    return arg;
}

static void asyncio_269_room_given_to_a_cancelled_putter_goes_on(void **state)
{
    /* Goal: and what a cancelled putter had to put is not in. */
    (void)state;
    t_run(put_races_main, NULL);
}

/* ---- nothing of a wait that ended is left in the queue ---- */

enum { OFTEN = 1000 };

static void *getters_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(0);
    for (int i = 0; i < OFTEN; i++)
        T_EXPECT_INT(skua_queue_get(&q, NULL, 1e-3), -ETIMEDOUT);
    struct hand h = { &q, -1, 0 };
    skua_task *t = skua_spawn(get_one, &h);
    skua_yield();
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(7)), 0); /* its one wake is for the living one */
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(h.item, 7);
    skua_queue_fini(&q);
    return arg;
}

static void bpo_31620_getters_whose_time_is_up_are_forgotten(void **state)
{
    (void)state;
    t_run(getters_main, NULL);
}

static void *putters_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(1);
    T_EXPECT_INT(skua_queue_put_nowait(&q, NULL), 0);
    for (int i = 0; i < OFTEN; i++) {
        struct hand h = { &q, i, 0 };
        skua_task *t = skua_spawn(put_one, &h);
        skua_yield();
        skua_cancel(t, NULL);
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    }
    struct hand h = { &q, 7, 0 };
    skua_task *t = skua_spawn(put_one, &h);
    void *item = NULL;
    skua_yield();
    T_EXPECT_INT(skua_queue_get_nowait(&q, NULL), 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_queue_get_nowait(&q, &item), 0);
    T_EXPECT_INT(T_NUM(item), 7);
    skua_queue_fini(&q);
    return arg;
}

static void bpo_32574_putters_that_were_cancelled_are_forgotten(void **state)
{
    (void)state;
    t_run(putters_main, NULL);
}

static void *at_once_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(0);
    struct hand h = { &q, -1, 0 };
    skua_task *t = skua_spawn(get_one, &h);
    void *item = NULL;
    skua_yield();
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(3)), 0);
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_queue_get_nowait(&q, &item), 0); /* still in the queue, for whoever asks */
    T_EXPECT_INT(T_NUM(item), 3);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT_INT(skua_queue_task_done(&q), 0);
    T_EXPECT_INT(skua_queue_join(&q), 0); /* counted once */
    skua_queue_fini(&q);
    return arg;
}

static void tornado_2826_an_item_stays_in_the_queue_until_a_getter_runs(void **state)
{
    (void)state;
    t_run(at_once_main, NULL);
}

static void *closed_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(4);
    for (int i = 0; i < 4; i++)
        T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(i)), 0);
    T_EXPECT_INT(skua_queue_shutdown(&q, false), 0);
    for (int i = 0; i < 4; i++) { /* what is taken out makes room, not a way in */
        T_EXPECT_INT(skua_queue_get_nowait(&q, NULL), 0);
        T_EXPECT_INT(skua_queue_put_nowait(&q, NULL), -EPIPE);
        T_EXPECT_INT(skua_queue_task_done(&q), 0);
        T_EXPECT_INT(skua_queue_put(&q, NULL, 1), -EPIPE);
    }
    T_EXPECT_INT(skua_queue_shutdown(&q, true), 0);
    T_EXPECT_INT(skua_queue_get(&q, NULL, 1), -EPIPE);
    skua_queue_fini(&q);
    T_EXPECT_INT(skua_queue_put_nowait(&q, NULL), -EPIPE);
    skua_barrier b = SKUA_BARRIER_INIT(2);
    T_EXPECT_INT(skua_barrier_abort(&b), 0);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_barrier_wait(&b), -EPIPE);
    T_EXPECT(skua_barrier_broken(&b));
    return arg;
}

static void tokio_8021_what_is_closed_stays_closed(void **state)
{
    /* Goal: there a semaphore opened again when permits were taken away, of which there is nothing
     * here; what can be closed here is a queue and a barrier. */
    (void)state;
    t_run(closed_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(bpo_23812_no_item_is_lost_to_a_getter_that_is_cancelled),
    T_TEST(asyncio_269_room_given_to_a_cancelled_putter_goes_on),
    T_TEST(bpo_31620_getters_whose_time_is_up_are_forgotten),
    T_TEST(bpo_32574_putters_that_were_cancelled_are_forgotten),
    T_TEST(tornado_2826_an_item_stays_in_the_queue_until_a_getter_runs),
    T_TEST(tokio_8021_what_is_closed_stays_closed),
};

T_MAIN(tests, NULL)
