/* SPDX-License-Identifier: MIT */
/* floor 8: net. Waiting for descriptors. */
#include "net/io.h"

#include <errno.h>
#include <math.h>

#include "base/sys.h"
#include "sched/queues.h"
#include "sched/wait.h"

/* --- enter and leave --- */

static void leave(struct rt_io *io)
{
    io->inside = false;
    if (RT_LIKELY(!rt_fd_leave(io->rec)))
        return;
    struct rt_fifo out = {0};
    SKUA_IGNORE(rt_fd_finish_close(io->rec, &out)); /* who asked for it has returned */
    rt_ready_batch(&out);
}

int rt_io_begin(struct rt_io *io, int fd, double timeout)
{
    if (RT_UNLIKELY(!rt_current()))
        return -EPERM;
    if (RT_UNLIKELY(isnan(timeout)))
        return -EINVAL;
    int r = rt_fd_enter(fd, &io->rec, &io->generation);
    if (RT_UNLIKELY(r < 0))
        return r;
    io->fd = fd;
    io->timeout = timeout;
    io->owned = r == 1;
    io->seen = 0;
    io->has_deadline = io->waited = false;
    io->inside = true;
    return 0;
}

ssize_t rt_io_end(struct rt_io *io, ssize_t r)
{
    if (io->inside)
        leave(io);
    if (!io->waited)
        rt_spend_budget(rt_self(), true);
    return r;
}

void rt_io_pause(struct rt_io *io)
{
    if (io->inside)
        leave(io);
}

int rt_io_resume(struct rt_io *io)
{
    io->inside = io->inside || rt_fd_resume(io->rec, io->generation);
    return io->inside ? 0 : -EBADF;
}

void rt_io_kick(struct rt_io *io, enum rt_dir dir)
{
    struct rt_fifo out = {0};
    rt_fd_kick(io->rec, dir, &out);
    rt_ready_batch(&out);
}

/* --- wait --- */

static bool has_dir(unsigned events, enum rt_dir dir)
{
    return dir == RT_DIR_OUT ? (events & POLLOUT) != 0 : (events & ~(unsigned)POLLOUT) != 0;
}

static void take_back(struct rt_io *io, unsigned events, uint64_t name)
{
    if (!io->owned) {
        rt_fd_unwait_foreign(io->rec, name);
        return;
    }
    for (int dir = 0; dir < RT_DIRS; dir++)
        if (has_dir(events, (enum rt_dir)dir))
            rt_fd_unwait(io->rec, (enum rt_dir)dir, name);
}

/* The poll events of one bit each are the same numbers as the epoll events. */
static int leave_name(struct rt_io *io, unsigned events, uint64_t name, struct rt_poller *poller)
{
    if (!io->owned)
        return rt_fd_wait_foreign(io->rec, events, name, poller);
    int r = 0;
    for (int dir = 0; r == 0 && dir < RT_DIRS; dir++)
        if (has_dir(events, (enum rt_dir)dir))
            r = rt_fd_wait(io->rec, (enum rt_dir)dir, name, poller);
    return r;
}

/* A claimer that was faster than the failure has the say. */
static int give_up(struct rt_io *io, unsigned events, uint64_t name, int r)
{
    take_back(io, events, name);
    int claimed = rt_wait_abandon(name);
    if (claimed < 0)
        return claimed;
    if (claimed == EBADF)
        return -EBADF;
    return r < 0 ? r : 0;
}

int rt_io_deadline(struct rt_io *io)
{
    if (io->timeout <= 0)
        return -ETIMEDOUT;
    int r = io->has_deadline ? 0 : rt_deadline(rt_self(), io->timeout, &io->deadline);
    io->has_deadline = r == 0;
    return r;
}

int rt_io_wait(struct rt_io *io, unsigned events)
{
    struct rt_worker *w = rt_self();
    uint64_t name;
    int r = rt_io_deadline(io);
    if (r < 0)
        return r;
    r = rt_wait_begin(w, &name);
    if (r < 0)
        return r;
    r = leave_name(io, events, name, &w->poller);
    if (r == 0)
        r = rt_wait_timer(w, io->deadline);
    if (r != 0)
        return give_up(io, events, name, r);
    io->waited = true;
    leave(io);
    r = rt_wait_park();
    rt_wait_timer_end(r);
    take_back(io, events, name);
    if (r != 0)
        return r < 0 ? r : -r;
    if (rt_io_resume(io) < 0)
        return -EBADF;
    if (io->owned)
        rt_fd_settle(io->rec, &rt_self()->poller);
    return 0;
}

/* --- several --- */

static void take_back_all(struct rt_io *const *ios, size_t n, unsigned events, uint64_t name)
{
    for (size_t i = 0; i < n; i++)
        take_back(ios[i], events, name);
}

static int leave_name_everywhere(struct rt_io *const *ios, size_t n, unsigned events, uint64_t name,
                                 struct rt_poller *poller)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = leave_name(ios[i], events, name, poller);
        if (r == -EBADF)
            leave(ios[i]);
    }
    return r == -EBADF ? 1 : r;
}

int rt_io_wait_any(struct rt_io *const *ios, size_t n, unsigned events, uint64_t until)
{
    struct rt_worker *w = rt_self();
    uint64_t name;
    int r = rt_wait_begin(w, &name);
    if (r < 0)
        return r;
    r = leave_name_everywhere(ios, n, events, name, &w->poller);
    if (r == 0)
        r = rt_wait_timer(w, until);
    if (r != 0) {
        take_back_all(ios, n, events, name);
        return rt_wait_give_up(name, r < 0 ? r : 0);
    }
    for (size_t i = 0; i < n; i++) {
        ios[i]->waited = true;
        leave(ios[i]);
    }
    r = rt_wait_park();
    rt_wait_timer_end(r);
    take_back_all(ios, n, events, name);
    for (size_t i = 0; i < n; i++)
        if (rt_io_resume(ios[i]) == 0)
            rt_fd_settle(ios[i]->rec, &rt_self()->poller);
    return r < 0 ? r : r == ETIMEDOUT ? -ETIMEDOUT : 0; /* EBADF: one of them was closed */
}

int rt_io_rest(struct rt_io *io, uint64_t ns)
{
    int r = rt_io_deadline(io);
    if (r < 0)
        return r;
    io->waited = true;
    uint64_t now = rt_timers_read_clock(&rt_self()->timers);
    if (now >= io->deadline)
        return -ETIMEDOUT;
    uint64_t until = rt_ns_add(now, ns);
    rt_io_pause(io);
    r = rt_wait_until(until < io->deadline ? until : io->deadline);
    return r < 0 ? r : rt_io_resume(io);
}

/* --- poll --- */

static uint32_t clear_tokens(struct rt_io *io, unsigned events)
{
    uint32_t seen;
    for (int dir = 0; dir < RT_DIRS; dir++)
        if (has_dir(events, (enum rt_dir)dir))
            SKUA_IGNORE(rt_fd_try(io->rec, (enum rt_dir)dir, &seen));
    return rt_load_sc(&io->rec->tick); /* pairs: FD-TICK <- rt_fd_kick */
}

static void note_drained(struct rt_io *io, unsigned events)
{
    for (int dir = 0; dir < RT_DIRS; dir++)
        if (has_dir(events, (enum rt_dir)dir))
            rt_io_drained(io, (enum rt_dir)dir);
}

/* There may be other things to read than the one that was looked for. */
static void forget_drained(struct rt_io *io, unsigned events)
{
    for (int dir = 0; io->owned && dir < RT_DIRS; dir++)
        if (has_dir(events, (enum rt_dir)dir))
            rt_fd_doubt(io->rec, (enum rt_dir)dir);
}

int rt_io_poll(struct rt_io *io, unsigned events)
{
    for (;;) {
        if (io->owned)
            io->seen = clear_tokens(io, events);
        int r = rt_sys_poll1(io->fd, (short)events, 0);
        if (r != 0)
            return r > 0 && (r & POLLNVAL) ? -EBADF : r;
        if (io->owned)
            note_drained(io, events);
        r = rt_io_wait(io, events);
        if (r == -EPERM) /* a file: always ready for these, never for anything else */
            return events & (POLLIN | POLLOUT) ? (int)(events & (POLLIN | POLLOUT)) : -EINVAL;
        if (r < 0) {
            forget_drained(io, events);
            return r;
        }
    }
}
