/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>
#include <unistd.h>

static void *blocking(void *arg)                /* knows nothing of tasks and blocks its thread */
{
    puts("Blocking call started");
    sleep(2);
    puts("Blocking call finished");
    return "its result";
}

static void *tick(void *arg)
{
    for (int i = 1; i <= 3; i++) {
        int err = skua_sleep(0.5);
        if (err < 0)
            return skua_fail(err);
        printf("Meanwhile: tick %d\n", i);
    }
    return NULL;
}

static void *main_task(void *arg)
{
    skua_task *ticker = skua_spawn(tick, NULL);
    void *result;
    int err = skua_to_thread(blocking, NULL, &result);
    if (err == 0) {
        printf("The thread returned %s\n", (char *)result);
        err = skua_await(ticker, NULL);
    }
    skua_release(ticker);
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
