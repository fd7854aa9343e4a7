/* SPDX-License-Identifier: MIT */
/* floor 1: runq. A step: a callback object that takes its turn in a queue like a task does. */
#ifndef RT_RUNQ_STEP_H
#define RT_RUNQ_STEP_H

#include "runq/link.h"

struct skua_group;

struct rt_step {
    struct rt_link     link;
    /* on a loop stack, not in a task: must not suspend */
    void             (*run)(struct rt_step *self);
    void             (*drop)(struct rt_step *self); /* its loop ends before its turn; may be NULL */
    struct skua_group *home;                        /* where it runs */
};

#endif
