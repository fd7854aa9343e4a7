/* SPDX-License-Identifier: MIT */
/* Goal: a signal that comes while a runtime ends is not written to the descriptor that its watch
 * has just closed, whose number may be somebody's file by then. Method: close() is the test's: at
 * the end of run each number that becomes free is a pipe's for a moment, in which the signal comes.
 */
#include "t.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/san.h"

static int trap[2];
static volatile sig_atomic_t is_armed;

static int close_number(int fd)
{
    return (int)syscall(SYS_close, fd);
}

int close(int fd)
{
    int r = close_number(fd);
    if (r == 0 && is_armed && dup2(trap[1], fd) == fd) {
        raise(SIGUSR1);
        close_number(fd);
    }
    return r;
}

static void never(void *arg)
{
    (void)arg;
}

static void *handler_main(void *arg)
{
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR1, never, NULL), 0);
    is_armed = 1;
    return arg;
}

static void *wait_main(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    T_EXPECT_INT(skua_signal_wait(&set, 0.001), -ETIMEDOUT);
    is_armed = 1;
    return arg;
}

static void test_a_signal_at_the_end_of_run_is_written_nowhere(void **state)
{
    static const skua_fn mains[] = { handler_main, wait_main };
    char c;
    (void)state;
    if (RT_TSAN)
        skip(); /* it delivers signals later */
    assert_int_equal(pipe(trap), 0);
    assert_int_equal(fcntl(trap[0], F_SETFL, O_NONBLOCK), 0);
    assert_true(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
    for (size_t i = 0; i < sizeof mains / sizeof mains[0]; i++) {
        t_run(mains[i], NULL, .real_time = true);
        is_armed = 0;
        t_check();
        assert_int_equal(read(trap[0], &c, 1), -1);
    }
    close_number(trap[0]);
    close_number(trap[1]);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_a_signal_at_the_end_of_run_is_written_nowhere),
};
static const struct t_scenario scenarios[] = { { 0 } };
T_MAIN(tests, scenarios)
