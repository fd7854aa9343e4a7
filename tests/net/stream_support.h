/* SPDX-License-Identifier: MIT */
/* What the tests of streams share: pairs of streams over each kind of connection, and peers. */
#ifndef TESTS_NET_STREAM_SUPPORT_H
#define TESTS_NET_STREAM_SUPPORT_H

#include "net_support.h"

enum link { TCP, UNIX, PIPES, BLOCKING_SOCKETS, BLOCKING_PIPES, LINKS };

static UNUSED void pipes(int near[2], int far[2], int flags)
{
    int to[2];
    int from[2];
    assert_int_equal(pipe2(to, flags | O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, flags | O_CLOEXEC), 0);
    near[0] = from[0];
    near[1] = to[1];
    far[0] = to[0];
    far[1] = from[1];
}

static UNUSED void open_pair_with(enum link link, skua_stream *s[2],
                                  const struct skua_stream_opts *opts)
{
    int a[2];
    int b[2];
    if (link == TCP || link == UNIX) {
        link == TCP ? tcp_pair(a) : unix_pair(a);
        b[0] = b[1] = a[1];
        a[1] = a[0];
    } else if (link == BLOCKING_SOCKETS) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
        b[0] = b[1] = a[1];
        a[1] = a[0];
    } else {
        pipes(a, b, link == PIPES ? O_NONBLOCK : 0);
    }
    assert_int_equal(skua_stream_open_with(a[0], a[1], &s[0], opts), 0);
    assert_int_equal(skua_stream_open_with(b[0], b[1], &s[1], opts), 0);
}

static UNUSED void open_pair(enum link link, skua_stream *s[2])
{
    open_pair_with(link, s, NULL);
}

static UNUSED void release_pair(skua_stream *s[2])
{
    skua_stream_release(s[0]);
    skua_stream_release(s[1]);
}

static UNUSED void say(skua_stream *s, const char *text)
{
    assert_int_equal(skua_stream_write(s, text, strlen(text)), 0);
}

/* Pinned on one worker, free on several. */
static UNUSED void run_few(skua_fn body)
{
    run_with(body, 1, false);
    run_with(body, 2, true);
    run_with(body, 4, true);
}

/* Most likely long enough for a spawned task to be inside its wait. */
static UNUSED void let_them(void)
{
    assert_int_equal(skua_sleep(0.003), 0);
}

/* The next bytes of the stream are these. */
static UNUSED void hear(skua_stream *s, const char *text)
{
    char buf[256];
    size_t n = strlen(text);
    assert_int_equal(skua_stream_read_exactly(s, buf, n, 10.0), n);
    assert_memory_equal(buf, text, n);
}

/* Until the kernel takes no more, now and a moment later. */
static UNUSED void stuff(skua_stream *s)
{
    char *data = calloc(1, 100000);
    do {
        while (skua_stream_unsent(s) < 600000)
            assert_int_equal(skua_stream_write(s, data, 100000), 0);
        let_them();
    } while (skua_stream_unsent(s) < 500000);
    free(data);
}

/* A call that reads, as a task. */
struct read_task {
    skua_stream *s;
    ssize_t (*read)(skua_stream *s, char *buf, double timeout);
    double timeout;
    ssize_t r;
    char buf[64];
};

static UNUSED void *run_read(void *arg)
{
    struct read_task *t = arg;
    t->r = t->read(t->s, t->buf, t->timeout);
    return NULL;
}

static UNUSED ssize_t read_some(skua_stream *s, char *buf, double timeout)
{
    return skua_stream_read(s, buf, 64, timeout);
}

static UNUSED ssize_t read_ten(skua_stream *s, char *buf, double timeout)
{
    return skua_stream_read_exactly(s, buf, 10, timeout);
}

static UNUSED ssize_t read_line(skua_stream *s, char *buf, double timeout)
{
    return skua_stream_read_line(s, buf, 64, timeout);
}

static UNUSED ssize_t read_until(skua_stream *s, char *buf, double timeout)
{
    return skua_stream_read_until(s, "ab", 2, buf, 64, timeout);
}

static UNUSED ssize_t read_all(skua_stream *s, char *buf, double timeout)
{
    return skua_stream_read_all(s, buf, 64, timeout);
}

struct drain_task {
    skua_stream *s;
    double timeout;
    int r;
};

static UNUSED void *run_drain(void *arg)
{
    struct drain_task *d = arg;
    d->r = skua_stream_drain(d->s, d->timeout);
    return NULL;
}

static UNUSED void *run_wait_closed(void *arg)
{
    struct drain_task *d = arg;
    d->r = skua_stream_wait_closed(d->s, d->timeout);
    return NULL;
}

#endif
