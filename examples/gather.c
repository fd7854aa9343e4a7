/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>

struct job {
    const char *name;
    double seconds;
};

static void *work(void *arg)
{
    const struct job *job = arg;
    printf("%s started\n", job->name);
    int err = skua_sleep(job->seconds);
    if (err < 0)
        return skua_fail(err);
    printf("%s done\n", job->name);
    return (void *)job->name;
}

static void *main_task(void *arg)
{
    double start = skua_loop_time();
    static struct job two = { "Task of 2 seconds", 2.0 }, one = { "Task of 1 second", 1.0 };
    skua_task *tasks[] = { skua_spawn(work, &two), skua_spawn(work, &one) };
    void *results[2];
    int err = skua_gather(tasks, 2, results, SKUA_RELEASE);
    if (err < 0)
        return skua_fail(err);
    /* The second was done first; results come in the order of the arguments. */
    printf("Results: %s, %s\n", (char *)results[0], (char *)results[1]);
    printf("Total time: %.2f seconds\n", skua_loop_time() - start);
    return NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
