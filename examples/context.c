/* SPDX-License-Identifier: MIT */
/* Variables that each task has for itself: whatever is called, however deep, knows for whom. */
#include <skua.h>
#include <stdio.h>

static skua_var request = SKUA_VAR_INIT("request", "no request");

static void say(const char *text)               /* nobody has to pass the request down to here */
{
    printf("[%s] %s\n", (char *)skua_var_get(&request), text);
}

static void *look_up(void *arg)                 /* on a thread of a lane */
{
    say("looks something up");
    skua_var_set(&request, "the thread's", NULL);  /* does not come back */
    return arg;
}

static void *audit(void *arg)                   /* a task of a task */
{
    SKUA_IGNORE(skua_sleep(0.1));
    say("is written down");
    return arg;
}

static void *handle(void *name)
{
    skua_var_set(&request, name, NULL);         /* in this task, and in what it starts */
    say("begins");
    skua_task *task = skua_spawn(audit, NULL);
    int err = skua_to_thread(look_up, NULL, NULL);

    skua_var_token token;                       /* for a while only */
    skua_var_set(&request, "a part of it", &token);
    say("works");
    skua_var_reset(&request, token);

    if (err == 0)
        err = skua_join(task, NULL);
    say("ends");
    return err < 0 ? skua_fail(err) : NULL;
}

static void *main_task(void *arg)
{
    const char *name[] = { "GET /", "GET /favicon.ico" };
    for (int i = 0; i < 2; i++) {
        int err = skua_join(skua_spawn(handle, (void *)name[i]), NULL);
        if (err < 0)
            return skua_fail(err);
    }
    say("is what main sees");
    return arg;
}

int main(void)
{
    return skua_run(main_task, NULL) < 0;
}
