/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <skua.h>
#include <stdio.h>
#include <unistd.h>

struct line {
    int fd;
    char text[32];
};

static void *read_line(void *arg)               /* blocks its thread until somebody writes */
{
    struct line *line = arg;
    ssize_t n = read(line->fd, line->text, sizeof line->text - 1);
    if (n < 0 && errno == EINTR)
        puts("The read was interrupted");
    return n < 0 ? skua_fail(-errno) : NULL;
}

static int read_within(struct line *line, double seconds)
{
    skua_timeout limit;
    int err = skua_timeout_enter(&limit, seconds);
    if (err < 0)
        return err;
    err = skua_to_thread(read_line, line, NULL, .lane = "file", .interrupt = true);
    return skua_timeout_exit(&limit, err);
}

static void *main_task(void *arg)
{
    int fds[2];
    if (pipe(fds) < 0)
        return skua_fail(-errno);
    struct line line = { .fd = fds[0] };
    if (read_within(&line, 0.2) == -ETIMEDOUT)
        puts("Nobody wrote within 0.2 s");

    if (write(fds[1], "hello", 5) == 5 && read_within(&line, 5.0) == 0)
        printf("The second read got %s\n", line.text);

    struct skua_lane_stats file = { .size = sizeof file };
    if (skua_lane_stats_get("file", &file) == 0)
        printf("Lane file: %d thread of at most %d\n", file.threads, file.threads_max);
    close(fds[0]);
    close(fds[1]);
    return NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
