/* SPDX-License-Identifier: MIT */
/* Goal: signals sent to the process reach the handlers of the loops that asked and one waiting
 * task, none is lost between two waits, and the dispositions come back. Method: kill(getpid()). */
#include "expect.h"
#include "scale.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"

static RT_ATOMIC(int) calls, others;

static void reset(void)
{
    rt_init(&calls, 0);
    rt_init(&others, 0);
}

static void send_signal(int signo)
{
    EXPECT_INT(kill(getpid(), signo), 0);
}

static bool is_default(int signo)
{
    struct sigaction now;
    sigaction(signo, NULL, &now);
    return now.sa_handler == SIG_DFL;
}

static void run_everywhere(skua_fn main)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        reset();
        assert_int_equal(skua_run(main, NULL, .workers = workers), 0);
        assert_true(is_default(SIGUSR1) && is_default(SIGUSR2) && is_default(SIGHUP));
    }
    assert_all_held();
}

static void count(void *counter)
{
    (void)rt_add_sc((RT_ATOMIC(int) *)counter, 1);
}

static bool reaches(RT_ATOMIC(int) *counter, int n)
{
    for (int i = 0; i < 5000 && rt_load_sc(counter) < n; i++)
        EXPECT_INT(skua_sleep(0.001), 0);
    return rt_load_sc(counter) >= n;
}

/* --- handlers --- */

static skua_loop *seen_loop;

static void note_loop(void *arg)
{
    EXPECT(!skua_current_task());
    EXPECT_INT(skua_sleep(0), -EPERM);
    seen_loop = skua_loop_current();
    count(arg);
}

static void *handler_main(void *arg)
{
    EXPECT_INT(skua_add_signal_handler(SIGUSR1, note_loop, &calls), 0);
    for (int i = 1; i <= 50; i++) {
        send_signal(SIGUSR1);
        EXPECT(reaches(&calls, i));
    }
    EXPECT_INT(rt_load_sc(&calls), 50);
    EXPECT(seen_loop == skua_loop_current());
    EXPECT_INT(skua_add_signal_handler(SIGUSR1, count, &others), 0);
    send_signal(SIGUSR1);
    EXPECT(reaches(&others, 1));
    EXPECT_INT(rt_load_sc(&calls), 50);
    EXPECT(!is_default(SIGUSR1));
    EXPECT_INT(skua_remove_signal_handler(SIGUSR1), 0);
    EXPECT(is_default(SIGUSR1));
    EXPECT_INT(skua_remove_signal_handler(SIGUSR1), -ENOENT);
    EXPECT_INT(skua_add_signal_handler(SIGHUP, count, &others), 0); /* left to the end of run */
    return NULL;
}

static void test_signal_handler_runs_on_its_loop(void **state)
{
    run_everywhere(handler_main);
}

static void *other_group(void *arg)
{
    EXPECT_INT(skua_add_signal_handler(SIGUSR1, count, &others), 0);
    EXPECT_INT(skua_remove_signal_handler(SIGUSR2), -ENOENT); /* that is main's */
    send_signal(SIGUSR1);
    EXPECT(reaches(&others, 1) && reaches(&calls, 1));
    EXPECT_INT(skua_remove_signal_handler(SIGUSR1), 0);
    return NULL;
}

static void *groups_main(void *arg)
{
    EXPECT_INT(skua_add_signal_handler(SIGUSR1, count, &calls), 0);
    EXPECT_INT(skua_add_signal_handler(SIGUSR2, count, &calls), 0);
    skua_group *g = skua_group_new();
    skua_task *t = skua_spawn(other_group, NULL, .group = g);
    EXPECT_INT(skua_join(t, NULL), 0);
    send_signal(SIGUSR1);
    EXPECT(reaches(&calls, 2));
    EXPECT_INT(rt_load_sc(&others), 1);
    skua_group_release(g);
    return NULL;
}

static void test_signal_handlers_of_two_loops_are_both_called(void **state)
{
    run_everywhere(groups_main);
}

/* A group that nobody holds lives on for its handler. */
static void *adder(void *arg)
{
    EXPECT_INT(skua_add_signal_handler(SIGUSR1, count, &calls), 0);
    return NULL;
}

static void *released_main(void *arg)
{
    skua_group *g = skua_group_new();
    skua_task *t = skua_spawn(adder, NULL, .group = g);
    skua_group_release(g);
    EXPECT_INT(skua_join(t, NULL), 0);
    for (int i = 1; i <= 10; i++) {
        send_signal(SIGUSR1);
        EXPECT(reaches(&calls, i));
    }
    return NULL;
}

static void test_signal_handler_keeps_its_group(void **state)
{
    run_everywhere(released_main);
}

static void *free_task(void *arg)
{
    EXPECT_INT(skua_add_signal_handler(SIGUSR1, count, &calls), 0);
    send_signal(SIGUSR1);
    EXPECT(reaches(&calls, 1)); /* probably on another worker now */
    EXPECT_INT(skua_add_signal_handler(SIGUSR1, count, &others), 0);
    send_signal(SIGUSR1);
    EXPECT(reaches(&others, 1));
    EXPECT_INT(rt_load_sc(&calls), 1);
    EXPECT_INT(skua_remove_signal_handler(SIGUSR1), 0);
    EXPECT_INT(skua_remove_signal_handler(SIGUSR1), -ENOENT);
    return NULL;
}

static void *free_main(void *arg)
{
    EXPECT_INT(skua_join(skua_go(free_task, NULL), NULL), 0);
    return NULL;
}

static void test_signal_handler_of_free_tasks_has_one_home(void **state)
{
    run_everywhere(free_main);
}

/* Signals keep coming while the handler is put in and taken out. */
static RT_ATOMIC(int) stop;

static void *bombard(void *arg)
{
    while (!rt_load_sc(&stop)) {
        send_signal(SIGUSR1);
        nap(20e-6);
    }
    return NULL;
}

static void remove_myself(void *arg)
{
    count(arg);
    EXPECT_INT(skua_remove_signal_handler(SIGUSR1), 0);
}

static void *in_and_out(void *arg)
{
    for (int i = 0; i < 500; i++) {
        int before = rt_load_sc(&calls);
        EXPECT_INT(skua_add_signal_handler(SIGUSR1, i % 2 ? count : remove_myself, &calls), 0);
        EXPECT(reaches(&calls, before + 1));
        if (i % 2)
            EXPECT_INT(skua_remove_signal_handler(SIGUSR1), 0);
        int after = rt_load_sc(&calls);
        SKUA_IGNORE(skua_yield());
        EXPECT_INT(rt_load_sc(&calls), after); /* what was queued is withdrawn */
    }
    return NULL;
}

static void *churn_main(void *arg)
{
    signal(SIGUSR1, SIG_IGN);
    rt_init(&stop, 0);
    skua_task *shooter = skua_spawn_thread(bombard, NULL);
    skua_task *t = skua_spawn(in_and_out, NULL);
    EXPECT_INT(skua_join(t, NULL), 0);
    (void)rt_add_sc(&stop, 1);
    EXPECT_INT(skua_join(shooter, NULL), 0);
    signal(SIGUSR1, SIG_DFL);
    return NULL;
}

static void test_signal_handler_removed_while_signals_come_is_not_called(void **state)
{
    if (T_EMULATED) {
        print_message("skipped: qemu-user crashes when a signal meets a change of its action\n");
        skip();
    }
    run_everywhere(churn_main);
}

static void test_signal_handlers_leave_no_memory(void **state)
{
    reset();
    assert_int_equal(skua_run(handler_main, NULL, .workers = 1), 0);
    int64_t live = rt_mem_live();
    for (int i = 0; i < 10; i++) {
        reset();
        assert_int_equal(skua_run(handler_main, NULL, .workers = 2), 0);
    }
    assert_in_range(rt_mem_live(), 0, live + 64); /* closed loops stay readable for a while */
}

/* --- SIGINT: a handler takes the place of run's --- */

static void *interrupt_main(void *arg)
{
    EXPECT_INT(skua_add_signal_handler(SIGINT, count, &calls), 0);
    for (int i = 1; i <= 3; i++) {
        send_signal(SIGINT);
        EXPECT(reaches(&calls, i));
    }
    EXPECT_INT(skua_remove_signal_handler(SIGINT), 0);
    send_signal(SIGINT);
    int r = skua_sleep(10);
    return r < 0 ? skua_fail(r) : NULL;
}

static void test_signal_handler_for_sigint_takes_the_place_of_runs(void **state)
{
    reset();
    assert_int_equal(skua_run(interrupt_main, NULL, .workers = 2), -EINTR);
    assert_all_held();
}

/* --- waiting --- */

static sigset_t set_of(int a, int b)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, a);
    sigaddset(&set, b);
    return set;
}

static void send_usr2(void *arg)
{
    send_signal(SIGUSR2);
}

static void *wait_main(void *arg)
{
    sigset_t set = set_of(SIGUSR1, SIGUSR2);
    EXPECT_INT(skua_signal_wait(&set, 0), -ETIMEDOUT);
    EXPECT_INT(skua_signal_wait(&set, 0.005), -ETIMEDOUT);
    for (int i = 0; i < 100; i++) {
        skua_call_later(1e-4 * (i % 5), send_usr2, NULL);
        EXPECT_INT(skua_signal_wait(&set, 10), SIGUSR2);
    }
    send_signal(SIGUSR1); /* nobody waits: kept for the next one */
    EXPECT_INT(skua_sleep(0.01), 0);
    EXPECT_INT(skua_signal_wait(&set, 10), SIGUSR1);
    EXPECT_INT(skua_signal_wait(&set, 0.005), -ETIMEDOUT);
    return NULL;
}

static void test_signal_wait_returns_the_number_and_loses_none(void **state)
{
    run_everywhere(wait_main);
}

static void *wait_one(void *arg)
{
    sigset_t set = set_of(SIGUSR1, SIGHUP);
    int r = skua_signal_wait(&set, INFINITY);
    if (r > 0)
        (void)rt_add_sc(&calls, 1);
    return r < 0 ? skua_fail(r) : NULL;
}

/* Every signal goes to one of the waiting ones. Those that arrive together are one. */
static void *several_main(void *arg)
{
    skua_task *tasks[8];
    for (int i = 0; i < 8; i++)
        tasks[i] = i % 2 ? skua_go(wait_one, NULL) : skua_spawn(wait_one, NULL);
    EXPECT_INT(skua_sleep(0.02), 0);
    for (int i = 1; i <= 8; i++) {
        EXPECT_INT(rt_load_sc(&calls), i - 1);
        send_signal(i % 2 ? SIGUSR1 : SIGHUP);
        EXPECT(reaches(&calls, i));
    }
    EXPECT_INT(skua_gather(tasks, 8, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void test_signal_wait_one_signal_wakes_one_task(void **state)
{
    run_everywhere(several_main);
}

/* A cancel races with the signal: whoever of the two waits goes on, the signal is not lost. */
static void *cancel_main(void *arg)
{
    sigset_t set = set_of(SIGUSR1, SIGHUP);
    EXPECT_INT(skua_signal_wait(&set, 0), -ETIMEDOUT);
    for (int i = 0; i < 1000; i++) {
        int before = rt_load_sc(&calls);
        skua_task *t = i % 2 ? skua_go(wait_one, NULL) : skua_spawn(wait_one, NULL);
        SKUA_IGNORE(skua_sleep(i % 3 * 2e-5));
        send_signal(SIGUSR1);
        SKUA_IGNORE(i % 4 ? skua_sleep(i % 5 * 1e-5) : skua_yield());
        (void)skua_cancel(t, NULL);
        int r = skua_join(t, NULL);
        EXPECT(r == 0 || r == -ECANCELED);
        bool got = rt_load_sc(&calls) > before;
        EXPECT(got || r < 0); /* both: the cancel came between the wait and the end of the task */
        if (!got)
            EXPECT_INT(skua_signal_wait(&set, 10), SIGUSR1);
    }
    return NULL;
}

static void test_signal_wait_cancelled_leaves_the_signal_to_the_next(void **state)
{
    run_everywhere(cancel_main);
}

/* --- refusals --- */

static void *refused_main(void *arg)
{
    static const int bad[] = { 0, -1, 65, 1000, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, 32 };
    sigset_t set;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EXPECT_INT(skua_add_signal_handler(bad[i], count, &calls), -EINVAL);
        EXPECT_INT(skua_remove_signal_handler(bad[i]), -EINVAL);
    }
    EXPECT_INT(skua_add_signal_handler(SIGUSR1, NULL, NULL), -EINVAL);
    EXPECT_INT(skua_signal_wait(NULL, 1), -EINVAL);
    sigemptyset(&set);
    EXPECT_INT(skua_signal_wait(&set, 1), -EINVAL);
    sigaddset(&set, SIGUSR1);
    EXPECT_INT(skua_signal_wait(&set, NAN), -EINVAL);
    sigaddset(&set, SIGKILL);
    EXPECT_INT(skua_signal_wait(&set, 1), -EINVAL);
    return NULL;
}

static void test_signal_calls_refuse_what_they_cannot_do(void **state)
{
    sigset_t set = set_of(SIGUSR1, SIGUSR2);
    assert_int_equal(skua_add_signal_handler(SIGUSR1, count, &calls), -EPERM);
    assert_int_equal(skua_remove_signal_handler(SIGUSR1), -EPERM);
    assert_int_equal(skua_signal_wait(&set, 0), -EPERM);
    run_everywhere(refused_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signal_handler_runs_on_its_loop),
        cmocka_unit_test(test_signal_handlers_of_two_loops_are_both_called),
        cmocka_unit_test(test_signal_handler_keeps_its_group),
        cmocka_unit_test(test_signal_handler_of_free_tasks_has_one_home),
        cmocka_unit_test(test_signal_handler_removed_while_signals_come_is_not_called),
        cmocka_unit_test(test_signal_handlers_leave_no_memory),
        cmocka_unit_test(test_signal_handler_for_sigint_takes_the_place_of_runs),
        cmocka_unit_test(test_signal_wait_returns_the_number_and_loses_none),
        cmocka_unit_test(test_signal_wait_one_signal_wakes_one_task),
        cmocka_unit_test(test_signal_wait_cancelled_leaves_the_signal_to_the_next),
        cmocka_unit_test(test_signal_calls_refuse_what_they_cannot_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
