/* SPDX-License-Identifier: MIT */
/* floor 8: net. Reading addresses. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

enum { HOST_MAX = 64 };

/* Decimal digits and nothing else. */
static bool parse_number(const char *text, uint32_t max, uint32_t *ret)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return false;
    }
    *ret = (uint32_t)value;
    return true;
}

/* A path ends with a zero byte that belongs to it; an abstract name starts with one and ends with
 * its length. */
static int parse_unix(const char *name, struct rt_addr *ret)
{
    struct sockaddr_un *sun = (struct sockaddr_un *)&ret->sa;
    bool is_abstract = name[0] == '@';
    size_t n = strlen(name);
    if (n == 0 || n > sizeof sun->sun_path - !is_abstract || (is_abstract && n == 1))
        return -EINVAL;
    sun->sun_family = AF_UNIX;
    memcpy(sun->sun_path, name, n);
    if (is_abstract)
        sun->sun_path[0] = '\0';
    ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !is_abstract);
    return 0;
}

static int parse_ip4(const char *host, uint16_t port, struct rt_addr *ret)
{
    struct sockaddr_in *sin = (struct sockaddr_in *)&ret->sa;
    if (inet_pton(AF_INET, host, &sin->sin_addr) != 1)
        return -EINVAL;
    sin->sin_family = AF_INET;
    sin->sin_port = htons(port);
    ret->len = sizeof *sin;
    return 0;
}

static int parse_ip6(char *host, uint16_t port, struct rt_addr *ret)
{
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ret->sa;
    char *scope = strchr(host, '%');
    if (scope) {
        *scope++ = '\0';
        if (!parse_number(scope, UINT32_MAX, &sin6->sin6_scope_id))
            return -EINVAL;
    }
    if (inet_pton(AF_INET6, host, &sin6->sin6_addr) != 1)
        return -EINVAL;
    sin6->sin6_family = AF_INET6;
    sin6->sin6_port = htons(port);
    ret->len = sizeof *sin6;
    return 0;
}

int rt_addr_parse(const char *text, struct rt_addr *ret)
{
    char host[HOST_MAX];
    uint32_t port;
    memset(ret, 0, sizeof *ret);
    if (!text)
        return -EINVAL;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, ret);
    bool is_ip6 = text[0] == '[';
    const char *begin = text + is_ip6;
    const char *end = strrchr(begin, is_ip6 ? ']' : ':');
    if (!end || end - begin >= HOST_MAX || (is_ip6 && end[1] != ':'))
        return -EINVAL;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    if (!parse_number(end + 1 + is_ip6, UINT16_MAX, &port))
        return -EINVAL;
    return is_ip6 ? parse_ip6(host, (uint16_t)port, ret) : parse_ip4(host, (uint16_t)port, ret);
}
