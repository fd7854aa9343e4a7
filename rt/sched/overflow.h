/* SPDX-License-Identifier: MIT */
/* floor 5: sched. A task that overflows its stack dies with its name in the message. */
#ifndef RT_SCHED_OVERFLOW_H
#define RT_SCHED_OVERFLOW_H

void rt_overflow_reports_begin(void);

#endif
