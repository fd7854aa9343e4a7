/* SPDX-License-Identifier: MIT */
/* Goal: a stack that overflows is reported and the process still dies of the signal; other faults
 * are none of our business. Method: children that fault in different ways; the parent reads what
 * they said and how they ended.
 */
#include "fiber/switch.h"

#include "base/sys.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX        512
#define PREVIOUS_STATUS 7

/* The sanitizers' own handlers would end the process in their own way. */
#define KEEP_OFF "handle_segv=0:handle_sigbus=0:handle_abort=0"

const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return KEEP_OFF;
}

const char *__tsan_default_options(void)
{
    return KEEP_OFF;
}

static struct {
    struct rt_stack own;
    struct rt_stack *stack;
    volatile char *volatile nowhere;
    volatile char sink;
} t = {.nowhere = (char *)8};

static void say(const char *text)
{
    rt_sys_stderr(text, strlen(text));
}

static void report(const struct rt_stack *s, void *addr)
{
    say("skua: stack overflow in task '");
    say(s->user != NULL ? s->user : "?");
    say((char *)addr < s->base && (char *)addr >= s->base - RT_STACK_GUARD_BYTES ? "'\n"
                                                                                 : "' elsewhere\n");
}

static RT_NO_SANITIZE RT_NOINLINE int recurse(int n)
{
    volatile char page[1024];

    page[0] = (char)n;
    t.sink = page[0];
    return n < 0 ? 0 : recurse(n + 1) + page[0];
}

static void overflowing_loop(void)
{
    recurse(1);
    abort();
}

static RT_NO_SANITIZE void fault_elsewhere(void)
{
    *t.nowhere = 1;
}

static void faulting_loop(void)
{
    fault_elsewhere();
    abort();
}

static void run(void (*loop)(void), unsigned size_class)
{
    struct rt_stack_cache cache = {0};
    int err = 0;

    if (rt_stack_adopt_thread(&t.own) < 0 || rt_stack_altstack_enter() < 0 ||
        rt_stack_overflow_handler_install(report) < 0)
        _exit(1);
    t.stack = rt_stack_get(&cache, size_class, loop, &err);
    if (t.stack == NULL)
        _exit(2);
    t.stack->user = "worm";
    rt_stack_switch(&t.own, t.stack);
    _exit(3);
}

static void child_overflow(void)
{
    run(overflowing_loop, RT_STACK_CLASS_DEFAULT);
}

static void child_overflow_large(void)
{
    run(overflowing_loop, 2);
}

static void child_overflow_mprotect(void)
{
    rt_fault_arm_from(RT_SYS_MADVISE, 1, EINVAL);
    run(overflowing_loop, RT_STACK_CLASS_DEFAULT);
}

static void child_fault(void)
{
    run(faulting_loop, RT_STACK_CLASS_DEFAULT);
}

static void previous_handler(int sig, siginfo_t *info, void *context)
{
    (void)context;
    say(sig == SIGSEGV && info->si_addr == (void *)8 ? "previous\n" : "previous, but wrong\n");
    _exit(PREVIOUS_STATUS);
}

static void child_fault_with_previous(void)
{
    struct sigaction act;

    memset(&act, 0, sizeof(act));
    act.sa_sigaction = previous_handler;
    act.sa_flags = SA_SIGINFO | SA_ONSTACK;
    if (rt_sys_sigaction(SIGSEGV, &act, NULL) < 0)
        _exit(1);
    run(faulting_loop, RT_STACK_CLASS_DEFAULT);
}

static void child_signal_sent(void)
{
    if (rt_stack_altstack_enter() < 0 || rt_stack_overflow_handler_install(report) < 0)
        _exit(1);
    kill(getpid(), SIGSEGV);
    _exit(3);
}

static void child_handler_removed(void)
{
    struct sigaction now;

    if (rt_stack_overflow_handler_install(report) < 0 ||
        rt_stack_overflow_handler_install(report) < 0)
        _exit(1);
    rt_stack_overflow_handler_remove();
    if (rt_sys_sigaction(SIGSEGV, NULL, &now) < 0 || now.sa_handler != SIG_DFL)
        _exit(2);
    if (rt_stack_overflow_handler_install(report) < 0)
        _exit(3);
    run(overflowing_loop, RT_STACK_CLASS_DEFAULT);
}

static void child_altstacks(void)
{
    stack_t ss;
    char own[1 << 16];
    stack_t mine = {.ss_sp = own, .ss_size = sizeof(own)};
    stack_t none = {.ss_flags = SS_DISABLE};

    if (rt_sys_sigaltstack(&none, NULL) < 0)
        _exit(1);
    if (rt_stack_altstack_enter() < 0 || rt_stack_altstack_enter() < 0)
        _exit(2);
    rt_stack_altstack_leave();
    if (rt_sys_sigaltstack(NULL, &ss) < 0 || ss.ss_flags == SS_DISABLE)
        _exit(3); /* entered twice, left once */
    rt_stack_altstack_leave();
    if (rt_sys_sigaltstack(NULL, &ss) < 0 || ss.ss_flags != SS_DISABLE)
        _exit(4);
    memset(own, 0, sizeof(own));
    if (rt_sys_sigaltstack(&mine, NULL) < 0 || rt_stack_altstack_enter() < 0)
        _exit(5);
    rt_stack_altstack_leave();
    if (rt_sys_sigaltstack(NULL, &ss) < 0 || ss.ss_sp != own)
        _exit(6); /* the thread's own is kept */
    (void)rt_sys_sigaltstack(&none, NULL);
    _exit(0);
}

/* Status of the child, and what it said. */
static int in_child(void (*fn)(void), char *ret_said)
{
    const struct rlimit no_core = {0, 0};
    size_t n = 0;
    char *emulator;
    ssize_t got;
    int status = 0;
    int fds[2];
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        fn();
        _exit(99);
    }
    close(fds[1]);
    while (n < SAID_MAX - 1 && (got = read(fds[0], ret_said + n, SAID_MAX - 1 - n)) > 0)
        n += (size_t)got;
    ret_said[n] = '\0';
    emulator = strstr(ret_said, "qemu: uncaught target signal"); /* its own word on the death */
    if (emulator != NULL)
        *emulator = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_report_and_signal(void (*fn)(void))
{
    char said[SAID_MAX];
    int status = in_child(fn, said);

    assert_string_equal(said, "skua: stack overflow in task 'worm'\n");
    assert_true(WIFSIGNALED(status));
    assert_true(WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

static void test_overflow_in_guard_reported_then_signal(void **state)
{
    (void)state;
    expect_report_and_signal(child_overflow);
    expect_report_and_signal(child_overflow_large);
}

static void test_overflow_in_mprotect_guard_reported_then_signal(void **state)
{
    (void)state;
    expect_report_and_signal(child_overflow_mprotect);
}

static void test_overflow_handler_removed_and_installed_again_works(void **state)
{
    (void)state;
    expect_report_and_signal(child_handler_removed);
}

static void test_overflow_fault_elsewhere_dies_silently(void **state)
{
    char said[SAID_MAX];
    int status;

    (void)state;
    status = in_child(child_fault, said);
    assert_string_equal(said, "");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_overflow_fault_elsewhere_goes_to_previous_handler(void **state)
{
    char said[SAID_MAX];
    int status;

    (void)state;
    status = in_child(child_fault_with_previous, said);
    assert_string_equal(said, "previous\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == PREVIOUS_STATUS);
}

static void test_overflow_signal_sent_by_hand_kills(void **state)
{
    char said[SAID_MAX];
    int status;

    (void)state;
    status = in_child(child_signal_sent, said);
    assert_string_equal(said, "");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_overflow_altstack_nests_and_keeps_foreign(void **state)
{
    char said[SAID_MAX];
    int status;

    (void)state;
    status = in_child(child_altstacks, said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow_in_guard_reported_then_signal),
        cmocka_unit_test(test_overflow_in_mprotect_guard_reported_then_signal),
        cmocka_unit_test(test_overflow_handler_removed_and_installed_again_works),
        cmocka_unit_test(test_overflow_fault_elsewhere_dies_silently),
        cmocka_unit_test(test_overflow_fault_elsewhere_goes_to_previous_handler),
        cmocka_unit_test(test_overflow_signal_sent_by_hand_kills),
        cmocka_unit_test(test_overflow_altstack_nests_and_keeps_foreign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
