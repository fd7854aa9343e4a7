/* SPDX-License-Identifier: MIT */
/* SIGINT and run: rule 6 of asyncio, and what becomes of it on many cores (rule 92). Each case is
 * a process of its own, since it is about that process's signals. */
#include "../support/t.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { RUN_OTHER = 90 };

static void interrupt_me(void)
{
    kill(getpid(), SIGINT);
}

static void expect_passes(const char *scenario)
{
    struct t_child child;
    t_child_run(scenario, &child);
    assert_true(t_child_exited(&child, 0));
}

static void expect_interrupted(const char *scenario)
{
    struct t_child child;
    t_child_run(scenario, &child);
    assert_true(t_child_killed(&child, SIGINT));
}

/* ---- rule 6 ---- */

static void *interrupted(void *end)
{
    interrupt_me();
    T_EXPECT_INT(skua_sleep(20), -ECANCELED);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 1);
    return end;
}

static int cancels_main_scenario(void)
{
    int r = skua_run(interrupted, skua_fail(-ECANCELED));
    struct sigaction now;
    sigaction(SIGINT, NULL, &now);
    T_EXPECT(now.sa_handler == SIG_DFL);
    return r == -EINTR ? 0 : RUN_OTHER;
}

static void test_rule_6_sigint_cancels_main_and_run_says_eintr(void **state)
{
    /* Goal: the first SIGINT cancels main; the default action is back afterwards. */
    (void)state;
    expect_passes("cancels_main");
}

static int swallowed_scenario(void)
{
    void *value = NULL;
    int r = skua_run(interrupted, T_PTR(5), .result = &value);
    return r == 0 && value == T_PTR(5) ? 0 : RUN_OTHER;
}

static void test_rule_6_main_may_swallow_it(void **state)
{
    /* Goal: main caught the cancel and returned a value: run returns it as ever. */
    (void)state;
    expect_passes("swallowed");
}

static void *busy_through_two(void *arg)
{
    interrupt_me();
    t_nap(0.2);
    interrupt_me();
    t_nap(0.2);
    return arg;
}

static int second_scenario(void)
{
    SKUA_IGNORE(skua_run(busy_through_two, NULL));
    return RUN_OTHER;
}

static void test_rule_6_the_second_sigint_has_its_default_action(void **state)
{
    /* Goal: a program stuck in its cleanup can be interrupted by asking again. */
    (void)state;
    expect_interrupted("second");
}

static void ignore(void *arg)
{
    (void)arg;
}

/* While there is a handler both would be its own. */
static void *busy_after_a_handler(void *arg)
{
    T_EXPECT_INT(skua_add_signal_handler(SIGINT, ignore, NULL), 0);
    T_EXPECT_INT(skua_remove_signal_handler(SIGINT), 0);
    return busy_through_two(arg);
}

static int after_handler_scenario(void)
{
    SKUA_IGNORE(skua_run(busy_after_a_handler, NULL));
    return RUN_OTHER;
}

static void test_rule_6_the_second_sigint_after_a_handler_was_removed(void **state)
{
    /* Goal: run's own handling is as it was before there was one. */
    (void)state;
    expect_interrupted("after_handler");
}

static volatile sig_atomic_t handled;

static void own_handler(int signo)
{
    handled = signo;
}

static void *not_interrupted(void *arg)
{
    interrupt_me();
    T_EXPECT_INT(skua_sleep(0.2), 0);
    T_EXPECT_INT(skua_cancelling(skua_current_task()), 0);
    return arg;
}

static int own_handler_scenario(void)
{
    struct sigaction act = { .sa_handler = own_handler, .sa_flags = SA_ONSTACK };
    sigaction(SIGINT, &act, NULL);
    int r = skua_run(not_interrupted, NULL);
    struct sigaction now;
    sigaction(SIGINT, NULL, &now);
    T_EXPECT(now.sa_handler == own_handler);
    return r == 0 && handled == SIGINT ? 0 : RUN_OTHER;
}

static void test_rule_6_a_handler_of_the_program_is_left_alone(void **state)
{
    /* Goal: who has a handler for SIGINT keeps it. */
    (void)state;
    expect_passes("own_handler");
}

static void *run_in_thread(void *arg)
{
    SKUA_IGNORE(skua_run(not_interrupted, NULL));
    return arg;
}

static int other_thread_scenario(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, run_in_thread, NULL);
    pthread_join(thread, NULL);
    return RUN_OTHER;
}

static void test_rule_6_only_run_of_the_main_thread_takes_sigint(void **state)
{
    /* Goal: run in another thread leaves the signal to the process. */
    (void)state;
    expect_interrupted("other_thread");
}

static void *cancel_parent(void *parent)
{
    SKUA_IGNORE(skua_cancel(parent, "by another task"));
    return NULL;
}

static void *interrupted_and_cancelled(void *arg)
{
    skua_task *me = skua_current_task();
    interrupt_me();
    T_EXPECT_INT(skua_sleep(20), -ECANCELED);
    skua_task *t = skua_spawn(cancel_parent, me);
    T_EXPECT_INT(skua_sleep(20), -ECANCELED);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_cancelling(me), 2);
    (void)arg;
    return skua_fail(-ECANCELED);
}

static int also_cancelled_scenario(void)
{
    return skua_run(interrupted_and_cancelled, NULL) == -ECANCELED ? 0 : RUN_OTHER;
}

static void test_rule_6_a_cancel_by_someone_else_wins(void **state)
{
    /* Goal: main was also cancelled by a task: the end is -ECANCELED, not -EINTR. */
    (void)state;
    expect_passes("also_cancelled");
}

static void *wakes_for_cleanup(void *arg)
{
    T_EXPECT_INT(skua_sleep(20), -ECANCELED);
    t_log("left");
    return arg;
}

static void *interrupted_with_leftover(void *arg)
{
    skua_detach(skua_spawn(wakes_for_cleanup, NULL));
    skua_yield();
    return interrupted(arg);
}

static int leftover_scenario(void)
{
    int r = skua_run(interrupted_with_leftover, skua_fail(-ECANCELED));
    T_EXPECT_LOG("left");
    return r == -EINTR ? 0 : RUN_OTHER;
}

static void test_rule_6_the_rest_is_cleaned_up_as_ever(void **state)
{
    /* Goal: after SIGINT leftovers are cancelled and waited for. */
    (void)state;
    expect_passes("leftover");
}

/* ---- rule 92 ---- */

static void *migrate_then_interrupted(void *end)
{
    for (int i = 0; i < 50; i++)
        SKUA_IGNORE(skua_sleep(0.0005));
    return interrupted(end);
}

static int free_main_scenario(void)
{
    int r = skua_run(migrate_then_interrupted, skua_fail(-ECANCELED), .free_main = true,
                     .workers = 3);
    return r == -EINTR ? 0 : RUN_OTHER;
}

static void test_rule_92_sigint_finds_main_on_any_worker(void **state)
{
    /* Goal: the policy holds when main is a free task among several workers. */
    (void)state;
    expect_passes("free_main");
}

static void *interrupted_while_others_run(void *end)
{
    for (int i = 0; i < 8; i++)
        skua_detach(skua_go(wakes_for_cleanup, NULL));
    return interrupted(end);
}

static int busy_workers_scenario(void)
{
    int r = skua_run(interrupted_while_others_run, skua_fail(-ECANCELED), .workers = 3);
    return r == -EINTR ? 0 : RUN_OTHER;
}

static void test_rule_92_free_leftovers_are_cancelled_on_every_worker(void **state)
{
    /* Goal: SIGINT ends a program with free tasks on several workers. */
    (void)state;
    expect_passes("busy_workers");
}

static void on_signal(void *arg)
{
    T_EXPECT(skua_current_task() == NULL);
    SKUA_IGNORE(skua_future_set_result(arg, T_PTR(1)));
}

static void *handler_main(void *arg)
{
    skua_future *f = skua_future_new();
    T_EXPECT_INT(skua_add_signal_handler(SIGUSR1, on_signal, f), 0);
    kill(getpid(), SIGUSR1);
    T_EXPECT_INT(skua_wait_for(f, 10, NULL), 0);
    T_EXPECT(skua_remove_signal_handler(SIGUSR1) >= 0);
    skua_release(f);
    return arg;
}

static int handler_scenario(void)
{
    return skua_run(handler_main, NULL) == 0 ? 0 : RUN_OTHER;
}

static void test_rule_92_a_signal_handler_is_a_callback_of_its_loop(void **state)
{
    /* Goal: the callback runs on the loop that added it, not in signal context. */
    (void)state;
    expect_passes("handler");
}

static void send_usr2(void *arg)
{
    (void)arg;
    kill(getpid(), SIGUSR2);
}

static void *signal_wait_main(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    T_EXPECT_INT(skua_signal_wait(&set, 0.05), -ETIMEDOUT);
    skua_call_later(0.05, send_usr2, NULL);
    T_EXPECT_INT(skua_signal_wait(&set, 10), SIGUSR2);
    return arg;
}

static int signal_wait_scenario(void)
{
    return skua_run(signal_wait_main, NULL) == 0 ? 0 : RUN_OTHER;
}

static void test_rule_92_a_task_may_wait_for_a_signal(void **state)
{
    /* Goal: the signal's number, or -ETIMEDOUT. */
    (void)state;
    expect_passes("signal_wait");
}

static void *wait_usr2(void *timeout)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    int r = skua_signal_wait(&set, *(double *)timeout);
    return r < 0 ? skua_fail(r) : T_PTR(r);
}

static void *signal_once_main(void *arg)
{
    double soon = 0.05, late = 10;
    void *results[2] = { NULL, NULL };
    T_EXPECT_INT(skua_failed(wait_usr2(&soon)), -ETIMEDOUT);
    send_usr2(NULL); /* nobody waits */
    T_EXPECT_INT(skua_yield(), 0);
    T_EXPECT(wait_usr2(&late) == T_PTR(SIGUSR2));
    T_EXPECT_INT(skua_failed(wait_usr2(&soon)), -ETIMEDOUT);

    skua_task *t[2] = { skua_spawn(wait_usr2, &late), skua_spawn(wait_usr2, &late) };
    skua_call_later(0.05, send_usr2, NULL);
    size_t done = 0;
    T_EXPECT_INT(skua_wait(t, 2, 20, SKUA_FIRST_COMPLETED, &done), 0);
    T_EXPECT_INT(done, 1);
    T_EXPECT(skua_done(t[0]) && !skua_done(t[1])); /* who came first */
    send_usr2(NULL); /* and the next one to the other */
    T_EXPECT_INT(skua_gather(t, 2, results, SKUA_RELEASE), 0);
    T_EXPECT(results[0] == T_PTR(SIGUSR2) && results[1] == T_PTR(SIGUSR2));
    return arg;
}

static int signal_once_scenario(void)
{
    return skua_run(signal_once_main, NULL) == 0 ? 0 : RUN_OTHER;
}

static void test_rule_92_one_wait_for_each_signal(void **state)
{
    /* Goal: what comes between two waits is for the next; of several who wait the first gets it. */
    (void)state;
    expect_passes("signal_once");
}

static const struct t_scenario scenarios[] = {
    { "cancels_main", cancels_main_scenario },
    { "swallowed", swallowed_scenario },
    { "second", second_scenario },
    { "after_handler", after_handler_scenario },
    { "own_handler", own_handler_scenario },
    { "other_thread", other_thread_scenario },
    { "also_cancelled", also_cancelled_scenario },
    { "leftover", leftover_scenario },
    { "free_main", free_main_scenario },
    { "busy_workers", busy_workers_scenario },
    { "handler", handler_scenario },
    { "signal_wait", signal_wait_scenario },
    { "signal_once", signal_once_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_6_sigint_cancels_main_and_run_says_eintr),
    T_TEST(test_rule_6_main_may_swallow_it),
    T_TEST(test_rule_6_the_second_sigint_has_its_default_action),
    T_TEST(test_rule_6_the_second_sigint_after_a_handler_was_removed),
    T_TEST(test_rule_6_a_handler_of_the_program_is_left_alone),
    T_TEST(test_rule_6_only_run_of_the_main_thread_takes_sigint),
    T_TEST(test_rule_6_a_cancel_by_someone_else_wins),
    T_TEST(test_rule_6_the_rest_is_cleaned_up_as_ever),
    T_TEST(test_rule_92_sigint_finds_main_on_any_worker),
    T_TEST(test_rule_92_free_leftovers_are_cancelled_on_every_worker),
    T_TEST(test_rule_92_a_signal_handler_is_a_callback_of_its_loop),
    T_TEST(test_rule_92_a_task_may_wait_for_a_signal),
    T_TEST(test_rule_92_one_wait_for_each_signal),
};

T_MAIN(tests, scenarios)
