/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Which thread lanes a runtime has, and how many threads each may have. */
#ifndef RT_SCHED_LANE_PLAN_H
#define RT_SCHED_LANE_PLAN_H

#include <stdint.h>

enum {
    RT_LANES_MAX = 16,
    RT_LANE_NAME = 24,          /* bytes, with the 0 */
    RT_LANE_THREADS_MAX = 4096,
};

struct rt_lane_plan {
    unsigned n;
    uint64_t idle_ns; /* a thread that found nothing to do for so long ends */
    struct {
        char name[RT_LANE_NAME];
        int  threads; /* 0: as many as rt_lane_plan_threads says */
    } lane[RT_LANES_MAX]; /* the first is "default" */
};

/* The lanes that every runtime has, what the environment says of them, then what the program says:
 * `threads` of the default lane (0: nothing), and `text` as rt_lane_plan_add, valid or NULL. */
void rt_lane_plan_init(struct rt_lane_plan *plan, int threads, const char *text);

/* The bound of the ith lane. Looks at the machine where nobody said a number. */
int rt_lane_plan_threads(const struct rt_lane_plan *plan, unsigned i);

/* "dns=2, thumbs=4": bounds of lanes that are there, and new lanes. 0, or -EINVAL and nothing
 * changed. */
int rt_lane_plan_add(struct rt_lane_plan *plan, const char *text);

/* Would it be valid for a runtime? NULL is. 0 or -EINVAL. */
int rt_lane_plan_check(const char *text);

/* The index of a lane, NULL being the default one, or -EINVAL. */
int rt_lane_plan_find(const struct rt_lane_plan *plan, const char *name);

#endif
