/* SPDX-License-Identifier: MIT */
/* Goal: datagrams arrive whole with their sender or are said to be cut, errors of the network are
 * reported once, and every wait is for the direction of its call. Method: loopback and unix sockets
 * on 1, 2 and 4 workers; full buffers; injected errors. */
#include "net_support.h"

static int bound(const char *local, char text[SKUA_ADDR_TEXT])
{
    skua_addr at;
    int fd = skua_datagram(local);
    assert_true(fd >= 0);
    assert_int_equal(skua_sockname(fd, &at), 0);
    assert_true(skua_addr_text(&at, text, SKUA_ADDR_TEXT) > 0);
    return fd;
}

/* --- one way and back --- */

static void exchange(const char *local)
{
    char where[SKUA_ADDR_TEXT], got[16] = "", text[SKUA_ADDR_TEXT];
    skua_addr from;
    bool is_cut = true;
    int server = bound(local, where);
    int client = skua_datagram(NULL, .peer = where);
    assert_true(client >= 0);
    assert_int_equal(skua_sendto(client, "abc", 3, NULL, 5.0), 3);
    assert_int_equal(skua_recvfrom(server, got, sizeof got, 5.0, &from, &is_cut), 3);
    assert_string_equal(got, "abc");
    assert_false(is_cut);
    if (strncmp(local, "unix:", 5) == 0) {
        assert_true(skua_addr_text(&from, text, sizeof text) < 0 || strcmp(text, "unix:") == 0);
    } else {
        assert_int_equal(skua_sendto(server, "", 0, &from, 5.0), 0); /* an empty one */
        assert_int_equal(skua_recvfrom(client, got, sizeof got, 5.0, &from, NULL), 0);
        assert_true(skua_addr_text(&from, text, sizeof text) > 0);
        assert_string_equal(text, where);
    }
    assert_int_equal(skua_sendto(client, "too long", 8, NULL, 5.0), 8);
    assert_int_equal(skua_recvfrom(server, got, 3, 5.0, NULL, &is_cut), 3);
    assert_true(is_cut);
    assert_int_equal(skua_sendto(client, "x", 1, NULL, 5.0), 1);
    assert_int_equal(skua_recvfrom(server, NULL, 0, 5.0, NULL, &is_cut), 0); /* no room at all */
    assert_true(is_cut);
    assert_int_equal(skua_recvfrom(server, got, sizeof got, 0, NULL, NULL), -ETIMEDOUT);
    assert_int_equal(skua_write(client, "w", 1, 1.0), 1); /* streams' calls with a peer */
    assert_int_equal(skua_read(server, got, sizeof got, 5.0), 1);
    assert_int_equal(skua_close(client), 0);
    assert_int_equal(skua_close(server), 0);
}

static void *check_exchange(void *arg)
{
    char text[64];
    (void)arg;
    exchange("127.0.0.1:0");
    int probe = skua_datagram("[::1]:0");
    if (probe >= 0) {
        assert_int_equal(skua_close(probe), 0);
        exchange("[::1]:0");
    }
    snprintf(text, sizeof text, "unix:@skua-datagram-%d", getpid());
    exchange(text);
    return NULL;
}

static void test_datagrams_arrive_whole(void **state)
{
    (void)state;
    run_all(check_exchange);
}

/* --- making one --- */

static void test_datagram_options_and_errors(void **state)
{
    const struct skua_datagram_opts wrong_size = {.size = 1};
    char where[SKUA_ADDR_TEXT];
    int on = 0;
    socklen_t len = sizeof on;
    (void)state;
    assert_int_equal(skua_datagram(NULL), -EINVAL);
    assert_int_equal(skua_datagram_with(NULL, NULL), -EINVAL);
    assert_int_equal(skua_datagram("localhost:1"), -EINVAL);
    assert_int_equal(skua_datagram("127.0.0.1:0", .peer = "[::1]:1"), -EINVAL);
    assert_int_equal(skua_datagram("127.0.0.1:0", .peer = "nonsense"), -EINVAL);
    assert_int_equal(skua_datagram_with("127.0.0.1:0", &wrong_size), -EINVAL);
    assert_int_equal(skua_datagram("192.0.2.1:0"), -EADDRNOTAVAIL);
    assert_int_equal(skua_datagram(NULL, .peer = "unix:@skua-nobody-here"), -ECONNREFUSED);
    int fd = bound("127.0.0.1:0", where);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(skua_datagram(where), -EADDRINUSE);
    assert_int_equal(skua_close(fd), 0);
    fd = skua_datagram("127.0.0.1:0", .reuseport = true, .broadcast = true);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, &len), 0);
    assert_true(on);
    int second = skua_datagram(address_of(fd, where), .reuseport = true);
    assert_true(second >= 0);
    assert_int_equal(skua_close(second), 0);
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_recvfrom(0, NULL, 0, 1.0, NULL, NULL), -EPERM);
    assert_int_equal(skua_sendto(0, NULL, 0, NULL, 1.0), -EPERM);
}

static void test_datagram_without_something_leaves_nothing_open(void **state)
{
    static const enum rt_sys_call calls[] = {RT_SYS_SOCKET, RT_SYS_SETSOCKOPT, RT_SYS_BIND,
                                             RT_SYS_CONNECT};
    char where[SKUA_ADDR_TEXT];
    (void)state;
    int server = bound("127.0.0.1:0", where);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        rt_fault_arm(calls[i], 1, ENOMEM);
        assert_int_equal(skua_datagram("127.0.0.1:0", .peer = where, .broadcast = true), -ENOMEM);
        rt_fault_reset();
        assert_int_equal(t_fds(), fds_before + 1);
    }
    assert_int_equal(skua_close(server), 0);
}

static void *check_bad_calls(void *arg)
{
    char where[SKUA_ADDR_TEXT], byte = 0;
    skua_addr to;
    int fds[2];
    (void)arg;
    int fd = bound("127.0.0.1:0", where);
    assert_int_equal(skua_addr_parse(where, &to), 0);
    assert_int_equal(skua_recvfrom(fd, NULL, 1, 1.0, NULL, NULL), -EFAULT);
    assert_int_equal(skua_recvfrom(fd, &byte, 1, NAN, NULL, NULL), -EINVAL);
    assert_int_equal(skua_sendto(fd, NULL, 1, &to, 1.0), -EFAULT);
    assert_int_equal(skua_sendto(fd, &byte, 1, NULL, 1.0), -EDESTADDRREQ);
    assert_int_equal(skua_sendto(fd, &byte, 1, &to, NAN), -EINVAL);
    char *huge = calloc(1, 70000);
    assert_int_equal(skua_sendto(fd, huge, 70000, &to, 1.0), -EMSGSIZE);
    free(huge);
    to.len = 0;
    assert_int_equal(skua_sendto(fd, &byte, 1, &to, 1.0), -EINVAL);
    to.len = sizeof to.sa + 1;
    assert_int_equal(skua_sendto(fd, &byte, 1, &to, 1.0), -EINVAL);
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_recvfrom(fd, &byte, 1, 1.0, NULL, NULL), -EBADF);
    assert_int_equal(skua_sendto(fd, &byte, 1, NULL, 1.0), -EBADF);
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(skua_recvfrom(fds[0], &byte, 1, 1.0, NULL, NULL), -ENOTSOCK);
    assert_int_equal(skua_sendto(fds[1], &byte, 1, NULL, 1.0), -ENOTSOCK);
    close(fds[0]);
    close(fds[1]);
    return NULL;
}

static void test_datagram_bad_calls_are_refused(void **state)
{
    (void)state;
    run_with(check_bad_calls, 1, false);
}

/* --- errors of the network --- */

static void *check_refused(void *arg)
{
    char where[SKUA_ADDR_TEXT], byte = 0;
    (void)arg;
    int nobody = bound("127.0.0.1:0", where);
    assert_int_equal(skua_close(nobody), 0);
    int fd = skua_datagram(NULL, .peer = where);
    assert_true(fd >= 0);
    assert_int_equal(skua_sendto(fd, "a", 1, NULL, 5.0), 1);
    assert_int_equal(skua_recvfrom(fd, &byte, 1, 5.0, NULL, NULL), -ECONNREFUSED);
    assert_int_equal(skua_recvfrom(fd, &byte, 1, 0, NULL, NULL), -ETIMEDOUT); /* once */
    int free_one = skua_datagram("127.0.0.1:0");
    skua_addr to;
    assert_int_equal(skua_addr_parse(where, &to), 0);
    assert_int_equal(skua_sendto(free_one, "a", 1, &to, 5.0), 1);
    assert_int_equal(skua_recvfrom(free_one, &byte, 1, 0.01, NULL, NULL), -ETIMEDOUT);
    assert_int_equal(skua_close(free_one), 0);
    assert_int_equal(skua_close(fd), 0);
    return NULL;
}

static void test_datagram_that_found_nobody_is_reported_once(void **state)
{
    (void)state;
    run_all(check_refused);
}

/* --- waiting --- */

struct receiving {
    int fd;
    ssize_t r;
    char buf[64];
    skua_addr from;
};

static void *receive(void *arg)
{
    struct receiving *c = arg;
    c->r = skua_recvfrom(c->fd, c->buf, sizeof c->buf, INFINITY, &c->from, NULL);
    return NULL;
}

/* What is not adopted is polled for each wait; a blocking one does not block the thread. */
static void *check_waiting(void *arg)
{
    char where[SKUA_ADDR_TEXT];
    skua_addr to;
    (void)arg;
    for (int kind = 0; kind < 3; kind++) {
        struct receiving c = {.fd = bound("127.0.0.1:0", where)};
        assert_int_equal(skua_addr_parse(where, &to), 0);
        if (kind > 0) { /* foreign, and blocking */
            int fd = dup(c.fd);
            assert_int_equal(skua_close(c.fd), 0);
            c.fd = fd;
            if (kind == 2)
                assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
        }
        skua_task *t = skua_spawn(receive, &c);
        let_others_wait();
        int client = skua_datagram("127.0.0.1:0");
        assert_int_equal(skua_sendto(client, "late", 4, &to, 5.0), 4);
        join(t);
        assert_int_equal(c.r, 4);
        assert_memory_equal(c.buf, "late", 4);
        c.r = 1;
        t = skua_spawn(receive, &c);
        let_others_wait();
        skua_cancel(t, NULL);
        join(t);
        assert_int_equal(c.r, -ECANCELED);
        if (kind == 0) {
            t = skua_spawn(receive, &c);
            let_others_wait();
            assert_int_equal(skua_close(c.fd), 0);
            join(t);
            assert_int_equal(c.r, -EBADF);
        } else {
            close(c.fd);
        }
        assert_int_equal(skua_close(client), 0);
    }
    return NULL;
}

static void test_datagram_receiving_waits(void **state)
{
    (void)state;
    run_all(check_waiting);
}

struct sending {
    int fd;
    const skua_addr *to;
    double timeout;
    ssize_t r;
};

static void *send_one(void *arg)
{
    struct sending *c = arg;
    c->r = skua_sendto(c->fd, "x", 1, c->to, c->timeout);
    return NULL;
}

/* A unix receiver that is full: with a peer its room is an event, with an address it is not. */
static void *check_full(void *arg)
{
    char where[SKUA_ADDR_TEXT], name[64], sender[64], buf[8];
    skua_addr to;
    (void)arg;
    snprintf(name, sizeof name, "unix:@skua-full-datagram-%d", getpid());
    snprintf(sender, sizeof sender, "unix:@skua-datagram-sender-%d", getpid());
    for (int has_peer = 0; has_peer < 2; has_peer++) {
        int server = bound(name, where);
        assert_int_equal(skua_addr_parse(where, &to), 0);
        int client = has_peer ? skua_datagram(NULL, .peer = where)
                              : skua_datagram(sender);
        assert_true(client >= 0);
        struct sending c = {.fd = client, .to = has_peer ? NULL : &to, .timeout = 0};
        int sent = 0;
        while (send_one(&c) == NULL && c.r == 1)
            sent++;
        assert_int_equal(c.r, -ETIMEDOUT);
        c.timeout = 0.03;
        send_one(&c);
        assert_int_equal(c.r, -ETIMEDOUT);
        c.timeout = INFINITY;
        skua_task *t = skua_spawn(send_one, &c);
        let_others_wait();
        for (int i = 0; i < sent + 1; i++)
            assert_int_equal(skua_recvfrom(server, buf, sizeof buf, 5.0, NULL, NULL), 1);
        join(t);
        assert_int_equal(c.r, 1);
        assert_int_equal(skua_close(client), 0);
        assert_int_equal(skua_close(server), 0);
    }
    return NULL;
}

static void test_datagram_sending_waits_for_room(void **state)
{
    (void)state;
    run_with(check_full, 1, false);
    run_with(check_full, 2, false);
}

/* EAGAIN of a send is followed by a wait to send, though there is something to receive. */
static void *check_direction(void *arg)
{
    char where[SKUA_ADDR_TEXT], buf[8];
    skua_addr to;
    (void)arg;
    int fd = bound("127.0.0.1:0", where);
    assert_int_equal(skua_addr_parse(where, &to), 0);
    assert_int_equal(skua_sendto(fd, "a", 1, &to, 5.0), 1);
    rt_fault_arm(RT_SYS_SENDTO, 1, EAGAIN);
    assert_int_equal(skua_sendto(fd, "b", 1, &to, 5.0), 1);
    rt_fault_arm(RT_SYS_RECVMSG, 1, EAGAIN);
    assert_int_equal(skua_recvfrom(fd, buf, sizeof buf, 5.0, NULL, NULL), 1);
    assert_int_equal(buf[0], 'a');
    rt_fault_arm(RT_SYS_RECVMSG, 1, EINTR);
    assert_int_equal(skua_recvfrom(fd, buf, sizeof buf, 5.0, NULL, NULL), 1);
    assert_int_equal(buf[0], 'b');
    rt_fault_arm(RT_SYS_SENDTO, 1, ENOBUFS);
    assert_int_equal(skua_sendto(fd, "c", 1, &to, 5.0), -ENOBUFS);
    rt_fault_reset();
    assert_int_equal(skua_close(fd), 0);
    return NULL;
}

static void test_datagram_waits_for_the_direction_of_the_call(void **state)
{
    (void)state;
    run_with(check_direction, 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_datagrams_arrive_whole),
        NET_TEST(test_datagram_options_and_errors),
        NET_TEST(test_datagram_without_something_leaves_nothing_open),
        NET_TEST(test_datagram_bad_calls_are_refused),
        NET_TEST(test_datagram_that_found_nobody_is_reported_once),
        NET_TEST(test_datagram_receiving_waits),
        NET_TEST(test_datagram_sending_waits_for_room),
        NET_TEST(test_datagram_waits_for_the_direction_of_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
