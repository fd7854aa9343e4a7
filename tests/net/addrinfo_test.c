/* SPDX-License-Identifier: MIT */
/* Goal: answers that need no looking up are those of the C library, and addresses are tried in the
 * order asked for. Method: both are asked the same numeric questions; tables. */
#include "net_support.h"

#include <netdb.h>

#include "net/lookup.h"

struct question {
    const char *host, *service;
    int family, type, protocol, flags;
};

/* What is an answer of both; the C library may sort several in its own way. */
static bool has(const struct skua_addrinfo *list, const struct addrinfo *ai)
{
    for (; list->family; list++)
        if (list->family == ai->ai_family && list->type == ai->ai_socktype &&
            list->protocol == ai->ai_protocol && list->addr.len == ai->ai_addrlen &&
            memcmp(&list->addr.sa, ai->ai_addr, ai->ai_addrlen) == 0)
            return true;
    return false;
}

static void compare(const struct question *q)
{
    struct skua_getaddrinfo_opts opts = {.size = sizeof opts,
                                         .family = q->family,
                                         .type = q->type,
                                         .protocol = q->protocol,
                                         .flags = q->flags};
    struct addrinfo hints = {.ai_family = q->family,
                             .ai_socktype = q->type,
                             .ai_protocol = q->protocol,
                             .ai_flags = q->flags | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *theirs = NULL;
    struct skua_addrinfo *ours = NULL;
    int r = rt_addrinfo_check(q->host, q->service, &opts);
    if (r == 0)
        r = rt_addrinfo_numeric(q->host, q->service, &opts, &ours);
    int want = getaddrinfo(q->host, q->service, &hints, &theirs);
    if ((r > 0) != (want == 0))
        print_error("%s %s family %d type %d protocol %d flags %d: %d, not %d\n", q->host,
                    q->service, q->family, q->type, q->protocol, q->flags, r, want);
    assert_int_equal(r > 0, want == 0);
    int n = 0;
    for (struct addrinfo *ai = theirs; ai; ai = ai->ai_next, n++)
        assert_true(has(ours, ai));
    if (r > 0) {
        assert_int_equal(n, r);
        assert_int_equal(rt_addrinfo_count(ours), r);
        assert_int_equal(ours->canonname != NULL, theirs->ai_canonname != NULL);
        if (ours->canonname)
            assert_string_equal(ours->canonname, theirs->ai_canonname);
    }
    skua_freeaddrinfo(ours);
    if (theirs)
        freeaddrinfo(theirs);
}

static void test_addrinfo_numeric_is_what_the_c_library_says(void **state)
{
    static const char *const hosts[] = {
        "127.0.0.1", "0.0.0.0",  "255.255.255.255", "::1",      "::",      "fe80::1%1",
        "fe80::1%lo", "2001:db8::1%7", "2001:db8::1%lo", "::ffff:1.2.3.4", "1::2::3", "::1%", NULL,
    };
    static const char *const services[] = {NULL, "0", "80", "65535"};
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
    static const int kinds[][2] = {
        {0, 0}, {SOCK_STREAM, 0}, {SOCK_DGRAM, 0}, {SOCK_RAW, 0}, {0, IPPROTO_TCP},
        {0, IPPROTO_UDP}, {SOCK_STREAM, IPPROTO_TCP}, {SOCK_STREAM, IPPROTO_UDP},
        {SOCK_RAW, IPPROTO_ICMP}, {4711, 0},
    };
    static const int flags[] = {0, AI_PASSIVE, AI_CANONNAME, AI_V4MAPPED, AI_ADDRCONFIG, 1 << 14};
    (void)state;
    for (size_t h = 0; h < sizeof hosts / sizeof *hosts; h++)
        for (size_t s = 0; s < sizeof services / sizeof *services; s++)
            for (size_t f = 0; f < sizeof families / sizeof *families; f++)
                for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
                    for (size_t g = 0; g < sizeof flags / sizeof *flags; g++) {
                        struct question q = {hosts[h],    services[s], families[f],
                                             kinds[k][0], kinds[k][1], flags[g]};
                        if (flags[g] == AI_ADDRCONFIG && !hosts[h])
                            continue; /* depends on the interfaces that there are */
                        compare(&q);
                    }
}

static void test_addrinfo_tells_names_from_numbers(void **state)
{
    static const struct {
        const char *host;
        int flags, want;
    } table[] = {
        {"host.example", 0, 0},      {"host.example", AI_NUMERICHOST, -ENOENT},
        {"a", 0, 0},                 {"1a", 0, 0},
        {"1.a", 0, 0},               {"127.1", 0, -EINVAL},
        {"127.1.", 0, -EINVAL},      {"1.2.3.0x4", 0, -EINVAL},
        {"0x", 0, -EINVAL},          {"0xg", 0, 0},
        {"localhosts", 0, 0},        {"notlocalhost", 0, 0},
        {"localhost", 0, 2},         {"x.LocalHost.", 0, 2},
        {"localhost", AI_NUMERICHOST, -ENOENT},
        {"localhost..", 0, 0},       {"[::1]", 0, 0},
        {".", 0, 0},                 {"host.example.", 0, 0},
    };
    struct skua_getaddrinfo_opts opts = {.size = sizeof opts, .type = SOCK_STREAM};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct skua_addrinfo *list = NULL;
        opts.flags = table[i].flags;
        assert_int_equal(rt_addrinfo_numeric(table[i].host, "1", &opts, &list), table[i].want);
        skua_freeaddrinfo(list);
    }
}

/* Families as letters, in the order of the attempts. */
static void expect_order(const char *given, int first, const char *want)
{
    struct skua_addrinfo list[16] = {{.family = 0}};
    const skua_addr *order[16];
    char got[64];
    size_t at = 0;
    size_t n = strlen(given);
    for (size_t i = 0; i < n; i++)
        list[i].family = given[i] == '6' ? AF_INET6 : AF_INET;
    rt_addrinfo_order(list, n, first, order);
    for (size_t i = 0; i < n; i++) {
        size_t of = 0;
        while (&list[of].addr != order[i])
            of++;
        at += (size_t)snprintf(got + at, sizeof got - at, "%zu", of);
    }
    assert_string_equal(at ? got : "", want);
}

static void test_addrinfo_families_alternate(void **state)
{
    (void)state;
    expect_order("666444", 0, "031425");
    expect_order("666444", 1, "031425");
    expect_order("666444", 2, "013245");
    expect_order("666444", 3, "012345");
    expect_order("666444", 99, "012345");
    expect_order("666444", -1, "012345");
    expect_order("446666", 0, "021345");
    expect_order("464", 0, "012");
    expect_order("644", 0, "012");
    expect_order("4", 0, "0");
    expect_order("", 0, "");
    expect_order("66", 1, "01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_addrinfo_numeric_is_what_the_c_library_says),
        NET_TEST(test_addrinfo_tells_names_from_numbers),
        NET_TEST(test_addrinfo_families_alternate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
