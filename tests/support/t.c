/* SPDX-License-Identifier: MIT */
#include "t.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAILURES_KEPT = 16, DEADLINE_S = 30 };

static struct {
    atomic_int count;
    char text[FAILURES_KEPT][600];
} failures;

/* The lock is never held across a suspension: what it guards are plain copies. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[16384];
static size_t log_used;
static const char *running_test = "";

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *fmt, ...)
{
    int i = atomic_fetch_add(&failures.count, 1);
    if (i >= FAILURES_KEPT)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(failures.text[i], sizeof failures.text[i], fmt, ap);
    va_end(ap);
}

bool t_expect_at(int holds, const char *text, const char *file, int line)
{
    if (!holds)
        note("%s:%d: expected %s", file, line, text);
    return holds;
}

bool t_expect_int_at(long long a, long long b, const char *text, const char *file, int line)
{
    if (a != b)
        note("%s:%d: %s is %lld, expected %lld", file, line, text, a, b);
    return a == b;
}

bool t_expect_str_at(const char *a, const char *b, const char *text, const char *file, int line)
{
    bool same = a == b || (a && b && strcmp(a, b) == 0);
    if (!same)
        note("%s:%d: %s is \"%s\", expected \"%s\"", file, line, text, a ? a : "(null)",
             b ? b : "(null)");
    return same;
}

bool t_expect_log_at(const char *want, const char *file, int line)
{
    pthread_mutex_lock(&log_lock);
    bool same = strcmp(log_text, want) == 0;
    if (!same)
        note("%s:%d: the log reads\n    \"%s\", expected\n    \"%s\"", file, line, log_text, want);
    log_used = 0;
    log_text[0] = '\0';
    pthread_mutex_unlock(&log_lock);
    return same;
}

int t_failures(void)
{
    return atomic_load(&failures.count);
}

void t_log(const char *fmt, ...)
{
    char word[128];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(word, sizeof word, fmt, ap);
    va_end(ap);
    size_t len = n < (int)sizeof word ? (size_t)n : sizeof word - 1;
    pthread_mutex_lock(&log_lock);
    if (log_used + len + 2 <= sizeof log_text) {
        if (log_used > 0)
            log_text[log_used++] = ' ';
        memcpy(log_text + log_used, word, len);
        log_used += len;
        log_text[log_used] = '\0';
    }
    pthread_mutex_unlock(&log_lock);
}

void t_log_reset(void)
{
    pthread_mutex_lock(&log_lock);
    log_used = 0;
    log_text[0] = '\0';
    pthread_mutex_unlock(&log_lock);
}

static void forget_failures(void)
{
    atomic_store(&failures.count, 0);
}

void t_check_at(const char *file, int line)
{
    int n = t_failures();
    if (n == 0)
        return;
    for (int i = 0; i < n && i < FAILURES_KEPT; i++)
        print_error("%s\n", failures.text[i]);
    forget_failures();
    print_error("%d expectation(s) failed\n", n);
    _fail(file, line);
}

int t_run_at(skua_fn fn, void *arg, const char *file, int line, const struct t_opts *opts)
{
    void *value = NULL;
    const struct skua_run_opts run = {
        .size = sizeof run, .workers = opts->workers, .result = &value, .debug = opts->debug,
        .free_main = opts->free_main, .blocking_threads = opts->blocking_threads,
        .virtual_time = !opts->real_time, .shutdown_timeout = opts->shutdown_timeout,
    };
    int r = skua_run_with(fn, arg, &run);
    if (!opts->any) {
        t_expect_int_at(r, opts->want, "skua_run()", file, line);
        if (opts->want == 0 && opts->want_value)
            t_expect_int_at((intptr_t)value, (intptr_t)opts->want_value, "the value of main", file,
                            line);
    }
    t_check_at(file, line);
    return r;
}

/* ---- actors ---- */

void *t_ticker(void *count)
{
    for (int i = 0; i < T_NUM(count); i++) {
        t_log("%d", i);
        SKUA_IGNORE(skua_yield());
    }
    return NULL;
}

void *t_job(void *arg)
{
    const struct t_job *job = arg;
    int r = 0;
    for (int i = 0; i < job->yields && r == 0; i++)
        r = skua_yield();
    if (r == 0 && job->sleep > 0)
        r = skua_sleep(job->sleep);
    if (r < 0)
        return skua_fail(r);
    t_log("%s", job->name);
    return job->err < 0 ? skua_fail(job->err) : (void *)(uintptr_t)job->name;
}

void *t_waiter(void *arg)
{
    const struct t_waiter *w = arg;
    t_log("%s-", w->name);
    void *value = NULL;
    int r = skua_await(w->on, &value);
    t_log("%s%s", w->name, r == -ECANCELED ? "!" : r < 0 ? "?" : "");
    return r < 0 ? skua_fail(r) : value;
}

void *t_yielder(void *arg)
{
    (void)skua_yield();
    return arg;
}

void t_say(void *word)
{
    t_log("%s", (const char *)word);
}

/* ---- small change ---- */

double t_elapsed(double since)
{
    return round((skua_loop_time() - since) * 1e3) / 1e3;
}

double t_wall(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void t_nap(double seconds)
{
    struct timespec ts = { .tv_sec = (time_t)seconds };
    ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
    while (nanosleep(&ts, &ts) != 0)
        continue;
}

int t_workers(void)
{
    struct skua_stats stats = { .size = sizeof stats };
    return skua_stats_get(&stats) < 0 ? -1 : stats.workers;
}

void t_yield_times(int n)
{
    while (n-- > 0)
        SKUA_IGNORE(skua_yield());
}

/* ---- the deadline: a signal, since a thread of ours would look like work to the runtime ---- */

static void say_raw(const char *text)
{
    SKUA_IGNORE(write(STDERR_FILENO, text, strlen(text)));
}

static void on_deadline(int signo)
{
    (void)signo;
    say_raw("\ndeadline passed in ");
    say_raw(running_test);
    say_raw("; the log reads: ");
    say_raw(log_text);
    say_raw("\n");
    abort();
}

static void arm_deadline(bool scenario)
{
    const char *env = getenv("SKUA_TEST_DEADLINE");
    int seconds = env ? atoi(env) : DEADLINE_S;
    /* The scenario speaks up before the test that waits for it does. */
    if (scenario)
        seconds -= seconds / 4;
    struct sigaction act = { .sa_handler = on_deadline, .sa_flags = SA_ONSTACK };
    sigaction(SIGALRM, &act, NULL);
    alarm(seconds > 0 ? (unsigned)seconds : DEADLINE_S);
}

int t_setup(void **state)
{
    running_test = *state;
    forget_failures();
    t_log_reset();
    arm_deadline(false);
    return 0;
}

int t_teardown(void **state)
{
    (void)state;
    alarm(0);
    return t_failures() == 0 ? 0 : -1;
}

/* ---- processes of their own ---- */

static void exec_scenario(const char *scenario, int err_fd)
{
    char self[PATH_MAX] = "/proc/self/exe";
    char flag[] = "--scenario";
    char name[128];
    snprintf(name, sizeof name, "%s", scenario);
#ifdef T_EMULATOR
    /* The kernel would start the emulator's own program by that name. */
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    char *argv[] = { T_EMULATOR, self, flag, name, NULL };
#else
    char *argv[] = { self, flag, name, NULL };
#endif
    dup2(err_fd, STDERR_FILENO);
    /* A shell starts what runs in the background with SIGINT ignored. */
    signal(SIGINT, SIG_DFL);
    execvp(argv[0], argv);
    _exit(126);
}

static void read_all(int fd, char *text, size_t size)
{
    size_t used = 0;
    for (;;) {
        char spill[512];
        bool full = used + 1 >= size;
        ssize_t n = full ? read(fd, spill, sizeof spill) : read(fd, text + used, size - 1 - used);
        if (n <= 0)
            break;
        if (!full)
            used += (size_t)n;
    }
    text[used] = '\0';
}

void t_child_run(const char *scenario, struct t_child *ret_child)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        exec_scenario(scenario, fds[1]);
    }
    close(fds[1]);
    read_all(fds[0], ret_child->text, sizeof ret_child->text);
    close(fds[0]);
    ret_child->status = 0;
    assert_int_equal(waitpid(pid, &ret_child->status, 0), pid);
}

bool t_child_exited(const struct t_child *child, int code)
{
    bool is = WIFEXITED(child->status) && WEXITSTATUS(child->status) == code;
    if (!is)
        print_error("the child's status is %#x, its stderr:\n%s\n", child->status, child->text);
    return is;
}

bool t_child_killed(const struct t_child *child, int signo)
{
    bool is = WIFSIGNALED(child->status) && WTERMSIG(child->status) == signo;
    if (!is)
        print_error("the child's status is %#x, its stderr:\n%s\n", child->status, child->text);
    return is;
}

void t_child_wrote(const struct t_child *child, const char *text)
{
    if (!strstr(child->text, text))
        print_error("no \"%s\" in:\n%s\n", text, child->text);
    assert_non_null(strstr(child->text, text));
}

void t_child_did_not_write(const struct t_child *child, const char *name, const char *text)
{
    char line[sizeof child->text];
    for (const char *at = child->text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        if (strstr(line, name) && strstr(line, text))
            fail_msg("\"%s\" in:\n%s", line, child->text);
    }
}

static int run_scenario(const char *name, const struct t_scenario *scenarios)
{
    running_test = name;
    arm_deadline(true);
    for (; scenarios && scenarios->name; scenarios++) {
        if (strcmp(scenarios->name, name) != 0)
            continue;
        int code = scenarios->fn();
        for (int i = 0; i < t_failures() && i < FAILURES_KEPT; i++)
            fprintf(stderr, "%s\n", failures.text[i]);
        return t_failures() > 0 ? 99 : code;
    }
    return 125;
}

int t_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n,
           const struct t_scenario *scenarios)
{
    if (argc == 3 && strcmp(argv[1], "--scenario") == 0)
        return run_scenario(argv[2], scenarios);
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    const char *name = strrchr(argv[0], '/');
    return _cmocka_run_group_tests(name ? name + 1 : argv[0], tests, n, NULL, NULL);
}
