/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Who is inside its poll, and how the watch sees to it that all of them stay there.
 *
 *   Whoever wakes                               The watch
 *    say that it is up         (seq_cst RMW)     shut the gate                (seq_cst RMW)
 *    the gate is shut: wait for it to open       somebody is up: open it, and look another time
 *    the watch sleeps: ring it
 *
 *                                               Before it sleeps itself
 *                                                say that it sleeps           (seq_cst RMW)
 *                                                somebody is up, or was since the look began:
 *                                                  for a tick only
 *
 * Each time both write one word and then read the other's, so one of them sees the other. A gate
 * that is shut again before somebody who waited has gone on finds him counted as up.
 */
#ifndef RT_SCHED_GATE_H
#define RT_SCHED_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/sys.h"

/* In `parked`: one that went in, in both halves. */
#define RT_GATE_ROUND ((UINT64_C(1) << 32) + 1)

struct rt_gate {
    RT_ATOMIC(uint64_t) parked; /* threads inside their poll; above, how often one went in */
    RT_ATOMIC(uint32_t) shut;   /* 1: whoever wakes waits until the watch has looked */
    RT_ATOMIC(uint32_t) asleep; /* 1: the watch is; ring it when work begins */
};

/* About to poll. Releases what the watch may look at. */
static inline void rt_gate_park(struct rt_gate *g)
{
    (void)rt_add_sc(&g->parked, RT_GATE_ROUND); /* pairs: WATCH -> rt_gate_parked */
}

/* Up again; returns when the gate is open. True: ring the watch. */
static inline bool rt_gate_unpark(struct rt_gate *g)
{
    (void)rt_sub_sc(&g->parked, 1);           /* pairs: WATCH -> rt_gate_parked */
    while (RT_UNLIKELY(rt_load_sc(&g->shut))) /* pairs: GATE <- rt_gate_shut */
        (void)rt_sys_futex_wait(&g->shut, 1, -1);
    return RT_UNLIKELY(rt_load_sc(&g->asleep)) && rt_xchg_sc(&g->asleep, 0);
}

/* The watch: how many are inside, and how often one went in. */
static inline uint64_t rt_gate_parked(struct rt_gate *g)
{
    return rt_load_sc(&g->parked); /* pairs: WATCH <- rt_gate_unpark */
}

static inline unsigned rt_gate_inside(struct rt_gate *g)
{
    return (uint32_t)rt_gate_parked(g);
}

/* The watch, before it looks: what rt_gate_doze asks for. */
static inline uint32_t rt_gate_rounds(struct rt_gate *g)
{
    return (uint32_t)(rt_gate_parked(g) >> 32);
}

static inline void rt_gate_open(struct rt_gate *g)
{
    (void)rt_xchg_sc(&g->shut, 0); /* pairs: GATE -> rt_gate_unpark */
    (void)rt_sys_futex_wake(&g->shut, INT32_MAX);
}

/* The watch: from now on nobody runs. False: somebody is up, and the gate is open. */
static inline bool rt_gate_shut(struct rt_gate *g, unsigned threads)
{
    (void)rt_xchg_sc(&g->shut, 1); /* pairs: GATE -> rt_gate_unpark */
    if (rt_gate_inside(g) == threads)
        return true;
    rt_gate_open(g);
    return false;
}

/* The watch is about to sleep. False: only for a tick; somebody is up or about to sleep, or was up
 * after `rounds` and has not been looked at since. */
static inline bool rt_gate_doze(struct rt_gate *g, unsigned threads, uint32_t rounds)
{
    (void)rt_xchg_sc(&g->asleep, 1); /* pairs: WATCH -> rt_gate_unpark */
    return rt_gate_parked(g) == ((uint64_t)rounds << 32 | threads);
}

/* It is up again. */
static inline void rt_gate_undoze(struct rt_gate *g)
{
    (void)rt_xchg_sc(&g->asleep, 0);
}

#endif
