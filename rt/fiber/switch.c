/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. The switch as the sanitizers have to see it, and errno.
 *
 * Nothing instrumented may run between ThreadSanitizer's switch call and the swap, and no function
 * that records its own entry may leave on another fiber, so both functions here are not
 * instrumented.
 */
#include "fiber/switch.h"

#include "base/san.h"
#include "fiber/ctx.h"
#include "fiber/switch_entry.h"

RT_NOINLINE RT_NO_SANITIZE void rt_stack_switch(struct rt_stack *from, struct rt_stack *to)
{
    int saved = rt_ctx_errno_load();

    rt_san_before_switch(&from->san, &to->san, false);
    rt_ctx_swap(&from->sp, to->sp);
    rt_san_after_switch(&from->san);
    rt_ctx_errno_store(saved);
}

RT_NOINLINE RT_NO_SANITIZE void rt_stack_first_entry(struct rt_stack *s)
{
    rt_san_after_switch(NULL);
    rt_ctx_errno_store(0);
    s->entry();
    __builtin_trap(); /* a loop has nobody to return to */
}
