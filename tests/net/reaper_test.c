/* SPDX-License-Identifier: MIT */
/* Goal: children that were released while they ran are reaped, also without a runtime, and the
 * thread that does it goes when it is not needed. Method: it cannot be made at first. */
#include "process_support.h"

#include <dirent.h>

#include "base/san.h"
#include "scale.h"

/* --- released while they run --- */

static void *forget_main(void *arg)
{
    skua_process *p;
    for (int i = 0; i < 10; i++) {
        T_EXPECT_INT(skua_process_shell(i % 2 ? "true" : "sleep 0.1", &p), 0);
        skua_process_release(p);
    }
    skua_process_release(NULL);
    T_EXPECT(t_threads() > 0);
    return arg;
}

static void test_reaper_takes_what_was_forgotten(void **state)
{
    run_clean(forget_main);
    run_clean(forget_main);
}

static bool has_reaper(void)
{
    char path[300], name[32] = "";
    bool found = false;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *e; dir && !found && (e = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        found = f && fgets(name, sizeof name, f) && strcmp(name, "skua-reap\n") == 0;
        if (f)
            fclose(f);
    }
    closedir(dir);
    return found;
}

static void *no_reaper_main(void *arg)
{
    static const enum rt_sys_call calls[] = { RT_SYS_EPOLL_CREATE, RT_SYS_THREAD_CREATE,
                                              RT_SYS_EPOLL_CTL };
    skua_process *p;
    for (int i = 0; i < 3; i++) {
        while (has_reaper())
            SKUA_IGNORE(skua_sleep(0.001));
        T_EXPECT_INT(skua_process_shell("sleep 0.2", &p), 0); /* outlives its release */
        rt_fault_arm(calls[i], 1, EMFILE);
        skua_process_release(p);
        T_EXPECT(rt_fault_hits(calls[i]) == 1);
        rt_fault_reset();
        T_EXPECT_INT(skua_process_shell("true", &p), 0); /* the next one looks after it */
        T_EXPECT_INT(skua_process_wait(p, SOON, NULL), 0);
        skua_process_release(p);
    }
    return arg;
}

static void test_reaper_that_cannot_be_made_is_made_later(void **state)
{
    run_clean(no_reaper_main);
}

/* --- a fork of a program whose reaper is at work --- */

static void *forget_long_main(void *arg)
{
    skua_process *p;
    T_EXPECT_INT(skua_process_exec(ARGV("sleep", "1"), &p), 0);
    skua_process_release(p);
    return arg;
}

static void *forget_short_main(void *arg)
{
    skua_process *p;
    T_EXPECT_INT(skua_process_exec(ARGV("sleep", "0.05"), &p), 0);
    skua_process_release(p);
    return arg;
}

/* In the fork there is the memory of the reaper, but no thread and none of its children. */
static int forked(void)
{
    if (skua_run(forget_short_main, NULL) < 0)
        return 2;
    for (int i = 0; i < 5000 && has_children(); i++)
        t_nap(0.001);
    return has_children() || t_failures() > 0;
}

static void test_reaper_of_a_fork_is_its_own(void **state)
{
    int status = -1;
    if (RT_TSAN || T_EMULATED)
        skip(); /* neither starts a thread in a fork of several threads; the emulator aborts */
    fill_graves();
    struct t_holdings before = t_holdings();
    t_run(forget_long_main, NULL, .real_time = true);
    assert_true(has_reaper());
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(forked());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    expect_nothing_left(before);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_reaper_takes_what_was_forgotten),
    T_TEST(test_reaper_that_cannot_be_made_is_made_later),
    T_TEST(test_reaper_of_a_fork_is_its_own),
};

T_MAIN(tests, NULL)
