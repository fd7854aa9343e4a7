/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Virtual time: the clock jumps when nothing else can happen. */
#ifndef RT_SCHED_VIRTUAL_H
#define RT_SCHED_VIRTUAL_H

#include <stdbool.h>

struct rt_worker;

enum rt_virtual {
    RT_VIRTUAL_SLEEP, /* block: somebody else goes on, or only the outside can                */
    RT_VIRTUAL_GO,    /* something to do for this worker, which is announced as awake already */
};

/* Called by a worker that has announced its sleep and found nothing to do. */
enum rt_virtual rt_virtual_idle(struct rt_worker *w);
/* A worker that had announced its sleep is up, and has said so; before it takes anything in
 * hand. */
void rt_virtual_rise(struct rt_worker *w);

#endif
