/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Prepares stacks for the first switch and finds errno. */
#include "fiber/ctx.h"

#include <errno.h>
#include <stdint.h>

/* What the ABI lets a program start with: round to nearest, no exception traps. On x86-64 MXCSR
 * and, above it, the x87 control word. */
#if defined(__x86_64__)
#define FP_CONTROL_DEFAULT (0x1f80u | (uint64_t)0x037fu << 32)
#else
#define FP_CONTROL_DEFAULT 0u
#endif

/* What rt_ctx_start finds on a prepared stack; layout shared with the assembly. */
struct start_frame {
    void (*resume)(void);
    uint64_t fp_control;
    void (*entry)(void);
    void *top;
};

_Static_assert(sizeof(struct start_frame) == 32, "the assembly knows the layout");

void rt_ctx_start(void);

ptrdiff_t rt_ctx_errno_offset;

void *rt_ctx_make(void *top, void (*entry)(void))
{
    char *end = (char *)top - ((uintptr_t)top & 15);
    struct start_frame *f = (struct start_frame *)(void *)(end - sizeof(*f));

    f->resume = rt_ctx_start;
    f->fp_control = FP_CONTROL_DEFAULT;
    f->entry = entry;
    f->top = top;
    return f;
}

/* Before main(), so that the accessors need no check. */
__attribute__((constructor)) static void find_errno(void)
{
    const char *thread_base;

#if defined(__x86_64__)
    /* The ABI keeps the base's own address at the base. */
    __asm__ volatile("movq %%fs:0, %0" : "=r"(thread_base));
#else
    __asm__ volatile("mrs %0, tpidr_el0" : "=r"(thread_base));
#endif
    rt_ctx_errno_offset = (ptrdiff_t)((uintptr_t)&errno - (uintptr_t)thread_base);
}
