/* SPDX-License-Identifier: MIT */
/* floor 5: sched. What the watch remembers of a worker between two looks: since when its count of
 * steps stands still, and who was reported for that. */
#ifndef RT_SCHED_SEEN_H
#define RT_SCHED_SEEN_H

#include <stdint.h>

#include "sched/stall.h"

struct rt_seen {
    uint64_t steps;
    uint64_t since;               /* when the step count stood still first */
    unsigned asked;               /* times that its thread was asked who it is */
    char     name[RT_STALL_NAME]; /* who was reported; "": nobody since then */
};

/* The worker does something else by now. */
static inline void rt_seen_anew(struct rt_seen *seen, uint64_t steps, uint64_t now)
{
    seen->steps = steps;
    seen->since = now;
    seen->asked = 0;
    seen->name[0] = '\0';
}

/* Before the first look. Who makes no step until then stands still since now: the clock may have
 * begun days ago. */
static inline void rt_seen_begin(struct rt_seen *seen, unsigned n, uint64_t now)
{
    for (unsigned i = 0; i < n; i++)
        rt_seen_anew(&seen[i], 0, now);
}

/* How long it has stood still. */
static inline uint64_t rt_seen_still(const struct rt_seen *seen, uint64_t now)
{
    return now - seen->since;
}

#endif
