/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. The context switch itself: callee-saved registers, FP control bits, errno.
 *
 * rt_ctx_swap() pushes everything that the ABI makes the callee keep onto the stack being left,
 * stores that stack pointer, loads the other one and jumps to where it was saved. Who switches
 * stacks of the runtime calls rt_stack_switch() (switch.h), which also tells the sanitizers and
 * keeps errno.
 */
#ifndef RT_FIBER_CTX_H
#define RT_FIBER_CTX_H

#include "base/compiler.h"

#include <stddef.h>

/* Saves the caller's context on its stack, its stack pointer in *ret_save_sp, and continues at
 * to_sp, which an earlier rt_ctx_swap() stored or rt_ctx_make() prepared. Returns when somebody
 * swaps to the saved pointer, perhaps on another thread. Never fails. */
void rt_ctx_swap(void **ret_save_sp, void *to_sp);

/* Prepares a fresh stack that ends below top (aligned down to 16): the first swap to the returned
 * pointer enters entry() with an ABI-aligned stack, a zero frame pointer, the FP control bits that
 * a program starts with and no caller that an unwinder could look for. entry() finds top as its
 * first argument, should it declare one, and must not return. */
void *rt_ctx_make(void *top, void (*entry)(void));

/* From a thread's thread pointer to its errno: the C library's static thread-local block has one
 * layout in all threads. Set before main() and constant from then on. */
extern ptrdiff_t rt_ctx_errno_offset;

/* errno belongs to the task and not to the thread. Volatile assembly on the thread pointer, so
 * that the compiler cannot keep the address of one thread's errno across a switch that ends on
 * another thread, which it does with the address that the C library's own accessor returns. */
#if defined(__x86_64__)
static inline int rt_ctx_errno_load(void)
{
    int value;

    __asm__ volatile("movl %%fs:(%1), %0" : "=r"(value) : "r"(rt_ctx_errno_offset) : "memory");
    return value;
}

static inline void rt_ctx_errno_store(int value)
{
    __asm__ volatile("movl %0, %%fs:(%1)" : : "r"(value), "r"(rt_ctx_errno_offset) : "memory");
}
#elif defined(__aarch64__)
static inline int rt_ctx_errno_load(void)
{
    int value;
    char *at;

    __asm__ volatile("mrs %1, tpidr_el0\n\tldr %w0, [%1, %2]"
                     : "=r"(value), "=&r"(at)
                     : "r"(rt_ctx_errno_offset)
                     : "memory");
    return value;
}

static inline void rt_ctx_errno_store(int value)
{
    char *at;

    __asm__ volatile("mrs %0, tpidr_el0\n\tstr %w1, [%0, %2]"
                     : "=&r"(at)
                     : "r"(value), "r"(rt_ctx_errno_offset)
                     : "memory");
}
#else
#error "the context switch is written for x86-64 and aarch64"
#endif

#endif
