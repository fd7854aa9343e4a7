/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>

static void *long_task(void *arg)
{
    puts("Task started: 10 seconds to go");
    int err = skua_sleep(10.0);
    if (err == -ECANCELED) {
        puts("Task cancelled: cleaning up");    /* a clean-up may suspend, too */
        return skua_fail(err);
    }
    return "Task finished";
}

static void *main_task(void *arg)
{
    double start = skua_loop_time();
    skua_task *task = skua_spawn(long_task, NULL);
    void *result;
    int err = skua_wait_for(task, 5.0, &result);
    skua_release(task);
    if (err == 0)
        puts(result);
    else if (err == -ETIMEDOUT)
        printf("Task timed out after %.2f seconds\n", skua_loop_time() - start);
    else
        return skua_fail(err);
    return NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
