/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Where the memory of stacks comes from: chunks of addresses, one class each. */
#ifndef RT_FIBER_ARENA_H
#define RT_FIBER_ARENA_H

#include "fiber/stack.h"

/* Tops are shifted by 0 .. 36 cache lines: a prime number of them, and few enough that the
 * descriptor and the frames of a task that sleeps lie in one page with any shift. */
#define RT_ARENA_COLOURS 37u
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

/* A new guarded stack of the class: bounds, class and chunk are filled in, the rest is zero. NULL
 * with -ENOMEM or -EAGAIN in *ret_err. Any thread. */
struct rt_stack *rt_arena_carve(unsigned size_class, int *ret_err);

/* Gives back all the memory of idle stacks, linked by next, that nobody will ever switch to or look
 * at again; rt_arena_carve() makes them anew before it takes new addresses. Their guards stay. Any
 * thread, one at a time. Not for builds with sanitizers, which know the frames of each stack. */
void rt_arena_strip(struct rt_stack *list);

/* The stack whose guard covers addr, or NULL. Any thread, also in a signal handler. */
const struct rt_stack *rt_arena_stack_of_guard(const void *addr);

/* Stacks carved in this process, and those of them that are stripped. */
uint64_t rt_arena_carved(void);
uint64_t rt_arena_stripped(void);

#endif
