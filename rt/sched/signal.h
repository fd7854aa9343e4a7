/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Signals: a handler sets a bit and rings the watch, which tells who asked. */
#ifndef RT_SCHED_SIGNAL_H
#define RT_SCHED_SIGNAL_H

#include "sched/sigseat.h"
#include "sched/worker.h"

/* a wait is claimed with RT_SIGNAL_VALUE + signo */
enum { RT_SIGNALS = 64, RT_SIGNAL_VALUE = 4096 };

/* Somebody who wants to know of signals: a callback (step.run set) or a wait (name set). */
struct rt_signal_sub {
    struct rt_signal_sub *next;
    uint64_t              mask;    /* bit signo - 1 */
    uint64_t              name;    /* of a wait; 0 = a callback */
    struct rt_step        step;    /* posted to its home when a signal of the mask comes */
    /* told only where nobody else asked; the next signal has its default action */
    bool                  is_fallback;
    RT_ATOMIC(uint32_t)   queued;  /* the step is on its way */
};

/* Any thread: the signals of the mask are caught from now on. 0, -EINVAL (SIGKILL, SIGSTOP,
 * faults), -errno. */
int rt_signal_subscribe(struct rt_runtime *rt, struct rt_signal_sub *sub);
/* Any thread. Afterwards nobody touches `sub`, but its step may still be queued. The last
 * subscriber of a signal gives back the disposition that was there before. */
void rt_signal_unsubscribe(struct rt_runtime *rt, struct rt_signal_sub *sub);
/* A signal of the mask that came while nobody waited: its number, taken; 0 = none. */
int rt_signal_take_pending(struct rt_runtime *rt, uint64_t mask);
/* Any thread: a signal that a wait was given and does not use goes to the next wait. */
void rt_signal_give_back(struct rt_runtime *rt, int signo);

/* The watch: hand out what came. */
void rt_signals_carry(struct rt_runtime *rt);
/* Forget everything of a runtime that ends. Afterwards no handler rings its watch. */
void rt_signals_end(struct rt_runtime *rt);

#endif
