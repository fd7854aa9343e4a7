/* SPDX-License-Identifier: MIT */
/* floor 0: base. How many CPUs this process may really use. */
#ifndef RT_BASE_CPU_H
#define RT_BASE_CPU_H

/* The smaller of the affinity of the calling thread and rt_cpu_quota; >= 1. root: prefix of /proc
 * and /sys ("" for the real ones). */
int rt_cpu_count(const char *root);

/* The tightest cgroup CPU quota over our group and all its ancestors, v1 and v2, in whole CPUs
 * rounded up; 0 when none is set. */
int rt_cpu_quota(const char *root);

/* Threads of this process, or -errno where there is no /proc. */
int rt_thread_count(void);

#endif
