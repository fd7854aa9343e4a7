/* SPDX-License-Identifier: MIT */
/* Locks, events and conditions: rules 76 to 78 of asyncio. */
#include "../support/t.h"

#include <math.h>
#include <pthread.h>

struct visitor {
    skua_lock  *lock;
    const char *name;
    int         yields; /* inside */
};

static void *visit(void *arg)
{
    struct visitor *v = arg;
    int             r = skua_lock_acquire(v->lock);
    t_log(r == 0 ? "%s(" : "%s!", v->name);
    if (r < 0)
        return skua_fail(r);
    t_yield_times(v->yields);
    t_log(")%s", v->name);
    T_EXPECT_INT(skua_lock_release(v->lock), 0);
    return NULL;
}

/* ---- rule 76 ---- */

static void *fifo_main(void *arg)
{
    skua_lock      lock = SKUA_LOCK_INIT;
    struct visitor v[3] = { { &lock, "a", 2 }, { &lock, "b", 1 }, { &lock, "c", 0 } };
    skua_task     *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(visit, &v[i]);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    T_EXPECT(!skua_lock_locked(&lock));
    return arg;
}

static void test_rule_76_in_the_order_of_waiting(void **state)
{
    /* Goal: one inside at a time, handed on first in, first out. */
    (void)state;
    t_run(fifo_main, NULL);
    t_check_log("a( )a b( )b c( )c");
}

static void *barge_main(void *arg)
{
    skua_lock      lock = SKUA_LOCK_INIT;
    struct visitor v = { &lock, "w", 0 };
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    skua_task *t = skua_spawn(visit, &v);
    skua_yield();
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    T_EXPECT(!skua_lock_locked(&lock)); /* as in asyncio: the waiter has not run yet */
    T_EXPECT_INT(skua_lock_try_acquire(&lock), -EBUSY);
    T_EXPECT_INT(skua_lock_release(&lock), -EPERM);
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    t_log("m");
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return arg;
}

static void test_rule_76_nobody_barges(void **state)
{
    /* Goal: who releases and takes again queues up behind the one that waited. */
    (void)state;
    t_run(barge_main, NULL);
    t_check_log("w( )w m");
}

static void *woken_cancelled_main(void *arg)
{
    skua_lock      lock = SKUA_LOCK_INIT;
    struct visitor v[2] = { { &lock, "a", 0 }, { &lock, "b", 0 } };
    skua_task     *t[2];
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(visit, &v[i]);
    skua_yield();
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    skua_cancel(t[0], NULL); /* it has been handed the lock and has not run */
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    T_EXPECT(!skua_lock_locked(&lock));
    return arg;
}

static void test_rule_76_woken_then_cancelled_passes_it_on(void **state)
{
    /* Goal: bpo-27585: the lock goes to the next one and is not lost. */
    (void)state;
    t_run(woken_cancelled_main, NULL);
    t_check_log("a! b( )b");
}

static void *head_cancelled_main(void *arg)
{
    skua_lock      lock = SKUA_LOCK_INIT;
    struct visitor v[2] = { { &lock, "a", 0 }, { &lock, "b", 0 } };
    skua_task     *t[2];
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(visit, &v[i]);
    skua_yield();
    skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_lock_release(&lock), 0); /* before the cancelled one has run */
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    return arg;
}

static void test_rule_76_a_cancelled_head_is_passed_over(void **state)
{
    (void)state;
    t_run(head_cancelled_main, NULL);
    t_check_log("a! b( )b");
}

static void *in_the_way_main(void *arg)
{
    skua_lock      lock = SKUA_LOCK_INIT;
    struct visitor v[2] = { { &lock, "a", 0 }, { &lock, "b", 0 } };
    skua_task     *t[2];
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(visit, &v[i]);
    skua_yield();
    skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    T_EXPECT_INT(skua_lock_try_acquire(&lock), -EBUSY); /* free, but b waits */
    skua_yield();
    t_log("m"); /* a has run, and has woken b */
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    return arg;
}

static void test_rule_76_a_cancelled_head_wakes_the_next_when_it_runs(void **state)
{
    /* Goal: asyncio's order: the release looks at the first waiter only. */
    (void)state;
    t_run(in_the_way_main, NULL);
    t_check_log("a! m b( )b");
}

/* ---- rule 77 ---- */

static void *await_event(void *event)
{
    int r = skua_event_wait(event);
    t_log(r == 0 ? "up" : "up!");
    return r < 0 ? skua_fail(r) : NULL;
}

static void *event_main(void *arg)
{
    skua_event event = SKUA_EVENT_INIT;
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(await_event, &event);
    skua_yield();
    skua_cancel(t[1], NULL);
    skua_event_set(&event);
    skua_event_clear(&event);
    T_EXPECT(!skua_event_is_set(&event));
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    skua_event_set(&event);
    T_EXPECT_INT(skua_event_wait(&event), 0);
    return arg;
}

static void test_rule_77_set_wakes_all_even_if_cleared(void **state)
{
    (void)state;
    t_run(event_main, NULL);
    t_check_log("up! up up");
}

/* ---- rule 78 ---- */

struct room {
    skua_lock lock;
    skua_cond cond;
    int       items;
};

static void *consume(void *arg)
{
    struct room *room = arg;
    int          r = skua_lock_acquire(&room->lock);
    while (r == 0 && room->items == 0)
        r = skua_cond_wait(&room->cond);
    T_EXPECT(skua_lock_locked(&room->lock)); /* whatever the result */
    t_log(r == 0 ? "got" : "got!");
    if (r == 0)
        room->items--;
    T_EXPECT_INT(skua_lock_release(&room->lock), 0);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *cond_main(void *arg)
{
    struct room room = { SKUA_LOCK_INIT, SKUA_COND_INIT(&room.lock), 0 };
    skua_task  *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(consume, &room);
    skua_yield();
    T_EXPECT_INT(skua_cond_notify(&room.cond, 1), -EPERM);
    T_EXPECT_INT(skua_cond_wait(&room.cond), -EPERM);
    T_EXPECT_INT(skua_lock_acquire(&room.lock), 0);
    room.items = 2;
    T_EXPECT_INT(skua_cond_notify(&room.cond, 2), 0);
    skua_cancel(t[0], NULL); /* notified, and now cancelled: the third shall hear of it */
    T_EXPECT_INT(skua_lock_release(&room.lock), 0);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    T_EXPECT_INT(room.items, 0);
    return arg;
}

static void test_rule_78_a_notify_is_not_lost_to_a_cancelled_waiter(void **state)
{
    /* Goal: gh-112202; the lock is held on return, also by the cancelled one. */
    (void)state;
    t_run(cond_main, NULL);
    t_check_log("got! got got");
}

static void *hold_and_cancel_main(void *arg)
{
    struct room room = { SKUA_LOCK_INIT, SKUA_COND_INIT(&room.lock), 0 };
    skua_task  *t = skua_spawn(consume, &room);
    skua_yield();
    T_EXPECT_INT(skua_lock_acquire(&room.lock), 0);
    for (int i = 0; i < 3; i++) { /* while it tries to get the lock back */
        skua_cancel(t, NULL);
        t_yield_times(2);
    }
    t_log("free");
    T_EXPECT_INT(skua_lock_release(&room.lock), 0);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    return arg;
}

static void test_rule_78_takes_the_lock_back_through_any_number_of_cancels(void **state)
{
    /* Goal: bpo-32841. */
    (void)state;
    t_run(hold_and_cancel_main, NULL);
    t_check_log("free got!");
}

struct part {
    struct room *room;
    const char  *name;
};

static void *hear(void *arg)
{
    struct part *p = arg;
    T_EXPECT_INT(skua_lock_acquire(&p->room->lock), 0);
    int r = skua_cond_wait(&p->room->cond);
    t_log(r == 0 ? "%s" : "%s!", p->name);
    skua_yield();
    t_log(")%s", p->name);
    T_EXPECT_INT(skua_lock_release(&p->room->lock), 0);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *notify_main(void *arg)
{
    struct room room = { SKUA_LOCK_INIT, SKUA_COND_INIT(&room.lock), 0 };
    struct part part[4] = { { &room, "a" }, { &room, "b" }, { &room, "c" }, { &room, "d" } };
    skua_task  *t[4];
    for (int i = 0; i < 4; i++)
        t[i] = skua_spawn(hear, &part[i]);
    skua_yield();
    T_EXPECT_INT(skua_lock_acquire(&room.lock), 0);
    T_EXPECT_INT(skua_cond_notify(&room.cond, 0), 0);
    T_EXPECT_INT(skua_cond_notify(&room.cond, 2), 0);
    skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_cond_notify(&room.cond, 1), 0);
    t_log("m");
    T_EXPECT_INT(skua_lock_release(&room.lock), 0);
    T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    return arg;
}

static void test_rule_78_notified_go_on_in_order(void **state)
{
    /* Goal: a hands its notify on to d; all go on one after the other, the cancelled one too. */
    (void)state;
    t_run(notify_main, NULL);
    t_check_log("m a! )a b )b c )c d )d");
}

/* ---- threads ---- */

struct shared {
    skua_lock  lock;
    skua_event over;
    long       count; /* plain: the lock is what protects it */
};

enum { ROUNDS = 2000, TASKS = 4, THREADS = 2 };

static void *count_in_task(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (skua_lock_acquire(&s->lock) < 0)
            return skua_fail(-EIO);
        long n = s->count;
        if (i % 64 == 0)
            skua_yield();
        s->count = n + 1;
        T_EXPECT_INT(skua_lock_release(&s->lock), 0);
    }
    return NULL;
}

static void *count_in_thread(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        T_EXPECT_INT(skua_lock_acquire_blocking(&s->lock), 0);
        s->count++;
        T_EXPECT_INT(skua_lock_release(&s->lock), 0);
    }
    T_EXPECT_INT(skua_event_wait_blocking(&s->over, 60), 0);
    return NULL;
}

static void *crowd_main(void *arg)
{
    struct shared s = { .lock = SKUA_LOCK_INIT, .over = SKUA_EVENT_INIT };
    pthread_t     threads[THREADS];
    skua_task    *t[TASKS];
    for (int i = 0; i < TASKS; i++)
        t[i] = skua_go(count_in_task, &s);
    for (int i = 0; i < THREADS; i++)
        T_EXPECT_INT(pthread_create(&threads[i], NULL, count_in_thread, &s), 0);
    T_EXPECT_INT(skua_gather(t, TASKS, NULL, SKUA_RELEASE), 0);
    skua_event_set(&s.over);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    T_EXPECT_INT(s.count, (long)ROUNDS * (TASKS + THREADS));
    return arg;
}

static void test_tasks_and_threads_exclude_each_other(void **state)
{
    /* Goal: free tasks on all workers and plain threads share a plain counter. */
    (void)state;
    t_run(crowd_main, NULL, .real_time = true);
}

static void *second_runtime(void *arg)
{
    T_EXPECT_INT(skua_run(count_in_task, arg, .workers = 1), 0);
    return NULL;
}

static void *runtimes_main(void *arg)
{
    struct shared s = { .lock = SKUA_LOCK_INIT };
    pthread_t     other;
    T_EXPECT_INT(pthread_create(&other, NULL, second_runtime, &s), 0);
    skua_task *t[2] = { skua_spawn(count_in_task, &s), skua_go(count_in_task, &s) };
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    pthread_join(other, NULL);
    T_EXPECT_INT(s.count, (long)ROUNDS * 3);
    return arg;
}

static void test_rule_82_runtimes_share_a_lock(void **state)
{
    /* Goal: nothing binds to a loop; who wakes a waiter of another runtime posts it there. */
    (void)state;
    t_run(runtimes_main, NULL, .real_time = true);
    t_check();
}

/* ---- bad input ---- */

static void *bad_main(void *arg)
{
    skua_cond orphan = SKUA_COND_INIT(NULL);
    T_EXPECT_INT(skua_lock_acquire(NULL), -EINVAL);
    T_EXPECT_INT(skua_lock_release(NULL), -EINVAL);
    T_EXPECT_INT(skua_event_wait(NULL), -EINVAL);
    T_EXPECT_INT(skua_cond_wait(NULL), -EINVAL);
    T_EXPECT_INT(skua_cond_wait(&orphan), -EINVAL);
    T_EXPECT_INT(skua_cond_wait_for(&orphan, NULL, NULL), -EINVAL);
    skua_lock lock = SKUA_LOCK_INIT;
    T_EXPECT_INT(skua_lock_acquire_blocking(&lock), -EPERM); /* a worker must not block */
    skua_event event = SKUA_EVENT_INIT;
    T_EXPECT_INT(skua_event_wait_blocking(&event, 1), -EPERM);
    return arg;
}

static void test_bad_input_of_locks(void **state)
{
    (void)state;
    t_run(bad_main, NULL);
    skua_lock  lock = SKUA_LOCK_INIT;
    skua_event event = SKUA_EVENT_INIT;
    assert_int_equal(skua_lock_acquire(&lock), -EPERM);
    assert_int_equal(skua_lock_release(&lock), -EPERM);
    assert_int_equal(skua_lock_try_acquire(&lock), 0);
    assert_int_equal(skua_event_wait(&event), -EPERM);
    assert_int_equal(skua_event_wait_blocking(&event, NAN), -EINVAL);
    assert_int_equal(skua_event_wait_blocking(&event, 0), -ETIMEDOUT);
    assert_int_equal(skua_event_wait_blocking(NULL, 0), -EINVAL);
    skua_event_set(NULL);
    skua_event_clear(NULL);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_76_in_the_order_of_waiting),
    T_TEST(test_rule_76_nobody_barges),
    T_TEST(test_rule_76_woken_then_cancelled_passes_it_on),
    T_TEST(test_rule_76_a_cancelled_head_is_passed_over),
    T_TEST(test_rule_76_a_cancelled_head_wakes_the_next_when_it_runs),
    T_TEST(test_rule_77_set_wakes_all_even_if_cleared),
    T_TEST(test_rule_78_a_notify_is_not_lost_to_a_cancelled_waiter),
    T_TEST(test_rule_78_takes_the_lock_back_through_any_number_of_cancels),
    T_TEST(test_rule_78_notified_go_on_in_order),
    T_TEST(test_tasks_and_threads_exclude_each_other),
    T_TEST(test_rule_82_runtimes_share_a_lock),
    T_TEST(test_bad_input_of_locks),
};
T_MAIN(tests, NULL)
