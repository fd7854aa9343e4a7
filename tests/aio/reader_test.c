/* SPDX-License-Identifier: MIT */
/* Goal: a reader that cannot be registered is an error and leaves nothing behind; one whose loop
 * ends while another runtime tells of its descriptor is waited for. Method: fault injection; two
 * runtimes on one descriptor. */
#include "ends.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/sys.h"

static void count(void *arg)
{
    char c;
    (void)arg;
    calls++;
    T_EXPECT_INT(read(end_a, &c, 1), 1);
}

/* ---- at the add ---- */

static void *add_main(void *owned)
{
    make_pair(owned != NULL);
    rt_fault_arm_from(RT_SYS_EPOLL_CTL, 1, ENOMEM);
    T_EXPECT_INT(skua_add_reader(end_a, count, NULL), -ENOMEM);
    rt_fault_reset();
    T_EXPECT_INT(skua_remove_reader(end_a), 0);
    calls = 0;
    T_EXPECT_INT(skua_add_reader(end_a, count, NULL), 0);
    T_EXPECT_INT(write(end_b, "1", 1), 1);
    until_called(1);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    drop_pair();
    return NULL;
}

static void test_an_add_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    t_run(add_main, NULL, .real_time = true);
    t_run(add_main, T_PTR(1), .real_time = true);
    t_check();
}

/* ---- after a call ---- */

static void count_and_break(void *arg)
{
    count(arg);
    rt_fault_arm_from(RT_SYS_EPOLL_CTL, 1, ENOMEM);
}

static void *again_main(void *owned)
{
    make_pair(owned != NULL);
    calls = 0;
    T_EXPECT_INT(skua_add_reader(end_a, count_and_break, NULL), 0);
    T_EXPECT_INT(write(end_b, "12", 2), 2);
    until_called(1);
    for (int i = 0; i < 70; i++)
        T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT_INT(calls, 1);
    rt_fault_reset();
    T_EXPECT_INT(skua_remove_reader(end_a), 0);
    T_EXPECT_INT(skua_add_reader(end_a, count, NULL), 0);
    until_called(2);
    T_EXPECT_INT(skua_remove_reader(end_a), 1);
    drop_pair();
    return NULL;
}

static int again_scenario(void)
{
    int r = skua_run(again_main, NULL);
    if (r == 0)
        r = skua_run(again_main, T_PTR(1));
    return r == 0 && t_failures() == 0 ? 0 : 1;
}

static void test_one_that_cannot_go_on_is_removed_and_named(void **state)
{
    struct t_child child;
    (void)state;
    t_child_run("again", &child);
    assert_true(t_child_exited(&child, 0));
    assert_non_null(strstr(child.text, "cannot be watched any more"));
}

/* ---- another runtime tells ---- */

static RT_ATOMIC(int) is_over;

static void drain(void *arg)
{
    char block[64];
    (void)arg;
    SKUA_IGNORE(read(end_a, block, sizeof block));
}

/* Beside the other runtime, in whose poller the descriptor is registered. */
static void *guest_main(void *arg)
{
    T_EXPECT_INT(skua_add_reader(end_a, drain, NULL), 0);
    for (int i = 0; i < 20; i++)
        T_EXPECT_INT(skua_yield(), 0);
    return arg;
}

static void *guests(void *arg)
{
    for (int i = 0; i < 100; i++)
        T_EXPECT_INT(skua_run(guest_main, NULL, .workers = 1), 0);
    rt_store_release(&is_over, 1);
    return arg;
}

static void *host_main(void *arg)
{
    pthread_t thread;
    make_pair(true);
    T_EXPECT_INT(skua_poll_fd(end_a, 1, 0.001), -ETIMEDOUT); /* registers it here */
    T_EXPECT_INT(pthread_create(&thread, NULL, guests, NULL), 0);
    while (!rt_load_acquire(&is_over)) {
        SKUA_IGNORE(write(end_b, "x", 1));
        T_EXPECT_INT(skua_sleep(0), 0);
    }
    pthread_join(thread, NULL);
    drop_pair();
    return arg;
}

static void test_a_loop_that_ends_waits_for_what_another_runtime_posts(void **state)
{
    (void)state;
    t_run(host_main, NULL, .real_time = true, .workers = 1);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_an_add_that_fails_leaves_nothing_behind),
    T_TEST(test_one_that_cannot_go_on_is_removed_and_named),
    T_TEST(test_a_loop_that_ends_waits_for_what_another_runtime_posts),
};
static const struct t_scenario scenarios[] = {
    { "again", again_scenario },
    { 0 },
};
T_MAIN(tests, scenarios)
