/* SPDX-License-Identifier: MIT */
/* One runtime for many runs: tasks and variables stay from one to the next. */
#include <skua.h>
#include <stdio.h>

static skua_var user = SKUA_VAR_INIT("user", "nobody");
static int ticks;

static void *ticker(void *arg)
{
    int err;
    while ((err = skua_sleep(1.0)) == 0)
        ticks++;
    printf("the ticker is stopped after %d ticks\n", ticks);
    return skua_fail(err);
}

static void *log_in(void *name)
{
    skua_var_set(&user, name, NULL);
    skua_detach(skua_spawn(ticker, NULL));
    return "done";
}

static void *work(void *arg)
{
    int err = skua_sleep(2.6);
    printf("%s has worked, and heard %d ticks\n", (char *)skua_var_get(&user), ticks);
    return err < 0 ? skua_fail(err) : arg;
}

int main(void)
{
    skua_runner *runner = skua_runner_new(.virtual_time = true);
    void *value = NULL;
    int err = skua_runner_run(runner, log_in, "ada", &value);
    if (err == 0) {
        printf("the first run is %s\n", (char *)value);
        err = skua_runner_run(runner, work, NULL, NULL);
    }
    if (err == 0)
        err = skua_runner_run(runner, work, NULL, NULL);
    skua_runner_close(runner);                  /* cancels the ticker and waits for its end */
    printf("outside of the runs: %s\n", (char *)skua_var_get(&user));
    return err < 0;
}
