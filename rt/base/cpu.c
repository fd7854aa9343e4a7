/* SPDX-License-Identifier: MIT */
/* floor 0: base.
 *
 * Design: the mounts are looked for in their usual places rather than through mountinfo. A
 * container without a cgroup namespace reads a path that exists only outside; walking up to "/"
 * still finds its own limits, which are mounted there.
 */
#include "base/cpu.h"

#include "base/sys.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define CGROUP_PATH_MAX 4096
#define CGROUP_FILE_MAX 16384

static const char *const mounts_v2[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL };
static const char *const mounts_v1[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct",
                                         "/sys/fs/cgroup/cpuacct,cpu", NULL };

/* The file as a string, cut to size - 1; false when it cannot be read. */
static bool read_file(const char *path, char *ret_text, size_t size)
{
    int fd = rt_sys_open(path, O_RDONLY, 0);
    size_t used = 0;
    ssize_t n = 0;

    if (fd < 0)
        return false;
    while (used < size - 1) {
        n = rt_sys_read(fd, ret_text + used, size - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    rt_sys_close(fd);
    ret_text[used] = '\0';
    return n >= 0;
}

/* A number > 0 at *s, which moves behind it and one blank; 0 for anything else ("max", "-1"). */
static long long take_number(const char **s)
{
    long long value = 0;
    const char *p = *s;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (value > LLONG_MAX / 16)
            return 0;
        value = value * 10 + (*p - '0');
    }
    if (*p == ' ')
        p++;
    *s = p;
    return value;
}

/* quota/period in whole CPUs rounded up; 0: none. */
static int whole_cpus(long long quota, long long period)
{
    long long cpus;

    if (quota <= 0 || period <= 0)
        return 0;
    cpus = quota / period + (quota % period != 0);
    return cpus > INT_MAX ? INT_MAX : (int)cpus;
}

static int quota_v2(const char *dir)
{
    char path[CGROUP_PATH_MAX + 16];
    char text[64];
    const char *s = text;
    long long quota;

    snprintf(path, sizeof(path), "%s/cpu.max", dir);
    if (!read_file(path, text, sizeof(text)))
        return 0;
    quota = take_number(&s);
    return whole_cpus(quota, take_number(&s));
}

static int quota_v1(const char *dir)
{
    char path[CGROUP_PATH_MAX + 32];
    char text[64];
    const char *s = text;
    long long quota;

    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
    if (!read_file(path, text, sizeof(text)))
        return 0;
    quota = take_number(&s);
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
    if (!read_file(path, text, sizeof(text)))
        return 0;
    s = text;
    return whole_cpus(quota, take_number(&s));
}

/* The tightest over the group and its ancestors in one mount; 0: none. */
static int quota_of_tree(const char *root, const char *mount, const char *group,
                         int (*quota_of)(const char *))
{
    char dir[CGROUP_PATH_MAX];
    int n = snprintf(dir, sizeof(dir), "%s%s", root, mount);
    size_t base;
    int tightest = 0;

    if (n < 0 || (size_t)n >= sizeof(dir))
        return 0;
    base = (size_t)n;
    n = snprintf(dir + base, sizeof(dir) - base, "%s", strstr(group, "/..") != NULL ? "" : group);
    if (n < 0 || (size_t)n >= sizeof(dir) - base)
        dir[base] = '\0';
    for (;;) {
        int cpus = quota_of(dir);
        char *slash = strrchr(dir + base, '/');

        if (cpus > 0 && (tightest == 0 || cpus < tightest))
            tightest = cpus;
        if (slash == NULL)
            return tightest;
        *slash = '\0';
    }
}

static int tighter(int a, int b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

static int quota_of_mounts(const char *root, bool is_v2, const char *group)
{
    int tightest = 0;

    for (const char *const *mount = is_v2 ? mounts_v2 : mounts_v1; *mount != NULL; mount++)
        tightest =
            tighter(tightest, quota_of_tree(root, *mount, group, is_v2 ? quota_v2 : quota_v1));
    return tightest;
}

/* Whether "cpu" is in the comma-separated list. */
static bool has_cpu(const char *list, const char *end)
{
    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma != NULL ? comma : end;

        if (stop - list == 3 && memcmp(list, "cpu", 3) == 0)
            return true;
        list = stop + 1;
    }
    return false;
}

int rt_cpu_quota(const char *root)
{
    char path[CGROUP_PATH_MAX];
    char text[CGROUP_FILE_MAX];
    char *next;
    int tightest = 0;

    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    if (!read_file(path, text, sizeof(text)))
        return tighter(quota_of_mounts(root, true, ""), quota_of_mounts(root, false, ""));
    for (char *line = text; *line != '\0'; line = next) {
        char *end = strchrnul(line, '\n');
        char *list;
        char *group;

        next = *end != '\0' ? end + 1 : end;
        *end = '\0';
        list = strchr(line, ':'); /* id:controllers:group */
        group = list != NULL ? strchr(list + 1, ':') : NULL;
        if (group == NULL)
            continue;
        if (group == list + 1)
            tightest = tighter(tightest, quota_of_mounts(root, true, group + 1));
        else if (has_cpu(list + 1, group))
            tightest = tighter(tightest, quota_of_mounts(root, false, group + 1));
    }
    return tightest;
}

int rt_cpu_count(const char *root)
{
    int affinity = rt_sys_affinity_count();
    int count = tighter(affinity > 0 ? affinity : 1, rt_cpu_quota(root));

    return count > 0 ? count : 1;
}

/* Each thread is a directory in there. */
int rt_thread_count(void)
{
    struct stat st;
    int fd = rt_sys_open("/proc/self/task", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int r = rt_sys_fstat(fd, &st);
    (void)rt_sys_close(fd);
    if (r < 0)
        return r;
    return st.st_nlink > 2 ? (int)st.st_nlink - 2 : -ENOENT;
}
