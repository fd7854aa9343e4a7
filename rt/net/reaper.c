/* SPDX-License-Identifier: MIT */
/* floor 8: net. The reaper: children whose handles were released while they ran.
 *
 * They may outlive any task and any runtime, so a thread of the process looks after them, which is
 * there only as long as there are such children: it sleeps in an epoll of their pidfds. Those that
 * found no place there it looks at now and then. Where the thread cannot be had (no descriptor, no
 * memory) they stay in the list and are looked after whenever another child is started or given.
 *
 * A fork of this process has the memory and the epoll, but neither the thread nor the children: it
 * begins anew, and never adds to that epoll, whose events the parent takes for its own.
 *
 * Rejected: a task for each (seen by all_tasks, cancelled with them, gone with the runtime); the
 * watch thread of the runtime (gone with it as well); killing them (released is not unwanted).
 */
#include <errno.h>

#include "base/lock.h"
#include "base/sys.h"
#include "net/process.h"
#include "net/sock.h"

enum { EVENTS = 16 };

#define PAUSE_NS 10000000 /* not to spin: after an error, or while a tracer has not seen an end */

static struct {
    struct rt_lock lock; /* the fields below */
    struct skua_process *head;
    int epoll_fd; /* while the thread runs */
    bool is_running;
    int pid; /* of the process that the others are of; 0: none yet */
} reaper = {.lock = RT_LOCK_INIT(RT_RANK_OBJECT)};

/* Lock held. */
static void unlink_child(struct skua_process *p)
{
    struct skua_process **at = &reaper.head;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

/* Lock held. Its last reference is the reaper's. Out of the epoll first: a child that is just being
 * started has a copy of the pidfd. */
static bool is_reaped(struct skua_process *p)
{
    int code;
    if (rt_sys_pidfd_wait(p->pidfd.fd, false, &code) == 0)
        return false;
    if (p->is_polled)
        SKUA_IGNORE(rt_sys_epoll_del(reaper.epoll_fd, p->pidfd.fd)); /* it is there */
    rt_sock_drop(p->pidfd.fd, p->pidfd.generation);
    unlink_child(p);
    rt_process_free(p);
    return true;
}

static int start(void);

/* Lock held. */
static void try_to_poll(struct skua_process *p)
{
    if (!reaper.is_running && start() < 0)
        return;
    p->is_polled = rt_sys_epoll_add(reaper.epoll_fd, p->pidfd.fd, EPOLLIN, (uintptr_t)p) == 0;
}

/* Lock held. Those that no event will tell of. True: there still are some. */
static bool sweep(void)
{
    bool some = false;
    struct skua_process *next;
    for (struct skua_process *p = reaper.head; p; p = next) {
        next = p->next;
        if (p->is_polled || is_reaped(p))
            continue;
        try_to_poll(p);
        some |= !p->is_polled;
    }
    return some;
}

/* How long to sleep, or 0: no child is left, and the thread is the reaper's no longer. *ret_idle:
 * there were events, or an error, and nothing could be done. */
static int64_t after_events(const struct epoll_event *events, int n, bool *ret_idle)
{
    int reaped = 0;
    rt_lock(&reaper.lock);
    for (int i = 0; i < n; i++)
        reaped += is_reaped((struct skua_process *)(uintptr_t)events[i].data.u64);
    *ret_idle = n != 0 && reaped == 0;
    int64_t timeout = sweep() ? PAUSE_NS : -1;
    if (!reaper.head) {
        SKUA_IGNORE(rt_sys_close(reaper.epoll_fd)); /* nothing is in it */
        reaper.is_running = false;
        timeout = 0;
    }
    rt_unlock(&reaper.lock);
    return timeout;
}

static void *reap(void *arg)
{
    struct epoll_event events[EVENTS];
    int epoll_fd = *(int *)arg; /* fixed as long as this thread runs */
    int n = 0;
    bool idle;
    int64_t timeout;
    while ((timeout = after_events(events, n, &idle)) != 0) {
        if (idle)
            SKUA_IGNORE(rt_sys_poll_many(NULL, 0, PAUSE_NS));
        n = rt_sys_epoll_wait(epoll_fd, events, EVENTS, timeout);
    }
    return NULL;
}

/* Lock held. 0, or -errno and there is none. */
static int start(void)
{
    struct rt_thread thread;
    int fd = rt_sys_epoll_create();
    if (fd < 0)
        return fd;
    reaper.epoll_fd = fd;
    int r = rt_sys_thread_create(&thread, reap, &reaper.epoll_fd, "skua-reap");
    if (r < 0) {
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error counts */
        return r;
    }
    rt_sys_thread_detach(thread);
    reaper.is_running = true;
    return 0;
}

/* Lock held. What the parent of a fork left is left alone. */
static void begin(void)
{
    int pid = rt_sys_getpid();
    if (reaper.pid == pid)
        return;
    if (reaper.is_running)
        SKUA_IGNORE(rt_sys_close(reaper.epoll_fd)); /* a copy of the parent's */
    reaper.head = NULL;
    reaper.is_running = false;
    reaper.pid = pid;
}

void rt_reaper_give(struct skua_process *p)
{
    rt_lock(&reaper.lock);
    begin();
    p->next = reaper.head;
    reaper.head = p;
    (void)sweep();
    rt_unlock(&reaper.lock);
}

void rt_reaper_sweep(void)
{
    rt_lock(&reaper.lock);
    begin();
    (void)sweep();
    rt_unlock(&reaper.lock);
}
