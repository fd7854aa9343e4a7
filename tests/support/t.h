/* SPDX-License-Identifier: MIT */
#ifndef T_H
#define T_H
/* What the tests share. cmocka's asserts jump with longjmp, which may not leave a task's stack:
 * inside tasks, callbacks and threads use T_EXPECT, which only writes the failure down; the
 * test's own stack asserts on the list once the runtime has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <skua.h>

/* ---- expectations: any thread, any stack, never jump ---- */
#define T_EXPECT(x) t_expect_at((x) ? 1 : 0, #x, __FILE__, __LINE__)
#define T_EXPECT_INT(a, b) t_expect_int_at((long long)(a), (long long)(b), #a, __FILE__, __LINE__)
#define T_EXPECT_STR(a, b) t_expect_str_at((a), (b), #a, __FILE__, __LINE__)
#define T_EXPECT_LOG(text) t_expect_log_at((text), __FILE__, __LINE__)

/* Each returns whether it held. T_EXPECT_LOG compares the event log and empties it. */
bool t_expect_at(int holds, const char *text, const char *file, int line);
bool t_expect_int_at(long long a, long long b, const char *text, const char *file, int line);
bool t_expect_str_at(const char *a, const char *b, const char *text, const char *file, int line);
bool t_expect_log_at(const char *want, const char *file, int line);
int t_failures(void);

/* ---- the event log: words separated by one space, in the order they were said ---- */
void t_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void t_log_reset(void);

/* On the test's own stack: no expectation failed so far, and the log reads as `text`. */
#define t_check() t_check_at(__FILE__, __LINE__)
#define t_check_log(text) (T_EXPECT_LOG(text), t_check())
void t_check_at(const char *file, int line);

/* ---- running main in a runtime; asserts, so only on the test's own stack ---- */
struct t_opts {
    int want;               /* what skua_run returns */
    void *want_value;       /* what main returned, where want is 0 */
    bool any;               /* do not look at the outcome */
    bool real_time;         /* the clock on the wall; default: virtual time */
    bool debug, free_main;
    int workers, blocking_threads;
    double shutdown_timeout;
    bool unused;            /* takes the last initialiser of the macro */
};
int t_run_at(skua_fn fn, void *arg, const char *file, int line, const struct t_opts *opts);
#define T_RUN_(fn, arg, ...) \
    t_run_at((fn), (arg), __FILE__, __LINE__, &(const struct t_opts){ __VA_ARGS__ })
#define t_run(fn, ...) T_RUN_(fn, __VA_ARGS__, .unused = true)

/* ---- scenarios that need a process of their own ---- */
struct t_scenario {
    const char *name;
    int (*fn)(void);        /* its result is the exit status */
};
struct t_child {
    int status;             /* as waitpid gives it */
    char text[8192];        /* what it wrote to stderr */
};
/* Runs the named scenario in a fresh process (fork, then exec of this program). */
void t_child_run(const char *scenario, struct t_child *ret_child);
bool t_child_exited(const struct t_child *child, int code);
bool t_child_killed(const struct t_child *child, int signo);
void t_child_wrote(const struct t_child *child, const char *text); /* asserts that */
/* Asserts that no line names `name` and says `text`: a slow machine may be told of for others. */
void t_child_did_not_write(const struct t_child *child, const char *name, const char *text);

/* ---- actors: tasks many tests cast ---- */
#define T_PTR(n) ((void *)(intptr_t)(n))
#define T_NUM(p) ((int)(intptr_t)(p))

/* Logs 0, 1, 2 ... one a trip through the ready queue; the argument is T_PTR(how many). */
void *t_ticker(void *count);

struct t_job {
    const char *name;
    int yields;             /* trips before it speaks */
    double sleep;
    int err;                /* 0: ends with its name as the value */
};
/* Logs its name when it is through, then ends with the name or the error. */
void *t_job(void *job);

struct t_waiter {
    skua_task *on;
    const char *name;
};
/* Logs "name-", awaits, then logs "name", "name!" (cancelled) or "name?" (failed), and ends with
 * what it got. */
void *t_waiter(void *waiter);

/* Yields once, then ends with its argument. */
void *t_yielder(void *arg);

/* Logs the word given. */
void t_say(void *word);

/* ---- small change ---- */
double t_elapsed(double since);                  /* seconds of loop time, rounded to 1 ms */
double t_wall(void);                             /* seconds of the monotonic clock */
void t_nap(double seconds);                      /* blocks the thread */
int t_workers(void);                             /* of the running runtime */
void t_yield_times(int n);

#define T_TEST(fn) { #fn, fn, t_setup, t_teardown, (void *)#fn }
int t_setup(void **state);
int t_teardown(void **state);
int t_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n,
           const struct t_scenario *scenarios);
#define T_MAIN(tests, scenarios)                                                              \
    int main(int argc, char **argv)                                                           \
    {                                                                                         \
        return t_main(argc, argv, tests, sizeof(tests) / sizeof(tests)[0], scenarios);        \
    }

#endif
