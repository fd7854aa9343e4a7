/* SPDX-License-Identifier: MIT */
/* Goal: a server runs each connection as a task, spreads them, keeps its limit, and ends in order.
 * Method: loopback servers on 1, 2 and 4 workers; scarce descriptors; injected errors. */
#include "net_support.h"

#include "base/atomic.h"

struct shop {
    int fd;
    char addr[64];
    double drain;
    int max;
    skua_group *group;
    skua_conn_fn handler;
    long r;
    RT_ATOMIC(int) inside, most, ended, cancelled;
    RT_ATOMIC(uint32_t) workers; /* bit of each worker that ran a handler */
};

static void *serve_call(void *arg)
{
    struct shop *s = arg;
    s->r = skua_serve(s->fd, s->handler, s, .max_connections = s->max, .drain = s->drain,
                      .group = s->group);
    return NULL;
}

static void enter(struct shop *s)
{
    int now = rt_add_sc(&s->inside, 1) + 1;
    int most = rt_load_sc(&s->most);
    while (most < now && !rt_cas_sc(&s->most, &most, now)) {
    }
    (void)rt_or_sc(&s->workers, 1u << skua_worker_index());
}

static void echo(int fd, void *arg)
{
    struct shop *s = arg;
    char buf[256];
    ssize_t n;
    enter(s);
    while ((n = skua_read(fd, buf, sizeof buf, 30.0)) > 0)
        if (skua_write(fd, buf, (size_t)n, 30.0) < 0)
            break;
    (void)rt_sub_sc(&s->inside, 1);
    (void)rt_add_sc(n == -ECANCELED ? &s->cancelled : &s->ended, 1);
}

static skua_task *open_shop(struct shop *s)
{
    s->fd = skua_listen("127.0.0.1:0");
    assert_true(s->fd >= 0);
    address_of(s->fd, s->addr);
    if (!s->handler)
        s->handler = echo;
    return skua_spawn(serve_call, s);
}

static void close_shop(struct shop *s, skua_task *t)
{
    assert_int_equal(skua_close(s->fd), 0);
    join(t);
    assert_int_equal(s->r, 0);
    assert_int_equal(rt_load_sc(&s->inside), 0);
}

static void talk(int fd, int rounds)
{
    char in[32];
    for (int i = 0; i < rounds; i++) {
        assert_int_equal(skua_write(fd, "ping", 4, 5.0), 4);
        for (int got = 0; got < 4;) {
            ssize_t n = skua_read(fd, in + got, sizeof in - (size_t)got, 10.0);
            assert_true(n > 0);
            got += (int)n;
        }
        assert_memory_equal(in, "ping", 4);
    }
}

static void *client(void *arg)
{
    struct shop *s = arg;
    int fd = skua_connect(s->addr, 10.0);
    assert_true(fd >= 0);
    talk(fd, 20);
    assert_int_equal(skua_close(fd), 0);
    return NULL;
}

static void run_clients(struct shop *s, int n)
{
    skua_task *tasks[200];
    for (int i = 0; i < n; i++)
        tasks[i] = skua_spawn(client, s);
    for (int i = 0; i < n; i++)
        join(tasks[i]);
}

/* --- serving --- */

static void *check_echo(void *arg)
{
    struct skua_stats stats = {.size = sizeof stats};
    struct shop s = {0};
    uint64_t accepted = 0;
    (void)arg;
    skua_task *t = open_shop(&s);
    run_clients(&s, 200);
    close_shop(&s, t);
    assert_int_equal(rt_load_sc(&s.ended) + rt_load_sc(&s.cancelled), 200);
    assert_int_equal(skua_stats_get(&stats), 0);
    for (int i = 0; i < stats.workers + stats.spares; i++) {
        struct skua_worker_stats ws = {.size = sizeof ws};
        assert_int_equal(skua_worker_stats_get(i, &ws), 0);
        accepted += ws.connections;
    }
    assert_int_equal(accepted, 200);
    return NULL;
}

static void test_serve_echoes(void **state)
{
    (void)state;
    run_all(check_echo);
}

static void hold(int fd, void *arg)
{
    struct shop *s = arg;
    char byte;
    enter(s);
    SKUA_IGNORE((int)skua_read(fd, &byte, 1, 30.0));
    (void)rt_sub_sc(&s->inside, 1);
}

static void *check_spread(void *arg)
{
    struct skua_stats stats = {.size = sizeof stats};
    struct shop s = {.handler = hold};
    int fds[32];
    (void)arg;
    assert_int_equal(skua_stats_get(&stats), 0);
    skua_task *t = open_shop(&s);
    for (int i = 0; i < 32; i++) {
        fds[i] = skua_connect(s.addr, 10.0);
        assert_true(fds[i] >= 0);
    }
    while (rt_load_sc(&s.inside) < 32)
        assert_int_equal(skua_sleep(0.001), 0);
    assert_int_equal(rt_load_sc(&s.workers), (1u << stats.workers) - 1);
    for (int i = 0; i < 32; i++)
        assert_int_equal(skua_close(fds[i]), 0);
    while (rt_load_sc(&s.inside) > 0)
        assert_int_equal(skua_sleep(0.001), 0);
    close_shop(&s, t);
    return NULL;
}

/* Where each connection was placed: nobody takes what another worker was given. */
static void test_serve_spreads_over_all_workers(void **state)
{
    (void)state;
    setenv("SKUA_STEAL", "off", 1);
    run_all(check_spread);
    unsetenv("SKUA_STEAL");
}

static void *check_group(void *arg)
{
    struct skua_stats stats = {.size = sizeof stats};
    struct shop s = {0};
    (void)arg;
    assert_int_equal(skua_stats_get(&stats), 0);
    s.group = skua_group_new(.worker = stats.workers); /* the last one */
    assert_non_null(s.group);
    skua_task *t = open_shop(&s);
    run_clients(&s, 50);
    close_shop(&s, t);
    assert_int_equal(rt_load_sc(&s.workers), 1u << (stats.workers - 1));
    skua_group_release(s.group);
    return NULL;
}

static void test_serve_in_a_group(void **state)
{
    (void)state;
    run_all(check_group);
}

static void *check_limit(void *arg)
{
    struct shop s = {.max = 3};
    (void)arg;
    skua_task *t = open_shop(&s);
    run_clients(&s, 60);
    assert_true(rt_load_sc(&s.most) <= 3);
    int a = skua_connect(s.addr, 5.0);
    int b = skua_connect(s.addr, 5.0);
    int c = skua_connect(s.addr, 5.0);
    int late = skua_connect(s.addr, 5.0);
    talk(a, 1);
    talk(b, 1);
    talk(c, 1);
    char byte;
    assert_int_equal(skua_write(late, "l", 1, 1.0), 1);
    assert_int_equal(skua_read(late, &byte, 1, 0.05), -ETIMEDOUT); /* in the backlog */
    assert_int_equal(skua_close(b), 0);
    assert_int_equal(skua_read(late, &byte, 1, 5.0), 1);
    assert_int_equal(skua_close(a), 0);
    assert_int_equal(skua_close(c), 0);
    assert_int_equal(skua_close(late), 0);
    close_shop(&s, t);
    return NULL;
}

static void test_serve_keeps_its_limit(void **state)
{
    (void)state;
    run_all(check_limit);
}

static void *check_close_at_limit(void *arg)
{
    struct shop s = {.max = 1};
    (void)arg;
    skua_task *t = open_shop(&s);
    int a = skua_connect(s.addr, 5.0);
    talk(a, 1);
    int b = skua_connect(s.addr, 5.0);
    close_shop(&s, t);
    assert_int_equal(rt_load_sc(&s.cancelled), 1);
    assert_int_equal(skua_close(a), 0);
    assert_int_equal(skua_close(b), 0);
    return NULL;
}

static void test_serve_can_be_closed_at_its_limit(void **state)
{
    (void)state;
    run_all(check_close_at_limit);
}

static void close_early(int fd, void *arg)
{
    struct shop *s = arg;
    char byte;
    enter(s);
    assert_int_equal(skua_read(fd, &byte, 1, 10.0), 1);
    assert_int_equal(skua_close(fd),
                     0); /* its number may go to the next one before the handler returns */
    assert_int_equal(skua_sleep(0.01), 0);
    (void)rt_sub_sc(&s->inside, 1);
}

static void *short_visit(void *arg)
{
    struct shop *s = arg;
    char byte;
    int fd = skua_connect(s->addr, 10.0);
    assert_true(fd >= 0);
    assert_int_equal(skua_sleep(0.005), 0);
    assert_int_equal(skua_write(fd, "x", 1, 5.0), 1);
    assert_int_equal(skua_read(fd, &byte, 1, 10.0), 0);
    assert_int_equal(skua_close(fd), 0);
    return NULL;
}

static void *check_close_early(void *arg)
{
    struct shop s = {.handler = close_early};
    skua_task *tasks[40];
    (void)arg;
    s.drain = FOREVER;
    skua_task *t = open_shop(&s);
    for (int i = 0; i < 40; i++) {
        tasks[i] = skua_spawn(short_visit, &s);
        assert_int_equal(skua_sleep(0.001), 0);
    }
    for (int i = 0; i < 40; i++)
        join(tasks[i]);
    close_shop(&s, t);
    return NULL;
}

static void test_serve_closes_what_is_still_its_own(void **state)
{
    (void)state;
    run_all(check_close_early);
}

/* --- the end --- */

static void *check_cancel(void *arg)
{
    struct shop s = {0};
    char byte;
    (void)arg;
    skua_task *t = open_shop(&s);
    int fd = skua_connect(s.addr, 5.0);
    talk(fd, 1);
    assert_true(skua_cancel(t, NULL));
    join(t);
    assert_int_equal(s.r, -ECANCELED);
    assert_int_equal(rt_load_sc(&s.cancelled), 1);
    assert_int_equal(skua_read(fd, &byte, 1, 5.0), 0); /* closed by then */
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_close(s.fd), 0); /* remains the caller's */
    return NULL;
}

static void test_serve_cancel_cancels_its_handlers(void **state)
{
    (void)state;
    run_all(check_cancel);
}

static void *check_drain(void *arg)
{
    struct shop s = {.drain = FOREVER};
    struct shop cut = {.drain = 0.05};
    (void)arg;
    skua_task *t = open_shop(&s);
    int fd = skua_connect(s.addr, 5.0);
    talk(fd, 1);
    assert_int_equal(skua_close(s.fd), 0);
    assert_int_equal(skua_sleep(0.03), 0);
    assert_false(skua_done(t));
    talk(fd, 3);
    assert_int_equal(skua_close(fd), 0);
    join(t);
    assert_int_equal(s.r, 0);
    assert_int_equal(rt_load_sc(&s.ended), 1);

    t = open_shop(&cut);
    fd = skua_connect(cut.addr, 5.0);
    talk(fd, 1);
    uint64_t before = rt_clock_now();
    close_shop(&cut, t);
    assert_true(rt_clock_now() - before >= 50 * RT_NS_PER_MS);
    assert_int_equal(rt_load_sc(&cut.cancelled), 1);
    assert_int_equal(skua_close(fd), 0);
    return NULL;
}

static void test_serve_drains(void **state)
{
    (void)state;
    run_all(check_drain);
}

static void *check_second_cancel(void *arg)
{
    struct shop s = {.drain = FOREVER};
    (void)arg;
    skua_task *t = open_shop(&s);
    int fd = skua_connect(s.addr, 5.0);
    talk(fd, 1);
    assert_true(skua_cancel(t, NULL));
    assert_int_equal(skua_sleep(0.02), 0);
    assert_false(skua_done(t));
    talk(fd, 1);
    assert_true(skua_cancel(t, NULL));
    join(t);
    assert_int_equal(s.r, -ECANCELED);
    assert_int_equal(rt_load_sc(&s.cancelled), 1);
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_close(s.fd), 0);
    return NULL;
}

static void test_serve_second_cancel_cuts_the_drain_short(void **state)
{
    (void)state;
    run_all(check_second_cancel);
}

static struct shop left;

/* Main returns while the server runs and handlers wait, some of them not even started. */
static void *leave_open(void *arg)
{
    static int fds[20];
    (void)arg;
    left = (struct shop){0};
    skua_detach(open_shop(&left));
    for (int i = 0; i < 20; i++) {
        fds[i] = skua_connect(left.addr, 5.0);
        assert_true(fds[i] >= 0);
    }
    talk(fds[0], 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(skua_close(fds[i]), 0);
    return NULL;
}

static void test_serve_ends_with_the_runtime(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 4; workers *= 2) {
        run_with(leave_open, workers, false);
        assert_int_equal(left.r, -ECANCELED);
        assert_int_equal(skua_close(left.fd), 0);
    }
}

static void *serve_cancelled(void *arg)
{
    skua_cancel(skua_current_task(), NULL);
    return serve_call(arg);
}

/* Cancelled before it can wait for a connection to end: whoever accepts next finds the other. */
static void *check_backlog(void *arg)
{
    struct shop s = {.fd = skua_listen("127.0.0.1:0"), .max = 1, .handler = hold};
    (void)arg;
    assert_int_equal(skua_accept(s.fd, 0.001), -ETIMEDOUT); /* registered */
    address_of(s.fd, s.addr);
    int fds[] = {skua_connect(s.addr, 5.0), skua_connect(s.addr, 5.0)};
    let_others_wait(); /* all events are told */
    join(skua_spawn(serve_cancelled, &s));
    assert_int_equal(s.r, -ECANCELED);
    int conn = skua_accept(s.fd, 5.0);
    assert_true(conn >= 0);
    close_pair(fds);
    close_pair((const int[]){conn, s.fd});
    return NULL;
}

static void test_serve_cancelled_at_its_limit_leaves_the_backlog_in_sight(void **state)
{
    (void)state;
    run_all(check_backlog);
}

/* --- errors --- */

static void *check_arguments(void *arg)
{
    const struct skua_serve_opts wrong_size = {.size = 1};
    int pipes[2];
    int fds[2];
    (void)arg;
    int fd = skua_listen("127.0.0.1:0");
    assert_int_equal(skua_serve(fd, NULL, NULL), -EINVAL);
    assert_int_equal(skua_serve(-1, echo, NULL), -EBADF);
    assert_int_equal(skua_serve(fd, echo, NULL, .max_connections = -1), -EINVAL);
    assert_int_equal(skua_serve(fd, echo, NULL, .drain = NAN), -EINVAL);
    assert_int_equal(skua_serve(fd, echo, NULL, .drain = -1), -EINVAL);
    assert_int_equal(skua_serve_with(fd, echo, NULL, &wrong_size), -EINVAL);
    assert_int_equal(skua_close(fd), 0);
    assert_int_equal(skua_serve(fd, echo, NULL), -EBADF);
    assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(skua_serve(pipes[0], echo, NULL), -EINVAL); /* not adopted */
    assert_int_equal(skua_fd_adopt(pipes[0]), 0);
    assert_int_equal(skua_serve(pipes[0], echo, NULL), -ENOTSOCK);
    close_pair(pipes);
    tcp_pair(fds);
    assert_int_equal(skua_serve(fds[0], echo, NULL), -EINVAL);
    close_pair(fds);
    return NULL;
}

static void test_serve_refuses_bad_arguments(void **state)
{
    (void)state;
    run_with(check_arguments, 1, false);
    assert_int_equal(skua_serve(0, echo, NULL), -EPERM);
}

static void *check_transient_errors(void *arg)
{
    static const int errors[] = {ECONNABORTED, EPROTO, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    (void)arg;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct shop s = {0};
        skua_task *t = open_shop(&s);
        rt_fault_arm(RT_SYS_ACCEPT4, 2, errors[i]);
        run_clients(&s, 10);
        assert_int_equal(rt_fault_hits(RT_SYS_ACCEPT4), 1);
        rt_fault_reset();
        close_shop(&s, t);
    }
    struct shop s = {0};
    skua_task *t = open_shop(&s);
    let_others_wait();
    rt_fault_alloc_arm(1); /* no memory for a connection: it is closed, the server goes on */
    int fd = skua_connect(s.addr, 5.0);
    char byte;
    assert_int_equal(skua_read(fd, &byte, 1, 5.0), 0);
    rt_fault_alloc_arm(0);
    assert_int_equal(skua_close(fd), 0);
    run_clients(&s, 10);
    close_shop(&s, t);
    return NULL;
}

static void *check_unwaitable(void *arg)
{
    struct shop s = {0};
    (void)arg;
    skua_task *t = open_shop(&s);
    rt_fault_arm_from(RT_SYS_EPOLL_CTL, 1, ENOMEM);
    let_others_wait();
    assert_true(rt_fault_hits(RT_SYS_EPOLL_CTL) > 1);
    rt_fault_reset();
    run_clients(&s, 10);
    close_shop(&s, t);
    return NULL;
}

static void test_serve_goes_on_when_it_has_no_memory_to_wait_with(void **state)
{
    (void)state;
    run_with(check_unwaitable, 1, false);
    run_with(check_unwaitable, 2, false);
}

static void test_serve_goes_on_after_transient_errors(void **state)
{
    (void)state;
    run_with(check_transient_errors, 1, false);
    run_with(check_transient_errors, 2, false);
}

static void *check_scarce(void *arg)
{
    struct shop s = {0};
    struct rlimit before;
    struct rlimit scarce;
    int fds[64];
    int spare[64];
    int n_spare = 0;
    (void)arg;
    skua_task *t = open_shop(&s);
    let_others_wait();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 4; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    scarce = before;
    scarce.rlim_cur = (rlim_t)fds[3] + 12;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &scarce), 0);
    while (n_spare < 64 && (spare[n_spare] = dup(0)) >= 0)
        n_spare++; /* none left */
    struct sockaddr_in sa;
    socklen_t len = sizeof sa;
    assert_int_equal(getsockname(s.fd, (struct sockaddr *)&sa, &len), 0);
    for (int i = 0; i < 4; i++) {
        assert_true(connect(fds[i], (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS);
        assert_int_equal(skua_fd_adopt(fds[i]), 0);
    }
    struct timespec cpu[2];
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[0]);
    assert_int_equal(skua_sleep(0.2), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[1]);
    double busy =
        (double)(cpu[1].tv_sec - cpu[0].tv_sec) + 1e-9 * (double)(cpu[1].tv_nsec - cpu[0].tv_nsec);
    assert_true(busy < 0.1); /* it does not spin */
    while (n_spare > 0)
        assert_int_equal(close(spare[--n_spare]), 0);
    for (int i = 0; i < 4; i++)
        talk(fds[i], 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(skua_close(fds[i]), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close_shop(&s, t);
    return NULL;
}

static void test_serve_waits_for_descriptors(void **state)
{
    (void)state;
    run_with(check_scarce, 1, false);
    run_with(check_scarce, 2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_serve_echoes),
        NET_TEST(test_serve_spreads_over_all_workers),
        NET_TEST(test_serve_in_a_group),
        NET_TEST(test_serve_keeps_its_limit),
        NET_TEST(test_serve_can_be_closed_at_its_limit),
        NET_TEST(test_serve_closes_what_is_still_its_own),
        NET_TEST(test_serve_cancel_cancels_its_handlers),
        NET_TEST(test_serve_cancelled_at_its_limit_leaves_the_backlog_in_sight),
        NET_TEST(test_serve_drains),
        NET_TEST(test_serve_second_cancel_cuts_the_drain_short),
        NET_TEST(test_serve_ends_with_the_runtime),
        NET_TEST(test_serve_refuses_bad_arguments),
        NET_TEST(test_serve_goes_on_after_transient_errors),
        NET_TEST(test_serve_goes_on_when_it_has_no_memory_to_wait_with),
        NET_TEST(test_serve_waits_for_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
