/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. What stack.c lets every fresh stack begin with. */
#ifndef RT_FIBER_SWITCH_ENTRY_H
#define RT_FIBER_SWITCH_ENTRY_H

#include "fiber/stack.h"

/* First C function on an arena stack: finishes the switch for sanitizers, then runs s->entry(). */
void rt_stack_first_entry(struct rt_stack *s);

#endif
