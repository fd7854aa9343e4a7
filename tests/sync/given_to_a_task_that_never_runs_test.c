/* SPDX-License-Identifier: MIT */
/* Goal: what a task was given and never took, since its run ended without it, others get.
 * Cause: between the last turn of a run that gave up on a task and its end in the table of runtimes
 * a release from elsewhere still woke the task: the lock stayed handed over to it for ever, and
 * whoever waited behind it slept on. */
#include <math.h>
#include <pthread.h>
#include <stdint.h>

#include "base/atomic.h"
#include "t.h"

static skua_lock      lock = SKUA_LOCK_INIT;
static skua_semaphore semaphore = SKUA_SEMAPHORE_INIT(0);
static skua_rwlock    rwlock = SKUA_RWLOCK_INIT;
static skua_cond      cond = SKUA_COND_INIT(&lock);
static skua_queue     queue;
static void          *slots[1];

struct gift {
    void *(*wants)(void *arg);     /* a task that takes no -ECANCELED for an answer */
    void *(*also_wants)(void *arg); /* a plain thread behind it, which ends when it got it */
    void (*gives)(void);
};

static const struct gift *gift;
static int                given;
static pthread_t          thread;

/* The run has given up on the task, which has waited anew since it was cancelled. */
static void give(const struct skua_exception_context *context, void *arg)
{
    (void)arg;
    if (context->kind != SKUA_EXCEPTION_STUBBORN)
        return;
    given++;
    T_EXPECT_INT(pthread_create(&thread, NULL, gift->also_wants, NULL), 0);
    t_nap(0.05); /* it is in line by now, mostly */
    gift->gives();
}

static void *gift_main(void *arg)
{
    T_EXPECT_INT(skua_set_exception_handler(give, NULL), 0);
    skua_detach(skua_spawn(gift->wants, NULL));
    T_EXPECT_INT(skua_yield(), 0);
    return arg;
}

static void check(const struct gift *which)
{
    gift = which;
    given = 0;
    assert_int_equal(skua_run(gift_main, NULL, .shutdown_timeout = 0.02), 0);
    assert_int_equal(given, 1);
    pthread_join(thread, NULL);
    t_check();
}

/* --- a lock --- */

static void *wants_lock(void *arg)
{
    while (skua_lock_acquire(&lock) < 0)
        continue;
    T_EXPECT(!"it runs");
    return arg;
}

static void *thread_wants_lock(void *arg)
{
    T_EXPECT_INT(skua_lock_acquire_blocking(&lock), 0);
    return arg;
}

static void release_lock(void)
{
    T_EXPECT_INT(skua_lock_release(&lock), 0);
}

static void test_given_lock(void **state)
{
    (void)state;
    assert_int_equal(skua_lock_try_acquire(&lock), 0);
    check(&(struct gift){ wants_lock, thread_wants_lock, release_lock });
    assert_int_equal(skua_lock_release(&lock), 0);
    assert_false(skua_lock_locked(&lock));
}

/* --- a permit --- */

static void *wants_permit(void *arg)
{
    while (skua_semaphore_acquire(&semaphore) < 0)
        continue;
    T_EXPECT(!"it runs");
    return arg;
}

static void *thread_wants_permit(void *arg)
{
    T_EXPECT_INT(skua_semaphore_acquire_blocking(&semaphore, 60), 0);
    return arg;
}

static void release_permit(void)
{
    T_EXPECT_INT(skua_semaphore_release(&semaphore), 0);
}

static void test_given_permit(void **state)
{
    (void)state;
    check(&(struct gift){ wants_permit, thread_wants_permit, release_permit });
    assert_true(skua_semaphore_locked(&semaphore));
}

/* --- a reader-writer lock --- */

static void *write_once(void *arg)
{
    skua_hold(); /* who lets go of it is outside of this run */
    T_EXPECT_INT(skua_rwlock_acquire_write(&rwlock), 0);
    skua_unhold();
    return arg;
}

static void *wants_to_write(void *arg)
{
    while (skua_rwlock_acquire_write(&rwlock) < 0)
        continue;
    T_EXPECT(!"it runs");
    return arg;
}

static void *wants_to_read(void *arg)
{
    while (skua_rwlock_acquire_read(&rwlock) < 0)
        continue;
    T_EXPECT(!"it runs");
    return arg;
}

static void *thread_wants_to_write(void *arg)
{
    T_EXPECT_INT(skua_run(write_once, NULL), 0);
    return arg;
}

static void release_write(void)
{
    T_EXPECT_INT(skua_rwlock_release_write(&rwlock), 0);
}

static void test_given_rwlock(void **state)
{
    (void)state;
    assert_int_equal(skua_run(write_once, NULL), 0);
    check(&(struct gift){ wants_to_write, thread_wants_to_write, release_write });
    check(&(struct gift){ wants_to_read, thread_wants_to_write, release_write });
    release_write();
}

/* --- a notification --- */

static void *waits_for_news(void *arg)
{
    int r = -ECANCELED;
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    while (r < 0)
        r = skua_cond_wait(&cond);
    T_EXPECT(!"it runs");
    return arg;
}

static RT_ATOMIC(uint32_t) hears; /* and has the lock until it waits */

static void *hear_once(void *arg)
{
    skua_hold();
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    rt_store_release(&hears, 1);
    T_EXPECT_INT(skua_cond_wait(&cond), 0);
    skua_unhold();
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    return arg;
}

static void *thread_waits_for_news(void *arg)
{
    T_EXPECT_INT(skua_run(hear_once, NULL, .shutdown_timeout = 60), 0);
    return arg;
}

static void tell(void)
{
    while (!rt_load_acquire(&hears))
        t_nap(0.001);
    T_EXPECT_INT(skua_lock_acquire_blocking(&lock), 0);
    T_EXPECT_INT(skua_cond_notify(&cond, 1), 0);
    T_EXPECT_INT(skua_lock_release(&lock), 0);
}

static void test_given_notification(void **state)
{
    (void)state;
    check(&(struct gift){ waits_for_news, thread_waits_for_news, tell });
    assert_false(skua_lock_locked(&lock));
}

/* --- an element, and room for one --- */

static void *wants_element(void *arg)
{
    void *item;
    while (skua_queue_get(&queue, &item, INFINITY) < 0)
        continue;
    T_EXPECT(!"it runs");
    return arg;
}

static void *thread_wants_element(void *arg)
{
    void *item = NULL;
    T_EXPECT_INT(skua_queue_get_blocking(&queue, &item, 60), 0);
    T_EXPECT(item == slots);
    return arg;
}

static void put(void)
{
    T_EXPECT_INT(skua_queue_put_nowait(&queue, slots), 0);
}

static void *wants_room(void *arg)
{
    while (skua_queue_put(&queue, NULL, INFINITY) < 0)
        continue;
    T_EXPECT(!"it runs");
    return arg;
}

static void *thread_wants_room(void *arg)
{
    T_EXPECT_INT(skua_queue_put_blocking(&queue, slots, 60), 0);
    return arg;
}

static void get(void)
{
    void *item;
    T_EXPECT_INT(skua_queue_get_nowait(&queue, &item), 0);
}

static void test_given_element_and_room(void **state)
{
    (void)state;
    assert_int_equal(skua_queue_init_buffer(&queue, slots, 1), 0);
    check(&(struct gift){ wants_element, thread_wants_element, put });
    put();
    check(&(struct gift){ wants_room, thread_wants_room, get });
    assert_int_equal(skua_queue_size(&queue), 1);
    skua_queue_fini(&queue);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_given_lock),         T_TEST(test_given_permit),
    T_TEST(test_given_rwlock),       T_TEST(test_given_notification),
    T_TEST(test_given_element_and_room),
};

T_MAIN(tests, NULL)
