/* SPDX-License-Identifier: MIT */
/* floor 4: loop. The only file that waits in epoll. */
#include "loop/poll.h"

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

static int fire(const struct epoll_event *events, int n, struct rt_fifo *out)
{
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

int rt_poll(struct rt_poller *p, int64_t timeout_ns, struct rt_fifo *out)
{
    if (timeout_ns != 0 && !rt_bell_down(&p->bell))
        timeout_ns = 0;
    int n = rt_sys_epoll_wait(p->epoll_fd, p->events, RT_POLL_EVENTS, timeout_ns);
    if (timeout_ns != 0)
        rt_bell_up(&p->bell);
    return n < 0 ? n : fire(p->events, n, out);
}

int rt_poll_served(struct rt_poller *p, struct rt_poller *by, struct rt_fifo *out)
{
    int n = rt_sys_epoll_wait(p->epoll_fd, by->events, RT_POLL_EVENTS, 0);
    for (int i = 0; i < n; i++)
        if (by->events[i].data.u64 == RT_FD_TAG_WAKE && rt_bell_take(&p->bell))
            rt_poller_ring(p);
    return n < 0 ? n : fire(by->events, n, out);
}

void rt_poll_await(struct rt_poller *p, struct pollfd *fds, unsigned n, int64_t timeout_ns)
{
    fds[0] = (struct pollfd){ .fd = p->epoll_fd, .events = POLLIN };
    if (rt_bell_down(&p->bell)) {
        SKUA_IGNORE(rt_sys_poll_many(fds, n + 1, timeout_ns)); /* an error looks like a wake */
        rt_bell_up(&p->bell);
    }
}

/* Rings are edges in the epoll, where it does not matter what was rung before; here it would. */
void rt_poller_hush(struct rt_poller *p)
{
    SKUA_IGNORE(rt_sys_eventfd_drain(p->event_fd)); /* left as it is, it ends a nap */
}

bool rt_poll_nap(struct rt_poller *p, int64_t timeout_ns)
{
    struct pollfd rings = { .fd = p->event_fd, .events = POLLIN };
    return rt_sys_poll_many(&rings, 1, timeout_ns) != 0; /* an error looks like a ring */
}

void rt_poller_ring(struct rt_poller *p)
{
    SKUA_IGNORE(rt_sys_eventfd_ring(p->event_fd)); /* full means rung already */
}

int rt_poller_has_events(struct rt_poller *p)
{
    return rt_sys_poll1(p->epoll_fd, POLLIN, 0) > 0;
}
