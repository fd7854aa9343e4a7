/* SPDX-License-Identifier: MIT */
/* floor 4: loop. The timers of one loop: a heap under a lock of its own.
 *
 * Arming happens on the loop's own thread; disarming from anywhere, eagerly, by index. Expiry pops
 * under the lock; whoever disarms after that finds the node in no heap, and knows that expiry is
 * through with it once it holds the lock.
 */
#ifndef RT_LOOP_TIMER_H
#define RT_LOOP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/lock.h"
#include "runq/step.h"
#include "task/task.h"

/* The time of one runtime. Virtual time stands still until the runtime moves it. */
struct rt_time {
    bool                is_virtual;
    RT_ATOMIC(uint64_t) virtual_now; /* moved by the last worker to park */
};

static inline uint64_t rt_time_now(struct rt_time *time)
{
    if (time->is_virtual)
        return rt_load_acquire(&time->virtual_now); /* pairs: VTIME <- rt_time_move */
    return rt_clock_now();
}

static inline void rt_time_move(struct rt_time *time, uint64_t now)
{
    rt_store_release(&time->virtual_now, now); /* pairs: VTIME -> rt_time_now */
}

struct rt_timers {
    struct rt_lock      lock;
    struct rt_heap      heap; /* under lock */
    /* deadline of the top or RT_NEVER; written under lock, read anywhere */
    RT_ATOMIC(uint64_t) next;
    uint64_t            seen; /* the time last read on this loop's thread; its thread only */
    struct rt_time     *time;
};

/* A step that a timer sets off: timeout scopes and delayed callbacks. */
struct rt_step_timer {
    struct rt_step  step;
    struct rt_timer timer;
    /* Not NULL: called in place of queueing the step, under the heap's lock, where there is no
     * home. */
    void (*expire)(struct rt_step_timer *self);
};

void rt_timers_init(struct rt_timers *ts, struct rt_time *time);
void rt_timers_fini(struct rt_timers *ts);

/* The loop's thread. 0 or -ENOMEM. `timer` is in no heap. */
int rt_timer_arm(struct rt_timers *ts, struct rt_timer *timer, enum rt_timer_kind kind,
                 uint64_t deadline);
/* Any thread. True: it had not expired. Afterwards expiry does not touch what the node is part
 * of. */
bool rt_timer_disarm(struct rt_timer *timer);

/* Reads the clock of the loop and remembers it. */
uint64_t rt_timers_read_clock(struct rt_timers *ts);
/* Pops every timer that is due at `now`, by deadline, equal ones in the order they were armed.
 * Claims the waits of free tasks; what has to take its turn in a group is appended to `out`. */
void rt_timers_expire(struct rt_timers *ts, uint64_t now, struct rt_fifo *out);

/* Any thread, in place of a loop whose thread is held: the same for what may run elsewhere, waits
 * and scopes of free tasks; what belongs to the loop's own groups stays. Returns when to come
 * again, or RT_NEVER. */
uint64_t rt_timers_serve(struct rt_timers *ts, uint64_t now, struct rt_fifo *out);

/* Any thread; only a hint away from the loop's own thread. */
static inline uint64_t rt_timers_next(struct rt_timers *ts)
{
    return rt_load_relaxed(&ts->next); /* relaxed: see above */
}

#endif
