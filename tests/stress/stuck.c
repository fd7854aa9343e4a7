/* SPDX-License-Identifier: MIT */
/*
 * stuck: tasks that hold their workers, spinning or blocked, now and then more of them than
 * workers, beside sleepers with timeouts and echoes over sockets. All holders are let go by a plain
 * thread after some milliseconds; everything comes to its end with the right outcome.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HOLDERS_MAX = 8, SLEEPERS = 24, ECHOES = 6, BYTES = 20 };

struct echo {
    struct stress_run *run;
    int near, far;
};

struct stuck {
    struct stress_run *run;
    struct stress_rng rng;
    int holders;
    atomic_bool let_go;
    int gate[2]; /* closed for writing by the plain thread: blocked holders read end of file */
};

struct sleeper {
    struct stuck *s;
    unsigned seed;
};

static void *spins(void *arg)
{
    struct stuck *s = arg;
    while (!atomic_load(&s->let_go))
        continue;
    stress_op(s->run);
    return NULL;
}

static void *blocks(void *arg)
{
    struct stuck *s = arg;
    char byte;
    ssize_t n;
    while ((n = read(s->gate[0], &byte, 1)) < 0 && errno == EINTR)
        continue;
    STRESS_CHECK(s->run, n == 0, "the gate gave %zd", n);
    stress_op(s->run);
    return NULL;
}

/* Holds its worker and calls into the runtime as its owner meanwhile. */
static void *spawns(void *arg)
{
    struct stuck *s = arg;
    while (!atomic_load(&s->let_go)) {
        skua_task *t = stress_task(s->run, skua_go(spins, s));
        if (t != NULL)
            skua_release(t);
        skua_future *f = stress_task(s->run, skua_future_new());
        if (f != NULL) {
            skua_future_set_result(f, NULL);
            skua_release(f);
        }
        for (int i = 0; i < 200000 && !atomic_load(&s->let_go); i++)
            continue;
    }
    return NULL;
}

static void *sleeps(void *arg)
{
    struct sleeper *me = arg;
    struct stress_rng rng = stress_rng_new(me->seed, 7);
    for (int i = 0; i < 6; i++) {
        if (stress_below(&rng, 3) == 0) {
            skua_timeout scope;
            int r = skua_timeout_enter(&scope, stress_below(&rng, 4) * 1e-3);
            r = r < 0 ? r : skua_timeout_exit(&scope, skua_sleep(100));
            STRESS_CHECK(me->s->run, r == -ETIMEDOUT, "a timeout ended with %d", r);
        } else {
            int r = skua_sleep(stress_below(&rng, 4) * 1e-3);
            STRESS_CHECK(me->s->run, r == 0, "a sleep ended with %d", r);
        }
        stress_op(me->s->run);
    }
    return NULL;
}

static void *answers(void *arg)
{
    struct echo *e = arg;
    char byte;
    ssize_t n;
    while ((n = skua_read(e->far, &byte, 1, INFINITY)) == 1)
        if (skua_write(e->far, &byte, 1, INFINITY) != 1)
            break;
    STRESS_CHECK(e->run, n == 0, "an echo ended with %zd", n);
    STRESS_CHECK(e->run, skua_close(e->far) == 0, "an echo's end could not be closed");
    return NULL;
}

static void *asks(void *arg)
{
    struct echo *e = arg;
    for (char i = 0; i < BYTES; i++) {
        char back = -1;
        bool is_good = skua_write(e->near, &i, 1, INFINITY) == 1 &&
                       skua_read(e->near, &back, 1, INFINITY) == 1 && back == i;
        STRESS_CHECK(e->run, is_good, "byte %d came back as %d", i, back);
        if (!is_good)
            break;
        stress_op(e->run);
    }
    STRESS_CHECK(e->run, skua_close(e->near) == 0, "an asker's end could not be closed");
    return NULL;
}

static bool open_echo(struct echo *e, struct stress_run *run)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0) {
        stress_violation(run, "no socketpair");
        return false;
    }
    *e = (struct echo){run, fd[0], fd[1]};
    STRESS_CHECK(run, skua_fd_adopt(fd[0]) == 0 && skua_fd_adopt(fd[1]) == 0, "not adopted");
    return true;
}

static void *let_them_go(void *arg)
{
    struct stuck *s = arg;
    struct timespec t = {.tv_nsec = 1000000L * (long)(10 + stress_below(&s->rng, 30))};
    nanosleep(&t, NULL);
    atomic_store(&s->let_go, true);
    close(s->gate[1]);
    return NULL;
}

static void hold_and_wait(struct stuck *s, skua_task **t, int n)
{
    static const skua_fn ways[] = {spins, blocks, blocks, spawns};
    pthread_t thread;
    for (int i = 0; i < s->holders; i++) {
        skua_task *holder = skua_go(ways[stress_below(&s->rng, 4)], s);
        if ((t[n] = stress_task(s->run, holder)) != NULL)
            n++;
    }
    bool is_started = pthread_create(&thread, NULL, let_them_go, s) == 0;
    STRESS_CHECK(s->run, is_started, "no thread");
    if (!is_started)
        let_them_go(s);
    STRESS_CHECK(s->run, skua_gather(t, (size_t)n, NULL, SKUA_RELEASE) == 0, "a task failed");
    if (is_started)
        pthread_join(thread, NULL);
}

static void round_of_stuck(struct stress_run *run, uint64_t seed)
{
    struct stuck s = {.run = run, .rng = stress_rng_new(seed, 1)};
    struct sleeper sleeper[SLEEPERS];
    struct echo echo[ECHOES];
    skua_task *t[SLEEPERS + 2 * ECHOES + HOLDERS_MAX];
    int n = 0;
    if (pipe(s.gate) < 0) {
        stress_violation(run, "no pipe");
        return;
    }
    s.holders = 1 + (int)stress_below(&s.rng, HOLDERS_MAX);
    for (int i = 0; i < SLEEPERS; i++) {
        sleeper[i] = (struct sleeper){&s, (unsigned)stress_next(&s.rng)};
        if ((t[n] = stress_task(run, skua_go(sleeps, &sleeper[i]))) != NULL)
            n++;
    }
    for (int i = 0; i < ECHOES && open_echo(&echo[i], run); i++) {
        if ((t[n] = stress_task(run, skua_go(answers, &echo[i]))) != NULL)
            n++;
        if ((t[n] = stress_task(run, skua_go(asks, &echo[i]))) != NULL)
            n++;
    }
    hold_and_wait(&s, t, n);
    close(s.gate[0]);
}

STRESS_CASE(750, "stuck", "tasks hold workers; timers, timeouts and echoes of others go on",
            round_of_stuck);
