/* SPDX-License-Identifier: MIT */
/* floor 8: net. Streams: write, writelines, drain, write_eof, wait_closed. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/streams.h"
#include "sched/queues.h"

enum {
    CHUNK = 4096 - sizeof(struct rt_chunk), /* bytes in the smallest one */
    PIECES = 64,                            /* tried to be sent at once  */
};

/* --- pieces --- */

/* How many bytes they are. 0 or -errno. */
static int measure(const struct iovec *iov, int n, size_t *ret_total)
{
    size_t total = 0;
    if (n < 0)
        return -EINVAL;
    if (n > 0 && !iov)
        return -EFAULT;
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len && !iov[i].iov_base)
            return -EFAULT;
        if (iov[i].iov_len > SIZE_MAX / 2 - total)
            return -EINVAL;
        total += iov[i].iov_len;
    }
    *ret_total = total;
    return 0;
}

/* The first ones that are not empty. */
static int select_pieces(const struct iovec *iov, int n, struct iovec out[PIECES])
{
    int k = 0;
    for (int i = 0; i < n && k < PIECES; i++)
        if (iov[i].iov_len)
            out[k++] = iov[i];
    return k;
}

/* Behind what is in the chunk, all bytes but the first `skip`. There is room. */
static void copy_pieces(struct rt_chunk *c, const struct iovec *iov, int n, size_t skip)
{
    for (int i = 0; i < n; i++) {
        size_t len = iov[i].iov_len;
        size_t part = skip < len ? len - skip : 0;
        if (part)
            memcpy(c->data + c->end, (const char *)iov[i].iov_base + (len - part), part);
        c->end += part;
        skip -= len - part;
    }
}

static struct rt_chunk *chunk_new(size_t n)
{
    size_t cap = n > CHUNK ? n : CHUNK;
    struct rt_chunk *c = rt_malloc(sizeof *c + cap);
    if (c)
        *c = (struct rt_chunk){.cap = cap};
    return c;
}

/* --- one write --- */

/* Lock held. 0, or why nothing may be written. */
static int check(const struct skua_stream *s)
{
    if (s->turn.closing || (s->out.fd < 0 && !s->turn.eof_wanted))
        return -EBADF;
    return s->turn.eof_wanted ? -EPIPE : s->turn.error;
}

/* Lock held. The same for some bytes. */
static int check_room(const struct skua_stream *s)
{
    int r = check(s);
    return r == 0 && s->unsent >= s->max ? -ENOBUFS : r;
}

/* Small ones go into the last chunk while it has room. 1: done; 0: not; -errno. */
static int append_to_tail(struct skua_stream *s, const struct iovec *iov, int n, size_t total)
{
    struct rt_fifo woken = {0};
    rt_stream_lock(s);
    struct rt_chunk *c = s->tail;
    int r = total ? check_room(s) : check(s);
    if (r == 0 && c && total <= CHUNK && c->cap - c->end >= total) {
        copy_pieces(c, iov, n, 0);
        s->unsent += total;
        rt_stream_mark(s, &woken);
        r = 1;
    }
    rt_stream_unlock(s, &woken);
    return r;
}

/* Nobody sends and nothing waits to be sent: the caller may try. In a task only: a callback has no
 * place to be counted in. */
static bool take_turn(struct skua_stream *s, struct rt_stream_side *ret_out)
{
    if (!rt_current())
        return false;
    rt_stream_lock(s);
    bool mine = !s->head && check(s) == 0 && rt_stream_turn_take(&s->turn);
    *ret_out = s->out;
    rt_stream_unlock(s, NULL);
    return mine;
}

/* By the holder of `sending`. Bytes, or -errno; what cannot be sent now counts as 0. */
static ssize_t send_now(struct rt_stream_side out, const struct iovec *iov, int n)
{
    struct iovec pieces[PIECES];
    struct rt_io io;
    ssize_t r = rt_io_begin(&io, out.fd, 0);
    if (r < 0)
        return r;
    io.waited = true; /* nobody else gets a turn in here: drain is there for that */
    r = io.generation == out.generation
            ? rt_stream_put(&io, pieces, select_pieces(iov, n, pieces))
            : -EBADF;
    r = rt_io_end(&io, r);
    return r == -EAGAIN ? 0 : r;
}

/* Puts what is in the chunk into the queue: in front of it if it was begun to be sent. 0 or -errno,
 * and the chunk is not taken. */
static int enqueue(struct skua_stream *s, struct rt_chunk *c, bool in_front)
{
    struct rt_fifo woken = {0};
    rt_stream_lock(s);
    /* others may have written since the first look */
    int r = in_front ? s->turn.error : check_room(s);
    if (r == 0) {
        c->next = in_front ? s->head : NULL;
        *(in_front || !s->tail ? &s->head : &s->tail->next) = c;
        if (!c->next)
            s->tail = c;
        s->unsent += c->end;
        rt_stream_mark(s, &woken);
    }
    rt_stream_unlock(s, &woken);
    return r;
}

/* The holder of `sending` has sent `done` of it, or failed. */
static int finish_turn(struct skua_stream *s, struct rt_chunk *c, const struct iovec *iov, int n,
                       size_t total, ssize_t done)
{
    int r = done < 0 ? (int)done : 0;
    bool queued = false;
    if (r == 0 && (size_t)done < total) {
        copy_pieces(c, iov, n, (size_t)done);
        r = enqueue(s, c, true);
        queued = r == 0;
    }
    if (!queued)
        rt_free(c);
    if (!rt_stream_settle(s, r))
        return r;
    if (rt_stream_hand_over(s) < 0) /* taken all the same: the next call sees to it */
        rt_stream_put_off(s);
    return 0;
}

int skua_stream_writelines(skua_stream *s, const struct iovec *iov, int n)
{
    size_t total;
    int r = s ? measure(iov, n, &total) : -EINVAL;
    if (r < 0)
        return r;
    if (!rt_self())
        return -EPERM;
    r = append_to_tail(s, iov, n, total);
    if (r < 0 || total == 0)
        return r < 0 ? r : 0;
    if (r == 0) {
        struct rt_chunk *c = chunk_new(total); /* before a byte is sent: all of it, or none */
        if (!c)
            return -ENOMEM;
        struct rt_stream_side out;
        if (take_turn(s, &out))
            return finish_turn(s, c, iov, n, total, send_now(out, iov, n));
        copy_pieces(c, iov, n, 0);
        r = enqueue(s, c, false);
        if (r < 0) {
            rt_free(c);
            return r;
        }
    }
    SKUA_IGNORE(rt_stream_flush(s)); /* if there is no memory, the next call sees to it */
    return 0;
}

int skua_stream_write(skua_stream *s, const void *buf, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)buf, n};
    return skua_stream_writelines(s, &iov, 1);
}

/* --- waiting --- */

static int drained(const struct skua_stream *s)
{
    return s->turn.error ? s->turn.error : s->paused ? -EAGAIN : 0;
}

static int closed(const struct skua_stream *s)
{
    return s->turn.closed ? s->turn.error : -EAGAIN;
}

static const struct rt_wait_kind stream_kind = { .what = "a stream", .is_shown = true };

/* Once, unless what is unsent is nobody's any more. 0: look again. */
static int wait_on(struct skua_stream *s, struct rt_wq_list *list,
                   int (*state)(const struct skua_stream *s), uint64_t deadline)
{
    struct rt_wq_node node;
    int r = rt_wq_begin(&node, &stream_kind, s);
    if (r < 0)
        return r;
    rt_stream_lock(s);
    bool wait = state(s) == -EAGAIN && (s->turn.sending || !s->head);
    if (wait)
        rt_wq_link(list, &node);
    rt_stream_unlock(s, NULL);
    return wait ? rt_wq_park(&s->q, &node, deadline) : rt_wq_abandon(&node);
}

/* For who was woken: nobody sends, and another task would most likely fare no better. */
static int hitch_of(struct skua_stream *s)
{
    rt_stream_lock(s);
    int r = s->head && !s->turn.sending ? s->hitch : 0;
    rt_stream_unlock(s, NULL);
    return r;
}

static int wait_until(struct skua_stream *s, struct rt_wq_list *list,
                      int (*state)(const struct skua_stream *s), double timeout)
{
    uint64_t deadline = 0;
    struct rt_worker *w = rt_self();
    if (!s || isnan(timeout))
        return -EINVAL;
    if (!rt_current())
        return -EPERM;
    for (bool first = true;; first = false) {
        int flushing = first ? 0 : hitch_of(s);
        flushing = flushing < 0 ? flushing : rt_stream_flush(s);
        rt_stream_lock(s);
        int r = state(s);
        rt_stream_unlock(s, NULL);
        if (r != -EAGAIN) {
            if (first)
                rt_spend_budget(w, true);
            return r;
        }
        if (flushing < 0 || timeout <= 0)
            return flushing < 0 ? flushing : -ETIMEDOUT;
        r = first ? rt_deadline(w, timeout, &deadline) : 0;
        if (r == 0)
            r = wait_on(s, list, state, deadline);
        if (r < 0)
            return r;
    }
}

int skua_stream_drain(skua_stream *s, double timeout)
{
    return wait_until(s, s ? &s->q.list : NULL, drained, timeout);
}

int skua_stream_wait_closed(skua_stream *s, double timeout)
{
    return wait_until(s, s ? &s->closers : NULL, closed, timeout);
}

size_t skua_stream_unsent(const skua_stream *s)
{
    if (!s)
        return 0;
    rt_stream_lock(s);
    size_t unsent = s->unsent;
    rt_stream_unlock(s, NULL);
    return unsent;
}

/* --- half of the end --- */

bool skua_stream_can_write_eof(const skua_stream *s)
{
    return s && s->can_eof;
}

int skua_stream_write_eof(skua_stream *s)
{
    if (!s)
        return -EINVAL;
    rt_stream_lock(s);
    int r = s->turn.eof_wanted ? 0 : check(s);
    if (r == 0 && !s->can_eof)
        r = -EOPNOTSUPP;
    bool mine = r == 0 && !s->turn.eof_wanted && rt_stream_turn_take(&s->turn);
    if (r == 0)
        s->turn.eof_wanted = true;
    rt_stream_unlock(s, NULL);
    if (mine && rt_stream_settle(s, 0)) {
        r = rt_stream_hand_over(s);
        if (r < 0)
            rt_stream_put_off(s); /* the next call sees to it */
        return r;
    }
    rt_stream_lock(s);
    r = r < 0 ? r : s->turn.error;
    rt_stream_unlock(s, NULL);
    return r;
}
