/* SPDX-License-Identifier: MIT */
/* floor 8: net. Streams: opening, references, closing, asking. */
#include "net/streams.h"

#include <errno.h>
#include <skua/names.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/sys.h"
#include "net/sock.h"
#include "sched/queues.h"

#define LIMIT_DEFAULT ((size_t)64 << 10)
#define LIMIT_MAX     (SIZE_MAX / 8) /* twice as much can still be counted */
#define HIGH_DEFAULT  ((size_t)64 << 10)

enum { MAX_FACTOR = 16, LOW_DIVISOR = 4 };

/* --- limits --- */

static size_t or_else(size_t value, size_t otherwise)
{
    return value ? value : otherwise;
}

/* Who is refused a write must have to wait in drain, or he would try for ever. */
static size_t max_for(size_t max, size_t high)
{
    return max > high ? max : high + 1;
}

/* Zeroes become the defaults. 0 or -EINVAL. */
static int complete(const struct skua_stream_opts *opts, struct skua_stream_opts *ret)
{
    *ret = opts ? *opts : (struct skua_stream_opts){.size = sizeof *ret};
    ret->limit = or_else(ret->limit, LIMIT_DEFAULT);
    ret->high_water = or_else(ret->high_water, HIGH_DEFAULT);
    ret->low_water = or_else(ret->low_water, ret->high_water / LOW_DIVISOR);
    if (ret->size != sizeof *ret || ret->limit > LIMIT_MAX || ret->high_water > LIMIT_MAX ||
        ret->low_water > ret->high_water)
        return -EINVAL;
    ret->write_max = max_for(or_else(ret->write_max, ret->high_water * MAX_FACTOR),
                             ret->high_water);
    return 0;
}

int rt_stream_check(const struct skua_stream_opts *opts)
{
    struct skua_stream_opts all;
    return complete(opts, &all);
}

/* Without descriptors as yet. 0, -EINVAL, -ENOMEM. */
static int stream_new(const struct skua_stream_opts *opts, struct skua_stream **ret)
{
    struct skua_stream_opts all;
    int r = complete(opts, &all);
    if (r < 0)
        return r;
    struct skua_stream *s = rt_calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    rt_lock_init(&s->q.lock, RT_RANK_USER);
    rt_stream_refs_init(&s->refs);
    s->in.fd = s->out.fd = -1;
    s->limit = all.limit;
    s->high = all.high_water;
    s->low = all.low_water;
    s->max = all.write_max;
    *ret = s;
    return 0;
}

int skua_stream_set_write_buffer_limits(skua_stream *s, size_t high, size_t low)
{
    struct rt_fifo woken = {0};
    if (!s)
        return -EINVAL;
    if (high == SIZE_MAX)
        high = low == SIZE_MAX ? HIGH_DEFAULT : low > LIMIT_MAX ? low : low * LOW_DIVISOR;
    if (low == SIZE_MAX)
        low = high / LOW_DIVISOR;
    if (high < low || high > LIMIT_MAX)
        return -EINVAL;
    rt_stream_lock(s);
    s->high = high;
    s->low = low;
    s->max = max_for(s->max, high);
    rt_stream_mark(s, &woken);
    rt_stream_unlock(s, &woken);
    return 0;
}

/* --- descriptors --- */

/* A terminal or a pipe that blocks: another open file of the same thing, which does not. -errno:
 * that cannot be had here. */
static int reopen(int fd, int flags)
{
    struct stat st;
    char path[32];
    int r = rt_sys_fstat(fd, &st);
    if (r < 0)
        return r;
    if (!S_ISFIFO(st.st_mode) && !rt_sys_is_terminal(fd))
        return -EINVAL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return rt_sys_open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY, 0);
}

/* Of a number that the kernel has just given out. */
static int take_fresh(int fd, enum rt_fd_kind kind)
{
    struct rt_fifo out = {0};
    uint32_t generation;
    int r = rt_fd_adopt_fresh(fd, kind, &generation, &out);
    rt_ready_batch(&out);
    if (r < 0)
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
    return r < 0 ? r : fd;
}

static bool is_socket(int fd)
{
    struct stat st;
    return rt_sys_fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* 1: it is ours already. */
static int is_owned(int fd)
{
    struct rt_io io = {0};
    int r = rt_fd_enter(fd, &io.rec, &io.generation);
    io.inside = r >= 0;
    rt_io_pause(&io);
    return r;
}

/* The descriptor to use in place of `fd`: itself, or a fresh one. `copy`: not itself. */
static int descriptor_for(int fd, bool copy)
{
    int flags = rt_sys_fcntl_getfl(fd);
    if (flags < 0)
        return flags;
    int r = is_owned(fd);
    if (r < 0 || (r == 1 && !copy))
        return r < 0 ? r : fd;
    if (!(flags & O_NONBLOCK)) {
        int fresh = reopen(fd, flags);
        if (fresh >= 0)
            return take_fresh(fresh, RT_FD_FILE);
    } else if (!copy) {
        r = rt_fd_adopt(fd);
        return r < 0 ? r : fd;
    }
    if (!copy)
        return fd;
    int fresh = rt_sys_fcntl_dupfd(fd, 0);
    if (fresh < 0 || !(flags & O_NONBLOCK))
        return fresh;
    return take_fresh(fresh, is_socket(fresh) ? RT_FD_SOCKET : RT_FD_FILE);
}

/* 1: a call on it goes by events that are kept, so that rt_fd_kick wakes who waits. */
static int bind_side(struct rt_stream_side *side, int fd)
{
    struct rt_io io = {0};
    int r = rt_fd_enter(fd, &io.rec, &io.generation);
    if (r < 0)
        return r;
    *side = (struct rt_stream_side){fd, io.generation};
    io.inside = true;
    rt_io_pause(&io);
    return r;
}

static void drop_side(struct rt_stream_side side)
{
    if (side.fd >= 0)
        rt_sock_drop(side.fd, side.generation);
}

/* One descriptor for both sides: kept as one if the runtime knows it, so that a close can wake the
 * reader while bytes are being sent. Otherwise each side has a number of its own. */
static int bind_both(struct skua_stream *s, int fd)
{
    s->can_eof = is_socket(fd);
    int r = bind_side(&s->in, fd);
    if (r == 1) {
        s->out = s->in;
        s->is_shared = true;
        return 0;
    }
    int second = r < 0 ? r : rt_sys_fcntl_dupfd(fd, 0);
    if (second < 0)
        return second;
    r = bind_side(&s->out, second);
    if (r < 0)
        SKUA_IGNORE(rt_sys_close(second));
    return r < 0 ? r : 0;
}

static int bind_two(struct skua_stream *s, int in, int out)
{
    s->can_eof = out >= 0;
    int r = in >= 0 ? bind_side(&s->in, in) : 0;
    if (r >= 0 && out >= 0)
        r = bind_side(&s->out, out);
    return r < 0 ? r : 0;
}

/* What was given is the stream's now; it uses another one in its place. */
static void replaced(int given, int used, bool keep)
{
    struct rt_fifo out = {0};
    if (keep || given < 0 || given == used)
        return;
    SKUA_IGNORE(rt_fd_close(given, &out)); /* nothing was written through it */
    rt_ready_batch(&out);
}

static void undo(int given, int used)
{
    struct rt_fifo out = {0};
    if (used < 0 || used == given)
        return;
    SKUA_IGNORE(rt_fd_close(used, &out)); /* the first error is reported */
    rt_ready_batch(&out);
}

int skua_stream_open_with(int read_fd, int write_fd, skua_stream **ret_stream,
                          const struct skua_stream_opts *opts)
{
    struct skua_stream *s;
    bool keep = opts && opts->keep;
    if (!ret_stream || (read_fd == -1 && write_fd == -1))
        return -EINVAL;
    if (read_fd < -1 || write_fd < -1)
        return -EBADF;
    int r = stream_new(opts, &s);
    if (r < 0)
        return r;
    int in = read_fd < 0 ? -1 : descriptor_for(read_fd, keep);
    int out = write_fd == read_fd ? in : write_fd < 0 ? -1 : descriptor_for(write_fd, keep);
    r = in < 0 && read_fd >= 0 ? in : out < 0 && write_fd >= 0 ? out : 0;
    if (r == 0)
        r = write_fd == read_fd ? bind_both(s, in) : bind_two(s, in, out);
    if (r < 0) {
        undo(read_fd, in);
        if (write_fd != read_fd)
            undo(write_fd, out);
        rt_free(s);
        return r;
    }
    replaced(read_fd, in, keep);
    if (write_fd != read_fd)
        replaced(write_fd, out, keep);
    *ret_stream = s;
    return 0;
}

int skua_stream_open_connection_with(const char *addr, double timeout, skua_stream **ret_stream,
                                     const struct skua_stream_opts *opts)
{
    if (!ret_stream || rt_stream_check(opts) < 0)
        return -EINVAL;
    int fd = skua_connect_with(addr, timeout, opts ? opts->connect : NULL);
    if (fd < 0)
        return fd;
    struct skua_stream_opts own = opts ? *opts : (struct skua_stream_opts){.size = sizeof own};
    own.keep = false; /* it is nobody else's */
    int r = skua_stream_open_with(fd, fd, ret_stream, &own);
    if (r < 0)
        SKUA_IGNORE(skua_close(fd)); /* the first error is reported */
    return r;
}

/* --- closing --- */

void rt_stream_drop_fds(struct skua_stream *s)
{
    rt_stream_lock(s);
    struct rt_stream_side in = s->in, out = s->out;
    s->in.fd = s->out.fd = -1;
    rt_stream_unlock(s, NULL);
    drop_side(in);
    if (out.fd != in.fd || out.generation != in.generation)
        drop_side(out);
}

/* Reading is over. The descriptor may still be needed for what is unsent. */
static void end_reading(struct skua_stream *s)
{
    struct rt_fifo out = {0};
    struct rt_io io = {0};
    rt_stream_lock(s);
    struct rt_stream_side in = s->in;
    s->in.fd = -1;
    rt_stream_unlock(s, NULL);
    if (in.fd < 0)
        return;
    if (!s->is_shared) {
        drop_side(in);
        return;
    }
    io.inside = rt_fd_enter(in.fd, &io.rec, &io.generation) >= 0;
    if (io.inside && io.generation == in.generation)
        rt_fd_kick(io.rec, RT_DIR_IN, &out);
    rt_io_pause(&io);
    rt_ready_batch(&out);
}

int skua_stream_close(skua_stream *s)
{
    if (!s)
        return -EINVAL;
    rt_stream_lock(s);
    bool first;
    bool mine = rt_stream_turn_close(&s->turn, &first);
    rt_stream_unlock(s, NULL);
    if (first)
        end_reading(s);
    if (!mine || !rt_stream_settle(s, 0))
        return 0;
    int r = rt_stream_hand_over(s);
    if (r < 0)
        rt_stream_put_off(s); /* and so lost */
    return r;
}

int skua_stream_abort(skua_stream *s)
{
    if (!s)
        return -EINVAL;
    rt_stream_lock(s);
    bool mine = rt_stream_turn_abort(&s->turn, s->head != NULL);
    rt_stream_unlock(s, NULL);
    rt_stream_drop_fds(s); /* who sends or reads finds it gone */
    if (mine)
        SKUA_IGNORE(rt_stream_settle(s, 0)); /* what was unsent is an error now, and goes */
    return 0;
}

void rt_stream_unref(struct skua_stream *s)
{
    if (!rt_stream_refs_drop(&s->refs))
        return;
    rt_free(s->buf);
    rt_free(s);
}

skua_stream *skua_stream_retain(skua_stream *s)
{
    if (s)
        rt_stream_refs_join(&s->refs);
    return s;
}

void skua_stream_release(skua_stream *s)
{
    if (!s || !rt_stream_refs_leave(&s->refs))
        return;
    SKUA_IGNORE(skua_stream_close(s)); /* nobody is left to be told */
    rt_stream_unref(s);
}

/* --- asking --- */

bool skua_stream_is_closing(const skua_stream *s)
{
    if (!s)
        return false;
    rt_stream_lock(s);
    bool closing = s->turn.closing;
    rt_stream_unlock(s, NULL);
    return closing;
}

static struct rt_stream_side side_of(const skua_stream *s)
{
    rt_stream_lock(s);
    struct rt_stream_side side = s->in.fd >= 0 ? s->in : s->out;
    if (s->turn.closing)
        side.fd = -1;
    rt_stream_unlock(s, NULL);
    return side;
}

int skua_stream_fd(const skua_stream *s)
{
    if (!s)
        return -EINVAL;
    int fd = side_of(s).fd;
    return fd < 0 ? -EBADF : fd;
}

static int name_of(const skua_stream *s, char *buf, size_t n,
                   int (*get)(int fd, struct sockaddr *ret_addr, socklen_t *len))
{
    skua_addr addr = {.len = sizeof addr.sa};
    struct rt_io io = {0};
    if (!s || (n > 0 && !buf))
        return -EINVAL;
    struct rt_stream_side side = side_of(s);
    int r = side.fd < 0 ? -EBADF : rt_fd_enter(side.fd, &io.rec, &io.generation);
    if (r < 0)
        return r;
    io.inside = true;
    r = io.generation == side.generation
            ? get(side.fd, (struct sockaddr *)&addr.sa, &addr.len)
            : -EBADF;
    rt_io_pause(&io);
    return r < 0 ? r : skua_addr_text(&addr, buf, n);
}

int skua_stream_peer_name(const skua_stream *s, char *buf, size_t n)
{
    return name_of(s, buf, n, rt_sys_getpeername);
}

int skua_stream_local_name(const skua_stream *s, char *buf, size_t n)
{
    return name_of(s, buf, n, rt_sys_getsockname);
}
