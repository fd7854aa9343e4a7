/* SPDX-License-Identifier: MIT */
/* A day that takes no time: the clock stands still while anything runs, and jumps to the next
 * timer when nothing can. For tests of whatever waits. */
#include <skua.h>
#include <stdio.h>

static double begin;

static void *backup(void *arg)
{
    for (int n = 1;; n++) {
        int err = skua_sleep(5 * 3600.0);
        if (err < 0)
            return skua_fail(err);
        printf("%2.0f h: backup %d\n", (skua_loop_time() - begin) / 3600, n);
    }
    return arg;
}

static void *day(void *arg)
{
    begin = skua_loop_time();
    skua_task *t = skua_spawn(backup, NULL, .name = "backup");
    int err = skua_wait_for(t, 24 * 3600.0, NULL);
    printf("%2.0f h: %s\n", (skua_loop_time() - begin) / 3600,
           err == -ETIMEDOUT ? "the day is over" : "the backup has ended");
    skua_release(t);
    return arg;
}

int main(void)
{
    return skua_run(day, NULL, .virtual_time = true) < 0;
}
