/* SPDX-License-Identifier: MIT */
/* Goal: runtimes come and go without leaving anything: memory, descriptors and threads are as
 * before; several live side by side; a loop can be run again and again and stopped from
 * anywhere. */
#include "process.h"
#include "scale.h"
#include "t.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "sched/worker.h"

enum { RESTARTS = T_SCALE(2000, 200) };

static int count_epolls(void)
{
    DIR           *d = opendir("/proc/self/fd");
    struct dirent *e;
    int            n = 0;
    while (d && (e = readdir(d)) != NULL) {
        char path[300], to[64];
        snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
        ssize_t len = readlink(path, to, sizeof to - 1);
        if (len < 0)
            continue;
        to[len] = '\0';
        n += strstr(to, "[eventpoll]") != NULL;
    }
    closedir(d);
    return n;
}

static void *some_work(void *arg)
{
    skua_task *t[4];
    for (int i = 0; i < 4; i++)
        t[i] = i % 2 ? skua_go(t_yielder, T_PTR(i))
                     : skua_spawn(t_yielder, T_PTR(i), .name = "named");
    T_EXPECT_INT(skua_gather(t, 4, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_restart_leaves_nothing(void **state)
{
    for (int i = 0; i < 100; i++) /* closed loops are kept for a while */
        t_run(some_work, NULL, .workers = 1 + i % 4, .real_time = true);
    struct t_holdings before = t_holdings();
    long              kib = t_resident_kib();
    for (int i = 0; i < RESTARTS; i++)
        t_run(some_work, NULL, .workers = 1 + i % 4, .real_time = true);
    t_holds_the_same(before);
    long grown = t_resident_kib() - kib;
    if (!T_EMULATED && grown > T_SCALE(4096, 65536)) /* qemu-user keeps some of each thread */
        fail_msg("resident memory grew by %ld KiB", grown);
}

static void *count_my_epolls(void *before)
{
    return T_PTR(count_epolls() - T_NUM(before));
}

static void test_workers_have_an_epoll_each(void **state)
{
    for (int workers = 1; workers <= 8; workers *= 2)
        t_run(count_my_epolls, T_PTR(count_epolls()), .workers = workers,
              .want_value = T_PTR(workers), .real_time = true);
    assert_int_equal(count_epolls(), 0);
}

/* --- side by side --- */

static void *many_runs(void *arg)
{
    for (int i = 0; i < RESTARTS / 20; i++) {
        void *value = NULL;
        T_EXPECT_INT(skua_run(some_work, T_PTR(i), .workers = T_NUM(arg), .result = &value), 0);
        T_EXPECT_INT(T_NUM(value), i);
    }
    return NULL;
}

static void test_two_runtimes_at_once(void **state)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_runs, T_PTR(1 + i)), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    t_check();
}

/* A task of one runtime waits for a future that the other one sets. */
struct meeting {
    RT_ATOMIC(skua_future *) future;
    RT_ATOMIC(int)           over;
};

static void *attend(void *arg)
{
    struct meeting *m = arg;
    void           *value = NULL;
    skua_future    *f = skua_future_new();
    rt_store_release(&m->future, f);
    T_EXPECT_INT(skua_await(f, &value), 0);
    T_EXPECT_INT(T_NUM(value), 77);
    rt_store_release(&m->over, 1);
    return NULL;
}

static void *call_in(void *arg)
{
    struct meeting *m = arg;
    skua_future    *f;
    while (!(f = rt_load_acquire(&m->future)))
        T_EXPECT_INT(skua_sleep(0.001), 0);
    T_EXPECT(skua_future_set_result(f, T_PTR(77)));
    while (!rt_load_acquire(&m->over))
        T_EXPECT_INT(skua_sleep(0.001), 0);
    skua_release(f);
    return NULL;
}

static void *run_call_in(void *arg)
{
    T_EXPECT_INT(skua_run(call_in, arg, .workers = 2), 0);
    return NULL;
}

static void test_runtimes_meet_at_a_future(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct meeting m = { .future = NULL };
        pthread_t      thread;
        assert_int_equal(pthread_create(&thread, NULL, run_call_in, &m), 0);
        t_run(attend, &m, .workers = 1 + i % 2, .free_main = i % 3 == 0, .real_time = true);
        pthread_join(thread, NULL);
    }
}

static void test_run_inside_a_task_is_refused(void **state)
{
    assert_int_equal(skua_run(NULL, NULL), -EINVAL);
    assert_int_equal(skua_run(some_work, NULL, .workers = -1), -EINVAL);
    assert_int_equal(skua_run(some_work, NULL, .workers = 100000), -EINVAL);
    assert_int_equal(skua_run(some_work, NULL, .simulate = true), -ENOTSUP);
}

/* --- one loop, many runs --- */

static void test_loop_runs_again_and_again(void **state)
{
    int64_t    live = rt_mem_live();
    int        fds = t_fds();
    skua_loop *loop = skua_loop_new(.workers = 2);
    assert_non_null(loop);
    for (int i = 0; i < 500; i++) {
        void      *value = NULL;
        skua_task *t = skua_spawn_threadsafe(loop, some_work, T_PTR(i));
        assert_non_null(t);
        assert_int_equal(skua_loop_run_until_complete(loop, t, &value), 0);
        assert_int_equal(T_NUM(value), i);
        skua_release(t);
    }
    assert_int_equal(skua_loop_close(loop), 0);
    assert_int_equal(skua_loop_close(loop), 0);
    assert_int_equal(skua_loop_run_forever(loop), -ESHUTDOWN);
    assert_int_equal(t_fds(), fds);
    assert_true(rt_mem_live() <= live + 2);
    t_check();
}

static void stop_it(void *arg)
{
    skua_loop_stop(arg);
}

static void *stop_from_thread(void *arg)
{
    skua_loop_stop(arg);
    return NULL;
}

static void *stop_in_task(void *arg)
{
    skua_loop_stop(arg);
    return NULL;
}

static void on_signal(void *arg)
{
    skua_loop_stop(arg);
}

static void *stop_at_signal(void *arg)
{
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR1, on_signal, arg), 0);
    T_EXPECT_INT(kill(getpid(), SIGUSR1), 0);
    return NULL;
}

static void *remove_handler(void *arg)
{
    (void)arg;
    (void)skua_remove_signal_handler(SIGUSR1);
    return NULL;
}

static void run_detached(skua_loop *loop, skua_fn fn)
{
    skua_task *t = skua_spawn_threadsafe(loop, fn, loop);
    assert_non_null(t);
    skua_release(t);
    assert_int_equal(skua_loop_run_forever(loop), 0);
}

static void test_loop_stops_from_anywhere(void **state)
{
    for (int workers = 1; workers <= 2; workers++) {
        skua_loop *loop = skua_loop_new(.workers = workers);
        pthread_t  thread;
        assert_int_equal(skua_call_soon_threadsafe(loop, stop_it, loop), 0);
        assert_int_equal(skua_loop_run_forever(loop), 0);
        run_detached(loop, stop_in_task);
        run_detached(loop, stop_at_signal);
        for (int i = 0; i < 50; i++) {
            assert_int_equal(pthread_create(&thread, NULL, stop_from_thread, loop), 0);
            for (volatile int spin = i * 1000; spin > 0; spin--)
                continue;
            assert_int_equal(skua_loop_run_forever(loop), 0);
            pthread_join(thread, NULL);
        }
        skua_task *t = skua_spawn_threadsafe(loop, remove_handler, NULL);
        assert_int_equal(skua_loop_run_until_complete(loop, t, NULL), 0);
        skua_release(t);
        assert_int_equal(skua_loop_close(loop), 0);
        t_check();
    }
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_restart_leaves_nothing),
    T_TEST(test_workers_have_an_epoll_each),
    T_TEST(test_two_runtimes_at_once),
    T_TEST(test_runtimes_meet_at_a_future),
    T_TEST(test_run_inside_a_task_is_refused),
    T_TEST(test_loop_runs_again_and_again),
    T_TEST(test_loop_stops_from_anywhere),
};
T_MAIN(tests, NULL)
