/* SPDX-License-Identifier: MIT */
/* The command line of skua-stress. */
#include "options.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEY_LIST = 256, KEY_SEED, KEY_JSON, KEY_WATCHDOG, KEY_CORE };

static const struct argp_option option_table[] = {
    {"case", 'c', "NAME", 0, "Run this case (a glob; may be repeated; default: all)", 0},
    {"seconds", 's', "S", 0, "Seconds in all, shared among the cases (default 30)", 0},
    {"iterations", 'i', "N", 0, "Rounds of each case, instead of a time", 0},
    {"workers", 'w', "W[,W...]", 0, "Numbers of workers to run with (default 1,2,4)", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of the first round (default: from the clock, printed)", 0},
    {"json", KEY_JSON, "FILE", 0, "Write one JSON line a case", 0},
    {"watchdog", KEY_WATCHDOG, "S", 0,
     "Seconds without any operation that count as hung (default 20)", 0},
    {"core", KEY_CORE, NULL, 0, "When hung, abort with a core file instead of exiting with 124", 0},
    {"quiet", 'q', NULL, 0, "No progress line", 0},
    {"list", KEY_LIST, NULL, 0, "List the cases and leave", 0},
    {0},
};

static uint64_t number(struct argp_state *state, const char *what, const char *text, uint64_t min,
                       uint64_t max)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < min || value > max)
        argp_error(state, "%s: '%s' is not a number from %ju to %ju", what, text, (uintmax_t)min,
                   (uintmax_t)max);
    return value;
}

static double seconds(struct argp_state *state, const char *what, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0 && value <= 1e6))
        argp_error(state, "%s: '%s' is not a number of seconds above 0", what, text);
    return value;
}

static void parse_workers(struct argp_state *state, struct options *o, char *text)
{
    char *save = NULL;
    o->workers_count = 0;
    for (char *w = strtok_r(text, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
        if (o->workers_count == OPTIONS_WORKERS_MAX)
            argp_error(state, "--workers: more than %d numbers", OPTIONS_WORKERS_MAX);
        o->workers[o->workers_count++] = (int)number(state, "--workers", w, 1, 256);
    }
    if (o->workers_count == 0)
        argp_error(state, "--workers: no number given");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case 'c':
        if (o->pattern_count == OPTIONS_PATTERNS_MAX)
            argp_error(state, "--case: given more than %d times", OPTIONS_PATTERNS_MAX);
        o->pattern[o->pattern_count++] = arg;
        return 0;
    case 's':
        o->seconds = seconds(state, "--seconds", arg);
        return 0;
    case 'i':
        o->iterations = number(state, "--iterations", arg, 1, UINT64_MAX / 2);
        return 0;
    case 'w':
        parse_workers(state, o, arg);
        return 0;
    case KEY_SEED:
        o->seed = number(state, "--seed", arg, 0, UINT64_MAX / 2);
        return 0;
    case KEY_JSON:
        o->json = arg;
        return 0;
    case KEY_WATCHDOG:
        o->watchdog = seconds(state, "--watchdog", arg);
        return 0;
    case KEY_CORE:
        o->core = true;
        return 0;
    case 'q':
        o->quiet = true;
        return 0;
    case KEY_LIST:
        o->list = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is not an option (a case is named by --case)", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version(FILE *out, struct argp_state *state)
{
    (void)state;
    fprintf(out, "skua-stress %s\n", skua_version());
}

void options_parse(struct options *o, int argc, char **argv)
{
    static const struct argp parser = {
        option_table,
        parse_option,
        NULL,
        "Loads the skua runtime with work whose outcome is known, and says what came out wrong."
        "\vExit status: 0 good, 1 a violation, 2 usage, 124 hung, 130 interrupted.",
        NULL,
        NULL,
        NULL,
    };
    *o = (struct options){.seconds = 30, .watchdog = 20, .workers = {1, 2, 4}, .workers_count = 3};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    o->seed = (uint64_t)(now.tv_nsec / 1000 + now.tv_sec % 1000 * 1000000 + getpid()) % 1000000;
    argp_program_version_hook = print_version;
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, o);
}
