/* SPDX-License-Identifier: MIT */
#ifndef SKUA_STRESS_OPTIONS_H
#define SKUA_STRESS_OPTIONS_H
/* What the command line of skua-stress asked for. */
#include <skua.h>

enum { OPTIONS_PATTERNS_MAX = 32, OPTIONS_WORKERS_MAX = 16 };

struct options {
    const char *pattern[OPTIONS_PATTERNS_MAX];
    int pattern_count;
    int workers[OPTIONS_WORKERS_MAX];
    int workers_count;
    uint64_t seed;
    uint64_t iterations;
    double seconds;
    double watchdog;
    const char *json;
    bool core;
    bool quiet;
    bool list;
};

/* Leaves the program with status 2 and a message when the command line is wrong. */
void options_parse(struct options *o, int argc, char **argv);
#endif
