/* SPDX-License-Identifier: MIT */
/* Goal: the door to sockets and names keeps the caller's errno, tells errors as errno values and
 * can be made to fail. Method: each call once with and without an injected error, and a resolver of
 * the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"

static int reset(void **state)
{
    (void)state;
    rt_fault_reset();
    rt_sys_resolver_set(NULL);
    return 0;
}

static void test_sys_net_sendfile(void **state)
{
    char name[] = "/tmp/skua-sys-net-XXXXXX", got[16] = "";
    int fds[2];
    int file = mkostemp(name, O_CLOEXEC);
    (void)state;
    assert_true(file >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(write(file, "0123456789", 10), 10);
    assert_int_equal(rt_sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(rt_sys_sendfile(fds[0], file, 2, 5), 5);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 10); /* its position stays */
    assert_int_equal(rt_sys_recv(fds[1], got, sizeof got, 0), 5);
    assert_string_equal(got, "23456");
    rt_fault_transfer_cap(3);
    assert_int_equal(rt_sys_sendfile(fds[0], file, 0, 10), 3);
    rt_fault_arm(RT_SYS_SENDFILE, 1, EINTR); /* retried */
    assert_int_equal(rt_sys_sendfile(fds[0], file, 0, 1), 1);
    rt_fault_arm(RT_SYS_SENDFILE, 1, EIO);
    errno = 77;
    assert_int_equal(rt_sys_sendfile(fds[0], file, 0, 1), -EIO);
    assert_int_equal(rt_sys_sendfile(fds[0], -1, 0, 1), -EBADF);
    assert_int_equal(errno, 77);
    close(fds[0]);
    close(fds[1]);
    close(file);
}

static int says;

static int no_address(const char *host, const char *service, const struct addrinfo *hints,
                      struct addrinfo **ret_list)
{
    (void)host;
    (void)service;
    (void)hints;
    (void)ret_list;
    errno = ENFILE;
    return says;
}

static int no_name(const struct sockaddr *addr, socklen_t len, char *ret_host, socklen_t host_n,
                   char *ret_service, socklen_t service_n, int flags)
{
    (void)addr;
    (void)len;
    (void)ret_host;
    (void)host_n;
    (void)ret_service;
    (void)service_n;
    (void)flags;
    errno = ENFILE;
    return says;
}

static void test_sys_net_asks_a_substitute(void **state)
{
    static const struct rt_resolver resolver = {no_address, freeaddrinfo, no_name};
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    char host[NI_MAXHOST], service[NI_MAXSERV];
    (void)state;
    errno = 77;
    assert_int_equal(rt_sys_getaddrinfo("127.0.0.1", "80", &hints, &list), 0);
    assert_int_equal(rt_sys_getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, service,
                                        sizeof service, NI_NUMERICHOST | NI_NUMERICSERV), 0);
    assert_string_equal(host, "127.0.0.1");
    rt_sys_freeaddrinfo(list);
    assert_int_equal(rt_sys_getaddrinfo("host.example", "80", &hints, &list), -ENOENT);
    rt_sys_resolver_set(&resolver);
    says = EAI_AGAIN;
    assert_int_equal(rt_sys_getaddrinfo("127.0.0.1", "80", &hints, &list), -EAGAIN);
    says = EAI_SYSTEM;
    assert_int_equal(rt_sys_getaddrinfo("127.0.0.1", "80", &hints, &list), -ENFILE);
    assert_int_equal(rt_sys_getnameinfo(NULL, 0, host, sizeof host, NULL, 0, 0), -ENFILE);
    rt_fault_arm(RT_SYS_GETNAMEINFO, 1, ENOMEM);
    assert_int_equal(rt_sys_getnameinfo(NULL, 0, host, sizeof host, NULL, 0, 0), -ENOMEM);
    rt_fault_arm(RT_SYS_GETADDRINFO, 1, EINTR); /* retried */
    assert_int_equal(rt_sys_getaddrinfo("127.0.0.1", "80", &hints, &list), -ENFILE);
    assert_int_equal(errno, 77);
    assert_int_equal(rt_sys_interface_index("no-such-interface"), 0);
    assert_int_equal(errno, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_sys_net_sendfile, reset),
        cmocka_unit_test_teardown(test_sys_net_asks_a_substitute, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
