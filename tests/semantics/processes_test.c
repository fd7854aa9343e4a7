/* SPDX-License-Identifier: MIT */
/* Child processes as users are promised them; asyncio's own are the measure: returncode, wait,
 * communicate, signals, and what a start that fails leaves behind. */
#include "../support/process.h"
#include "../support/t.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SOON = 20 };

static skua_process *started(const char *command, int in, int out)
{
    skua_process *p = NULL;
    T_EXPECT_INT(skua_process_shell(command, &p, .stdin = in, .stdout = out), 0);
    return p;
}

/* ---- returncode ---- */

static int code_of(const char *command)
{
    int code = 12345;
    skua_process *p = started(command, 0, 0);
    T_EXPECT_INT(skua_process_wait(p, SOON, &code), 0);
    int again = 54321;
    T_EXPECT_INT(skua_process_poll(p, &again), 1);
    T_EXPECT_INT(again, code);
    T_EXPECT_INT(skua_process_wait(p, INFINITY, &again), 0);
    skua_process_release(p);
    return code;
}

static void *codes_main(void *arg)
{
    T_EXPECT_INT(code_of("true"), 0);
    T_EXPECT_INT(code_of("exit 7"), 7);
    T_EXPECT_INT(code_of("exit 255"), 255);
    T_EXPECT_INT(code_of("kill -TERM $$"), -SIGTERM);
    T_EXPECT_INT(code_of("kill -KILL $$"), -SIGKILL);
    return arg;
}

static void test_returncode_is_the_status_or_minus_the_signal(void **state)
{
    /* Goal: asyncio's numbers, told again as often as asked. */
    t_run(codes_main, NULL, .real_time = true);
    t_run(codes_main, NULL, .real_time = true, .free_main = true);
}

/* ---- signals ---- */

static void *signals_main(void *arg)
{
    int code = 0;
    skua_process *p = started("exec sleep 100", 0, 0);
    T_EXPECT(skua_process_pid(p) > 0);
    T_EXPECT_INT(skua_process_poll(p, &code), 0);
    T_EXPECT_INT(skua_process_send_signal(p, 0), 0);
    T_EXPECT_INT(skua_process_send_signal(p, 4711), -EINVAL);
    T_EXPECT_INT(skua_process_send_signal(p, SIGSTOP), 0);
    T_EXPECT_INT(skua_process_wait(p, 0.02, &code), -ETIMEDOUT);
    T_EXPECT_INT(code, 0);
    T_EXPECT_INT(skua_process_terminate(p), 0);
    T_EXPECT_INT(skua_process_send_signal(p, SIGCONT), 0);
    T_EXPECT_INT(skua_process_wait(p, SOON, &code), 0);
    T_EXPECT_INT(code, -SIGTERM);
    T_EXPECT_INT(skua_process_kill(p), -ESRCH);
    T_EXPECT_INT(skua_process_terminate(p), -ESRCH);
    skua_process_release(p);
    p = started("exec sleep 100", 0, 0);
    T_EXPECT_INT(skua_process_kill(p), 0);
    T_EXPECT_INT(skua_process_wait(p, SOON, &code), 0);
    T_EXPECT_INT(code, -SIGKILL);
    skua_process_release(p);
    return arg;
}

static void test_signals_reach_it_until_it_has_ended(void **state)
{
    /* Goal: stopping is no end; afterwards -ESRCH, whoever has its number by then. */
    t_run(signals_main, NULL, .real_time = true);
}

/* ---- pipes by hand ---- */

static void *pipes_main(void *arg)
{
    char line[16] = "";
    int code = 99;
    skua_process *p = started("read a; echo got $a; read b; echo got $b", SKUA_PIPE, SKUA_PIPE);
    int in = skua_process_stdin(p), out = skua_process_stdout(p);
    T_EXPECT_INT(skua_process_stderr(p), -EINVAL);
    T_EXPECT_INT(skua_write(in, "one\n", 4, SOON), 4);
    T_EXPECT_INT(skua_read(out, line, sizeof line - 1, SOON), 8);
    T_EXPECT_STR(line, "got one\n");
    T_EXPECT_INT(skua_read(out, line, sizeof line - 1, 0.01), -ETIMEDOUT);
    T_EXPECT_INT(skua_close(in), 0);
    T_EXPECT_INT(skua_read(out, line, 4, SOON), 4);
    T_EXPECT_INT(skua_process_wait(p, SOON, &code), 0);
    T_EXPECT_INT(code, 0);
    skua_process_release(p);
    return arg;
}

static void test_pipes_are_descriptors_of_the_runtime(void **state)
{
    /* Goal: a conversation by skua_read and skua_write; closing says that there is no more. */
    t_run(pipes_main, NULL, .real_time = true);
}

/* ---- the order of ends ---- */

static void *ends_main(void *arg)
{
    struct skua_process_output out;
    for (int i = 0; i < 10; i++) {
        /* the child ends at once, its output comes later from another */
        skua_process *p = started("(sleep 0.02; echo late) & exit 4", SKUA_DEVNULL, SKUA_PIPE);
        T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, SOON), 0);
        T_EXPECT_STR(out.out, "late\n");
        T_EXPECT_INT(out.returncode, 4);
        skua_free(out.out);
        skua_process_release(p);
    }
    return arg;
}

static void test_communicate_ends_after_the_pipes_have(void **state)
{
    /* Goal: no output is lost because the exit was heard of first (gh-100133, gh-85760). */
    t_run(ends_main, NULL, .real_time = true);
}

/* ---- the loop goes on ---- */

static void *start_and_wait(void *arg)
{
    int code = 1;
    skua_process *p = started("exec sleep 0.2", 0, 0);
    int r = skua_process_wait(p, SOON, &code);
    T_EXPECT_INT(code, 0);
    skua_process_release(p);
    return r < 0 ? skua_fail(r) : arg;
}

static void *side_by_side_main(void *arg)
{
    skua_task *t[8];
    int turns = 0;
    for (int i = 0; i < 8; i++)
        t[i] = skua_spawn(start_and_wait, NULL);
    while (!skua_done(t[0]) && turns < 1000000)
        turns += skua_sleep(0.001) == 0;
    T_EXPECT(turns >= 5);
    T_EXPECT_INT(skua_gather(t, 8, NULL, SKUA_RELEASE), 0);
    return arg;
}

static void test_other_tasks_run_on_while_children_do(void **state)
{
    /* Goal: starting and waiting hold up nobody. */
    t_run(side_by_side_main, NULL, .real_time = true);
}

/* ---- wait_for and cancel, as in asyncio's chapter ---- */

static void *communicate_for_ever(void *p)
{
    int r = skua_process_communicate(p, NULL, 0, NULL, INFINITY);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *wait_for_main(void *arg)
{
    struct skua_process_output out;
    skua_process *p = started("echo before; exec sleep 100", SKUA_PIPE, SKUA_PIPE);
    skua_task *t = skua_spawn(communicate_for_ever, p);
    T_EXPECT_INT(skua_wait_for(t, 0.05, NULL), -ETIMEDOUT);
    skua_release(t);
    T_EXPECT_INT(skua_process_poll(p, NULL), 0);
    T_EXPECT_INT(skua_process_kill(p), 0);
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, SOON), 0);
    T_EXPECT_STR(out.out, "before\n");
    skua_free(out.out);
    skua_process_release(p);
    return arg;
}

static void test_a_timeout_leaves_the_child_and_what_it_wrote(void **state)
{
    /* Goal: kill, communicate again, and nothing is lost. */
    t_run(wait_for_main, NULL, .real_time = true);
}

/* ---- bad input ---- */

static void *bad_main(void *arg)
{
    skua_process *p = T_PTR(1);
    const struct skua_process_opts small = { .size = 8 };
    const struct skua_communicate_opts tiny = { .size = 1 };
    int fds = t_fds();
    T_EXPECT_INT(skua_process_shell_with("true", &p, &small), -EINVAL);
    T_EXPECT_INT(skua_process_shell(NULL, &p), -EINVAL);
    T_EXPECT_INT(skua_process_shell("true", NULL), -EINVAL);
    T_EXPECT_INT(skua_process_exec(NULL, &p), -EINVAL);
    T_EXPECT_INT(skua_process_exec(((const char *[]){ "/no/such/thing", NULL }), &p,
                                   .stdin = SKUA_PIPE, .stdout = SKUA_PIPE, .stderr = SKUA_PIPE),
                 -ENOENT);
    T_EXPECT(p == T_PTR(1));
    T_EXPECT_INT(t_fds(), fds);
    T_EXPECT_INT(skua_process_wait(NULL, 1, NULL), -EINVAL);
    T_EXPECT_INT(skua_process_poll(NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_process_kill(NULL), -EINVAL);
    T_EXPECT_INT(skua_process_pid(NULL), -EINVAL);
    T_EXPECT_INT(skua_process_stdin(NULL), -EINVAL);
    T_EXPECT_INT(skua_process_communicate(NULL, NULL, 0, NULL, 1), -EINVAL);
    skua_process_release(NULL);
    p = started("exit 2", 0, 0);
    T_EXPECT_INT(skua_process_wait(p, NAN, NULL), -EINVAL);
    T_EXPECT_INT(skua_process_communicate(p, NULL, 1, NULL, 1), -EINVAL);
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, NULL, NAN), -EINVAL);
    T_EXPECT_INT(skua_process_communicate_with(p, NULL, 0, NULL, 1, &tiny), -EINVAL);
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, NULL, SOON), 0);
    skua_process_release(p);
    return arg;
}

static void test_bad_input_gets_an_error_and_no_child(void **state)
{
    /* Goal: no program, no options, no handle, no time; outside a task -EPERM. */
    skua_process *p;
    t_run(bad_main, NULL, .real_time = true);
    assert_int_equal(skua_process_shell("true", &p), -EPERM);
}

/* ---- errno ---- */

static void *errno_main(void *arg)
{
    skua_process *p;
    errno = 4711;
    T_EXPECT_INT(skua_process_exec(((const char *[]){ "/no/such/thing", NULL }), &p), -ENOENT);
    T_EXPECT_INT(errno, 4711);
    p = started("cat", SKUA_PIPE, SKUA_PIPE);
    T_EXPECT_INT(skua_process_communicate(p, "x", 1, NULL, SOON), 0);
    skua_process_release(p);
    T_EXPECT_INT(errno, 4711);
    return arg;
}

static void test_errno_is_left_alone(void **state)
{
    /* Goal: nothing is reported through it, nothing disturbs it. */
    t_run(errno_main, NULL, .real_time = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_returncode_is_the_status_or_minus_the_signal),
    T_TEST(test_signals_reach_it_until_it_has_ended),
    T_TEST(test_pipes_are_descriptors_of_the_runtime),
    T_TEST(test_communicate_ends_after_the_pipes_have),
    T_TEST(test_other_tasks_run_on_while_children_do),
    T_TEST(test_a_timeout_leaves_the_child_and_what_it_wrote),
    T_TEST(test_bad_input_gets_an_error_and_no_child),
    T_TEST(test_errno_is_left_alone),
};

T_MAIN(tests, NULL)
