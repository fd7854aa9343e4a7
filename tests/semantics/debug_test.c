/* SPDX-License-Identifier: MIT */
/* Debug mode: rule 17. Each case is a process of its own, since it is about what that process
 * writes to stderr. Who is slow is slow until its report has come, so nothing here is timed. */
#include "../support/stderr.h"
#include "../support/t.h"

#include <math.h>
#include <pthread.h>

#include "base/san.h"

enum { PATIENCE = 20 };

/* ---- slow callbacks ---- */

static void hold_until(const char *text)
{
    for (double end = t_wall() + PATIENCE; !t_stderr_has(text) && t_wall() < end;)
        continue;
}

static void slow_callback(void *arg)
{
    (void)arg;
    hold_until("wait for it");
}

/* Again and again something short, until the watch has said that the long one is over. */
static void *wait_for_the_end(void *text)
{
    for (double end = t_wall() + PATIENCE; !t_stderr_has(text) && t_wall() < end;)
        T_EXPECT_INT(skua_sleep(0.001), 0);
    return NULL;
}

static void *callback_main(void *text)
{
    T_EXPECT_INT(skua_set_slow_callback_duration(0.03), 0);
    (void)skua_call_soon(slow_callback, NULL);
    return wait_for_the_end(text);
}

static void *slow_task(void *arg)
{
    hold_until("wait for it");
    return arg;
}

static void *task_main(void *text)
{
    T_EXPECT_INT(skua_set_slow_callback_duration(0.03), 0);
    T_EXPECT_INT(skua_join(skua_spawn(slow_task, NULL, .name = "sloth"), NULL), 0);
    return wait_for_the_end(text);
}

static int slow(skua_fn fn, const char *text)
{
    t_stderr_catch();
    int r = skua_run(fn, (void *)(uintptr_t)text, .debug = true);
    t_stderr_give_back();
    return t_failures() ? 2 : r == 0 ? 0 : 1;
}

static int slow_callback_scenario(void)
{
    return slow(callback_main, "ms in all");
}

static int slow_task_scenario(void)
{
    return slow(task_main, "ms in all");
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

static void test_rule_17_a_slow_callback_is_named_while_it_runs_and_measured(void **state)
{
    /* Goal: one report with a backtrace while it still holds the loop, one line at its end. */
    struct t_child child;
    (void)state;
    if (RT_TSAN)
        skip(); /* no signals there, so nobody knows of callbacks */
    t_child_run("slow_callback", &child);
    assert_true(t_child_exited(&child, 0));
    assert_int_equal(count_of(child.text, "has held worker 0 for"), 1);
    t_child_wrote(&child, "held worker 0 for");
    t_child_wrote(&child, "ms in all");
}

static void test_rule_17_a_slow_task_likewise(void **state)
{
    /* Goal: the same for one step of a task. */
    struct t_child child;
    (void)state;
    t_child_run("slow_task", &child);
    assert_true(t_child_exited(&child, 0));
    assert_int_equal(count_of(child.text, "has held worker 0 for"), 1);
    t_child_wrote(&child, "ms in all");
}

/* ---- the wrong thread ---- */

static void never(void *arg)
{
    (void)arg;
    t_log("never");
}

static void *on_a_thread(void *arg)
{
    T_EXPECT_INT(skua_call_soon(never, NULL).id, 0);
    T_EXPECT_INT(skua_call_later(0, never, NULL).id, 0);
    T_EXPECT_INT(skua_call_at(0, never, NULL).id, 0);
    T_EXPECT_INT(skua_add_reader(0, never, NULL), -EPERM);
    T_EXPECT_INT(skua_remove_writer(0), -EPERM);
    T_EXPECT_INT(skua_add_signal_handler(10, never, NULL), -EPERM);
    T_EXPECT_INT(skua_set_slow_callback_duration(1), -EPERM);
    return arg;
}

static void *in_a_free_task(void *arg)
{
    T_EXPECT_INT(skua_call_soon(never, NULL).id, 0);
    return arg;
}

static void *wrong_main(void *arg)
{
    pthread_t thread;
    T_EXPECT_INT(pthread_create(&thread, NULL, on_a_thread, NULL), 0);
    pthread_join(thread, NULL);
    T_EXPECT_INT(skua_join(skua_go(in_a_free_task, NULL), NULL), 0);
    T_EXPECT_INT(skua_sleep(0.01), 0);
    return arg;
}

static int wrong_thread_scenario(void)
{
    int r = skua_run(wrong_main, NULL, .debug = true);
    return r == 0 && t_failures() == 0 ? 0 : 1;
}

static int wrong_thread_quiet_scenario(void)
{
    int r = skua_run(wrong_main, NULL);
    return r == 0 && t_failures() == 0 ? 0 : 1;
}

static void test_rule_17_a_call_on_the_wrong_thread_is_refused_and_named(void **state)
{
    /* Goal: an error in every mode, and in debug mode the name of the call. */
    static const char *const calls[] = { "skua_call_soon()", "skua_call_later()",
                                         "skua_call_at()", "skua_add_reader()",
                                         "skua_remove_writer()", "skua_add_signal_handler()" };
    struct t_child child;
    (void)state;
    t_child_run("wrong_thread", &child);
    assert_true(t_child_exited(&child, 0));
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        t_child_wrote(&child, calls[i]);
    t_child_wrote(&child, "skua_call_soon() in a free task");
    t_child_run("wrong_thread_quiet", &child);
    assert_true(t_child_exited(&child, 0));
    assert_string_equal(child.text, "");
}

static void *bad_main(void *arg)
{
    T_EXPECT_INT(skua_set_slow_callback_duration(NAN), -EINVAL);
    T_EXPECT_INT(skua_set_slow_callback_duration(0), -EINVAL);
    T_EXPECT_INT(skua_set_slow_callback_duration(-1), -EINVAL);
    T_EXPECT_INT(skua_set_slow_callback_duration(1e300), 0);
    T_EXPECT_INT(skua_set_slow_callback_duration(INFINITY), 0);
    return arg;
}

static void test_bad_durations(void **state)
{
    /* Goal: a clear error. */
    (void)state;
    t_run(bad_main, NULL);
    t_check();
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_rule_17_a_slow_callback_is_named_while_it_runs_and_measured),
    T_TEST(test_rule_17_a_slow_task_likewise),
    T_TEST(test_rule_17_a_call_on_the_wrong_thread_is_refused_and_named),
    T_TEST(test_bad_durations),
};
static const struct t_scenario scenarios[] = {
    { "slow_callback", slow_callback_scenario },
    { "slow_task", slow_task_scenario },
    { "wrong_thread", wrong_thread_scenario },
    { "wrong_thread_quiet", wrong_thread_quiet_scenario },
    { 0 },
};
T_MAIN(tests, scenarios)
