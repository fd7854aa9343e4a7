/* SPDX-License-Identifier: MIT */
/* Goal: of several addresses the first that answers wins, in the order and at the times that were
 * asked for, and nothing stays open whatever happens. Method: a resolver that gives loopback
 * addresses which refuse, hang and answer; virtual time; every allocation and system call fails
 * once. */
#include "fake_resolver.h"

enum { HANGING = 32 };

/* A listener that lets nobody in, and those who filled it. */
struct hanging {
    int listener;
    int n;
    int fds[HANGING];
    char addr[64];
};

static void hang(struct hanging *h, const char *at)
{
    h->listener = skua_listen(at, .backlog = 1);
    assert_true(h->listener >= 0);
    address_of(h->listener, h->addr);
    h->n = 0;
    while (h->n < HANGING && (h->fds[h->n] = skua_connect(h->addr, 0.05)) >= 0)
        h->n++;
    assert_true(h->n < HANGING);
}

static void let_go(struct hanging *h)
{
    while (h->n > 0)
        assert_int_equal(skua_close(h->fds[--h->n]), 0);
    assert_int_equal(skua_close(h->listener), 0);
}

/* A port of 127.0.0.x that refuses. */
static const char *refusing(int x, char addr[64])
{
    char text[64];
    snprintf(text, sizeof text, "127.0.0.%d:0", x);
    int fd = skua_listen(text);
    assert_true(fd >= 0);
    address_of(fd, addr);
    assert_int_equal(skua_close(fd), 0);
    return addr;
}

static void run_virtual(skua_fn body, int workers)
{
    struct skua_run_opts opts = {.size = sizeof opts, .workers = workers, .virtual_time = true};
    assert_int_equal(skua_run_with(body, NULL, &opts), 0);
}

static bool about(double a, double b)
{
    return a > b - 0.001 && a < b + 0.02;
}

/* The peer of a connection. */
static void expect_peer(int fd, const char *want)
{
    skua_addr peer;
    char text[SKUA_ADDR_TEXT];
    assert_true(fd >= 0);
    assert_int_equal(skua_peername(fd, &peer), 0);
    assert_true(skua_addr_text(&peer, text, sizeof text) > 0);
    assert_string_equal(text, want);
}

/* --- who wins --- */

static void *check_winner(void *arg)
{
    char first[64], second[64], good[64];
    int listener = skua_listen("127.0.0.4:0");
    (void)arg;
    assert_true(listener >= 0);
    const char *const list[] = {refusing(2, first), refusing(3, second),
                                address_of(listener, good), NULL};
    fake_use(list);
    int fd = skua_connect("host.example:80", 5.0);
    expect_peer(fd, good);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(skua_close(fd), 0);
    assert_string_equal(fake.host, "host.example");
    assert_int_equal(fake.hints.ai_socktype, SOCK_STREAM);
    fd = skua_connect("host.example:80", 5.0, .local = "127.0.0.9:0");
    expect_peer(fd, good);
    assert_int_equal(fake.hints.ai_family, AF_INET);
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_connect("host.example:80", 5.0, .local = "[::1]:0"), -ENODATA);
    assert_int_equal(skua_connect("host.example:80", 5.0, .local = "unix:/x"), -EINVAL);
    assert_int_equal(skua_close(listener), 0);
    assert_int_equal(skua_connect("host.example:80", 5.0), -ECONNREFUSED);
    return NULL;
}

static void test_connect_tries_one_after_the_other(void **state)
{
    (void)state;
    run_all(check_winner);
}

static void *check_localhost(void *arg)
{
    char addr[64], text[80], byte;
    int listener = skua_listen("127.0.0.1:0");
    (void)arg;
    fake_use(NULL);
    assert_true(listener >= 0);
    snprintf(text, sizeof text, "localhost%s", strchr(address_of(listener, addr), ':'));
    int fd = skua_connect(text, 5.0);
    expect_peer(fd, addr);
    assert_int_equal(skua_read(fd, &byte, 1, 0), -ETIMEDOUT);
    assert_int_equal(skua_close(fd), 0);
    fd = skua_connect(text, 0); /* loopback needs no waiting, nor does its name */
    assert_true(fd >= 0 || fd == -ETIMEDOUT);
    if (fd >= 0)
        assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_close(listener), 0);
    assert_int_equal(skua_connect(text, 5.0), -ECONNREFUSED);
    assert_int_equal(fake.calls, 0);
    return NULL;
}

static void test_connect_to_localhost(void **state)
{
    (void)state;
    run_all(check_localhost);
}

/* --- when --- */

static void *check_delay(void *arg)
{
    struct hanging slow;
    char good[64];
    (void)arg;
    int listener = skua_listen("127.0.0.4:0");
    assert_true(listener >= 0);
    hang(&slow, "127.0.0.2:0");
    const char *const list[] = {slow.addr, slow.addr, address_of(listener, good), NULL};
    fake_use(list);
    double start = skua_loop_time();
    int fd = skua_connect("host.example:80", 5.0);
    assert_true(about(skua_loop_time() - start, 0.5)); /* two hang, a quarter of a second each */
    expect_peer(fd, good);
    assert_int_equal(skua_close(fd), 0);
    start = skua_loop_time();
    fd = skua_connect("host.example:80", 5.0, .happy_eyeballs_delay = 1.5);
    assert_true(about(skua_loop_time() - start, 3.0));
    assert_int_equal(skua_close(fd), 0);
    start = skua_loop_time();
    assert_int_equal(skua_connect("host.example:80", 0.4), -ETIMEDOUT);
    assert_true(about(skua_loop_time() - start, 0.4));
    start = skua_loop_time();
    assert_int_equal(skua_connect("host.example:80", 7.0, .happy_eyeballs_delay = INFINITY),
                     -ETIMEDOUT); /* the first one never fails */
    assert_true(about(skua_loop_time() - start, 7.0));
    assert_int_equal(skua_close(listener), 0);
    let_go(&slow);
    return NULL;
}

static void test_connect_starts_the_next_after_a_delay(void **state)
{
    (void)state;
    run_virtual(check_delay, 1);
    run_virtual(check_delay, 2);
}

static void *check_many(void *arg)
{
    struct hanging slow;
    char good[64];
    const char *list[12];
    (void)arg;
    int listener = skua_listen("127.0.0.4:0");
    assert_true(listener >= 0);
    hang(&slow, "127.0.0.2:0");
    for (int i = 0; i < 10; i++)
        list[i] = slow.addr;
    list[10] = address_of(listener, good);
    list[11] = NULL;
    fake_use(list);
    assert_int_equal(skua_connect("host.example:80", 60.0), -ETIMEDOUT); /* 8 at a time */
    list[7] = good;
    double start = skua_loop_time();
    int fd = skua_connect("host.example:80", 60.0);
    assert_true(about(skua_loop_time() - start, 7 * 0.25));
    expect_peer(fd, good);
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_close(listener), 0);
    let_go(&slow);
    return NULL;
}

static void test_connect_runs_a_bounded_number_of_attempts(void **state)
{
    (void)state;
    run_virtual(check_many, 1);
}

struct connecting {
    int r;
};

static void *connect_main(void *arg)
{
    struct connecting *c = arg;
    c->r = skua_connect("host.example:80", INFINITY, .happy_eyeballs_delay = 0.001);
    return NULL;
}

static void *check_cancel(void *arg)
{
    struct hanging slow;
    struct connecting c = {.r = 0};
    (void)arg;
    hang(&slow, "127.0.0.2:0");
    const char *const list[] = {slow.addr, slow.addr, slow.addr, NULL};
    fake_use(list);
    int before = t_fds();
    skua_task *t = skua_spawn(connect_main, &c);
    fake_await_calls(1);
    while (t_fds() < before + 3)
        assert_int_equal(skua_sleep(0.001), 0);
    skua_cancel(t, NULL);
    join(t);
    assert_int_equal(c.r, -ECANCELED);
    assert_int_equal(t_fds(), before);
    fake_use(list);
    fake.is_shut = true;
    t = skua_spawn(connect_main, &c);
    fake_await_calls(1);
    skua_cancel(t, NULL);
    join(t);
    assert_int_equal(c.r, -ECANCELED);
    fake_open();
    fake_await_end();
    let_go(&slow);
    return NULL;
}

static void test_connect_cancelled_closes_all(void **state)
{
    (void)state;
    run_all(check_cancel);
}

/* --- which error --- */

/* The first attempt meets `injected`, the second one is refused; or both meet it. */
static void *check_errors(void *arg)
{
    static const struct {
        int injected, want;
    } table[] = {
        {ENETUNREACH, -ECONNREFUSED}, {EADDRNOTAVAIL, -ECONNREFUSED}, {ETIMEDOUT, -ECONNREFUSED},
        {EHOSTUNREACH, -ECONNREFUSED}, {ECONNRESET, -ECONNRESET},      {ENOBUFS, -ENOBUFS},
    };
    char first[64], second[64];
    const char *const list[] = {refusing(2, first), refusing(3, second), NULL};
    (void)arg;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fake_use(list);
        rt_fault_arm(RT_SYS_CONNECT, 1, table[i].injected);
        assert_int_equal(skua_connect("host.example:80", 5.0), table[i].want);
        rt_fault_arm_from(RT_SYS_CONNECT, 1, table[i].injected);
        assert_int_equal(skua_connect("host.example:80", 5.0), -table[i].injected);
        rt_fault_reset();
    }
    fake_use(list);
    fake.error = EAI_NONAME;
    assert_int_equal(skua_connect("host.example:80", 5.0), -ENOENT);
    assert_int_equal(skua_connect("host.example:80", 0), -ETIMEDOUT);
    assert_int_equal(skua_connect("host.example:80", 5.0, .happy_eyeballs_delay = -1), -EINVAL);
    assert_int_equal(skua_connect("host.example:80", 5.0, .happy_eyeballs_delay = NAN), -EINVAL);
    assert_int_equal(skua_connect("host.example:80", 5.0, .interleave = -2), -EINVAL);
    assert_int_equal(skua_connect("host.example:http", 5.0), -EINVAL);
    assert_int_equal(skua_connect("host example:80", 5.0), -EINVAL);
    assert_int_equal(skua_connect("127.1:80", 5.0), -EINVAL);
    return NULL;
}

static void test_connect_gives_the_error_that_tells_most(void **state)
{
    (void)state;
    run_with(check_errors, 1, false);
}

/* --- shortage --- */

static int round_of_faults(const char *good)
{
    int fd = skua_connect("host.example:80", 5.0);
    if (fd >= 0) {
        expect_peer(fd, good);
        assert_int_equal(skua_close(fd), 0);
    }
    return fd;
}

static void *check_faults(void *arg)
{
    static const enum rt_sys_call calls[] = {RT_SYS_SOCKET, RT_SYS_SETSOCKOPT, RT_SYS_CONNECT,
                                             RT_SYS_EPOLL_CTL, RT_SYS_GETADDRINFO};
    char refused[64], good[64];
    int listener = skua_listen("127.0.0.4:0", .backlog = 511);
    (void)arg;
    assert_true(listener >= 0);
    const char *const list[] = {refusing(2, refused), address_of(listener, good), NULL};
    fake_use(list);
    assert_true(round_of_faults(good) >= 0);
    int before = t_fds();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        unsigned hits = 1;
        for (unsigned nth = 1; hits > 0; nth++) {
            rt_fault_arm(calls[i], nth, ENOBUFS);
            int r = round_of_faults(good);
            hits = rt_fault_hits(calls[i]);
            rt_fault_reset();
            assert_true(r >= 0 || (r == -ENOBUFS && hits > 0));
            assert_int_equal(t_fds(), before);
        }
    }
    uint64_t hits = 1;
    for (uint64_t nth = 1; hits > 0; nth++) {
        rt_fault_alloc_arm(nth);
        int r = round_of_faults(good);
        hits = rt_fault_alloc_hits();
        rt_fault_alloc_arm(0);
        assert_true(r >= 0 || (r == -ENOMEM && hits > 0));
        assert_int_equal(t_fds(), before);
    }
    assert_int_equal(skua_close(listener), 0);
    return NULL;
}

static void test_connect_without_something_leaves_nothing_open(void **state)
{
    (void)state;
    run_with(check_faults, 1, false);
}

/* Every attempt waits, and one of the waits cannot be made. */
static void *check_wait_faults(void *arg)
{
    struct hanging slow;
    (void)arg;
    hang(&slow, "127.0.0.2:0");
    const char *const list[] = {slow.addr, slow.addr, NULL};
    fake_use(list);
    int before = t_fds();
    for (unsigned nth = 1; nth <= 2; nth++) {
        rt_fault_arm(RT_SYS_EPOLL_CTL, nth, ENOSPC);
        assert_int_equal(skua_connect("host.example:80", 1.0), -ENOSPC);
        rt_fault_reset();
        assert_int_equal(t_fds(), before);
    }
    assert_int_equal(skua_connect("host.example:80", 1.0), -ETIMEDOUT);
    assert_int_equal(t_fds(), before);
    let_go(&slow);
    return NULL;
}

static void test_connect_whose_wait_fails_leaves_nothing_open(void **state)
{
    (void)state;
    run_virtual(check_wait_faults, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TEST(test_connect_tries_one_after_the_other),
        FAKE_TEST(test_connect_to_localhost),
        FAKE_TEST(test_connect_starts_the_next_after_a_delay),
        FAKE_TEST(test_connect_runs_a_bounded_number_of_attempts),
        FAKE_TEST(test_connect_cancelled_closes_all),
        FAKE_TEST(test_connect_gives_the_error_that_tells_most),
        FAKE_TEST(test_connect_without_something_leaves_nothing_open),
        FAKE_TEST(test_connect_whose_wait_fails_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
