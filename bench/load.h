/* SPDX-License-Identifier: MIT */
#ifndef SKUA_BENCH_LOAD_H
#define SKUA_BENCH_LOAD_H
/* A client for HTTP and echo servers on the loopback: one thread, one epoll, one request in flight
 * on each connection. */
#include "bench.h"

#include <time.h>

enum { LOAD_TEXT_MAX = 16384 };

struct load {
    bool (*run)(struct load *l); /* load_run(), or another program */
    int port;
    int connections;
    size_t message;     /* bytes to be echoed, 0: an HTTP request */
    const char *target; /* of the request */
    double warm_up;
    double seconds;
    clockid_t server_clock; /* CPU time of the server process */
    /* results */
    double requests;
    double wall;
    double cpu;
    char stats[LOAD_TEXT_MAX]; /* the server's answer to GET /stats at the end, connections still
                                  open */
    char error[160];
};

/* False: l->error says why. */
bool load_run(struct load *l);

/* One request on a connection of its own; the body is copied. */
bool load_get(int port, const char *target, char *body, size_t n);
#endif
