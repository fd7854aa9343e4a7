/* SPDX-License-Identifier: MIT */
/* floor 8: net. Streams: reading. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "net/streams.h"
#include "sched/queues.h"

enum {
    BUF_FIRST = 4096,
    BUF_KEPT = 16384,   /* a larger one is given back once it is empty */
    READ_MAX = 1 << 30, /* at once */
};

/* One call: the token, and the descriptor once it is needed. */
struct reading {
    struct skua_stream *s;
    struct rt_stream_side in;
    struct rt_io io;
    double timeout;
    bool begun;
};

/* --- the token --- */

static int begin(struct reading *rd, struct skua_stream *s, const void *buf, size_t n,
                 double timeout)
{
    if (!s || isnan(timeout))
        return -EINVAL;
    if (!rt_current())
        return -EPERM;
    if (n > 0 && !buf)
        return -EFAULT;
    *rd = (struct reading){.s = s, .timeout = timeout};
    rt_stream_lock(s);
    int r = s->turn.closing || s->in.fd < 0 ? -EBADF : s->reading ? -EBUSY : 0;
    if (r == 0) {
        s->reading = true;
        rd->in = s->in;
    }
    rt_stream_unlock(s, NULL);
    if (r == 0)
        s->partial = 0;
    return r;
}

static ssize_t end(struct reading *rd, ssize_t r)
{
    struct skua_stream *s = rd->s;
    if (rd->begun)
        r = rt_io_end(&rd->io, r);
    else
        rt_spend_budget(rt_self(), true);
    if (s->begin == s->end) {
        s->begin = s->end = 0;
        if (s->cap > BUF_KEPT) {
            rt_free(s->buf);
            s->buf = NULL;
            s->cap = 0;
        }
    }
    rt_stream_lock(s);
    s->reading = false;
    rt_stream_unlock(s, NULL);
    return r;
}

/* --- from the kernel --- */

static ssize_t get_owned(struct rt_io *io, void *buf, size_t n)
{
    if (!rt_io_try(io, RT_DIR_IN))
        return -EAGAIN;
    ssize_t got = rt_sys_read(io->fd, buf, n);
    if (got > 0 && (size_t)got < n)
        rt_io_short_read(io);
    if (got == -EAGAIN)
        rt_io_drained(io, RT_DIR_IN);
    return got;
}

/* Perhaps a blocking one. */
static ssize_t get_foreign(int fd, void *buf, size_t n)
{
    ssize_t got = rt_sys_recv(fd, buf, n, MSG_DONTWAIT);
    if (got != -ENOTSOCK)
        return got;
    int r = rt_sys_poll1(fd, POLLIN, 0);
    if (r <= 0)
        return r < 0 ? r : -EAGAIN;
    return rt_sys_read(fd, buf, n);
}

static int check_open(struct reading *rd)
{
    rt_stream_lock(rd->s);
    bool closing = rd->s->turn.closing;
    rt_stream_unlock(rd->s, NULL);
    return closing ? -EBADF : 0;
}

/* The descriptor, at the first need of it. What is unsent is seen to: its answer may be what the
 * caller is about to wait for. */
static int enter(struct reading *rd)
{
    if (rd->begun)
        return 0;
    int r = rt_stream_flush(rd->s);
    if (r == 0)
        r = rt_io_begin(&rd->io, rd->in.fd, rd->timeout);
    rd->begun = r == 0;
    return r == 0 && rd->io.generation != rd->in.generation ? -EBADF : r;
}

/* The kernel may tell an error once, and an end from then on: what it has answered stays. */
static ssize_t note_answer(struct skua_stream *s, ssize_t r)
{
    if (r == 0)
        s->eof = true;
    else if (r < 0 && r != -ENOMEM && r != -EBADF && r != -EFAULT)
        s->in_error = (int)r;
    return r;
}

/* Waits for bytes. How many came, 0 at the end of the stream, -errno. */
static ssize_t get(struct reading *rd, void *buf, size_t n)
{
    struct skua_stream *s = rd->s;
    if (s->eof || s->in_error)
        return s->in_error;
    ssize_t r = enter(rd);
    n = n < READ_MAX ? n : READ_MAX;
    while (r >= 0 && (r = check_open(rd)) == 0) {
        r = rd->io.owned ? get_owned(&rd->io, buf, n) : get_foreign(rd->io.fd, buf, n);
        if (r != -EAGAIN)
            return note_answer(s, r);
        r = check_open(rd); /* the try may have taken the event by which a close tells */
        if (r == 0)
            r = rt_io_wait(&rd->io, POLLIN);
    }
    return r;
}

/* --- the buffer --- */

static size_t buffered(const struct skua_stream *s)
{
    return s->end - s->begin;
}

/* Room behind what is there; a buffer that has to be larger doubles, up to `want` bytes in it. */
static int make_room(struct skua_stream *s, size_t want)
{
    size_t have = buffered(s);
    if (s->end < s->cap)
        return 0;
    if (s->begin > s->cap / 2 || (s->begin && have < BUF_FIRST / 2)) {
        memmove(s->buf, s->buf + s->begin, have);
    } else {
        size_t cap = s->cap ? s->cap * 2 : BUF_FIRST;
        if (cap > want && want > s->cap)
            cap = want > BUF_FIRST ? want : BUF_FIRST;
        char *buf = rt_malloc(cap);
        if (!buf)
            return -ENOMEM;
        if (have)
            memcpy(buf, s->buf + s->begin, have);
        rt_free(s->buf);
        s->buf = buf;
        s->cap = cap;
    }
    s->begin = 0;
    s->end = have;
    return 0;
}

/* Waits for more bytes in the buffer, which shall have `want` of them in the end. How many came, 0
 * at the end of the stream, -errno. */
static ssize_t fill(struct reading *rd, size_t want)
{
    struct skua_stream *s = rd->s;
    ssize_t r = make_room(s, want);
    if (r == 0)
        r = get(rd, s->buf + s->end, s->cap - s->end);
    if (r > 0)
        s->end += (size_t)r;
    return r;
}

static ssize_t consume(struct skua_stream *s, void *buf, size_t n)
{
    if (n)
        memcpy(buf, s->buf + s->begin, n);
    s->begin += n;
    return (ssize_t)n;
}

/* The stream has ended too soon: what is left, and how much. */
static ssize_t incomplete(struct skua_stream *s, void *buf)
{
    s->partial = buffered(s);
    consume(s, buf, s->partial);
    return -ENODATA;
}

/* --- the calls --- */

ssize_t skua_stream_read(skua_stream *s, void *buf, size_t n, double timeout)
{
    struct reading rd;
    ssize_t r = begin(&rd, s, buf, n, timeout);
    if (r < 0)
        return r;
    if (n == 0)
        return end(&rd, 0);
    if (!buffered(s) && n >= BUF_FIRST) /* large enough to do without the buffer */
        return end(&rd, get(&rd, buf, n));
    r = buffered(s) ? 1 : fill(&rd, BUF_FIRST);
    if (r > 0)
        r = consume(s, buf, buffered(s) < n ? buffered(s) : n);
    return end(&rd, r);
}

ssize_t skua_stream_read_exactly(skua_stream *s, void *buf, size_t n, double timeout)
{
    struct reading rd;
    ssize_t r = n > SSIZE_MAX ? -EINVAL : begin(&rd, s, buf, n, timeout);
    if (r < 0)
        return r;
    r = 1;
    while (r > 0 && buffered(s) < n)
        r = fill(&rd, n);
    if (buffered(s) >= n)
        r = consume(s, buf, n);
    else if (r == 0)
        r = incomplete(s, buf);
    return end(&rd, r);
}

ssize_t skua_stream_read_all(skua_stream *s, void *buf, size_t n, double timeout)
{
    struct reading rd;
    ssize_t r = n >= SSIZE_MAX ? -EINVAL : begin(&rd, s, buf, n, timeout);
    if (r < 0)
        return r;
    r = 1;
    while (r > 0 && buffered(s) <= n)
        r = fill(&rd, n + 1);
    if (r > 0) {
        s->partial = n;
        r = -EMSGSIZE;
    } else if (r == 0) {
        r = buffered(s) <= n ? consume(s, buf, buffered(s)) : -EMSGSIZE;
    }
    return end(&rd, r);
}

/* Where the separator begins, from *at on; -1: nowhere yet, and *at is where to look next. */
static ssize_t find(const struct skua_stream *s, const void *separator, size_t n, size_t *at)
{
    if (buffered(s) < n)
        return -1;
    const char *from = s->buf + s->begin;
    const char *found = memmem(from + *at, buffered(s) - *at, separator, n);
    if (!found)
        *at = buffered(s) + 1 - n;
    return found ? found - from : -1;
}

/* Bytes up to and with the separator, or what is left at the end (-ENODATA). At most `most` bytes
 * come before a separator. */
static ssize_t read_until(struct reading *rd, const void *separator, size_t n, void *buf,
                          size_t most)
{
    struct skua_stream *s = rd->s;
    size_t at = 0;
    for (;;) {
        ssize_t where = find(s, separator, n, &at);
        if (where >= 0 && (size_t)where <= most)
            return consume(s, buf, (size_t)where + n);
        if (where >= 0 || at > most) {
            s->partial = where >= 0 ? (size_t)where : at;
            return -EMSGSIZE;
        }
        ssize_t r = fill(rd, most + n);
        if (r <= 0)
            return r < 0 ? r : incomplete(s, buf);
    }
}

ssize_t skua_stream_read_until(skua_stream *s, const void *separator, size_t separator_n, void *buf,
                               size_t n, double timeout)
{
    struct reading rd;
    if (!separator || separator_n == 0 || n < separator_n || n > SSIZE_MAX)
        return -EINVAL;
    ssize_t r = begin(&rd, s, buf, n, timeout);
    if (r < 0)
        return r;
    size_t most = n - separator_n < s->limit ? n - separator_n : s->limit;
    return end(&rd, read_until(&rd, separator, separator_n, buf, most));
}

ssize_t skua_stream_read_line(skua_stream *s, char *buf, size_t n, double timeout)
{
    struct reading rd;
    if (n < 2 || n > SSIZE_MAX)
        return -EINVAL;
    ssize_t r = begin(&rd, s, buf, n, timeout);
    if (r < 0)
        return r;
    r = read_until(&rd, "\n", 1, buf, n - 2 < s->limit ? n - 2 : s->limit);
    if (r == -ENODATA) { /* the last line, or none */
        r = (ssize_t)s->partial;
        s->partial = 0;
    }
    if (r >= 0)
        buf[r] = '\0';
    return end(&rd, r);
}

/* --- asking --- */

size_t skua_stream_partial(const skua_stream *s)
{
    if (!s)
        return 0;
    rt_stream_lock(s);
    size_t partial = s->reading ? 0 : s->partial;
    rt_stream_unlock(s, NULL);
    return partial;
}

bool skua_stream_at_eof(const skua_stream *s)
{
    if (!s)
        return false;
    rt_stream_lock(s);
    bool at_eof = !s->reading && s->eof && s->begin == s->end;
    rt_stream_unlock(s, NULL);
    return at_eof;
}
