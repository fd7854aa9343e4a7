/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Changing stacks, sanitizers and errno included. */
#ifndef RT_FIBER_SWITCH_H
#define RT_FIBER_SWITCH_H

#include "fiber/stack.h"

/* Leaves from, on which the caller runs, and continues to. Returns when somebody switches back to
 * from, perhaps on another thread: nothing read from thread-local state before the call is valid
 * after it. from is saved completely before to runs its first instruction. */
void rt_stack_switch(struct rt_stack *from, struct rt_stack *to);

#endif
