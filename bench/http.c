/* SPDX-License-Identifier: MIT */
/* The HTTP rows: the example server in a process of its own, the load in another, CPU time of the
 * server alone. */
#include "bench.h"
#include "measure.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 64 };

static bool server_path(char *path, size_t n)
{
    ssize_t length = readlink("/proc/self/exe", path, n - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) + sizeof "/http" > n)
        return false;
    memcpy(slash, "/http", sizeof "/http");
    return access(path, X_OK) == 0;
}

static bool has_server(char *why, size_t n)
{
    char path[4096];
    if (server_path(path, sizeof path))
        return true;
    snprintf(why, n, "no example server 'http' beside this program");
    return false;
}

static void become_server(void *workers)
{
    char path[4096];
    char count[16];
    snprintf(count, sizeof count, "%d", *(int *)workers);
    if (server_path(path, sizeof path))
        execl(path, path, "--quiet", "--port", "0", "--workers", count, (char *)NULL);
}

static bool run_wrk(struct load *l)
{
    char command[512];
    char line[512];
    double before = 0;
    double after = 0;
    struct timespec t;
    int whole = l->seconds < 1 ? 1 : (int)(l->seconds + 0.5);
    snprintf(command, sizeof command, "wrk -t1 -c%d -d%ds http://127.0.0.1:%d%s", CONNECTIONS,
             whole, l->port, l->target);
    clock_gettime(l->server_clock, &t);
    before = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    FILE *f = popen(command, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        double count;
        double rate;
        if (sscanf(line, " %lf requests in", &count) == 1)
            l->requests = count;
        if (sscanf(line, "Requests/sec: %lf", &rate) == 1 && rate > 0)
            l->wall = l->requests / rate;
        if (strstr(line, "Non-2xx") != NULL || strstr(line, "Socket errors") != NULL)
            snprintf(l->error, sizeof l->error, "wrk: %.100s", line);
    }
    bool is_good =
        f != NULL && pclose(f) == 0 && l->requests > 0 && l->wall > 0 && l->error[0] == '\0';
    clock_gettime(l->server_clock, &t);
    after = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    l->cpu = after - before;
    if (!is_good && l->error[0] == '\0')
        snprintf(l->error, sizeof l->error, "wrk gave no result");
    if (is_good && !load_get(l->port, "/stats", l->stats, sizeof l->stats))
        l->stats[0] = '\0';
    return is_good;
}

static uint64_t number_after(const char *begin, const char *end, const char *key)
{
    const char *at = strstr(begin, key);
    if (at == NULL || at > end)
        return 0;
    at += strlen(key);
    return strtoull(at + strspn(at, " :"), NULL, 10);
}

/* {"workers":[{"tasks":1,"steals":2,"polls":3,"connections":4},...],...} */
static void read_stats(const char *text, struct bench_sample *s)
{
    const char *at = strstr(text, "\"workers\"");
    const char *end = at != NULL ? strchr(at, ']') : NULL;
    if (end == NULL)
        return;
    while (s->worker_count < WORKERS_SHOWN_MAX && (at = strchr(at, '{')) != NULL && at < end) {
        const char *close_brace = strchr(at, '}');
        if (close_brace == NULL)
            return;
        s->worker[s->worker_count++] = (struct bench_worker){
            number_after(at, close_brace, "\"tasks\""),
            number_after(at, close_brace, "\"steals\""),
            number_after(at, close_brace, "\"polls\""),
            number_after(at, close_brace, "\"connections\""),
        };
        at = close_brace;
    }
}

static void drive_http(const struct bench_config *config, const struct bench_row *row,
                       const struct bench_peer *peer, int workers, struct bench_sample *s)
{
    struct server server = {-1, -1, -1};
    struct server_peer other = {peer, row, workers};
    struct load *l = child_share(sizeof *l);
    if (l == NULL) {
        bench_fail(s, "out of memory");
        return;
    }
    l->run = config->wrk ? run_wrk : load_run;
    l->connections = CONNECTIONS;
    l->target = row->target;
    if (peer != NULL ? server_start(&server, server_become_peer, &other)
                     : server_start(&server, become_server, &workers))
        server_measure(config, &server, l, s);
    else
        bench_fail(s, "the server did not say where it listens");
    server_stop(&server, s);
    read_stats(l->stats, s);
    child_share_free(l, sizeof *l);
}

static const struct bench_row rows[] = {
    {.figure = {{"http", "requests of a short text to the example server, 64 connections"}},
     .unit = "req/s",
     .is_higher_better = true,
     .can_run = has_server,
     .drive = drive_http,
     .target = "/plaintext"},
    {.figure = {{"http_cpu", "requests that cost CPU, 64 connections"}},
     .unit = "req/s",
     .is_higher_better = true,
     .can_run = has_server,
     .drive = drive_http,
     .target = "/cpu"},
};
BENCH_ROWS(900, rows);
