/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Who holds a worker: name, place and backtrace, from the thread itself. */
#ifndef RT_SCHED_STALL_H
#define RT_SCHED_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct rt_runtime;
struct rt_worker;

/* Before the first report, where malloc and loading libraries do no harm. */
void rt_stall_begin(void);
/* The watch: says who has held the worker for so long, where it is now, and who waits for it.
 * ret_name: who it is; left empty when its thread has not answered and it is not the last try. */
enum { RT_STALL_NAME = 64 };
void rt_stall_report(struct rt_runtime *rt, struct rt_worker *w, uint64_t held_ns, bool is_last,
                     char ret_name[RT_STALL_NAME]);
/* The watch: it is over. */
void rt_stall_report_end(struct rt_worker *w, uint64_t held_ns, const char *name);
/* The watch: every worker and every spare is held. */
void rt_stall_report_all(struct rt_runtime *rt, unsigned held);

#endif
