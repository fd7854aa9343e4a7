/* SPDX-License-Identifier: MIT */
/* Streams as asyncio's chapter promises them, through the public headers alone. */
#include "../support/scale.h"
#include "../support/t.h"

#include <arpa/inet.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- a server and its clients --- */

struct shop {
    int fd;
    char address[64];
    skua_stream_fn handler;
    struct skua_serve_streams_opts opts;
    int result;
    skua_task *task;
};

static void *serve(void *arg)
{
    struct shop *s = arg;
    s->result = skua_serve_streams_with(s->fd, s->handler, s, &s->opts);
    return NULL;
}

static void open_shop(struct shop *s, skua_stream_fn handler)
{
    struct sockaddr_in at;
    socklen_t n = sizeof at;
    s->fd = skua_listen("127.0.0.1:0");
    T_EXPECT(s->fd >= 0 && getsockname(s->fd, (struct sockaddr *)&at, &n) == 0);
    snprintf(s->address, sizeof s->address, "127.0.0.1:%d", ntohs(at.sin_port));
    s->handler = handler;
    s->opts.size = sizeof s->opts;
    if (s->opts.drain == 0)
        s->opts.drain = INFINITY; /* close_shop waits for the handlers */
    s->task = skua_spawn(serve, s);
}

static void close_shop(struct shop *s)
{
    T_EXPECT_INT(skua_close(s->fd), 0);
    T_EXPECT_INT(skua_join(s->task, NULL), 0);
    T_EXPECT_INT(s->result, 0);
}

static skua_stream *visit(const struct shop *s)
{
    skua_stream *stream = NULL;
    T_EXPECT_INT(skua_stream_open_connection(s->address, 20, &stream), 0);
    return stream;
}

static void echo_lines(skua_stream *s, void *arg)
{
    char line[256];
    ssize_t n;
    while ((n = skua_stream_read_line(s, line, sizeof line, INFINITY)) > 0)
        if (skua_stream_write(s, line, (size_t)n) < 0 || skua_stream_drain(s, INFINITY) < 0)
            break;
}

enum { CLIENTS = 20, TURNS = 30 };

static void *client(void *arg)
{
    skua_stream *s = visit(arg);
    char want[64], got[64];
    for (int i = 0; i < TURNS; i++) {
        int n = snprintf(want, sizeof want, "turn %d of %p\n", i, (void *)s);
        T_EXPECT_INT(skua_stream_write(s, want, (size_t)n), 0);
        T_EXPECT_INT(skua_stream_read_line(s, got, sizeof got, 20), n);
        T_EXPECT_STR(got, want);
    }
    T_EXPECT_INT(skua_stream_write_eof(s), 0);
    T_EXPECT_INT(skua_stream_read_line(s, got, sizeof got, 20), 0);
    T_EXPECT(skua_stream_at_eof(s));
    T_EXPECT_INT(skua_stream_close(s), 0);
    T_EXPECT_INT(skua_stream_wait_closed(s, 20), 0);
    skua_stream_release(s);
    return NULL;
}

static void *echo_main(void *arg)
{
    struct shop shop = { 0 };
    skua_task *t[CLIENTS];
    open_shop(&shop, echo_lines);
    for (int i = 0; i < CLIENTS; i++)
        t[i] = i % 2 ? skua_spawn(client, &shop) : skua_go(client, &shop);
    T_EXPECT_INT(skua_gather(t, CLIENTS, NULL, SKUA_RELEASE), 0);
    close_shop(&shop);
    return arg;
}

static void test_start_server_and_open_connection(void **state)
{
    /* Goal: each handler has a stream of its own, on any worker. */
    (void)state;
    t_run(echo_main, NULL, .real_time = true);
}

/* --- both directions at once, in different tasks --- */

enum { BULK = 3 << 20, PIECE = 10000 };

static void *pump(void *arg)
{
    skua_stream *s = arg;
    static const char piece[PIECE];
    for (int sent = 0; sent < BULK; sent += PIECE) {
        T_EXPECT_INT(skua_stream_write(s, piece, PIECE), 0);
        T_EXPECT_INT(skua_stream_drain(s, 20), 0);
    }
    T_EXPECT_INT(skua_stream_write_eof(s), 0);
    return NULL;
}

static long swallow(skua_stream *s)
{
    char buf[7000];
    ssize_t n;
    long got = 0;
    while ((n = skua_stream_read(s, buf, sizeof buf, 20)) > 0)
        got += n;
    T_EXPECT_INT(n, 0);
    return got;
}

static void *swallow_task(void *s)
{
    return T_PTR(swallow(s));
}

static void both_ways(skua_stream *s, void *arg)
{
    skua_task *t = skua_go(pump, s);
    T_EXPECT(swallow(s) >= BULK);
    T_EXPECT_INT(skua_join(t, NULL), 0);
}

static void *duplex_main(void *arg)
{
    struct shop shop = { 0 };
    open_shop(&shop, both_ways);
    skua_stream *s = visit(&shop);
    void *got = NULL;
    skua_task *in = skua_go(swallow_task, s), *out = skua_go(pump, s);
    T_EXPECT_INT(skua_join(out, NULL), 0);
    T_EXPECT_INT(skua_join(in, &got), 0);
    T_EXPECT(T_NUM(got) >= BULK);
    skua_stream_release(s);
    close_shop(&shop);
    return arg;
}

static void test_reader_and_writer_are_different_tasks(void **state)
{
    /* Goal: the two sides do not get into each other's way, on any worker. */
    (void)state;
    t_run(duplex_main, NULL, .real_time = true);
}

/* --- conservation under cancels and timeouts --- */

enum { NUMBERS = T_EMULATED ? 20000 / 20 : 20000 };

static void *count_up(void *arg)
{
    char line[16];
    for (int i = 0; i < NUMBERS; i++) {
        int n = snprintf(line, sizeof line, "%d\n", i);
        while (skua_stream_write(arg, line, (size_t)n) == -ENOBUFS)
            T_EXPECT_INT(skua_stream_drain(arg, 20), 0);
        if (i % 500 == 0)
            T_EXPECT_INT(skua_yield(), 0);
    }
    T_EXPECT_INT(skua_stream_write_eof(arg), 0);
    return NULL;
}

struct counting {
    skua_stream *s;
    int next;
};

static void *read_numbers(void *arg)
{
    struct counting *c = arg;
    char line[16];
    ssize_t n;
    while ((n = skua_stream_read_line(c->s, line, sizeof line, 0.0002)) > 0) {
        if (!T_EXPECT_INT(atoi(line), c->next))
            return NULL;
        c->next++;
    }
    return n < 0 ? skua_fail((int)n) : NULL;
}

static void *conserve_main(void *arg)
{
    int fds[2];
    skua_stream *s[2];
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++)
        T_EXPECT_INT(skua_stream_open(fds[i], fds[i], &s[i], .high_water = 2000), 0);
    struct counting c = { s[1], 0 };
    skua_task *writer = skua_go(count_up, s[0]);
    int r, tries = 0;
    do {
        skua_task *t = skua_go(read_numbers, &c);
        if (++tries % 3) /* maybe before it has begun: then it reads nothing */
            skua_cancel(t, NULL);
        r = skua_join(t, NULL);
        T_EXPECT(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
    } while (r < 0);
    T_EXPECT_INT(c.next, NUMBERS);
    T_EXPECT_INT(skua_join(writer, NULL), 0);
    skua_stream_release(s[0]);
    skua_stream_release(s[1]);
    return arg;
}

static void test_cancelled_and_late_reads_lose_no_byte(void **state)
{
    /* Goal: whatever ends a read, the next one goes on where the last whole line ended. */
    (void)state;
    t_run(conserve_main, NULL, .real_time = true);
}

/* --- a handler that goes --- */

enum { TOO_MUCH = 32 << 20 }; /* for the kernel to take */

static void say_much(skua_stream *s, void *arg)
{
    char *data = calloc(1, TOO_MUCH);
    T_EXPECT_INT(skua_stream_write(s, data, TOO_MUCH), 0); /* copied, and unsent at the return */
    free(data);
}

static void *linger_main(void *arg)
{
    struct shop shop = { 0 };
    open_shop(&shop, say_much);
    skua_stream *s = visit(&shop);
    T_EXPECT_INT(swallow(s), TOO_MUCH);
    skua_stream_release(s);
    close_shop(&shop);

    struct shop hasty = { .opts.linger = 0.01 };
    open_shop(&hasty, say_much);
    s = visit(&hasty);
    T_EXPECT_INT(skua_poll_fd(skua_stream_fd(s), POLLIN, 20), POLLIN); /* it is served, */
    close_shop(&hasty); /* and ends although nobody reads */
    skua_stream_release(s);
    return arg;
}

static void test_what_a_handler_left_unsent_is_sent(void **state)
{
    /* Goal: closing sends first, for so long and no longer. */
    (void)state;
    t_run(linger_main, NULL, .real_time = true);
}

static void wait_for_ever(skua_stream *s, void *arg)
{
    char byte;
    T_EXPECT_INT(skua_stream_write(s, "hello\n", 6), 0);
    int r = (int)skua_stream_read(s, &byte, 1, INFINITY);
    T_EXPECT(r == -ECANCELED);
    T_EXPECT_INT(skua_stream_write(s, "goodbye\n", 8), 0);
}

static void wait_with_much_unsent(skua_stream *s, void *arg)
{
    char byte;
    say_much(s, arg);
    T_EXPECT_INT(skua_stream_read(s, &byte, 1, INFINITY), -ECANCELED);
}

static void *stop_at_once_main(void *arg)
{
    struct shop shop = { .opts = { .drain = 0.001, .linger = INFINITY } };
    open_shop(&shop, wait_with_much_unsent);
    skua_stream *s = visit(&shop);
    T_EXPECT_INT(skua_poll_fd(skua_stream_fd(s), POLLIN, 20), POLLIN); /* served, and never reads */
    skua_cancel(shop.task, NULL);
    T_EXPECT_INT(skua_join(shop.task, NULL), 0); /* without lingering */
    T_EXPECT_INT(skua_close(shop.fd), 0);
    skua_stream_release(s);
    return arg;
}

static void *stop_main(void *arg)
{
    struct shop shop = { .opts.drain = 0.001 };
    char line[16];
    open_shop(&shop, wait_for_ever);
    skua_stream *s = visit(&shop);
    T_EXPECT_INT(skua_stream_read_line(s, line, sizeof line, 20), 6);
    skua_cancel(shop.task, NULL);
    T_EXPECT_INT(skua_join(shop.task, NULL), 0);
    T_EXPECT_INT(shop.result, -ECANCELED);
    T_EXPECT_INT(skua_stream_read_line(s, line, sizeof line, 20), 8);
    T_EXPECT_STR(line, "goodbye\n");
    T_EXPECT_INT(skua_stream_read_line(s, line, sizeof line, 20), 0);
    T_EXPECT_INT(skua_close(shop.fd), 0);
    skua_stream_release(s);
    return arg;
}

static void test_a_cancelled_server_ends_its_handlers(void **state)
{
    /* Goal: they hear of it in the call in which they wait, and can still say a last word. */
    (void)state;
    t_run(stop_main, NULL, .real_time = true);
    t_run(stop_at_once_main, NULL, .real_time = true);
}

/* --- references --- */

static void *use_later(void *arg)
{
    char line[16];
    T_EXPECT_INT(skua_stream_read_line(arg, line, sizeof line, 20), 6);
    skua_stream_release(arg);
    return NULL;
}

static void *share_main(void *arg)
{
    struct shop shop = { 0 };
    open_shop(&shop, echo_lines);
    skua_stream *s = visit(&shop);
    skua_task *t = skua_go(use_later, skua_stream_retain(s));
    T_EXPECT_INT(skua_stream_write(s, "hello\n", 6), 0);
    skua_stream_release(s); /* the other task holds it */
    T_EXPECT_INT(skua_join(t, NULL), 0);
    close_shop(&shop); /* the last reference has closed it, so its handler has ended */
    return arg;
}

static void test_a_stream_lives_as_long_as_its_references(void **state)
{
    (void)state;
    t_run(share_main, NULL, .real_time = true);
}

/* --- options --- */

static void never(skua_stream *s, void *arg)
{
    T_EXPECT(!"called");
}

static void *options_main(void *arg)
{
    int fd = skua_listen("127.0.0.1:0");
    T_EXPECT_INT(skua_serve_streams(fd, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_serve_streams(fd, never, NULL, .linger = NAN), -EINVAL);
    T_EXPECT_INT(skua_serve_streams(fd, never, NULL, .linger = -1), -EINVAL);
    T_EXPECT_INT(skua_serve_streams(fd, never, NULL, .drain = -1), -EINVAL);
    T_EXPECT_INT(skua_serve_streams(fd, never, NULL, .max_connections = -1), -EINVAL);
    T_EXPECT_INT(skua_serve_streams(fd, never, NULL, .high_water = 1, .low_water = 2), -EINVAL);
    T_EXPECT_INT(skua_serve_streams(fd, never, NULL, .limit = SIZE_MAX), -EINVAL);
    T_EXPECT_INT(skua_serve_streams(-1, never, NULL), -EBADF);
    const struct skua_serve_streams_opts old = { .size = 8 };
    T_EXPECT_INT(skua_serve_streams_with(fd, never, NULL, &old), -EINVAL);
    T_EXPECT_INT(skua_close(fd), 0);
    return arg;
}

static void test_bad_options_are_refused(void **state)
{
    (void)state;
    t_run(options_main, NULL);
    T_EXPECT_INT(skua_serve_streams(0, never, NULL), -EPERM);
    skua_stream *s;
    T_EXPECT_INT(skua_stream_open_connection("127.0.0.1:1", 1, &s), -EPERM);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_start_server_and_open_connection),
    T_TEST(test_reader_and_writer_are_different_tasks),
    T_TEST(test_cancelled_and_late_reads_lose_no_byte),
    T_TEST(test_what_a_handler_left_unsent_is_sent),
    T_TEST(test_a_cancelled_server_ends_its_handlers),
    T_TEST(test_a_stream_lives_as_long_as_its_references),
    T_TEST(test_bad_options_are_refused),
};
T_MAIN(tests, NULL)
