/* SPDX-License-Identifier: MIT */
/* Goal: children that were released while they ran are reaped, also without a runtime, and the
 * thread that does it goes when it is not needed. Method: it cannot be made at first. */
#include "process_support.h"

#include <dirent.h>

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
        T_EXPECT_INT(skua_process_shell("read x", &p, .stdin = SKUA_PIPE), 0);
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

static const struct CMUnitTest tests[] = {
    T_TEST(test_reaper_takes_what_was_forgotten),
    T_TEST(test_reaper_that_cannot_be_made_is_made_later),
};

T_MAIN(tests, NULL)
