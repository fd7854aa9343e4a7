/* SPDX-License-Identifier: MIT */
/* Goal: a hundred thousand tasks sleep on guarded stacks of one page each, all wake up, and what
 * they took comes back; where stacks run out, whoever cannot wait is told so, once in words, and
 * nothing hangs. Method: each crowd sleeps in a process of its own, in virtual time, while its main
 * task asks the kernel for the memory; a million is the scenario "million" of ./check --full.
 */
#include "scale.h"
#include "t.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/sys.h"
#include "sched/worker.h"

enum {
    KIB = 1024,
    CROWD = T_SCALE(100000, 2000),
    MILLION = 1000000,
    BYTES_MAX = 5000,       /* of memory and page tables, for each sleeper */
    LEFT_MAX = 40 * KIB,    /* KiB of a hundred thousand after the run */
    CAP = T_SCALE((int)RT_STACK_MPROTECT_CAP, 0),
    OVER = CAP + 4000,
    GUARDS = 100,
};

/* KiB that the process has in memory, page tables included. */
static long memory(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char  line[256];
    long  sum = 0, n = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld kB", &n) == 1 || sscanf(line, "VmPTE: %ld kB", &n) == 1)
            sum += n;
    if (f)
        fclose(f);
    return sum;
}

struct crowd {
    int         n;
    bool        mixed;    /* every other one is free */
    skua_task **t;
    long        before;   /* KiB */
    int         slept;    /* woke up in time */
    int         refused;  /* were told that there is no stack */
    long        asleep;   /* KiB more than before, all of them asleep */
};

static void *sleeper(void *arg)
{
    int r = skua_sleep(10);
    return r == 0 ? arg : skua_fail(r);
}

/* The kernel refuses to read from right below a sleeper's stack, and reads the stack. */
static bool is_guarded(skua_task *t)
{
    int fds[2];
    T_EXPECT(t->stack != NULL);
    T_EXPECT_INT(rt_sys_pipe2(fds, O_CLOEXEC), 0);
    bool is = rt_sys_write(fds[1], t->stack->base - 1, 1) == -EFAULT &&
              rt_sys_write(fds[1], t->stack->base, 1) == 1;
    rt_sys_close(fds[0]);
    rt_sys_close(fds[1]);
    return is;
}

static void count_ends(struct crowd *c)
{
    for (int i = 0; i < c->n; i++) {
        void *value = NULL;
        int   r = c->t[i] ? skua_join(c->t[i], &value) : -ENOMEM;
        c->slept += r == 0 && T_NUM(value) == i;
        c->refused += r == -ENOMEM;
    }
}

static void *sleep_all(void *arg)
{
    struct crowd     *c = arg;
    struct skua_stats stats = { .size = sizeof stats };
    c->t = calloc((size_t)c->n, sizeof(skua_task *));
    for (int i = 0; i < c->n; i++)
        c->t[i] = c->mixed && i % 2 ? skua_go(sleeper, T_PTR(i)) : skua_spawn(sleeper, T_PTR(i));
    T_EXPECT_INT(skua_sleep(5), 0);
    c->asleep = memory() - c->before;
    for (int i = 0; i < c->n && !c->mixed && !T_SANITIZED; i += 1 + c->n / GUARDS)
        T_EXPECT(!c->t[i] || skua_done(c->t[i]) || is_guarded(c->t[i]));
    count_ends(c);
    T_EXPECT_INT(skua_stats_get(&stats), 0);
    T_EXPECT_INT(stats.tasks_alive, 1);
    free(c->t);
    return NULL;
}

static int run_crowd(struct crowd *c, int workers)
{
    int64_t live = rt_mem_live();
    c->before = memory();
    int r = skua_run(sleep_all, c, .virtual_time = true, .workers = workers);
    T_EXPECT_INT(rt_mem_live() - live <= 8, true); /* the closed loop is kept for a while */
    T_EXPECT_INT(rt_stacks_idle(), rt_stacks_created());
    return r;
}

/* --- enough for all --- */

static int all_sleep(int n, bool mixed, int workers)
{
    struct crowd c = { .n = n, .mixed = mixed };
    T_EXPECT_INT(run_crowd(&c, workers), 0);
    T_EXPECT_INT(c.slept, n);
    T_EXPECT_INT(c.refused, 0);
    if (T_SANITIZED)
        return 0;
    long left = memory() - c.before;
    long each = c.asleep * KIB / n;
    fprintf(stderr, "%d sleepers: %ld KiB, %ld bytes each; %ld KiB after the run\n", n, c.asleep,
            each, left);
    T_EXPECT(each < BYTES_MAX);
    T_EXPECT(left / (n / CROWD) < LEFT_MAX);
    return 0;
}

static int scenario_crowd(void)
{
    return all_sleep(CROWD, false, 1);
}

static int scenario_mixed(void)
{
    return all_sleep(CROWD, true, 2);
}

static int scenario_million(void)
{
    return all_sleep(MILLION, false, 2);
}

static void expect_success(const char *scenario)
{
    struct t_child child;
    t_child_run(scenario, &child);
    assert_true(t_child_exited(&child, 0));
    print_message("%s", child.text);
}

static void test_sleepers_hundred_thousand_one_page_each(void **state)
{
    expect_success("crowd");
}

static void test_sleepers_hundred_thousand_pinned_and_free(void **state)
{
    expect_success("mixed");
}

/* --- while the runtime goes on --- */

static void *one_turn(void *arg)
{
    SKUA_IGNORE(skua_yield());
    return arg;
}

/* All workers sleep meanwhile: it is the watch that gives memory back. */
static void *peak_and_quiet(void *arg)
{
    enum { PEAK = 4000 };
    static skua_task *t[PEAK];
    long              before = memory();
    for (int i = 0; i < PEAK; i++)
        t[i] = skua_spawn(one_turn, NULL);
    T_EXPECT_INT(skua_gather(t, PEAK, NULL, SKUA_RELEASE), 0);
    long peak = memory();
    while (rt_stacks_untended())
        T_EXPECT_INT(skua_sleep(0.5), 0);
    T_EXPECT(T_SANITIZED || memory() - before < (peak - before) * 2 / 3);
    return arg;
}

static int scenario_peak(void)
{
    return skua_run(peak_and_quiet, NULL, .workers = 2);
}

static void test_sleepers_peak_is_forgotten_while_the_run_goes_on(void **state)
{
    expect_success("peak");
}

/* --- not enough --- */

/* Some sleep, the others are told; after that a small run has all it needs. */
static int some_sleep(int n, int least, int most)
{
    struct crowd c = { .n = n };
    for (int round = 0; round < 2; round++) {
        c.slept = c.refused = 0;
        T_EXPECT_INT(run_crowd(&c, 1), 0);
        T_EXPECT(c.slept >= least && c.slept <= most);
        T_EXPECT_INT(c.slept + c.refused, n);
    }
    struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
    T_EXPECT_INT(setrlimit(RLIMIT_AS, &none), 0);
    rt_fault_reset();
    c = (struct crowd){ .n = 20, .mixed = true };
    T_EXPECT_INT(run_crowd(&c, 2), 0);
    T_EXPECT_INT(c.slept, 20);
    return 0;
}

static int scenario_capped(void)
{
    rt_fault_arm(RT_SYS_MADVISE, 1, EINVAL); /* the probe of cheap guards */
    T_EXPECT(!rt_stack_guards_are_cheap());
    return some_sleep(OVER, CAP - 8, CAP);
}

static int scenario_no_mappings(void)
{
    rt_fault_arm(RT_SYS_MADVISE, 1, EINVAL);
    T_EXPECT(!rt_stack_guards_are_cheap());
    rt_fault_arm_from(RT_SYS_MPROTECT, GUARDS + 1, ENOMEM); /* as at vm.max_map_count */
    return some_sleep(4 * GUARDS, GUARDS - 8, GUARDS);
}

static int scenario_no_addresses(void)
{
    enum { ROOM = 400 << 20, MANY = 20000, LEAST = 2000 };
    FILE         *f = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;
    T_EXPECT_INT(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    rlim_t        room = pages * rt_sys_page_size() + ROOM;
    struct rlimit limit = { room, RLIM_INFINITY };
    T_EXPECT_INT(setrlimit(RLIMIT_AS, &limit), 0);
    return some_sleep(MANY, LEAST, MANY - 1);
}

static int scenario_none_at_start(void)
{
    struct crowd c = { .n = 1 };
    (void)rt_stack_guards_are_cheap(); /* decided before anything fails */
    rt_fault_arm_from(RT_SYS_MADVISE, 1, ENOMEM);
    rt_fault_arm_from(RT_SYS_MPROTECT, 1, ENOMEM);
    for (int workers = 1; workers <= 4; workers *= 2)
        T_EXPECT_INT(skua_run(sleep_all, &c, .workers = workers), -ENOMEM);
    rt_fault_reset();
    T_EXPECT_INT(run_crowd(&c, 2), 0);
    T_EXPECT_INT(c.slept, 1);
    return 0;
}

static int occurrences(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        n++;
    return n;
}

/* Said once in each of the two runs, with the place of the crowd. */
static void expect_shortage(const char *scenario, const char *words)
{
    struct t_child child;
    t_child_run(scenario, &child);
    assert_true(t_child_exited(&child, 0));
    if (occurrences(child.text, words) != 2 || !strstr(child.text, "sleepers_test.c:") ||
        occurrences(child.text, "\n") > 8)
        fail_msg("the child wrote: %s", child.text);
}

static void test_sleepers_more_than_mprotect_guards_are_told(void **state)
{
    if (T_SANITIZED)
        skip();
    expect_shortage("capped", "skua: no stack for one more waiting task: 16384 are the most");
}

static void test_sleepers_more_than_mappings_are_told(void **state)
{
    expect_shortage("no mappings", "skua: no memory for the stack of one more waiting task");
}

static void test_sleepers_more_than_addresses_are_told(void **state)
{
    if (T_SANITIZED)
        skip();
    expect_shortage("no addresses", "skua: no memory for the stack of one more waiting task");
}

static void test_sleepers_no_stack_at_start_is_an_error_of_run(void **state)
{
    expect_success("none at start");
}

static const struct t_scenario scenarios[] = {
    { "crowd", scenario_crowd },
    { "mixed", scenario_mixed },
    { "million", scenario_million },
    { "peak", scenario_peak },
    { "capped", scenario_capped },
    { "no mappings", scenario_no_mappings },
    { "no addresses", scenario_no_addresses },
    { "none at start", scenario_none_at_start },
    { NULL, NULL },
};

static const struct CMUnitTest tests[] = {
    T_TEST(test_sleepers_hundred_thousand_one_page_each),
    T_TEST(test_sleepers_hundred_thousand_pinned_and_free),
    T_TEST(test_sleepers_peak_is_forgotten_while_the_run_goes_on),
    T_TEST(test_sleepers_more_than_mprotect_guards_are_told),
    T_TEST(test_sleepers_more_than_mappings_are_told),
    T_TEST(test_sleepers_more_than_addresses_are_told),
    T_TEST(test_sleepers_no_stack_at_start_is_an_error_of_run),
};
T_MAIN(tests, scenarios)
