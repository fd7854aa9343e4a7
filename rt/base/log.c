/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "base/sys.h"

#include <stdio.h>

void rt_vlog(const char *tag, const char *fmt, va_list ap)
{
    char line[RT_LOG_LINE_MAX];
    int head = snprintf(line, sizeof(line), "skua: %s", tag);
    size_t used = head < 0 ? 0 : (size_t)head;
    int body;

    if (used > sizeof(line) - 2)
        used = sizeof(line) - 2;
    body = vsnprintf(line + used, sizeof(line) - 1 - used, fmt, ap);
    if (body > 0)
        used += (size_t)body;
    if (used > sizeof(line) - 2)
        used = sizeof(line) - 2;
    line[used++] = '\n';
    rt_sys_stderr(line, used);
}

void rt_log(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    rt_vlog("", fmt, ap);
    va_end(ap);
}

void rt_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    rt_vlog("warning: ", fmt, ap);
    va_end(ap);
}
