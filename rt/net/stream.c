/* SPDX-License-Identifier: MIT */
/* floor 8: net. skua_read, skua_write, skua_poll_fd, skua_close, skua_fd_adopt. */
#include <errno.h>
#include <limits.h>

#include "base/sys.h"
#include "net/io.h"
#include "sched/queues.h"

/* The kernel moves less than 2 GiB at once; asking for no more keeps "less than asked for"
 * meaningful. */
enum { MOVE_MAX = 1 << 30 };

static size_t at_most(size_t n, size_t max)
{
    return n < max ? n : max;
}

/* --- read --- */

ssize_t skua_read(int fd, void *buf, size_t n, double timeout)
{
    struct rt_io io;
    ssize_t r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    if (n == 0)
        return rt_io_end(&io, 0);
    if (!buf)
        return rt_io_end(&io, -EFAULT);
    const struct iovec one = {.iov_base = buf, .iov_len = at_most(n, MOVE_MAX)};
    return rt_io_end(&io, rt_io_get(&io, &one, 1, one.iov_len));
}

/* --- write --- */

static ssize_t put_owned(struct rt_io *io, const char *from, size_t n)
{
    for (;;) {
        if (rt_io_try(io, RT_DIR_OUT)) {
            ssize_t put = io->rec->kind == RT_FD_FILE ? rt_sys_write(io->fd, from, n)
                                                      : rt_sys_send(io->fd, from, n, 0);
            if (put != -EAGAIN)
                return put;
            rt_io_drained(io, RT_DIR_OUT);
        }
        int r = rt_io_wait(io, POLLOUT);
        if (r < 0)
            return r;
    }
}

/* What is writable takes at least PIPE_BUF bytes without blocking. */
static ssize_t put_polled(struct rt_io *io, const char *from, size_t n)
{
    int flags = rt_sys_fcntl_getfl(io->fd);
    if (flags < 0)
        return flags;
    for (;;) {
        int r = rt_io_poll(io, POLLOUT);
        if (r < 0)
            return r;
        ssize_t put = rt_sys_write(io->fd, from, flags & O_NONBLOCK ? n : at_most(n, PIPE_BUF));
        if (put != -EAGAIN)
            return put;
    }
}

static ssize_t put_foreign(struct rt_io *io, const char *from, size_t n)
{
    for (;;) {
        ssize_t put = rt_sys_send(io->fd, from, n, MSG_DONTWAIT);
        if (put == -ENOTSOCK)
            return put_polled(io, from, n);
        if (put != -EAGAIN)
            return put;
        int r = rt_io_poll(io, POLLOUT);
        if (r < 0)
            return r;
    }
}

ssize_t rt_io_put(struct rt_io *io, const void *from, size_t n)
{
    n = at_most(n, MOVE_MAX);
    return io->owned ? put_owned(io, from, n) : put_foreign(io, from, n);
}

ssize_t skua_write(int fd, const void *buf, size_t n, double timeout)
{
    struct rt_io io;
    ssize_t r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    if (n > 0 && !buf)
        return rt_io_end(&io, -EFAULT);
    size_t done = 0;
    while (r >= 0 && done < n) {
        r = rt_io_put(&io, (const char *)buf + done, n - done);
        if (r > 0)
            done += (size_t)r;
    }
    return rt_io_end(&io, r < 0 ? r : (ssize_t)done);
}

/* --- poll, close, adopt --- */

int skua_poll_fd(int fd, unsigned events, double timeout)
{
    struct rt_io io;
    int r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    if (!events || (events & ~(unsigned)(POLLIN | POLLPRI | POLLOUT | POLLRDHUP)))
        r = -EINVAL;
    else
        r = rt_io_poll(&io, events);
    return (int)rt_io_end(&io, r);
}

int skua_close(int fd)
{
    struct rt_fifo out = {0};
    int r = rt_fd_close(fd, &out);
    rt_ready_batch(&out);
    return r;
}

int skua_fd_adopt(int fd)
{
    return rt_fd_adopt(fd);
}
