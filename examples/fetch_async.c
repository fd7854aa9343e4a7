/* SPDX-License-Identifier: MIT */
/* The same pages at the same time: `fetch_async 127.0.0.1:8080 [PATH...]`. */
#include <skua.h>
#include <stdio.h>
#include <string.h>

enum { PAGES = 3 };

struct page {
    const char *path;
    char text[2048];
};

static const char *server = "127.0.0.1:8080";

static void *fetch(void *arg)
{
    struct page *page = arg;
    int fd = skua_connect(server, 5.0);
    if (fd < 0)
        return skua_failf(fd, "cannot connect to %s", server);
    int len = snprintf(page->text, sizeof(page->text),
                       "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", page->path,
                       server);
    ssize_t n = skua_write(fd, page->text, (size_t)len, 5.0);
    size_t got = 0;
    while (n > 0 && got < sizeof(page->text) - 1) {
        n = skua_read(fd, page->text + got, sizeof(page->text) - 1 - got, 30.0);
        got += n > 0 ? (size_t)n : 0;
    }
    skua_close(fd);
    if (n < 0)
        return skua_fail((int)n);
    page->text[got] = '\0';
    char *body = strstr(page->text, "\r\n\r\n");
    return body != NULL ? body + 4 : skua_fail(-EPROTO);
}

static void *main_task(void *arg)
{
    struct page *pages = arg;
    double start = skua_loop_time();
    skua_task *tasks[PAGES];
    void *bodies[PAGES];
    for (int i = 0; i < PAGES; i++)
        tasks[i] = skua_spawn(fetch, &pages[i], .name = pages[i].path);
    int err = skua_gather(tasks, PAGES, bodies, SKUA_RELEASE);
    if (err < 0)
        return skua_fail(err);
    for (int i = 0; i < PAGES; i++)
        printf("%s: %zu bytes\n", pages[i].path, strlen(bodies[i]));
    printf("Asynchronous version total time taken: %.2f Seconds\n", skua_loop_time() - start);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct page pages[PAGES];
    if (argc > 1)
        server = argv[1];
    for (int i = 0; i < PAGES; i++)
        pages[i].path = argc > i + 2 ? argv[i + 2] : "/delay/2";
    int err = skua_run(main_task, pages);
    if (err < 0)
        fprintf(stderr, "cannot fetch from %s: %s\n", server, strerror(-err));
    return err < 0;
}
