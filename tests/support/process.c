/* SPDX-License-Identifier: MIT */
#include "process.h"
#include "t.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

static int count_entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

int t_fds(void)
{
    return count_entries("/proc/self/fd");
}

int t_threads(void)
{
    return count_entries("/proc/self/task");
}

long t_resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

struct t_holdings t_holdings(void)
{
    return (struct t_holdings){t_fds(), t_threads(), rt_mem_live()};
}

void t_holds_the_same(struct t_holdings before)
{
    /* The kernel counts a thread for a moment after it was joined. */
    for (int tries = 0; t_threads() > before.threads && tries < 2000; tries++)
        t_nap(0.001);
    struct t_holdings now = t_holdings();
    assert_int_equal(now.fds, before.fds);
    assert_true(now.threads <= before.threads);
    assert_int_equal(now.allocations, before.allocations);
}
