/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include "base/atomic.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdlib.h>

void (*rt_panic_hook)(void);

_Noreturn void rt_panic(const char *fmt, ...)
{
    static RT_ATOMIC(int) is_panicking;
    va_list ap;

    va_start(ap, fmt);
    rt_vlog("", fmt, ap);
    va_end(ap);
    /* Once: the hook itself may fail a check. */
    if (rt_xchg_acq_rel(&is_panicking, 1) == 0 && rt_panic_hook != NULL)
        rt_panic_hook();
    abort();
}

_Noreturn void rt_check_failed(const char *expr, const char *file, int line)
{
    rt_panic("check failed: %s (%s:%d)", expr, file, line);
}
