/* SPDX-License-Identifier: MIT */
/* The HTTP rows: the example server in a process of its own, the load in another, CPU time of the
 * server alone. */
#include "bench.h"
#include "load.h"
#include "measure.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double warm_up_s = 0.2;

struct server {
    pid_t pid;
    int port;
    int out; /* its standard output */
};

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

static void become_server(int out, int workers)
{
    char path[4096];
    char count[16];
    child_settle();
    snprintf(count, sizeof count, "%d", workers);
    dup2(out, STDOUT_FILENO);
    if (server_path(path, sizeof path))
        execl(path, path, "--quiet", "--port", "0", "--workers", count, (char *)NULL);
    _exit(127);
}

/* The server says where it listens in the first line it prints that has an address in it. */
static int read_port(int fd)
{
    char text[1024];
    size_t have = 0;
    double deadline = bench_now() + 10;
    while (have < sizeof text - 1 && bench_now() < deadline) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 100) <= 0)
            continue;
        ssize_t n = read(fd, text + have, sizeof text - 1 - have);
        if (n <= 0)
            return -1;
        have += (size_t)n;
        text[have] = '\0';
        const char *at = strstr(text, "listening on 127.0.0.1:");
        if (at != NULL && strchr(at, '\n') != NULL)
            return atoi(strchr(at, ':') + 1);
    }
    return -1;
}

static bool server_start(struct server *server, int workers)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    fflush(NULL);
    server->pid = fork();
    if (server->pid == 0) {
        close(ends[0]);
        become_server(ends[1], workers);
    }
    close(ends[1]);
    server->out = ends[0];
    server->port = server->pid < 0 ? -1 : read_port(ends[0]);
    return server->port > 0;
}

static void server_stop(struct server *server, struct bench_sample *s)
{
    struct rusage usage = {0};
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
        if (!child_wait(server->pid, 5, &usage))
            bench_fail(s, "the example server did not end well after SIGTERM");
        s->rss_mb = (double)usage.ru_maxrss / 1024;
    }
    close(server->out);
}

static bool run_wrk(struct load *l)
{
    char command[512];
    char line[512];
    double before = 0;
    double after = 0;
    struct timespec t;
    int whole = l->seconds < 1 ? 1 : (int)(l->seconds + 0.5);
    snprintf(command, sizeof command, "wrk -t1 -c%d -d%ds http://127.0.0.1:%d%s", LOAD_CONNECTIONS,
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

static bool load_in_child(const struct bench_config *config, struct load *l)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child_settle();
        _exit(config->wrk ? !run_wrk(l) : !load_run(l));
    }
    return pid > 0 && child_wait(pid, 30 + 3 * config->seconds, NULL);
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

static void drive_http(const struct bench_config *config, const struct bench_row *row, int workers,
                       struct bench_sample *s)
{
    struct server server = {-1, -1, -1};
    struct load *l = child_share(sizeof *l);
    if (l == NULL) {
        bench_fail(s, "out of memory");
        return;
    }
    if (!server_start(&server, workers)) {
        bench_fail(s, "the example server did not say where it listens");
    } else {
        l->port = server.port;
        l->target = row->target;
        l->warm_up = warm_up_s;
        l->seconds = config->seconds;
        if (clock_getcpuclockid(server.pid, &l->server_clock) != 0)
            bench_fail(s, "no CPU clock of the server");
        else if (!load_in_child(config, l))
            bench_fail(s, "%s",
                       l->error[0] != '\0' ? l->error : "the load generator crashed or hung");
    }
    server_stop(&server, s);
    if (s->error[0] == '\0' && l->requests > 0) {
        s->value[0] = (struct bench_value){l->requests / l->wall, l->cpu * 1e9 / l->requests,
                                           l->cpu / l->wall};
        read_stats(l->stats, s);
        s->is_good = true;
    }
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
