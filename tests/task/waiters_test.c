/* SPDX-License-Identifier: MIT */
/* Goal: waiters hear of the end once, in the order they were added; one that was removed or taken
 * does not hear of it, whoever is faster. Method: tasks without a runtime, completed by hand. */
#include "t.h"

#include <pthread.h>

#include "task/task.h"

enum { N = 6 };

struct ear {
    struct rt_waiter waiter;
    int              number;
};

static struct skua_task *t;
static struct ear        ears[N];

static void hear(struct rt_waiter *waiter, struct skua_task *done, struct rt_fifo *out)
{
    (void)out;
    T_EXPECT(done == t && rt_task_is_done(t));
    t_log("%d", ((struct ear *)(void *)waiter)->number);
}

static struct skua_task *make(uint64_t refs)
{
    uint32_t          slot;
    struct skua_task *made = rt_slab_get(NULL, &slot);
    T_EXPECT(made != NULL);
    made->waiters = NULL;
    made->group = NULL;
    rt_store_relaxed(&made->cold, 0);
    rt_store_relaxed(&made->kind, RT_KIND_FUTURE);
    rt_store_relaxed(&made->wait.bits, rt_load_relaxed(&made->wait.bits) & RT_WW_TICKET);
    rt_store_release(&made->state.bits, refs * RT_ST_REF);
    return made;
}

static void begin(int n)
{
    t = make(1);
    for (int i = 0; i < n; i++) {
        ears[i] = (struct ear){ .waiter = { .fire = hear }, .number = i };
        assert_true(rt_waiter_add(t, &ears[i].waiter));
    }
}

static void complete(void)
{
    struct rt_fifo out = { 0 };
    assert_false(rt_task_complete(t, T_PTR(42), 0, 0, &out));
    assert_int_equal(out.head, 0);
    assert_ptr_equal(t->value, T_PTR(42));
}

static void end(const char *order)
{
    t_check_log(order);
    assert_false(rt_load_relaxed(&t->state.bits) & (RT_ST_LOCK | RT_ST_WAITERS));
    assert_null(t->waiters);
    rt_task_free(NULL, t);
}

static void test_waiters_fire_in_order_of_adding(void **state)
{
    begin(5);
    complete();
    end("0 1 2 3 4");
}

static void test_waiters_add_after_the_end_refused(void **state)
{
    begin(1);
    complete();
    ears[1] = (struct ear){ .waiter = { .fire = hear } };
    assert_false(rt_waiter_add(t, &ears[1].waiter));
    assert_null(ears[1].waiter.next);
    end("0");
}

static void test_waiters_remove_at_every_place(void **state)
{
    static const char *const orders[] = { "1 2 3", "0 2 3", "0 1 3", "0 1 2" };
    for (int at = 0; at < 4; at++) {
        begin(4);
        assert_true(rt_waiter_remove(t, &ears[at].waiter));
        assert_false(rt_waiter_remove(t, &ears[at].waiter));
        complete();
        assert_false(rt_waiter_remove(t, &ears[(at + 1) % 4].waiter));
        end(orders[at]);
    }
}

static void test_waiters_remove_the_only_one(void **state)
{
    begin(1);
    assert_true(rt_waiter_remove(t, &ears[0].waiter));
    assert_false(rt_load_relaxed(&t->state.bits) & RT_ST_WAITERS);
    complete();
    end("");
}

static bool is_odd(struct rt_waiter *waiter, void *arg)
{
    ++*(int *)arg;
    return ((struct ear *)(void *)waiter)->number % 2 == 1;
}

static void test_waiters_take_gives_the_first_match(void **state)
{
    int asked = 0;
    begin(5);
    assert_ptr_equal(rt_waiter_take(t, is_odd, &asked), &ears[1].waiter);
    assert_int_equal(asked, 2);
    assert_ptr_equal(rt_waiter_take(t, is_odd, &asked), &ears[3].waiter);
    asked = 0;
    assert_null(rt_waiter_take(t, is_odd, &asked));
    assert_int_equal(asked, 3);
    complete();
    assert_null(rt_waiter_take(t, is_odd, &asked));
    end("0 2 4");
}

static void test_waiters_by_name_are_claimed(void **state)
{
    struct skua_task *parked = make(1), *armed = make(1), *late = make(1);
    struct rt_waiter  waiters[3] = { 0 };
    struct rt_fifo    out = { 0 };
    begin(0);
    waiters[0].name = rt_wait_name(parked, rt_ww_arm_pinned(&parked->wait));
    waiters[1].name = rt_wait_name(armed, rt_ww_arm(&armed->wait));
    waiters[2].name = rt_wait_name(late, rt_ww_arm_pinned(&late->wait));
    assert_ptr_equal(rt_name_task(waiters[0].name), parked);
    for (int i = 0; i < 3; i++)
        assert_true(rt_waiter_add(t, &waiters[i]));
    assert_true(rt_name_claim(waiters[2].name, ETIMEDOUT, &out));
    assert_true(rt_fifo_pop(&out) == rt_item(&late->run, RT_TAG_TASK));
    assert_false(rt_task_complete(t, NULL, 0, 0, &out));
    assert_int_equal(out.count, 1); /* the armed one is queued by whoever leaves its stack */
    assert_true(rt_fifo_pop(&out) == rt_item(&parked->run, RT_TAG_TASK));
    assert_false(rt_ww_park(&armed->wait));
    assert_false(rt_name_claim(waiters[0].name, 0, &out));
    end("");
    rt_task_free(NULL, parked);
    rt_task_free(NULL, armed);
    rt_task_free(NULL, late);
}

static void test_complete_says_who_frees(void **state)
{
    struct rt_fifo out = { 0 };
    t = make(1);
    assert_true(rt_task_complete(t, NULL, 0, 1, &out));
    rt_task_free(NULL, t);
    t = make(2);
    assert_false(rt_task_complete(t, NULL, 0, 1, &out));
    assert_true(rt_st_release(&t->state));
    rt_task_free(NULL, t);
    begin(0);
    ears[0] = (struct ear){ .waiter = { .fire = hear } };
    assert_true(rt_waiter_add(t, &ears[0].waiter));
    assert_true(rt_task_complete(t, NULL, 0, 1, &out));
    end("0");
}

static void test_outcome_by_result(void **state)
{
    assert_int_equal(rt_task_outcome(NULL), 0);
    assert_int_equal(rt_task_outcome(t), 0);
    assert_int_equal(rt_task_outcome(skua_fail(-EIO)), RT_ST_FAILED);
    assert_int_equal(rt_task_outcome(skua_fail(-ECANCELED)), RT_ST_CANCELLED);
}

/* --- adding and removing while another thread completes --- */

enum { ROUNDS = 3000, ADDERS = 2 };

struct adder {
    struct rt_waiter waiter;
    RT_ATOMIC(int)   fired;
    bool             removes;
};

static pthread_barrier_t barrier;

static void count(struct rt_waiter *waiter, struct skua_task *done, struct rt_fifo *out)
{
    (void)done;
    (void)out;
    (void)rt_add_relaxed(&((struct adder *)(void *)waiter)->fired, 1);
}

static void *adder(void *arg)
{
    bool removes = arg != NULL;
    for (int i = 0; i < ROUNDS; i++) {
        struct adder a = { .waiter = { .fire = count } };
        pthread_barrier_wait(&barrier);
        bool added = rt_waiter_add(t, &a.waiter);
        bool removed = added && removes && rt_waiter_remove(t, &a.waiter);
        pthread_barrier_wait(&barrier);
        T_EXPECT_INT(rt_load_relaxed(&a.fired), added && !removed);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void test_waiters_race_with_the_end(void **state)
{
    pthread_t threads[ADDERS];
    pthread_barrier_init(&barrier, NULL, ADDERS + 1);
    t = make(1);
    for (int i = 0; i < ADDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, adder, T_PTR(i)), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct rt_fifo out = { 0 };
        pthread_barrier_wait(&barrier);
        for (volatile int spin = i % 50; spin > 0; spin--)
            continue;
        T_EXPECT(!rt_task_complete(t, NULL, 0, 0, &out));
        pthread_barrier_wait(&barrier);
        rt_task_free(NULL, t);
        t = make(1);
        pthread_barrier_wait(&barrier);
    }
    for (int i = 0; i < ADDERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    rt_task_free(NULL, t);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_waiters_fire_in_order_of_adding),
    T_TEST(test_waiters_add_after_the_end_refused),
    T_TEST(test_waiters_remove_at_every_place),
    T_TEST(test_waiters_remove_the_only_one),
    T_TEST(test_waiters_take_gives_the_first_match),
    T_TEST(test_waiters_by_name_are_claimed),
    T_TEST(test_complete_says_who_frees),
    T_TEST(test_outcome_by_result),
    T_TEST(test_waiters_race_with_the_end),
};
T_MAIN(tests, NULL)
