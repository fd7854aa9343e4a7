/* SPDX-License-Identifier: MIT */
/* Goal: a spare ends when the workers are back, and nothing that was tied to it is lost: its
 * descriptors move, its timers are waited for. The end of run does not mind spares, nor workers
 * that are held when it begins. */
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

enum { PATIENCE = 60, WORKERS = 2, READERS = 8 };

static struct {
    struct rt_runtime *rt;
    sem_t              gate;
    RT_ATOMIC(int)     holding;
    RT_ATOMIC(int)     on_spare; /* readers that first waited on a spare */
    RT_ATOMIC(int)     read;
    int                fd[READERS][2];
} all;

static void wait_for_gate(void)
{
    while (sem_wait(&all.gate) < 0 && errno == EINTR)
        continue;
}

static void *hold(void *arg)
{
    (void)rt_add_acq_rel(&all.holding, 1);
    wait_for_gate();
    return arg;
}

static bool wait_until(bool (*is)(void))
{
    double deadline = t_wall() + PATIENCE;
    while (!is() && t_wall() < deadline)
        t_nap(0.001);
    return is();
}

static bool all_hold(void)
{
    return rt_load_acquire(&all.holding) == WORKERS;
}

static bool spare_ended(void)
{
    unsigned crew = rt_crew(all.rt);
    for (unsigned i = WORKERS; i < crew; i++)
        if (rt_load_acquire(&all.rt->workers[i]->duty) != RT_DUTY_NONE)
            return false;
    return crew > WORKERS;
}

static bool spare_rests(void)
{
    unsigned crew = rt_crew(all.rt);
    for (unsigned i = WORKERS; i < crew; i++)
        if (rt_load_acquire(&all.rt->workers[i]->leave_asked) == RT_ORDER_REST)
            return true;
    return false;
}

static void let_go(void)
{
    for (int i = 0; i < WORKERS; i++)
        sem_post(&all.gate);
}

/* --- descriptors --- */

static void *reads_once(void *arg)
{
    int  fd = T_NUM(arg);
    char byte;
    T_EXPECT_INT(skua_fd_adopt(fd), 0);
    if (skua_worker_index() >= WORKERS)
        (void)rt_add_acq_rel(&all.on_spare, 1);
    T_EXPECT_INT(skua_read(fd, &byte, 1, INFINITY), 1);
    (void)rt_add_acq_rel(&all.read, 1);
    T_EXPECT_INT(skua_close(fd), 0);
    return NULL;
}

static bool all_on_spare(void)
{
    return rt_load_acquire(&all.on_spare) == READERS;
}

static bool all_read(void)
{
    return rt_load_acquire(&all.read) == READERS;
}

/* Both workers are held, so a spare runs the readers; they get their bytes when it is gone. */
static void *outlive_spare(void *arg)
{
    (void)arg;
    T_EXPECT(wait_until(all_hold));
    for (int i = 0; i < READERS; i++) {
        int err;
        T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, all.fd[i]), 0);
        T_EXPECT_INT(fcntl(all.fd[i][1], F_SETFL, O_NONBLOCK), 0);
        skua_task *t = rt_spawn(NULL, all.rt, NULL, reads_once, T_PTR(all.fd[i][1]), NULL, &err);
        skua_release(t);
    }
    T_EXPECT(wait_until(all_on_spare));
    let_go();
    T_EXPECT(wait_until(spare_ended));
    for (int i = 0; i < READERS; i++)
        T_EXPECT_INT(write(all.fd[i][0], "x", 1), 1);
    T_EXPECT(wait_until(all_read));
    for (int i = 0; i < READERS; i++)
        close(all.fd[i][0]);
    return NULL;
}

/* --- timers --- */

static void *sleeps_on_spare(void *arg)
{
    if (skua_worker_index() >= WORKERS)
        (void)rt_add_acq_rel(&all.on_spare, READERS);
    T_EXPECT_INT(skua_sleep(0.5), 0);
    (void)rt_add_acq_rel(&all.read, READERS);
    return arg;
}

/* On a slow machine the timer may come before the spare is told to rest. */
static bool rests_or_was_late(void)
{
    return spare_rests() || all_read();
}

/* A spare that has a timer rests until it came. */
static void *wait_for_timer(void *arg)
{
    int err;
    (void)arg;
    T_EXPECT(wait_until(all_hold));
    skua_task *t = rt_spawn(NULL, all.rt, NULL, sleeps_on_spare, NULL, NULL, &err);
    skua_release(t);
    T_EXPECT(wait_until(all_on_spare));
    let_go();
    T_EXPECT(wait_until(rests_or_was_late));
    T_EXPECT(wait_until(all_read));
    T_EXPECT(wait_until(spare_ended));
    return NULL;
}

static void *two_hold(void *thread_fn)
{
    skua_task *t[WORKERS];
    pthread_t  thread;
    all.rt = rt_self()->rt;
    for (int i = 0; i < WORKERS; i++)
        t[i] = skua_go(hold, NULL);
    T_EXPECT_INT(pthread_create(&thread, NULL, (void *(*)(void *))(uintptr_t)thread_fn, NULL), 0);
    T_EXPECT_INT(skua_gather(t, WORKERS, NULL, SKUA_RELEASE), 0);
    while (!all_read())
        T_EXPECT_INT(skua_sleep(0.002), 0);
    pthread_join(thread, NULL); /* holds worker 0 for a moment more */
    return NULL;
}

static void begin(void)
{
    memset(&all, 0, sizeof all);
    assert_int_equal(sem_init(&all.gate, 0, 0), 0);
}

static void test_descriptors_outlive_the_spare(void **state)
{
    (void)state;
    begin();
    assert_int_equal(skua_run(two_hold, (void *)(uintptr_t)outlive_spare, .workers = WORKERS), 0);
    t_check();
}

static void test_a_spare_waits_for_its_timers(void **state)
{
    (void)state;
    begin();
    assert_int_equal(skua_run(two_hold, (void *)(uintptr_t)wait_for_timer, .workers = WORKERS), 0);
    t_check();
}

/* --- ends --- */

static bool one_holds(void)
{
    return rt_load_acquire(&all.holding) > 0;
}

static void *opens_gate_later(void *arg)
{
    T_EXPECT(wait_until(one_holds));
    t_nap(0.05); /* run has begun to end by now, unless main was held; nothing depends on it */
    let_go();
    return arg;
}

static void *sleeps_on(void *arg)
{
    SKUA_IGNORE(skua_sleep(1000));
    return arg;
}

static void *leaves_held_workers(void *arg)
{
    pthread_t *thread = arg;
    all.rt = rt_self()->rt;
    for (int i = 0; i < WORKERS; i++)
        skua_detach(skua_go(hold, NULL));
    for (int i = 0; i < 20; i++)
        skua_detach(skua_go(sleeps_on, NULL));
    T_EXPECT_INT(pthread_create(thread, NULL, opens_gate_later, NULL), 0);
    while (!one_holds())
        T_EXPECT_INT(skua_sleep(0.001), 0);
    return NULL;
}

static void test_run_ends_while_workers_are_held(void **state)
{
    (void)state;
    for (int i = 0; i < T_SCALE(5, 2); i++) {
        pthread_t thread;
        begin();
        t_run(leaves_held_workers, &thread, .workers = WORKERS, .real_time = true, .any = true);
        pthread_join(thread, NULL);
    }
}

/* Held in virtual time: time stands still, mail does not. */
static void *comes(void *arg)
{
    rt_store_release(&all.read, READERS);
    return arg;
}

static void *post_to_held(void *arg)
{
    int err;
    (void)arg;
    T_EXPECT(wait_until(all_hold));
    skua_task *t = rt_spawn(NULL, all.rt, NULL, comes, NULL, NULL, &err);
    skua_release(t);
    T_EXPECT(wait_until(all_read));
    let_go();
    return NULL;
}

static void test_spares_in_virtual_time(void **state)
{
    (void)state;
    begin();
    t_run(two_hold, (void *)(uintptr_t)post_to_held, .workers = WORKERS);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_descriptors_outlive_the_spare),
    T_TEST(test_a_spare_waits_for_its_timers),
    T_TEST(test_run_ends_while_workers_are_held),
    T_TEST(test_spares_in_virtual_time),
};

T_MAIN(tests, NULL)
