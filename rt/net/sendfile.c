/* SPDX-License-Identifier: MIT */
/* floor 8: net. skua_sendfile: by the kernel where it can, else through a buffer.
 *
 * A blocking descriptor that is not ours would block the thread inside the kernel's copy, so it
 * gets the buffer.
 */
#include <errno.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/sys.h"
#include "net/io.h"
#include "sched/wait.h"

#include <skua/net.h>

/* Bytes between two turns of others, and of the buffer. */
enum { CHUNK = 256 << 10, BUFFER = 64 << 10 };

struct copy {
    struct rt_io io;
    int in_fd;
    off_t offset;
    size_t left;
    char *buffer; /* once the kernel has declined */
};

static size_t at_most(size_t n, size_t max)
{
    return n < max ? n : max;
}

/* One that the copying of a buffer may avoid. */
static bool is_declined(ssize_t r)
{
    return r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP || r == -EOVERFLOW;
}

static ssize_t send_some(struct copy *c)
{
    struct rt_io *io = &c->io;
    for (;;) {
        if (!io->owned || rt_io_try(io, RT_DIR_OUT)) {
            ssize_t sent = rt_sys_sendfile(io->fd, c->in_fd, c->offset, at_most(c->left, CHUNK));
            if (sent != -EAGAIN)
                return sent;
            if (io->owned)
                rt_io_drained(io, RT_DIR_OUT);
        }
        int r = io->owned ? rt_io_wait(io, POLLOUT) : rt_io_poll(io, POLLOUT);
        if (r < 0)
            return r;
    }
}

static ssize_t copy_some(struct copy *c)
{
    ssize_t got;
    do
        got = rt_sys_file_pread(c->in_fd, c->buffer, at_most(c->left, BUFFER), c->offset);
    while (got == -EINTR);
    for (ssize_t done = 0; done < got;) {
        ssize_t put = rt_io_put(&c->io, c->buffer + done, (size_t)(got - done));
        if (put < 0)
            return put;
        done += put;
    }
    return got;
}

static int decline(struct copy *c)
{
    c->buffer = rt_malloc(BUFFER);
    return c->buffer ? 0 : -ENOMEM;
}

/* A descriptor that takes all at once must not keep the thread to itself. */
static int give_turn(struct rt_io *io)
{
    rt_io_pause(io);
    rt_spend_budget(rt_self(), true);
    return rt_io_resume(io);
}

/* 0, or -errno; c->left says how much there would have been. */
static ssize_t copy_all(struct copy *c)
{
    while (c->left > 0) {
        ssize_t r = c->buffer ? copy_some(c) : send_some(c);
        if (!c->buffer && is_declined(r)) {
            r = decline(c);
            if (r == 0)
                continue;
        }
        if (r <= 0)
            return r;
        c->offset += r;
        c->left -= (size_t)r;
        r = give_turn(&c->io);
        if (r < 0)
            return r;
    }
    return 0;
}

ssize_t skua_sendfile(int out_fd, int in_fd, off_t offset, size_t count, double timeout)
{
    struct copy c = {.in_fd = in_fd, .offset = offset};
    ssize_t r = rt_io_begin(&c.io, out_fd, timeout);
    if (r < 0)
        return r;
    if (offset < 0)
        return rt_io_end(&c.io, -EINVAL);
    const size_t all = at_most(count, (size_t)(INT64_MAX - offset));
    c.left = all;
    if (!c.io.owned) {
        int flags = rt_sys_fcntl_getfl(out_fd);
        r = flags < 0 ? flags : flags & O_NONBLOCK ? 0 : decline(&c);
    }
    if (r == 0)
        r = copy_all(&c);
    rt_free(c.buffer);
    return rt_io_end(&c.io, r < 0 ? r : (ssize_t)(all - c.left));
}
