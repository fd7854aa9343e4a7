/* SPDX-License-Identifier: MIT */
/* What the tests of children share: running a body that leaves nothing behind, and the output of a
 * command. */
#ifndef TESTS_NET_PROCESS_SUPPORT_H
#define TESTS_NET_PROCESS_SUPPORT_H

#include "net_support.h"

#include "net/process.h"
#include "scale.h"
#include "t.h"

#include <signal.h>

enum { SWEEP_MAX = 60, SOON = 20 };

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* --- nothing is left --- */

/* Children of this process that nobody has reaped, running or not. */
static UNUSED bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* The reaper and the threads of lanes go a moment later. */
static UNUSED void expect_nothing_left(struct t_holdings before)
{
    for (int i = 0; i < 10000; i++) {
        if (!has_children() && t_fds() <= before.fds && rt_mem_live() <= before.allocations)
            break;
        t_nap(0.001);
    }
    assert_false(has_children());
    t_holds_the_same(before);
}

static UNUSED void *nothing(void *arg)
{
    return arg;
}

/* What users closed is kept for a while: until that is full the count of allocations grows. */
static UNUSED void fill_graves(void)
{
    static bool full;
    for (int i = 0; !full && i < 70; i++)
        t_run(nothing, NULL, .workers = 2);
    full = true;
}

static UNUSED void run_clean(skua_fn body)
{
    fill_graves();
    struct t_holdings before = t_holdings();
    t_run(body, NULL, .real_time = true, .workers = 2);
    expect_nothing_left(before);
}

/* --- the output of a command --- */

static UNUSED char *output_of(const char *command, const char *input, int want)
{
    struct skua_process_output out = { 0 };
    skua_process *p = NULL;
    int r = skua_process_shell(command, &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE);
    if (T_EXPECT_INT(r, 0)) {
        r = skua_process_communicate(p, input, strlen(input), &out, SOON);
        T_EXPECT_INT(r, 0);
        T_EXPECT_INT(out.returncode, want);
        T_EXPECT(out.err == NULL && out.err_n == 0);
        skua_process_release(p);
    }
    return out.out;
}

static UNUSED void expect_output(const char *command, const char *input, const char *want)
{
    char *text = output_of(command, input, 0);
    T_EXPECT_STR(text, want);
    skua_free(text);
}

#endif
