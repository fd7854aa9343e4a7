/* SPDX-License-Identifier: MIT */
/* floor 8: net. Socket addresses as text: "127.0.0.1:8080", "[::1]:0", "[fe80::1%2]:80",
 * "unix:/path", "unix:@abstract". Hosts are numeric. */
#ifndef RT_NET_ADDR_H
#define RT_NET_ADDR_H

#include <sys/socket.h>

struct rt_addr {
    struct sockaddr_storage sa;
    socklen_t len;
};

/* 0 or -EINVAL. */
int rt_addr_parse(const char *text, struct rt_addr *ret_addr);

#endif
