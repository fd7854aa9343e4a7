/* SPDX-License-Identifier: MIT */
/*
 * skua-bench: what the runtime costs, and what more workers give.
 *
 * Every row is measured with 1 worker and with N workers in turn, in rounds over all rows, the
 * order within a pair alternating: whatever the machine does in the meantime falls on both sides.
 * It prints figures and asserts none.
 */
#include "bench.h"
#include "peer.h"
#include "report.h"

#include <argp.h>
#include <fnmatch.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEY_LIST = 256, KEY_WRK, KEY_SVG, KEY_PEERS, EXIT_UNAVAILABLE = 69 };

static volatile sig_atomic_t is_interrupted;

static const struct argp_option option_table[] = {
    {"filter", 'f', "GLOB", 0, "Only rows of that name (may be repeated; also as an argument)", 0},
    {"pairs", 'p', "N", 0, "Pairs of measurements of each row (default 9)", 0},
    {"seconds", 's', "S", 0, "Length of one measurement (default 0.5)", 0},
    {"workers", 'w', "N", 0, "Compare 1 worker with N (default: the CPUs of this process)", 0},
    {"json", 'j', "FILE", 0, "Write one JSON line a figure", 0},
    {"svg", KEY_SVG, "FILE", 0, "Write a bar chart of the speed-ups", 0},
    {"peers", KEY_PEERS, "DIR", 0, "Measure the programs of other systems in DIR too", 0},
    {"wrk", KEY_WRK, NULL, 0, "Load the HTTP rows with wrk (whole seconds)", 0},
    {"quiet", 'q', NULL, 0, "No progress line", 0},
    {"list", KEY_LIST, NULL, 0, "List the rows and leave", 0},
    {0},
};

static long number(struct argp_state *state, const char *what, const char *text, long min, long max)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < min || value > max)
        argp_error(state, "%s: '%s' is not a number from %ld to %ld", what, text, min, max);
    return value;
}

static void add_pattern(struct argp_state *state, struct bench_config *c, const char *glob)
{
    if (c->pattern_count == PATTERNS_MAX)
        argp_error(state, "more than %d filters", PATTERNS_MAX);
    c->pattern[c->pattern_count++] = glob;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct bench_config *c = state->input;
    char *end = NULL;
    switch (key) {
    case 'f':
    case ARGP_KEY_ARG:
        add_pattern(state, c, arg);
        return 0;
    case 'p':
        c->pairs = (int)number(state, "--pairs", arg, 1, PAIRS_MAX);
        return 0;
    case 's':
        c->seconds = strtod(arg, &end);
        if (end == arg || *end != '\0' || !(c->seconds > 0 && c->seconds <= 600))
            argp_error(state, "--seconds: '%s' is not a number above 0 and up to 600", arg);
        return 0;
    case 'w':
        c->workers = (int)number(state, "--workers", arg, 1, 256);
        return 0;
    case 'j':
        c->json = arg;
        return 0;
    case KEY_SVG:
        c->svg = arg;
        return 0;
    case KEY_PEERS:
        c->peers = arg;
        return 0;
    case KEY_WRK:
        c->wrk = true;
        return 0;
    case 'q':
        c->quiet = true;
        return 0;
    case KEY_LIST:
        c->list = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version(FILE *out, struct argp_state *state)
{
    (void)state;
    fprintf(out, "skua-bench %s\n", skua_version());
}

static void parse(struct bench_config *c, int argc, char **argv)
{
    static const struct argp parser = {
        option_table,
        parse_option,
        "[ROW...]",
        "Measures the skua runtime with 1 worker and with N workers, side by side."
        "\vSKUA_STEAL=off in the environment turns stealing off, in the HTTP rows as well.\n"
        "Exit status: 0 good, 1 a measurement failed, 2 usage, 69 nothing could be measured, 130 "
        "interrupted.",
        NULL,
        NULL,
        NULL,
    };
    cpu_set_t cpus;
    *c = (struct bench_config){.pairs = 9, .seconds = 0.5, .workers = 1};
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
        c->workers = CPU_COUNT(&cpus);
    argp_program_version_hook = print_version;
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, c);
}

static bool is_wanted(const struct bench_config *c, const struct bench_row *row)
{
    for (int i = 0; i < c->pattern_count; i++)
        for (int f = 0; f < FIGURES_MAX && row->figure[f].name != NULL; f++)
            if (fnmatch(c->pattern[i], row->figure[f].name, 0) == 0)
                return true;
    return c->pattern_count == 0;
}

static void progress(const struct bench_config *c, const struct result *r, int round, int workers)
{
    if (!c->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[Kround %d/%d: %s%s%s, %d worker%s", round + 1, c->pairs,
                r->figure->name, r->peer != NULL ? " of " : "",
                r->peer != NULL ? r->peer->name : "", workers, workers == 1 ? "" : "s");
}

static void on_interrupt(int signo)
{
    (void)signo;
    is_interrupted = 1;
}

/* One pair of a row, whose figures are the results from `r` on; false when a measurement failed. */
static bool measure_pair(const struct bench_config *c, struct result *r, int round)
{
    static struct bench_sample s[SIDES];
    const struct bench_row *row = r->row;
    int sides = c->workers > 1 ? SIDES : 1;
    bool is_good = true;
    for (int i = 0; i < sides; i++) {
        int side = sides == SIDES ? (i + round) % SIDES : 0;
        int workers = side == 0 ? 1 : c->workers;
        s[side].is_good = false;
        if (is_interrupted)
            continue;
        progress(c, r, round, workers);
        bench_measure(c, row, r->peer, workers, &s[side]);
        if (!s[side].is_good && !s[side].is_absent) {
            fprintf(stderr, "\nskua-bench: %s of %s, %d workers: %s\n", row->figure[0].name,
                    r->peer != NULL ? r->peer->name : "skua", workers, s[side].error);
            is_good = false;
        }
    }
    for (int f = 0; f < FIGURES_MAX && row->figure[f].name != NULL; f++)
        report_add(&r[f], f, s);
    return is_good;
}

static bool is_any_wanted(const struct bench_config *c)
{
    const struct bench_row *row;
    for (int i = 0; (row = bench_row_at(i)) != NULL; i++)
        if (is_wanted(c, row))
            return true;
    return false;
}

/* One result for each figure of the row; returns how many there are now. */
static int plan_row(const struct bench_config *c, const struct bench_row *row,
                    const struct bench_peer *peer, struct result *results, int count)
{
    int figures = 0;
    while (figures < FIGURES_MAX && row->figure[figures].name != NULL)
        figures++;
    if (count + figures > RESULTS_MAX)
        return count;
    for (int f = 0; f < figures; f++) {
        struct result *r = &results[count + f];
        r->row = row;
        r->figure = &row->figure[f];
        r->peer = peer;
        r->side_count = c->workers > 1 ? SIDES : 1;
        r->side[0].workers = 1;
        r->side[1].workers = c->workers;
    }
    return count + figures;
}

/* The rows asked for that can run here, each followed by its peers. */
static int plan(const struct bench_config *c, const struct bench_peer *peers, int peer_count,
                struct result *results)
{
    const struct bench_row *row;
    char why[160];
    int count = 0;
    for (int i = 0; (row = bench_row_at(i)) != NULL; i++) {
        if (!is_wanted(c, row))
            continue;
        if (row->can_run != NULL && !row->can_run(why, sizeof why)) {
            fprintf(stderr, "skua-bench: %s left out: %s\n", row->figure[0].name, why);
            continue;
        }
        int own = count;
        count = plan_row(c, row, NULL, results, count);
        for (int p = 0; p < peer_count && count > own; p++)
            if (peer_has(&peers[p], row)) {
                int next = plan_row(c, row, &peers[p], results, count);
                for (int k = count; k < next; k++)
                    results[k].skua = &results[own + k - count];
                count = next;
            }
    }
    return count;
}

static bool begins_row(const struct result *results, int i)
{
    return i == 0 || results[i].row != results[i - 1].row || results[i].peer != results[i - 1].peer;
}

static bool
write_file(const char *path, const struct bench_config *c, const struct result *results, int count,
           void (*write)(FILE *, const struct bench_config *, const struct result *, int))
{
    FILE *f = path != NULL ? fopen(path, "w") : NULL;
    if (f != NULL) {
        write(f, c, results, count);
        fclose(f);
    } else if (path != NULL) {
        fprintf(stderr, "skua-bench: %s cannot be written\n", path);
    }
    return path == NULL || f != NULL;
}

static void list_rows(void)
{
    const struct bench_row *row;
    for (int i = 0; (row = bench_row_at(i)) != NULL; i++)
        for (int f = 0; f < FIGURES_MAX && row->figure[f].name != NULL; f++)
            printf("%-16s %-6s %s\n", row->figure[f].name, bench_unit(row, &row->figure[f]),
                   row->figure[f].about);
}

static bool measure_all(const struct bench_config *c, struct result *results, int count)
{
    bool is_good = true;
    for (int round = 0; round < c->pairs && !is_interrupted; round++)
        for (int i = 0; i < count && !is_interrupted; i++)
            if (begins_row(results, i) && (round == 0 || !results[i].row->is_once))
                is_good = measure_pair(c, &results[i], round) && is_good;
    if (!c->quiet && isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    return is_good;
}

int main(int argc, char **argv)
{
    struct bench_config config;
    parse(&config, argc, argv);
    if (config.list) {
        list_rows();
        return 0;
    }
    if (!is_any_wanted(&config)) {
        fprintf(stderr, "skua-bench: no row has that name (--list shows them)\n");
        return 2;
    }
    static struct bench_peer peers[PEERS_MAX];
    int peer_count = config.peers != NULL ? peers_find(config.peers, peers) : 0;
    struct result *results = calloc(RESULTS_MAX, sizeof *results);
    int count = results != NULL ? plan(&config, peers, peer_count, results) : 0;
    if (count == 0) {
        fprintf(stderr, "skua-bench: nothing could be measured\n");
        free(results);
        return EXIT_UNAVAILABLE;
    }
    sigaction(
        SIGINT,
        &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND | SA_RESTART},
        NULL);
    bool is_good = measure_all(&config, results, count);
    report_table(stdout, &config, results, count);
    is_good = write_file(config.json, &config, results, count, report_json) && is_good;
    is_good = write_file(config.svg, &config, results, count, report_svg) && is_good;
    free(results);
    if (is_interrupted)
        return 130;
    return is_good ? 0 : 1;
}
