/* SPDX-License-Identifier: MIT */
/* Goal: addresses are read as written, and what is not one is refused without touching memory
 * beyond it. Method: tables; unix names around the limit. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr_reads_ip4),
        cmocka_unit_test(test_addr_reads_ip6),
        cmocka_unit_test(test_addr_reads_unix),
        cmocka_unit_test(test_addr_checks_the_length_of_unix_names),
        cmocka_unit_test(test_addr_refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
