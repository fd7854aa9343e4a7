/* SPDX-License-Identifier: MIT */
/* Goal: addresses are read as written, and what is not one is refused without touching memory
 * beyond it; a text is read as what was written. Method: tables; names around the limits; small
 * changes to good addresses. */
#include "net_support.h"

#include "net/addr.h"

static void test_addr_reads_ip4(void **state)
{
    skua_addr a;
    (void)state;
    assert_int_equal(rt_addr_parse("127.0.0.1:8080", &a), 0);
    struct sockaddr_in *sin = (struct sockaddr_in *)&a.sa;
    assert_int_equal(a.len, sizeof *sin);
    assert_int_equal(sin->sin_family, AF_INET);
    assert_int_equal(ntohs(sin->sin_port), 8080);
    assert_int_equal(ntohl(sin->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(rt_addr_parse("0.0.0.0:0", &a), 0);
    assert_int_equal(rt_addr_parse("255.255.255.255:65535", &a), 0);
}

static void test_addr_reads_ip6(void **state)
{
    skua_addr a;
    (void)state;
    assert_int_equal(rt_addr_parse("[::1]:65535", &a), 0);
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&a.sa;
    assert_int_equal(a.len, sizeof *sin6);
    assert_int_equal(sin6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(sin6->sin6_port), 65535);
    assert_memory_equal(&sin6->sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
    assert_int_equal(rt_addr_parse("[fe80::1%7]:80", &a), 0);
    assert_int_equal(sin6->sin6_scope_id, 7);
    assert_int_equal(rt_addr_parse("[::ffff:1.2.3.4]:1", &a), 0);
}

static void test_addr_reads_unix(void **state)
{
    skua_addr a;
    struct sockaddr_un *sun = (struct sockaddr_un *)&a.sa;
    (void)state;
    assert_int_equal(rt_addr_parse("unix:/tmp/x", &a), 0);
    assert_int_equal(sun->sun_family, AF_UNIX);
    assert_string_equal(sun->sun_path, "/tmp/x");
    assert_int_equal(a.len, offsetof(struct sockaddr_un, sun_path) + 7);
    assert_int_equal(rt_addr_parse("unix:@ab", &a), 0);
    assert_memory_equal(sun->sun_path, "\0ab", 3);
    assert_int_equal(a.len, offsetof(struct sockaddr_un, sun_path) + 3);
}

static void test_addr_checks_the_length_of_unix_names(void **state)
{
    skua_addr a;
    char text[256];
    const size_t max = sizeof((struct sockaddr_un *)NULL)->sun_path;
    (void)state;
    for (size_t n = 1; n < 240; n++) {
        memset(text, 'x', sizeof text);
        memcpy(text, "unix:", 5);
        text[5 + n] = '\0';
        assert_int_equal(rt_addr_parse(text, &a), n < max ? 0 : -EINVAL);
        text[5] = '@';
        assert_int_equal(rt_addr_parse(text, &a), n > 1 && n <= max ? 0 : -EINVAL);
    }
}

static void test_addr_refuses_what_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        ":",
        ":80",
        "80",
        "localhost:80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:1 ",
        "127.0.0.1:0x1",
        "127.0.0.1:99999999999999999999",
        "127.0.0:1",
        "256.0.0.1:1",
        "127.0.0.1:1:1",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1]:",
        "[::1",
        "[]:1",
        "[::1]]:1",
        "[127.0.0.1]:1",
        "[fe80::1%]:1",
        "[fe80::1%x]:1",
        "[fe80::1%4294967296]:1",
        "unix:",
        "unix:@",
        "UNIX:/x",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
    };
    skua_addr a;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(rt_addr_parse(texts[i], &a), -EINVAL);
    assert_int_equal(rt_addr_parse(NULL, &a), -EINVAL);
}

/* --- names --- */

static void test_addr_tells_names_from_addresses(void **state)
{
    static const struct {
        const char *text;
        int want;
        const char *name;
        int port;
    } table[] = {
        {"localhost:80", 1, "localhost", 80},
        {"a:0", 1, "a", 0},
        {"host.example.:65535", 1, "host.example.", 65535},
        {"xn--bcher-kva.example:1", 1, "xn--bcher-kva.example", 1},
        {"under_score:1", 1, "under_score", 1},
        {"1a:1", 1, "1a", 1},
        {"127.0.0.1:80", 0, NULL, 0},
        {"[::1]:80", 0, NULL, 0},
        {"unix:@x", 0, NULL, 0},
        {"localhost", -EINVAL, NULL, 0},
        {"localhost:", -EINVAL, NULL, 0},
        {"localhost:http", -EINVAL, NULL, 0},
        {"localhost:65536", -EINVAL, NULL, 0},
        {"[localhost]:80", -EINVAL, NULL, 0},
        {"a b:80", -EINVAL, NULL, 0},
        {"a/b:80", -EINVAL, NULL, 0},
        {"a@b:80", -EINVAL, NULL, 0},
        {"a%b:80", -EINVAL, NULL, 0},
        {"a:b:80", -EINVAL, NULL, 0},
        {"a\n:80", -EINVAL, NULL, 0},
        {"b\303\274cher:80", -EINVAL, NULL, 0},
        {"-a:80", -EINVAL, NULL, 0},
        {".a:80", -EINVAL, NULL, 0},
        {"a..b:80", -EINVAL, NULL, 0},
        {"127.1:80", -EINVAL, NULL, 0},
        {"2130706433:80", -EINVAL, NULL, 0},
        {"0x7f.1:80", -EINVAL, NULL, 0},
        {"1.2.3.4.:80", -EINVAL, NULL, 0},
        {"1.2.3.04:80", -EINVAL, NULL, 0},
        {"host.0xff:80", -EINVAL, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct rt_host host;
        skua_addr a;
        assert_int_equal(rt_addr_parse_name(table[i].text, &a, &host), table[i].want);
        assert_int_equal(skua_addr_parse(table[i].text, &a), table[i].want == 0 ? 0 : -EINVAL);
        if (table[i].want == 1) {
            assert_string_equal(host.name, table[i].name);
            assert_int_equal(host.port, table[i].port);
        }
    }
}

static void test_addr_checks_the_length_of_names(void **state)
{
    char text[400];
    (void)state;
    for (size_t n = 1; n < 300; n++) {
        struct rt_host host;
        skua_addr a;
        memset(text, 'x', n);
        strcpy(text + n, ":1");
        assert_int_equal(rt_addr_parse_name(text, &a, &host), n <= RT_HOST_MAX ? 1 : -ENAMETOOLONG);
    }
}

static void test_addr_names_interfaces_of_the_own_link_only(void **state)
{
    skua_addr a;
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&a.sa;
    (void)state;
    unsigned lo = rt_sys_interface_index("lo");
    if (lo == 0)
        skip();
    assert_int_equal(rt_addr_parse("[fe80::1%lo]:80", &a), 0);
    assert_int_equal(sin6->sin6_scope_id, lo);
    assert_int_equal(rt_addr_parse("[ff02::1%lo]:80", &a), 0);
    assert_int_equal(rt_addr_parse("[2001:db8::1%lo]:80", &a), -EINVAL);
    assert_int_equal(rt_addr_parse("[2001:db8::1%5]:80", &a), 0);
    assert_int_equal(rt_addr_parse("[fe80::1%no-such-interface]:80", &a), -EINVAL);
    assert_int_equal(rt_addr_parse("[fe80::1%lo%lo]:80", &a), -EINVAL);
}

/* --- text --- */

static void test_addr_text_reads_as_the_same_address(void **state)
{
    static const char *const texts[] = {
        "0.0.0.0:0", "127.0.0.1:8080", "255.255.255.255:65535", "[::]:0", "[::1]:80",
        "[fe80::1%7]:443", "[2001:db8:1:2:3:4:5:6]:65535", "[::ffff:1.2.3.4]:1", "unix:/tmp/x",
        "unix:relative", "unix:@abstract", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char buf[SKUA_ADDR_TEXT];
        skua_addr a;
        size_t n = strlen(texts[i]);
        assert_int_equal(skua_addr_parse(texts[i], &a), 0);
        assert_int_equal(skua_addr_text(&a, buf, sizeof buf), n);
        assert_string_equal(buf, texts[i]);
        assert_int_equal(skua_addr_text(&a, buf, n + 1), n);
        assert_int_equal(skua_addr_text(&a, buf, n), -ENOSPC);
        assert_int_equal(skua_addr_text(&a, NULL, 0), -ENOSPC);
    }
}

static void test_addr_text_of_odd_addresses(void **state)
{
    char buf[SKUA_ADDR_TEXT];
    skua_addr a = {.len = 0};
    struct sockaddr_un *sun = (struct sockaddr_un *)&a.sa;
    const socklen_t head = offsetof(struct sockaddr_un, sun_path);
    (void)state;
    assert_int_equal(skua_addr_text(NULL, buf, sizeof buf), -EINVAL);
    assert_int_equal(skua_addr_text(&a, buf, sizeof buf), -EINVAL);
    a.sa.ss_family = AF_PACKET;
    a.len = 20;
    assert_int_equal(skua_addr_text(&a, buf, sizeof buf), -EINVAL);
    a.sa.ss_family = AF_INET;
    a.len = 4;
    assert_int_equal(skua_addr_text(&a, buf, sizeof buf), -EINVAL);
    a.sa.ss_family = AF_INET6;
    a.len = sizeof(struct sockaddr_in);
    assert_int_equal(skua_addr_text(&a, buf, sizeof buf), -EINVAL);
    sun->sun_family = AF_UNIX;
    a.len = head;
    assert_int_equal(skua_addr_text(&a, buf, sizeof buf), 5);
    assert_string_equal(buf, "unix:");
    memcpy(sun->sun_path, "\0a\0b", 4);
    a.len = head + 4;
    assert_int_equal(skua_addr_text(&a, buf, sizeof buf), 9);
    assert_string_equal(buf, "unix:@a@b");
    memset(sun->sun_path, 'p', sizeof sun->sun_path); /* not ended by a zero */
    a.len = sizeof *sun;
    assert_int_equal(skua_addr_text(&a, buf, sizeof buf), 5 + sizeof sun->sun_path);
    a.len = sizeof *sun + 1;
    assert_int_equal(skua_addr_text(&a, buf, sizeof buf), -EINVAL);
}

/* What is near to an address is refused or understood, and what is understood reads back. */
static void test_addr_survives_mutations(void **state)
{
    static const char *const seeds[] = {"127.0.0.1:8080", "[fe80::1%lo]:443", "unix:@abc",
                                        "[::ffff:1.2.3.4%3]:1", "host.example:80", "unix:/tmp/x"};
    static const char bytes[] = "0129aAfFxz:[]%@./-_ \n\x01\xff";
    uint32_t random = 12345;
    (void)state;
    for (int round = 0; round < 60000; round++) {
        char text[64], buf[SKUA_ADDR_TEXT];
        struct rt_host host;
        skua_addr a, b;
        memcpy(text, seeds[round % 6], strlen(seeds[round % 6]) + 1);
        for (int change = 0; change <= round % 3; change++) {
            random = random * 1664525u + 1013904223u;
            size_t at = (random >> 8) % (strlen(text) + 1);
            char byte = bytes[(random >> 20) % (sizeof bytes - 1)];
            if (random & 1 && text[at])
                text[at] = byte;
            else if (random & 2)
                memmove(text + at, text + at + !!text[at], strlen(text + at) + !text[at]);
            else {
                memmove(text + at + 1, text + at, strlen(text + at) + 1);
                text[at] = byte;
            }
        }
        int r = rt_addr_parse_name(text, &a, &host);
        assert_true(r == 0 || r == 1 || r == -EINVAL);
        if (r == 0) {
            assert_true(skua_addr_text(&a, buf, sizeof buf) > 0);
            assert_int_equal(skua_addr_parse(buf, &b), 0);
            assert_int_equal(a.len, b.len);
            assert_memory_equal(&a.sa, &b.sa, a.len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr_reads_ip4),
        cmocka_unit_test(test_addr_reads_ip6),
        cmocka_unit_test(test_addr_reads_unix),
        cmocka_unit_test(test_addr_checks_the_length_of_unix_names),
        cmocka_unit_test(test_addr_refuses_what_is_none),
        cmocka_unit_test(test_addr_tells_names_from_addresses),
        cmocka_unit_test(test_addr_checks_the_length_of_names),
        cmocka_unit_test(test_addr_names_interfaces_of_the_own_link_only),
        cmocka_unit_test(test_addr_text_reads_as_the_same_address),
        cmocka_unit_test(test_addr_text_of_odd_addresses),
        cmocka_unit_test(test_addr_survives_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
