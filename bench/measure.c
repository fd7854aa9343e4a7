/* SPDX-License-Identifier: MIT */
/*
 * One measurement. Each runs in a process of its own, forked for it, so that no measurement
 * inherits another's warm allocator, slabs, threads or loops, and a crash costs one sample.
 */
#include "measure.h"
#include "bench.h"
#include "peer.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct job {
    const struct bench_config *config;
    const struct bench_row *row;
    struct bench_sample *s;
};

static double read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bench_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

struct bench_clock bench_clock_read(void)
{
    return (struct bench_clock){bench_now(), read_clock(CLOCK_PROCESS_CPUTIME_ID)};
}

struct bench_value bench_value_ns(struct bench_clock begin, double ops)
{
    struct bench_clock end = bench_clock_read();
    double wall = end.wall - begin.wall;
    double cpu = end.cpu - begin.cpu;
    if (ops <= 0 || wall <= 0)
        return (struct bench_value){0};
    return (struct bench_value){wall * 1e9 / ops, cpu * 1e9 / ops, cpu / wall};
}

void bench_fail(struct bench_sample *s, const char *fmt, ...)
{
    if (s->error[0] != '\0')
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->error, sizeof s->error, fmt, ap);
    va_end(ap);
}

void *child_share(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void child_share_free(void *p, size_t n)
{
    munmap(p, n);
}

void child_settle(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    signal(SIGINT, SIG_DFL);
}

int child_status(pid_t pid, double seconds, struct rusage *ret_usage)
{
    struct rusage usage;
    int status = -1;
    int fd = pidfd_open(pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    double deadline = bench_now() + seconds;
    /* A signal may interrupt the poll: the child goes on to its end. */
    while (fd >= 0 && p.revents == 0 && bench_now() < deadline)
        poll(&p, 1, 100);
    if (p.revents == 0)
        kill(pid, SIGKILL);
    if (fd >= 0)
        close(fd);
    while (wait4(pid, &status, 0, &usage) != pid)
        if (kill(pid, 0) < 0)
            return -1;
    if (ret_usage != NULL)
        *ret_usage = usage;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool child_wait(pid_t pid, double seconds, struct rusage *ret_usage)
{
    return child_status(pid, seconds, ret_usage) == 0;
}

/* CPU time in seconds: of all CPUs, of those busy, taken by the host, and of this program's
 * children. */
struct host {
    double total, busy, steal, ours;
};

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static struct host read_host(void)
{
    double t[8] = {0};
    struct host h = {0};
    struct rusage usage;
    FILE *f = fopen("/proc/stat", "r");
    if (f == NULL)
        return h;
    if (fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5],
               &t[6], &t[7]) == 8)
        h.steal = t[7] / (double)sysconf(_SC_CLK_TCK);
    fclose(f);
    for (int i = 0; i < 8; i++)
        h.total += t[i] / (double)sysconf(_SC_CLK_TCK);
    h.busy = h.total - h.steal - (t[3] + t[4]) / (double)sysconf(_SC_CLK_TCK);
    if (getrusage(RUSAGE_CHILDREN, &usage) == 0)
        h.ours = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    return h;
}

static void read_workers(struct bench_sample *s)
{
    struct skua_stats all = {.size = sizeof all};
    if (skua_stats_get(&all) < 0)
        return;
    s->worker_count = all.workers < WORKERS_SHOWN_MAX ? all.workers : WORKERS_SHOWN_MAX;
    for (int i = 0; i < s->worker_count; i++) {
        struct skua_worker_stats w = {.size = sizeof w};
        if (skua_worker_stats_get(i, &w) == 0)
            s->worker[i] = (struct bench_worker){w.tasks, w.steals, w.polls, w.connections};
    }
}

static void *measured_main(void *arg)
{
    struct job *job = arg;
    job->row->body(job->config, job->s);
    read_workers(job->s);
    return NULL;
}

static void measure_runtime(const struct bench_config *config, const struct bench_row *row,
                            int workers, struct bench_sample *s)
{
    struct job job = {config, row, s};
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child_settle();
        int r = skua_run(measured_main, &job, .workers = workers, .free_main = row->is_free_main);
        if (r < 0)
            bench_fail(s, "skua_run: %s", strerror(-r));
        s->is_good = s->error[0] == '\0';
        _exit(0);
    }
    struct rusage usage = {0};
    double limit = row->limit_s > 0 ? row->limit_s : 60;
    if (pid < 0 || !child_wait(pid, limit + 20 * config->seconds, &usage)) {
        s->is_good = false;
        bench_fail(s, "the measured process crashed or hung");
    }
    s->rss_mb = (double)usage.ru_maxrss / 1024;
}

void bench_measure(const struct bench_config *config, const struct bench_row *row,
                   const struct bench_peer *peer, int workers, struct bench_sample *s)
{
    struct bench_sample *shared = child_share(sizeof *shared);
    *s = (struct bench_sample){0};
    if (shared == NULL) {
        bench_fail(s, "out of memory");
        return;
    }
    struct host before = read_host();
    if (row->drive != NULL)
        row->drive(config, row, peer, workers, shared);
    else if (peer != NULL)
        peer_measure(config, row, peer, workers, shared);
    else
        measure_runtime(config, row, workers, shared);
    struct host after = read_host();
    double ours = after.ours - before.ours;
    shared->total_s = after.total - before.total;
    shared->steal_s = after.steal - before.steal;
    shared->other_s = after.busy - before.busy > ours ? after.busy - before.busy - ours : 0;
    if (shared->is_good && !(shared->value[0].value > 0)) {
        shared->is_good = false;
        bench_fail(shared, "not one operation was done");
    }
    *s = *shared;
    child_share_free(shared, sizeof *shared);
}
