/* SPDX-License-Identifier: MIT */
#include "common/listening.h"
#include <skua.h>

static void echo(int fd, void *arg)
{
    char buf[4096];
    ssize_t n = 1;
    while (n > 0 && (n = skua_read(fd, buf, sizeof(buf), 60.0)) > 0)
        n = skua_write(fd, buf, (size_t)n, 60.0);
}

static void *serve(void *address)
{
    int fd = skua_listen(address);
    if (fd < 0)
        return skua_fail(fd);
    print_address(fd);
    return skua_fail(skua_serve(fd, echo, NULL));
}

int main(int argc, char **argv) { return skua_run(serve, argc > 1 ? argv[1] : "127.0.0.1:0") < 0; }
