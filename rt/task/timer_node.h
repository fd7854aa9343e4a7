/* SPDX-License-Identifier: MIT */
/* floor 3: task. The node of a timer, embedded in a task (one for each suspension) or in a scope.
 * The heap it hangs in belongs to a loop, see loop/timer.h. */
#ifndef RT_TASK_TIMER_NODE_H
#define RT_TASK_TIMER_NODE_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/heap.h"

struct rt_timers;

enum rt_timer_kind {
    RT_TIMER_TASK = 0, /* embedded in a task: ends its current wait */
    RT_TIMER_STEP = 1, /* embedded in a struct rt_step_timer: its step runs in its home */
};

struct rt_timer {
    struct rt_heap_node node; /* under the lock of `owner`                        */
    uint8_t             kind; /* fixed while armed                                */
    uint8_t             hop_queued; /* the task's hop item is in a queue of its group; its thread */
    uint16_t            home; /* of a task in a group: the index of its worker; fixed for life */
    struct rt_timers   *owner; /* the heap armed last; written before arming       */
};

#endif
