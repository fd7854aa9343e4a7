/* SPDX-License-Identifier: MIT */
/* floor 8: net. Reading, for skua_read as well; skua_readv, skua_writev. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "net/io.h"

#include <skua/net.h>

enum { PIECES = 64 }; /* go together behind one that was written in part */

static int at_most(int n, int max)
{
    return n < max ? n : max;
}

/* How many bytes there are, or -errno. */
static ssize_t measure(const struct iovec *iov, int n)
{
    size_t total = 0;
    if (n < 0)
        return -EINVAL;
    if (n > 0 && !iov)
        return -EFAULT;
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len > SSIZE_MAX - total)
            return -EINVAL;
        if (iov[i].iov_len > 0 && !iov[i].iov_base)
            return -EFAULT;
        total += iov[i].iov_len;
    }
    return (ssize_t)total;
}

/* What is left of a vector: from byte `off` of iov[0] on, which is never all of it. */
struct rest {
    const struct iovec *iov;
    int n;
    size_t off;
};

static void skip(struct rest *rest, size_t bytes)
{
    rest->off += bytes;
    while (rest->n > 0 && rest->off >= rest->iov->iov_len) {
        rest->off -= rest->iov->iov_len;
        rest->iov++;
        rest->n--;
    }
}

/* --- read --- */

/* The calls for one piece cost less. */
static ssize_t read_once(int fd, const struct iovec *iov, int n)
{
    return n == 1 ? rt_sys_read(fd, iov->iov_base, iov->iov_len) : rt_sys_readv(fd, iov, n);
}

static ssize_t receive_once(int fd, const struct iovec *iov, int n)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
    return n == 1 ? rt_sys_recv(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT)
                  : rt_sys_recvmsg(fd, &msg, MSG_DONTWAIT);
}

static ssize_t get_owned(struct rt_io *io, const struct iovec *iov, int n, size_t total)
{
    for (;;) {
        if (rt_io_try(io, RT_DIR_IN)) {
            ssize_t got = read_once(io->fd, iov, n);
            if (got > 0 && (size_t)got < total)
                rt_io_short_read(io);
            if (got != -EAGAIN)
                return got;
            rt_io_drained(io, RT_DIR_IN);
        }
        int r = rt_io_wait(io, POLLIN);
        if (r < 0)
            return r;
    }
}

/* Perhaps a blocking one: a socket is asked not to, anything else is polled before each call. */
static ssize_t get_foreign(struct rt_io *io, const struct iovec *iov, int n)
{
    for (;;) {
        ssize_t got = receive_once(io->fd, iov, n);
        if (got != -EAGAIN && got != -ENOTSOCK)
            return got;
        int r = rt_io_poll(io, POLLIN);
        if (r < 0)
            return r;
        if (got == -EAGAIN)
            continue;
        got = read_once(io->fd, iov, n);
        if (got != -EAGAIN)
            return got;
    }
}

ssize_t rt_io_get(struct rt_io *io, const struct iovec *iov, int n, size_t total)
{
    return io->owned ? get_owned(io, iov, n, total) : get_foreign(io, iov, n);
}

ssize_t skua_readv(int fd, const struct iovec *iov, int n, double timeout)
{
    struct rt_io io;
    ssize_t r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    r = measure(iov, n);
    if (r > 0) {
        struct rest room = {.iov = iov, .n = n};
        skip(&room, 0); /* empty ones in front must not fill what one call takes */
        n = at_most(room.n, IOV_MAX);
        r = rt_io_get(&io, room.iov, n, (size_t)measure(room.iov, n));
    }
    return rt_io_end(&io, r);
}

/* --- write --- */

static ssize_t put(struct rt_io *io, const struct iovec *iov, int n)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
    for (;;) {
        if (!io->owned || rt_io_try(io, RT_DIR_OUT)) {
            ssize_t done = io->owned && io->rec->kind == RT_FD_FILE
                               ? rt_sys_writev(io->fd, iov, n)
                               : rt_sys_sendmsg(io->fd, &msg, io->owned ? 0 : MSG_DONTWAIT);
            if (done == -ENOTSOCK && !io->owned)
                return rt_io_put(io, iov->iov_base, iov->iov_len);
            if (done != -EAGAIN)
                return done;
            if (io->owned)
                rt_io_drained(io, RT_DIR_OUT);
        }
        int r = io->owned ? rt_io_wait(io, POLLOUT) : rt_io_poll(io, POLLOUT);
        if (r < 0)
            return r;
    }
}

static ssize_t put_rest(struct rt_io *io, const struct rest *rest)
{
    struct iovec piece[PIECES];
    if (rest->off == 0)
        return put(io, rest->iov, at_most(rest->n, IOV_MAX));
    int n = at_most(rest->n, PIECES);
    memcpy(piece, rest->iov, (size_t)n * sizeof *piece);
    piece[0].iov_base = (char *)piece[0].iov_base + rest->off;
    piece[0].iov_len -= rest->off;
    return put(io, piece, n);
}

ssize_t skua_writev(int fd, const struct iovec *iov, int n, double timeout)
{
    struct rt_io io;
    ssize_t r = rt_io_begin(&io, fd, timeout);
    if (r < 0)
        return r;
    ssize_t total = measure(iov, n);
    struct rest rest = {.iov = iov, .n = total > 0 ? n : 0};
    skip(&rest, 0);
    while (r >= 0 && rest.n > 0) {
        r = put_rest(&io, &rest);
        if (r > 0)
            skip(&rest, (size_t)r);
    }
    return rt_io_end(&io, r < 0 ? r : total);
}
