/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio had where a loop meets sockets, threads and signals, each named after its
 * issue. */
#include "../support/t.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- sockets: a wait that was cancelled is no wait any more ---- */

static const char *address_of(int fd, char buf[64])
{
    struct sockaddr_in sin;
    socklen_t len = sizeof sin;
    T_EXPECT_INT(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    snprintf(buf, 64, "127.0.0.1:%d", ntohs(sin.sin_port));
    return buf;
}

static void socket_pair(int fds[2])
{
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void *read_byte(void *fd)
{
    char byte;
    ssize_t n = skua_read(T_NUM(fd), &byte, 1, 20);
    return n < 0 ? skua_fail((int)n) : T_PTR(n == 1 ? byte : 0);
}

static void *write_byte(void *fd)
{
    ssize_t n = skua_write(T_NUM(fd), "w", 1, 20);
    return n < 0 ? skua_fail((int)n) : NULL;
}

static void cancel_waiting(skua_fn fn, int fd)
{
    skua_task *t = skua_spawn(fn, T_PTR(fd));
    skua_yield();
    T_EXPECT(!skua_done(t));
    skua_cancel(t, NULL);
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
}

static void fill(int fd)
{
    static const char junk[4096];
    while (write(fd, junk, sizeof junk) > 0)
        continue;
    while (write(fd, junk, 1) > 0)
        continue;
}

static void empty(int fd)
{
    char junk[4096];
    while (read(fd, junk, sizeof junk) > 0)
        continue;
}

/* Foreign descriptors are registered for each wait, our own for as long as they live. */
static void unsubscribe(bool ours)
{
    int fds[2], again[2];
    void *value = NULL;
    socket_pair(fds);
    for (int i = 0; i < 2 && ours; i++)
        T_EXPECT_INT(skua_fd_adopt(fds[i]), 0);
    cancel_waiting(read_byte, fds[0]);
    skua_task *t = skua_spawn(read_byte, T_PTR(fds[0])); /* -EBUSY if the first were still there */
    skua_yield();
    T_EXPECT_INT((int)write(fds[1], "r", 1), 1);
    T_EXPECT_INT(skua_join(t, &value), 0);
    T_EXPECT_INT(T_NUM(value), 'r');

    fill(fds[0]);
    cancel_waiting(write_byte, fds[0]);
    t = skua_spawn(write_byte, T_PTR(fds[0]));
    skua_yield();
    empty(fds[1]);
    T_EXPECT_INT(skua_join(t, NULL), 0);

    cancel_waiting(read_byte, fds[0]);
    for (int i = 0; i < 2; i++)
        T_EXPECT_INT(ours ? skua_close(fds[i]) : close(fds[i]), 0);
    socket_pair(again); /* mostly the same numbers: nothing of the old ones may wake a wait here */
    T_EXPECT_INT((int)skua_read(again[0], &value, 1, 0.01), -ETIMEDOUT);
    for (int i = 0; i < 2; i++)
        close(again[i]);
}

static void *unsubscribe_main(void *arg)
{
    unsubscribe(false);
    unsubscribe(true);
    return arg;
}

static void bpo_30064_a_cancelled_read_or_write_leaves_the_descriptor_alone(void **state)
{
    (void)state;
    t_run(unsubscribe_main, NULL, .real_time = true);
    t_run(unsubscribe_main, NULL, .real_time = true, .free_main = true);
}

enum { BULK = 1 << 20 };

static void *read_slowly(void *fd)
{
    static _Thread_local char buf[1 << 16]; /* no suspension between reading and forgetting it */
    size_t got = 0;
    ssize_t n;
    while ((n = skua_read(T_NUM(fd), buf, sizeof buf, 20)) > 0) {
        got += (size_t)n;
        skua_yield();
    }
    SKUA_IGNORE(skua_close(T_NUM(fd)));
    return n < 0 ? skua_fail((int)n) : T_PTR(got);
}

static void *connect_write_main(void *arg)
{
    static const char bulk[BULK];
    char addr[64];
    int listener = skua_listen("127.0.0.1:0");
    T_EXPECT(listener >= 0);
    for (int i = 0; i < 10; i++) {
        int out = skua_connect(address_of(listener, addr), 20);
        T_EXPECT(out >= 0);
        skua_task *t = NULL;
        int in = skua_accept(listener, 20);
        T_EXPECT(in >= 0);
        t = skua_spawn(read_slowly, T_PTR(in));
        T_EXPECT_INT((int)skua_write(out, bulk, BULK, 20), BULK);
        T_EXPECT_INT(skua_close(out), 0);
        void *got = NULL;
        T_EXPECT_INT(skua_join(t, &got), 0);
        T_EXPECT_INT(T_NUM(got), BULK);
    }
    T_EXPECT_INT(skua_close(listener), 0);
    return arg;
}

static void bpo_28176_a_write_right_after_the_connect_is_woken(void **state)
{
    /* Goal: more than the socket takes at once, so that the write waits where connect waited. */
    (void)state;
    t_run(connect_write_main, NULL, .real_time = true);
}

static void *accept_one(void *fd)
{
    int r = skua_accept(T_NUM(fd), 20);
    return r < 0 ? skua_fail(r) : T_PTR(r);
}

static void *accept_main(void *arg)
{
    char addr[64];
    int listener = skua_listen("127.0.0.1:0");
    T_EXPECT(listener >= 0);
    address_of(listener, addr);
    for (int i = 0; i < 5; i++) {
        cancel_waiting(accept_one, listener);
        int out = skua_connect(addr, 20); /* comes while nobody accepts */
        T_EXPECT(out >= 0);
        int in = skua_accept(listener, 20);
        T_EXPECT(in >= 0);
        T_EXPECT_INT((int)skua_write(out, "x", 1, 20), 1);
        void *value = NULL;
        T_EXPECT_INT(skua_join(skua_spawn(read_byte, T_PTR(in)), &value), 0);
        T_EXPECT_INT(T_NUM(value), 'x');
        T_EXPECT_INT(skua_close(in), 0);
        T_EXPECT_INT(skua_close(out), 0);
    }
    T_EXPECT_INT(skua_accept(listener, 0), -ETIMEDOUT); /* none was taken twice */
    T_EXPECT_INT(skua_close(listener), 0);
    return arg;
}

static void bpo_41317_a_cancelled_accept_takes_no_connection_with_it(void **state)
{
    (void)state;
    t_run(accept_main, NULL, .real_time = true);
}

static void reply_later(int fd, void *arg)
{
    char byte;
    (void)arg;
    if (skua_read(fd, &byte, 1, 20) != 1)
        return;
    t_yield_times(10); /* nobody holds a handle to this task */
    if (skua_sleep(0.001) == 0)
        SKUA_IGNORE(skua_write(fd, &byte, 1, 20));
}

static void *serve(void *fd)
{
    return skua_fail(skua_serve(T_NUM(fd), reply_later, NULL));
}

enum { CLIENTS = 20 };

static void *serve_main(void *arg)
{
    char addr[64];
    int out[CLIENTS], listener = skua_listen("127.0.0.1:0");
    T_EXPECT(listener >= 0);
    skua_task *server = skua_spawn(serve, T_PTR(listener));
    for (int i = 0; i < CLIENTS; i++) {
        out[i] = skua_connect(address_of(listener, addr), 20);
        T_EXPECT(out[i] >= 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        T_EXPECT_INT((int)skua_write(out[i], &"abcdefghijklmnopqrst"[i], 1, 20), 1);
    for (int i = 0; i < CLIENTS; i++) {
        void *value = NULL;
        T_EXPECT_INT(skua_join(skua_spawn(read_byte, T_PTR(out[i])), &value), 0);
        T_EXPECT_INT(T_NUM(value), 'a' + i);
        T_EXPECT_INT(skua_close(out[i]), 0);
    }
    skua_cancel(server, NULL);
    T_EXPECT_INT(skua_join(server, NULL), -ECANCELED);
    T_EXPECT_INT(skua_close(listener), 0);
    return arg;
}

static void gh_90467_the_task_of_a_connection_lives_until_it_has_replied(void **state)
{
    (void)state;
    t_run(serve_main, NULL, .real_time = true);
}

/* ---- threads ---- */

static atomic_int calls, refusals;
static atomic_bool over;

static void count_call(void *arg)
{
    (void)arg;
    atomic_fetch_add(&calls, 1);
}

static void *call_in(void *loop)
{
    int accepted = 0, n = 0;
    while (!atomic_load(&over)) {
        int r = skua_call_soon_threadsafe(loop, count_call, NULL);
        T_EXPECT(r == 0 || r == -ESHUTDOWN);
        accepted += r == 0;
        if (r < 0)
            atomic_fetch_add(&refusals, 1);
        if (++n % 16 == 0) /* the loop has to keep up, on a busy machine as well */
            t_nap(1e-4);
    }
    return T_PTR(accepted);
}

static void stop_loop(void *loop)
{
    skua_loop_stop(loop);
}

static void bpo_39651_calling_into_a_loop_that_closes_is_refused(void **state)
{
    /* Goal: threads call in before, while and after the loop closes; each call is either made or
     * refused or, accepted as the loop ended, dropped; none hangs and none crashes. */
    (void)state;
    for (int i = 0; i < 10; i++) {
        atomic_store(&over, false);
        atomic_store(&calls, 0);
        atomic_store(&refusals, 0);
        pthread_t thread[2];
        skua_loop *loop = skua_loop_new();
        assert_non_null(loop);
        for (int k = 0; k < 2; k++)
            assert_int_equal(pthread_create(&thread[k], NULL, call_in, loop), 0);
        while (atomic_load(&calls) < 10) { /* until both sides are at work */
            assert_int_equal(skua_call_soon_threadsafe(loop, stop_loop, loop), 0);
            assert_int_equal(skua_loop_run_forever(loop), 0);
        }
        assert_int_equal(skua_loop_close(loop), 0);
        int called = atomic_load(&calls);
        assert_int_equal(skua_call_soon_threadsafe(loop, count_call, NULL), -ESHUTDOWN);
        while (atomic_load(&refusals) < 4)
            t_nap(0.0005);
        atomic_store(&over, true);
        int accepted = 0;
        for (int k = 0; k < 2; k++) {
            void *n;
            pthread_join(thread[k], &n);
            accepted += T_NUM(n);
        }
        assert_int_equal(atomic_load(&calls), called); /* nothing runs after the close */
        assert_true(called <= accepted);
    }
    t_check();
}

/* ---- signals ---- */

struct told {
    skua_event first, second;
    atomic_int count;
};

static void on_first(void *arg)
{
    struct told *told = arg;
    atomic_fetch_add(&told->count, 1);
    skua_event_set(&told->first);
}

static void on_second(void *arg)
{
    struct told *told = arg;
    skua_event_set(&told->second);
}

enum { SINGLE = 200, FLOOD = 5000 };

static void *send_one_by_one(void *arg)
{
    struct told *told = arg;
    for (int i = 0; i < SINGLE; i++) {
        kill(getpid(), SIGUSR1);
        if (!T_EXPECT_INT(skua_event_wait_blocking(&told->second, 20), 0))
            break;
        skua_event_clear(&told->second);
    }
    return NULL;
}

static void *signals_main(void *arg)
{
    struct told told = { SKUA_EVENT_INIT, SKUA_EVENT_INIT, 0 };
    pthread_t thread;
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR1, on_first, &told), 0);
    T_EXPECT_INT(pthread_create(&thread, NULL, send_one_by_one, &told), 0);
    for (int i = 0; i < SINGLE; i++) { /* the loop sleeps: each signal has to wake it */
        skua_timeout limit;
        T_EXPECT_INT(skua_timeout_enter(&limit, 20), 0);
        if (!T_EXPECT_INT(skua_timeout_exit(&limit, skua_event_wait(&told.first)), 0))
            break;
        skua_event_clear(&told.first);
        skua_event_set(&told.second);
    }
    pthread_join(thread, NULL);
    T_EXPECT_INT(atomic_load(&told.count), SINGLE);

    skua_event_clear(&told.second);
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR2, on_second, &told), 0);
    for (int i = 0; i < FLOOD; i++) { /* the loop does not look at any of them meanwhile */
        kill(getpid(), SIGUSR1);
        if (i == FLOOD / 2)
            kill(getpid(), SIGUSR2);
    }
    skua_timeout limit;
    T_EXPECT_INT(skua_timeout_enter(&limit, 20), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, skua_event_wait(&told.second)), 0);
    T_EXPECT_INT(skua_timeout_enter(&limit, 20), 0);
    T_EXPECT_INT(skua_timeout_exit(&limit, skua_event_wait(&told.first)), 0);
    T_EXPECT_INT(skua_remove_signal_handler(SIGUSR1), 0);
    T_EXPECT_INT(skua_remove_signal_handler(SIGUSR2), 0);
    return arg;
}

static void gh_74224_no_signal_is_lost_between_the_handler_and_the_loop(void **state)
{
    /* Goal: one at a time each is told of; of a flood, at least once, and the single one of another
     * number in it as well. */
    (void)state;
    signal(SIGUSR1, SIG_IGN); /* the former action, for one that arrives late */
    signal(SIGUSR2, SIG_IGN);
    t_run(signals_main, NULL, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(bpo_30064_a_cancelled_read_or_write_leaves_the_descriptor_alone),
    T_TEST(bpo_28176_a_write_right_after_the_connect_is_woken),
    T_TEST(bpo_41317_a_cancelled_accept_takes_no_connection_with_it),
    T_TEST(gh_90467_the_task_of_a_connection_lives_until_it_has_replied),
    T_TEST(bpo_39651_calling_into_a_loop_that_closes_is_refused),
    T_TEST(gh_74224_no_signal_is_lost_between_the_handler_and_the_loop),
};

T_MAIN(tests, NULL)
