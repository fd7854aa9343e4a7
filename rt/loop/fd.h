/* SPDX-License-Identifier: MIT */
/* floor 4: loop. Descriptor records: who waits for which direction, what is known of its readiness.
 *
 * One record for each descriptor number of the process, in chunks that are never freed. A direction is one
 * word: what is known of its readiness, or the name of the wait of the one task that waits for it.
 *
 *   0          nothing known: try the system call
 *   TOKEN      an event came since the last try
 *   DRAINED    the last try took everything (EAGAIN, or a short read on plain TCP): wait at once
 *   name       a task waits (names are larger than the flags: a ticket is never 0)
 *
 * Reading, for instance: clear the token, then try; EAGAIN turns 0 into DRAINED, which fails when an event came
 * meanwhile, and then the try is repeated. Waiting turns DRAINED into the name. An event turns whatever is there
 * into TOKEN and claims the name it found.
 *
 * Events carry {descriptor, generation}: closing raises the generation first, so that a late event finds
 * another generation and is dropped. Closing while a call is inside waits for that call to leave.
 */
#ifndef RT_LOOP_FD_H
#define RT_LOOP_FD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "runq/link.h"

#define RT_FD_TAG_WAKE UINT64_MAX /* event data of a loop's own eventfd */

enum rt_dir { RT_DIR_IN = 0, RT_DIR_OUT = 1 };

struct rt_poller;

struct rt_fd {
    RT_ATOMIC(uint64_t) dir[2];
    RT_ATOMIC(uint64_t) use; /* generation:32 | flags:8 | calls inside:24 */
    struct rt_lock      lock; /* registration: the fields below */
    int                 fd;   /* set when the record is made */
    struct rt_poller   *poller; /* where it is registered; NULL: nowhere */
    uint32_t            events; /* registered for, foreign descriptors only */
    uint8_t             is_tcp; /* short reads mean drained */
    uint8_t             is_socket;
    uint16_t            strangers; /* times in a row that a wake went to another worker's task */
};

/* Takes a nonblocking descriptor into ownership: it stays registered once waited for, and rt_fd_close closes
 * it. 0, -EBADF, -EINVAL (blocking), -EBUSY (owned already), -ENOMEM. */
int rt_fd_adopt(int fd);

/* Enter a call on the descriptor. An owned record: 1, leave with rt_fd_leave. A foreign descriptor: 0 (also
 * entered). -EBADF: closed or being closed; -ENOMEM. */
int  rt_fd_enter(int fd, struct rt_fd **ret_rec);
void rt_fd_leave(struct rt_fd *rec);

/* Before the system call: true = try it, false = known to be drained, wait at once. */
bool rt_fd_try(struct rt_fd *rec, enum rt_dir dir);
/* After it took everything (EAGAIN or short): remembers that unless an event came meanwhile. */
void rt_fd_drained(struct rt_fd *rec, enum rt_dir dir);

/* Leave the name of a wait. 0: an event will claim it. 1: an event came already, try again, the name is not kept.
 * -EBUSY: another task waits for this direction. Otherwise -errno of the registration. */
int rt_fd_wait(struct rt_fd *rec, enum rt_dir dir, uint64_t name, struct rt_poller *poller);
/* After the wait, whatever ended it: forget the name if it is still there. */
void rt_fd_unwait(struct rt_fd *rec, enum rt_dir dir, uint64_t name);

/* The woken task runs on the loop of `poller`: after many strange wakes in a row the registration moves there. */
void rt_fd_settle(struct rt_fd *rec, struct rt_poller *poller);

/* An event of rt_poll. Appends claimed tasks to `out`. */
void rt_fd_fire(uint64_t data, uint32_t events, struct rt_fifo *out);

/* Wake every waiter with EBADF, deregister, close once the last call has left. 0 or -EBADF. */
int rt_fd_close(int fd, struct rt_fifo *out);

/* The loop goes away: its registrations are forgotten. */
void rt_fd_forget(struct rt_poller *poller);

#endif
