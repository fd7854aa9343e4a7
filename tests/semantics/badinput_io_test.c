/* SPDX-License-Identifier: MIT */
/* Bad input to the calls about descriptors, addresses and signals. */
#include "../support/t.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static void no_handler(int fd, void *arg)
{
    (void)fd;
    (void)arg;
    t_log("never");
}

static void no_callback(void *arg)
{
    (void)arg;
    t_log("never");
}

/* A number that was a descriptor and is none now. */
static int closed_number(void)
{
    int fd = dup(STDERR_FILENO);
    close(fd);
    return fd;
}

static void expect_refused(int fd, int err)
{
    char byte = 0;
    T_EXPECT_INT(skua_read(fd, &byte, 1, 1), err);
    T_EXPECT_INT(skua_write(fd, &byte, 1, 1), err);
    T_EXPECT_INT(skua_accept(fd, 1), err);
    T_EXPECT_INT(skua_poll_fd(fd, POLLIN, 1), err);
    T_EXPECT_INT(skua_serve(fd, no_handler, NULL), err);
    T_EXPECT_INT(skua_fd_adopt(fd), err);
    T_EXPECT_INT(skua_close(fd), err);
}

static void *closed_main(void *arg)
{
    double start = skua_loop_time();
    expect_refused(-1, -EBADF);
    expect_refused(-2147483647, -EBADF);
    expect_refused(2147483647, -EBADF);
    expect_refused(closed_number(), -EBADF);
    T_EXPECT(t_elapsed(start) == 0);
    return arg;
}

static void test_closed_descriptors_say_ebadf(void **state)
{
    /* Goal: at once, without waiting for the timeout. */
    (void)state;
    t_run(closed_main, NULL);
}

static void *twice_main(void *arg)
{
    int fd = skua_listen("127.0.0.1:0");
    T_EXPECT(fd >= 0);
    T_EXPECT_INT(skua_close(fd), 0);
    T_EXPECT_INT(skua_close(fd), -EBADF);
    return arg;
}

static void test_close_twice_says_ebadf(void **state)
{
    /* Goal: the second close hits nothing else. */
    (void)state;
    t_run(twice_main, NULL);
}

static void *wait_accept(void *fd)
{
    int r = skua_accept(T_NUM(fd), 30);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *close_under_main(void *arg)
{
    int fd = skua_listen("127.0.0.1:0");
    skua_task *t = skua_spawn(wait_accept, T_PTR(fd));
    skua_yield();
    T_EXPECT_INT(skua_close(fd), 0);
    T_EXPECT_INT(skua_join(t, NULL), -EBADF);
    return arg;
}

static void test_close_wakes_who_waits_with_ebadf(void **state)
{
    /* Goal: not -ECANCELED, not a hang. */
    (void)state;
    t_run(close_under_main, NULL);
}

static void *addresses_main(void *arg)
{
    static const char *const bad[] = {
        "", ":", "nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1",
        "127.0.0.1:65536", "127.0.0.1:80x", "256.0.0.1:80", "[::1:80", "[::1]", "::1]:80", "unix:",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int listening = skua_listen(bad[i]), connected = skua_connect(bad[i], 1);
        if (!T_EXPECT(listening < 0) || !T_EXPECT(connected < 0))
            T_EXPECT_STR(bad[i], "refused");
        if (listening >= 0)
            SKUA_IGNORE(skua_close(listening));
    }
    T_EXPECT_INT(skua_listen(NULL), -EINVAL);
    T_EXPECT_INT(skua_connect(NULL, 1), -EINVAL);
    char path[300] = "unix:/tmp/";
    memset(path + strlen(path), 'p', 250);
    T_EXPECT(skua_listen(path) < 0);
    T_EXPECT(skua_connect(path, 1) < 0);
    return arg;
}

static void test_addresses_that_are_none(void **state)
{
    /* Goal: an error for each; long unix paths are not cut silently. */
    (void)state;
    t_run(addresses_main, NULL);
}

static void *refused_main(void *arg)
{
    T_EXPECT_INT(skua_connect("127.0.0.1:1", 5), -ECONNREFUSED);
    T_EXPECT_INT(skua_connect("unix:/nonexistent/socket", 5), -ENOENT);
    return arg;
}

static void test_nobody_listens(void **state)
{
    /* Goal: the kernel's own reason. */
    (void)state;
    t_run(refused_main, NULL);
}

static void *arguments_main(void *arg)
{
    int pair[2];
    char byte = 0;
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    T_EXPECT_INT(skua_fd_adopt(pair[0]), 0);
    T_EXPECT_INT(skua_read(pair[0], &byte, 1, NAN), -EINVAL);
    T_EXPECT_INT(skua_write(pair[0], &byte, 1, NAN), -EINVAL);
    T_EXPECT_INT(skua_poll_fd(pair[0], POLLIN, NAN), -EINVAL);
    T_EXPECT_INT(skua_accept(pair[0], NAN), -EINVAL);
    T_EXPECT_INT(skua_connect("127.0.0.1:1", NAN), -EINVAL);
    T_EXPECT_INT(skua_read(pair[0], &byte, 1, 0), -ETIMEDOUT);
    T_EXPECT_INT(skua_read(pair[0], &byte, 1, -1), -ETIMEDOUT);
    T_EXPECT_INT(skua_poll_fd(pair[0], POLLIN, 0), -ETIMEDOUT);
    T_EXPECT_INT(skua_poll_fd(pair[0], 0, 1), -EINVAL);
    T_EXPECT_INT(skua_write(pair[0], NULL, 0, 1), 0);
    int r = (int)skua_write(pair[0], NULL, 1, 1);
    T_EXPECT(r == -EINVAL || r == -EFAULT);
    T_EXPECT_INT(skua_write(pair[1], "x", 1, 1), 1);
    r = (int)skua_read(pair[0], NULL, 1, 1);
    T_EXPECT(r == -EINVAL || r == -EFAULT);
    T_EXPECT(skua_accept(pair[0], 1) < 0);
    T_EXPECT_INT(skua_serve(pair[0], NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_close(pair[0]), 0);
    close(pair[1]);
    return arg;
}

static void test_arguments_of_reads_and_writes(void **state)
{
    /* Goal: no number, no time, no buffer, no events, no handler. */
    (void)state;
    t_run(arguments_main, NULL);
}

static void test_sockets_outside_a_runtime_say_eperm(void **state)
{
    /* Goal: what would suspend needs a task. */
    (void)state;
    char byte = 0;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    assert_int_equal(skua_read(0, &byte, 1, 1), -EPERM);
    assert_int_equal(skua_write(1, &byte, 1, 1), -EPERM);
    assert_int_equal(skua_accept(0, 1), -EPERM);
    assert_int_equal(skua_connect("127.0.0.1:1", 1), -EPERM);
    assert_int_equal(skua_poll_fd(0, POLLIN, 1), -EPERM);
    assert_int_equal(skua_serve(0, no_handler, NULL), -EPERM);
    assert_int_equal(skua_signal_wait(&set, 1), -EPERM);
    assert_int_equal(skua_add_signal_handler(SIGUSR1, no_callback, NULL), -EPERM);
}

static void *signals_main(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    static const int bad[] = { 0, -1, 65, 100000, SIGKILL, SIGSTOP };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        T_EXPECT_INT(skua_add_signal_handler(bad[i], no_callback, NULL), -EINVAL);
        T_EXPECT_INT(skua_remove_signal_handler(bad[i]), -EINVAL);
    }
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR1, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_signal_wait(NULL, 1), -EINVAL);
    T_EXPECT_INT(skua_signal_wait(&set, 1), -EINVAL);
    sigaddset(&set, SIGUSR1);
    T_EXPECT_INT(skua_signal_wait(&set, NAN), -EINVAL);
    T_EXPECT_INT(skua_signal_wait(&set, 0), -ETIMEDOUT);
    sigaddset(&set, SIGKILL);
    T_EXPECT_INT(skua_signal_wait(&set, 1), -EINVAL);
    return arg;
}

static void test_signals_that_cannot_be_caught(void **state)
{
    /* Goal: numbers that are no signals, those nobody may catch, empty sets. */
    (void)state;
    t_run(signals_main, NULL);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_closed_descriptors_say_ebadf),
    T_TEST(test_close_twice_says_ebadf),
    T_TEST(test_close_wakes_who_waits_with_ebadf),
    T_TEST(test_addresses_that_are_none),
    T_TEST(test_nobody_listens),
    T_TEST(test_arguments_of_reads_and_writes),
    T_TEST(test_sockets_outside_a_runtime_say_eperm),
    T_TEST(test_signals_that_cannot_be_caught),
};

T_MAIN(tests, NULL)
