/* SPDX-License-Identifier: MIT */
#ifndef PROCESS_H
#define PROCESS_H
/* What a process holds: for tests that ask whether something was left behind. */
#include <stdint.h>

int t_fds(void);
int t_threads(void);
long t_resident_kib(void);

struct t_holdings {
    int fds, threads;
    int64_t allocations; /* of the runtime that were not freed */
};
struct t_holdings t_holdings(void);

/* Asserts that the process holds what it held then. */
void t_holds_the_same(struct t_holdings before);

#endif
