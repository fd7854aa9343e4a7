/* SPDX-License-Identifier: MIT */
/* Semaphores and barriers, rules 79 and 80: what CPython's test_locks asks of asyncio, scenario by
 * scenario under its names there, trip by trip. */
#include "../support/t.h"

struct actor {
    skua_semaphore *s;
    const char *name;
};

static void *take_permit(void *arg)
{
    struct actor *a = arg;
    int r = skua_semaphore_acquire(a->s);
    t_log(r == 0 ? "%s" : "%s!", a->name);
    return r < 0 ? skua_fail(r) : NULL;
}

/* ---- semaphores ---- */

static void *permits_main(void *arg)
{
    skua_semaphore s = SKUA_SEMAPHORE_INIT(3);
    struct actor a[4] = { { &s, "1" }, { &s, "2" }, { &s, "3" }, { &s, "4" } };
    skua_task *t[4];
    T_EXPECT_INT(skua_semaphore_acquire(&s), 0);
    T_EXPECT_INT(skua_semaphore_acquire(&s), 0);
    T_EXPECT(!skua_semaphore_locked(&s));
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(take_permit, &a[i]);
    skua_yield();
    T_EXPECT_LOG("1");
    T_EXPECT(skua_semaphore_locked(&s));
    t[3] = skua_spawn(take_permit, &a[3]);
    T_EXPECT_INT(skua_semaphore_release(&s), 0);
    T_EXPECT_INT(skua_semaphore_release(&s), 0);
    T_EXPECT_INT(skua_semaphore_try_acquire(&s), -EBUSY); /* they are given away */
    skua_yield();
    T_EXPECT_LOG("2 3");
    T_EXPECT(skua_semaphore_locked(&s));
    T_EXPECT(!skua_done(t[3]));
    T_EXPECT_INT(skua_semaphore_release(&s), 0);
    T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE), 0);
    T_EXPECT_LOG("4");
    skua_semaphore none = SKUA_SEMAPHORE_INIT(0);
    T_EXPECT(skua_semaphore_locked(&none)); /* initial_value_zero */
    return arg;
}

static void test_rule_79_acquire(void **state)
{
    (void)state;
    t_run(permits_main, NULL);
}

static void *before_awoken_main(void *arg)
{
    skua_semaphore s = SKUA_SEMAPHORE_INIT(0);
    struct actor a[4] = { { &s, "1" }, { &s, "2" }, { &s, "3" }, { &s, "4" } };
    skua_task *t[4];
    for (int i = 0; i < 4; i++)
        t[i] = skua_spawn(take_permit, &a[i]);
    skua_yield();
    skua_cancel(t[0], NULL);
    skua_cancel(t[1], NULL);
    T_EXPECT_INT(skua_semaphore_release(&s), 0);
    t_yield_times(2);
    T_EXPECT(skua_done(t[2]) && !skua_cancelled(t[2]));
    T_EXPECT(!skua_done(t[3]));
    T_EXPECT(skua_semaphore_locked(&s));
    skua_cancel(t[3], NULL);
    T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 3);
    return arg;
}

static void test_rule_79_acquire_cancel_before_awoken(void **state)
{
    /* Goal: and acquire_hang. */
    (void)state;
    t_run(before_awoken_main, NULL);
    t_check_log("1! 2! 3 4!");
}

struct no_hang {
    skua_semaphore s;
    skua_task *other;
};

static void *hold_then_cancel(void *arg)
{
    struct no_hang *n = arg;
    T_EXPECT_INT(skua_semaphore_acquire(&n->s), 0);
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(skua_semaphore_release(&n->s), 0);
    skua_cancel(n->other, NULL); /* it was given the permit and has not run */
    return NULL;
}

static void *never_inside(void *arg)
{
    struct no_hang *n = arg;
    int r = skua_semaphore_acquire(&n->s);
    T_EXPECT_INT(r, -ECANCELED);
    return skua_fail(r);
}

static void *no_hang_main(void *arg)
{
    struct no_hang n = { SKUA_SEMAPHORE_INIT(1), NULL };
    skua_task *first = skua_spawn(hold_then_cancel, &n);
    n.other = skua_spawn(never_inside, &n);
    T_EXPECT_INT(skua_await(n.other, NULL), -ECANCELED);
    T_EXPECT_INT(skua_join(first, NULL), 0);
    skua_release(n.other);
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 1), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, skua_semaphore_acquire(&n.s)), 0);
    return arg;
}

static void test_rule_79_acquire_no_hang(void **state)
{
    (void)state;
    t_run(no_hang_main, NULL);
}

static void *fifo_4_first(void *arg)
{
    struct actor *a = arg;
    void *end = take_permit(arg);
    T_EXPECT(skua_semaphore_locked(a->s));
    skua_call_soon(t_say, "4");
    return end;
}

static void *fifo_4_second(void *arg)
{
    struct actor *a = arg;
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_semaphore_release(a->s), 0);
    T_EXPECT(skua_semaphore_locked(a->s)); /* the first has not woken yet */
    T_EXPECT_INT(skua_semaphore_try_acquire(a->s), -EBUSY);
    return take_permit(arg);
}

static void *fifo_4_main(void *arg)
{
    skua_semaphore s = SKUA_SEMAPHORE_INIT(0);
    struct actor a[3] = { { &s, "1" }, { &s, "2" }, { &s, "3" } };
    skua_task *t[3] = { skua_spawn(fifo_4_first, &a[0]), skua_spawn(fifo_4_second, &a[1]),
                        skua_spawn(take_permit, &a[2]) };
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    T_EXPECT(skua_semaphore_locked(&s));
    return arg;
}

static void test_rule_79_acquire_fifo_order_4(void **state)
{
    /* Goal: one who is woken wakes those behind it, before anything that it starts itself. */
    (void)state;
    t_run(fifo_4_main, NULL);
    t_check_log("1 2 3 4");
}

/* ---- barriers ---- */

enum { N = 5, HALF = N / 2 };

/* What the tasks of a scenario share. */
struct hall {
    skua_barrier b, other;
    int left;               /* how many came through their first wait */
    int broken, late, through;
    unsigned indices;       /* one bit for each index that was given */
};

#define HALL_INIT(n, m) { SKUA_BARRIER_INIT(n), SKUA_BARRIER_INIT(m), 0, 0, 0, 0, 0 }

static int meet(struct hall *h)
{
    int r = skua_barrier_wait(&h->b);
    T_EXPECT(r == -EPIPE || r == -ECANCELED || (r >= 0 && r < N));
    return r;
}

static void run_hall(struct hall *h, skua_fn fn, int n)
{
    skua_task *t[N];
    for (int i = 0; i < n; i++)
        t[i] = skua_spawn(fn, h);
    T_EXPECT_INT(skua_gather(t, (size_t)n, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(skua_barrier_waiting(&h->b), 0);
}

static void *once(void *arg)
{
    struct hall *h = arg;
    int r = meet(h);
    if (r == -EPIPE)
        h->broken++;
    else if (r >= 0)
        h->through++;
    return r == -ECANCELED ? skua_fail(r) : NULL;
}

static void *alone_main(void *arg)
{
    struct hall h = HALL_INIT(1, 1);
    for (int i = 0; i < 3; i++)
        T_EXPECT_INT(skua_barrier_wait(&h.b), 0); /* filling_one_task, _twice */
    T_EXPECT_INT(skua_barrier_reset(&h.b), 0); /* reset_barrier */
    T_EXPECT_INT(skua_barrier_waiting(&h.b), 0);
    T_EXPECT(!skua_barrier_broken(&h.b));
    T_EXPECT_INT(skua_barrier_abort(&h.b), 0); /* abort_barrier */
    T_EXPECT_INT(skua_barrier_waiting(&h.b), 0);
    T_EXPECT(skua_barrier_broken(&h.b));
    return arg;
}

static void test_rule_80_filling_one_task_reset_and_abort(void **state)
{
    (void)state;
    t_run(alone_main, NULL);
}

static void *one_by_one_main(void *arg)
{
    struct hall h = HALL_INIT(3, 1);
    skua_task *t[4];
    for (int i = 0; i < 2; i++) {
        t[i] = skua_spawn(once, &h);
        skua_yield();
        T_EXPECT_INT(skua_barrier_waiting(&h.b), i + 1);
    }
    skua_cancel(t[0], NULL); /* filling_tasks_cancel_one */
    skua_yield();
    T_EXPECT_INT(skua_barrier_waiting(&h.b), 1);
    T_EXPECT_INT(skua_await(t[0], NULL), -ECANCELED);
    t[2] = skua_spawn(once, &h);
    skua_yield();
    T_EXPECT_INT(skua_barrier_waiting(&h.b), 2);
    t[3] = skua_spawn(once, &h);
    T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    T_EXPECT_INT(h.through, 3);
    T_EXPECT_INT(skua_barrier_waiting(&h.b), 0);
    T_EXPECT(!skua_barrier_broken(&h.b));
    return arg;
}

static void test_rule_80_filling_task_by_task_and_cancel_one(void **state)
{
    (void)state;
    t_run(one_by_one_main, NULL);
}

static void *twice(void *arg)
{
    struct hall *h = arg;
    T_EXPECT(meet(h) >= 0);
    int r = meet(h);
    h->indices |= 1u << (r & 31);
    h->through++;
    return NULL;
}

static void *twice_main(void *arg)
{
    struct hall h = HALL_INIT(N, 1);
    run_hall(&h, twice, N);
    T_EXPECT_INT(h.through, N);
    T_EXPECT_INT(h.indices, (1 << N) - 1);
    return arg;
}

static void test_rule_80_filling_tasks_wait_twice_and_check_return_value(void **state)
{
    (void)state;
    t_run(twice_main, NULL);
}

static void *rewait(void *arg)
{
    struct hall *h = arg;
    T_EXPECT(meet(h) >= 0);
    if (h->left++ >= HALF) /* the others meet at once again, while these are on their way out */
        T_EXPECT(skua_barrier_wait(&h->other) >= 0);
    T_EXPECT(meet(h) >= 0);
    h->through++;
    return NULL;
}

static void *rewait_main(void *arg)
{
    struct hall h = HALL_INIT(N, N - HALF);
    run_hall(&h, rewait, N);
    T_EXPECT_INT(h.through, N);
    return arg;
}

static void test_rule_80_blocking_tasks_while_draining(void **state)
{
    (void)state;
    t_run(rewait_main, NULL);
}

static void *reset_it(void *h)
{
    return skua_fail(skua_barrier_reset(&((struct hall *)h)->b));
}

static void *reset_main(void *arg)
{
    struct hall h = HALL_INIT(N, 1);
    skua_task *t[N];
    for (int i = 0; i < N - 1; i++)
        t[i] = skua_spawn(once, &h);
    skua_yield();
    t[N - 1] = skua_spawn(reset_it, &h);
    SKUA_IGNORE(skua_gather(t, N, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS));
    T_EXPECT_INT(h.broken, N - 1);
    T_EXPECT_INT(skua_barrier_waiting(&h.b), 0);
    T_EXPECT(!skua_barrier_broken(&h.b));
    return arg;
}

static void test_rule_80_reset_barrier_while_tasks_waiting(void **state)
{
    (void)state;
    t_run(reset_main, NULL);
}

/* The third to leave resets it while two are still on their way out. */
static void *half_draining(void *arg)
{
    struct hall *h = arg;
    if (meet(h) == -EPIPE)
        h->broken++;
    else if (++h->left == N - HALF)
        T_EXPECT_INT(skua_barrier_reset(&h->b), 0);
    return NULL;
}

static void *half_draining_main(void *arg)
{
    struct hall h = HALL_INIT(N, 1);
    run_hall(&h, half_draining, N);
    T_EXPECT_INT(h.broken, HALF);
    T_EXPECT(!skua_barrier_broken(&h.b));
    return arg;
}

static void test_rule_80_reset_barrier_when_tasks_half_draining(void **state)
{
    (void)state;
    t_run(half_draining_main, NULL);
}

static void *half_blocking(void *arg)
{
    struct hall *h = arg;
    if (meet(h) == -EPIPE) {
        h->broken++;
        T_EXPECT(meet(h) >= 0);
    } else if (++h->left > HALF) {
        T_EXPECT_INT(skua_barrier_reset(&h->b), 0);
        T_EXPECT(meet(h) >= 0);
    } else if (meet(h) == -EPIPE) {
        h->late++; /* who came back early was not inside yet */
    }
    return NULL;
}

static void *half_blocking_main(void *arg)
{
    struct hall h = HALL_INIT(N, 1);
    run_hall(&h, half_blocking, N);
    T_EXPECT_INT(h.broken, HALF);
    T_EXPECT_INT(h.late, 0);
    T_EXPECT(!skua_barrier_broken(&h.b));
    return arg;
}

static void test_rule_80_reset_barrier_when_tasks_half_draining_half_blocking(void **state)
{
    (void)state;
    t_run(half_blocking_main, NULL);
}

static void *broken_then_again(void *arg)
{
    struct hall *h = arg;
    if (meet(h) == -EPIPE)
        h->broken++;
    T_EXPECT(meet(h) >= 0);
    h->through++;
    return NULL;
}

static void *again_main(void *arg)
{
    struct hall h = HALL_INIT(N, 1);
    skua_task *t[N + 1];
    for (int i = 0; i < N - 1; i++)
        t[i] = skua_spawn(broken_then_again, &h);
    t[N] = skua_spawn(reset_it, &h);
    skua_yield();
    t[N - 1] = skua_spawn(once, &h);
    SKUA_IGNORE(skua_gather(t, N + 1, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS));
    T_EXPECT_INT(h.broken, N - 1);
    T_EXPECT_INT(h.through, N);
    T_EXPECT_INT(skua_barrier_waiting(&h.b), 0);
    T_EXPECT(!skua_barrier_broken(&h.b));
    return arg;
}

static void test_rule_80_reset_barrier_while_tasks_waiting_and_waiting_again(void **state)
{
    (void)state;
    t_run(again_main, NULL);
}

static void *reset_as_last(void *arg)
{
    struct hall *h = arg;
    T_EXPECT(meet(h) >= 0);
    if (++h->left == N)
        T_EXPECT_INT(skua_barrier_reset(&h->b), 0);
    if (meet(h) < 0)
        h->broken++;
    T_EXPECT(meet(h) >= 0);
    h->through++;
    return NULL;
}

static void *reset_as_last_main(void *arg)
{
    struct hall h = HALL_INIT(N, 1);
    run_hall(&h, reset_as_last, N);
    T_EXPECT_INT(h.broken, 0);
    T_EXPECT_INT(h.through, N);
    T_EXPECT(!skua_barrier_broken(&h.b));
    return arg;
}

static void test_rule_80_reset_barrier_while_tasks_draining(void **state)
{
    (void)state;
    t_run(reset_as_last_main, NULL);
}

static void *abort_half(void *arg)
{
    struct hall *h = arg;
    if (meet(h) == -EPIPE)
        h->broken++;
    else if (++h->left > HALF)
        T_EXPECT_INT(skua_barrier_abort(&h->b), 0);
    else if (meet(h) == -EPIPE)
        h->late++;
    return NULL;
}

static void *abort_half_main(void *arg)
{
    struct hall h = HALL_INIT(N, 1);
    run_hall(&h, abort_half, N);
    T_EXPECT(skua_barrier_broken(&h.b));
    T_EXPECT_INT(h.broken, HALF);
    T_EXPECT_INT(h.late, N - HALF - 1);
    return arg;
}

static void test_rule_80_abort_barrier_when_tasks_half_draining_half_blocking(void **state)
{
    (void)state;
    t_run(abort_half_main, NULL);
}

static void *abort_then_reset(void *arg)
{
    struct hall *h = arg;
    int r = meet(h);
    if (r == HALF)
        T_EXPECT_INT(skua_barrier_abort(&h->b), 0);
    else if (r == -EPIPE || meet(h) == -EPIPE)
        h->broken++;
    if (skua_barrier_wait(&h->other) == HALF) { /* all have left it */
        T_EXPECT(skua_barrier_broken(&h->b));
        T_EXPECT_INT(skua_barrier_reset(&h->b), 0);
    }
    T_EXPECT(skua_barrier_wait(&h->other) >= 0);
    T_EXPECT(meet(h) >= 0);
    h->through++;
    return NULL;
}

static void *abort_then_reset_main(void *arg)
{
    struct hall h = HALL_INIT(N, N);
    run_hall(&h, abort_then_reset, N);
    T_EXPECT(!skua_barrier_broken(&h.b));
    T_EXPECT_INT(h.broken, N - 1);
    T_EXPECT_INT(h.through, N);
    return arg;
}

static void test_rule_80_abort_barrier_when_exception_then_resetting(void **state)
{
    (void)state;
    t_run(abort_then_reset_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_79_acquire),
    T_TEST(test_rule_79_acquire_cancel_before_awoken),
    T_TEST(test_rule_79_acquire_no_hang),
    T_TEST(test_rule_79_acquire_fifo_order_4),
    T_TEST(test_rule_80_filling_one_task_reset_and_abort),
    T_TEST(test_rule_80_filling_task_by_task_and_cancel_one),
    T_TEST(test_rule_80_filling_tasks_wait_twice_and_check_return_value),
    T_TEST(test_rule_80_blocking_tasks_while_draining),
    T_TEST(test_rule_80_reset_barrier_while_tasks_waiting),
    T_TEST(test_rule_80_reset_barrier_when_tasks_half_draining),
    T_TEST(test_rule_80_reset_barrier_when_tasks_half_draining_half_blocking),
    T_TEST(test_rule_80_reset_barrier_while_tasks_waiting_and_waiting_again),
    T_TEST(test_rule_80_reset_barrier_while_tasks_draining),
    T_TEST(test_rule_80_abort_barrier_when_tasks_half_draining_half_blocking),
    T_TEST(test_rule_80_abort_barrier_when_exception_then_resetting),
};

T_MAIN(tests, NULL)
