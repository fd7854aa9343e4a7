/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio and others had in locks, semaphores, events, barriers and reader-writer locks,
 * each named after its issue. */
#include "../support/t.h"

/* ---- locks ---- */

struct visitor {
    skua_lock *lock;
    int *inside;
    const char *name;
};

static void *visit(void *arg)
{
    struct visitor *v = arg;
    int r = skua_lock_acquire(v->lock);
    t_log(r == 0 ? "%s" : "%s!", v->name);
    if (r < 0)
        return skua_fail(r);
    T_EXPECT_INT(++*v->inside, 1);
    skua_yield();
    --*v->inside;
    T_EXPECT_INT(skua_lock_release(v->lock), 0);
    return NULL;
}

/* Whom to cancel, and when: before or after the release, with how many trips between the two. */
struct race {
    int who;
    bool cancel_first;
    int yields;
};

static void race_for_the_lock(const struct race *race)
{
    skua_lock lock = SKUA_LOCK_INIT;
    int inside = 0;
    struct visitor v[3] = { { &lock, &inside, "a" }, { &lock, &inside, "b" },
                            { &lock, &inside, "c" } };
    skua_task *t[3];
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(visit, &v[i]);
    skua_yield();
    if (race->cancel_first)
        T_EXPECT(skua_cancel(t[race->who], NULL));
    else
        T_EXPECT_INT(skua_lock_release(&lock), 0);
    t_yield_times(race->yields);
    if (race->cancel_first)
        T_EXPECT_INT(skua_lock_release(&lock), 0);
    else
        skua_cancel(t[race->who], NULL);
    SKUA_IGNORE(skua_gather(t, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS));
    T_EXPECT_INT(inside, 0);
    T_EXPECT(!skua_lock_locked(&lock));
    T_EXPECT_INT(skua_lock_try_acquire(&lock), 0);
}

static void *races_main(void *arg)
{
    for (int i = 0; i < 3 * 2 * 4; i++)
        race_for_the_lock(&(struct race){ i % 3, i / 3 % 2, i / 6 });
    return arg;
}

static void bpo_27585_whoever_is_cancelled_the_others_get_the_lock(void **state)
{
    /* Goal: every waiter, before and after the release, up to three trips apart: nobody hangs, one
     * is inside at a time, and the lock is free afterwards. */
    (void)state;
    t_run(races_main, NULL);
    t_log_reset();
}

static void *kept_main(void *arg)
{
    skua_lock lock = SKUA_LOCK_INIT;
    int inside = 0;
    struct visitor v[3] = { { &lock, &inside, "a" }, { &lock, &inside, "b" },
                            { &lock, &inside, "c" } };
    skua_task *t[3];
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(visit, &v[i]);
    skua_yield();
    skua_cancel(t[0], NULL); /* its way out must not let b in: the lock is taken */
    t_yield_times(4);
    T_EXPECT_INT(inside, 0);
    T_EXPECT(skua_lock_locked(&lock));
    t_log("m");
    skua_cancel(t[1], NULL);
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 2);
    return arg;
}

static void bpo_32734_a_cancelled_waiter_does_not_open_a_taken_lock(void **state)
{
    (void)state;
    t_run(kept_main, NULL);
    t_check_log("a! m b! c");
}

struct told {
    skua_lock lock;
    skua_cond cond;
    skua_semaphore permits;
    skua_event event;
    skua_queue q;
    int what;
};

static void *wait_for_what(void *arg)
{
    struct told *x = arg;
    switch (x->what) {
    case 0:
        return skua_fail(skua_lock_acquire(&x->lock));
    case 1:
        return skua_fail(skua_semaphore_acquire(&x->permits));
    case 2:
        return skua_fail(skua_event_wait(&x->event));
    case 3:
        return skua_fail(skua_queue_get(&x->q, NULL, 50));
    }
    T_EXPECT_INT(skua_lock_acquire(&x->lock), 0);
    int r = skua_cond_wait(&x->cond);
    T_EXPECT_INT(skua_lock_release(&x->lock), 0);
    return skua_fail(r);
}

static void *told_main(void *arg)
{
    struct told x = { SKUA_LOCK_INIT, SKUA_COND_INIT(&x.lock), SKUA_SEMAPHORE_INIT(0),
                      SKUA_EVENT_INIT, SKUA_QUEUE_INIT(0), 0 };
    for (x.what = 0; x.what < 5; x.what++) {
        skua_task *t = skua_spawn(wait_for_what, &x);
        if (x.what == 0)
            T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
        skua_yield();
        if (x.what == 4)
            T_EXPECT_INT(skua_lock_acquire(&x.lock), 0);
        skua_cancel(t, "first");
        if (x.what == 4) { /* by now it wants the lock back, and is cancelled once more */
            t_yield_times(2);
            skua_cancel(t, "last");
            t_yield_times(2);
            T_EXPECT_INT(skua_lock_release(&x.lock), 0);
        }
        T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
        T_EXPECT_STR(skua_error_message(t), x.what == 4 ? "last" : "first");
        skua_release(t);
        if (x.what == 0)
            T_EXPECT_INT(skua_lock_release(&x.lock), 0);
    }
    skua_queue_fini(&x.q);
    return arg;
}

static void gh_111693_the_cancel_that_ended_the_wait_is_what_comes_out(void **state)
{
    /* Goal: its message; of several that reach a condition, the last one's. */
    (void)state;
    t_run(told_main, NULL);
}

static void *strand_main(void *arg)
{
    skua_lock lock = SKUA_LOCK_INIT;
    int inside = 0;
    struct visitor v[3] = { { &lock, &inside, "a" }, { &lock, &inside, "b" },
                            { &lock, &inside, "c" } };
    T_EXPECT_INT(skua_lock_acquire(&lock), 0);
    skua_task *t[3] = { skua_spawn(visit, &v[0]) };
    skua_yield();
    t[1] = skua_spawn(visit, &v[1]); /* comes while a, cancelled, still stands in the line */
    t[2] = skua_spawn(visit, &v[2]);
    skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_lock_release(&lock), 0);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    T_EXPECT(!skua_lock_locked(&lock));
    return arg;
}

static void anyio_1145_who_comes_behind_a_cancelled_head_is_not_stranded(void **state)
{
    (void)state;
    t_run(strand_main, NULL);
    t_check_log("b a! c"); /* b takes it as it passes by: nobody in the line would */
}

/* ---- semaphores ---- */

struct guest {
    skua_semaphore *s;
    const char *name;
    int rounds;
    bool gives_back;
};

static void *take_permits(void *arg)
{
    struct guest *g = arg;
    for (int i = 0; i < g->rounds; i++) {
        int r = skua_semaphore_acquire(g->s);
        t_log(r == 0 ? "%s" : "%s!", g->name);
        if (r < 0)
            return skua_fail(r);
        if (!g->gives_back)
            continue;
        skua_yield();
        T_EXPECT_INT(skua_semaphore_release(g->s), 0);
    }
    return NULL;
}

static void permits_race(int permits, const struct race *race)
{
    skua_semaphore s = SKUA_SEMAPHORE_INIT(0);
    struct guest g[4] = { { &s, "a", 1, false }, { &s, "b", 1, false }, { &s, "c", 1, false },
                          { &s, "d", 1, false } };
    skua_task *t[4];
    for (int i = 0; i < 4; i++)
        t[i] = skua_spawn(take_permits, &g[i]);
    skua_yield();
    for (int step = 0; step < 2; step++) {
        if (race->cancel_first == (step == 0))
            skua_cancel(t[race->who], NULL);
        else
            for (int i = 0; i < permits; i++)
                T_EXPECT_INT(skua_semaphore_release(&s), 0);
        if (step == 0)
            t_yield_times(race->yields);
    }
    t_yield_times(4);
    int had = 0;
    for (int i = 0; i < 4; i++)
        had += skua_done(t[i]) && !skua_cancelled(t[i]);
    int left = 0;
    while (skua_semaphore_try_acquire(&s) == 0)
        left++;
    T_EXPECT_INT(had + left, permits); /* none lost, none made */
    T_EXPECT_INT(had, permits < 4 ? permits : 4 - skua_cancelled(t[race->who]));
    for (int i = 0; i < 4; i++)
        skua_cancel(t[i], NULL);
    SKUA_IGNORE(skua_gather(t, 4, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS));
}

static void *permits_main(void *arg)
{
    for (int permits = 1; permits <= 5; permits++)
        for (int i = 0; i < 4 * 2 * 3; i++)
            permits_race(permits, &(struct race){ i % 4, i / 4 % 2, i / 8 });
    return arg;
}

static void gh_90155_no_cancel_breaks_a_semaphore(void **state)
{
    /* Goal: each waiter cancelled, before and after one to five releases: as many have a permit as
     * there were, and none waits while one is left. */
    (void)state;
    t_run(permits_main, NULL);
    t_log_reset();
}

static void *again_main(void *arg)
{
    skua_semaphore s = SKUA_SEMAPHORE_INIT(1);
    struct guest g[3] = { { &s, "a", 3, true }, { &s, "b", 3, true }, { &s, "c", 3, true } };
    skua_task *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = skua_spawn(take_permits, &g[i]);
    T_EXPECT_INT(skua_gather(t, 3, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void bpo_45997_who_takes_again_goes_to_the_end_of_the_line(void **state)
{
    (void)state;
    t_run(again_main, NULL);
    t_check_log("a b c a b c a b c");
}

static void *woken_main(void *arg)
{
    skua_semaphore s = SKUA_SEMAPHORE_INIT(0);
    struct guest g[2] = { { &s, "a", 1, false }, { &s, "b", 1, false } };
    skua_task *t[2] = { skua_spawn(take_permits, &g[0]), skua_spawn(take_permits, &g[1]) };
    skua_yield();
    T_EXPECT_INT(skua_semaphore_release(&s), 0);
    skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    T_EXPECT(skua_semaphore_locked(&s));
    return arg;
}

static void asyncio_270_a_permit_given_to_a_cancelled_waiter_goes_on(void **state)
{
    (void)state;
    t_run(woken_main, NULL);
    t_check_log("a! b");
}

/* ---- reader-writer locks ---- */

struct party {
    skua_rwlock *lock;
    const char *name;
    bool writes;
};

static void *attend(void *arg)
{
    struct party *p = arg;
    int r = p->writes ? skua_rwlock_acquire_write(p->lock) : skua_rwlock_acquire_read(p->lock);
    t_log(r == 0 ? "%s" : "%s!", p->name);
    if (r < 0)
        return skua_fail(r);
    skua_yield();
    if (p->writes)
        T_EXPECT_INT(skua_rwlock_release_write(p->lock), 0);
    else
        T_EXPECT_INT(skua_rwlock_release_read(p->lock), 0);
    return NULL;
}

static void *writer_main(void *arg)
{
    for (int i = 0; i < 2 * 3; i++) {
        skua_rwlock lock = SKUA_RWLOCK_INIT;
        struct party p[2] = { { &lock, "w", true }, { &lock, "r", false } };
        T_EXPECT_INT(skua_rwlock_acquire_read(&lock), 0);
        skua_task *t[2] = { skua_spawn(attend, &p[0]), skua_spawn(attend, &p[1]) };
        skua_yield();
        if (i % 2)
            skua_cancel(t[0], NULL);
        T_EXPECT_INT(skua_rwlock_release_read(&lock), 0);
        if (i % 2 == 0)
            skua_cancel(t[0], NULL);
        t_yield_times(i / 2);
        SKUA_IGNORE(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS));
        T_EXPECT_INT(skua_rwlock_release_read(&lock), -EPERM); /* nobody is left inside */
        T_EXPECT_INT(skua_rwlock_release_write(&lock), -EPERM);
        T_EXPECT_INT(skua_rwlock_acquire_write(&lock), 0);
    }
    return arg;
}

static void zio_3b392a83_a_cancelled_writer_leaves_no_permit_behind(void **state)
{
    /* Goal: cancelled beside the release that would have let it in: the reader behind it is let in,
     * and afterwards the lock is free. */
    (void)state;
    t_run(writer_main, NULL);
    t_check_log("w! r w! r w! r w! r w! r w! r");
}

/* ---- events and barriers ---- */

struct ear {
    skua_event *event;
    const char *name;
};

static void *hear_twice(void *arg)
{
    struct ear *e = arg;
    for (int i = 0; i < 2; i++) {
        int r = skua_event_wait(e->event);
        t_log(r == 0 ? "%s%d" : "%s%d!", e->name, i);
        if (r < 0)
            return skua_fail(r);
    }
    return NULL;
}

static void *once_main(void *arg)
{
    skua_event event = SKUA_EVENT_INIT;
    struct ear e[2] = { { &event, "a" }, { &event, "b" } };
    skua_task *t[2] = { skua_spawn(hear_twice, &e[0]), skua_spawn(hear_twice, &e[1]) };
    skua_yield();
    skua_event_set(&event);
    skua_event_clear(&event);
    t_yield_times(3);
    t_log("m"); /* both wait again: the one set was for their first waits only */
    skua_event_set(&event);
    skua_event_set(&event);
    skua_event_clear(&event);
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE), 0);
    T_EXPECT(!skua_event_is_set(&event));
    return arg;
}

static void tokio_7996_a_set_wakes_all_who_wait_once(void **state)
{
    (void)state;
    t_run(once_main, NULL);
    t_check_log("a0 b0 m a1 b1");
}

enum { PARTIES = 4, MEETINGS = 3 };

static void *meet(void *barrier)
{
    intptr_t seen = 0;
    for (int i = 0; i < MEETINGS; i++) {
        int index = skua_barrier_wait(barrier);
        if (!T_EXPECT(index >= 0 && index < PARTIES))
            return skua_fail(index);
        seen += (intptr_t)1 << 8 * index;
    }
    return (void *)seen;
}

static void *barrier_main(void *arg)
{
    skua_barrier b = SKUA_BARRIER_INIT(PARTIES);
    skua_task *t[PARTIES];
    void *seen[PARTIES];
    for (int i = 0; i < PARTIES; i++)
        t[i] = skua_spawn(meet, &b);
    T_EXPECT_INT(skua_gather(t, PARTIES, seen, SKUA_RELEASE), 0);
    intptr_t sum = 0;
    for (int i = 0; i < PARTIES; i++)
        sum += (intptr_t)seen[i];
    T_EXPECT_INT(sum, 0x01010101 * MEETINGS);
    T_EXPECT_INT(skua_barrier_waiting(&b), 0);
    return arg;
}

static void bpo_43352_in_each_meeting_each_index_is_given_once(void **state)
{
    /* Goal: in one group and among free tasks. */
    (void)state;
    t_run(barrier_main, NULL);
    t_run(barrier_main, NULL, .free_main = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(bpo_27585_whoever_is_cancelled_the_others_get_the_lock),
    T_TEST(bpo_32734_a_cancelled_waiter_does_not_open_a_taken_lock),
    T_TEST(gh_111693_the_cancel_that_ended_the_wait_is_what_comes_out),
    T_TEST(anyio_1145_who_comes_behind_a_cancelled_head_is_not_stranded),
    T_TEST(gh_90155_no_cancel_breaks_a_semaphore),
    T_TEST(bpo_45997_who_takes_again_goes_to_the_end_of_the_line),
    T_TEST(asyncio_270_a_permit_given_to_a_cancelled_waiter_goes_on),
    T_TEST(zio_3b392a83_a_cancelled_writer_leaves_no_permit_behind),
    T_TEST(tokio_7996_a_set_wakes_all_who_wait_once),
    T_TEST(bpo_43352_in_each_meeting_each_index_is_given_once),
};

T_MAIN(tests, NULL)
