/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_LISTENING_H
#define EXAMPLES_LISTENING_H

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

/* Says where a socket listens: the port is news when port 0 was asked for. */
static inline void print_address(int fd)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    char host[INET_ADDRSTRLEN] = "?";
    if (getsockname(fd, (struct sockaddr *)&at, &len) == 0)
        inet_ntop(AF_INET, &at.sin_addr, host, sizeof(host));
    printf("listening on %s:%d\n", host, ntohs(at.sin_port));
    fflush(stdout);
}

#endif
