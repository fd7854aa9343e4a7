/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The watch: one thread that sees to it that no worker forgets the world, and
 * carries signals.
 *
 * While anybody works it ticks every 4 ms: it raises poll_due for workers that have not looked
 * around by themselves (so that they need not read the clock), sends a searcher when tasks wait
 * behind a worker that does not come to them, and reports, once for each, tasks that hold a worker
 * for too long. While all workers sleep it sleeps as well, on its eventfd.
 */
#ifndef RT_SCHED_WATCH_H
#define RT_SCHED_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/sys.h"
#include "sched/gate.h"

enum { RT_WATCH_TICK_MS = 4 };

struct rt_runtime;

struct rt_watch {
    struct rt_thread    thread;
    int                 event_fd;
    int                 is_running;
    RT_ATOMIC(uint64_t) stall_ns;  /* report a task that runs longer; RT_NEVER = never */
    struct rt_gate      gate;
    RT_ATOMIC(uint32_t) stop;
    unsigned            threads;   /* worker threads, spares included; the watch's own */
    RT_ATOMIC(uint32_t) asked;     /* the pool wants to be ticked; see rt_watch_ask */
    RT_ATOMIC(uint64_t) signals;   /* bits of signals that came; set by the handler */
};

/* 0 or -errno. */
int  rt_watch_start(struct rt_runtime *rt);
/* Ends the thread; its descriptor stays, which signal handlers and workers may still ring. */
void rt_watch_halt(struct rt_runtime *rt);
void rt_watch_stop(struct rt_runtime *rt);

/* Any thread: calls rt->pool_tick soon, and every 2 ms from then on until it answers false. */
void rt_watch_ask(struct rt_runtime *rt);

/* The watch: from now on nobody runs, whoever wakes waits for the gate to open. False: somebody is
 * up, and the gate is open. */
bool rt_watch_shut_gate(struct rt_runtime *rt);
void rt_watch_open_gate(struct rt_runtime *rt);

void rt_watch_note_park(struct rt_runtime *rt);
void rt_watch_note_unpark(struct rt_runtime *rt);

#endif
