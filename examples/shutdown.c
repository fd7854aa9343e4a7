/* SPDX-License-Identifier: MIT */
/* A server that ends well: on SIGINT or SIGTERM it takes no more connections, but finishes those it
 * has, for at most five seconds. */
#include "common/listening.h"

#include <math.h>
#include <signal.h>
#include <skua.h>
#include <string.h>

static void answer(int fd, void *arg)
{
    char request[256];
    ssize_t n = skua_read(fd, request, sizeof(request), 60.0);
    if (n <= 0 || skua_sleep(1.0) < 0)          /* the answer takes its time */
        return;
    SKUA_IGNORE(skua_write(fd, "finished\n", 9, 5.0));
}

static void *serve(void *arg)
{
    int fd = *(int *)arg;
    print_address(fd);                          /* by now main waits for the signals */
    return skua_fail(skua_serve(fd, answer, NULL, .drain = 5.0));
}

static void *main_task(void *address)
{
    int fd = skua_listen(address);
    if (fd < 0)
        return skua_failf(fd, "cannot listen on %s", (char *)address);
    skua_task *server = skua_spawn(serve, &fd, .name = "server");

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int signo = skua_signal_wait(&set, INFINITY);
    if (signo > 0)
        printf("%s: finishing the open connections\n", strsignal(signo));
    fflush(stdout);

    skua_cancel(server, NULL);
    int err = skua_join(server, NULL);          /* returns when the last connection is closed */
    skua_close(fd);
    if (err != -ECANCELED)
        return skua_fail(err);
    puts("All connections are closed");
    return NULL;
}

int main(int argc, char **argv)
{
    return skua_run(main_task, argc > 1 ? argv[1] : "127.0.0.1:0") < 0;
}
