/* SPDX-License-Identifier: MIT */
/* Goal: quotas of both cgroup versions are found on our group and all its ancestors.
 * Method: fixture trees under a temporary directory. */
#include "base/cpu.h"

#include "base/sys.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static int setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/skua_cpu_test.XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command);
}

static void put(const char *path, const char *text)
{
    char full[512];
    FILE *f;

    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *p = strchr(full + strlen(root) + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        mkdir(full, 0755);
        *p = '/';
    }
    f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_cpu_empty_tree_has_no_quota(void **state)
{
    (void)state;
    assert_int_equal(rt_cpu_quota(root), 0);
    assert_int_equal(rt_cpu_count(root), rt_sys_affinity_count());
}

static void test_cpu_v2_own_group_rounds_up(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    assert_int_equal(rt_cpu_quota(root), 2);
    put("/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n");
    assert_int_equal(rt_cpu_quota(root), 1);
    put("/sys/fs/cgroup/a/b/cpu.max", "1000 100000\n");
    assert_int_equal(rt_cpu_quota(root), 1);
    assert_int_equal(rt_cpu_count(root), 1);
    put("/sys/fs/cgroup/a/b/cpu.max", "6400000 100000\n");
    assert_int_equal(rt_cpu_quota(root), 64);
    assert_true(rt_cpu_count(root) <= rt_sys_affinity_count());
}

static void test_cpu_v2_ancestor_is_tighter(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    put("/sys/fs/cgroup/cpu.max", "500000 100000\n");
    assert_int_equal(rt_cpu_quota(root), 3);
}

static void test_cpu_v2_foreign_path_falls_back_to_mount_root(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/docker/0123456789/init\n");
    put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    assert_int_equal(rt_cpu_quota(root), 4);
    put("/proc/self/cgroup", "0::/../../other\n");
    assert_int_equal(rt_cpu_quota(root), 4);
}

static void test_cpu_v1_named_controller(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "11:memory:/m\n4:cpuset:/s\n3:cpu,cpuacct:/x/y\n1:name=systemd:/z\n");
    put("/sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_period_us", "100000\n");
    assert_int_equal(rt_cpu_quota(root), 0);
    put("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "420000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(rt_cpu_quota(root), 5);
    put("/sys/fs/cgroup/cpu,cpuacct/s/cpu.cfs_quota_us", "100\n");
    assert_int_equal(rt_cpu_quota(root), 5);
}

static void test_cpu_hybrid_takes_the_tighter(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "2:cpu:/v1\n0::/v2\n");
    put("/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "700000\n");
    put("/sys/fs/cgroup/cpu/v1/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/unified/v2/cpu.max", "600000 100000\n");
    assert_int_equal(rt_cpu_quota(root), 6);
}

static void test_cpu_garbage_is_no_quota(void **state)
{
    static const char *const texts[] = { "",
                                         "\n",
                                         "max",
                                         "100000",
                                         "100000 ",
                                         "x y\n",
                                         "100000 0\n",
                                         "0 100000\n",
                                         "-5 10\n",
                                         "1e5 10\n",
                                         "99999999999999999999999 1\n" };

    (void)state;
    put("/proc/self/cgroup", "garbage\n::\n0:\n\n0::/a\n");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put("/sys/fs/cgroup/a/cpu.max", texts[i]);
        assert_int_equal(rt_cpu_quota(root), 0);
        assert_true(rt_cpu_count(root) >= 1);
    }
}

static void test_cpu_real_machine_is_at_least_one(void **state)
{
    (void)state;
    assert_true(rt_cpu_quota("") >= 0);
    assert_true(rt_cpu_count("") >= 1);
    assert_true(rt_cpu_count("") <= sysconf(_SC_NPROCESSORS_CONF));
}

#ifdef RT_TESTING
static void test_cpu_unreadable_affinity_is_one(void **state)
{
    (void)state;
    rt_fault_arm_from(RT_SYS_AFFINITY, 1, 22);
    assert_int_equal(rt_cpu_count(root), 1);
    rt_fault_reset();
}
#endif

static void *nothing(void *arg)
{
    return arg;
}

static void *wait_for_end(void *fd)
{
    char c;
    return read(*(int *)fd, &c, 1) == 0 ? NULL : fd;
}

static void test_thread_count_counts_one_more(void **state)
{
    int fds[2];
    pthread_t thread;

    (void)state;
    /* with the first thread TSan begins one of its own */
    assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
    pthread_join(thread, NULL);
    int before = rt_thread_count();
    assert_true(before >= 1);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &fds[0]), 0);
    assert_int_equal(rt_thread_count(), before + 1);
    close(fds[1]);
    pthread_join(thread, NULL);
    close(fds[0]);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_cpu_empty_tree_has_no_quota),
        UNIT(test_cpu_v2_own_group_rounds_up),
        UNIT(test_cpu_v2_ancestor_is_tighter),
        UNIT(test_cpu_v2_foreign_path_falls_back_to_mount_root),
        UNIT(test_cpu_v1_named_controller),
        UNIT(test_cpu_hybrid_takes_the_tighter),
        UNIT(test_cpu_garbage_is_no_quota),
        UNIT(test_cpu_real_machine_is_at_least_one),
        UNIT(test_thread_count_counts_one_more),
#ifdef RT_TESTING
        UNIT(test_cpu_unreadable_affinity_is_one),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
