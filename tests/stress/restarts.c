/* SPDX-License-Identifier: MIT */
/*
 * restarts: runtimes come and go, one after the other, while threads of the host keep calling in:
 * before the loop runs, while it runs, stops, and after its end. A call either gets in, and then
 * what it brought is run or dropped, once; or it is told -ESHUTDOWN. Descriptors, threads and
 * memory stay as they were.
 */
#include "soup.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    RESTARTS = STRESS_IS_SANITIZED ? 8 : 20,
    CALLERS = 2,
    TASKS = 4,
    LAG_MAX = 16, /* loops a caller may be behind: a closed one answers for a while, not for ever */
    WARM_ROUNDS = 3,
    GROWTH_MAX_KIB = STRESS_IS_SANITIZED ? 1 << 20 : 32 << 10,
};

struct host;

struct caller {
    struct host *host;
    uint64_t stream;
    atomic_uint seen; /* it uses no loop older than this one */
};

struct host {
    struct stress_run *run;
    uint64_t seed;
    struct soup soup;
    _Atomic(skua_loop *) loop;
    atomic_uint generation;
    atomic_bool stop;
    atomic_uint posted;
    atomic_uint called;
    struct caller caller[CALLERS];
};

static void nap(struct stress_rng *rng, unsigned us)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000L * (1 + stress_below(rng, us))}, NULL);
}

/* ---- the threads of the host ---- */

static void on_call(void *arg)
{
    struct host *h = arg;
    atomic_fetch_add(&h->called, 1);
}

static void post(struct host *h, skua_loop *loop)
{
    atomic_fetch_add(&h->posted, 1);
    int err = skua_call_soon_threadsafe(loop, on_call, h);
    STRESS_CHECK(h->run, err == 0 || err == -ESHUTDOWN, "posting a callback: %d", err);
    if (err < 0)
        atomic_fetch_sub(&h->posted, 1);
}

struct guest {
    struct soup_entry entry; /* first: `.drop` gets its address */
    double delay;
};

static void *guest_run(void *arg)
{
    struct guest *g = arg;
    soup_begin(&g->entry);
    int err = g->delay > 0 ? skua_sleep(g->delay) : skua_yield();
    soup_end(&g->entry);
    return err < 0 ? skua_fail(err) : g;
}

static void send_guest(struct host *h, skua_loop *loop, struct stress_rng *rng)
{
    int why = 0;
    void *value = NULL;
    struct guest g = {.entry = {.soup = &h->soup}, .delay = stress_below(rng, 4) * 100e-6};
    atomic_fetch_add(&h->soup.spawned, 1);
    skua_task *t = skua_spawn_threadsafe(loop, guest_run, &g, .drop = soup_drop, .ret_err = &why);
    if (t == NULL) {
        atomic_fetch_sub(&h->soup.spawned, 1);
        STRESS_CHECK(h->run, why == -ESHUTDOWN, "starting a task from a thread: %d", why);
        STRESS_CHECK(h->run, atomic_load(&g.entry.state) == SOUP_NEW,
                     "a task that was refused is in state %d", atomic_load(&g.entry.state));
        return;
    }
    /* Its memory is this frame: the end has to be waited for; the watchdog limits this. */
    int err = skua_wait_blocking(t, INFINITY, &value);
    int state = atomic_load(&g.entry.state);
    STRESS_CHECK(h->run, err == -ECANCELED || (err == 0 && value == &g), "a guest ended with %d",
                 err);
    STRESS_CHECK(h->run, state == SOUP_ENDED || (state == SOUP_DROPPED && err == -ECANCELED),
                 "a guest that ended with %d is in state %d", err, state);
    skua_release(t);
}

static void *keep_calling(void *arg)
{
    struct caller *c = arg;
    struct host *h = c->host;
    struct stress_rng rng = stress_rng_new(h->seed, c->stream);
    while (!atomic_load(&h->stop)) {
        atomic_store(&c->seen, atomic_load(&h->generation));
        skua_loop *loop = atomic_load(&h->loop);
        if (loop == NULL || stress_below(&rng, 4) == 0)
            nap(&rng, 200);
        else if (stress_below(&rng, 2) == 0)
            post(h, loop);
        else
            send_guest(h, loop, &rng);
    }
    return NULL;
}

/* Shows a new loop, once nobody is far behind. */
static void show(struct host *h, skua_loop *loop)
{
    unsigned generation = atomic_load(&h->generation) + 1;
    for (int i = 0; i < CALLERS; i++)
        while (generation - atomic_load(&h->caller[i].seen) > LAG_MAX)
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    atomic_store(&h->loop, loop);
    atomic_store(&h->generation, generation);
}

/* ---- the runtimes ---- */

struct stay {
    struct host *host;
    struct stress_rng rng;
    skua_loop *loop;
};

static void *short_task(void *arg)
{
    SKUA_IGNORE(skua_yield());
    return arg;
}

static void *stay_main(void *arg)
{
    struct stay *s = arg;
    skua_task *t[TASKS];
    for (int i = 0; i < TASKS; i++)
        t[i] = stress_task(s->host->run,
                           i % 2 == 0 ? skua_go(short_task, s) : skua_spawn(short_task, s));
    int err = skua_sleep(stress_below(&s->rng, 4) * 150e-6);
    STRESS_CHECK(s->host->run, err == 0, "main's own sleep ended with %d", err);
    for (int i = 0; i < TASKS; i++) {
        err = skua_join(t[i], NULL);
        STRESS_CHECK(s->host->run, err == 0, "a task of main ended with %d", err);
    }
    return arg;
}

static void *show_and_stay(void *arg)
{
    struct stay *s = arg;
    show(s->host, skua_loop_current());
    return stay_main(arg);
}

static void *stay_and_stop(void *arg)
{
    struct stay *s = arg;
    SKUA_IGNORE(stay_main(arg));
    skua_loop_stop(s->loop);
    return NULL;
}

static int run_loop(struct stay *s, bool is_forever)
{
    skua_task *t = skua_spawn_threadsafe(s->loop, is_forever ? stay_and_stop : stay_main, s);
    if (stress_task(s->host->run, t) == NULL)
        return 0;
    int err = is_forever ? skua_loop_run_forever(s->loop)
                         : skua_loop_run_until_complete(s->loop, t, NULL);
    skua_release(t);
    return err;
}

static void drive_loop(struct stay *s, unsigned runs)
{
    s->loop = skua_loop_new(.workers = s->host->run->workers, .seed = s->host->seed);
    if (s->loop == NULL) {
        stress_violation(s->host->run, "a loop could not be made");
        return;
    }
    show(s->host, s->loop);
    for (unsigned i = 0; i < runs; i++) {
        int err = run_loop(s, stress_below(&s->rng, 2) == 0);
        STRESS_CHECK(s->host->run, err == 0, "run %u of a loop ended with %d", i, err);
    }
    int err = skua_loop_close(s->loop);
    STRESS_CHECK(s->host->run, err == 0, "closing a loop: %d", err);
}

static void restart(struct host *h, uint64_t nth)
{
    struct stay s = {.host = h, .rng = stress_rng_new(h->seed, 1000 + nth)};
    if (stress_below(&s.rng, 2) == 0) {
        int err = skua_run(show_and_stay, &s, .workers = h->run->workers, .seed = h->seed);
        STRESS_CHECK(h->run, err == 0, "skua_run ended with %d", err);
    } else {
        drive_loop(&s, stress_below(&s.rng, 4));
    }
    stress_op(h->run);
}

/* ---- what must stay as it was ---- */

static long count_entries(const char *path)
{
    long n = 0;
    DIR *dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

static long count_threads(void)
{
    return count_entries("/proc/self/task");
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void check_process(struct stress_run *run)
{
    /* The kernel counts a thread for a moment after it was joined. */
    unsigned long long round = atomic_load(&run->round);
    long most = round == 0 ? LONG_MAX : run->thread_base;
    for (int tries = 0; count_threads() > most && tries < 2000; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    long fds = count_entries("/proc/self/fd");
    long threads = count_threads();
    long kib = resident_kib();
    if (round < WARM_ROUNDS) {
        run->fd_base = fds;
        run->thread_base = threads < most ? threads : most;
        run->kib_base = kib;
        return;
    }
    STRESS_CHECK(run, fds == run->fd_base, "%ld descriptors, %ld before", fds, run->fd_base);
    STRESS_CHECK(run, threads <= run->thread_base, "%ld threads, %ld before", threads,
                 run->thread_base);
    STRESS_CHECK(run, kib - run->kib_base < GROWTH_MAX_KIB, "resident memory grew by %ld KiB",
                 kib - run->kib_base);
}

static void restarts_round(struct stress_run *run, uint64_t seed)
{
    struct host h = {.run = run, .seed = seed};
    pthread_t thread[CALLERS];
    int started = 0;
    soup_init(&h.soup, run);
    for (int i = 0; i < CALLERS; i++) {
        h.caller[i].host = &h;
        h.caller[i].stream = 50 + (uint64_t)i;
    }
    while (started < CALLERS &&
           pthread_create(&thread[started], NULL, keep_calling, &h.caller[started]) == 0)
        started++;
    STRESS_CHECK(run, started == CALLERS, "a thread could not be started");
    for (uint64_t i = 0; i < RESTARTS && started == CALLERS && !stress_interrupted(); i++)
        restart(&h, i);
    atomic_store(&h.stop, true);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    soup_check_books(&h.soup);
    STRESS_CHECK(run, atomic_load(&h.called) <= atomic_load(&h.posted),
                 "%u callbacks posted, %u called", atomic_load(&h.posted), atomic_load(&h.called));
    check_process(run);
}

STRESS_CASE(700, "restarts",
            "runtimes come and go while threads keep calling in; all accounted for, nothing left",
            restarts_round, .is_outside = true);
