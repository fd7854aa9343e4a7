/* SPDX-License-Identifier: MIT */
/* A callback for each time that a descriptor can be read: how a library with a descriptor and a
 * function to call is tied to a loop. Tasks of your own call skua_read() instead. */
#include <skua.h>
#include <stdio.h>
#include <unistd.h>

static int ends[2];
static skua_event over = SKUA_EVENT_INIT;

static void on_readable(void *arg)
{
    char c;
    if (read(ends[0], &c, 1) == 1) {        /* the rest is left: it is called again */
        printf("%s %c\n", (char *)arg, c);
        return;
    }
    skua_remove_reader(ends[0]);            /* the other end is closed */
    skua_event_set(&over);
}

static void *main_task(void *arg)
{
    int err = skua_add_reader(ends[0], on_readable, "read");
    if (err == 0 && write(ends[1], "abc", 3) == 3)
        close(ends[1]);
    if (err == 0)
        err = skua_event_wait(&over);
    puts("end of file");
    return err < 0 ? skua_fail(err) : arg;
}

int main(void)
{
    if (pipe(ends) < 0)
        return 1;
    int err = skua_run(main_task, NULL);
    close(ends[0]);
    return err < 0;
}
