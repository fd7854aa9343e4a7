/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <skua.h>
#include <stdio.h>

struct job {
    const char *name;
    double seconds;
    int err;
};

static void *work(void *arg)
{
    const struct job *job = arg;
    int err = skua_sleep(job->seconds);
    if (err < 0)
        return skua_fail(err);
    if (job->err < 0)
        return skua_failf(job->err, "%s gave up", job->name);
    return NULL;
}

static int try_wait(const char *title, enum skua_when when, double timeout)
{
    static struct job jobs[] = { { "quick", 0.2, 0 }, { "broken", 0.6, -EIO }, { "slow", 1.0, 0 } };
    skua_task *tasks[3];
    size_t done;
    for (int i = 0; i < 3; i++)
        tasks[i] = skua_spawn(work, &jobs[i], .name = jobs[i].name);

    int err = skua_wait(tasks, 3, timeout, when, &done);    /* puts the done ones first */
    if (err == 0) {
        printf("%s: %zu done\n", title, done);
        for (size_t i = 0; i < 3; i++) {
            const char *state = i >= done ? "pending" : "done";
            if (i < done && skua_error(tasks[i]) < 0)
                state = skua_error_message(tasks[i]);
            printf("  %s: %s\n", skua_name(tasks[i]), state);
        }
    }
    /* wait() cancels nothing: what still runs is the caller's to end. */
    for (int i = 0; i < 3; i++)
        skua_cancel(tasks[i], NULL);
    int ended = skua_gather(tasks, 3, NULL, SKUA_RETURN_ERRORS | SKUA_RELEASE);
    return err < 0 ? err : ended;
}

static void *main_task(void *arg)
{
    int err = try_wait("ALL_COMPLETED", SKUA_ALL_COMPLETED, INFINITY);
    if (err >= 0)
        err = try_wait("FIRST_COMPLETED", SKUA_FIRST_COMPLETED, INFINITY);
    if (err >= 0)
        err = try_wait("FIRST_EXCEPTION", SKUA_FIRST_EXCEPTION, INFINITY);
    if (err >= 0)
        err = try_wait("timeout of 0.4 seconds", SKUA_ALL_COMPLETED, 0.4);
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
