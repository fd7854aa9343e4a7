/* SPDX-License-Identifier: MIT */
#ifndef SKUA_BENCH_MEASURE_H
#define SKUA_BENCH_MEASURE_H
/* Child processes with a deadline, and memory shared with them. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Zeroed memory that a later child shares; NULL: none. Freed by child_share_free. */
void *child_share(size_t n);
void child_share_free(void *p, size_t n);

/* In a fresh child: it dies with its parent and does not see the terminal's Ctrl-C. */
void child_settle(void);

/* Waits until it ended, kills it when the time is up. Returns its exit status, -1 when it did not
 * exit by itself. */
int child_status(pid_t pid, double seconds, struct rusage *ret_usage);

/* The same. True: it exited with status 0. */
bool child_wait(pid_t pid, double seconds, struct rusage *ret_usage);
#endif
