/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio and others had in conditions, each named after its issue. */
#include "../support/t.h"

struct room {
    skua_lock lock;
    skua_cond cond;
    int items;
    bool closed;
    int inside; /* of the lock */
};

#define ROOM_INIT(room) { SKUA_LOCK_INIT, SKUA_COND_INIT(&(room).lock), 0, false, 0 }

static void enter(struct room *room)
{
    T_EXPECT_INT(skua_lock_acquire(&room->lock), 0);
    T_EXPECT_INT(++room->inside, 1);
}

/* Whatever a wait ended with, the lock is the caller's again. */
static int leave(struct room *room, int r)
{
    T_EXPECT(skua_lock_locked(&room->lock));
    --room->inside;
    T_EXPECT_INT(skua_lock_release(&room->lock), 0);
    return r;
}

static int wait_inside(struct room *room)
{
    --room->inside;
    int r = skua_cond_wait(&room->cond);
    T_EXPECT_INT(++room->inside, 1);
    return r;
}

/* Takes one item for as long as the room is open. */
static void *consumer(void *arg)
{
    struct room *room = arg;
    int r = 0;
    enter(room);
    while (r == 0 && !room->closed) {
        if (room->items > 0)
            room->items--;
        else
            r = wait_inside(room);
    }
    return skua_fail(leave(room, r) < 0 ? r : -ECANCELED);
}

static void *one_wait(void *arg)
{
    struct room *room = arg;
    enter(room);
    int r = leave(room, wait_inside(room));
    return r < 0 ? skua_fail(r) : NULL;
}

static void notify(struct room *room, size_t n)
{
    enter(room);
    T_EXPECT_INT(skua_cond_notify(&room->cond, n), 0);
    SKUA_IGNORE(leave(room, 0));
}

/* ---- cancelled while it waits ---- */

static void *held_main(void *arg)
{
    struct room room = ROOM_INIT(room);
    skua_task *t = skua_spawn(one_wait, &room);
    skua_yield();
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT(!skua_lock_locked(&room.lock));
    return arg;
}

static void bpo_22970_a_cancelled_wait_has_the_lock_back(void **state)
{
    (void)state;
    t_run(held_main, NULL);
}

static void *reacquiring_main(void *arg)
{
    struct room room = ROOM_INIT(room);
    skua_task *t = skua_spawn(one_wait, &room);
    skua_yield();
    enter(&room);
    T_EXPECT_INT(skua_cond_notify(&room.cond, 1), 0);
    skua_yield(); /* it wants the lock */
    skua_cancel(t, NULL);
    skua_yield();
    T_EXPECT(!skua_done(t));
    SKUA_IGNORE(leave(&room, 0));
    T_EXPECT_INT(skua_await(t, NULL), -ECANCELED);
    T_EXPECT_INT(skua_cancelling(t), 1);
    skua_release(t);
    return arg;
}

static void bpo_32841_a_cancel_while_the_lock_is_taken_back_is_not_swallowed(void **state)
{
    (void)state;
    t_run(reacquiring_main, NULL);
}

static void *limited_main(void *arg)
{
    struct room room = ROOM_INIT(room);
    for (int contested = 0; contested < 2; contested++) {
        double start = skua_loop_time();
        skua_task *other = NULL;
        enter(&room);
        skua_timeout limit;
        T_EXPECT_INT(skua_timeout_enter(&limit, 2), 0);
        if (contested)
            other = skua_spawn(one_wait, &room); /* gets the lock when we wait, then waits too */
        int r = skua_timeout_exit(&limit, wait_inside(&room));
        T_EXPECT_INT(leave(&room, r), -ETIMEDOUT);
        T_EXPECT(t_elapsed(start) == 2);
        if (other) {
            notify(&room, 1);
            T_EXPECT_INT(skua_join(other, NULL), 0);
        }
    }
    return arg;
}

static void bpo_33638_gh_77819_after_a_timeout_the_lock_is_held(void **state)
{
    (void)state;
    t_run(limited_main, NULL);
}

static void *crowd_main(void *arg)
{
    for (int yields = 0; yields < 5; yields++) {
        struct room room = ROOM_INIT(room);
        skua_task *t[4];
        for (int i = 0; i < 4; i++)
            t[i] = skua_spawn(one_wait, &room);
        t_yield_times(yields);
        for (int i = 0; i < 4; i++)
            skua_cancel(t[i], NULL);
        T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 4);
        T_EXPECT(!skua_lock_locked(&room.lock));
        T_EXPECT_INT(room.inside, 0);
    }
    return arg;
}

static void gh_86766_many_cancelled_at_once_release_what_they_hold(void **state)
{
    /* Goal: each has the lock when it leaves, one after the other, so that no release fails. */
    (void)state;
    t_run(crowd_main, NULL);
}

/* ---- a notify is not lost ---- */

static void hand_one_to_two(int yields, bool by_timeout)
{
    struct room room = ROOM_INIT(room);
    skua_task *t[2] = { skua_spawn(consumer, &room), skua_spawn(consumer, &room) };
    skua_yield();
    enter(&room);
    room.items = 1;
    T_EXPECT_INT(skua_cond_notify(&room.cond, 1), 0);
    t_yield_times(yields); /* 0: not yet awake; more: it wants the lock */
    skua_cancel(t[0], NULL);
    if (by_timeout) /* the lock stays taken for a while: it is cancelled while it waits for it */
        T_EXPECT_INT(skua_sleep(1), 0);
    SKUA_IGNORE(leave(&room, 0));
    t_yield_times(6);
    T_EXPECT_INT(room.items, 0);
    enter(&room);
    room.closed = true;
    T_EXPECT_INT(skua_cond_notify_all(&room.cond), 0);
    SKUA_IGNORE(leave(&room, 0));
    T_EXPECT_INT(skua_gather(t, 2, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 2);
}

static void *lost_main(void *arg)
{
    for (int i = 0; i < 4 * 2; i++)
        hand_one_to_two(i / 2, i % 2);
    return arg;
}

static void gh_112202_a_notify_to_a_cancelled_waiter_reaches_another(void **state)
{
    /* Goal: cancelled before it is awake, and while it takes the lock back. */
    (void)state;
    t_run(lost_main, NULL);
}

enum { ITEMS = 200, CONSUMERS = 4 };

static void *impatient(void *arg)
{
    struct room *room = arg;
    for (;;) {
        skua_timeout limit;
        int r = skua_timeout_enter(&limit, 1e-5);
        if (r == 0) {
            r = skua_lock_acquire(&room->lock);
            if (r == 0) {
                while (r == 0 && room->items == 0 && !room->closed)
                    r = skua_cond_wait(&room->cond);
                if (room->items > 0 && r == 0) {
                    room->items--;
                    room->inside++; /* here: items that were taken */
                }
                bool over = room->closed && room->items == 0;
                T_EXPECT_INT(skua_lock_release(&room->lock), 0);
                if (over)
                    return SKUA_IGNORE(skua_timeout_exit(&limit, r)), NULL;
            }
            r = skua_timeout_exit(&limit, r);
        }
        if (r < 0 && r != -ETIMEDOUT)
            return skua_fail(r);
    }
}

static void *impatient_main(void *arg)
{
    struct room room = ROOM_INIT(room);
    skua_task *t[CONSUMERS];
    for (int i = 0; i < CONSUMERS; i++)
        t[i] = skua_go(impatient, &room);
    for (int i = 0; i < ITEMS; i++) {
        T_EXPECT_INT(skua_lock_acquire(&room.lock), 0);
        room.items++;
        T_EXPECT_INT(skua_cond_notify(&room.cond, 1), 0);
        T_EXPECT_INT(skua_lock_release(&room.lock), 0);
        skua_yield();
    }
    T_EXPECT_INT(skua_lock_acquire(&room.lock), 0);
    room.closed = true;
    T_EXPECT_INT(skua_cond_notify_all(&room.cond), 0);
    T_EXPECT_INT(skua_lock_release(&room.lock), 0);
    T_EXPECT_INT(skua_gather(t, CONSUMERS, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(room.inside, ITEMS);
    return arg;
}

static void anyio_1075_nor_to_one_whose_time_is_up(void **state)
{
    /* Goal: free consumers whose limits pass all the time, on every worker; each item is taken. */
    (void)state;
    t_run(impatient_main, NULL, .real_time = true);
}

struct pair {
    skua_lock lock;
    skua_cond readable, writable;
};

static void *wait_readable(void *arg)
{
    struct pair *p = arg;
    T_EXPECT_INT(skua_lock_acquire(&p->lock), 0);
    int r = skua_cond_wait(&p->readable);
    t_log(r == 0 ? "r" : "r!");
    T_EXPECT_INT(skua_lock_release(&p->lock), 0);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *wait_writable(void *arg)
{
    struct pair *p = arg;
    T_EXPECT_INT(skua_lock_acquire(&p->lock), 0);
    int r = skua_cond_wait(&p->writable);
    t_log(r == 0 ? "w" : "w!");
    T_EXPECT_INT(skua_lock_release(&p->lock), 0);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *classes_main(void *arg)
{
    struct pair p = { SKUA_LOCK_INIT, SKUA_COND_INIT(&p.lock), SKUA_COND_INIT(&p.lock) };
    skua_task *t[4] = { skua_spawn(wait_readable, &p), skua_spawn(wait_writable, &p),
                        skua_spawn(wait_readable, &p), skua_spawn(wait_writable, &p) };
    skua_yield();
    T_EXPECT_INT(skua_lock_acquire(&p.lock), 0);
    T_EXPECT_INT(skua_cond_notify(&p.writable, 1), 0);
    skua_cancel(t[1], NULL); /* passes it on to the other writer, to no reader */
    T_EXPECT_INT(skua_lock_release(&p.lock), 0);
    t_yield_times(4);
    t_log("m");
    T_EXPECT_INT(skua_lock_acquire(&p.lock), 0);
    T_EXPECT_INT(skua_cond_notify(&p.writable, 1), 0); /* nobody is left to hear it */
    T_EXPECT_INT(skua_cond_notify(&p.readable, 2), 0);
    T_EXPECT_INT(skua_lock_release(&p.lock), 0);
    T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE | SKUA_RETURN_ERRORS), 1);
    return arg;
}

static void zio_826ce91d_waiters_of_another_kind_do_not_eat_a_notify(void **state)
{
    (void)state;
    t_run(classes_main, NULL);
    t_check_log("w! w m r r");
}

static const struct CMUnitTest tests[] = {
    T_TEST(bpo_22970_a_cancelled_wait_has_the_lock_back),
    T_TEST(bpo_32841_a_cancel_while_the_lock_is_taken_back_is_not_swallowed),
    T_TEST(bpo_33638_gh_77819_after_a_timeout_the_lock_is_held),
    T_TEST(gh_86766_many_cancelled_at_once_release_what_they_hold),
    T_TEST(gh_112202_a_notify_to_a_cancelled_waiter_reaches_another),
    T_TEST(anyio_1075_nor_to_one_whose_time_is_up),
    T_TEST(zio_826ce91d_waiters_of_another_kind_do_not_eat_a_notify),
};

T_MAIN(tests, NULL)
