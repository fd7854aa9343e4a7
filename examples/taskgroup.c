/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>
#include <string.h>

struct job {
    const char *name;
    double seconds;
    int err;
};

static void *work(void *arg)
{
    const struct job *job = arg;
    int err = skua_sleep(job->seconds);
    if (err == -ECANCELED)
        printf("%s: stopped\n", job->name);
    if (err < 0)
        return skua_fail(err);
    printf("%s: %s\n", job->name, job->err < 0 ? "failed" : "done");
    return job->err < 0 ? skua_fail(job->err) : (void *)job->name;
}

static int start_both(skua_taskgroup *tg, struct job *jobs)
{
    for (int i = 0; i < 2; i++) {
        int err = 0;
        if (!skua_taskgroup_spawn(tg, work, &jobs[i], .ret_err = &err))
            return err;
    }
    return 0;
}

static int run_both(struct job *jobs)
{
    skua_taskgroup tg;
    int err = skua_taskgroup_init(&tg);
    if (err == 0) {
        err = start_both(&tg, jobs);
        err = skua_taskgroup_join(&tg, err); /* both have ended, whatever happened */
    }
    return err;
}

static void *main_task(void *arg)
{
    struct job fine[] = { { "a", 0.2, 0 }, { "b", 0.1, 0 } };
    struct job broken[] = { { "c", 5.0, 0 }, { "d", 0.1, -EIO } };
    double start = skua_loop_time();
    printf("join: %d\n", run_both(fine));
    int err = run_both(broken); /* d fails, so c is stopped */
    printf("join: %s\n", strerror(-err));
    printf("Total time: %.2f seconds\n", skua_loop_time() - start);
    return arg;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
