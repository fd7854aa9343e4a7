/* SPDX-License-Identifier: MIT */
/* Names: looking one up, and connecting to one. asyncio: loop.getaddrinfo(), create_connection().
 */
#include <skua.h>
#include <stdio.h>

static void print_addresses(const char *host)
{
    struct skua_addrinfo *list;
    char text[SKUA_ADDR_TEXT];
    int n = skua_getaddrinfo(host, "80", 5.0, &list, .family = AF_INET, .type = SOCK_STREAM);
    if (n < 0) {
        printf("%s: error %d\n", host, n);
        return;
    }
    for (int i = 0; i < n; i++)
        if (skua_addr_text(&list[i].addr, text, sizeof text) > 0)
            printf("%s: %s\n", host, text);
    skua_freeaddrinfo(list);
}

static void *greet(void *arg)
{
    int fd = skua_accept(*(int *)arg, 5.0);
    if (fd >= 0 && skua_write(fd, "hello", 5, 5.0) == 5)
        skua_close(fd);
    return NULL;
}

static void *main_task(void *arg)
{
    skua_addr at;
    struct skua_nameinfo info;
    char text[16] = "";
    print_addresses("localhost");
    print_addresses("192.0.2.7");

    int listener = skua_listen("127.0.0.1:0");
    if (listener < 0 || skua_sockname(listener, &at) < 0)
        return skua_fail(-EIO);
    int err = skua_getnameinfo(&at, NI_NUMERICHOST | NI_NUMERICSERV, 0, &info);
    if (err < 0)
        return skua_fail(err);
    snprintf(text, sizeof text, "localhost:%.5s", info.service);
    skua_task *t = skua_spawn(greet, &listener);

    int fd = skua_connect(text, 5.0);    /* ::1 and 127.0.0.1: whichever answers */
    ssize_t n = fd < 0 ? fd : skua_read(fd, text, sizeof text, 5.0);
    if (n >= 0)
        printf("The server at localhost says %.*s\n", (int)n, text);
    skua_close(fd);
    err = skua_join(t, NULL);
    skua_close(listener);
    return n < 0 ? skua_fail((int)n) : err < 0 ? skua_fail(err) : NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
