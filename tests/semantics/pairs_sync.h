/* SPDX-License-Identifier: MIT */
#ifndef PAIRS_SYNC_H
#define PAIRS_SYNC_H
/* Rows of the enumerator: locks and their kin, queues. */
#include "pairs.h"

static void enter(struct scene *s)
{
    T_EXPECT_INT(atomic_fetch_add(&s->inside, 1), 0);
}

static void go_out(struct scene *s)
{
    T_EXPECT_INT(atomic_fetch_add(&s->inside, -1), 1);
}

/* ---- lock ---- */

static void lock_set_up(struct scene *s)
{
    T_EXPECT_INT(skua_lock_acquire(&s->lock), 0);
}

static int lock_wait(struct scene *s, int who, double timeout)
{
    int r = skua_lock_acquire(&s->lock);
    if (r == 0)
        enter(s);
    return r;
}

static void lock_leave(struct scene *s, int who)
{
    go_out(s);
    T_EXPECT_INT(skua_lock_release(&s->lock), 0);
}

static void lock_grant(struct scene *s)
{
    if (first(s))
        T_EXPECT_INT(skua_lock_release(&s->lock), 0);
}

static void lock_check(struct scene *s)
{
    T_EXPECT_INT(s->r[RIVAL], 0);
    T_EXPECT_INT(skua_lock_try_acquire(&s->lock), 0);
    T_EXPECT(s->rival_early || s->grants == 0);
}

/* ---- event ---- */

static int event_wait(struct scene *s, int who, double timeout)
{
    return skua_event_wait(&s->event);
}

static void event_grant(struct scene *s)
{
    skua_event_set(&s->event);
    skua_event_clear(&s->event); /* who waited is woken all the same */
}

static void event_finish(struct scene *s)
{
    skua_event_set(&s->event);
}

static void event_check(struct scene *s)
{
    T_EXPECT_INT(s->r[RIVAL], 0);
    T_EXPECT(s->rival_early == (s->grants > 0));
}

/* ---- condition ---- */

static void cond_set_up(struct scene *s)
{
    s->cond = (skua_cond)SKUA_COND_INIT(&s->lock);
}

static int cond_wait(struct scene *s, int who, double timeout)
{
    int r = skua_lock_acquire(&s->lock);
    if (r < 0)
        return r;
    r = skua_cond_wait(&s->cond);
    enter(s); /* it is held whatever the result */
    go_out(s);
    T_EXPECT_INT(skua_lock_release(&s->lock), 0);
    return r;
}

static void *notify_one(void *scene)
{
    struct scene *s = scene;
    T_EXPECT_INT(skua_lock_acquire(&s->lock), 0);
    T_EXPECT_INT(skua_cond_notify(&s->cond, 1), 0);
    T_EXPECT_INT(skua_lock_release(&s->lock), 0);
    return NULL;
}

static void cond_grant(struct scene *s)
{
    add_helper(s, notify_one);
}

static void cond_finish(struct scene *s)
{
    T_EXPECT_INT(skua_lock_acquire(&s->lock), 0);
    T_EXPECT_INT(skua_cond_notify_all(&s->cond), 0);
    T_EXPECT_INT(skua_lock_release(&s->lock), 0);
}

static void cond_check(struct scene *s)
{
    T_EXPECT_INT(s->r[RIVAL], 0);
    T_EXPECT_INT(skua_lock_try_acquire(&s->lock), 0);
    if (s->grants > 0) /* each notify reaches somebody; waking for no reason is allowed */
        T_EXPECT(s->rival_early || (s->r[WAITER] == 0 && s->grants == 1));
}

/* ---- semaphores ---- */

static void sem_set_up(struct scene *s)
{
    s->sem = (skua_semaphore)SKUA_SEMAPHORE_INIT(0);
}

static int sem_wait_(struct scene *s, int who, double timeout)
{
    return skua_semaphore_acquire(&s->sem);
}

static void sem_grant(struct scene *s)
{
    T_EXPECT_INT(skua_semaphore_release(&s->sem), 0);
}

static void sem_finish(struct scene *s)
{
    if (!s->rival_early)
        sem_grant(s);
}

static void sem_check(struct scene *s)
{
    int left = 0;
    while (skua_semaphore_try_acquire(&s->sem) == 0)
        left++;
    check_passed_on(s, s->grants);
    T_EXPECT_INT(s->r[RIVAL], 0);
    T_EXPECT_INT(left + 1 + (s->r[WAITER] == 0), s->grants + !s->rival_early);
}

static void bounded_set_up(struct scene *s)
{
    s->sem = (skua_semaphore)SKUA_BOUNDED_SEMAPHORE_INIT(1);
    T_EXPECT_INT(skua_semaphore_acquire(&s->sem), 0);
}

static int bounded_wait(struct scene *s, int who, double timeout)
{
    int r = skua_semaphore_acquire(&s->sem);
    if (r == 0)
        enter(s);
    return r;
}

static void bounded_leave(struct scene *s, int who)
{
    go_out(s);
    T_EXPECT_INT(skua_semaphore_release(&s->sem), 0);
}

static void bounded_grant(struct scene *s)
{
    if (first(s))
        T_EXPECT_INT(skua_semaphore_release(&s->sem), 0);
}

static void bounded_check(struct scene *s)
{
    T_EXPECT_INT(s->r[RIVAL], 0);
    T_EXPECT(s->rival_early || s->grants == 0);
    T_EXPECT_INT(skua_semaphore_release(&s->sem), -EOVERFLOW);
    T_EXPECT_INT(skua_semaphore_try_acquire(&s->sem), 0);
    T_EXPECT_INT(skua_semaphore_try_acquire(&s->sem), -EBUSY);
}

/* ---- barrier ---- */

static void barrier_set_up(struct scene *s)
{
    s->barrier = (skua_barrier)SKUA_BARRIER_INIT(2);
}

/* The index is looked at here: a wait that was granted gives 0. */
static int barrier_wait(struct scene *s, int who, double timeout)
{
    int r = skua_barrier_wait(&s->barrier);
    T_EXPECT(r < 2);
    if (r >= 0)
        atomic_fetch_add(&s->runs, 1 + r);
    return r < 0 ? r : 0;
}

static void *meet(void *scene)
{
    struct scene *s = scene;
    int r = skua_barrier_wait(&s->barrier);
    T_EXPECT(r >= 0 ? r < 2 : r == -EPIPE);
    if (r >= 0) {
        atomic_fetch_add(&s->runs, 1 + r);
        atomic_fetch_add(&s->helper_ok, 1);
    }
    return NULL;
}

static void *reset(void *scene)
{
    struct scene *s = scene;
    T_EXPECT_INT(skua_barrier_reset(&s->barrier), 0);
    return NULL;
}

static void barrier_grant(struct scene *s)
{
    add_helper(s, meet);
}

static void barrier_close(struct scene *s)
{
    add_helper(s, reset);
}

static void barrier_finish(struct scene *s)
{
    T_EXPECT_INT(skua_barrier_reset(&s->barrier), 0);
}

static void barrier_check(struct scene *s)
{
    int through = s->helper_ok + (s->r[WAITER] == 0);
    /* nobody meets alone; but a reset may come between the first and the last to leave */
    T_EXPECT(s->r[WAITER] < 0 || s->helper_ok > 0 || s->closes > 0);
    if (through == 2)
        T_EXPECT_INT(s->runs, 1 + 2); /* one got 0, the other 1 */
    T_EXPECT_INT(skua_barrier_waiting(&s->barrier), 0);
}

/* ---- reader-writer lock: the waiter reads and the rival writes, or the other way round ---- */

static void reader_set_up(struct scene *s)
{
    T_EXPECT_INT(skua_rwlock_acquire_write(&s->rwlock), 0);
}

static void writer_set_up(struct scene *s)
{
    T_EXPECT_INT(skua_rwlock_acquire_read(&s->rwlock), 0);
}

static int rw_wait(struct scene *s, bool reads)
{
    int r = reads ? skua_rwlock_acquire_read(&s->rwlock) : skua_rwlock_acquire_write(&s->rwlock);
    if (r == 0)
        enter(s);
    return r;
}

static void rw_leave(struct scene *s, bool reads)
{
    go_out(s);
    T_EXPECT_INT(reads ? skua_rwlock_release_read(&s->rwlock)
                       : skua_rwlock_release_write(&s->rwlock), 0);
}

static int reader_wait(struct scene *s, int who, double timeout)
{
    return rw_wait(s, who == WAITER);
}

static int writer_wait(struct scene *s, int who, double timeout)
{
    return rw_wait(s, who != WAITER);
}

static void reader_leave(struct scene *s, int who)
{
    rw_leave(s, who == WAITER);
}

static void writer_leave(struct scene *s, int who)
{
    rw_leave(s, who != WAITER);
}

static void reader_grant(struct scene *s)
{
    if (first(s))
        T_EXPECT_INT(skua_rwlock_release_write(&s->rwlock), 0);
}

static void writer_grant(struct scene *s)
{
    if (first(s))
        T_EXPECT_INT(skua_rwlock_release_read(&s->rwlock), 0);
}

static void reader_check(struct scene *s)
{
    T_EXPECT_INT(s->r[RIVAL], 0);
    T_EXPECT_INT(skua_rwlock_release_write(&s->rwlock), -EPERM);
    T_EXPECT_INT(skua_rwlock_release_read(&s->rwlock), -EPERM);
    T_EXPECT_INT(skua_rwlock_acquire_write(&s->rwlock), 0); /* free: it does not wait */
    T_EXPECT_INT(skua_rwlock_release_write(&s->rwlock), 0);
}

static void writer_check(struct scene *s)
{
    /* a rival that reads goes in beside the reader there is once the writer between them left */
    T_EXPECT(s->rival_early);
    reader_check(s);
}

/* ---- once ---- */

static int run_and_wait(void *scene)
{
    struct scene *s = scene;
    int r = skua_event_wait(&s->event);
    atomic_fetch_add(&s->runs, r == 0);
    return r;
}

static int run_and_fail(void *scene)
{
    struct scene *s = scene;
    int r = skua_event_wait(&s->event);
    return r < 0 ? r : -EIO;
}

static int run_at_once(void *scene)
{
    struct scene *s = scene;
    atomic_fetch_add(&s->runs, 1);
    return 0;
}

static void *run_first(void *scene)
{
    struct scene *s = scene;
    T_EXPECT_INT(skua_once_run(&s->once, run_and_wait, s), 0);
    return NULL;
}

static void *fail_first(void *scene)
{
    struct scene *s = scene;
    T_EXPECT_INT(skua_once_run(&s->once, run_and_fail, s), -EIO);
    return NULL;
}

static void once_set_up(struct scene *s)
{
    add_helper(s, run_first);
    T_EXPECT_INT(skua_sleep(0.25), 0);
}

static void once_failing_set_up(struct scene *s)
{
    add_helper(s, fail_first);
    T_EXPECT_INT(skua_sleep(0.25), 0);
}

static int once_wait(struct scene *s, int who, double timeout)
{
    return skua_once_run(&s->once, run_at_once, s);
}

static void once_check(struct scene *s)
{
    T_EXPECT_INT(s->r[RIVAL], 0);
    T_EXPECT_INT(s->runs, 1);
    T_EXPECT(s->rival_early == (s->grants > 0));
}

/* ---- queues ---- */

static int by_address(const void *a, const void *b)
{
    return (a > b) - (a < b);
}

static void fifo_set_up(struct scene *s)
{
    s->queue = (skua_queue)SKUA_QUEUE_INIT(1);
}

static void lifo_set_up(struct scene *s)
{
    s->queue = (skua_queue)SKUA_LIFO_QUEUE_INIT(1);
}

static void priority_set_up(struct scene *s)
{
    s->queue = (skua_queue)SKUA_PRIORITY_QUEUE_INIT(1, by_address);
}

static int get_wait(struct scene *s, int who, double timeout)
{
    return skua_queue_get(&s->queue, &s->item[who], timeout);
}

static void get_grant(struct scene *s)
{
    int n = atomic_fetch_add(&s->runs, 1) + 1;
    if (skua_queue_put_nowait(&s->queue, T_PTR(n)) == 0)
        atomic_fetch_add(&s->helper_ok, 1);
}

static void queue_close(struct scene *s)
{
    T_EXPECT_INT(skua_queue_shutdown(&s->queue, false), 0);
}

static void get_check(struct scene *s)
{
    void *item = NULL;
    int in = s->helper_ok, out = 0;
    bool seen[3] = { false };
    for (int who = WAITER; who <= RIVAL; who++)
        if (s->r[who] == 0 && T_EXPECT(!seen[T_NUM(s->item[who])]))
            seen[T_NUM(s->item[who])] = ++out > 0;
    if (s->closes == 0)
        T_EXPECT_INT(s->rival_early, in - (s->r[WAITER] == 0) >= 1);
    while (skua_queue_get_nowait(&s->queue, &item) == 0 && T_EXPECT(!seen[T_NUM(item)]))
        seen[T_NUM(item)] = ++out > 0;
    T_EXPECT_INT(out, in);
    skua_queue_fini(&s->queue);
}

static void put_fifo_set_up(struct scene *s)
{
    fifo_set_up(s);
    T_EXPECT_INT(skua_queue_put_nowait(&s->queue, T_PTR(3)), 0);
}

static void put_lifo_set_up(struct scene *s)
{
    lifo_set_up(s);
    T_EXPECT_INT(skua_queue_put_nowait(&s->queue, T_PTR(3)), 0);
}

static void put_priority_set_up(struct scene *s)
{
    priority_set_up(s);
    T_EXPECT_INT(skua_queue_put_nowait(&s->queue, T_PTR(3)), 0);
}

static int put_wait(struct scene *s, int who, double timeout)
{
    return skua_queue_put(&s->queue, T_PTR(1 + who), timeout);
}

/* `runs` collects what came out, a digit for each. */
static bool take_out(struct scene *s)
{
    void *item = NULL;
    if (skua_queue_get_nowait(&s->queue, &item) < 0)
        return false;
    int digit = 1;
    for (int n = T_NUM(item); n > 1; n--)
        digit *= 10;
    atomic_fetch_add(&s->runs, digit);
    return true;
}

static void put_grant(struct scene *s)
{
    if (take_out(s))
        atomic_fetch_add(&s->helper_ok, 1);
}

static void put_check(struct scene *s)
{
    if (s->closes == 0) /* room that the waiter did not use */
        T_EXPECT_INT(s->rival_early, s->helper_ok - (s->r[WAITER] == 0) >= 1);
    while (take_out(s))
        continue;
    T_EXPECT_INT(s->runs, 100 + (s->r[WAITER] == 0) + 10 * (s->r[RIVAL] == 0));
    skua_queue_fini(&s->queue);
}

#define QUEUE_ROWS(kind)                                                                       \
    { .name = "get from " #kind, .set_up = kind##_set_up, .wait = get_wait,                    \
      .grant = get_grant, .close = queue_close, .closed = -EPIPE, .finish = queue_close,       \
      .check = get_check, .has_rival = true },                                                 \
    { .name = "get from " #kind ", its timeout", .set_up = kind##_set_up, .wait = get_wait,    \
      .grant = get_grant, .close = queue_close, .closed = -EPIPE, .finish = queue_close,       \
      .check = get_check, .has_rival = true, .has_timer = true },                              \
    { .name = "put into " #kind, .set_up = put_##kind##_set_up, .wait = put_wait,              \
      .grant = put_grant, .close = queue_close, .closed = -EPIPE, .finish = queue_close,       \
      .check = put_check, .has_rival = true },                                                 \
    { .name = "put into " #kind ", its timeout", .set_up = put_##kind##_set_up,                \
      .wait = put_wait, .grant = put_grant, .close = queue_close, .closed = -EPIPE,            \
      .finish = queue_close, .check = put_check, .has_rival = true, .has_timer = true }

static const struct row sync_rows[] = {
    { .name = "lock", .set_up = lock_set_up, .wait = lock_wait, .leave = lock_leave,
      .grant = lock_grant, .finish = lock_grant, .check = lock_check, .has_rival = true },
    { .name = "event", .wait = event_wait, .grant = event_grant, .finish = event_finish,
      .check = event_check, .has_rival = true },
    { .name = "condition", .set_up = cond_set_up, .wait = cond_wait, .grant = cond_grant,
      .finish = cond_finish, .check = cond_check, .has_rival = true, .is_far = true },
    { .name = "semaphore", .set_up = sem_set_up, .wait = sem_wait_, .grant = sem_grant,
      .finish = sem_finish, .check = sem_check, .has_rival = true },
    { .name = "bounded semaphore", .set_up = bounded_set_up, .wait = bounded_wait,
      .leave = bounded_leave, .grant = bounded_grant, .finish = bounded_grant,
      .check = bounded_check, .has_rival = true },
    { .name = "barrier", .set_up = barrier_set_up, .wait = barrier_wait, .grant = barrier_grant,
      .close = barrier_close, .closed = -EPIPE, .finish = barrier_finish,
      .check = barrier_check, .is_far = true },
    { .name = "rwlock, reader", .set_up = reader_set_up, .wait = reader_wait,
      .leave = reader_leave, .grant = reader_grant, .finish = reader_grant,
      .check = reader_check, .has_rival = true },
    { .name = "rwlock, writer", .set_up = writer_set_up, .wait = writer_wait,
      .leave = writer_leave, .grant = writer_grant, .finish = writer_grant,
      .check = writer_check, .has_rival = true },
    { .name = "once", .set_up = once_set_up, .wait = once_wait, .grant = event_finish,
      .finish = event_finish, .check = once_check, .has_rival = true, .is_far = true },
    { .name = "once that fails", .set_up = once_failing_set_up, .wait = once_wait,
      .grant = event_finish, .finish = event_finish, .check = once_check, .has_rival = true,
      .is_far = true },
};

static const struct row queue_rows[] = {
    QUEUE_ROWS(fifo), QUEUE_ROWS(lifo), QUEUE_ROWS(priority),
};

#endif
