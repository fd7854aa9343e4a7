/* SPDX-License-Identifier: MIT */
/* The event loop in your own hands: what skua_run() does for you. */
#include <skua.h>
#include <stdio.h>

static void goodbye(void *loop)                 /* a callback: it may not suspend */
{
    puts("Goodbye, says the loop");
    skua_loop_stop(loop);
}

static void *main_task(void *arg)
{
    puts("The event loop runs main");
    int err = skua_sleep(1.0);
    if (err < 0)
        return skua_fail(err);
    skua_call_later(0.5, goodbye, skua_loop_current());
    return "a value";
}

int main(void)
{
    skua_loop *loop = skua_loop_new();
    if (loop == NULL)
        return 1;
    skua_task *task = skua_spawn(main_task, NULL, .group = loop);
    void *value;
    int err = skua_loop_run_until_complete(loop, task, &value);
    if (err == 0) {
        printf("main is complete and returned %s\n", (char *)value);
        err = skua_loop_run_forever(loop);      /* until goodbye() stops it */
        puts("The loop was stopped");
    }
    skua_release(task);
    skua_loop_close(loop);
    return err < 0;
}
