/* SPDX-License-Identifier: MIT */
/* Rows about tasks that hold their workers for a second: how late the timers of other free tasks
 * are, and how long an echo through a free task takes, beside a plain thread of the same process
 * with an epoll of its own in the same second, which shows what the machine does to anybody. */
#include "bench.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { SLEEPERS = 20, SAMPLES_MAX = 20000 };

static const double held_s = 1, period_s = 0.004, warm_s = 0.05;

/* Delays in seconds; one writer. */
struct record {
    int n;
    double delay[SAMPLES_MAX];
};

struct trial {
    atomic_bool is_on;   /* the first holder holds */
    atomic_bool is_over;
    atomic_int held;
    double until;        /* when the holders let go */
    struct record sleeper[SLEEPERS];
    struct record timer, echo, plain_timer, plain_echo;
    int fd[2], plain_fd[2];
};

/* What was due at `due` came now. A delay of many periods stands for those that would have begun
 * meanwhile. */
static void note(struct trial *t, struct record *r, double due)
{
    double delay = bench_now() - due;
    bool counts = atomic_load(&t->is_on) && due < t->until;
    for (; counts && r->n < SAMPLES_MAX; delay -= period_s) {
        r->delay[r->n++] = delay > 0 ? delay : 0;
        if (delay < 2 * period_s)
            break;
    }
}

/* ---- skua's side ---- */

struct nap {
    struct trial *t;
    struct record *r;
};

static void *sleeps(void *arg)
{
    struct nap *nap = arg;
    while (!atomic_load(&nap->t->is_over)) {
        double due = bench_now() + period_s;
        if (skua_sleep(period_s) < 0)
            break;
        note(nap->t, nap->r, due);
    }
    return NULL;
}

static void *answers(void *arg)
{
    struct trial *t = arg;
    char byte;
    while (skua_read(t->fd[1], &byte, 1, INFINITY) == 1)
        if (skua_write(t->fd[1], &byte, 1, INFINITY) != 1)
            break;
    return NULL;
}

static void *spins(void *arg)
{
    struct trial *t = arg;
    if (atomic_fetch_add(&t->held, 1) == 0) {
        t->until = bench_now() + held_s;
        atomic_store(&t->is_on, true);
    }
    while (!atomic_load(&t->is_on) || bench_now() < t->until)
        continue;
    return NULL;
}

/* ---- the plain side ---- */

static void *plain_loop(void *arg)
{
    struct trial *t = arg;
    struct itimerspec ticks = {{0, (long)(period_s * 1e9)}, {0, (long)(period_s * 1e9)}};
    struct epoll_event e[2] = {{.events = EPOLLIN, .data.fd = t->plain_fd[1]}};
    int ep = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    double due = bench_now() + period_s;
    bool is_good = ep >= 0 && timer >= 0 && timerfd_settime(timer, 0, &ticks, NULL) == 0 &&
                   epoll_ctl(ep, EPOLL_CTL_ADD, t->plain_fd[1], e) == 0;
    e[0] = (struct epoll_event){.events = EPOLLIN, .data.fd = timer};
    is_good = is_good && epoll_ctl(ep, EPOLL_CTL_ADD, timer, e) == 0;
    while (is_good && !atomic_load(&t->is_over)) {
        int n = epoll_wait(ep, e, 2, -1);
        for (int i = 0; i < n; i++) {
            uint64_t word = 0;
            if (e[i].data.fd != timer) {
                is_good = read(e[i].data.fd, &word, 1) == 1 && write(e[i].data.fd, &word, 1) == 1;
            } else if (read(timer, &word, sizeof word) == sizeof word) {
                note(t, &t->plain_timer, due);
                due += (double)word * period_s;
            }
        }
    }
    close(timer);
    close(ep);
    return NULL;
}

struct client {
    struct trial *t;
    struct record *r;
    int fd;
};

static void *asks(void *arg)
{
    struct client *c = arg;
    struct timespec pause = {.tv_nsec = (long)(period_s * 0.5e9)};
    char byte = 'x';
    while (!atomic_load(&c->t->is_over)) {
        double begin = bench_now();
        if (write(c->fd, &byte, 1) != 1 || read(c->fd, &byte, 1) != 1)
            break;
        note(c->t, c->r, begin);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- a trial ---- */

static void run_tasks(struct trial *t, int holders, struct bench_sample *s)
{
    skua_task *task[SLEEPERS], *holder[WORKERS_SHOWN_MAX];
    struct nap nap[SLEEPERS];
    skua_task *echo = skua_go(answers, t);
    for (int i = 0; i < SLEEPERS; i++) {
        nap[i] = (struct nap){t, &t->sleeper[i]};
        task[i] = skua_go(sleeps, &nap[i]);
    }
    int r = skua_sleep(warm_s);
    for (int i = 0; i < holders; i++)
        holder[i] = skua_go(spins, t);
    r = r < 0 ? r : skua_gather(holder, (size_t)holders, NULL, SKUA_RELEASE);
    atomic_store(&t->is_over, true);
    r = r < 0 ? r : skua_gather(task, SLEEPERS, NULL, SKUA_RELEASE);
    shutdown(t->fd[0], SHUT_RDWR);
    r = r < 0 ? r : skua_join(echo, NULL);
    if (r < 0)
        bench_fail(s, "a task failed");
}

static bool open_pairs(struct trial *t)
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->plain_fd) == 0 &&
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->fd) == 0;
}

static void run_trial(struct trial *t, bool all, struct bench_sample *s)
{
    struct client near = {t, &t->echo, t->fd[0]}, plain = {t, &t->plain_echo, t->plain_fd[0]};
    struct skua_stats stats = {.size = sizeof stats};
    pthread_t thread[3];
    int threads = 0;
    threads += pthread_create(&thread[threads], NULL, plain_loop, t) == 0;
    threads += pthread_create(&thread[threads], NULL, asks, &near) == 0;
    threads += pthread_create(&thread[threads], NULL, asks, &plain) == 0;
    if (threads < 3 || skua_stats_get(&stats) < 0)
        bench_fail(s, "no threads");
    run_tasks(t, all ? stats.workers : 1, s);
    while (threads > 0)
        pthread_join(thread[--threads], NULL);
    for (int i = 0; i < SLEEPERS; i++)
        for (int k = 0; k < t->sleeper[i].n && t->timer.n < SAMPLES_MAX; k++)
            t->timer.delay[t->timer.n++] = t->sleeper[i].delay[k];
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct bench_value quantile(struct record *r, double q)
{
    qsort(r->delay, (size_t)r->n, sizeof r->delay[0], compare);
    int at = (int)(q * (r->n - 1) + 0.5);
    return (struct bench_value){.value = r->n > 0 ? r->delay[at] * 1e6 : 0};
}

static void measure(struct bench_sample *s, bool all, bool is_echo)
{
    struct trial *t = calloc(1, sizeof *t);
    if (t == NULL || !open_pairs(t) || fcntl(t->fd[1], F_SETFL, O_NONBLOCK) < 0 ||
        skua_fd_adopt(t->fd[1]) < 0) {
        bench_fail(s, "no memory or no sockets");
        free(t);
        return;
    }
    run_trial(t, all, s);
    struct record *ours = is_echo ? &t->echo : &t->timer;
    struct record *plain = is_echo ? &t->plain_echo : &t->plain_timer;
    s->value[0] = quantile(ours, 0.5);
    s->value[1] = quantile(ours, 0.99);
    s->value[2] = quantile(ours, 0.999);
    s->value[3] = quantile(plain, 0.999);
    if (ours->n == 0 || plain->n == 0)
        bench_fail(s, "no samples");
    SKUA_IGNORE(skua_close(t->fd[1]));
    close(t->fd[0]);
    close(t->plain_fd[0]);
    close(t->plain_fd[1]);
    free(t);
}

static void stuck_one_timer(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    measure(s, false, false);
}

static void stuck_one_echo(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    measure(s, false, true);
}

static void stuck_all_timer(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    measure(s, true, false);
}

static void stuck_all_echo(const struct bench_config *config, struct bench_sample *s)
{
    (void)config;
    measure(s, true, true);
}

#define FIGURES(name_, about_)                                                                     \
    {                                                                                              \
        {name_, about_ ", median"}, {name_ "_p99", "99 %"}, {name_ "_p999", "99.9 %"},             \
        {name_ "_ref", "99.9 % of a plain epoll thread"}                                           \
    }

static const struct bench_row rows[] = {
    {.figure = FIGURES("stuck_one_timer", "a task spins for 1 s: lateness of others' timers"),
     .unit = "us",
     .body = stuck_one_timer},
    {.figure = FIGURES("stuck_one_echo", "the same: echoes through another task"),
     .unit = "us",
     .body = stuck_one_echo},
    {.figure = FIGURES("stuck_all_timer", "all workers held for 1 s: lateness of timers"),
     .unit = "us",
     .body = stuck_all_timer},
    {.figure = FIGURES("stuck_all_echo", "the same: echoes"),
     .unit = "us",
     .body = stuck_all_echo},
};
BENCH_ROWS(860, rows);
