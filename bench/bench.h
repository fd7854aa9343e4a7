/* SPDX-License-Identifier: MIT */
#ifndef SKUA_BENCH_H
#define SKUA_BENCH_H
/* What the parts of skua-bench share: configuration, the rows, and one measurement of one row. */
#include <skua.h>
#include <stddef.h>

enum { FIGURES_MAX = 4, WORKERS_SHOWN_MAX = 64, PATTERNS_MAX = 32 };

struct bench_config {
    const char *pattern[PATTERNS_MAX];
    int pattern_count;
    int pairs;
    int workers;    /* the N of "1 and N" */
    double seconds; /* one measurement */
    const char *json;
    const char *svg;
    const char *peers; /* directory */
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
    bool is_absent; /* a peer that has no such measurement: no failure */
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

struct bench_peer;

struct bench_row {
    struct bench_figure figure[FIGURES_MAX];
    const char *unit;
    const char *figure_unit[FIGURES_MAX]; /* of a figure with another unit than the row's */
    bool is_higher_better;                /* all figures of the row */
    bool is_once;                         /* long: one pair, whatever --pairs says */
    bool is_free_main;
    double limit_s; /* a measurement that takes longer has hung; 0: 60 */
    /* NULL: it can run everywhere. False: it cannot here, and why. */
    bool (*can_run)(char *why, size_t n);
    /* Runs in the main task of a fresh runtime in a process of its own; fills in s->value[]. */
    void (*body)(const struct bench_config *config, struct bench_sample *s);
    /* Instead of `body`: starts its own processes; sets s->is_good when all went well. `peer`:
     * measure that program instead of skua; NULL: skua. */
    void (*drive)(const struct bench_config *config, const struct bench_row *row,
                  const struct bench_peer *peer, int workers, struct bench_sample *s);
    const char *target; /* of an HTTP row */
};

/*
 * A file of rows ends with one line of its own and is known to skua-bench by being compiled:
 *
 *     static const struct bench_row rows[] = {{.figure = {{"name", "about"}}, ...}};
 *     BENCH_ROWS(300, rows);
 *
 * The first argument places the rows in the table: lower comes first.
 */
struct bench_rows {
    int place;
    int count;
    const struct bench_row *row;
    struct bench_rows *next;
};

#define BENCH_ROWS(place_, rows_)                                                                  \
    __attribute__((constructor)) static void bench_rows_of_file(void)                              \
    {                                                                                              \
        static struct bench_rows list = {(place_), sizeof(rows_) / sizeof((rows_)[0]), (rows_),    \
                                         NULL};                                                    \
        bench_rows_add(&list);                                                                     \
    }                                                                                              \
    _Static_assert(1, "for the semicolon")

static inline const char *bench_unit(const struct bench_row *row, const struct bench_figure *figure)
{
    const char *own = row->figure_unit[figure - row->figure];
    return own != NULL ? own : row->unit;
}

void bench_rows_add(struct bench_rows *list);

/* The row of that number in the table, NULL behind the last. */
const struct bench_row *bench_row_at(int index);

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

/* One measurement of a row, in child processes, of skua or of a peer. The result lies in *s. */
void bench_measure(const struct bench_config *config, const struct bench_row *row,
                   const struct bench_peer *peer, int workers, struct bench_sample *s);

#endif
