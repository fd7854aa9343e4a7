/* SPDX-License-Identifier: MIT */
/* floor 0: base. One line "skua: ..." to stderr by one write; longer lines are cut. */
#ifndef RT_BASE_LOG_H
#define RT_BASE_LOG_H

#include "base/compiler.h"

#include <stdarg.h>

#define RT_LOG_LINE_MAX 512

void rt_log(const char *fmt, ...) RT_PRINTF(1, 2);
/* "skua: warning: ..." */
void rt_warn(const char *fmt, ...) RT_PRINTF(1, 2) RT_COLD;
/* tag may be "". */
void rt_vlog(const char *tag, const char *fmt, va_list ap) RT_PRINTF(2, 0);

#endif
