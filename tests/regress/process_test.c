/* SPDX-License-Identifier: MIT */
/* Bugs that asyncio and others had with child processes, each named after its issue. */
#include "../support/t.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static skua_process *start(const char *command)
{
    skua_process *p = NULL;
    T_EXPECT_INT(skua_process_shell(command, &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE,
                                    .stderr = SKUA_PIPE), 0);
    return p;
}

/* ---- what a child wrote is there, whenever its end is noticed ---- */

static void *order_main(void *arg)
{
    for (int i = 0; i < 10; i++) {
        skua_process *p = start("head -c 50000 /dev/zero; printf err >&2; exit 3");
        struct skua_process_output out = { 0 };
        int code = -1;
        if (i % 2) { /* the end first: what it wrote fits into the pipe */
            T_EXPECT_INT(skua_process_wait(p, 20, &code), 0);
            T_EXPECT_INT(code, 3);
        }
        T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, 20), 0);
        T_EXPECT_INT((int)out.out_n, 50000);
        T_EXPECT_INT((int)out.err_n, 3);
        T_EXPECT_INT(out.returncode, 3);
        skua_free(out.out);
        skua_free(out.err);
        skua_process_release(p);
    }
    return arg;
}

static void gh_100133_gh_85760_nothing_of_a_childs_output_is_lost_to_its_end(void **state)
{
    (void)state;
    t_run(order_main, NULL, .real_time = true);
}

/* ---- signals go to the child, or to nobody ---- */

static void *recycled_main(void *arg)
{
    for (int waited = 0; waited < 2; waited++) {
        skua_process *p = start("exit 0");
        int code = -1;
        if (waited)
            T_EXPECT_INT(skua_process_wait(p, 20, &code), 0);
        while (skua_process_poll(p, &code) == 0) /* it has ended, whether or not anybody asked */
            T_EXPECT_INT(skua_sleep(0.001), 0);
        T_EXPECT_INT(code, 0);
        T_EXPECT_INT(skua_process_send_signal(p, SIGUSR1), -ESRCH);
        T_EXPECT_INT(skua_process_terminate(p), -ESRCH);
        T_EXPECT_INT(skua_process_kill(p), -ESRCH);
        skua_process_release(p);
    }
    return arg;
}

static void gh_127049_a_signal_to_a_child_that_ended_hits_nobody(void **state)
{
    (void)state;
    t_run(recycled_main, NULL, .real_time = true);
}

static atomic_bool over;

static void *kill_often(void *p)
{
    int r = 0;
    while (!atomic_load(&over)) {
        r = skua_process_send_signal(p, SIGCONT);
        T_EXPECT(r == 0 || r == -ESRCH);
        skua_yield();
    }
    return T_PTR(r);
}

static void *wait_for_end(void *p)
{
    int code = -1;
    int r = skua_process_wait(p, 20, &code);
    return r < 0 ? skua_fail(r) : T_PTR(code);
}

static void *crowd_main(void *arg)
{
    for (int i = 0; i < 5; i++) {
        skua_process *p = start("exit 7");
        skua_task *t[5];
        void *values[5];
        atomic_store(&over, false);
        for (int k = 0; k < 5; k++)
            t[k] = skua_go(k < 2 ? kill_often : wait_for_end, p);
        T_EXPECT_INT(skua_gather(t + 2, 3, values + 2, 0), 0);
        for (int k = 2; k < 5; k++)
            T_EXPECT_INT(T_NUM(values[k]), 7);
        atomic_store(&over, true);
        T_EXPECT_INT(skua_gather(t, 5, NULL, SKUA_RELEASE), 0);
        T_EXPECT_INT(skua_process_kill(p), -ESRCH);
        skua_process_release(p);
    }
    return arg;
}

static void gh_86276_bpo_42110_many_wait_and_signal_as_it_ends(void **state)
{
    /* Goal: each who waits has the status, and each signal goes out or says -ESRCH. */
    (void)state;
    t_run(crowd_main, NULL, .real_time = true);
}

static void *reaped_main(void *arg)
{
    skua_process *p = start("exit 3");
    int code = -1;
    T_EXPECT_INT(skua_process_wait(p, 20, &code), 0);
    T_EXPECT_INT(code, 255); /* nobody knows */
    struct skua_process_output out = { 0 };
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, 20), 0);
    T_EXPECT_INT(out.returncode, 255);
    skua_free(out.out);
    skua_free(out.err);
    T_EXPECT_INT(skua_process_kill(p), -ESRCH);
    skua_process_release(p);
    return arg;
}

static int reaped_scenario(void)
{
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps children as they end */
    return skua_run(reaped_main, NULL) == 0 ? 0 : 3;
}

static void bpo_38982_a_child_that_somebody_else_reaped_ends_the_wait(void **state)
{
    struct t_child child;
    (void)state;
    t_child_run("reaped", &child);
    assert_true(t_child_exited(&child, 0));
}

/* ---- what a start that failed leaves behind ---- */

static void *failed_main(void *arg)
{
    const char *const missing[] = { "/nonexistent/program", NULL };
    const char *const here[] = { "true", NULL };
    skua_process *p = NULL;
    int before = 0;
    for (int i = 0; i < 20; i++) {
        T_EXPECT_INT(skua_process_exec(missing, &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE,
                                       .stderr = SKUA_PIPE), -ENOENT);
        T_EXPECT_INT(skua_process_exec(here, &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE,
                                       .cwd = "/nonexistent"), -ENOENT);
        T_EXPECT(p == NULL);
        if (i == 0)
            before = count_fds(); /* the runtime has opened what it keeps */
    }
    T_EXPECT_INT(count_fds(), before);
    T_EXPECT_INT(waitpid(-1, NULL, WNOHANG), -1); /* and no child */
    return arg;
}

static void bpo_35721_a_start_that_fails_leaves_no_descriptor(void **state)
{
    (void)state;
    t_run(failed_main, NULL, .real_time = true);
}

/* ---- waits that are woken for nothing ---- */

static void *early_main(void *arg)
{
    skua_process *p = start("read line; exit 5");
    int code = -1;
    for (int i = 0; i < 20; i++) { /* stopped and continued: news of it, but not its end */
        T_EXPECT_INT(skua_process_send_signal(p, i % 2 ? SIGCONT : SIGSTOP), 0);
        T_EXPECT_INT(skua_process_wait(p, 0.001, &code), -ETIMEDOUT);
        T_EXPECT_INT(skua_process_poll(p, &code), 0);
    }
    T_EXPECT_INT(code, -1);
    T_EXPECT_INT((int)skua_write(skua_process_stdin(p), "go\n", 3, 20), 3);
    T_EXPECT_INT(skua_process_wait(p, 20, &code), 0);
    T_EXPECT_INT(code, 5);
    skua_process_release(p);
    return arg;
}

static void tokio_7494_a_wait_ends_when_the_child_has_and_not_before(void **state)
{
    (void)state;
    t_run(early_main, NULL, .real_time = true);
}

static const struct t_scenario scenarios[] = {
    { "reaped", reaped_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(gh_100133_gh_85760_nothing_of_a_childs_output_is_lost_to_its_end),
    T_TEST(gh_127049_a_signal_to_a_child_that_ended_hits_nobody),
    T_TEST(gh_86276_bpo_42110_many_wait_and_signal_as_it_ends),
    T_TEST(bpo_38982_a_child_that_somebody_else_reaped_ends_the_wait),
    T_TEST(bpo_35721_a_start_that_fails_leaves_no_descriptor),
    T_TEST(tokio_7494_a_wait_ends_when_the_child_has_and_not_before),
};

T_MAIN(tests, scenarios)
