/* SPDX-License-Identifier: MIT */
#ifndef PAIRS_REAL_H
#define PAIRS_REAL_H
/* Rows of the enumerator whose events come from outside, for which virtual time cannot wait. */
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "pairs.h"

/* ---- a function in a thread ---- */

static sem_t may_return;

static void *return_later(void *scene)
{
    struct scene *s = scene;
    while (sem_wait(&may_return) != 0)
        continue;
    atomic_fetch_add(&s->runs, 1);
    return s;
}

static void thread_set_up(struct scene *s)
{
    T_EXPECT_INT(sem_init(&may_return, 0, 0), 0);
}

static int thread_wait(struct scene *s, int who, double timeout)
{
    int r = skua_to_thread(return_later, s, &s->item[who]);
    T_EXPECT(r < 0 || s->item[who] == s);
    return r;
}

static void thread_grant(struct scene *s)
{
    if (first(s))
        T_EXPECT_INT(sem_post(&may_return), 0);
}

/* It has run once, or never: a cancel came before a thread had taken it. */
static void thread_check(struct scene *s)
{
    int left;
    T_EXPECT_INT(sem_getvalue(&may_return, &left), 0);
    T_EXPECT_INT(s->runs + left, 1);
    T_EXPECT_INT(sem_destroy(&may_return), 0);
}

/* ---- a signal ---- */

static atomic_int signals;

static void count_signal(void *arg)
{
    (void)arg;
    atomic_fetch_add(&signals, 1);
}

static int signal_wait(struct scene *s, int who, double timeout)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    int r = skua_signal_wait(&set, timeout);
    T_EXPECT(r < 0 || r == SIGUSR1);
    return r < 0 ? r : 0;
}

static void signal_set_up(struct scene *s)
{
    atomic_store(&signals, 0);
}

static void signal_grant(struct scene *s)
{
    if (first(s))
        T_EXPECT_INT(kill(getpid(), SIGUSR1), 0);
}

/* The handler is called whoever else waited. */
static void signal_check(struct scene *s)
{
    while (s->granted && atomic_load(&signals) == 0)
        T_EXPECT_INT(skua_sleep(0.001), 0);
    T_EXPECT_INT(atomic_load(&signals), s->granted);
    SKUA_IGNORE(signal_wait(s, WAITER, 0)); /* where nobody took it, it is kept for the next */
}

static const struct row real_rows[] = {
    { .name = "thread", .set_up = thread_set_up, .wait = thread_wait, .grant = thread_grant,
      .finish = thread_grant, .check = thread_check, .outlasts = true },
    { .name = "signal", .set_up = signal_set_up, .wait = signal_wait, .grant = signal_grant,
      .check = signal_check },
    { .name = "signal, its timeout", .set_up = signal_set_up, .wait = signal_wait,
      .grant = signal_grant, .check = signal_check, .has_timer = true },
};

#endif
