/* SPDX-License-Identifier: MIT */
/* Signals as ordinary code: a callback on the loop for one that comes again and again, and a wait
 * for those that end the program. */
#include <math.h>
#include <signal.h>
#include <skua.h>
#include <stdio.h>
#include <unistd.h>

static skua_event reloaded = SKUA_EVENT_INIT;

static void reload(void *settings)          /* not a signal handler: everything is allowed here */
{
    printf("SIGHUP: reading %s again\n", (char *)settings);
    skua_event_set(&reloaded);
}

static void *operator(void *arg)            /* stands for somebody with a shell */
{
    kill(getpid(), SIGHUP);
    int err = skua_event_wait(&reloaded);
    if (err < 0)
        return skua_fail(err);
    kill(getpid(), SIGTERM);
    return arg;
}

static void *main_task(void *arg)
{
    int err = skua_add_signal_handler(SIGHUP, reload, "settings.ini");
    if (err < 0)
        return skua_fail(err);
    skua_task *t = skua_spawn(operator, NULL, .name = "operator");

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int signo = skua_signal_wait(&set, INFINITY);
    if (signo < 0)
        return skua_fail(signo);
    printf("%s: good bye\n", signo == SIGTERM ? "SIGTERM" : "SIGINT");
    skua_remove_signal_handler(SIGHUP);
    return (err = skua_join(t, NULL)) < 0 ? skua_fail(err) : arg;
}

int main(void)
{
    return skua_run(main_task, NULL) < 0;
}
