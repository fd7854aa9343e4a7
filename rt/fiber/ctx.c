/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Prepares stacks for the first switch and finds errno. */
#include "fiber/ctx.h"

#include <errno.h>
#include <stdint.h>

/* All exceptions masked, round to nearest: what the ABI lets a program start with. */
#define MXCSR_DEFAULT  0x1f80u
#define X87_CW_DEFAULT 0x037fu

/* What rt_ctx_start finds on a prepared stack; layout shared with the assembly. */
struct start_frame {
    void (*resume)(void);
    uint32_t mxcsr;
    uint16_t x87_cw;
    uint16_t unused;
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
    f->mxcsr = MXCSR_DEFAULT;
    f->x87_cw = X87_CW_DEFAULT;
    f->unused = 0;
    f->entry = entry;
    f->top = top;
    return f;
}

/* Before main(), so that the accessors need no check. */
__attribute__((constructor)) static void find_errno(void)
{
    const char *thread_base;

    /* The ABI keeps the base's own address at the base. */
    __asm__ volatile("movq %%fs:0, %0" : "=r"(thread_base));
    rt_ctx_errno_offset = (ptrdiff_t)((uintptr_t)&errno - (uintptr_t)thread_base);
}
