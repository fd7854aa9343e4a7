/* SPDX-License-Identifier: MIT */
/* What the tests of sockets share: bodies that run as main of a runtime, and a count of
 * descriptors. */
#ifndef TESTS_NET_NET_SUPPORT_H
#define TESTS_NET_NET_SUPPORT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <skua.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sys.h"
#include "process.h"

#define UNUSED  __attribute__((unused))
#define FOREVER INFINITY

static int fds_before;

/* An assertion that fails on another stack must not jump. */
static UNUSED int setup_each(void **state)
{
    (void)state;
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    fds_before = t_fds();
    return 0;
}

static UNUSED int teardown_each(void **state)
{
    (void)state;
    rt_fault_reset();
    assert_int_equal(t_fds(), fds_before);
    return 0;
}

#define NET_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_each, teardown_each)

static UNUSED void run_with(skua_fn body, int workers, bool is_free)
{
    struct skua_run_opts opts = {.size = sizeof opts, .workers = workers, .free_main = is_free};
    assert_int_equal(skua_run_with(body, NULL, &opts), 0);
}

/* Pinned and free, on 1, 2 and 4 workers. */
static UNUSED void run_all(skua_fn body)
{
    static const int workers[] = {1, 2, 4};
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        run_with(body, workers[i], false);
        run_with(body, workers[i], true);
    }
}

/* --- sockets --- */

/* "127.0.0.1:port" of a listener. */
static UNUSED const char *address_of(int fd, char buf[64])
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    char host[INET6_ADDRSTRLEN];
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    if (sa.ss_family == AF_INET6) {
        struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&sa;
        snprintf(buf, 64, "[%s]:%d", inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof host),
                 ntohs(sin6->sin6_port));
    } else {
        struct sockaddr_in *sin = (struct sockaddr_in *)&sa;
        snprintf(buf, 64, "%s:%d", inet_ntop(AF_INET, &sin->sin_addr, host, sizeof host),
                 ntohs(sin->sin_port));
    }
    return buf;
}

/* Two connected TCP sockets, both made by skua. In a task. */
static UNUSED void tcp_pair(int fds[2])
{
    char addr[64];
    int listener = skua_listen("127.0.0.1:0");
    assert_true(listener >= 0);
    fds[0] = skua_connect(address_of(listener, addr), 5.0);
    assert_true(fds[0] >= 0);
    fds[1] = skua_accept(listener, 5.0);
    assert_true(fds[1] >= 0);
    assert_int_equal(skua_close(listener), 0);
}

static UNUSED void unix_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(skua_fd_adopt(fds[0]), 0);
    assert_int_equal(skua_fd_adopt(fds[1]), 0);
}

static UNUSED void close_pair(const int fds[2])
{
    assert_int_equal(skua_close(fds[0]), 0);
    assert_int_equal(skua_close(fds[1]), 0);
}

/* --- one call as a task of its own --- */

struct call {
    int fd;
    char *buf;
    size_t n;
    double timeout;
    long r;
};

static UNUSED void *read_call(void *arg)
{
    struct call *c = arg;
    c->r = skua_read(c->fd, c->buf, c->n, c->timeout);
    return NULL;
}

static UNUSED void *write_call(void *arg)
{
    struct call *c = arg;
    c->r = skua_write(c->fd, c->buf, c->n, c->timeout);
    return NULL;
}

static UNUSED void *poll_call(void *arg)
{
    struct call *c = arg;
    c->r = skua_poll_fd(c->fd, (unsigned)c->n, c->timeout);
    return NULL;
}

static UNUSED void *accept_call(void *arg)
{
    struct call *c = arg;
    c->r = skua_accept(c->fd, c->timeout);
    return NULL;
}

/* Long enough for a spawned task to be inside its wait. */
static UNUSED void let_others_wait(void)
{
    assert_int_equal(skua_sleep(0.02), 0);
}

static UNUSED void join(skua_task *t)
{
    void *result;
    assert_non_null(t);
    assert_int_equal(skua_join(t, &result), 0);
}

#endif
