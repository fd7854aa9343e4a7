/* SPDX-License-Identifier: MIT */
/* Goal: children are started, waited for and discarded by the door, and what fails leaves none.
 * Method: true, sleep and sh. */
#include "capture.h"

#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const int keep[3] = { RT_CHILD_KEEP, RT_CHILD_KEEP, RT_CHILD_AS_BEFORE };

static int start(const char *const *argv)
{
    struct rt_child_plan plan = {
        .file = argv[0], .argv = (char *const *)(uintptr_t)argv, .fds = keep, .n_fds = 3
    };
    return rt_sys_child_start(&plan);
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void test_child_is_reaped_once(void **state)
{
    const char *argv[] = { "sh", "-c", "exit 3", NULL };
    int code = 99, pid = start(argv);
    (void)state;
    assert_true(pid > 0);
    int fd = rt_sys_pidfd_open(pid);
    assert_true(fd >= 0);
    assert_true(rt_sys_poll1(fd, POLLIN, -1) & POLLIN);
    assert_int_equal(rt_sys_pidfd_wait(fd, true, &code), 1);
    assert_int_equal(rt_sys_pidfd_wait(fd, false, &code), 1);
    assert_int_equal(code, 3);
    code = 99;
    assert_int_equal(rt_sys_pidfd_wait(fd, false, &code), -ECHILD);
    assert_int_equal(code, 99);
    assert_int_equal(rt_sys_pidfd_signal(fd, SIGTERM), -ESRCH);
    assert_int_equal(rt_sys_close(fd), 0);
}

static void test_child_that_runs_is_signalled_by_its_descriptor(void **state)
{
    const char *argv[] = { "sleep", "1000", NULL };
    int code = 99, pid = start(argv);
    (void)state;
    int fd = rt_sys_pidfd_open(pid);
    assert_int_equal(rt_sys_pidfd_wait(fd, false, &code), 0);
    assert_int_equal(rt_sys_pidfd_signal(fd, SIGKILL), 0);
    assert_true(rt_sys_poll1(fd, POLLIN, -1) & POLLIN);
    assert_int_equal(rt_sys_pidfd_wait(fd, false, &code), 1);
    assert_int_equal(code, -SIGKILL);
    assert_int_equal(rt_sys_close(fd), 0);
}

static void test_child_is_discarded_running_or_not(void **state)
{
    const char *sleeps[] = { "sleep", "1000", NULL }, *ends[] = { "true", NULL };
    (void)state;
    rt_sys_child_discard(start(sleeps));
    assert_false(has_children());
    int pid = start(ends), fd = rt_sys_pidfd_open(pid);
    assert_true(rt_sys_poll1(fd, POLLIN, -1) & POLLIN);
    rt_sys_child_discard(pid);
    assert_false(has_children());
    assert_int_equal(rt_sys_close(fd), 0);
    /* reaped already: its number is nobody's of ours */
    rt_sys_child_discard(pid);
    rt_sys_child_discard(getpid());
}

static void test_child_that_cannot_start_is_none(void **state)
{
    const char *argv[] = { "/no/such/program", NULL };
    (void)state;
    errno = 4711;
    assert_int_equal(start(argv), -ENOENT);
    assert_int_equal(errno, 4711);
    rt_fault_arm(RT_SYS_CHILD_START, 1, EAGAIN);
    assert_int_equal(start(argv), -EAGAIN);
    rt_fault_reset();
    assert_false(has_children());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_is_reaped_once),
        cmocka_unit_test(test_child_that_runs_is_signalled_by_its_descriptor),
        cmocka_unit_test(test_child_is_discarded_running_or_not),
        cmocka_unit_test(test_child_that_cannot_start_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
