/* SPDX-License-Identifier: MIT */
/* floor 4: loop. One epoll and one eventfd. Returns batches; queues nothing, wakes nobody. */
#ifndef RT_LOOP_POLL_H
#define RT_LOOP_POLL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "loop/bell.h"
#include "loop/loan.h"
#include "runq/link.h"

enum { RT_POLL_EVENTS = 128 };

struct rt_poller {
    int epoll_fd;
    int event_fd; /* rung by others to end a blocking poll */
    struct rt_bell bell;
    struct rt_loan loan;
    /* here and not on a stack: stacks of sleeping tasks stay small */
    struct epoll_event events[RT_POLL_EVENTS];
};

/* 0 or -errno; nothing is left open on failure. */
int  rt_poller_init(struct rt_poller *p);
void rt_poller_fini(struct rt_poller *p);

/* Waits up to timeout_ns (-1: for ever, 0: not at all) and appends every task that became ready to
 * `out`. Returns the number of descriptor events, or -errno. */
int rt_poll(struct rt_poller *p, int64_t timeout_ns, struct rt_fifo *out);

/* Any thread, in place of the owner, who is held or naps: the same without waiting, with the events
 * of the loop `by` as the buffer. */
int rt_poll_served(struct rt_poller *p, struct rt_poller *by, struct rt_fifo *out);
/* The owner: waits until there is something to be polled here or in one of n other loops, and takes
 * nothing. Their epolls are in fds[1] .. fds[n]; fds[0] is for the own. */
void rt_poll_await(struct rt_poller *p, struct pollfd *fds, unsigned n, int64_t timeout_ns);

/* The owner, before others may ring for the sleep that comes: earlier rings are forgotten. */
void rt_poller_hush(struct rt_poller *p);
/* The owner, after that: waits for a ring only. True: one came. */
bool rt_poll_nap(struct rt_poller *p, int64_t timeout_ns);

/* Any thread: end a blocking poll. Costs a system call; who calls it decided by sched/idle.h. */
void rt_poller_ring(struct rt_poller *p);

/* Any thread: is anything waiting to be polled? Takes nothing. */
int rt_poller_has_events(struct rt_poller *p);

#endif
