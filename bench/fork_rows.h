/* SPDX-License-Identifier: MIT */
#ifndef SKUA_BENCH_FORK_ROWS_H
#define SKUA_BENCH_FORK_ROWS_H
/* The bodies of the fork-join rows. */
#include "bench.h"

void bench_fib(const struct bench_config *config, struct bench_sample *s);
void bench_fib_serial(const struct bench_config *config, struct bench_sample *s);
void bench_mergesort(const struct bench_config *config, struct bench_sample *s);

#endif
