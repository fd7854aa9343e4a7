/* SPDX-License-Identifier: MIT */
/* floor 8: net. Socket addresses as text: "127.0.0.1:8080", "[::1]:0", "[fe80::1%2]:80",
 * "unix:/path", "unix:@abstract", and where names may stand, "localhost:8080". */
#ifndef RT_NET_ADDR_H
#define RT_NET_ADDR_H

#include <skua/names.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RT_HOST_MAX = 255 }; /* bytes of a host's name, which DNS allows 253 and a dot */

struct rt_host {
    uint16_t port;
    char name[RT_HOST_MAX + 1];
};

/* Hosts are numeric. 0 or -EINVAL. */
int rt_addr_parse(const char *text, skua_addr *ret_addr);
/* 0: *ret_addr; 1: a name, *ret_host; -EINVAL, -ENAMETOOLONG. */
int rt_addr_parse_name(const char *text, skua_addr *ret_addr, struct rt_host *ret_host);

/* A host without a port: "127.0.0.1", "::1", "fe80::1%eth0". 0 and port 0, or -EINVAL. */
int rt_addr_parse_host(const char *host, skua_addr *ret_addr);
void rt_addr_set_port(skua_addr *addr, uint16_t port);
/* Its last part is a number, so that it can be no name. */
bool rt_host_is_number(const char *host);
/* Decimal digits and nothing else. */
bool rt_parse_number(const char *text, uint32_t max, uint32_t *ret);

#endif
