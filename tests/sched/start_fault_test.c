/* SPDX-License-Identifier: MIT */
/* Goal: a runtime that cannot start says why, leaves nothing behind, and the next one starts.
 * Method: the nth use of each system call and of each allocation that a start makes fails, for
 * every n. */
#include "process.h"
#include "t.h"

#include "base/mem.h"
#include "base/sys.h"

enum { WORKERS = 3, SWEEP_MAX = 400 };

static void *small_main(void *arg)
{
    skua_task *t = skua_spawn(t_yielder, arg);
    void      *value = NULL;
    int        r = t ? skua_join(t, &value) : -ENOMEM;
    return r < 0 ? skua_fail(r) : value;
}

static int start(void)
{
    return skua_run(small_main, T_PTR(1), .workers = WORKERS);
}

/* Closed loops are kept for a while; from then on each start frees as much as it keeps. */
static void warm_up(void)
{
    for (int i = 0; i < 80; i++)
        assert_int_equal(start(), 0);
}

static void sweep_call(enum rt_sys_call call, int err, bool must_fail)
{
    int failures = 0;
    warm_up();
    struct t_holdings before = t_holdings();
    for (unsigned nth = 1; nth <= SWEEP_MAX; nth++) {
        rt_fault_arm(call, nth, err);
        int      r = start();
        unsigned hits = rt_fault_hits(call);
        rt_fault_reset();
        assert_true(r == 0 || r == -err || r == -ENOMEM || r == -EAGAIN);
        failures += r < 0;
        t_holds_the_same(before);
        assert_int_equal(start(), 0);
        if (hits == 0)
            break;
        assert_true(nth < SWEEP_MAX);
    }
    assert_true(!must_fail || failures > 0);
}

static void test_start_without_epoll(void **state)
{
    sweep_call(RT_SYS_EPOLL_CREATE, EMFILE, true);
}

static void test_start_without_eventfd(void **state)
{
    sweep_call(RT_SYS_EVENTFD, EMFILE, true);
}

static void test_start_without_registration(void **state)
{
    sweep_call(RT_SYS_EPOLL_CTL, ENOSPC, true);
}

static void test_start_without_threads(void **state)
{
    sweep_call(RT_SYS_THREAD_CREATE, EAGAIN, true);
}

/* Stacks, slabs and signal stacks; most are there already from an earlier run. */
static void test_start_without_mappings(void **state)
{
    sweep_call(RT_SYS_MMAP, ENOMEM, false);
    sweep_call(RT_SYS_MADVISE, ENOMEM, false);
    sweep_call(RT_SYS_MPROTECT, ENOMEM, false);
    sweep_call(RT_SYS_SIGALTSTACK, ENOMEM, false);
    sweep_call(RT_SYS_SIGACTION, EINVAL, false);
}

static int scenario_no_mapping(void)
{
    for (unsigned nth = 1; nth <= 8; nth++) {
        rt_fault_arm_from(RT_SYS_MMAP, nth, ENOMEM);
        int      r = start();
        unsigned hits = rt_fault_hits(RT_SYS_MMAP);
        rt_fault_reset();
        if (r != 0 && r != -ENOMEM)
            return 1;
        if (r == 0 && hits == 0)
            break;
    }
    return start() == 0 ? 0 : 2;
}

/* In a process where nothing was mapped before. */
static void test_first_start_without_mappings(void **state)
{
    struct t_child child_process;
    t_child_run("no_mapping", &child_process);
    assert_true(t_child_exited(&child_process, 0));
}

static void test_waits_that_are_interrupted_or_fail(void **state)
{
    static const int errors[] = { EINTR, EBADF };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (unsigned nth = 1; nth <= 10; nth++) {
            rt_fault_arm(RT_SYS_EPOLL_WAIT, nth, errors[i]);
            assert_int_equal(start(), 0);
            rt_fault_reset();
        }
    }
}

static void test_start_without_memory(void **state)
{
    warm_up();
    struct t_holdings before = t_holdings();
    int               failures = 0;
    for (uint64_t nth = 1;; nth++) {
        rt_fault_alloc_arm(nth);
        int      r = start();
        uint64_t hits = rt_fault_alloc_hits();
        rt_fault_alloc_arm(0);
        assert_true(r == 0 || r == -ENOMEM);
        failures += r < 0;
        t_holds_the_same(before);
        assert_int_equal(start(), 0);
        if (hits == 0)
            break;
        assert_true(nth < SWEEP_MAX);
    }
    assert_true(failures >= WORKERS + 2);
    rt_fault_alloc_arm_from(1);
    assert_int_equal(start(), -ENOMEM);
    assert_null(skua_loop_new(.workers = 2));
    rt_fault_alloc_arm(0);
    t_holds_the_same(before);
}

static const struct t_scenario scenarios[] = {
    { "no_mapping", scenario_no_mapping },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_start_without_epoll),
    T_TEST(test_start_without_eventfd),
    T_TEST(test_start_without_registration),
    T_TEST(test_start_without_threads),
    T_TEST(test_start_without_mappings),
    T_TEST(test_first_start_without_mappings),
    T_TEST(test_waits_that_are_interrupted_or_fail),
    T_TEST(test_start_without_memory),
};
T_MAIN(tests, scenarios)
