/* SPDX-License-Identifier: MIT */
/* floor 8: net. Lists of addresses: those that need no looking up, and copies of the C library's.
 * A list is one block: the answers, one more whose family is 0, the canonical name. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "net/addr.h"
#include "net/lookup.h"

enum { SERVICE_MAX = 31, FLAGS = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED |
                                 AI_ALL | AI_ADDRCONFIG | AI_IDN | AI_CANONIDN | AI_NUMERICSERV };

/* Which protocol a type means and the other way round; those that answer for "any". */
struct kind {
    int type;
    int protocol;
    bool is_common;
};

static const struct kind kinds[] = {
    {SOCK_STREAM, IPPROTO_TCP, true},
    {SOCK_DGRAM, IPPROTO_UDP, true},
    {SOCK_DCCP, IPPROTO_DCCP, false},
    {SOCK_DGRAM, IPPROTO_UDPLITE, false},
    {SOCK_STREAM, IPPROTO_SCTP, false},
    {SOCK_SEQPACKET, IPPROTO_SCTP, false},
    {SOCK_RAW, 0, true},
};

enum { KINDS = sizeof kinds / sizeof *kinds, COMMON_KINDS = 3, PLACES = 2 };

struct answer {
    skua_addr place[PLACES];
    int places;
    struct kind kind[COMMON_KINDS];
    int kinds;
};

/* --- lists --- */

static struct skua_addrinfo *new_list(size_t n, const char *canonname)
{
    size_t name_n = canonname ? strlen(canonname) + 1 : 0;
    struct skua_addrinfo *list = rt_calloc(1, (n + 1) * sizeof *list + name_n);
    if (list && canonname)
        list->canonname = memcpy(list + n + 1, canonname, name_n);
    return list;
}

int rt_addrinfo_count(const struct skua_addrinfo *list)
{
    int n = 0;
    while (list[n].family)
        n++;
    return n;
}

void skua_freeaddrinfo(struct skua_addrinfo *list)
{
    rt_free(list);
}

static bool is_usable(const struct addrinfo *ai)
{
    return (ai->ai_family == AF_INET || ai->ai_family == AF_INET6) && ai->ai_addr &&
           ai->ai_addrlen <= sizeof(struct sockaddr_storage);
}

int rt_addrinfo_copy(const struct addrinfo *from, struct skua_addrinfo **ret_list)
{
    size_t n = 0;
    for (const struct addrinfo *ai = from; ai; ai = ai->ai_next)
        n += is_usable(ai);
    if (n == 0 || n > INT32_MAX)
        return -ENODATA;
    struct skua_addrinfo *list = new_list(n, from->ai_canonname);
    if (!list)
        return -ENOMEM;
    struct skua_addrinfo *to = list;
    for (const struct addrinfo *ai = from; ai; ai = ai->ai_next) {
        if (!is_usable(ai))
            continue;
        to->family = ai->ai_family;
        to->type = ai->ai_socktype;
        to->protocol = ai->ai_protocol;
        to->addr.len = ai->ai_addrlen;
        memcpy(&to->addr.sa, ai->ai_addr, ai->ai_addrlen);
        to++;
    }
    *ret_list = list;
    return 0;
}

static int make_list(const struct answer *a, const char *canonname,
                     struct skua_addrinfo **ret_list)
{
    int n = a->places * a->kinds;
    struct skua_addrinfo *list = new_list((size_t)n, canonname);
    if (!list)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        list[i].addr = a->place[i / a->kinds];
        list[i].family = list[i].addr.sa.ss_family;
        list[i].type = a->kind[i % a->kinds].type;
        list[i].protocol = a->kind[i % a->kinds].protocol;
    }
    *ret_list = list;
    return n;
}

/* --- the parts of a numeric answer --- */

int rt_addrinfo_check(const char *host, const char *service,
                      const struct skua_getaddrinfo_opts *opts)
{
    if (opts->size != sizeof *opts || (!host && !service) || (host && !*host) ||
        (opts->flags & ~FLAGS) || (!host && (opts->flags & AI_CANONNAME)))
        return -EINVAL;
    if (opts->family != AF_UNSPEC && opts->family != AF_INET && opts->family != AF_INET6)
        return -EAFNOSUPPORT;
    bool too_long = (host && strnlen(host, RT_HOST_MAX + 1) > RT_HOST_MAX) ||
                    (service && strnlen(service, SERVICE_MAX + 1) > SERVICE_MAX);
    return too_long ? -ENAMETOOLONG : 0;
}

static bool is_wanted(const struct kind *k, const struct skua_getaddrinfo_opts *opts)
{
    if (!opts->type && !opts->protocol)
        return k->is_common;
    return (!opts->type || opts->type == k->type) &&
           (!opts->protocol || k->type == SOCK_RAW || opts->protocol == k->protocol);
}

/* One, if anything is said about it. */
static int find_kinds(const struct skua_getaddrinfo_opts *opts, bool has_service,
                      struct answer *a)
{
    int max = opts->type || opts->protocol ? 1 : COMMON_KINDS;
    for (int i = 0; i < KINDS && a->kinds < max; i++) {
        if (!is_wanted(&kinds[i], opts))
            continue;
        a->kind[a->kinds] = kinds[i];
        if (kinds[i].type == SOCK_RAW)
            a->kind[a->kinds].protocol = opts->protocol;
        a->kinds++;
    }
    if (max == 1 && has_service && a->kinds == 1 && a->kind[0].type == SOCK_RAW)
        return -EPROTONOSUPPORT; /* raw sockets have no ports */
    return a->kinds > 0 ? 0 : -ESOCKTNOSUPPORT;
}

static void add_place(struct answer *a, int family, const char *host)
{
    if (family == AF_UNSPEC || family == (strchr(host, ':') ? AF_INET6 : AF_INET))
        a->places += rt_addr_parse_host(host, &a->place[a->places]) == 0;
}

/* An address of the one family where the other one is wanted: IPv4 can be written as IPv6. */
static int change_family(skua_addr *place, const struct skua_getaddrinfo_opts *opts)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};
    if (place->sa.ss_family == AF_INET6) {
        memcpy(&sin6, &place->sa, sizeof sin6);
        if (!IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr))
            return -ENODATA;
        memcpy(&sin.sin_addr, &sin6.sin6_addr.s6_addr[12], 4);
        memcpy(&place->sa, &sin, sizeof sin);
        place->len = sizeof sin;
        return 0;
    }
    if (!(opts->flags & AI_V4MAPPED))
        return -ENODATA;
    memcpy(&sin, &place->sa, sizeof sin);
    sin6.sin6_addr.s6_addr[10] = sin6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&sin6.sin6_addr.s6_addr[12], &sin.sin_addr, 4);
    memcpy(&place->sa, &sin6, sizeof sin6);
    place->len = sizeof sin6;
    return 0;
}

bool rt_host_is_localhost(const char *host)
{
    static const char local[] = "localhost";
    size_t n = strlen(host);
    const size_t want = sizeof local - 1;
    n -= n > 0 && host[n - 1] == '.';
    return n >= want && strncasecmp(host + n - want, local, want) == 0 &&
           (n == want || host[n - want - 1] == '.');
}

/* 0: found; 1: it is a name. */
static int find_places(const char *host, const struct skua_getaddrinfo_opts *opts,
                       struct answer *a)
{
    bool passive = opts->flags & AI_PASSIVE;
    if (!host || (!(opts->flags & AI_NUMERICHOST) && rt_host_is_localhost(host))) {
        add_place(a, opts->family, passive && !host ? "::" : "::1");
        add_place(a, opts->family, passive && !host ? "0.0.0.0" : "127.0.0.1");
        return 0;
    }
    if (rt_addr_parse_host(host, &a->place[0]) == 0) {
        a->places = 1;
        return opts->family == AF_UNSPEC || opts->family == a->place[0].sa.ss_family
                   ? 0
                   : change_family(&a->place[0], opts);
    }
    if (rt_host_is_number(host))
        return -EINVAL;
    return opts->flags & AI_NUMERICHOST ? -ENOENT : 1;
}

/* 0: found; 1: it is a name. */
static int find_port(const char *service, const struct skua_getaddrinfo_opts *opts,
                     uint32_t *ret_port)
{
    *ret_port = 0;
    if (!service || rt_parse_number(service, UINT16_MAX, ret_port))
        return 0;
    if (!*service || !service[strspn(service, "0123456789")])
        return -EINVAL; /* too large, or nothing */
    return opts->flags & AI_NUMERICSERV ? -ENOENT : 1;
}

int rt_addrinfo_numeric(const char *host, const char *service,
                        const struct skua_getaddrinfo_opts *opts, struct skua_addrinfo **ret_list)
{
    struct answer a = {.places = 0};
    uint32_t port;
    int place = find_places(host, opts, &a);
    if (place < 0)
        return place;
    int named = find_port(service, opts, &port);
    if (named < 0)
        return named;
    int r = find_kinds(opts, service != NULL, &a);
    if (r < 0)
        return r;
    if (place > 0 || named > 0)
        return 0;
    for (int i = 0; i < a.places; i++)
        rt_addr_set_port(&a.place[i], (uint16_t)port);
    return make_list(&a, opts->flags & AI_CANONNAME ? host : NULL, ret_list);
}

/* --- the order of attempts --- */

static size_t next_of(const struct skua_addrinfo *list, size_t n, size_t at, bool first_family)
{
    while (at < n && (list[at].family == list[0].family) != first_family)
        at++;
    return at;
}

void rt_addrinfo_order(const struct skua_addrinfo *list, size_t n, int first,
                       const skua_addr **ret_order)
{
    const size_t lead = first > 0 ? (size_t)first : 1;
    size_t at[2] = {0, 0};
    size_t done = 0;
    if (first < 0)
        for (; done < n; done++)
            ret_order[done] = &list[done].addr;
    for (bool first_family = true; done < n;) {
        size_t *i = &at[first_family];
        *i = next_of(list, n, *i, first_family);
        bool found = *i < n;
        if (found)
            ret_order[done++] = &list[(*i)++].addr;
        if (done >= lead || !found)
            first_family = !first_family;
    }
}
