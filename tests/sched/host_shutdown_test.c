/* SPDX-License-Identifier: MIT */
/* Goal: a runtime inside a host with threads of its own stops cleanly while they keep calling in:
 * each call works or answers -ESHUTDOWN, every task that was accepted ends, nothing is left.
 * Method: five threads hammer one loop while its own thread runs and closes it, many times. */
#include "scale.h"
#include "t.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/mem.h"

enum { ROUNDS = T_SCALE(150, 10), KEPT = 64 };

struct host {
    skua_loop *loop;
    atomic_bool over;
    atomic_int spawned, ended, dropped, refused, posted, waiting;
    _Atomic(skua_future *) future[KEPT]; /* made by tasks, taken by threads */
    _Atomic(skua_task *) task[KEPT];
    _Atomic(uint64_t) handle[KEPT];
};

static void nothing(void *arg)
{
    (void)arg;
}

static void count_drop(void *arg)
{
    struct host *h = arg;
    atomic_fetch_add(&h->dropped, 1);
}

static void count_done(skua_task *task, void *arg)
{
    (void)arg;
    T_EXPECT(skua_done(task));
}

/* Leaves things for the threads to reach for: a future with waiters and callbacks, a handle. */
static void *visit(void *arg)
{
    struct host *h = arg;
    int          n = atomic_fetch_add(&h->posted, 1) % KEPT;
    skua_future *f = skua_future_new();
    skua_handle  later = skua_call_later(n % 2 ? 0.0001 : 100, nothing, NULL);
    int          r = 0;
    if (f) {
        SKUA_IGNORE(skua_add_done_callback(f, count_done, NULL));
        skua_release(atomic_exchange(&h->future[n], skua_retain(f)));
        atomic_store(&h->handle[n], later.id);
        skua_timeout limit;
        if (skua_timeout_enter(&limit, 0.002) == 0)
            r = skua_timeout_exit(&limit, skua_await(f, NULL));
        skua_release(f);
    }
    atomic_fetch_add(&h->ended, 1);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *spawns(void *arg)
{
    struct host *h = arg;
    for (int n = 0; !atomic_load(&h->over); n++) {
        int        err = 0;
        skua_task *t = skua_spawn_threadsafe(h->loop, visit, h, .drop = count_drop,
                                             .ret_err = &err);
        if (t) {
            atomic_fetch_add(&h->spawned, 1);
            skua_release(atomic_exchange(&h->task[n % KEPT], t));
        } else {
            T_EXPECT_INT(err, -ESHUTDOWN);
            atomic_fetch_add(&h->refused, 1);
        }
        if (n % 8 == 0)
            t_nap(0.0001);
    }
    return NULL;
}

static void *posts(void *arg)
{
    struct host *h = arg;
    while (!atomic_load(&h->over)) {
        int r = skua_call_soon_threadsafe(h->loop, nothing, NULL);
        T_EXPECT(r == 0 || r == -ESHUTDOWN);
        atomic_fetch_add(&h->refused, r < 0);
        t_nap(0.00002);
    }
    return NULL;
}

static void *sets(void *arg)
{
    struct host *h = arg;
    for (int n = 0; !atomic_load(&h->over); n++) {
        skua_future *f = atomic_exchange(&h->future[n % KEPT], NULL);
        SKUA_IGNORE(n % 5 ? skua_future_set_result(f, NULL) : skua_future_set_error(f, -EIO));
        skua_release(f);
        skua_handle_cancel((skua_handle){ atomic_exchange(&h->handle[n % KEPT], 0) });
        if (n % KEPT == 0)
            t_nap(0.0003);
    }
    return NULL;
}

static void *waits(void *arg)
{
    struct host *h = arg;
    for (int n = 0; !atomic_load(&h->over); n++) {
        skua_task *t = atomic_exchange(&h->task[n % KEPT], NULL);
        if (t) {
            int r = skua_wait_blocking(t, 60, NULL);
            T_EXPECT(r == 0 || r == -EIO || r == -ETIMEDOUT || r == -ECANCELED || r == -ESHUTDOWN);
            T_EXPECT(skua_done(t));
            atomic_fetch_add(&h->waiting, 1);
        } else if (n % KEPT == 0) {
            t_nap(0.0003);
        }
        skua_release(t);
    }
    return NULL;
}

static void *cancels(void *arg)
{
    struct host *h = arg;
    for (int n = 0; !atomic_load(&h->over); n++) {
        skua_task *t = atomic_exchange(&h->task[n % KEPT], NULL);
        (void)skua_cancel(t, n % 3 ? NULL : "from the host");
        skua_loop_stop(n % 1000 == 0 ? h->loop : NULL);
        skua_release(t);
        if (n % KEPT == 0)
            t_nap(0.0003);
    }
    return NULL;
}

static void release_kept(struct host *h)
{
    for (int i = 0; i < KEPT; i++) {
        skua_release(atomic_exchange(&h->future[i], NULL));
        skua_release(atomic_exchange(&h->task[i], NULL));
    }
}

static void stop(void *loop)
{
    skua_loop_stop(loop);
}

static void one_round(int round, int workers)
{
    static void *(*const body[])(void *) = { spawns, posts, sets, waits, cancels, spawns };
    enum { THREADS = sizeof body / sizeof body[0] };
    static struct host h;
    pthread_t          thread[THREADS];
    h = (struct host){ .loop = skua_loop_new(.workers = workers) };
    assert_non_null(h.loop);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, body[i], &h), 0);
    double until = t_wall() + 0.002 * (round % 4);
    do {
        assert_int_equal(skua_call_soon_threadsafe(h.loop, stop, h.loop), 0);
        assert_int_equal(skua_loop_run_forever(h.loop), 0);
    } while (t_wall() < until);
    assert_int_equal(skua_loop_close(h.loop), 0);
    for (int i = 0; i < 100 && round % 2; i++) /* they go on calling for a while */
        t_nap(0.00002);
    atomic_store(&h.over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    release_kept(&h);
    t_check();
    assert_int_equal(atomic_load(&h.ended) + atomic_load(&h.dropped), atomic_load(&h.spawned));
}

static void test_host_threads_call_while_the_runtime_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++) /* closed loops are kept for a while */
        one_round(4 * i, 1);
    int64_t live = rt_mem_live();
    for (int i = 0; i < ROUNDS; i++)
        one_round(i, 1 << i % 3);
    assert_int_equal(rt_mem_live(), live);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_host_threads_call_while_the_runtime_ends),
};
T_MAIN(tests, NULL)
