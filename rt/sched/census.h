/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Who is alive, by place of spawn; and what is said when stacks run out. */
#ifndef RT_SCHED_CENSUS_H
#define RT_SCHED_CENSUS_H

#include "sched/runtime.h"

/* Counts the tasks of the runtime that have not ended into at most n rows (n > 0), most tasks
 * first; returns how many rows were needed. What fits no row is added up in the last one. Any
 * thread that keeps the runtime alive; others go on meanwhile. */
size_t rt_census(struct rt_runtime *rt, struct skua_census_row *ret_rows, size_t n);

/* There is no stack for one more task, for the reason given. Says so, once for each runtime, with
 * the places that most tasks come from. Returns -ENOMEM. */
int rt_stack_shortage(struct rt_runtime *rt, int err) RT_COLD;

#endif
