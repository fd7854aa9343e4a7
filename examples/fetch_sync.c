/* SPDX-License-Identifier: MIT */
/* Three pages, one after the other, as any C program fetches them: `fetch_sync 127.0.0.1:8080`.
 * The server of http.c keeps its answer to /delay/N back for N seconds. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct page {
    const char *path;
    char text[2048];
};

static int connect_to(const char *server)
{
    char host[64], port[8];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *info;
    if (sscanf(server, "%63[^:]:%7s", host, port) != 2 ||
        getaddrinfo(host, port, &hints, &info) != 0)
        return -1;
    int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);
    if (fd >= 0 && connect(fd, info->ai_addr, info->ai_addrlen) < 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(info);
    return fd;
}

static const char *fetch(struct page *page, const char *server)
{
    int fd = connect_to(server);
    if (fd < 0)
        return NULL;
    int len = snprintf(page->text, sizeof(page->text),
                       "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", page->path,
                       server);
    ssize_t n = write(fd, page->text, (size_t)len);
    size_t got = 0;
    while (n > 0 && got < sizeof(page->text) - 1) {
        n = read(fd, page->text + got, sizeof(page->text) - 1 - got);
        got += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    page->text[got] = '\0';
    const char *body = strstr(page->text, "\r\n\r\n");
    return n < 0 || body == NULL ? NULL : body + 4;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct page pages[] = { { "/delay/2", "" }, { "/delay/2", "" }, { "/delay/2", "" } };
    double start = now();
    for (int i = 0; i < 3; i++) {
        const char *body = fetch(&pages[i], argc > 1 ? argv[1] : "127.0.0.1:8080");
        if (body == NULL) {
            fprintf(stderr, "cannot fetch %s\n", pages[i].path);
            return 1;
        }
        printf("%s: %zu bytes\n", pages[i].path, strlen(body));
    }
    printf("Synchronous version total time taken: %.2f Seconds\n", now() - start);
    return 0;
}
