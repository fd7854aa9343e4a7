/* SPDX-License-Identifier: MIT */
/* Goal: without memory, or without a stack to wait with, locks and queues say so and lose nothing;
 * a waiter that its runtime has left behind is in nobody's way. */
#include "t.h"

#include <math.h>

#include "base/mem.h"
#include "sched/worker.h"

/* --- a queue that cannot grow --- */

enum { ITEMS = 300, TURNED = 7 };

static int by_number(const void *a, const void *b)
{
    return T_NUM(a) - T_NUM(b);
}

/* Every put is tried without memory first. How many had needed some. */
static int fill(skua_queue *q, int (*put)(skua_queue *q, void *item))
{
    int refused = 0;
    for (int i = 0; i < ITEMS; i++) {
        size_t before = skua_queue_size(q);
        rt_fault_alloc_arm(1);
        int r = put(q, T_PTR(i));
        rt_fault_alloc_arm(0);
        if (r == 0)
            continue;
        refused++;
        T_EXPECT_INT(r, -ENOMEM);
        T_EXPECT_INT(skua_queue_size(q), before);
        T_EXPECT_INT(put(q, T_PTR(i)), 0);
    }
    return refused;
}

static void drain(skua_queue *q, int first, int step)
{
    void *item = NULL;
    for (int i = 0; i < ITEMS; i++) {
        T_EXPECT_INT(skua_queue_get_nowait(q, &item), 0);
        T_EXPECT_INT(T_NUM(item), first + i * step);
    }
    T_EXPECT(skua_queue_empty(q));
    skua_queue_fini(q);
}

static int put_waiting(skua_queue *q, void *item)
{
    return skua_queue_put(q, item, INFINITY);
}

static int put_blocking(skua_queue *q, void *item)
{
    return skua_queue_put_blocking(q, item, 1);
}

static int put_now(skua_queue *q, void *item)
{
    return skua_queue_put_nowait(q, item);
}

static void *grow_main(void *arg)
{
    skua_queue fifo = SKUA_QUEUE_INIT(0), lifo = SKUA_LIFO_QUEUE_INIT(0);
    skua_queue least = SKUA_PRIORITY_QUEUE_INIT(0, by_number);
    int64_t    live = rt_mem_live();
    for (int i = 0; i < TURNED; i++) { /* so that it grows with its end before its beginning */
        T_EXPECT_INT(skua_queue_put_nowait(&fifo, NULL), 0);
        T_EXPECT_INT(skua_queue_get_nowait(&fifo, NULL), 0);
    }
    T_EXPECT_INT(fill(&fifo, put_waiting), 5); /* 16 slots are there; 32 to 512 */
    T_EXPECT_INT(fill(&lifo, put_waiting), 6);
    T_EXPECT_INT(fill(&least, put_now), 6);
    drain(&fifo, 0, 1);
    drain(&lifo, ITEMS - 1, -1);
    drain(&least, 0, 1);
    T_EXPECT_INT(rt_mem_live(), live);
    return arg;
}

static void test_fault_queue_growth(void **state)
{
    skua_queue q = SKUA_QUEUE_INIT(ITEMS);
    (void)state;
    t_run(grow_main, NULL, .workers = 1);
    assert_int_equal(fill(&q, put_blocking), 6);
    drain(&q, 0, 1);
    t_check();
}

static void *getter(void *arg)
{
    void *item = NULL;
    int   r = skua_queue_get(arg, &item, INFINITY);
    t_log("%d", T_NUM(item));
    return r < 0 ? skua_fail(r) : NULL;
}

static void *refused_main(void *arg)
{
    skua_queue q = SKUA_QUEUE_INIT(0);
    skua_task *t = skua_spawn(getter, &q);
    skua_yield();
    rt_fault_alloc_arm(1);
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(1)), -ENOMEM);
    t_yield_times(3);
    T_EXPECT(!skua_done(t));
    T_EXPECT_INT(skua_queue_task_done(&q), -EINVAL); /* it does not count either */
    T_EXPECT_INT(skua_queue_put_nowait(&q, T_PTR(2)), 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    skua_queue_fini(&q);
    T_EXPECT_INT(skua_queue_join(&q), 0); /* nothing is left to be dealt with */
    return arg;
}

static void test_fault_a_refused_put_wakes_nobody(void **state)
{
    (void)state;
    t_run(refused_main, NULL, .workers = 1);
    t_check_log("2");
}

/* --- no room for a timer --- */

static void *get_in_time(void *arg)
{
    return skua_fail(skua_queue_get(arg, NULL, 1));
}

static void *timers_main(void *arg)
{
    static skua_task *t[ITEMS];
    skua_queue        q = SKUA_QUEUE_INIT(1);
    int               refused = 0, late = 0;
    for (int i = 0; i < ITEMS; i++) {
        T_EXPECT((t[i] = skua_spawn(get_in_time, &q)) != NULL);
        rt_fault_alloc_arm(1);
        skua_yield();
        rt_fault_alloc_arm(0);
    }
    for (int i = 0; i < ITEMS; i++) {
        int r = skua_join(t[i], NULL);
        refused += r == -ENOMEM;
        late += r == -ETIMEDOUT;
    }
    T_EXPECT_INT(refused + late, ITEMS);
    T_EXPECT(refused > 0);
    T_EXPECT_INT(skua_queue_put(&q, NULL, 1), 0); /* nobody is left in the line */
    T_EXPECT_INT(skua_queue_get(&q, NULL, 1), 0);
    skua_queue_fini(&q);
    return arg;
}

static void test_fault_queue_timers(void **state)
{
    (void)state;
    t_run(timers_main, NULL, .workers = 1);
    t_check();
}

/* --- no stack to go on with --- */

struct things {
    skua_lock      lock;
    skua_cond      cond;
    skua_event     event;
    skua_semaphore none;
    skua_barrier   barrier;
    skua_rwlock    rw;
    skua_queue     queue;
};

static void *second_in_line(void *arg)
{
    struct things *x = arg;
    int            r = skua_lock_acquire(&x->lock);
    t_log("second");
    T_EXPECT_INT(skua_lock_release(&x->lock), 0);
    return r < 0 ? skua_fail(r) : NULL;
}

static void wait_for_all(struct things *x)
{
    T_EXPECT_INT(skua_lock_acquire(&x->lock), -ENOMEM);
    T_EXPECT_INT(skua_cond_wait(&x->cond), -ENOMEM);
    T_EXPECT(skua_lock_locked(&x->lock)); /* still ours: the second in line did not get it */
    T_EXPECT_INT(skua_event_wait(&x->event), -ENOMEM);
    T_EXPECT_INT(skua_semaphore_acquire(&x->none), -ENOMEM);
    T_EXPECT_INT(skua_barrier_wait(&x->barrier), -ENOMEM);
    T_EXPECT_INT(skua_barrier_waiting(&x->barrier), 0);
    T_EXPECT_INT(skua_rwlock_acquire_write(&x->rw), -ENOMEM);
    T_EXPECT_INT(skua_queue_get(&x->queue, NULL, INFINITY), -ENOMEM);
    T_EXPECT_INT(skua_queue_put_nowait(&x->queue, NULL), 0);
    T_EXPECT_INT(skua_queue_put(&x->queue, NULL, INFINITY), -ENOMEM);
    T_EXPECT_INT(skua_queue_join(&x->queue), -ENOMEM);
}

static void *stacks_main(void *arg)
{
    struct things    x = { .cond = SKUA_COND_INIT(&x.lock), .barrier = SKUA_BARRIER_INIT(2),
                           .none = SKUA_SEMAPHORE_INIT(0), .queue = SKUA_QUEUE_INIT(1) };
    struct rt_stack *s, *held = NULL;
    int              err;
    T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
    T_EXPECT_INT(skua_rwlock_acquire_read(&x.rw), 0);
    skua_task *t = skua_spawn(second_in_line, &x);
    skua_yield();
    struct rt_worker *w = rt_self();
    rt_fault_arm_from(RT_SYS_MMAP, 1, ENOMEM);
    rt_fault_arm_from(RT_SYS_MADVISE, 1, ENOMEM);
    rt_fault_arm_from(RT_SYS_MPROTECT, 1, ENOMEM);
    while ((s = rt_stack_get(&w->stacks, RT_STACK_CLASS_DEFAULT, rt_worker_loop, &err)) != NULL) {
        s->next = held;
        held = s;
    }
    wait_for_all(&x);
    rt_fault_reset();
    while ((s = held) != NULL) {
        held = s->next;
        rt_stack_put(&w->stacks, s);
    }
    T_EXPECT_INT(skua_lock_release(&x.lock), 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_rwlock_release_read(&x.rw), 0);
    T_EXPECT_INT(skua_rwlock_acquire_write(&x.rw), 0);
    skua_queue_fini(&x.queue);
    return arg;
}

static void test_fault_waits_without_a_stack(void **state)
{
    /* Goal: cond_wait, too, comes back with the lock, and does not spin for it. */
    (void)state;
    t_run(stacks_main, NULL, .workers = 1);
    t_check_log("second");
}

/* --- left behind --- */

static skua_lock      left_lock = SKUA_LOCK_INIT;
static skua_semaphore left_semaphore = SKUA_SEMAPHORE_INIT(0);

static void *never_gives_up(void *arg)
{
    while (skua_lock_acquire(&left_lock) < 0)
        t_log("%s", (char *)arg);
    return NULL;
}

static void *never_gives_up_either(void *arg)
{
    while (skua_semaphore_acquire(&left_semaphore) < 0) {
    }
    return arg;
}

static void *leave_main(void *arg)
{
    skua_detach(skua_spawn(never_gives_up, "no"));
    skua_detach(skua_go(never_gives_up_either, NULL));
    skua_yield();
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return arg;
}

static void test_waiters_that_outlive_their_runtime(void **state)
{
    (void)state;
    assert_int_equal(skua_lock_try_acquire(&left_lock), 0);
    assert_int_equal(skua_run(leave_main, NULL, .shutdown_timeout = 0.05), 0);
    t_log_reset();
    assert_int_equal(skua_lock_release(&left_lock), 0);
    assert_int_equal(skua_lock_acquire_blocking(&left_lock), 0);
    assert_int_equal(skua_semaphore_release(&left_semaphore), 0);
    assert_int_equal(skua_semaphore_acquire_blocking(&left_semaphore, 0), 0);
    t_check_log("");
}

static skua_lock contended = SKUA_LOCK_INIT;

static void *never_gives_up_contended(void *arg)
{
    while (skua_lock_acquire(&contended) < 0) {
    }
    return arg;
}

static void *leave_one_main(void *arg)
{
    skua_detach(skua_spawn(never_gives_up_contended, NULL));
    skua_yield();
    return arg;
}

static void *visit_contended(void *arg)
{
    int r = skua_lock_acquire(&contended);
    t_log("%s", (char *)arg);
    skua_yield(); /* the others queue up meanwhile */
    T_EXPECT_INT(r, 0);
    T_EXPECT_INT(skua_lock_release(&contended), 0);
    return NULL;
}

static void *contend_main(void *arg)
{
    skua_task *t[] = { skua_spawn(visit_contended, "a"), skua_spawn(visit_contended, "b"),
                       skua_spawn(visit_contended, "c") };
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void *release_and_contend_main(void *arg)
{
    skua_task *t = skua_spawn(visit_contended, "behind");
    skua_yield();
    T_EXPECT_INT(skua_lock_release(&contended), 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    return contend_main(arg);
}

static void test_waiter_left_behind_does_not_stand_in_the_way(void **state)
{
    /* Goal: one that was left behind, and does not take the lock, leaves it to those behind it:
     * those that came after the release, and those that queued up before, when its place among the
     * tasks was another's already. */
    (void)state;
    assert_int_equal(skua_lock_try_acquire(&contended), 0);
    assert_int_equal(skua_run(leave_one_main, NULL, .shutdown_timeout = 0.05), 0);
    assert_int_equal(skua_lock_release(&contended), 0);
    assert_int_equal(skua_run(contend_main, NULL), 0);
    t_check_log("a b c");
    assert_int_equal(skua_lock_try_acquire(&contended), 0);
    assert_int_equal(skua_run(leave_one_main, NULL, .shutdown_timeout = 0.05), 0);
    assert_int_equal(skua_run(release_and_contend_main, NULL), 0);
    t_check_log("behind a b c");
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_fault_queue_growth),
    T_TEST(test_fault_a_refused_put_wakes_nobody),
    T_TEST(test_fault_queue_timers),
    T_TEST(test_fault_waits_without_a_stack),
    T_TEST(test_waiters_that_outlive_their_runtime),
    T_TEST(test_waiter_left_behind_does_not_stand_in_the_way),
};
T_MAIN(tests, NULL)
