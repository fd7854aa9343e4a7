/* SPDX-License-Identifier: MIT */
#ifndef SKUA_BENCH_H
#define SKUA_BENCH_H
/* What the parts of skua-bench share: configuration, the rows, and one measurement of one row. */
#include <skua.h>
#include <stddef.h>

enum { FIGURES_MAX = 2, WORKERS_SHOWN_MAX = 64, PATTERNS_MAX = 32 };

struct bench_config {
    const char *pattern[PATTERNS_MAX];
    int pattern_count;
    int pairs;
    int workers;    /* the N of "1 and N" */
    double seconds; /* one measurement */
    const char *json;
    const char *svg;
    bool wrk;
    bool quiet;
    bool list;
};

/* One number out of one measurement. */
struct bench_value {
    double value;  /* in the unit of the figure */
    double cpu_ns; /* CPU time per operation, all threads of the measured process */
    double cores;  /* CPU time / wall time */
};

struct bench_worker {
    uint64_t tasks, steals, polls, connections;
};

/* One measurement: filled in by a child process in memory shared with the parent. */
struct bench_sample {
    bool is_good;
    struct bench_value value[FIGURES_MAX];
    double rss_mb;  /* peak of the measured process */
    double steal_s; /* of the host, in the window, all CPUs */
    double other_s; /* of other programs */
    double total_s;
    int worker_count;
    struct bench_worker worker[WORKERS_SHOWN_MAX];
    char error[160];
};

struct bench_figure {
    const char *name; /* NULL: the row has fewer */
    const char *about;
};

struct bench_row {
    struct bench_figure figure[FIGURES_MAX];
    const char *unit;
    bool is_higher_better;
    bool is_http; /* drives the example server, in a process of its own */
    bool is_free_main;
    /* Runs in the main task of a fresh runtime and fills in s->value[]. */
    void (*body)(const struct bench_config *config, struct bench_sample *s);
    const char *target; /* of an HTTP row */
};

extern const struct bench_row bench_rows[];
extern const int bench_row_count;

/* A stretch of wall and CPU time of this process. */
struct bench_clock {
    double wall;
    double cpu;
};

struct bench_clock bench_clock_read(void);
double bench_now(void);

/* The value of `ops` operations since `begin`: ns each, and what they cost. */
struct bench_value bench_value_ns(struct bench_clock begin, double ops);

/* In rows: why no number came out. */
void bench_fail(struct bench_sample *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One measurement of a row, in child processes. The result lies in *s. */
void bench_measure(const struct bench_config *config, const struct bench_row *row, int workers,
                   struct bench_sample *s);

/* The example server, beside this program; false (and nothing said) when it is not there. */
bool bench_http_path(char *path, size_t n);
void bench_http(const struct bench_config *config, const struct bench_row *row, int workers,
                struct bench_sample *s);
#endif
