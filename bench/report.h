/* SPDX-License-Identifier: MIT */
#ifndef SKUA_BENCH_REPORT_H
#define SKUA_BENCH_REPORT_H
/* Samples gathered into figures; figures as a table, as JSON lines and as an SVG. */
#include "bench.h"

#include <stdio.h>

enum { PAIRS_MAX = 99, RESULTS_MAX = 256, SIDES = 2 };

/* All samples of one figure with one number of workers. */
struct series {
    int workers;
    int n;
    double value[PAIRS_MAX];
    double cpu_ns[PAIRS_MAX];
    double cores[PAIRS_MAX];
    double rss_mb;
    double steal_s;
    double other_s;
    double total_s;
    int worker_count; /* of the last sample */
    struct bench_worker worker[WORKERS_SHOWN_MAX];
};

struct result {
    const struct bench_row *row;
    const struct bench_figure *figure;
    const struct bench_peer *peer; /* NULL: skua */
    const struct result *skua;     /* of a peer: the same figure of skua */
    struct series side[SIDES];     /* 1 worker, N workers */
    int side_count;
    int ratio_count;
    double ratio[PAIRS_MAX]; /* speed-up of each pair: above 1, N workers are faster */
};

/* Adds what a pair of samples (one for each side) says about a figure. */
void report_add(struct result *r, int figure, const struct bench_sample *s);

void report_table(FILE *out, const struct bench_config *config, const struct result *results,
                  int count);
void report_json(FILE *out, const struct bench_config *config, const struct result *results,
                 int count);
void report_svg(FILE *out, const struct bench_config *config, const struct result *results,
                int count);
#endif
