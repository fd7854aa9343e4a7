/* SPDX-License-Identifier: MIT */
/* floor 8: net. Streams: sending what is unsent, and what has to wait for that. */
#include <errno.h>
#include <limits.h>
#include <math.h>

#include "base/mem.h"
#include "base/sys.h"
#include "net/sock.h"
#include "net/streams.h"
#include "sched/queues.h"

enum { PIECES = 16 }; /* chunks sent at once */

/* --- one try --- */

static ssize_t send_pieces(int fd, bool is_socket, const struct iovec *iov, int n, int flags)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
    if (!is_socket)
        return n == 1 ? rt_sys_write(fd, iov->iov_base, iov->iov_len) : rt_sys_writev(fd, iov, n);
    return n == 1 ? rt_sys_send(fd, iov->iov_base, iov->iov_len, flags)
                  : rt_sys_sendmsg(fd, &msg, flags);
}

/* Perhaps a blocking one. What is writable takes at least PIPE_BUF bytes without blocking. */
static ssize_t put_foreign(int fd, const struct iovec *iov, int n)
{
    ssize_t put = send_pieces(fd, true, iov, n, MSG_DONTWAIT);
    if (put != -ENOTSOCK)
        return put;
    int r = rt_sys_poll1(fd, POLLOUT, 0);
    if (r <= 0)
        return r < 0 ? r : -EAGAIN;
    return rt_sys_write(fd, iov->iov_base, iov->iov_len < PIPE_BUF ? iov->iov_len : PIPE_BUF);
}

ssize_t rt_stream_put(struct rt_io *io, const struct iovec *iov, int n)
{
    if (!io->owned)
        return put_foreign(io->fd, iov, n);
    if (!rt_fd_try(io->rec, RT_DIR_OUT, &io->seen))
        return -EAGAIN;
    ssize_t put = send_pieces(io->fd, io->rec->kind != RT_FD_FILE, iov, n, 0);
    if (put == -EAGAIN)
        rt_io_drained(io, RT_DIR_OUT);
    return put;
}

/* --- the queue --- */

void rt_stream_mark(struct skua_stream *s, struct rt_fifo *woken)
{
    if (s->unsent > s->high)
        s->paused = true;
    else if (s->unsent <= s->low)
        s->paused = false;
    if (!s->paused || s->turn.error)
        rt_wq_wake_many(&s->q.list, SIZE_MAX, woken);
}

static void free_chunks(struct rt_chunk *c)
{
    while (c) {
        struct rt_chunk *next = c->next;
        rt_free(c);
        c = next;
    }
}

/* Lock held. What was in the queue, for free_chunks. */
static struct rt_chunk *take_all(struct skua_stream *s)
{
    struct rt_chunk *c = s->head;
    s->head = s->tail = NULL;
    s->unsent = 0;
    return c;
}

/* Lock held. The chunks that n bytes more have been sent of to their end. */
static struct rt_chunk *take_sent(struct skua_stream *s, size_t n)
{
    struct rt_chunk *done = NULL;
    s->unsent -= n;
    while (s->head) {
        struct rt_chunk *c = s->head;
        size_t part = c->end - c->begin < n ? c->end - c->begin : n;
        c->begin += part;
        n -= part;
        if (c->begin < c->end)
            break;
        s->head = c->next;
        c->next = done;
        done = c;
    }
    if (!s->head)
        s->tail = NULL;
    return done;
}

static int gather(struct skua_stream *s, struct iovec iov[PIECES], struct rt_stream_side *ret_out)
{
    int n = 0;
    rt_stream_lock(s);
    *ret_out = s->out;
    for (struct rt_chunk *c = s->head; c && n < PIECES; c = c->next)
        iov[n++] = (struct iovec){c->data + c->begin, c->end - c->begin};
    rt_stream_unlock(s, NULL);
    return n;
}

static void note_sent(struct skua_stream *s, size_t n)
{
    struct rt_fifo woken = {0};
    rt_stream_lock(s);
    struct rt_chunk *done = take_sent(s, n);
    rt_stream_mark(s, &woken);
    rt_stream_unlock(s, &woken);
    free_chunks(done);
}

/* --- what has to wait for it --- */

/* A socket is told; one end of a pipe goes. */
static int shut(struct skua_stream *s)
{
    struct rt_io io = {0};
    rt_stream_lock(s);
    struct rt_stream_side out = s->out;
    rt_stream_unlock(s, NULL);
    int r = rt_fd_enter(out.fd, &io.rec, &io.generation);
    if (r < 0)
        return r;
    io.inside = true;
    r = io.generation == out.generation ? rt_sys_shutdown(out.fd, SHUT_WR) : -EBADF;
    rt_io_pause(&io);
    if (r != -ENOTSOCK)
        return r;
    rt_stream_lock(s);
    s->out.fd = -1;
    rt_stream_unlock(s, NULL);
    rt_sock_drop(out.fd, out.generation);
    return 0;
}

static void note_closed(struct skua_stream *s)
{
    struct rt_fifo woken = {0};
    rt_stream_drop_fds(s);
    rt_stream_lock(s);
    rt_stream_turn_closed(&s->turn);
    rt_wq_wake_many(&s->q.list, SIZE_MAX, &woken);
    rt_wq_wake_many(&s->closers, SIZE_MAX, &woken);
    rt_stream_unlock(s, &woken);
}

bool rt_stream_settle(struct skua_stream *s, int r)
{
    for (;;) {
        struct rt_fifo woken = {0};
        struct rt_chunk *lost = NULL;
        rt_stream_lock(s);
        rt_stream_turn_note(&s->turn, r, s->head != NULL);
        s->hitch = r == -ENOMEM ? r : 0;
        if (s->turn.error)
            lost = take_all(s);
        enum rt_stream_next next = rt_stream_turn_next(&s->turn, r, s->head != NULL);
        rt_stream_mark(s, &woken);
        if (r < 0) /* who waits sees for himself */
            rt_wq_wake_many(&s->q.list, SIZE_MAX, &woken);
        rt_stream_unlock(s, &woken);
        free_chunks(lost);
        if (next == RT_STREAM_CLOSE)
            note_closed(s);
        if (next != RT_STREAM_SHUT)
            return next == RT_STREAM_SEND;
        r = shut(s);
    }
}

void rt_stream_put_off(struct skua_stream *s)
{
    SKUA_IGNORE(rt_stream_settle(s, -ECANCELED)); /* an error leaves nothing to send */
}

/* --- the task --- */

static int send_some(struct skua_stream *s)
{
    struct iovec iov[PIECES];
    struct rt_stream_side out;
    struct rt_io io;
    int n = gather(s, iov, &out);
    if (n == 0)
        return 0;
    ssize_t put = rt_io_begin(&io, out.fd, HUGE_VAL);
    if (put < 0)
        return (int)put;
    if (io.generation != out.generation)
        put = -EBADF;
    while (put >= 0 && (put = rt_stream_put(&io, iov, n)) == -EAGAIN)
        put = rt_io_wait(&io, POLLOUT);
    if (put > 0)
        note_sent(s, (size_t)put);
    put = rt_io_end(&io, put);
    return put < 0 ? (int)put : 1;
}

static void *flush_main(void *arg)
{
    struct skua_stream *s = arg;
    int r;
    do {
        while ((r = send_some(s)) > 0) {
        }
    } while (rt_stream_settle(s, r));
    rt_stream_unref(s);
    return r == -ECANCELED ? skua_fail(r) : NULL;
}

static void never_flushed(void *arg)
{
    struct skua_stream *s = arg;
    rt_stream_put_off(s);
    rt_stream_unref(s);
}

int rt_stream_hand_over(struct skua_stream *s)
{
    int r = -ENOMEM;
    struct skua_spawn_opts opts = {
        .size = sizeof opts, .drop = never_flushed, .ret_err = &r, .where = "skua_stream"};
    rt_stream_refs_hold(&s->refs);
    skua_task *t = skua_spawn_with(flush_main, s, &opts);
    if (!t)
        rt_stream_refs_unhold(&s->refs);
    skua_detach(t);
    return t ? 0 : r;
}

int rt_stream_flush(struct skua_stream *s)
{
    rt_stream_lock(s);
    bool mine = s->head && rt_stream_turn_take(&s->turn);
    if (mine)
        s->hitch = 0;
    rt_stream_unlock(s, NULL);
    int r = mine ? rt_stream_hand_over(s) : 0;
    if (r < 0)
        rt_stream_put_off(s);
    return r;
}
