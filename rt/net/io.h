/* SPDX-License-Identifier: MIT */
/* floor 8: net. One call on a descriptor: enter, try, wait, try again, leave.
 *
 *     struct rt_io io;
 *     int r = rt_io_begin(&io, fd, timeout);
 *     while (r == 0) {
 *         if (rt_io_try(&io, RT_DIR_IN)) {
 *             ...the system call, done unless it says EAGAIN; then rt_io_drained()...
 *         }
 *         r = rt_io_wait(&io, POLLIN);
 *     }
 *     return rt_io_end(&io, r);
 */
#ifndef RT_NET_IO_H
#define RT_NET_IO_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "loop/fd.h"

struct rt_io {
    struct rt_fd *rec;
    double timeout;
    uint64_t deadline; /* once has_deadline: the clock is read only by calls that wait */
    int fd;
    uint32_t generation;
    uint32_t seen;
    bool owned;
    bool has_deadline;
    bool waited;
    bool inside;
};

/* In a task. 0, -EPERM, -EINVAL (timeout is NaN), -EBADF, -ENOMEM. */
int rt_io_begin(struct rt_io *io, int fd, double timeout);
/* Leaves, and gives others a turn now and then. Returns r. */
ssize_t rt_io_end(struct rt_io *io, ssize_t r);
/* Leaves for a while without a wait on the descriptor. rt_io_resume: 0 or -EBADF, closed meanwhile.
 */
void rt_io_pause(struct rt_io *io);
int rt_io_resume(struct rt_io *io);

/* Owned descriptors. False: wait first. A call that may not wait always tries. */
static inline bool rt_io_try(struct rt_io *io, enum rt_dir dir)
{
    bool try_it = rt_fd_try(io->rec, dir, &io->seen);
    if (RT_UNLIKELY(!try_it && io->timeout <= 0))
        io->seen = rt_load_sc(&io->rec->tick); /* pairs: FD-TICK <- rt_fd_kick */
    return try_it || io->timeout <= 0;
}

/* Whoever waits for the direction tries again. */
void rt_io_kick(struct rt_io *io, enum rt_dir dir);

static inline void rt_io_drained(struct rt_io *io, enum rt_dir dir)
{
    if (RT_UNLIKELY(!rt_fd_drained(io->rec, dir, io->seen)))
        rt_io_kick(io, dir);
}

static inline void rt_io_short_read(struct rt_io *io)
{
    if (RT_UNLIKELY(!rt_fd_short_read(io->rec, io->seen)))
        rt_io_kick(io, RT_DIR_IN);
}

/* Suspends until any of the poll events may have come. 0: try again. -ETIMEDOUT, -ECANCELED, -EBADF
 * (closed meanwhile), -EBUSY, -ENOMEM, -errno of the registration. On -EPERM the kernel cannot poll
 * it: a file, always ready to be read and written. */
int rt_io_wait(struct rt_io *io, unsigned events);
/* The same for any of several owned descriptors, until `until` at the latest, whatever their
 * timeouts. 0: try each again, but for those that are not inside any more: they were closed.
 * -ETIMEDOUT, -ECANCELED, ... */
int rt_io_wait_any(struct rt_io *const *ios, size_t n, unsigned events, uint64_t until);
/* Is there time to wait at all? Then there is a deadline. 0, -ETIMEDOUT, -EINVAL. */
int rt_io_deadline(struct rt_io *io);
/* Lets so much time pass without a wait on the descriptor: 0: try again, -ETIMEDOUT, ... */
int rt_io_rest(struct rt_io *io, uint64_t ns);
/* Looks first, and waits until one of them has come. The events that came, POLLHUP and POLLERR
 * included. */
int rt_io_poll(struct rt_io *io, unsigned events);

/* Inside. Reads once, when there is something: into n pieces, the first one not empty, `total`
 * bytes in all. How many came, or -errno. */
ssize_t rt_io_get(struct rt_io *io, const struct iovec *iov, int n, size_t total);
/* Inside. Writes once, when there is room. How many of the n bytes, or -errno. */
ssize_t rt_io_put(struct rt_io *io, const void *from, size_t n);

#endif
