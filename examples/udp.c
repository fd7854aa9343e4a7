/* SPDX-License-Identifier: MIT */
/* Datagrams: an echo server and its client. asyncio: create_datagram_endpoint(). */
#include <math.h>
#include <skua.h>
#include <stdio.h>
#include <string.h>

static void *echo(void *arg)
{
    int fd = *(int *)arg;
    char text[64];
    skua_addr from;
    bool is_cut;
    for (;;) {
        ssize_t n = skua_recvfrom(fd, text, sizeof text, INFINITY, &from, &is_cut);
        if (n >= 0)
            n = skua_sendto(fd, text, (size_t)n, &from, INFINITY);
        if (n < 0)
            return skua_fail((int)n);       /* -ECANCELED is how the server ends */
    }
}

static int ask(int fd, const char *text)
{
    char answer[64];
    ssize_t n = skua_sendto(fd, text, strlen(text), NULL, 1.0);
    if (n >= 0)
        n = skua_recvfrom(fd, answer, sizeof answer, 1.0, NULL, NULL);
    if (n >= 0)
        printf("Received: '%.*s'\n", (int)n, answer);
    return n < 0 ? (int)n : 0;
}

static void *main_task(void *arg)
{
    skua_addr at;
    char text[SKUA_ADDR_TEXT];
    int server = skua_datagram("127.0.0.1:0");
    if (server < 0 || skua_sockname(server, &at) < 0 || skua_addr_text(&at, text, sizeof text) < 0)
        return skua_fail(-EIO);
    skua_task *t = skua_spawn(echo, &server, .name = "echo");

    int client = skua_datagram(NULL, .peer = text);
    int err = client;
    for (int i = 0; err >= 0 && i < 3; i++)
        err = ask(client, i == 1 ? "" : "Hello World!");    /* empty ones are datagrams as well */

    skua_cancel(t, NULL);
    printf("The server ended: %s\n", skua_join(t, NULL) == -ECANCELED ? "cancelled" : "?");
    skua_close(client);
    skua_close(server);
    return err < 0 ? skua_fail(err) : NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
