/* SPDX-License-Identifier: MIT */
/* Goal: tasks that hold their workers do not hold up free tasks. Method: some tasks block their
 * threads on a semaphore, which is posted once all others, woken by timers, sockets, futures set
 * from threads, spawns from threads and through the inboxes of all workers, have come through.
 * Nothing is timed: without rescue it would hang, which a deadline turns into a failure. */
#include "scale.h"
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sched/spawn.h"

enum {
    SLEEPERS = 16,
    NAPS = 4,
    ECHOES = 4,
    MESSAGES = 8,
    FUTURES = 4,
    SPAWNS = 16,
    WORKERS_MOST = 4,
    MARKS = SLEEPERS + ECHOES + FUTURES + SPAWNS + WORKERS_MOST,
    PATIENCE = 60, /* seconds */
};

struct trial {
    int workers, holders, spares;
    int before;               /* holders let go before anybody can be expected to come through */
    struct rt_runtime *rt;
    RT_ATOMIC(int) holding;   /* tasks that hold their worker */
    RT_ATOMIC(int) through;   /* others that have come through */
    RT_ATOMIC(int) set_up;    /* others that wait for the first time */
    int expected;
    sem_t gate;
    int fd[ECHOES][2];
    skua_future *future[FUTURES];
};

static struct trial *now;

static bool wait_until(RT_ATOMIC(int) *count, int least)
{
    double deadline = t_wall() + PATIENCE;
    while (rt_load_acquire(count) < least && t_wall() < deadline)
        t_nap(0.0005);
    return T_EXPECT(rt_load_acquire(count) >= least);
}

static void *hold(void *arg)
{
    (void)rt_add_acq_rel(&now->holding, 1);
    while (sem_wait(&now->gate) < 0 && errno == EINTR)
        continue;
    return arg;
}

static void come_through(void)
{
    (void)rt_add_acq_rel(&now->through, 1);
}

/* --- the others --- */

static void *sleeper(void *arg)
{
    (void)rt_add_acq_rel(&now->set_up, 1);
    for (int i = 0; i < NAPS; i++)
        T_EXPECT_INT(skua_sleep(i == 0 ? 0.02 : 0.003), 0);
    skua_timeout scope;
    T_EXPECT_INT(skua_timeout_enter(&scope, 0.003), 0);
    int r = skua_timeout_exit(&scope, skua_sleep(1000));
    T_EXPECT_INT(r, -ETIMEDOUT);
    come_through();
    return arg;
}

static void *echo(void *arg)
{
    int fd = T_NUM(arg);
    T_EXPECT_INT(skua_fd_adopt(fd), 0);
    (void)rt_add_acq_rel(&now->set_up, 1);
    for (int i = 0; i < MESSAGES; i++) {
        char byte;
        if (!T_EXPECT_INT(skua_read(fd, &byte, 1, INFINITY), 1))
            break;
        T_EXPECT_INT(skua_write(fd, &byte, 1, INFINITY), 1);
    }
    T_EXPECT_INT(skua_close(fd), 0);
    come_through();
    return NULL;
}

static void *awaits(void *future)
{
    (void)rt_add_acq_rel(&now->set_up, 1);
    T_EXPECT_INT(skua_await(future, NULL), 0);
    T_EXPECT_INT(skua_sleep(0.002), 0);
    come_through();
    return NULL;
}

static void *comes(void *arg)
{
    come_through();
    return arg;
}

/* --- a plain thread sees to all that comes from outside, and lets the holders go --- */

static void speak(int fd)
{
    for (int i = 0; i < MESSAGES; i++) {
        char byte = (char)i, back = 0;
        if (!T_EXPECT_INT(write(fd, &byte, 1), 1) || !T_EXPECT_INT(read(fd, &back, 1), 1))
            return;
        T_EXPECT_INT(back, i);
    }
}

static void spawn_from_outside(void)
{
    for (int i = 0; i < SPAWNS; i++) {
        int        err;
        skua_task *t = rt_spawn(NULL, now->rt, NULL, comes, NULL, NULL, &err);
        skua_release(t);
    }
    for (int i = 0; i < now->workers; i++)
        T_EXPECT(rt_spawn_on(now->rt->workers[i], comes, NULL, "here", false) != NULL);
}

static void *outside(void *arg)
{
    int let_go = 0;
    (void)wait_until(&now->holding, now->holders - now->before);
    for (; let_go < now->before; let_go++)
        sem_post(&now->gate);
    spawn_from_outside();
    for (int i = 0; i < FUTURES; i++)
        T_EXPECT(skua_future_set_result(now->future[i], NULL));
    for (int i = 0; i < ECHOES; i++)
        speak(now->fd[i][0]);
    (void)wait_until(&now->through, now->expected);
    for (; let_go < now->holders; let_go++)
        sem_post(&now->gate);
    return arg;
}

static void set_up_others(skua_task **t)
{
    int n = 0;
    for (int i = 0; i < SLEEPERS; i++)
        t[n++] = skua_go(sleeper, NULL);
    for (int i = 0; i < ECHOES; i++) {
        struct timeval limit = { .tv_sec = PATIENCE };
        T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, now->fd[i]), 0);
        T_EXPECT_INT(fcntl(now->fd[i][1], F_SETFL, O_NONBLOCK), 0);
        T_EXPECT_INT(setsockopt(now->fd[i][0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
        t[n++] = skua_go(echo, T_PTR(now->fd[i][1]));
    }
    for (int i = 0; i < FUTURES; i++) {
        now->future[i] = skua_future_new();
        t[n++] = skua_go(awaits, now->future[i]);
    }
    while (rt_load_acquire(&now->set_up) < n)
        T_EXPECT_INT(skua_sleep(0.001), 0);
    T_EXPECT_INT(skua_sleep(0.001), 0); /* they have reached their first wait */
}

static void *trial_main(void *arg)
{
    enum { OTHERS = SLEEPERS + ECHOES + FUTURES };
    skua_task *other[OTHERS], *holder[16];
    pthread_t  thread;
    (void)arg;
    now->rt = rt_self()->rt;
    now->expected = OTHERS + SPAWNS + now->workers;
    set_up_others(other);
    for (int i = 0; i < now->holders; i++)
        holder[i] = skua_go(hold, NULL);
    T_EXPECT_INT(pthread_create(&thread, NULL, outside, NULL), 0);
    T_EXPECT_INT(skua_gather(holder, (size_t)now->holders, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(skua_gather(other, OTHERS, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(rt_load_acquire(&now->through), now->expected);
    pthread_join(thread, NULL);
    skua_release_all(now->future, FUTURES);
    for (int i = 0; i < ECHOES; i++)
        close(now->fd[i][0]);
    struct skua_stats s = { .size = sizeof s };
    T_EXPECT_INT(skua_stats_get(&s), 0);
    if (now->holders == now->workers && now->spares >= 0)
        T_EXPECT(s.spares_started > 0 && s.rescues > 0);
    if (now->spares < 0)
        T_EXPECT_INT(s.spares_started, 0);
    return NULL;
}

static void try(int workers, int holders, int spares, int before)
{
    struct trial t = { .workers = workers, .holders = holders, .spares = spares, .before = before };
    now = &t;
    assert_int_equal(sem_init(&t.gate, 0, 0), 0);
    assert_int_equal(skua_run(trial_main, NULL, .workers = workers, .spare_threads = spares), 0);
    sem_destroy(&t.gate);
    t_check();
}

static void test_one_of_two_is_held(void **state)
{
    (void)state;
    for (int i = 0; i < T_SCALE(4, 2); i++)
        try(2, 1, 0, 0);
}

static void test_all_workers_are_held(void **state)
{
    (void)state;
    for (int i = 0; i < T_SCALE(4, 2); i++)
        try(2, 2, 0, 0);
    try(4, 4, 0, 0);
}

static void test_three_of_four_are_held(void **state)
{
    (void)state;
    try(4, 3, -1, 0);
}

/* 3 hold two workers and a spare, the second spare does the rest. */
static void test_a_spare_is_held_as_well(void **state)
{
    (void)state;
    try(2, 3, 2, 0);
    try(2, 6, 5, 0);
}

/* Nobody is left until one is let go. */
static void test_more_are_held_than_there_are_spares(void **state)
{
    (void)state;
    try(2, 4, 2, 1);
    try(2, 7, 2, 4);
}

static void test_no_spares_at_all(void **state)
{
    (void)state;
    try(2, 1, -1, 0);
    try(2, 2, -1, 1);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_one_of_two_is_held),
    T_TEST(test_all_workers_are_held),
    T_TEST(test_three_of_four_are_held),
    T_TEST(test_a_spare_is_held_as_well),
    T_TEST(test_more_are_held_than_there_are_spares),
    T_TEST(test_no_spares_at_all),
};

T_MAIN(tests, NULL)
