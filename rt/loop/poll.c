/* SPDX-License-Identifier: MIT */
/* floor 4: loop. The only file that waits in epoll. */
#include "loop/poll.h"

#include <poll.h>

#include "base/check.h"
#include "base/sys.h"
#include "loop/fd.h"

#include <skua.h>

int rt_poller_init(struct rt_poller *p)
{
    int r = p->epoll_fd = rt_sys_epoll_create();
    if (r < 0)
        return r;
    r = p->event_fd = rt_sys_eventfd();
    if (r < 0)
        goto undo_epoll;
    r = rt_sys_epoll_add(p->epoll_fd, p->event_fd, EPOLLIN | EPOLLET, RT_FD_TAG_WAKE);
    if (r < 0)
        goto undo_event;
    return 0;
undo_event:
    SKUA_IGNORE(rt_sys_close(p->event_fd));
undo_epoll:
    SKUA_IGNORE(rt_sys_close(p->epoll_fd));
    return r;
}

void rt_poller_fini(struct rt_poller *p)
{
    SKUA_IGNORE(rt_sys_close(p->event_fd));
    SKUA_IGNORE(rt_sys_close(p->epoll_fd));
}

int rt_poll(struct rt_poller *p, int64_t timeout_ns, struct rt_fifo *out)
{
    struct epoll_event *events = p->events;
    int n = rt_sys_epoll_wait(p->epoll_fd, events, RT_POLL_EVENTS, timeout_ns);
    if (n < 0)
        return n;
    int seen = 0;
    for (int i = 0; i < n; i++) {
        /* The eventfd is edge-triggered and never read: each ring is a new edge. */
        if (events[i].data.u64 == RT_FD_TAG_WAKE)
            continue;
        rt_fd_fire(events[i].data.u64, events[i].events, out);
        seen++;
    }
    return seen;
}

void rt_poller_ring(struct rt_poller *p)
{
    SKUA_IGNORE(rt_sys_eventfd_ring(p->event_fd)); /* full means rung already */
}

int rt_poller_has_events(struct rt_poller *p)
{
    return rt_sys_poll1(p->epoll_fd, POLLIN, 0) > 0;
}
