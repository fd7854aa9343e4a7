/* SPDX-License-Identifier: MIT */
/* Goal: listening, accepting and connecting do what they say, and undo themselves where they fail.
 * Method: loopback and unix sockets on 1, 2 and 4 workers; injected errors; a full backlog. */
#include "net_support.h"

static void *check_listen(void *arg)
{
    static const char *const bad[] = {"localhost:1", "127.0.0.1", "[::1]", "unix:", NULL};
    const struct skua_listen_opts wrong_size = {.size = 1};
    char addr[64];
    (void)arg;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(skua_listen(bad[i]), -EINVAL);
    assert_int_equal(skua_listen("127.0.0.1:0", .backlog = -1), -EINVAL);
    assert_int_equal(skua_listen_with("127.0.0.1:0", &wrong_size), -EINVAL);
    int fd = skua_listen_with("127.0.0.1:0", NULL);
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(skua_listen(address_of(fd, addr)), -EADDRINUSE);
    assert_int_equal(skua_close(fd), 0);
    fd = skua_listen(addr, .backlog = 1); /* at once again */
    assert_true(fd >= 0);
    assert_int_equal(skua_close(fd), 0);
    fd = skua_listen("127.0.0.1:0", .reuseport = true);
    assert_true(fd >= 0);
    int second = skua_listen(address_of(fd, addr), .reuseport = true);
    assert_true(second >= 0);
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_close(second), 0);
    assert_int_equal(skua_listen("unix:/nonexistent/directory/socket"), -ENOENT);
    assert_int_equal(skua_listen("192.0.2.1:1"), -EADDRNOTAVAIL);
    return NULL;
}

static void test_sock_listens(void **state)
{
    (void)state;
    run_with(check_listen, 1, false);
    assert_null(check_listen(NULL)); /* needs no task */
}

static void exchange(const char *addr, const char *where)
{
    char byte = 0;
    int listener = skua_listen(addr);
    if (strchr(addr, '[') && listener < 0)
        return; /* no IPv6 here */
    assert_true(listener >= 0);
    int client = skua_connect(where ? where : addr, 5.0);
    assert_true(client >= 0);
    int server = skua_accept(listener, 5.0);
    assert_true(server >= 0);
    assert_true((fcntl(server, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(server, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(skua_write(client, "a", 1, 1.0), 1);
    assert_int_equal(skua_read(server, &byte, 1, 5.0), 1);
    assert_int_equal(byte, 'a');
    assert_int_equal(skua_close(client), 0);
    assert_int_equal(skua_read(server, &byte, 1, 5.0), 0);
    assert_int_equal(skua_close(server), 0);
    assert_int_equal(skua_close(listener), 0);
}

static void *check_families(void *arg)
{
    char path[64];
    (void)arg;
    int probe = skua_listen("[::1]:0");
    if (probe >= 0) {
        char addr[64];
        address_of(probe, addr);
        assert_int_equal(skua_close(probe), 0);
        exchange(addr, NULL);
    }
    probe = skua_listen("127.0.0.1:0");
    address_of(probe, path);
    assert_int_equal(skua_close(probe), 0);
    exchange(path, NULL);
    snprintf(path, sizeof path, "unix:/tmp/skua-sock-test-%d", getpid());
    exchange(path, NULL);
    assert_int_equal(unlink(path + 5), 0);
    snprintf(path, sizeof path, "unix:@skua-sock-test-%d", getpid());
    exchange(path, NULL);
    return NULL;
}

static void test_sock_families(void **state)
{
    (void)state;
    run_all(check_families);
}

static void *check_nodelay(void *arg)
{
    int fds[2];
    int on = 0;
    socklen_t len = sizeof on;
    (void)arg;
    tcp_pair(fds);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(getsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
        assert_true(on);
        on = 0;
    }
    close_pair(fds);
    return NULL;
}

static void test_sock_tcp_does_not_delay(void **state)
{
    (void)state;
    run_with(check_nodelay, 1, false);
}

static void *check_local(void *arg)
{
    char addr[64];
    struct sockaddr_in sa;
    socklen_t len = sizeof sa;
    struct skua_connect_opts wrong_size = {.size = 1};
    (void)arg;
    int listener = skua_listen("127.0.0.1:0");
    assert_true(listener >= 0);
    address_of(listener, addr);
    int fd = skua_connect(addr, 5.0, .local = "127.0.0.2:0");
    assert_true(fd >= 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(ntohl(sa.sin_addr.s_addr), 0x7f000002);
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_connect(addr, 5.0, .local = "[::1]:0"), -EINVAL);
    assert_int_equal(skua_connect(addr, 5.0, .local = "nonsense"), -EINVAL);
    assert_int_equal(skua_connect(addr, 5.0, .local = "192.0.2.1:0"), -EADDRNOTAVAIL);
    assert_int_equal(skua_connect("nonsense", 5.0), -EINVAL);
    assert_int_equal(skua_connect(NULL, 5.0), -EINVAL);
    assert_int_equal(skua_connect(addr, NAN), -EINVAL);
    assert_int_equal(skua_connect_with(addr, 5.0, &wrong_size), -EINVAL);
    assert_int_equal(skua_close(listener), 0);
    assert_int_equal(skua_connect(addr, 5.0), -ECONNREFUSED);
    assert_int_equal(skua_connect("unix:/nonexistent/socket", 5.0), -ENOENT);
    assert_int_equal(skua_connect("unix:@skua-nobody-listens-here", 5.0), -ECONNREFUSED);
    return NULL;
}

static void test_sock_connect_options_and_errors(void **state)
{
    (void)state;
    run_all(check_local);
}

/* The file of a unix path is gone when the call that made it fails, and stays when it was there. */
static void *check_path(void *arg)
{
    char addr[64];
    (void)arg;
    snprintf(addr, sizeof addr, "unix:/tmp/skua-sock-path-%d", getpid());
    for (int i = 0; i < 2; i++) { /* the second one would find it in use */
        assert_int_equal(skua_connect("unix:@skua-nobody-listens-here", 1.0, .local = addr),
                         -ECONNREFUSED);
        assert_int_equal(skua_datagram(addr, .peer = "unix:@skua-nobody-is-here"), -ECONNREFUSED);
        rt_fault_arm(RT_SYS_LISTEN, 1, ENOBUFS);
        assert_int_equal(skua_listen(addr), -ENOBUFS);
        rt_fault_reset();
        assert_int_equal(access(addr + 5, F_OK), -1);
    }
    int fd = skua_listen(addr);
    assert_true(fd >= 0);
    assert_int_equal(skua_listen(addr), -EADDRINUSE);
    assert_int_equal(skua_datagram(addr), -EADDRINUSE);
    assert_int_equal(skua_connect("unix:@skua-nobody-listens-here", 1.0, .local = addr),
                     -EADDRINUSE);
    assert_int_equal(access(addr + 5, F_OK), 0);
    assert_int_equal(unlink(addr + 5), 0);
    assert_int_equal(skua_close(fd), 0);
    return NULL;
}

static void test_sock_a_path_whose_call_fails_is_free_again(void **state)
{
    (void)state;
    run_with(check_path, 1, false);
}

/* Connects until the backlog is full. Returns how many got through. */
static int fill_backlog(const char *addr, int *fds, int max)
{
    int n = 0;
    while (n < max && (fds[n] = skua_connect(addr, 0.05)) >= 0)
        n++;
    assert_true(n < max);
    assert_int_equal(fds[n], -ETIMEDOUT);
    return n;
}

static void *connect_later(void *arg)
{
    struct call *c = arg;
    c->r = skua_connect(c->buf, 10.0);
    return NULL;
}

static void *check_full_backlog(void *arg)
{
    char name[64];
    int fds[32];
    struct call late = {.buf = name};
    (void)arg;
    for (int is_unix = 0; is_unix < 2; is_unix++) {
        snprintf(name, sizeof name, "unix:@skua-full-%d", getpid());
        int listener = skua_listen(is_unix ? name : "127.0.0.1:0", .backlog = 2);
        assert_true(listener >= 0);
        if (!is_unix)
            address_of(listener, name);
        int n = fill_backlog(name, fds, 32);
        if (is_unix) { /* a TCP client tries again after a second at the earliest */
            skua_task *t = skua_spawn(connect_later, &late);
            let_others_wait();
            int accepted = skua_accept(listener, 5.0);
            assert_true(accepted >= 0);
            join(t);
            assert_true(late.r >= 0);
            assert_int_equal(skua_close((int)late.r), 0);
            assert_int_equal(skua_close(accepted), 0);
        }
        while (n > 0)
            assert_int_equal(skua_close(fds[--n]), 0);
        assert_int_equal(skua_close(listener), 0);
    }
    return NULL;
}

static void test_sock_connect_times_out_at_a_full_backlog(void **state)
{
    (void)state;
    run_with(check_full_backlog, 1, false);
    run_with(check_full_backlog, 2, true);
}

static void *check_connect_cancel(void *arg)
{
    char addr[64];
    int fds[32];
    struct call late = {.buf = addr};
    (void)arg;
    int listener = skua_listen("127.0.0.1:0", .backlog = 1);
    int n = fill_backlog(address_of(listener, addr), fds, 32);
    skua_task *t = skua_spawn(connect_later, &late);
    let_others_wait();
    assert_true(skua_cancel(t, NULL));
    join(t);
    assert_int_equal(late.r, -ECANCELED);
    while (n > 0)
        assert_int_equal(skua_close(fds[--n]), 0);
    assert_int_equal(skua_close(listener), 0);
    return NULL;
}

static void test_sock_connect_is_cancelled_and_closes(void **state)
{
    (void)state;
    run_with(check_connect_cancel, 2, false);
}

/* --- accept --- */

static void *check_accept_errors(void *arg)
{
    static const int transient[] = {ECONNABORTED, EPROTO, EPERM, ENETDOWN, EHOSTUNREACH, EINTR};
    static const int fatal[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL};
    char addr[64];
    (void)arg;
    int listener = skua_listen("127.0.0.1:0");
    address_of(listener, addr);
    assert_int_equal(skua_accept(listener, 0.0), -ETIMEDOUT);
    assert_int_equal(skua_accept(listener, 0.01), -ETIMEDOUT);
    assert_int_equal(skua_accept(listener, NAN), -EINVAL);
    for (size_t i = 0; i < sizeof transient / sizeof *transient; i++) {
        int client = skua_connect(addr, 5.0);
        rt_fault_arm(RT_SYS_ACCEPT4, 1, transient[i]);
        int server = skua_accept(listener, 5.0);
        assert_true(server >= 0);
        assert_int_equal(rt_fault_hits(RT_SYS_ACCEPT4), 1);
        assert_int_equal(skua_close(server), 0);
        assert_int_equal(skua_close(client), 0);
    }
    int client = skua_connect(addr, 5.0);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        rt_fault_arm(RT_SYS_ACCEPT4, 1, fatal[i]);
        assert_int_equal(skua_accept(listener, 5.0), -fatal[i]);
    }
    rt_fault_arm_from(RT_SYS_ACCEPT4, 1, EPERM); /* ends even if it never stops */
    assert_int_equal(skua_accept(listener, 5.0), -EPERM);
    rt_fault_reset();
    int server = skua_accept(listener, 5.0);
    assert_true(server >= 0);
    assert_int_equal(skua_accept(client, 1.0), -EINVAL); /* does not listen */
    assert_int_equal(skua_close(server), 0);
    assert_int_equal(skua_close(client), 0);
    assert_int_equal(skua_close(listener), 0);
    return NULL;
}

static void test_sock_accept_errors(void **state)
{
    (void)state;
    run_all(check_accept_errors);
}

static void *check_accept_ends(void *arg)
{
    char addr[64];
    int listener = skua_listen("127.0.0.1:0");
    struct call in = {.fd = listener, .timeout = FOREVER};
    (void)arg;
    address_of(listener, addr);
    skua_task *t = skua_spawn(accept_call, &in);
    let_others_wait();
    assert_true(skua_cancel(t, NULL));
    join(t);
    assert_int_equal(in.r, -ECANCELED);
    t = skua_spawn(accept_call, &in);
    let_others_wait();
    assert_int_equal(skua_close(listener), 0);
    listener = skua_listen(addr); /* the address is free although the waiter has not run yet */
    assert_true(listener >= 0);
    join(t);
    assert_int_equal(in.r, -EBADF);
    assert_int_equal(skua_close(listener), 0);
    return NULL;
}

static void test_sock_accept_is_ended_by_cancel_and_close(void **state)
{
    (void)state;
    run_all(check_accept_ends);
}

static void *check_foreign_listener(void *arg)
{
    char addr[64];
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct call in = {.timeout = 5.0};
    (void)arg;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(skua_accept(fd, 1.0), -EINVAL); /* blocking */
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    in.fd = fd;
    skua_task *t = skua_spawn(accept_call, &in);
    let_others_wait();
    int client = skua_connect(address_of(fd, addr), 5.0);
    join(t);
    assert_true(in.r >= 0);
    assert_int_equal(skua_close((int)in.r), 0);
    assert_int_equal(skua_close(client), 0);
    assert_int_equal(skua_close(fd), 0);
    return NULL;
}

static void test_sock_accept_on_a_foreign_listener(void **state)
{
    (void)state;
    run_all(check_foreign_listener);
}

/* --- undoing --- */

static void *check_faults(void *arg)
{
    static const enum rt_sys_call calls[] = {RT_SYS_SOCKET, RT_SYS_BIND, RT_SYS_LISTEN,
                                             RT_SYS_SETSOCKOPT};
    char addr[64];
    char byte;
    int fds[2];
    (void)arg;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        rt_fault_arm(calls[i], 1, ENOBUFS);
        assert_int_equal(skua_listen("127.0.0.1:0"), -ENOBUFS);
    }
    rt_fault_reset();
    int listener = skua_listen("127.0.0.1:0");
    address_of(listener, addr);
    rt_fault_arm(RT_SYS_SOCKET, 1, EMFILE);
    assert_int_equal(skua_connect(addr, 1.0), -EMFILE);
    rt_fault_arm(RT_SYS_SETSOCKOPT, 1, ENOBUFS);
    assert_int_equal(skua_connect(addr, 1.0), -ENOBUFS);
    rt_fault_arm(RT_SYS_CONNECT, 1, ENETUNREACH);
    assert_int_equal(skua_connect(addr, 1.0), -ENETUNREACH);
    rt_fault_arm(RT_SYS_EPOLL_CTL, 1, ENOSPC);
    assert_int_equal(skua_accept(listener, 1.0), -ENOSPC);
    tcp_pair(fds);
    rt_fault_arm(RT_SYS_EPOLL_CTL, 1, ENOMEM);
    assert_int_equal(skua_read(fds[1], &byte, 1, 1.0), -ENOMEM);
    assert_int_equal(skua_write(fds[0], "x", 1, 1.0), 1);
    assert_int_equal(skua_read(fds[1], &byte, 1, 1.0), 1);
    close_pair(fds);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    rt_fault_arm(RT_SYS_EPOLL_CTL, 1, ENOMEM);
    assert_int_equal(skua_read(fds[0], &byte, 1, 1.0), -ENOMEM);
    rt_fault_arm(RT_SYS_EPOLL_CTL, 1, EPERM); /* what cannot be polled is always ready */
    assert_int_equal(skua_poll_fd(fds[0], POLLIN, 1.0), POLLIN);
    rt_fault_reset();
    assert_int_equal(skua_read(fds[0], &byte, 1, 0.01), -ETIMEDOUT);
    close_pair(fds);
    assert_int_equal(skua_close(listener), 0);
    return NULL;
}

static void test_sock_failures_leave_nothing_behind(void **state)
{
    (void)state;
    run_with(check_faults, 1, false);
}

/* A chunk of the table that cannot be had. */
static void *check_table_memory(void *arg)
{
    int fds[2];
    (void)arg;
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    int high = fcntl(fds[0], F_DUPFD_CLOEXEC, 700);
    assert_true(high >= 700);
    char byte;
    rt_fault_alloc_arm(1);
    assert_int_equal(skua_read(high, &byte, 1, 1.0), -ENOMEM);
    rt_fault_alloc_arm(1);
    assert_int_equal(skua_fd_adopt(high), -ENOMEM);
    rt_fault_alloc_arm(0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(skua_fd_adopt(high), 0);
    assert_int_equal(skua_read(high, &byte, 1, 1.0), 1);
    assert_int_equal(skua_close(high), 0);
    close_pair(fds);
    return NULL;
}

/* No memory for the timer of a wait, or for whatever else it takes. */
static void *check_wait_memory(void *arg)
{
    int fds[2];
    char byte;
    int failed = 0;
    (void)arg;
    unix_pair(fds);
    for (uint64_t nth = 1; nth <= 4; nth++) {
        rt_fault_alloc_arm(nth);
        ssize_t r = skua_read(fds[0], &byte, 1, 0.01);
        failed += rt_fault_alloc_hits() > 0;
        assert_int_equal(r, rt_fault_alloc_hits() > 0 ? -ENOMEM : -ETIMEDOUT);
        rt_fault_alloc_arm(0);
        assert_int_equal(skua_write(fds[1], "m", 1, 1.0), 1);
        assert_int_equal(skua_read(fds[0], &byte, 1, 1.0), 1);
    }
    assert_true(failed > 0);
    close_pair(fds);
    return NULL;
}

static void test_sock_no_memory_for_a_wait(void **state)
{
    (void)state;
    run_with(check_wait_memory, 1, false);
    run_with(check_wait_memory, 1, true);
}

static void test_sock_no_memory_for_the_table(void **state)
{
    (void)state;
    run_with(check_table_memory, 1, false);
}

/* Numbers are used again at once: what waited on the old one never reaches the new. */
static void *check_reuse(void *arg)
{
    int fds[2];
    char byte = 0;
    struct call in = {.buf = &byte, .n = 1, .timeout = FOREVER};
    (void)arg;
    for (int i = 0; i < 60; i++) {
        unix_pair(fds);
        in.fd = fds[0];
        skua_task *t = skua_spawn(read_call, &in);
        assert_int_equal(skua_sleep(0.003), 0);
        if (i & 1)
            assert_int_equal(skua_write(fds[1], "y", 1, 1.0), 1);
        close_pair(fds);
        unix_pair(fds);
        assert_int_equal(skua_write(fds[1], "z", 1, 1.0), 1);
        join(t);
        assert_true(in.r == -EBADF || (in.r == 1 && byte == 'y'));
        assert_int_equal(skua_read(fds[0], &byte, 1, 5.0), 1);
        assert_int_equal(byte, 'z');
        close_pair(fds);
    }
    return NULL;
}

static void test_sock_numbers_are_used_again(void **state)
{
    (void)state;
    run_all(check_reuse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_sock_listens),
        NET_TEST(test_sock_families),
        NET_TEST(test_sock_tcp_does_not_delay),
        NET_TEST(test_sock_connect_options_and_errors),
        NET_TEST(test_sock_a_path_whose_call_fails_is_free_again),
        NET_TEST(test_sock_connect_times_out_at_a_full_backlog),
        NET_TEST(test_sock_connect_is_cancelled_and_closes),
        NET_TEST(test_sock_accept_errors),
        NET_TEST(test_sock_accept_is_ended_by_cancel_and_close),
        NET_TEST(test_sock_accept_on_a_foreign_listener),
        NET_TEST(test_sock_failures_leave_nothing_behind),
        NET_TEST(test_sock_no_memory_for_the_table),
        NET_TEST(test_sock_no_memory_for_a_wait),
        NET_TEST(test_sock_numbers_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
