/* SPDX-License-Identifier: MIT */
/* floor 8: net. Children: waiting, signals, letting go. */
#include "net/process.h"

#include <errno.h>
#include <math.h>
#include <signal.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sys.h"
#include "net/io.h"
#include "net/sock.h"
#include "sched/queues.h"

/* --- life of the handle --- */

struct skua_process *rt_process_new(void)
{
    struct skua_process *p = rt_calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->refs = 1;
    p->pidfd.fd = -1;
    for (int i = 0; i < 3; i++)
        p->end[i].fd = -1;
    return p;
}

void rt_process_free(struct skua_process *p)
{
    for (int i = 0; i < 3; i++)
        rt_free(p->got[i].data);
    rt_free(p);
}

void rt_process_keep(struct skua_process *p)
{
    rt_wq_lock(&p->q);
    p->refs++;
    rt_wq_unlock(&p->q, NULL);
}

void rt_process_unref(struct skua_process *p)
{
    rt_wq_lock(&p->q);
    bool is_last = --p->refs == 0;
    rt_wq_unlock(&p->q, NULL);
    if (!is_last)
        return;
    if (rt_process_look(p))
        rt_process_free(p);
    else
        rt_reaper_give(p);
}

int rt_held_take(struct rt_held *held, int fd)
{
    struct rt_fifo out = {0};
    int r = rt_fd_adopt_fresh(fd, RT_FD_FILE, &held->generation, &out);
    rt_ready_batch(&out);
    if (r == 0)
        held->fd = fd;
    else
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
    return r;
}

void rt_process_close_end(struct skua_process *p, int i)
{
    rt_wq_lock(&p->q);
    struct rt_held end = p->end[i];
    p->end[i].fd = -1;
    rt_wq_unlock(&p->q, NULL);
    if (end.fd >= 0)
        rt_sock_drop(end.fd, end.generation);
}

void skua_process_release(skua_process *p)
{
    if (!p)
        return;
    for (int i = 0; i < 3; i++)
        rt_process_close_end(p, i);
    rt_process_unref(p);
}

/* --- has it ended? --- */

/* Lock held. What nobody can learn any more counts as ended. True: it has. */
static bool look(struct skua_process *p, struct rt_fifo *woken)
{
    if (p->has_ended)
        return true;
    int code = RT_CHILD_UNKNOWN;
    if (rt_sys_pidfd_wait(p->pidfd.fd, false, &code) == 0)
        return false;
    p->has_ended = true;
    p->code = code;
    rt_wq_wake_many(&p->q.list, SIZE_MAX, woken);
    return true;
}

/* And closes the pidfd once it is not needed. Under a task that watches it stays. */
static void unlock(struct skua_process *p, struct rt_fifo *woken)
{
    struct rt_held pidfd = p->pidfd;
    bool closes = p->has_ended && !p->is_watched && pidfd.fd >= 0;
    if (closes)
        p->pidfd.fd = -1;
    rt_wq_unlock(&p->q, woken);
    if (closes)
        rt_sock_drop(pidfd.fd, pidfd.generation);
}

bool rt_process_look(struct skua_process *p)
{
    struct rt_fifo woken = {0};
    rt_wq_lock(&p->q);
    bool ended = look(p, &woken);
    unlock(p, &woken);
    return ended;
}

int skua_process_poll(skua_process *p, int *ret_returncode)
{
    if (!p)
        return -EINVAL;
    if (!rt_process_look(p))
        return 0;
    if (ret_returncode)
        *ret_returncode = p->code;
    return 1;
}

/* --- waiting --- */

enum role { ENDED, WATCH, FOLLOW };

static enum role enter(struct skua_process *p, int *ret_pidfd)
{
    struct rt_fifo woken = {0};
    rt_wq_lock(&p->q);
    enum role role = look(p, &woken) ? ENDED : p->is_watched ? FOLLOW : WATCH;
    if (role == WATCH)
        p->is_watched = true;
    *ret_pidfd = p->pidfd.fd;
    unlock(p, &woken);
    return role;
}

/* Nobody watches: the first that follows takes over. */
static void pass_on(struct skua_process *p, bool is_watcher)
{
    struct rt_fifo woken = {0};
    rt_wq_lock(&p->q);
    if (is_watcher)
        p->is_watched = false;
    if (!look(p, &woken) && !p->is_watched)
        (void)rt_wq_wake_first(&p->q.list, &woken);
    unlock(p, &woken);
}

/* 0: look again. */
static int watch(struct skua_process *p, int pidfd, uint64_t deadline)
{
    struct rt_io io;
    int r = rt_io_begin(&io, pidfd, HUGE_VAL);
    if (r == 0) {
        io.has_deadline = true;
        io.deadline = deadline;
        r = (int)rt_io_end(&io, rt_io_poll(&io, POLLIN));
    }
    pass_on(p, true);
    return r < 0 ? r : 0;
}

static const struct rt_wait_kind child_kind = { .what = "a child process", .is_shown = true };

/* 0: look again. */
static int follow(struct skua_process *p, uint64_t deadline)
{
    struct rt_wq_node node;
    int r = rt_wq_begin(&node, &child_kind, p);
    if (r < 0)
        return r;
    rt_wq_lock(&p->q);
    bool must_wait = p->is_watched && !p->has_ended;
    if (must_wait)
        rt_wq_link(&p->q.list, &node);
    rt_wq_unlock(&p->q, NULL);
    if (!must_wait)
        return rt_wq_abandon(&node);
    r = rt_wq_park(&p->q, &node, deadline);
    if (r < 0 && node.woken)
        pass_on(p, false);
    return r;
}

/* It counts as ended for who polls, but not yet for who reaps: a tracer has to see it first. No
 * event tells of that. */
static int rest(uint64_t deadline)
{
    uint64_t until = rt_ns_add(rt_timers_read_clock(&rt_self()->timers), RT_NS_PER_MS);
    return rt_wait_until(until < deadline ? until : deadline);
}

int rt_process_await(struct skua_process *p, uint64_t deadline)
{
    for (int idle = 0;;) {
        int pidfd;
        enum role role = enter(p, &pidfd);
        if (role == ENDED)
            return 0;
        int r = role == WATCH ? watch(p, pidfd, deadline) : follow(p, deadline);
        if (r == 0 && role == WATCH && !rt_process_look(p) && ++idle > 1)
            r = rest(deadline);
        if ((r == -ETIMEDOUT || r == -EBADF) && rt_process_look(p))
            return 0; /* just now; or the pidfd was closed by who does not know it */
        if (r < 0)
            return r;
    }
}

int skua_process_wait(skua_process *p, double timeout, int *ret_returncode)
{
    struct rt_worker *w = rt_self();
    uint64_t deadline;
    if (!p || isnan(timeout))
        return -EINVAL;
    if (!w || !w->cur)
        return -EPERM;
    int r = rt_deadline(w, timeout, &deadline);
    if (r < 0)
        return r;
    rt_process_keep(p);
    if (rt_process_look(p))
        rt_spend_budget(w, true);
    else
        r = timeout <= 0 ? -ETIMEDOUT : rt_process_await(p, deadline);
    if (r == 0 && ret_returncode)
        *ret_returncode = p->code;
    rt_process_unref(p);
    return r;
}

/* --- signals --- */

int skua_process_send_signal(skua_process *p, int signo)
{
    struct rt_fifo woken = {0};
    if (!p)
        return -EINVAL;
    rt_wq_lock(&p->q);
    int r = look(p, &woken) ? -ESRCH : rt_sys_pidfd_signal(p->pidfd.fd, signo);
    unlock(p, &woken);
    return r;
}

int skua_process_terminate(skua_process *p)
{
    return skua_process_send_signal(p, SIGTERM);
}

int skua_process_kill(skua_process *p)
{
    return skua_process_send_signal(p, SIGKILL);
}

/* --- what it is --- */

int skua_process_pid(const skua_process *p)
{
    return p ? p->pid : -EINVAL;
}

static int end_of(const skua_process *process, int i)
{
    struct skua_process *p = (struct skua_process *)(uintptr_t)process;
    if (!p)
        return -EINVAL;
    rt_wq_lock(&p->q);
    int fd = p->end[i].fd;
    rt_wq_unlock(&p->q, NULL);
    return fd >= 0 ? fd : -EINVAL;
}

int skua_process_stdin(const skua_process *p)
{
    return end_of(p, 0);
}

int skua_process_stdout(const skua_process *p)
{
    return end_of(p, 1);
}

int skua_process_stderr(const skua_process *p)
{
    return end_of(p, 2);
}
