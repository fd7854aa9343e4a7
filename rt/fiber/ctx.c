/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Prepares stacks for the first switch and keeps errno per task. */
#include "fiber/ctx.h"

#include <errno.h>
#include <stdint.h>

#define MXCSR_DEFAULT  0x1f80u /* all exceptions masked, round to nearest: the ABI's state at program start */
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

RT_NOINLINE int rt_ctx_errno_load(void)
{
    RT_COMPILER_BARRIER();
    return errno;
}

RT_NOINLINE void rt_ctx_errno_store(int value)
{
    RT_COMPILER_BARRIER();
    errno = value;
}
