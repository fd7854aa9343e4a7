/* SPDX-License-Identifier: MIT */
/* Goal: without memory, descriptors or the help of the kernel, streams say so, lose nothing that
 * they can keep, and leave nothing behind. Method: the nth allocation, and the nth system call of
 * each kind, of one round fails, for every n until none does. */
#include "stream_support.h"

enum { SWEEP_MAX = 100, LONG = 300000 };

/* 0, or the negative error of the first call that failed. */
typedef int (*round_fn)(void);

/* What fails from the moment on at which a round says so. */
static unsigned nth;
static enum rt_sys_call call;
static int err;

static void begin_faults(void)
{
    if (nth && err)
        rt_fault_arm(call, nth, err);
    else if (nth)
        rt_fault_alloc_arm(nth);
}

/* What fails may leave nobody to answer. */
static double patience(void)
{
    return nth ? 0.02 : 10.0;
}

static int first_error(int so_far, long r)
{
    return so_far < 0 ? so_far : r < 0 ? (int)r : 0;
}

/* --- rounds --- */

static int round_trip(void)
{
    int fds[2];
    skua_stream *s[2] = {NULL, NULL};
    char buf[64];
    unix_pair(fds);
    begin_faults();
    int r = 0;
    for (int i = 0; i < 2; i++) {
        int opened = skua_stream_open(fds[i], fds[i], &s[i]);
        r = first_error(r, opened);
        if (opened < 0)
            assert_int_equal(skua_close(fds[i]), 0); /* the caller's still */
    }
    if (r == 0)
        r = first_error(r, skua_stream_write(s[0], "a line\n", 7));
    if (r == 0) {
        long n = skua_stream_read_line(s[1], buf, sizeof buf, patience());
        if (n == -ENOMEM) /* nothing was lost */
            assert_int_equal(skua_stream_read_line(s[1], buf, sizeof buf, 10.0), 7);
        r = first_error(r, n);
    }
    release_pair(s);
    return r;
}

/* More than the kernel takes at once; nobody reads until all was written. */
static int long_write(void)
{
    skua_stream *s[2];
    char *data = calloc(1, LONG);
    size_t taken = 0;
    open_pair(UNIX, s);
    begin_faults();
    int r = 0;
    for (int i = 0; i < 3; i++) {
        int wrote = skua_stream_write(s[0], data, LONG);
        taken += wrote == 0 ? LONG : 0;
        r = first_error(r, wrote);
    }
    size_t got = 0;
    while (got < taken) { /* what was taken comes, whatever failed meanwhile */
        int drained = skua_stream_drain(s[0], 0.0);
        r = first_error(r, drained == -ETIMEDOUT ? 0 : drained);
        long n = skua_stream_read(s[1], data, LONG, patience());
        r = first_error(r, n);
        if (n < 0 && n != -ENOMEM)
            break;
        got += n > 0 ? (size_t)n : 0;
    }
    if (r == 0)
        assert_int_equal(got, 3 * LONG);
    free(data);
    release_pair(s);
    return r;
}

static int closed_while_unsent(void)
{
    skua_stream *s[2];
    char *data = calloc(1, LONG);
    open_pair(UNIX, s);
    begin_faults();
    int r = skua_stream_write(s[0], data, LONG);
    r = first_error(r, skua_stream_write_eof(s[0]));
    r = first_error(r, skua_stream_close(s[0]));
    long n;
    while ((n = skua_stream_read(s[1], data, LONG, patience())) > 0) {
    }
    r = first_error(r, n);
    r = first_error(r, skua_stream_wait_closed(s[0], patience()));
    free(data);
    release_pair(s);
    return r;
}

static int kept_and_blocking(void)
{
    int fds[2];
    skua_stream *in = NULL;
    skua_stream *out = NULL;
    char buf[64];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    begin_faults();
    int r = skua_stream_open(fds[0], -1, &in, .keep = true);
    r = first_error(r, skua_stream_open(-1, fds[1], &out, .keep = true));
    if (r == 0)
        r = first_error(r, skua_stream_write(out, "kept", 4));
    if (r == 0)
        r = first_error(r, skua_stream_read(in, buf, sizeof buf, patience()));
    skua_stream_release(in);
    skua_stream_release(out);
    assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0); /* they are as they were */
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    close(fds[0]);
    close(fds[1]);
    return r;
}

static skua_stream *served;

static void handle(skua_stream *s, void *arg)
{
    (void)arg;
    SKUA_IGNORE(skua_stream_write(s, "hi\n", 3));
}

static void *serve_call(void *fd)
{
    int r = skua_serve_streams((int)(intptr_t)fd, handle, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

static int connection(void)
{
    char addr[64];
    char buf[16];
    int fd = skua_listen("127.0.0.1:0");
    assert_true(fd >= 0);
    address_of(fd, addr);
    begin_faults();
    skua_task *t = skua_spawn(serve_call, (void *)(intptr_t)fd);
    int r = t ? skua_stream_open_connection(addr, 1.0, &served) : -ENOMEM;
    if (r == 0) {
        long n = skua_stream_read_line(served, buf, sizeof buf, patience());
        r = n == 3 ? 0 : n < 0 ? (int)n : -EPIPE; /* the server had none, and closed */
        skua_stream_release(served);
    }
    assert_int_equal(skua_close(fd), 0);
    if (t)
        r = first_error(r, skua_join(t, NULL));
    return r;
}

static const struct thing {
    const char *name;
    round_fn round;
} things[] = {
    {"round trip", round_trip},
    {"long write", long_write},
    {"closed while unsent", closed_while_unsent},
    {"kept", kept_and_blocking},
    {"connection", connection},
};

/* --- sweeps --- */

static void check_round(const struct thing *thing)
{
    int fds = t_fds();
    int r = thing->round();
    if (r != 0)
        print_error("%s: %d\n", thing->name, r);
    assert_int_equal(r, 0);
    assert_int_equal(t_fds(), fds);
}

/* Until the nth does not come any more. */
static void sweep(const struct thing *thing)
{
    bool hit = true;
    for (nth = 1; hit && nth < SWEEP_MAX; nth++) {
        int fds = t_fds();
        (void)thing->round();
        SKUA_IGNORE(skua_sleep(0.001)); /* a closing stream's task may be at it */
        hit = (err ? rt_fault_hits(call) : rt_fault_alloc_hits()) > 0;
        rt_fault_reset();
        rt_fault_alloc_arm(0);
        assert_int_equal(t_fds(), fds);
    }
    assert_false(hit);
    nth = 0;
    check_round(thing);
}

static void *check_allocations(void *arg)
{
    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        check_round(&things[i]);
        sweep(&things[i]);
    }
    return arg;
}

static void test_without_memory(void **state)
{
    (void)state;
    run_with(check_allocations, 1, false);
}

static const struct {
    enum rt_sys_call call;
    int err;
} faults[] = {
    {RT_SYS_READ, EIO},       {RT_SYS_READ, EINTR},    {RT_SYS_SEND, EPIPE},
    {RT_SYS_SEND, ENOBUFS},   {RT_SYS_WRITE, EPIPE},   {RT_SYS_SENDMSG, ECONNRESET},
    {RT_SYS_RECV, EIO},       {RT_SYS_POLL, ENOMEM},   {RT_SYS_EPOLL_CTL, ENOSPC},
    {RT_SYS_FSTAT, EIO},      {RT_SYS_FCNTL, EMFILE},  {RT_SYS_OPEN, EACCES},
    {RT_SYS_SHUTDOWN, EIO},   {RT_SYS_CONNECT, EIO},   {RT_SYS_ACCEPT4, ECONNABORTED},
};

static void *check_calls(void *arg)
{
    for (size_t i = 0; i < sizeof things / sizeof *things; i++)
        for (size_t k = 0; k < sizeof faults / sizeof *faults; k++) {
            call = faults[k].call;
            err = faults[k].err;
            sweep(&things[i]);
        }
    err = 0;
    return arg;
}

static void test_without_the_kernel(void **state)
{
    (void)state;
    run_with(check_calls, 1, false);
}

/* --- what the kernel says once --- */

static void *check_timed_out(void *arg)
{
    /* It forgets the error that it has told: the next read would be the end of the stream. */
    skua_stream *s[2];
    char buf[64];
    open_pair(UNIX, s);
    say(s[1], "after it");
    rt_fault_arm(RT_SYS_READ, 1, ETIMEDOUT);
    assert_int_equal(skua_stream_read(s[0], buf, sizeof buf, 10.0), -ETIMEDOUT);
    assert_int_equal(skua_stream_read(s[0], buf, sizeof buf, 10.0), -ETIMEDOUT);
    release_pair(s);
    return arg;
}

static void test_a_connection_that_timed_out_stays_so(void **state)
{
    (void)state;
    run_few(check_timed_out);
}

static void *check_no_watch(void *arg)
{
    skua_stream *s[2];
    char buf[64];
    open_pair(UNIX, s);
    rt_fault_arm(RT_SYS_EPOLL_CTL, 1, ENOSPC);
    assert_int_equal(skua_stream_read(s[0], buf, sizeof buf, 10.0), -ENOSPC);
    say(s[1], "later");
    assert_int_equal(skua_stream_read(s[0], buf, sizeof buf, 10.0), 5);
    release_pair(s);
    return arg;
}

static void test_a_wait_that_fails_does_not_end_reading(void **state)
{
    (void)state;
    run_few(check_no_watch);
}

/* --- sending goes wrong, and may go well later --- */

static void *check_drain_tells(void *arg)
{
    skua_stream *s[2];
    char *data = calloc(1, LONG);
    open_pair(UNIX, s);
    stuff(s[0]);
    size_t unsent = skua_stream_unsent(s[0]);
    struct drain_task d = {s[0], 10.0, 1};
    skua_task *t = skua_spawn(run_drain, &d);
    let_them();
    rt_fault_arm_from(RT_SYS_SEND, 1, ENOMEM);
    rt_fault_arm_from(RT_SYS_SENDMSG, 1, ENOMEM);
    assert_true(skua_stream_read(s[1], data, LONG, 10.0) > 0);
    join(t);
    assert_int_equal(d.r, -ENOMEM);
    assert_true(rt_fault_hits(RT_SYS_SEND) + rt_fault_hits(RT_SYS_SENDMSG) < 10);
    assert_int_equal(skua_stream_unsent(s[0]), unsent);
    for (int i = 0; i < 1000; i++) /* also if the task gives up before the wait for it begins */
        assert_int_equal(skua_stream_drain(s[0], 10.0), -ENOMEM);
    rt_fault_reset();
    t = skua_spawn(run_drain, &d); /* which goes on */
    while (skua_stream_unsent(s[0])) {
        ssize_t n = skua_stream_read(s[1], data, LONG, 0.01);
        assert_true(n > 0 || n == -ETIMEDOUT); /* all is sent, and not yet noted */
    }
    join(t);
    assert_int_equal(d.r, 0);
    release_pair(s);
    free(data);
    return arg;
}

static void test_drain_tells_that_sending_has_no_memory(void **state)
{
    (void)state;
    run_few(check_drain_tells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_without_memory),
        NET_TEST(test_without_the_kernel),
        NET_TEST(test_a_connection_that_timed_out_stays_so),
        NET_TEST(test_a_wait_that_fails_does_not_end_reading),
        NET_TEST(test_drain_tells_that_sending_has_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
