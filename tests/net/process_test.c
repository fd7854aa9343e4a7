/* SPDX-License-Identifier: MIT */
/* Goal: everybody who waits for a child hears how it ended, once and truly, whoever leaves early,
 * reaps it or releases it meanwhile; hundreds come and go and leave nothing. Method: small shell
 * commands; other reapers; the scenario "many" has ten thousand children. */
#include "process_support.h"

#include <sys/ptrace.h>

#include "loop/fd.h"
#include "sched/queues.h"

/* --- waiting --- */

enum { WAITERS = 12 };

struct wait_call {
    skua_process *p;
    double timeout;
    int r, code;
};

static void *wait_call(void *arg)
{
    struct wait_call *c = arg;
    c->r = skua_process_wait(c->p, c->timeout, &c->code);
    return NULL;
}

/* The first one watches; it leaves early, then the second one, by its timeout. */
static void *waiters_main(void *arg)
{
    struct wait_call c[WAITERS];
    skua_task *t[WAITERS];
    skua_process *p;
    struct rt_fifo out = { 0 };
    T_EXPECT_INT(skua_process_shell("read x; exit 5", &p, .stdin = SKUA_PIPE), 0);
    T_EXPECT_INT(skua_process_wait(p, 0, NULL), -ETIMEDOUT);
    T_EXPECT_INT(skua_process_wait(p, NAN, NULL), -EINVAL);
    for (int i = 0; i < WAITERS; i++) {
        c[i] = (struct wait_call){ p, i == 1 ? 0.03 : FOREVER, 1, 99 };
        t[i] = i % 3 == 2 ? skua_go(wait_call, &c[i]) : skua_spawn(wait_call, &c[i]);
        let_others_wait();
    }
    T_EXPECT(p->is_watched);
    (void)skua_cancel(t[0], NULL);
    T_EXPECT_INT(skua_join(t[0], NULL), 0);
    T_EXPECT_INT(c[0].r, -ECANCELED);
    T_EXPECT_INT(skua_join(t[1], NULL), 0);
    T_EXPECT_INT(c[1].r, -ETIMEDOUT);
    let_others_wait();
    T_EXPECT(p->is_watched);
    /* a wake for nothing */
    struct rt_fd *rec;
    uint32_t generation;
    T_EXPECT_INT(rt_fd_enter(p->pidfd.fd, &rec, &generation), 1);
    rt_fd_kick(rec, RT_DIR_IN, &out);
    (void)rt_fd_leave(rec);
    rt_ready_batch(&out);
    let_others_wait();
    T_EXPECT(p->is_watched && !p->has_ended);
    T_EXPECT_INT(skua_close(skua_process_stdin(p)), 0);
    for (int i = 2; i < WAITERS; i++) {
        T_EXPECT_INT(skua_join(t[i], NULL), 0);
        T_EXPECT_INT(c[i].r, 0);
        T_EXPECT_INT(c[i].code, 5);
    }
    T_EXPECT_INT(p->pidfd.fd, -1);
    T_EXPECT_INT(skua_process_wait(p, 0, NULL), 0);
    T_EXPECT_INT(skua_process_send_signal(p, SIGTERM), -ESRCH);
    skua_process_release(p);
    return arg;
}

static void test_process_any_number_may_wait(void **state)
{
    run_clean(waiters_main);
}

static void *released_under_main(void *arg)
{
    struct wait_call c = { .timeout = FOREVER, .r = 1 };
    T_EXPECT_INT(skua_process_shell("sleep 0.05; exit 6", &c.p), 0);
    skua_task *t = skua_spawn(wait_call, &c);
    let_others_wait();
    skua_process_release(c.p);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(c.r, 0);
    T_EXPECT_INT(c.code, 6);
    return arg;
}

static void test_process_released_under_a_wait_lets_it_end(void **state)
{
    run_clean(released_under_main);
}

/* --- other reapers --- */

static void *other_reaper_main(void *arg)
{
    skua_process *p;
    struct wait_call c = { .timeout = SOON };
    int code = 0;
    T_EXPECT_INT(skua_process_shell("exit 3", &p), 0);
    while (waitpid(skua_process_pid(p), NULL, 0) < 0 && errno == EINTR)
        continue;
    T_EXPECT_INT(skua_process_send_signal(p, SIGKILL), -ESRCH);
    T_EXPECT_INT(skua_process_wait(p, SOON, &code), 0);
    T_EXPECT_INT(code, 255);
    skua_process_release(p);
    /* under a task that waits */
    T_EXPECT_INT(skua_process_shell("read x", &c.p, .stdin = SKUA_PIPE), 0);
    skua_task *t = skua_spawn(wait_call, &c);
    let_others_wait();
    rt_wq_lock(&c.p->q); /* so that the task looks after us */
    close(dup(0));
    (void)kill(skua_process_pid(c.p), SIGKILL); /* not reaped yet, so the number is its own */
    while (waitpid(skua_process_pid(c.p), NULL, 0) < 0 && errno == EINTR)
        continue;
    rt_wq_unlock(&c.p->q, NULL);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(c.r, 0);
    T_EXPECT_INT(c.code, 255);
    skua_process_release(c.p);
    return arg;
}

static void *ignored_main(void *arg)
{
    skua_process *p;
    int code = 0;
    for (int i = 0; i < 20; i++) {
        T_EXPECT_INT(skua_process_shell("exit 3", &p), 0);
        T_EXPECT_INT(skua_process_wait(p, SOON, &code), 0);
        T_EXPECT_INT(code, 255);
        skua_process_release(p);
        T_EXPECT_INT(skua_process_exec(ARGV("true"), &p), 0);
        skua_process_release(p);
    }
    return arg;
}

static void test_process_reaped_by_others_ends_with_255(void **state)
{
    run_clean(other_reaper_main);
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    run_clean(ignored_main);
    signal(SIGCHLD, before);
}

/* --- a tracer --- */

/* Sees the end of the child, and lets its parent have it a while later. */
static int tracer_scenario(void)
{
    const char *traced = getenv("TRACED");
    int pid = traced ? atoi(traced) : 0;
    char ok = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0 ? 'y' : 'n';
    if (write(STDOUT_FILENO, &ok, 1) == 1 && ok == 'y' && read(STDIN_FILENO, &ok, 1) == 1) {
        siginfo_t info;
        (void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
        t_nap(0.1);
        (void)waitpid(pid, NULL, 0);
    }
    return 0;
}

static void *traced_main(void *arg)
{
    char ok = 'n', traced[32];
    int code = 99;
    skua_process *p, *tracer;
    T_EXPECT_INT(skua_process_shell("read x; exit 8", &p, .stdin = SKUA_PIPE), 0);
    snprintf(traced, sizeof traced, "TRACED=%d", skua_process_pid(p));
    T_EXPECT_INT(skua_process_exec(ARGV("/proc/self/exe", "--scenario", "tracer"), &tracer,
                                   .env = ARGV(traced), .stdin = SKUA_PIPE, .stdout = SKUA_PIPE),
                 0);
    T_EXPECT_INT(skua_read(skua_process_stdout(tracer), &ok, 1, SOON), 1);
    T_EXPECT(skua_write(skua_process_stdin(tracer), "g", 1, SOON) == 1 || ok == 'n');
    T_EXPECT_INT(skua_close(skua_process_stdin(p)), 0);
    double begin = t_wall();
    rt_fault_arm(RT_SYS_PIDFD_WAIT, 0, 0);
    T_EXPECT_INT(skua_process_wait(p, SOON, &code), 0);
    T_EXPECT_INT(code, 8);
    T_EXPECT(rt_fault_uses(RT_SYS_PIDFD_WAIT) < 50 + 10000 * (t_wall() - begin));
    skua_process_release(p);
    T_EXPECT_INT(skua_process_wait(tracer, SOON, &code), 0);
    skua_process_release(tracer);
    return arg;
}

static void test_process_a_tracer_sees_the_end_first_and_nobody_spins(void **state)
{
    if (!T_EMULATED) /* the kernel would start the emulator by that name */
        run_clean(traced_main);
}

static skua_process *outliving;

static void *outlive_main(void *arg)
{
    T_EXPECT_INT(skua_process_shell("read x; exit 4", &outliving, .stdin = SKUA_PIPE), 0);
    T_EXPECT_INT(skua_process_wait(outliving, 0.01, NULL), -ETIMEDOUT);
    return arg;
}

static void *outlived_main(void *arg)
{
    int code = 0;
    T_EXPECT_INT(skua_process_poll(outliving, NULL), 0);
    T_EXPECT_INT(skua_close(skua_process_stdin(outliving)), 0);
    T_EXPECT_INT(skua_process_wait(outliving, SOON, &code), 0);
    T_EXPECT_INT(code, 4);
    return arg;
}

static void test_process_outlives_its_runtime(void **state)
{
    fill_graves();
    struct t_holdings before = t_holdings();
    t_run(outlive_main, NULL, .real_time = true);
    assert_int_equal(skua_process_poll(outliving, NULL), 0);
    assert_int_equal(skua_process_wait(outliving, 1, NULL), -EPERM);
    t_run(outlived_main, NULL, .real_time = true);
    skua_process_release(outliving);
    expect_nothing_left(before);
}

/* --- many --- */

enum { MANY = T_SCALE(500, 120), AT_ONCE = 8, TEN_THOUSAND = 10000 };

static int many_left;

static void *start_many(void *arg)
{
    for (;;) {
        int n = __atomic_sub_fetch(&many_left, 1, __ATOMIC_RELAXED);
        if (n < 0)
            return arg;
        skua_process *p;
        int code = 99;
        const struct skua_process_opts opts = { .size = sizeof opts, .stdout = SKUA_PIPE,
                                                .stdin = n % 2 ? SKUA_PIPE : SKUA_DEVNULL };
        if (!T_EXPECT_INT(skua_process_exec_with(ARGV("true"), &p, &opts), 0))
            return arg;
        if (n % 5 > 0) {
            T_EXPECT_INT(skua_process_wait(p, FOREVER, &code), 0);
            T_EXPECT_INT(code, 0);
        }
        skua_process_release(p);
    }
}

static void *many_main(void *arg)
{
    skua_task *t[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        t[i] = i % 2 ? skua_go(start_many, NULL) : skua_spawn(start_many, NULL);
    for (int i = 0; i < AT_ONCE; i++)
        T_EXPECT_INT(skua_join(t[i], NULL), 0);
    return arg;
}

static void test_process_hundreds_come_and_go(void **state)
{
    many_left = MANY;
    run_clean(many_main);
}

static void test_process_ten_thousand_come_and_go(void **state)
{
    many_left = 300;
    run_clean(many_main);
    long kib = t_resident_kib();
    many_left = TEN_THOUSAND;
    run_clean(many_main);
    assert_true(t_resident_kib() - kib < 8192);
}

static int many_scenario(void)
{
    const struct CMUnitTest many[] = { T_TEST(test_process_ten_thousand_come_and_go) };
    return _cmocka_run_group_tests("process_many", many, 1, NULL, NULL);
}

static const struct t_scenario scenarios[] = {
    { "many", many_scenario },
    { "tracer", tracer_scenario },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_process_any_number_may_wait),
    T_TEST(test_process_released_under_a_wait_lets_it_end),
    T_TEST(test_process_reaped_by_others_ends_with_255),
    T_TEST(test_process_a_tracer_sees_the_end_first_and_nobody_spins),
    T_TEST(test_process_outlives_its_runtime),
    T_TEST(test_process_hundreds_come_and_go),
};

T_MAIN(tests, scenarios)
