/* SPDX-License-Identifier: MIT */
/* floor 8: net. Reading and writing addresses. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/sys.h"

enum { NUMERIC_MAX = 64 }; /* an IPv6 address and the name of an interface */

/* --- reading --- */

bool rt_parse_number(const char *text, uint32_t max, uint32_t *ret)
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
static int parse_unix(const char *name, skua_addr *ret)
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

static int parse_ip4(const char *host, skua_addr *ret)
{
    struct sockaddr_in *sin = (struct sockaddr_in *)&ret->sa;
    if (inet_pton(AF_INET, host, &sin->sin_addr) != 1)
        return -EINVAL;
    sin->sin_family = AF_INET;
    ret->len = sizeof *sin;
    return 0;
}

/* Only on one's own link an interface may be named and not numbered, as getaddrinfo has it. */
static bool parse_scope(const char *scope, struct sockaddr_in6 *sin6)
{
    const struct in6_addr *a = &sin6->sin6_addr;
    if (rt_parse_number(scope, UINT32_MAX, &sin6->sin6_scope_id))
        return true;
    if (IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MC_LINKLOCAL(a))
        sin6->sin6_scope_id = *scope ? rt_sys_interface_index(scope) : 0;
    return sin6->sin6_scope_id != 0;
}

static int parse_ip6(const char *text, skua_addr *ret)
{
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ret->sa;
    char host[NUMERIC_MAX];
    size_t n = strcspn(text, "%");
    if (n >= sizeof host)
        return -EINVAL;
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(AF_INET6, host, &sin6->sin6_addr) != 1)
        return -EINVAL;
    if (text[n] && !parse_scope(text + n + 1, sin6))
        return -EINVAL;
    sin6->sin6_family = AF_INET6;
    ret->len = sizeof *sin6;
    return 0;
}

int rt_addr_parse_host(const char *host, skua_addr *ret)
{
    memset(ret, 0, sizeof *ret);
    return strchr(host, ':') ? parse_ip6(host, ret) : parse_ip4(host, ret);
}

void rt_addr_set_port(skua_addr *addr, uint16_t port)
{
    if (addr->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)&addr->sa)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)&addr->sa)->sin6_port = htons(port);
}

/* Decimal or 0x... */
bool rt_host_is_number(const char *host)
{
    size_t end = strlen(host);
    if (end > 0 && host[end - 1] == '.')
        end--;
    size_t begin = end;
    while (begin > 0 && host[begin - 1] != '.')
        begin--;
    const char *last = host + begin;
    size_t n = end - begin;
    if (n >= 2 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X'))
        return strspn(last + 2, "0123456789abcdefABCDEF") >= n - 2;
    return n > 0 && strspn(last, "0123456789") >= n;
}

/* Letters, digits, '-', '_' and dots between them: nothing that another reader of the same text
 * could take for the end of the host. */
static bool is_name(const char *host)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    return host[0] && host[0] != '.' && host[0] != '-' && !strstr(host, "..") &&
           !host[strspn(host, letters)] && !rt_host_is_number(host);
}

/* The parts of "host:port" and "[host]:port". */
static int split(const char *text, struct rt_host *ret, bool *ret_is_ip6)
{
    uint32_t port;
    bool is_ip6 = *ret_is_ip6 = text[0] == '[';
    const char *begin = text + is_ip6;
    const char *end = strrchr(begin, is_ip6 ? ']' : ':');
    if (!end || (is_ip6 && end[1] != ':') || !rt_parse_number(end + 1 + is_ip6, UINT16_MAX, &port))
        return -EINVAL;
    if (end - begin > RT_HOST_MAX)
        return -ENAMETOOLONG;
    memcpy(ret->name, begin, (size_t)(end - begin));
    ret->name[end - begin] = '\0';
    ret->port = (uint16_t)port;
    return 0;
}

int rt_addr_parse_name(const char *text, skua_addr *ret, struct rt_host *ret_host)
{
    bool is_ip6;
    memset(ret, 0, sizeof *ret);
    if (!text)
        return -EINVAL;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, ret);
    int r = split(text, ret_host, &is_ip6);
    if (r < 0)
        return r;
    r = is_ip6 ? parse_ip6(ret_host->name, ret) : parse_ip4(ret_host->name, ret);
    if (r == 0)
        rt_addr_set_port(ret, ret_host->port);
    else if (!is_ip6 && is_name(ret_host->name))
        return 1;
    return r;
}

int rt_addr_parse(const char *text, skua_addr *ret)
{
    struct rt_host host;
    return rt_addr_parse_name(text, ret, &host) == 0 ? 0 : -EINVAL;
}

int skua_addr_parse(const char *text, skua_addr *ret_addr)
{
    skua_addr addr;
    int r = rt_addr_parse(text, &addr);
    if (r == 0 && ret_addr)
        *ret_addr = addr;
    return r;
}

/* --- writing --- */

static int unix_text(const skua_addr *addr, char ret[SKUA_ADDR_TEXT])
{
    const struct sockaddr_un *sun = (const struct sockaddr_un *)&addr->sa;
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t n = addr->len > head ? addr->len - head : 0;
    if (n > sizeof sun->sun_path)
        return -EINVAL;
    if (n > 0 && sun->sun_path[0])
        n = strnlen(sun->sun_path, n);
    memcpy(ret, "unix:", 5);
    for (size_t i = 0; i < n; i++)
        ret[5 + i] = sun->sun_path[i] ? sun->sun_path[i] : '@';
    ret[5 + n] = '\0';
    return (int)(5 + n);
}

static int ip4_text(const skua_addr *addr, char ret[SKUA_ADDR_TEXT])
{
    const struct sockaddr_in *sin = (const struct sockaddr_in *)&addr->sa;
    char host[INET_ADDRSTRLEN];
    if (addr->len < sizeof *sin || !inet_ntop(AF_INET, &sin->sin_addr, host, sizeof host))
        return -EINVAL;
    return snprintf(ret, SKUA_ADDR_TEXT, "%s:%u", host, ntohs(sin->sin_port));
}

static int ip6_text(const skua_addr *addr, char ret[SKUA_ADDR_TEXT])
{
    const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&addr->sa;
    char host[INET6_ADDRSTRLEN];
    char scope[16] = "";
    if (addr->len < sizeof *sin6 || !inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof host))
        return -EINVAL;
    if (sin6->sin6_scope_id)
        (void)snprintf(scope, sizeof scope, "%%%u", (unsigned)sin6->sin6_scope_id);
    return snprintf(ret, SKUA_ADDR_TEXT, "[%s%s]:%u", host, scope, ntohs(sin6->sin6_port));
}

int skua_addr_text(const skua_addr *addr, char *buf, size_t n)
{
    char text[SKUA_ADDR_TEXT];
    int length = -EINVAL;
    if (!addr || (!buf && n > 0) || addr->len < sizeof(sa_family_t))
        return -EINVAL;
    if (addr->sa.ss_family == AF_INET)
        length = ip4_text(addr, text);
    else if (addr->sa.ss_family == AF_INET6)
        length = ip6_text(addr, text);
    else if (addr->sa.ss_family == AF_UNIX)
        length = unix_text(addr, text);
    if (length < 0)
        return length;
    if ((size_t)length >= n)
        return -ENOSPC;
    memcpy(buf, text, (size_t)length + 1);
    return length;
}

/* --- of sockets --- */

static int ask(int (*call)(int fd, struct sockaddr *ret, socklen_t *len), int fd, skua_addr *ret)
{
    skua_addr addr = {.len = sizeof addr.sa};
    int r = call(fd, (struct sockaddr *)&addr.sa, &addr.len);
    if (r == 0 && ret)
        *ret = addr;
    return r;
}

int skua_sockname(int fd, skua_addr *ret_addr)
{
    return ask(rt_sys_getsockname, fd, ret_addr);
}

int skua_peername(int fd, skua_addr *ret_addr)
{
    return ask(rt_sys_getpeername, fd, ret_addr);
}
