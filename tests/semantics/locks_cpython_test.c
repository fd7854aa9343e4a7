/* SPDX-License-Identifier: MIT */
/* Locks, events and conditions, rules 76 to 78: what CPython's test_locks asks of asyncio, scenario
 * by scenario under its names there, trip by trip. */
#include "../support/t.h"

struct all {
    skua_lock lock;
    skua_cond cond;
    skua_event event;
    skua_semaphore permits;
    bool ready; /* what a predicate asks for */
    int state;
};

#define ALL_INIT(all, n)                                                                   \
    { SKUA_LOCK_INIT, SKUA_COND_INIT(&(all).lock), SKUA_EVENT_INIT, SKUA_SEMAPHORE_INIT(n), \
      false, 0 }

struct actor {
    struct all *all;
    const char *name;
};

static void *say_and_keep(struct actor *a, int r)
{
    t_log(r == 0 ? "%s" : "%s!", a->name);
    return r < 0 ? skua_fail(r) : NULL;
}

/* These keep what they got: the test releases it. */
static void *take_lock(void *arg)
{
    struct actor *a = arg;
    return say_and_keep(a, skua_lock_acquire(&a->all->lock));
}

static void *take_permit(void *arg)
{
    struct actor *a = arg;
    return say_and_keep(a, skua_semaphore_acquire(&a->all->permits));
}

static void *await_event(void *arg)
{
    struct actor *a = arg;
    return say_and_keep(a, skua_event_wait(&a->all->event));
}

static void *await_cond(void *arg)
{
    struct actor *a = arg;
    T_EXPECT_INT(skua_lock_acquire(&a->all->lock), 0);
    return say_and_keep(a, skua_cond_wait(&a->all->cond));
}

static void *await_cond_and_leave(void *arg)
{
    struct actor *a = arg;
    void *end = await_cond(arg);
    T_EXPECT_INT(skua_lock_release(&a->all->lock), 0);
    return end;
}

static void release_lock(struct all *all)
{
    T_EXPECT_INT(skua_lock_release(&all->lock), 0);
}

static void cancel_task(void *task)
{
    skua_cancel(task, NULL);
}

/* ---- locks ---- */

static void *acquire_main(void *arg)
{
    struct all x = ALL_INIT(x, 0);
    struct actor a[3] = { { &x, "1" }, { &x, "2" }, { &x, "3" } };
    skua_task *t[3];
    T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
    t[0] = skua_spawn(take_lock, &a[0]);
    t[1] = skua_spawn(take_lock, &a[1]);
    skua_yield();
    T_EXPECT_LOG("");
    release_lock(&x);
    skua_yield();
    T_EXPECT_LOG("1");
    skua_yield();
    T_EXPECT_LOG("");
    t[2] = skua_spawn(take_lock, &a[2]);
    release_lock(&x);
    skua_yield();
    T_EXPECT_LOG("2");
    release_lock(&x);
    skua_yield();
    T_EXPECT_LOG("3");
    for (int i = 0; i < 3; i++)
        T_EXPECT(skua_done(t[i]));
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    T_EXPECT(skua_lock_locked(&x.lock)); /* release_no_waiters, release_not_acquired */
    release_lock(&x);
    T_EXPECT(!skua_lock_locked(&x.lock));
    T_EXPECT_INT(skua_lock_release(&x.lock), -EPERM);
    return arg;
}

static void test_rule_76_acquire(void **state)
{
    /* Goal: one holder for each release, on the trip after it. */
    (void)state;
    t_run(acquire_main, NULL);
}

static void *acquire_cancel_main(void *arg)
{
    struct all x = ALL_INIT(x, 0);
    struct actor a = { &x, "a" };
    skua_fn fns[] = { take_lock, take_permit, await_event, await_cond_and_leave };
    for (int i = 0; i < 4; i++) {
        if (i == 0)
            T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
        skua_task *t = skua_spawn(fns[i], &a);
        skua_call_soon(cancel_task, t);
        T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
        if (i == 0)
            release_lock(&x);
        T_EXPECT_INT(skua_lock_try_acquire(&x.lock), 0); /* nobody is left in the line */
        release_lock(&x);
    }
    T_EXPECT_INT(skua_semaphore_release(&x.permits), 0);
    T_EXPECT_INT(skua_semaphore_try_acquire(&x.permits), 0);
    return arg;
}

static void test_rule_76_acquire_cancel(void **state)
{
    /* Goal: of a lock, a semaphore, an event and a condition, cancelled in their first wait. */
    (void)state;
    t_run(acquire_cancel_main, NULL);
    t_check_log("a! a! a! a!");
}

static void *finished_waiter_main(void *arg)
{
    struct all x = ALL_INIT(x, 0);
    struct actor a[2] = { { &x, "b" }, { &x, "c" } };
    T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
    skua_task *b = skua_spawn(take_lock, &a[0]);
    skua_yield();
    skua_task *c = skua_spawn(take_lock, &a[1]);
    skua_cancel(b, NULL);
    release_lock(&x);
    skua_yield();
    T_EXPECT(skua_lock_locked(&x.lock));
    T_EXPECT(skua_cancelled(b));
    T_EXPECT_INT(skua_join(c, NULL), 0);
    skua_release(b);
    return arg;
}

static void test_rule_76_finished_waiter_cancelled(void **state)
{
    (void)state;
    t_run(finished_waiter_main, NULL);
    t_check_log("c b!");
}

/* ---- events ---- */

static void *wait_main(void *arg)
{
    struct all x = ALL_INIT(x, 0);
    struct actor a[3] = { { &x, "1" }, { &x, "2" }, { &x, "3" } };
    skua_task *t[3];
    t[0] = skua_spawn(await_event, &a[0]);
    t[1] = skua_spawn(await_event, &a[1]);
    skua_yield();
    T_EXPECT_LOG("");
    t[2] = skua_spawn(await_event, &a[2]);
    skua_event_set(&x.event);
    skua_yield();
    T_EXPECT_LOG("3 1 2"); /* the third does not wait at all */
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(skua_event_wait(&x.event), 0);
    skua_event_clear(&x.event);
    T_EXPECT(!skua_event_is_set(&x.event));
    t[0] = skua_spawn(await_event, &a[0]);
    skua_yield();
    skua_event_set(&x.event);
    skua_event_clear(&x.event);
    skua_event_set(&x.event);
    skua_event_set(&x.event);
    skua_yield();
    T_EXPECT_LOG("1");
    T_EXPECT(skua_done(t[0]));
    skua_release(t[0]);
    return arg;
}

static void test_rule_77_wait_and_clear_with_waiters(void **state)
{
    (void)state;
    t_run(wait_main, NULL);
}

/* ---- conditions ---- */

static void *cond_wait_main(void *arg)
{
    struct all x = ALL_INIT(x, 0);
    struct actor a[3] = { { &x, "1" }, { &x, "2" }, { &x, "3" } };
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(await_cond, &a[i]);
    skua_yield();
    T_EXPECT_LOG("");
    T_EXPECT(!skua_lock_locked(&x.lock));
    T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
    T_EXPECT_INT(skua_cond_notify(&x.cond, 1), 0);
    skua_yield();
    T_EXPECT_LOG("");
    release_lock(&x);
    skua_yield();
    T_EXPECT_LOG("1");
    T_EXPECT(skua_lock_locked(&x.lock)); /* the first has it, and keeps it */
    T_EXPECT_INT(skua_cond_notify(&x.cond, 2), 0);
    skua_yield();
    T_EXPECT_LOG("");
    release_lock(&x);
    skua_yield();
    T_EXPECT_LOG("2");
    release_lock(&x);
    skua_yield();
    T_EXPECT_LOG("3");
    T_EXPECT(skua_lock_locked(&x.lock));
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_78_wait(void **state)
{
    (void)state;
    t_run(cond_wait_main, NULL);
}

static void release_soon(void *all)
{
    release_lock(all);
}

static void *contested_main(void *arg)
{
    struct all x = ALL_INIT(x, 0);
    struct actor a = { &x, "a" };
    skua_task *t = skua_spawn(await_cond, &a);
    skua_yield();
    T_EXPECT(!skua_lock_locked(&x.lock));
    T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
    T_EXPECT_INT(skua_cond_notify(&x.cond, 1), 0);
    skua_call_soon(cancel_task, t);
    skua_call_soon(release_soon, &x);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT(skua_lock_locked(&x.lock));
    release_lock(&x);
    return arg;
}

static void test_rule_78_wait_cancel_contested(void **state)
{
    /* Goal: whoever holds the lock meanwhile, the cancelled waiter has it in the end. */
    (void)state;
    t_run(contested_main, NULL);
    t_check_log("a!");
}

static bool is_ready(void *all)
{
    return ((struct all *)all)->ready;
}

static void *await_ready(void *arg)
{
    struct actor *a = arg;
    T_EXPECT_INT(skua_lock_acquire(&a->all->lock), 0);
    void *end = say_and_keep(a, skua_cond_wait_for(&a->all->cond, is_ready, a->all));
    release_lock(a->all);
    return end;
}

static void notify_inside(struct all *x, size_t n)
{
    T_EXPECT_INT(skua_lock_acquire(&x->lock), 0);
    T_EXPECT_INT(skua_cond_notify(&x->cond, n), 0);
    release_lock(x);
}

static void *wait_for_main(void *arg)
{
    struct all x = ALL_INIT(x, 0);
    struct actor a = { &x, "1" };
    skua_task *t = skua_spawn(await_ready, &a);
    skua_yield();
    notify_inside(&x, 1);
    t_yield_times(3);
    T_EXPECT_LOG(""); /* it looked, and waits again */
    x.ready = true;
    notify_inside(&x, 1);
    skua_yield();
    T_EXPECT_LOG("1");
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_cond_wait_for(&x.cond, is_ready, &x), 0); /* true at once: no lock needed */
    x.ready = false;
    T_EXPECT_INT(skua_cond_wait_for(&x.cond, is_ready, &x), -EPERM);
    T_EXPECT_INT(skua_cond_wait(&x.cond), -EPERM);
    T_EXPECT_INT(skua_cond_notify(&x.cond, 1), -EPERM);
    T_EXPECT_INT(skua_cond_notify_all(&x.cond), -EPERM);
    return arg;
}

static void test_rule_78_wait_for_and_unacquired(void **state)
{
    (void)state;
    t_run(wait_for_main, NULL);
}

static void *notify_main(void *arg)
{
    struct all x = ALL_INIT(x, 0);
    struct actor a[3] = { { &x, "1" }, { &x, "2" }, { &x, "3" } };
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(await_cond_and_leave, &a[i]);
    skua_yield();
    notify_inside(&x, 1);
    skua_yield();
    T_EXPECT_LOG("1");
    T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
    T_EXPECT_INT(skua_cond_notify(&x.cond, 1), 0);
    T_EXPECT_INT(skua_cond_notify(&x.cond, 2048), 0);
    release_lock(&x);
    skua_yield();
    T_EXPECT_LOG("2 3");
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    for (int i = 0; i < 2; i++)
        t[i] = skua_spawn(await_cond_and_leave, &a[i]);
    skua_yield();
    T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
    T_EXPECT_INT(skua_cond_notify_all(&x.cond), 0);
    release_lock(&x);
    skua_yield();
    T_EXPECT_LOG("1 2");
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_rule_78_notify_and_notify_all(void **state)
{
    (void)state;
    t_run(notify_main, NULL);
}

static void *explicit_lock_main(void *arg)
{
    skua_lock lock = SKUA_LOCK_INIT;
    skua_cond cond[2] = { SKUA_COND_INIT(&lock), SKUA_COND_INIT(&lock) };
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    for (int i = 0; i < 2; i++)
        T_EXPECT_INT(skua_cond_notify(&cond[i], 1), 0); /* one lock, two conditions */
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    for (int i = 0; i < 2; i++)
        T_EXPECT_INT(skua_cond_notify(&cond[i], 1), -EPERM);
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    skua_timeout limit; /* timeout_in_block */
    T_EXPECT_INT(skua_timeout_enter(&limit, 0.5), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, skua_cond_wait(&cond[0])), -ETIMEDOUT);
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    return arg;
}

static void test_rule_78_explicit_lock_and_timeout_in_block(void **state)
{
    (void)state;
    t_run(explicit_lock_main, NULL);
}

static bool has_state(void *all)
{
    return ((struct all *)all)->state != 0;
}

static bool has_none(void *all)
{
    return !has_state(all);
}

static void *consumer(void *arg)
{
    struct all *x = arg;
    T_EXPECT_INT(skua_lock_acquire(&x->lock), 0);
    int r;
    while ((r = skua_cond_wait_for(&x->cond, has_state, x)) == 0 && x->state > 0)
        x->state--;
    release_lock(x);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *wakeup_main(void *relock)
{
    struct all x = ALL_INIT(x, 0);
    skua_task *t[2] = { skua_spawn(consumer, &x), skua_spawn(consumer, &x) };
    skua_yield();
    T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
    x.state = 1;
    T_EXPECT_INT(skua_cond_notify(&x.cond, 1), 0);
    if (relock)
        skua_yield();
    skua_cancel(t[0], NULL);
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 1), 0);
    SKUA_IGNORE(skua_timeout_exit(&limit, skua_cond_wait_for(&x.cond, has_none, &x)));
    T_EXPECT_INT(x.state, 0);
    x.state = -1;
    T_EXPECT_INT(skua_cond_notify_all(&x.cond), 0);
    release_lock(&x);
    T_EXPECT_INT(skua_join(t[1], NULL), 0);
    T_EXPECT_INT(skua_join(t[0], NULL), -ECANCELED);
    return NULL;
}

static void test_rule_78_cancelled_wakeup_and_relock(void **state)
{
    (void)state;
    t_run(wakeup_main, NULL);
    t_run(wakeup_main, T_PTR(1));
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_76_acquire),
    T_TEST(test_rule_76_acquire_cancel),
    T_TEST(test_rule_76_finished_waiter_cancelled),
    T_TEST(test_rule_77_wait_and_clear_with_waiters),
    T_TEST(test_rule_78_wait),
    T_TEST(test_rule_78_wait_cancel_contested),
    T_TEST(test_rule_78_wait_for_and_unacquired),
    T_TEST(test_rule_78_notify_and_notify_all),
    T_TEST(test_rule_78_explicit_lock_and_timeout_in_block),
    T_TEST(test_rule_78_cancelled_wakeup_and_relock),
};

T_MAIN(tests, NULL)
