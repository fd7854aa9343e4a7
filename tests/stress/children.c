/* SPDX-License-Identifier: MIT */
/*
 * children: child processes come and go. Some end by themselves, some are killed while others wait
 * for them, some are talked to and cut off meanwhile, some are forgotten while they run, some are
 * called off while they start, some cannot be started. Caught: a zombie, a child that lives on, a
 * status that is another's, output that was lost, a leak of descriptors.
 */
#include "stress.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { PARENTS = STRESS_IS_SANITIZED ? 12 : 24, WAITERS = 3, SAID = 30000, FD_SLACK = 8 };
enum kind { EXITS, ECHOES, KILLED, FORGOTTEN, CUT_OFF, CALLED_OFF, MISSING, KINDS };

struct parent {
    struct stress_run *run;
    uint64_t seed;
    unsigned number;
    bool is_pinned;
};

/* Who waits for a child that is killed. */
struct waiter {
    struct parent *parent;
    skua_process *process;
    double timeout;
    int signo; /* that is going to end it */
};

static int start(struct parent *me, const char *command, int in, int out, skua_process **ret)
{
    int r = skua_process_shell(command, ret, .stdin = in, .stdout = out);
    STRESS_CHECK(me->run, r == 0, "a child could not be started: %d", r);
    return r;
}

static void check_wait(struct parent *me, skua_process *p, int want)
{
    int code = 4711, again = 4711;
    int r = skua_process_wait(p, INFINITY, &code);
    STRESS_CHECK(me->run, r == 0 && code == want, "wait gave %d, status %d, not %d", r, code, want);
    r = skua_process_poll(p, &again);
    STRESS_CHECK(me->run, r == 1 && again == code, "poll gave %d, status %d", r, again);
    r = skua_process_kill(p);
    STRESS_CHECK(me->run, r == -ESRCH, "a signal to a child that has ended gave %d", r);
}

/* --- one kind each --- */

static void exits(struct parent *me, struct stress_rng *rng)
{
    char command[32];
    skua_process *p;
    unsigned status = stress_below(rng, 256);
    snprintf(command, sizeof command, "exit %u", status);
    if (start(me, command, SKUA_DEVNULL, 0, &p) < 0)
        return;
    if (stress_below(rng, 2))
        SKUA_IGNORE(skua_sleep(1e-6 * stress_below(rng, 3000)));
    check_wait(me, p, (int)status);
    skua_process_release(p);
}

static void echoes(struct parent *me, struct stress_rng *rng)
{
    struct skua_process_output out;
    skua_process *p;
    size_t n = stress_below(rng, SAID);
    char *said = malloc(SAID);
    if (said == NULL || start(me, "exec cat", SKUA_PIPE, SKUA_PIPE, &p) < 0) {
        free(said);
        return;
    }
    for (size_t i = 0; i < n; i++)
        said[i] = (char)stress_mix(me->seed + i / 64);
    int r = skua_process_communicate(p, said, n, &out, INFINITY);
    STRESS_CHECK(me->run, r == 0, "communicate gave %d", r);
    if (r == 0) {
        STRESS_CHECK(me->run, out.returncode == 0, "cat ended with %d", out.returncode);
        STRESS_CHECK(me->run, out.out_n == n && memcmp(out.out, said, n) == 0,
                     "an echo of %zu bytes came out wrong", n);
        skua_free(out.out);
    }
    skua_process_release(p);
    free(said);
}

static void *wait_for_it(void *arg)
{
    struct waiter *w = arg;
    int code = 4711;
    int r = skua_process_wait(w->process, w->timeout, &code);
    STRESS_CHECK(w->parent->run, r == 0 || r == -ECANCELED || (r == -ETIMEDOUT && w->timeout < 1),
                 "a waiter got %d", r);
    STRESS_CHECK(w->parent->run, r < 0 || code == -w->signo, "a waiter got status %d, not %d", code,
                 -w->signo);
    return NULL;
}

static void killed(struct parent *me, struct stress_rng *rng)
{
    struct waiter waiter[WAITERS];
    skua_task *t[WAITERS];
    skua_process *p;
    int signo = stress_below(rng, 2) ? SIGKILL : SIGTERM;
    bool at_home = me->is_pinned && stress_below(rng, 2);
    if (start(me, "exec sleep 1000", SKUA_DEVNULL, 0, &p) < 0)
        return;
    for (int i = 0; i < WAITERS; i++) {
        double timeout = stress_below(rng, 3) ? INFINITY : 1e-6 * stress_below(rng, 3000);
        waiter[i] = (struct waiter){me, p, timeout, signo};
        t[i] = !at_home && stress_below(rng, 2) ? skua_go(wait_for_it, &waiter[i])
                                                : skua_spawn(wait_for_it, &waiter[i]);
        if (stress_task(me->run, t[i]) == NULL)
            abort();
    }
    SKUA_IGNORE(skua_sleep(1e-6 * stress_below(rng, 3000)));
    if (stress_below(rng, 2))
        (void)skua_cancel(t[stress_below(rng, WAITERS)], NULL);
    int r = skua_process_send_signal(p, signo);
    STRESS_CHECK(me->run, r == 0, "a signal gave %d", r);
    if (stress_below(rng, 2))
        check_wait(me, p, -signo);
    /* Under those who wait: all have begun by now where they are tasks of the same group. */
    bool early = at_home && stress_below(rng, 2);
    if (early)
        skua_process_release(p);
    for (int i = 0; i < WAITERS; i++)
        SKUA_IGNORE(skua_join(t[i], NULL)); /* it may have been cancelled */
    if (!early)
        skua_process_release(p);
}

static void forgotten(struct parent *me, struct stress_rng *rng)
{
    skua_process *p;
    int r = stress_below(rng, 2) ? start(me, "read x", SKUA_PIPE, 0, &p)
                                 : start(me, "exec sleep 0.01", SKUA_DEVNULL, 0, &p);
    if (r == 0)
        skua_process_release(p); /* closes what it reads */
}

/* Says so many bytes, slowly; heard in many calls. */
static void cut_off(struct parent *me, struct stress_rng *rng)
{
    struct skua_process_output out;
    skua_process *p;
    const char *command = "head -c 20000 /dev/zero; sleep 0.005; head -c 10000 /dev/zero";
    if (start(me, command, SKUA_DEVNULL, SKUA_PIPE, &p) < 0)
        return;
    int r;
    do {
        r = skua_process_communicate(p, NULL, 0, &out, 1e-6 * stress_below(rng, 2000));
    } while (r == -ETIMEDOUT);
    STRESS_CHECK(me->run, r == 0, "communicate gave %d", r);
    if (r == 0) {
        STRESS_CHECK(me->run, out.out_n == SAID, "%zu of %d bytes were heard", out.out_n, SAID);
        skua_free(out.out);
    }
    skua_process_release(p);
}

static void *start_one(void *arg)
{
    struct parent *me = arg;
    skua_process *p;
    int r = skua_process_shell("exec sleep 1000", &p, .stdin = SKUA_PIPE, .stdout = SKUA_PIPE);
    STRESS_CHECK(me->run, r == 0 || r == -ECANCELED, "a start gave %d", r);
    if (r < 0)
        return skua_fail(r);
    r = skua_process_communicate(p, NULL, 0, NULL, 1e-3);
    (void)skua_process_kill(p);
    skua_process_release(p);
    return NULL;
}

static void called_off(struct parent *me, struct stress_rng *rng)
{
    skua_task *t = stress_task(me->run, skua_go(start_one, me));
    SKUA_IGNORE(skua_sleep(1e-6 * stress_below(rng, 2000)));
    (void)skua_cancel(t, NULL);
    SKUA_IGNORE(skua_join(t, NULL)); /* either way */
}

static void missing(struct parent *me, struct stress_rng *rng)
{
    static const char *const argv[] = {"/nonexistent/program", NULL};
    skua_process *p;
    int out = stress_below(rng, 2) ? SKUA_PIPE : SKUA_DEVNULL;
    int r = skua_process_exec(argv, &p, .stdin = SKUA_PIPE, .stdout = out, .stderr = SKUA_STDOUT);
    STRESS_CHECK(me->run, r == -ENOENT, "a missing program gave %d", r);
}

/* --- the round --- */

static void *parent_main(void *arg)
{
    static void (*const acts[KINDS])(struct parent *, struct stress_rng *) = {
        exits, echoes, killed, forgotten, cut_off, called_off, missing};
    struct parent *me = arg;
    struct stress_rng rng = stress_rng_new(me->seed, me->number);
    for (int i = 0; i < 2; i++) {
        acts[stress_below(&rng, KINDS)](me, &rng);
        stress_op(me->run);
    }
    return NULL;
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static long count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long n = 0;
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

/* Those that were forgotten end a little later. */
static void settle(struct stress_run *run)
{
    double deadline = stress_now() + 10;
    if (run->fd_base == 0)
        run->fd_base = count_fds();
    while ((has_children() || count_fds() > run->fd_base + FD_SLACK) && stress_now() < deadline)
        SKUA_IGNORE(skua_sleep(0.001));
    STRESS_CHECK(run, !has_children(), "a child was not reaped");
    STRESS_CHECK(run, count_fds() <= run->fd_base + FD_SLACK, "%ld descriptors open, %ld before",
                 count_fds(), run->fd_base);
}

static void children_round(struct stress_run *run, uint64_t seed)
{
    struct stress_rng rng = stress_rng_new(seed, 1);
    struct parent parent[PARENTS];
    skua_task *t[PARENTS];
    if (run->fd_base == 0)
        run->fd_base = count_fds();
    for (unsigned i = 0; i < PARENTS; i++) {
        int at = (int)stress_below(&rng, (unsigned)run->group_count + 1);
        parent[i] = (struct parent){run, seed, i + 2, at < run->group_count};
        t[i] = at < run->group_count ? skua_spawn(parent_main, &parent[i], .group = run->group[at])
                                     : skua_go(parent_main, &parent[i]);
        if (stress_task(run, t[i]) == NULL)
            abort();
    }
    for (unsigned i = 0; i < PARENTS; i++) {
        int r = skua_join(t[i], NULL);
        STRESS_CHECK(run, r == 0, "join gave %d", r);
    }
    settle(run);
}

STRESS_CASE(720, "children", "child processes started, killed, waited for, talked to and forgotten",
            children_round);
