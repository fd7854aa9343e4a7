/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>

static void *set_after_a_second(void *arg)
{
    skua_future *future = arg;
    int err = skua_sleep(1.0);
    if (err < 0) {
        skua_future_set_error(future, err);     /* nobody shall wait for ever */
        return skua_fail(err);
    }
    skua_future_set_result(future, "Future is done");
    return NULL;
}

static void announce(skua_task *future, void *arg)
{
    puts("Callback: somebody has set the future");
}

static void *main_task(void *arg)
{
    skua_future *future = skua_future_new();
    skua_task *setter = skua_spawn(set_after_a_second, future);
    skua_add_done_callback(future, announce, NULL);
    puts("Waiting for the future");

    void *value = NULL;
    int err = setter != NULL ? skua_await(future, &value) : -ENOMEM;
    if (err == 0)
        printf("%s\n", (char *)value);
    if (!skua_future_set_result(future, "another value"))
        puts("A future is set once");

    SKUA_IGNORE(skua_join(setter, NULL));       /* it uses the future until it ends */
    skua_release(future);
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
