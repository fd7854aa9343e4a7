/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>

static void *work(void *arg)
{
    printf("Task '%s' started with %s\n", skua_name(skua_current_task()), (char *)arg);
    int err = skua_sleep(1.0);
    if (err < 0)
        return skua_fail(err);
    puts("Task finished");
    return "a result";
}

static void *main_task(void *arg)
{
    double start = skua_loop_time();
    skua_task *task = skua_spawn(work, "an argument", .name = "worker");
    puts("Task created; it starts when main suspends");
    void *result;
    int err = skua_join(task, &result);
    if (err < 0)
        return skua_fail(err);
    printf("Task awaited: %s after %.2f seconds\n", (char *)result, skua_loop_time() - start);
    return NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
