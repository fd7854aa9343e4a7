/* SPDX-License-Identifier: MIT */
/* floor 8: net. Writing addresses. */
#include "net/addr_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static int fits(int length, size_t n)
{
    return length >= 0 && (size_t)length < n ? length : -ENOSPC;
}

/* Abstract names begin with a zero byte, and other zeroes in them are '@' as well. */
static int unix_text(const struct sockaddr_un *sun, socklen_t len, char *buf, size_t n)
{
    char name[sizeof sun->sun_path + 1] = {0};
    size_t at = offsetof(struct sockaddr_un, sun_path);
    size_t bytes = len > at ? len - at : 0;
    if (bytes > sizeof sun->sun_path)
        bytes = sizeof sun->sun_path;
    memcpy(name, sun->sun_path, bytes);
    for (size_t i = 0; bytes && !sun->sun_path[0] && i < bytes; i++)
        if (!name[i])
            name[i] = '@';
    return fits(snprintf(buf, n, "unix:%s", name), n);
}

static int ip6_text(const struct sockaddr_in6 *sin6, char *buf, size_t n)
{
    char host[INET6_ADDRSTRLEN] = "";
    char scope[16] = "";
    if (!inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof host))
        return -EINVAL;
    if (sin6->sin6_scope_id)
        snprintf(scope, sizeof scope, "%%%u", (unsigned)sin6->sin6_scope_id);
    return fits(snprintf(buf, n, "[%s%s]:%u", host, scope, (unsigned)ntohs(sin6->sin6_port)), n);
}

int rt_addr_text(const struct sockaddr_storage *sa, socklen_t len, char *buf, size_t n)
{
    const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;
    char host[INET_ADDRSTRLEN] = "";
    switch (sa->ss_family) {
    case AF_UNIX:
        return unix_text((const struct sockaddr_un *)sa, len, buf, n);
    case AF_INET6:
        return ip6_text((const struct sockaddr_in6 *)sa, buf, n);
    case AF_INET:
        if (!inet_ntop(AF_INET, &sin->sin_addr, host, sizeof host))
            return -EINVAL;
        return fits(snprintf(buf, n, "%s:%u", host, (unsigned)ntohs(sin->sin_port)), n);
    default:
        return -EINVAL;
    }
}
