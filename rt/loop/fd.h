/* SPDX-License-Identifier: MIT */
/* floor 4: loop. Descriptor records: who waits for which direction, what is known of its readiness.
 *
 * One record for each descriptor number of the process, in chunks that are never freed. A direction
 * is one word: what is known of its readiness, or the name of the wait of the one task that waits
 * for it.
 *
 *   0          nothing known: try the system call
 *   TOKEN      an event came since the last try
 *   DRAINED    the last try took everything (EAGAIN, or a short read on plain TCP): wait at once
 *   name       a task waits (names are larger than the flags: a ticket is never 0)
 *
 * Reading, for instance: clear the token, note the record's tick, then try. EAGAIN turns 0 into
 * DRAINED, which holds only if neither word nor tick tells of an event that came meanwhile;
 * otherwise the try is repeated. The tick is there for two tasks that use one direction at a time:
 * one may clear the token of an event that the other has to see. Only DRAINED turns into a name. An
 * event turns whatever is there into TOKEN and claims the name it found. Every wake means "try
 * again", never "it is ready": one too many does no harm.
 *
 * Events carry {descriptor, generation}: closing raises the generation first, so that a late event
 * finds another generation and is dropped. A call is *inside* while it uses the number, that is
 * between enter and leave; whoever waits is not (pause, resume), so that closing does not depend on
 * the task it wakes. Closing never blocks: if calls are inside, the last one to leave closes. After
 * that close the record is told of an event, so that a caller who came too late tries again and
 * sees what became of the number.
 *
 * A descriptor that is not owned ("foreign") may be shared with code that knows nothing of this, so
 * nothing is remembered of it: it is registered one-shot while somebody waits, and never otherwise.
 */
#ifndef RT_LOOP_FD_H
#define RT_LOOP_FD_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"
#include "loop/use.h"
#include "runq/link.h"

#define RT_FD_TAG_WAKE UINT64_MAX /* event data of a loop's own eventfd */

enum rt_fd_kind { RT_FD_FILE, RT_FD_SOCKET, RT_FD_TCP };

/* Resumptions on another worker in a row that move a registration. */
enum { RT_FD_STRANGERS_MAX = 64 };

struct rt_poller;

struct rt_fd {
    RT_CACHELINE
    RT_ATOMIC(uint64_t) dir[RT_DIRS];
    RT_ATOMIC(uint64_t) use; /* see loop/use.h */
    /* Where it is registered, NULL: nowhere. Written under lock. */
    RT_ATOMIC(struct rt_poller *) poller;
    struct rt_lock lock;              /* registration */
    RT_ATOMIC(uint32_t) tick;         /* events so far */
    RT_ATOMIC(uint16_t) strangers;    /* wakes in a row that went to a task on another worker */
    uint16_t wanted[RT_DIRS];         /* foreign: what each waiter waits for; under lock */
    uint8_t kind;                     /* enum rt_fd_kind; fixed while owned */
    int fd;                           /* fixed */
};

/* Takes a nonblocking descriptor into ownership: it stays registered once waited for, and
 * rt_fd_close closes it. 0, -EBADF, -EINVAL (blocking), -EBUSY (owned already, or somebody waits
 * for it), -ENOMEM. */
int rt_fd_adopt(int fd);
/* The same for a number that the kernel has just given out: what the record still says is of the
 * past. 0 or -ENOMEM. */
int rt_fd_adopt_fresh(int fd, enum rt_fd_kind kind, uint32_t *ret_generation, struct rt_fifo *out);

/* Enter a call on the descriptor. 1: owned; 0: foreign; either way leave with rt_fd_leave. -EBADF:
 * being closed, or no descriptor number; -ENOMEM. */
int rt_fd_enter(int fd, struct rt_fd **ret_rec, uint32_t *ret_generation);
/* True: the caller is the last one in a record that is closing, and calls rt_fd_finish_close. */
static inline bool rt_fd_leave(struct rt_fd *rec)
{
    return rt_use_leave(&rec->use);
}
int rt_fd_finish_close(struct rt_fd *rec, struct rt_fifo *out);
/* Enter again after a wait. False: it was closed meanwhile; the caller is not inside. */
bool rt_fd_resume(struct rt_fd *rec, uint32_t generation);

/* Before the system call: true = try it, false = known to be drained, wait at once. */
bool rt_fd_try(struct rt_fd *rec, enum rt_dir dir, uint32_t *ret_seen);
/* After it took everything: remembers that, unless an event came meanwhile. False: another task
 * waits because of what this one said too late; the caller kicks. */
bool rt_fd_drained(struct rt_fd *rec, enum rt_dir dir, uint32_t seen);
/* After a read that returned less than asked for: the same where that means that nothing is left.
 */
bool rt_fd_short_read(struct rt_fd *rec, uint32_t seen);

/* Owned, inside. Leave the name of a wait. 0: an event or a close will claim it. 1: try again, the
 * name is not kept. -EBADF: closed meanwhile. -EBUSY: another task waits for this direction.
 * Otherwise -errno of the registration. */
int rt_fd_wait(struct rt_fd *rec, enum rt_dir dir, uint64_t name, struct rt_poller *poller);
/* Anywhere, after the wait, whatever ended it: forget the name if it is still there. */
static inline void rt_fd_unwait(struct rt_fd *rec, enum rt_dir dir, uint64_t name)
{
    (void)rt_token_unwait((struct rt_token){ &rec->dir[dir], &rec->tick }, name);
}

/* Anywhere. That everything was taken was said in order to wait, and need not be true: the next
 * call looks for itself. */
static inline void rt_fd_doubt(struct rt_fd *rec, enum rt_dir dir)
{
    rt_fd_unwait(rec, dir, RT_FD_DRAINED);
}

/* Foreign, inside: the same for poll events, in one or both directions. */
int rt_fd_wait_foreign(struct rt_fd *rec, uint32_t events, uint64_t name, struct rt_poller *poller);
void rt_fd_unwait_foreign(struct rt_fd *rec, uint64_t name);

/* Inside. The direction is the caller's, also while it has left no name there: no task may wait for
 * it. 0; -EBUSY: it is somebody's already; -EBADF: it is another descriptor by now. */
static inline int rt_fd_reserve(struct rt_fd *rec, enum rt_dir dir, uint32_t generation)
{
    return rt_use_reserve(&rec->use, dir, generation);
}
/* Anywhere. No more; nothing if the descriptor is another one by now. */
static inline void rt_fd_unreserve(struct rt_fd *rec, enum rt_dir dir, uint32_t generation)
{
    rt_use_unreserve(&rec->use, dir, generation);
}

/* Inside, for who has reserved the direction and is to be told as long as it is ready: leaves the
 * name, and has the kernel say so in the next poll if it is ready now (`calm`, owned: only if it
 * becomes so). 0; -EBADF, -errno of the registration, -EBUSY: a task waited before, or is about to
 * be refused; then the name is nobody's. */
int rt_fd_watch(struct rt_fd *rec, enum rt_dir dir, uint64_t name, struct rt_poller *poller,
                bool calm);

/* Inside. The woken task runs on the loop of `poller`: after many strange wakes in a row the
 * registration moves there. */
void rt_fd_settle(struct rt_fd *rec, struct rt_poller *poller);

/* An event of rt_poll. Appends claimed tasks to `out`. */
void rt_fd_fire(uint64_t data, uint32_t events, struct rt_fifo *out);
/* Inside or not: whoever waits for the direction tries again. */
void rt_fd_kick(struct rt_fd *rec, enum rt_dir dir, struct rt_fifo *out);

/* Wake every waiter with EBADF, deregister, close once the last call has left. 0 or -errno of the
 * close. */
int rt_fd_close(int fd, struct rt_fifo *out);
/* The same, if it is still the one that was adopted with this generation; else -EBADF. */
int rt_fd_close_generation(int fd, uint32_t generation, struct rt_fifo *out);

/* The loop goes away and no task runs on it: its registrations move to another. 0, or -errno of the
 * first that did not. */
int rt_fd_move_all(struct rt_poller *from, struct rt_poller *to);
/* The loop goes away: its registrations are forgotten. */
void rt_fd_forget(struct rt_poller *poller);

#endif
