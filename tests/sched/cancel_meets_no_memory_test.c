/* SPDX-License-Identifier: MIT */
/* Goal: a cancel that comes while a wait finds no memory for its timer is felt.
 * Cause: it had ended the wait, and the answer of that wait was only that there is no memory: the
 * cancel was lost. */
#include "t.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

struct victim {
    int (*wait)(void);
    skua_task *task;
    int        result;
};

static int          fds[2];
static skua_future *never;

static int wait_sleep(void)
{
    return skua_sleep(5);
}

static int wait_read(void)
{
    char byte;
    return (int)skua_read(fds[0], &byte, 1, 5);
}

static int wait_first(void)
{
    size_t done;
    return skua_wait(&never, 1, 5, SKUA_FIRST_COMPLETED, &done);
}

static void *cancel_it(void *task)
{
    T_EXPECT(skua_cancel(task, NULL));
    return NULL;
}

/* On the worker whose timer finds no memory: another thread cancels just now. */
static void cancel_from_elsewhere(void *arg)
{
    struct victim *v = arg;
    pthread_t      thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, cancel_it, v->task), 0);
    T_EXPECT_INT(pthread_join(thread, NULL), 0);
}

static void *victim(void *arg)
{
    struct victim *v = arg;
    rt_fault_alloc_meanwhile(cancel_from_elsewhere, v);
    rt_fault_alloc_arm(1);
    v->result = v->wait();
    T_EXPECT_INT(rt_fault_alloc_hits(), 1);
    rt_fault_alloc_arm(0);
    rt_fault_alloc_meanwhile(NULL, NULL);
    return skua_fail(v->result);
}

static void *victim_main(void *arg)
{
    struct victim *v = arg;
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    T_EXPECT_INT(skua_fd_adopt(fds[0]), 0);
    never = skua_future_new();
    v->task = skua_go(victim, v);
    T_EXPECT_INT(skua_join(v->task, NULL), -ECANCELED);
    T_EXPECT_INT(v->result, -ECANCELED);
    T_EXPECT_INT(skua_close(fds[0]), 0);
    close(fds[1]);
    skua_release(never);
    return arg;
}

static void check(int (*wait)(void))
{
    struct victim v = { .wait = wait };
    t_run(victim_main, &v, .workers = 1);
    t_check();
}

static void test_cancel_meets_no_memory_in_sleep(void **state)
{
    (void)state;
    check(wait_sleep);
}

static void test_cancel_meets_no_memory_in_read(void **state)
{
    (void)state;
    check(wait_read);
}

static void test_cancel_meets_no_memory_in_wait(void **state)
{
    (void)state;
    check(wait_first);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_cancel_meets_no_memory_in_sleep),
    T_TEST(test_cancel_meets_no_memory_in_read),
    T_TEST(test_cancel_meets_no_memory_in_wait),
};

T_MAIN(tests, NULL)
