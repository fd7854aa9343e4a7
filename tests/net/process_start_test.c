/* SPDX-License-Identifier: MIT */
/* Goal: children are started with what they were promised and nothing else; what fails, is
 * cancelled or is missing leaves no child, no descriptor and no memory. Method: small shell
 * commands; injected errors; a parent without descriptors 0, 1 and 2. */
#include "process_support.h"

/* --- what the child sees --- */

static void *sees_main(void *arg)
{
    static const char *const env[] = { "PATH=/bin:/usr/bin", "COLOUR=green", NULL };
    int fds[2], third = open("/dev/null", O_RDONLY); /* not close-on-exec */
    struct skua_process_output out;
    skua_process *p;
    char want[64];
    T_EXPECT_INT(pipe(fds), 0); /* neither */
    const char *command = "echo $COLOUR; pwd; ls /proc/self/fd | tr '\\n' ' '; echo five >&4";
    T_EXPECT_INT(skua_process_shell(command, &p, .stdin = SKUA_DEVNULL, .stdout = SKUA_PIPE,
                                    .stderr = SKUA_STDOUT, .env = env, .cwd = "/proc",
                                    .pass_fds = (int[]){ third, fds[1] }, .n_pass_fds = 2), 0);
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, SOON), 0);
    /* of ls: what it was given, its pipe, and the directory that it reads */
    T_EXPECT_STR(out.out, "green\n/proc\n0 1 2 3 4 5 ");
    char text[8] = "";
    T_EXPECT_INT(read(fds[0], text, sizeof text - 1), 5);
    T_EXPECT_STR(text, "five\n");
    skua_free(out.out);
    skua_process_release(p);
    close(third);
    close(fds[0]);
    close(fds[1]);
    T_EXPECT_INT(skua_process_shell("ps -o pgid= -p $$ | tr -d ' '", &p, .stdout = SKUA_PIPE,
                                    .new_process_group = true), 0);
    snprintf(want, sizeof want, "%d\n", skua_process_pid(p));
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, SOON), 0);
    if (out.out_n > 1) /* there is a ps */
        T_EXPECT_STR(out.out, want);
    skua_free(out.out);
    skua_process_release(p);
    T_EXPECT_INT(skua_process_exec(ARGV("cat", "/proc/self/stat"), &p, .stdout = SKUA_PIPE,
                                   .start_new_session = true), 0);
    int pid = skua_process_pid(p), seen, group, session;
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, SOON), 0);
    T_EXPECT_INT(sscanf(out.out, "%d %*s %*c %*d %d %d", &seen, &group, &session), 3);
    T_EXPECT(seen == pid && group == pid && session == pid);
    skua_free(out.out);
    skua_process_release(p);
    return arg;
}

static void test_process_sees_what_it_was_given_and_nothing_else(void **state)
{
    run_clean(sees_main);
}

/* Signals: a mask, an ignored SIGPIPE and an ignored SIGHUP here. */
static void *signals_main(void *arg)
{
    char *text = output_of("grep -E 'Sig(Blk|Ign)' /proc/self/status", "", 0);
    unsigned long blocked = 1, ignored = 1;
    T_EXPECT_INT(sscanf(text, "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
    T_EXPECT_INT(blocked, 0);
    T_EXPECT(!(ignored >> (SIGPIPE - 1) & 1));
    T_EXPECT(ignored >> (SIGHUP - 1) & 1);
    skua_free(text);
    return arg;
}

static void test_process_starts_with_its_signals_in_order(void **state)
{
    sigset_t some, old;
    void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
    void (*hup_before)(int) = signal(SIGHUP, SIG_IGN);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, &old);
    run_clean(signals_main);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGHUP, hup_before);
    signal(SIGPIPE, pipe_before);
}

/* What looks like an option is not one of the shell. */
static void *dash_main(void *arg)
{
    skua_free(output_of("-no-such-program 2>/dev/null || exit 5", "", 5));
    expect_output("+no-such-program 2>/dev/null || echo called", "", "called\n");
    return arg;
}

static void test_process_shell_takes_any_command(void **state)
{
    run_clean(dash_main);
}

/* --- it cannot be started --- */

static void *missing_main(void *arg)
{
    static const int kinds[] = { 0, SKUA_PIPE, SKUA_DEVNULL };
    skua_process *p = T_PTR(1);
    int fds = t_fds();
    for (int i = 0; i < 3; i++) {
        const struct skua_process_opts opts = { .size = sizeof opts, .stdin = kinds[i],
                                                .stdout = kinds[i], .stderr = kinds[i] };
        T_EXPECT_INT(skua_process_exec_with(ARGV("/no/such/program"), &p, &opts), -ENOENT);
        T_EXPECT_INT(skua_process_exec_with(ARGV("no-such-program"), &p, &opts), -ENOENT);
        T_EXPECT_INT(skua_process_exec_with(ARGV("/"), &p, &opts), -EACCES);
        T_EXPECT_INT(t_fds(), fds);
    }
    T_EXPECT_INT(skua_process_shell("true", &p, .cwd = "/no/such/place"), -ENOENT);
    T_EXPECT_INT(skua_process_shell("true", &p, .stdout = 12345), -EBADF);
    T_EXPECT_INT(skua_process_shell("true", &p, .stdout = -77), -EINVAL);
    T_EXPECT_INT(skua_process_shell("true", &p, .stdin = SKUA_STDOUT), -EINVAL);
    T_EXPECT_INT(skua_process_shell("true", &p, .stdout = SKUA_STDOUT), -EINVAL);
    T_EXPECT_INT(skua_process_shell("true", &p, .n_pass_fds = 1), -EINVAL);
    T_EXPECT_INT(skua_process_shell("true", &p, .pass_fds = (int[]){ -1 }, .n_pass_fds = 1),
                 -EBADF);
    T_EXPECT_INT(skua_process_shell("true", &p, .process_group = -1), -EINVAL);
    T_EXPECT_INT(skua_process_shell("true", &p, .process_group = 1, .new_process_group = true),
                 -EINVAL);
    T_EXPECT_INT(skua_process_shell(NULL, &p), -EINVAL);
    T_EXPECT_INT(skua_process_shell("true", NULL), -EINVAL);
    T_EXPECT_INT(skua_process_exec_with(NULL, &p, NULL), -EINVAL);
    T_EXPECT_INT(skua_process_exec_with((const char *[]){ NULL }, &p, NULL), -EINVAL);
    T_EXPECT(p == T_PTR(1));
    T_EXPECT_INT(t_fds(), fds);
    return arg;
}

static void test_process_that_cannot_be_started_leaves_nothing(void **state)
{
    run_clean(missing_main);
    skua_process *p = NULL;
    assert_int_equal(skua_process_shell("true", &p), -EPERM);
}

/* --- everything fails once --- */

static int one_child(void)
{
    struct skua_process_output out;
    skua_process *p;
    int r = skua_process_shell("cat; echo x >&2", &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE,
                               .stderr = SKUA_PIPE, .pass_fds = (int[]){ 0 }, .n_pass_fds = 1);
    if (r < 0)
        return r;
    r = skua_process_communicate(p, "input", 5, &out, SOON);
    if (r == 0) {
        T_EXPECT_STR(out.out, rt_fault_hits(RT_SYS_WRITE) ? "" : "input"); /* EPIPE: goes on */
        T_EXPECT_STR(out.err, "x\n");
        T_EXPECT_INT(out.returncode, 0);
        skua_free(out.out);
        skua_free(out.err);
    }
    skua_process_release(p);
    return r;
}

static void *errors_main(void *arg)
{
    static const struct {
        enum rt_sys_call call;
        int err;
        int at_least; /* rounds that fail */
    } faults[] = {
        { RT_SYS_PIPE2, EMFILE, 3 },       { RT_SYS_FCNTL, EMFILE, 4 },
        { RT_SYS_CHILD_START, EAGAIN, 1 }, { RT_SYS_PIDFD_OPEN, EMFILE, 2 },
        { RT_SYS_PIDFD_WAIT, EINTR, 0 },   { RT_SYS_READ, EIO, 3 },
        { RT_SYS_WRITE, EIO, 1 },          { RT_SYS_WRITE, EPIPE, 0 },
        { RT_SYS_EPOLL_CTL, ENOMEM, 1 },   { RT_SYS_CLOSE, EIO, 0 },
        { RT_SYS_POLL, EINTR, 0 },
    };
    T_EXPECT_INT(one_child(), 0);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        int failed = 0;
        for (unsigned nth = 1; nth < SWEEP_MAX; nth++) {
            rt_fault_arm(faults[i].call, nth, faults[i].err);
            int r = one_child();
            unsigned hits = rt_fault_hits(faults[i].call);
            rt_fault_reset();
            failed += r < 0;
            if (r < 0)
                T_EXPECT_INT(r, -faults[i].err);
            if (hits == 0)
                break;
        }
        if (!T_EXPECT(failed >= faults[i].at_least))
            T_EXPECT_INT(i, -1);
    }
    return arg;
}

static void test_process_each_system_call_fails_once(void **state)
{
    run_clean(errors_main);
}

static void *memory_main(void *arg)
{
    int failed = 0;
    T_EXPECT_INT(one_child(), 0);
    for (uint64_t nth = 1; nth < SWEEP_MAX; nth++) {
        rt_fault_alloc_arm(nth);
        int r = one_child();
        uint64_t hits = rt_fault_alloc_hits();
        rt_fault_alloc_arm(0);
        T_EXPECT(r == 0 || r == -ENOMEM);
        failed += r < 0;
        if (hits == 0)
            break;
    }
    T_EXPECT(failed >= 5);
    return arg;
}

static void test_process_each_allocation_fails_once(void **state)
{
    run_clean(memory_main);
}

static void *old_kernel_main(void *arg)
{
    skua_process *p;
    rt_fault_arm(RT_SYS_PIDFD_OPEN, 1, ENOSYS);
    T_EXPECT_INT(skua_process_shell("touch /tmp/skua-process-test-never", &p), -ENOSYS);
    rt_fault_reset();
    rt_fault_arm(RT_SYS_PIDFD_WAIT, 1, EINVAL); /* Linux 5.3: there are pidfds, and no waits */
    T_EXPECT_INT(skua_process_shell("touch /tmp/skua-process-test-never", &p), -ENOSYS);
    rt_fault_reset();
    T_EXPECT_INT(access("/tmp/skua-process-test-never", F_OK), -1);
    return arg;
}

static void test_process_old_kernel_says_enosys_before_it_starts(void **state)
{
    run_clean(old_kernel_main);
}

/* --- cancelling --- */

static void *start_one(void *arg)
{
    skua_process *p;
    int r = skua_process_shell("exec sleep 100", &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE);
    if (r < 0)
        return skua_fail(r);
    (void)skua_process_kill(p);
    skua_process_release(p);
    return arg;
}

static void *cancel_main(void *arg)
{
    for (int i = 0; i < 60; i++) {
        skua_task *t = skua_go(start_one, NULL);
        SKUA_IGNORE(skua_sleep(1e-4 * (i % 12)));
        (void)skua_cancel(t, NULL);
        int r = skua_join(t, NULL);
        T_EXPECT(r == 0 || r == -ECANCELED);
    }
    return arg;
}

static void test_process_cancelled_starts_leave_no_child(void **state)
{
    run_clean(cancel_main);
}

/* --- in a process of its own --- */

static void *no_stdio_main(void *arg)
{
    expect_output("cat", "through", "through");
    struct skua_process_output out;
    skua_process *p;
    T_EXPECT_INT(skua_process_shell("echo a; echo b >&2", &p, .stdin = SKUA_DEVNULL,
                                    .stdout = SKUA_PIPE, .stderr = SKUA_PIPE), 0);
    T_EXPECT_INT(skua_process_communicate(p, NULL, 0, &out, SOON), 0);
    T_EXPECT_STR(out.out, "a\n");
    T_EXPECT_STR(out.err, "b\n");
    skua_free(out.out);
    skua_free(out.err);
    skua_process_release(p);
    return arg;
}

/* 0, 1 and 2 are free, so pipes get these numbers. */
static int no_stdio_scenario(void)
{
    int err = dup(STDERR_FILENO);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    int r = skua_run(no_stdio_main, NULL);
    dup2(err, STDERR_FILENO);
    return r < 0;
}

static void test_process_where_the_parent_has_no_stdio(void **state)
{
    static struct t_child child;
    t_child_run("no_stdio", &child);
    assert_true(t_child_exited(&child, 0));
}

static const struct t_scenario scenarios[] = {
    { "no_stdio", no_stdio_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_process_sees_what_it_was_given_and_nothing_else),
    T_TEST(test_process_starts_with_its_signals_in_order),
    T_TEST(test_process_shell_takes_any_command),
    T_TEST(test_process_that_cannot_be_started_leaves_nothing),
    T_TEST(test_process_each_system_call_fails_once),
    T_TEST(test_process_each_allocation_fails_once),
    T_TEST(test_process_old_kernel_says_enosys_before_it_starts),
    T_TEST(test_process_cancelled_starts_leave_no_child),
    T_TEST(test_process_where_the_parent_has_no_stdio),
};

T_MAIN(tests, scenarios)
