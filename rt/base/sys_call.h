/* SPDX-License-Identifier: MIT */
/* floor 0: base. How a system call is made, for the files that make them: sys.c, sys_net.c. Their
 * functions are never inlined: the compiler takes the address of errno for a constant of the
 * function it is in. */
#ifndef RT_BASE_SYS_CALL_H
#define RT_BASE_SYS_CALL_H

#include "base/sys.h"

#include <errno.h>

/* What errno says, negative, right behind the call that failed. */
int rt_sys_failure(void);

#ifdef RT_TESTING
/* 0, or the error that this use of the call meets in place of the system call. */
int rt_sys_fault(enum rt_sys_call call);
/* How many bytes it may move. */
size_t rt_sys_capped(size_t n);
#else
#define rt_sys_fault(call) 0
#define rt_sys_capped(n)   (n)
#endif

/* The value of expr, or -errno; or the injected error without evaluating expr. */
#define ONCE(call, expr) \
    ({ \
        int64_t once_r = rt_sys_fault(call); \
        if (once_r == 0) { \
            int once_errno = errno; /* the task's own: our failures are not its business */ \
            once_r = (expr); \
            if (once_r < 0) { \
                once_r = rt_sys_failure(); \
                errno = once_errno; \
            } \
        } \
        once_r; \
    })

#define RETRY(call, expr) \
    ({ \
        int64_t retry_r; \
        do { \
            retry_r = ONCE(call, expr); \
        } while (retry_r == -EINTR); \
        retry_r; \
    })

#endif
