/* SPDX-License-Identifier: MIT */
#ifndef SKUA_PEER_H
#define SKUA_PEER_H
/* What the peers in C share: clocks, memory, the line a figure is printed in, serving until
 * SIGTERM. Nothing of skua: a peer stands for itself. */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEER_ABSENT = 77, PEER_USAGE = 2 };

struct peer_row {
    const char *name;
    int (*run)(double seconds, int workers); /* the exit status */
};

struct peer_clock {
    double wall;
    double cpu;
};

static inline double peer_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double peer_now(void)
{
    return peer_seconds(CLOCK_MONOTONIC);
}

static inline struct peer_clock peer_begin(void)
{
    return (struct peer_clock){peer_now(), peer_seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

/* NAN: wall time of an operation, in ns. */
static inline void peer_print(const char *figure, double value, struct peer_clock begin, double ops)
{
    struct peer_clock end = peer_begin();
    double wall = end.wall - begin.wall;
    double cpu = end.cpu - begin.cpu;
    printf("%s %.6g %.6g %.4g\n", figure, isnan(value) ? wall * 1e9 / ops : value, cpu * 1e9 / ops,
           cpu / wall);
}

/* Resident pages and page tables of this process, in bytes. */
static inline double peer_memory(void)
{
    char line[256];
    double sum = 0;
    double kb;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmRSS: %lf", &kb) == 1 || sscanf(line, "VmPTE: %lf", &kb) == 1)
            sum += kb * 1024;
    if (f != NULL)
        fclose(f);
    return sum;
}

static inline uint64_t peer_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline void peer_end(int signo)
{
    (void)signo;
    _exit(0);
}

/* Ends well at SIGTERM from now on, and says where the socket listens. */
static inline void peer_announce(int port)
{
    signal(SIGTERM, peer_end);
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
}

static inline int peer_main(int argc, char **argv, const struct peer_row *rows, int count)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (int i = 0; i < count; i++)
            puts(rows[i].name);
        return 0;
    }
    for (int i = 0; argc == 4 && i < count; i++)
        if (strcmp(argv[1], rows[i].name) == 0)
            return rows[i].run(atof(argv[2]), atoi(argv[3]));
    fprintf(stderr, "usage: %s --list | ROW SECONDS WORKERS\n", argv[0]);
    return PEER_USAGE;
}
#endif
