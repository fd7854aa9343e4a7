/* SPDX-License-Identifier: MIT */
/* floor 0: base. Names of errors for messages. */
#ifndef RT_BASE_ERR_H
#define RT_BASE_ERR_H

#include <string.h>

/* "EAGAIN" for -EAGAIN (or EAGAIN); "?" for what has no name. */
static inline const char *rt_err_name(int err)
{
    const char *name = strerrorname_np(err < 0 ? -err : err);

    return name != NULL ? name : "?";
}

#endif
