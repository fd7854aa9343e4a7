/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: ends a run whose operation counter stands still, since a lost wake-up shows as
 * silence and nothing else. It uses the kernel and libc only. The run is read under the lock, so
 * that it cannot end while it is looked at.
 */
#include "watchdog.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 10, REPEAT_ROUNDS = 100 };

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    struct stress_run *run; /* under the lock */
    double limit;
    bool core;
    bool quiet;
    bool is_tty;
    atomic_bool stop;
    atomic_ullong late_ns; /* the worst lateness of a tick since it was asked for */
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER};

void watchdog_watch(struct stress_run *run)
{
    pthread_mutex_lock(&dog.lock);
    dog.run = run;
    pthread_mutex_unlock(&dog.lock);
}

double stress_host_lateness(void)
{
    return (double)atomic_exchange(&dog.late_ns, 0) * 1e-9;
}

void watchdog_print_repeat(FILE *out, const struct stress_run *run)
{
    fprintf(out, "repeat with: skua-stress --seed %llu --workers %d --case %s --iterations %d\n",
            (unsigned long long)run->seed + atomic_load(&run->round), run->workers, run->c->name,
            REPEAT_ROUNDS);
}

static void read_word(const char *tid, const char *what, char *buf, size_t n)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%.32s/%s", tid, what);
    buf[0] = '\0';
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return;
    if (fgets(buf, (int)n, f) == NULL)
        buf[0] = '\0';
    fclose(f);
    buf[strcspn(buf, "\n")] = '\0';
}

/* Where each thread sleeps: parked workers and a lost wake-up look different from a spinning one.
 */
static void print_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char name[64];
        char where[64];
        char stat[256];
        if (e->d_name[0] == '.')
            continue;
        read_word(e->d_name, "comm", name, sizeof name);
        read_word(e->d_name, "wchan", where, sizeof where);
        read_word(e->d_name, "stat", stat, sizeof stat);
        const char *state = strrchr(stat, ')');
        fprintf(stderr, "  thread %s %-16s state %c in %s\n", e->d_name, name,
                state != NULL && state[1] != '\0' ? state[2] : '?', where);
    }
    closedir(dir);
}

static void give_up(struct stress_run *run)
{
    fprintf(stderr,
            "\nskua-stress: HUNG: %s, %d workers, round seed %llu: no operation for %.0f s after "
            "%llu\n",
            run->c->name, run->workers, (unsigned long long)run->seed + atomic_load(&run->round),
            dog.limit, atomic_load(&run->ops));
    print_threads();
    watchdog_print_repeat(stderr, run);
    if (dog.core)
        abort();
    _exit(124);
}

static void print_progress(struct stress_run *run, double now, unsigned long long ops_before,
                           double step)
{
    unsigned long long ops = atomic_load(&run->ops);
    fprintf(stderr,
            "%s%s, %d workers: %.0f s, round %llu, %.0f operations/s, %llu violations, seed %llu%s",
            dog.is_tty ? "\r\033[K" : "", run->c->name, run->workers, now - run->begin,
            atomic_load(&run->round), (double)(ops - ops_before) / step,
            atomic_load(&run->violations), (unsigned long long)run->seed, dog.is_tty ? "" : "\n");
}

/* One look at the run; called with the lock held. */
static void look(double now)
{
    static struct stress_run *last_run;
    static unsigned long long last_ops;
    static unsigned long long shown_ops;
    static double moved_at;
    static double shown_at;
    struct stress_run *run = dog.run;
    if (run == NULL) {
        last_run = NULL;
        return;
    }
    unsigned long long ops = atomic_load(&run->ops);
    if (run != last_run || run->begin > moved_at || ops != last_ops) {
        if (run != last_run || run->begin > moved_at) {
            shown_ops = 0;
            shown_at = run->begin;
        }
        last_run = run;
        last_ops = ops;
        moved_at = now;
    }
    if (now - moved_at > dog.limit)
        give_up(run);
    double step = dog.is_tty ? 0.25 : 10;
    if (!dog.quiet && now - shown_at >= step) {
        print_progress(run, now, shown_ops, now - shown_at);
        shown_at = now;
        shown_ops = ops;
    }
}

static void *watch(void *arg)
{
    (void)arg;
    while (!atomic_load(&dog.stop)) {
        double before = stress_now();
        nanosleep(&(struct timespec){.tv_nsec = TICK_MS * 1000000L}, NULL);
        double now = stress_now();
        double late = now - before - TICK_MS * 1e-3;
        unsigned long long late_ns = late > 0 ? (unsigned long long)(late * 1e9) : 0;
        if (late_ns > atomic_load(&dog.late_ns))
            atomic_store(&dog.late_ns, late_ns);
        pthread_mutex_lock(&dog.lock);
        look(now);
        pthread_mutex_unlock(&dog.lock);
    }
    return NULL;
}

bool watchdog_start(const struct options *o)
{
    dog.limit = o->watchdog;
    dog.core = o->core;
    dog.quiet = o->quiet;
    dog.is_tty = isatty(STDERR_FILENO);
    if (pthread_create(&dog.thread, NULL, watch, NULL) != 0) {
        fprintf(stderr, "skua-stress: no thread for the watchdog\n");
        return false;
    }
    return true;
}

void watchdog_stop(void)
{
    atomic_store(&dog.stop, true);
    pthread_join(dog.thread, NULL);
    if (dog.is_tty && !dog.quiet)
        fprintf(stderr, "\r\033[K");
}
