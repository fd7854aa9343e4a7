/* SPDX-License-Identifier: MIT */
/* A server that greets line by line, and a client that talks to it. */
#include <arpa/inet.h>
#include <math.h>
#include <skua.h>
#include <stdio.h>
#include <string.h>

static void greet(skua_stream *stream, void *arg)
{
    char name[64], text[96];
    ssize_t n;
    while ((n = skua_stream_read_line(stream, name, sizeof name, 60.0)) > 0) {
        int length = snprintf(text, sizeof text, "hello, %s", name);
        if (skua_stream_write(stream, text, (size_t)length) < 0 ||
            skua_stream_drain(stream, 60.0) < 0) /* waits only when the client does not read */
            return;
    }
    skua_stream_write(stream, "bye\n", 4);
} /* what is unsent is sent, then the stream is closed */

static void *serve(void *fd)
{
    int err = skua_serve_streams(*(int *)fd, greet, NULL);
    return err < 0 ? skua_fail(err) : NULL;
}

static int talk(const char *address)
{
    static const char *const names[] = { "world\n", "streams\n", "you\n" };
    skua_stream *stream;
    char line[96];
    int err = skua_stream_open_connection(address, 5.0, &stream);
    if (err < 0)
        return err;
    for (int i = 0; i < 3; i++)
        skua_stream_write(stream, names[i], strlen(names[i]));
    skua_stream_write_eof(stream);  /* there is no more; answers still come */
    ssize_t n;
    while ((n = skua_stream_read_line(stream, line, sizeof line, 5.0)) > 0)
        printf("received: %s", line);
    skua_stream_close(stream);
    err = skua_stream_wait_closed(stream, INFINITY);
    skua_stream_release(stream);
    return n < 0 ? (int)n : err;
}

static void *main_task(void *arg)
{
    char address[64];
    struct sockaddr_in at;
    socklen_t n = sizeof at;
    int fd = skua_listen("127.0.0.1:0"); /* any free port */
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &n) < 0)
        return skua_fail(fd < 0 ? fd : -EIO);
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(at.sin_port));
    skua_task *server = skua_go(serve, &fd);
    int err = talk(address);
    skua_close(fd); /* the server ends, when its handlers have */
    int end = skua_join(server, NULL);
    printf("the server has ended\n");
    return err < 0 || end < 0 ? skua_fail(err < 0 ? err : end) : arg;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
