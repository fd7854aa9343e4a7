/* SPDX-License-Identifier: MIT */
/* Goal: the report of a task that holds its worker has its name, the place of its spawn, the
 * function it is in, and who waits for it; it comes with one worker, too, and leaves SIGURG as it
 * was. Method: scenarios in processes of their own, whose culprits hold their worker until they
 * have read the report from their own stderr, a pipe. */
#include "stderr.h"
#include "t.h"

#include <signal.h>
#include <stdlib.h>

#include "base/san.h"
#include "sched/runtime.h"

enum { PATIENCE = 20 };

/* Found by its name in the backtrace, which is why it is not static. */
void hold_until_reported(const char *text);
__attribute__((noinline)) void hold_until_reported(const char *text)
{
    double deadline = t_wall() + PATIENCE;
    while (!t_stderr_has(text) && t_wall() < deadline)
        continue;
    __asm__ volatile("" ::: "memory"); /* no tail call */
}

static void *holds(void *text)
{
    hold_until_reported(text);
    return NULL;
}

static void *named_main(void *text)
{
    skua_group *g = skua_group_new(.worker = 1, .name = "patients");
    skua_task  *t = skua_spawn(holds, text, .name = "culprit", .group = g);
    int         r = skua_join(t, NULL);
    skua_group_release(g);
    return r < 0 ? skua_fail(r) : NULL;
}

static void calls_back(void *text)
{
    hold_until_reported(text);
}

static void *callback_main(void *text)
{
    (void)skua_call_soon(calls_back, text);
    int r = skua_sleep(0.001);
    return r < 0 ? skua_fail(r) : NULL;
}

static void handler(const struct skua_exception_context *context, void *text)
{
    (void)context;
    hold_until_reported(text);
}

/* In no task as far as calls are concerned, but its time is the task's. */
static void *handler_main(void *text)
{
    struct skua_exception_context context = { .size = sizeof context, .message = "x" };
    int r = skua_set_exception_handler(handler, text);
    if (r == 0)
        r = skua_call_exception_handler(&context);
    return r < 0 ? skua_fail(r) : NULL;
}

/* Two tasks and two workers, no spare: with both held there is one more line. */
static void *all_main(void *text)
{
    skua_task *t = skua_go(holds, text);
    hold_until_reported(text);
    int r = skua_join(t, NULL);
    return r < 0 ? skua_fail(r) : NULL;
}

static int run(skua_fn fn, const char *until, int workers)
{
    setenv("SKUA_STALL_MS", "40", 1);
    t_stderr_catch();
    int r = skua_run(fn, (void *)(uintptr_t)until, .workers = workers, .spare_threads = -1);
    t_stderr_give_back();
    return r == 0 ? 0 : 1;
}

static const char last_line[] = "wait for it: ";

static int scenario_one(void)
{
    return run(named_main, last_line, 1);
}

static int scenario_two(void)
{
    struct sigaction now;
    int r = run(named_main, last_line, 2);
    return r == 0 && sigaction(SIGURG, NULL, &now) == 0 && now.sa_handler == SIG_DFL ? 0 : 2;
}

static int scenario_callback(void)
{
    return run(callback_main, last_line, 1);
}

static int scenario_handler(void)
{
    return run(handler_main, last_line, 1);
}

static int scenario_all(void)
{
    return run(all_main, "all 2 workers and 0 spare ones are held", 2);
}

static RT_ATOMIC(int) urgent;

static void on_urgent(int sig)
{
    (void)sig;
    (void)rt_add_acq_rel(&urgent, 1);
}

/* The program wants the signal for itself. */
static int scenario_signal_taken(void)
{
    struct sigaction act = { .sa_handler = on_urgent }, now;
    if (sigaction(SIGURG, &act, NULL) < 0 || run(named_main, last_line, 2) != 0)
        return 1;
    if (sigaction(SIGURG, NULL, &now) < 0 || now.sa_handler != on_urgent)
        return 2;
    return rt_load_acquire(&urgent) == 0 ? 0 : 3;
}

static const struct t_scenario scenarios[] = {
    { "one", scenario_one },
    { "two", scenario_two },
    { "callback", scenario_callback },
    { "handler", scenario_handler },
    { "all", scenario_all },
    { "signal_taken", scenario_signal_taken },
    { 0 },
};

static void test_culprit_is_named_and_shown(void **state)
{
    static const char *const names[] = { "one", "two" };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct t_child child;
        t_child_run(names[i], &child);
        assert_true(t_child_exited(&child, 0));
        t_child_wrote(&child, "has held worker 0 for ");
        t_child_wrote(&child, "patients");
        if (RT_TSAN)
            continue; /* no signals there: number and groups only */
        t_child_wrote(&child, "culprit (spawned at ");
        t_child_wrote(&child, "stuck_report_test.c:");
        t_child_wrote(&child, "    at ");
    }
}

static void test_a_callback_is_a_culprit_too(void **state)
{
    struct t_child child;
    (void)state;
    if (RT_TSAN)
        skip();
    t_child_run("callback", &child);
    assert_true(t_child_exited(&child, 0));
    t_child_wrote(&child, "a callback has held worker 0 for ");
    t_child_wrote(&child, "wait for it: main");
}

static void test_a_task_whose_exception_handler_holds_is_a_culprit_too(void **state)
{
    struct t_child child;
    (void)state;
    t_child_run("handler", &child);
    assert_true(t_child_exited(&child, 0));
    t_child_wrote(&child, "Task-1 has held worker 0 for ");
    t_child_wrote(&child, "ms without suspending");
    t_child_wrote(&child, "wait for it: main");
}

static void test_all_held_is_said(void **state)
{
    struct t_child child;
    (void)state;
    t_child_run("all", &child);
    assert_true(t_child_exited(&child, 0));
    t_child_wrote(&child, "everything waits until one is back");
}

static void test_a_foreign_handler_stays(void **state)
{
    struct t_child child;
    (void)state;
    t_child_run("signal_taken", &child);
    assert_true(t_child_exited(&child, 0));
    t_child_wrote(&child, "Task-");
    assert_null(strstr(child.text, "    at "));
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_culprit_is_named_and_shown),
    T_TEST(test_a_callback_is_a_culprit_too),
    T_TEST(test_a_task_whose_exception_handler_holds_is_a_culprit_too),
    T_TEST(test_all_held_is_said),
    T_TEST(test_a_foreign_handler_stays),
};

T_MAIN(tests, scenarios)
