/* SPDX-License-Identifier: MIT */
/* floor 0: base. What the files of the door to the kernel share: sys.c, sys_net.c, sys_file.c,
 * sys_child.c. Nobody else includes this; what there is to call is in sys.h. */
#ifndef RT_BASE_SYS_DOOR_H
#define RT_BASE_SYS_DOOR_H

#include "base/sys.h"

#include <errno.h>

/* The error of the system call just before. Never inlined, like all functions of the door: the
 * compiler takes the address of errno for a constant of the function it is in. */
int rt_sys_failure(void);

#ifdef RT_TESTING
/* 0, or the error that is injected in place of this use. */
int rt_sys_fault(enum rt_sys_call call);
/* At most what tests allow to be moved at a time. */
size_t rt_sys_capped(size_t n);
#else
#define rt_sys_fault(call) 0
#define rt_sys_capped(n)   (n)
#endif

/* The value of expr, or -errno; or the injected error without evaluating expr. */
#define RT_SYS_ONCE(call, expr) \
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

#define RT_SYS_RETRY(call, expr) \
    ({ \
        int64_t retry_r; \
        do { \
            retry_r = RT_SYS_ONCE(call, expr); \
        } while (retry_r == -EINTR); \
        retry_r; \
    })

#endif
