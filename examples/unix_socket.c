/* SPDX-License-Identifier: MIT */
/* Records over a Unix socket: a length, then so many bytes. The name is abstract: it lies in no
 * folder and goes with the socket. */
#include <skua.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct record {
    unsigned length;
    char text[32];
};

static int send_record(skua_stream *stream, const char *text)
{
    unsigned length = (unsigned)strlen(text);
    struct iovec pieces[] = { { &length, sizeof length }, { (void *)text, length } };
    return skua_stream_writelines(stream, pieces, 2);
}

/* The bytes of the text, or an error: -ENODATA at the end of the stream. */
static ssize_t receive_record(skua_stream *stream, struct record *r)
{
    ssize_t n = skua_stream_read_exactly(stream, &r->length, sizeof r->length, 5.0);
    if (n < 0 || r->length >= sizeof r->text)
        return n < 0 ? n : -EMSGSIZE;
    n = skua_stream_read_exactly(stream, r->text, r->length, 5.0);
    if (n >= 0)
        r->text[n] = '\0';
    return n;
}

static void count(skua_stream *stream, void *arg)
{
    struct record r;
    char answer[64];
    while (receive_record(stream, &r) >= 0) {
        snprintf(answer, sizeof answer, "%s: %u bytes", r.text, r.length);
        send_record(stream, answer);
    }
}

static void *serve(void *fd)
{
    int err = skua_serve_streams(*(int *)fd, count, NULL);
    return err < 0 ? skua_fail(err) : NULL;
}

static int ask(const char *address)
{
    static const char *const questions[] = { "skua", "great skua", "" };
    struct record r;
    skua_stream *stream;
    int err = skua_stream_open_connection(address, 5.0, &stream);
    if (err < 0)
        return err;
    ssize_t n = 0;
    for (int i = 0; i < 3 && n >= 0; i++) {
        n = send_record(stream, questions[i]);
        n = n < 0 ? n : receive_record(stream, &r);
        if (n >= 0)
            printf("\"%s\" is %s\n", questions[i], r.text);
    }
    skua_stream_release(stream);
    return n < 0 ? (int)n : 0;
}

static void *main_task(void *arg)
{
    char address[64];
    snprintf(address, sizeof address, "unix:@skua-example-%d", (int)getpid());
    int fd = skua_listen(address);
    if (fd < 0)
        return skua_fail(fd);
    skua_task *server = skua_go(serve, &fd);
    int err = ask(address);
    skua_close(fd);
    int end = skua_join(server, NULL);
    return err < 0 || end < 0 ? skua_fail(err < 0 ? err : end) : arg;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
