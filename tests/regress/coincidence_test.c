/* SPDX-License-Identifier: MIT */
/* What most of the bugs in this folder are made of: a waiter is given what it waits for and is
 * cancelled, or its time is up, at the same moment. Here each primitive meets each pair of these
 * three in each order, at once and some trips apart; afterwards what was given is the waiter's, or
 * there for somebody else. */
#include "../support/t.h"

#include <math.h>

/* One waiter and what it waits for. */
struct scene {
    skua_lock lock;
    skua_cond cond;
    skua_semaphore permits;
    skua_rwlock rw;
    skua_queue items, room;
    skua_future *future;
    skua_task *second; /* of a condition: the one that hears of a notify that was not used */
    const struct primitive *what;
    double limit;      /* INFINITY: none */
    int result;
};

struct primitive {
    const char *name;
    void (*begin)(struct scene *s); /* before there is a waiter */
    int (*wait)(struct scene *s);
    void (*give)(struct scene *s);
    void (*check)(struct scene *s, bool given); /* once the waiter has ended */
};

/* ---- the primitives ---- */

static void lock_begin(struct scene *s)
{
    T_EXPECT_INT(skua_lock_acquire(&s->lock), 0);
}

static int lock_wait(struct scene *s)
{
    return skua_lock_acquire(&s->lock);
}

static void lock_give(struct scene *s)
{
    T_EXPECT_INT(skua_lock_release(&s->lock), 0);
}

static void lock_check(struct scene *s, bool given)
{
    bool is_free = given && s->result != 0;
    T_EXPECT_INT(skua_lock_try_acquire(&s->lock), is_free ? 0 : -EBUSY);
}

static void nothing(struct scene *s)
{
    (void)s;
}

static int permit_wait(struct scene *s)
{
    return skua_semaphore_acquire(&s->permits);
}

static void permit_give(struct scene *s)
{
    T_EXPECT_INT(skua_semaphore_release(&s->permits), 0);
}

static void permit_check(struct scene *s, bool given)
{
    T_EXPECT_INT(skua_semaphore_try_acquire(&s->permits), given && s->result != 0 ? 0 : -EBUSY);
}

static void write_begin(struct scene *s)
{
    T_EXPECT_INT(skua_rwlock_acquire_read(&s->rw), 0);
}

static int write_wait(struct scene *s)
{
    return skua_rwlock_acquire_write(&s->rw);
}

static void write_give(struct scene *s)
{
    T_EXPECT_INT(skua_rwlock_release_read(&s->rw), 0);
}

static void write_check(struct scene *s, bool given)
{
    T_EXPECT_INT(skua_rwlock_release_write(&s->rw), s->result == 0 ? 0 : -EPERM);
    T_EXPECT_INT(skua_rwlock_release_read(&s->rw), given ? -EPERM : 0);
}

static int item_wait(struct scene *s)
{
    void *item = NULL;
    int r = skua_queue_get(&s->items, &item, INFINITY);
    T_EXPECT_INT(T_NUM(item), r == 0 ? 5 : 0);
    return r;
}

static void item_give(struct scene *s)
{
    T_EXPECT_INT(skua_queue_put_nowait(&s->items, T_PTR(5)), 0);
}

static void item_check(struct scene *s, bool given)
{
    T_EXPECT_INT(skua_queue_size(&s->items), given && s->result != 0);
}

static void room_begin(struct scene *s)
{
    T_EXPECT_INT(skua_queue_put_nowait(&s->room, T_PTR(1)), 0);
}

static int room_wait(struct scene *s)
{
    return skua_queue_put(&s->room, T_PTR(2), INFINITY);
}

static void room_give(struct scene *s)
{
    T_EXPECT_INT(skua_queue_get_nowait(&s->room, NULL), 0);
}

static void room_check(struct scene *s, bool given)
{
    void *item = NULL;
    bool is_in = skua_queue_get_nowait(&s->room, &item) == 0;
    T_EXPECT_INT(T_NUM(item), !is_in ? 0 : given ? 2 : 1);
    T_EXPECT_INT(is_in, !given || s->result == 0);
}

static void *hear(void *arg)
{
    struct scene *s = arg;
    int r = skua_lock_acquire(&s->lock);
    if (r == 0) {
        r = skua_cond_wait(&s->cond);
        T_EXPECT_INT(skua_lock_release(&s->lock), 0);
    }
    return r < 0 ? skua_fail(r) : NULL;
}

static int notify_wait(struct scene *s)
{
    int r = skua_lock_acquire(&s->lock);
    if (r < 0)
        return r;
    s->second = skua_spawn(hear, s); /* waits behind this one */
    r = skua_cond_wait(&s->cond);
    T_EXPECT_INT(skua_lock_release(&s->lock), 0);
    return r;
}

static void notify_give(struct scene *s)
{
    T_EXPECT_INT(skua_lock_acquire(&s->lock), 0);
    T_EXPECT_INT(skua_cond_notify(&s->cond, 1), 0);
    T_EXPECT_INT(skua_lock_release(&s->lock), 0);
}

static void notify_check(struct scene *s, bool given)
{
    if (!s->second)
        return; /* cancelled before it began to wait */
    double end = skua_loop_time() + 0.001;
    while (!skua_done(s->second) && skua_loop_time() < end)
        SKUA_IGNORE(skua_sleep(1e-4));
    if (given && s->result != 0)
        T_EXPECT(skua_done(s->second) && skua_error(s->second) == 0);
    if (s->result == 0)
        T_EXPECT(!skua_done(s->second)); /* one notify, one waiter */
    skua_cancel(s->second, NULL);
    SKUA_IGNORE(skua_join(s->second, NULL));
    T_EXPECT(!skua_lock_locked(&s->lock));
}

static int future_wait(struct scene *s)
{
    void *value = NULL;
    int r = skua_await(s->future, &value);
    T_EXPECT_INT(T_NUM(value), r == 0 ? 9 : 0);
    return r;
}

static void future_give(struct scene *s)
{
    bool first = skua_future_set_result(s->future, T_PTR(9));
    T_EXPECT(first || skua_cancelled(s->future));
}

static void future_check(struct scene *s, bool given)
{
    (void)given;
    T_EXPECT(skua_done(s->future));
    if (s->result == 0)
        T_EXPECT_INT(skua_error(s->future), 0);
}

static const struct primitive primitives[] = {
    { "lock", lock_begin, lock_wait, lock_give, lock_check },
    { "semaphore", nothing, permit_wait, permit_give, permit_check },
    { "rwlock", write_begin, write_wait, write_give, write_check },
    { "queue, get", nothing, item_wait, item_give, item_check },
    { "queue, put", room_begin, room_wait, room_give, room_check },
    { "condition", nothing, notify_wait, notify_give, notify_check },
    { "future", nothing, future_wait, future_give, future_check },
};

/* ---- the scenes ---- */

static void *waiter(void *arg)
{
    struct scene *s = arg;
    skua_timeout limit;
    s->result = skua_timeout_enter(&limit, s->limit);
    T_EXPECT_INT(s->result, 0);
    s->result = skua_timeout_exit(&limit, s->what->wait(s));
    return s->result < 0 ? skua_fail(s->result) : NULL;
}

enum event { GIVE, CANCEL, EXPIRE };

/* The limit of the waiter passes by itself, at `moment`: for that nothing is to be done. */
static void happen(enum event event, struct scene *s, skua_task *t)
{
    if (event == GIVE)
        s->what->give(s);
    if (event == CANCEL)
        skua_cancel(t, NULL);
}

struct coincidence {
    enum event first, second;
    int yields;      /* between the two */
    bool main_first; /* its timer is older than that of the waiter's limit */
    bool is_free;
};

static void play(const struct primitive *what, const struct coincidence *c)
{
    struct scene s = { SKUA_LOCK_INIT, SKUA_COND_INIT(&s.lock), SKUA_SEMAPHORE_INIT(0),
                       SKUA_RWLOCK_INIT, SKUA_QUEUE_INIT(0), SKUA_QUEUE_INIT(1),
                       skua_future_new(), NULL, what, INFINITY, 1 };
    bool expires = c->first == EXPIRE || c->second == EXPIRE;
    bool given = c->first == GIVE || c->second == GIVE;
    double moment = skua_loop_time() + 1;
    s.limit = expires ? 1 : INFINITY;
    what->begin(&s);
    skua_task *t = c->is_free ? skua_go(waiter, &s) : skua_spawn(waiter, &s);
    if (!c->main_first)
        t_yield_times(3);
    T_EXPECT_INT(skua_sleep_until(moment), 0);
    happen(c->first, &s, t);
    t_yield_times(c->yields);
    happen(c->second, &s, t);
    int r = skua_await(t, NULL);
    T_EXPECT_INT(r, s.result);
    T_EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
    T_EXPECT(r != -ETIMEDOUT || expires);
    what->check(&s, given);
    if (t_failures() > 0)
        t_log("%s(%d,%d,%d,%d,%d)=%d", what->name, c->first, c->second, c->yields, c->main_first,
              c->is_free, r);
    skua_release(t);
    skua_release(s.future);
    skua_queue_fini(&s.items);
    skua_queue_fini(&s.room);
}

static void *pairs_main(void *arg)
{
    static const enum event pairs[][2] = { { GIVE, CANCEL }, { CANCEL, GIVE }, { GIVE, EXPIRE },
                                           { EXPIRE, GIVE }, { CANCEL, EXPIRE },
                                           { EXPIRE, CANCEL }, { CANCEL, CANCEL } };
    const struct primitive *what = arg;
    for (size_t pair = 0; pair < sizeof pairs / sizeof pairs[0]; pair++)
        for (int i = 0; i < 4 * 2 * 2 && t_failures() == 0; i++)
            play(what, &(struct coincidence){ pairs[pair][0], pairs[pair][1], i / 4, i % 2,
                                              i / 2 % 2 });
    return NULL;
}

static void what_is_given_is_the_waiters_or_somebody_elses(void **state)
{
    /* Goal: the waiter pinned or free, main pinned or free. */
    (void)state;
    for (size_t i = 0; i < sizeof primitives / sizeof primitives[0]; i++) {
        t_run(pairs_main, (void *)(uintptr_t)&primitives[i]);
        t_run(pairs_main, (void *)(uintptr_t)&primitives[i], .free_main = true);
    }
    t_check_log("");
}

static const struct CMUnitTest tests[] = {
    T_TEST(what_is_given_is_the_waiters_or_somebody_elses),
};

T_MAIN(tests, NULL)
