/* SPDX-License-Identifier: MIT */
/* floor 8: net. communicate: input and both outputs of a child at once, in one task.
 *
 * All three pipes are tried in turn; when none of them has moved, one wait is left with each of
 * them, and whichever is ready first claims it. What was moved so far stays with the handle, so
 * that a call which was cut off can be made again.
 *
 * Rejected: a task for each pipe, as asyncio has. They would need memory and a scheduling step for
 * each piece, be seen in all_tasks, and have to be cancelled and waited for at each error.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "net/io.h"
#include "net/process.h"
#include "sched/queues.h"
#include "sched/wait.h"

enum { PIECE = 65536, PIPES = 3, ROUNDS_WITHOUT_TIME = 256 };

struct talk {
    struct skua_process *p;
    const char *input;
    size_t n;
    size_t limit;
    double timeout;
    uint64_t deadline;
    unsigned rounds; /* without time */
    struct pipe {
        struct rt_io io;
        bool is_open;
    } pipe[PIPES];
};

enum { MOVED = 1 };

static enum rt_dir dir_of(int i)
{
    return i == 0 ? RT_DIR_OUT : RT_DIR_IN;
}

/* --- the pipes --- */

static void close_pipe(struct talk *t, int i)
{
    t->pipe[i].is_open = false;
    SKUA_IGNORE(rt_io_end(&t->pipe[i].io, 0));
    rt_process_close_end(t->p, i);
}

/* One that its user has closed is left out; its number may be another's by now. */
static int open_pipe(struct talk *t, int i)
{
    struct pipe *pipe = &t->pipe[i];
    rt_wq_lock(&t->p->q);
    struct rt_held end = t->p->end[i];
    rt_wq_unlock(&t->p->q, NULL);
    if (end.fd < 0)
        return 0;
    int r = i == 0 ? 0 : rt_blob_reserve(&t->p->got[i], RT_BLOB_FIRST);
    if (r < 0)
        return r;
    r = rt_io_begin(&pipe->io, end.fd, t->timeout);
    if (r < 0)
        return r == -EBADF ? 0 : r;
    pipe->io.waited = true; /* turns are given here, a round at a time */
    pipe->is_open = pipe->io.generation == end.generation;
    if (!pipe->is_open)
        SKUA_IGNORE(rt_io_end(&pipe->io, 0));
    return 0;
}

static void leave_pipes(struct talk *t)
{
    for (int i = 0; i < PIPES; i++)
        if (t->pipe[i].is_open)
            SKUA_IGNORE(rt_io_end(&t->pipe[i].io, 0));
}

/* --- moving --- */

/* MOVED; 0: no room now; -errno. */
static int put_input(struct talk *t, struct rt_io *io)
{
    size_t left = t->n > t->p->written ? t->n - t->p->written : 0;
    if (left == 0) {
        close_pipe(t, 0);
        return MOVED;
    }
    if (!rt_io_try(io, RT_DIR_OUT))
        return 0;
    ssize_t r = rt_sys_write(io->fd, t->input + t->p->written, left < PIECE ? left : PIECE);
    if (r == -EAGAIN)
        rt_io_drained(io, RT_DIR_OUT);
    if (r == -EPIPE || r == -ECONNRESET)
        close_pipe(t, 0); /* it wants no more, and says so by its returncode or not at all */
    else if (r < 0)
        return r == -EAGAIN ? 0 : (int)r;
    else
        t->p->written += (size_t)r;
    return MOVED;
}

static int get_output(struct talk *t, struct rt_io *io, int i)
{
    struct rt_blob *got = &t->p->got[i];
    if (t->limit && got->n > t->limit)
        return -EMSGSIZE;
    if (!rt_io_try(io, RT_DIR_IN))
        return 0;
    int grown = got->n < got->room ? 0 : rt_blob_grow(got);
    size_t room = got->room - got->n;
    ssize_t r = grown < 0 ? grown : rt_sys_read(io->fd, got->data + got->n, room);
    if (r == -EAGAIN)
        rt_io_drained(io, RT_DIR_IN);
    if (r < 0)
        return r == -EAGAIN ? 0 : (int)r;
    if (r == 0)
        close_pipe(t, i);
    got->n += (size_t)r;
    return MOVED;
}

/* MOVED; 0: nothing moves now; -errno. */
static int move_all(struct talk *t)
{
    int moved = 0;
    for (int i = 0; i < PIPES; i++) {
        struct pipe *pipe = &t->pipe[i];
        if (!pipe->is_open)
            continue;
        int r = i == 0 ? put_input(t, &pipe->io) : get_output(t, &pipe->io, i);
        if (r < 0)
            return r;
        moved |= r;
    }
    return moved;
}

/* --- waiting for any of them --- */

static int leave_names(struct talk *t, uint64_t name, struct rt_poller *poller)
{
    int r = 0;
    for (int i = 0; r == 0 && i < PIPES; i++)
        if (t->pipe[i].is_open)
            r = rt_fd_wait(t->pipe[i].io.rec, dir_of(i), name, poller);
    return r;
}

static void take_back(struct talk *t, uint64_t name)
{
    for (int i = 0; i < PIPES; i++)
        if (t->pipe[i].is_open)
            rt_fd_unwait(t->pipe[i].io.rec, dir_of(i), name);
}

/* No wait is needed (r is 1), or none is possible. A claimer that was faster has the say. */
static int give_up(struct talk *t, uint64_t name, int r)
{
    take_back(t, name);
    return rt_wait_give_up(name, r < 0 ? r : 0);
}

static void pause_all(struct talk *t)
{
    for (int i = 0; i < PIPES; i++)
        if (t->pipe[i].is_open)
            rt_io_pause(&t->pipe[i].io);
}

static int resume_all(struct talk *t)
{
    int r = 0;
    for (int i = 0; i < PIPES; i++) {
        struct pipe *pipe = &t->pipe[i];
        if (!pipe->is_open)
            continue;
        if (rt_io_resume(&pipe->io) < 0)
            r = -EBADF;
        else
            rt_fd_settle(pipe->io.rec, &rt_self()->poller);
    }
    return r;
}

/* 0: try again. */
static int wait_any(struct talk *t)
{
    struct rt_worker *w = rt_self();
    uint64_t name;
    if (t->timeout <= 0)
        return -ETIMEDOUT;
    int r = rt_wait_begin(w, &name);
    if (r < 0)
        return r;
    r = leave_names(t, name, &w->poller);
    if (r == 0)
        r = rt_wait_timer(w, t->deadline);
    if (r != 0)
        return give_up(t, name, r);
    pause_all(t);
    r = rt_wait_park();
    rt_wait_timer_end(r);
    take_back(t, name);
    int resumed = resume_all(t);
    if (r < 0 || r == ETIMEDOUT)
        return r < 0 ? r : -ETIMEDOUT;
    return resumed; /* a close says EBADF both ways */
}

/* --- the call --- */

static bool is_any_open(const struct talk *t)
{
    return t->pipe[0].is_open || t->pipe[1].is_open || t->pipe[2].is_open;
}

/* Between two rounds. A child that never pauses keeps neither a cancel nor the end of the time from
 * being heard; without any time it gets as many rounds as empty its pipes. */
static int take_turn(struct talk *t)
{
    int r = rt_wait_turn(rt_self());
    if (r < 0 || !is_any_open(t))
        return r;
    bool late = t->timeout > 0 ? rt_timers_read_clock(&rt_self()->timers) >= t->deadline
                               : ++t->rounds >= ROUNDS_WITHOUT_TIME;
    return late ? -ETIMEDOUT : 0;
}

static int talk(struct talk *t)
{
    int r = 0;
    for (int i = 0; r == 0 && i < PIPES; i++)
        r = open_pipe(t, i);
    while (r >= 0 && is_any_open(t)) {
        r = move_all(t);
        if (r == 0) {
            r = wait_any(t);
        } else if (r > 0) {
            pause_all(t);
            r = take_turn(t);
            int resumed = resume_all(t);
            r = r < 0 ? r : resumed;
        }
    }
    leave_pipes(t);
    if (r < 0)
        return r;
    if (rt_process_look(t->p))
        return 0;
    return t->timeout <= 0 ? -ETIMEDOUT : rt_process_await(t->p, t->deadline);
}

static void hand_over(struct skua_process *p, struct skua_process_output *ret_output)
{
    struct skua_process_output output = {p->got[1].data, p->got[1].n, p->got[2].data, p->got[2].n,
                                         p->code};
    for (int i = 1; i < PIPES && ret_output; i++) {
        if (p->got[i].data)
            p->got[i].data[p->got[i].n] = '\0';
        p->got[i] = (struct rt_blob){0};
    }
    if (ret_output)
        *ret_output = output;
}

/* Only one task at a time. */
static bool begin(struct skua_process *p)
{
    rt_wq_lock(&p->q);
    bool first = !p->is_talking;
    p->is_talking = true;
    p->refs += first;
    rt_wq_unlock(&p->q, NULL);
    return first;
}

static void end(struct skua_process *p)
{
    rt_wq_lock(&p->q);
    p->is_talking = false;
    rt_wq_unlock(&p->q, NULL);
    rt_process_unref(p);
}

int skua_process_communicate_with(skua_process *p, const void *input, size_t n,
                                  struct skua_process_output *ret_output, double timeout,
                                  const struct skua_communicate_opts *opts)
{
    struct rt_worker *w = rt_self();
    struct talk t = {.p = p, .input = input, .n = n, .timeout = timeout};
    if (!p || isnan(timeout) || (n > 0 && !input) || (opts && opts->size != sizeof *opts))
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    t.limit = opts ? opts->limit : 0;
    int r = rt_deadline(w, timeout, &t.deadline);
    if (r < 0)
        return r;
    if (!begin(p))
        return -EBUSY;
    r = talk(&t);
    if (r == 0)
        hand_over(p, ret_output);
    end(p);
    return r;
}
