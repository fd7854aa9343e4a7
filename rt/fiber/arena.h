/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Where the memory of stacks comes from: chunks of addresses, one class each. */
#ifndef RT_FIBER_ARENA_H
#define RT_FIBER_ARENA_H

#include "fiber/stack.h"

#define RT_ARENA_COLOURS 61u /* tops are shifted by 0 .. 60 cache lines */
#define RT_ARENA_DESCRIPTOR_BYTES                                                                  \
    ((sizeof(struct rt_stack) + RT_CACHE_LINE - 1) & ~(size_t)(RT_CACHE_LINE - 1))

static inline size_t rt_arena_class_bytes(unsigned size_class)
{
    static const size_t bytes[RT_STACK_CLASSES] = {
        (size_t)64 << 10,
        (size_t)256 << 10,
        (size_t)1 << 20,
        (size_t)8 << 20,
    };

    return bytes[size_class];
}

/* A new guarded stack of the class: bounds, class and serial are filled in, the rest is zero. NULL
 * with -ENOMEM or -EAGAIN in *ret_err. Any thread. */
struct rt_stack *rt_arena_carve(unsigned size_class, int *ret_err);

/* The stack whose guard covers addr, or NULL. Any thread, also in a signal handler. */
const struct rt_stack *rt_arena_stack_of_guard(const void *addr);

/* Stacks carved in this process. */
uint64_t rt_arena_carved(void);

#endif
