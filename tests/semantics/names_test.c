/* SPDX-License-Identifier: MIT */
/* Names and connecting to them, as a user sees it: loop.getaddrinfo(), loop.getnameinfo(),
 * create_connection(). What would leave this machine is tested in tests/net/ with a resolver of the
 * test's own. */
#include "../support/t.h"

#include <math.h>
#include <stdio.h>

enum { MANY = 40 };

static void text_of(const skua_addr *addr, char buf[SKUA_ADDR_TEXT])
{
    if (!T_EXPECT(skua_addr_text(addr, buf, SKUA_ADDR_TEXT) > 0))
        buf[0] = '\0';
}

/* --- answers --- */

static void *localhost_main(void *arg)
{
    struct skua_addrinfo *list = NULL;
    char text[SKUA_ADDR_TEXT];
    int n = skua_getaddrinfo("localhost", "8080", 1.0, &list, .type = SOCK_STREAM);
    if (T_EXPECT_INT(n, 2)) {
        text_of(&list[0].addr, text);
        T_EXPECT_STR(text, "[::1]:8080");
        text_of(&list[1].addr, text);
        T_EXPECT_STR(text, "127.0.0.1:8080");
        T_EXPECT_INT(list[1].family, AF_INET);
        T_EXPECT_INT(list[1].type, SOCK_STREAM);
    }
    skua_freeaddrinfo(list);
    list = NULL;
    T_EXPECT_INT(skua_getaddrinfo(NULL, "80", 0, &list, .family = AF_INET, .type = SOCK_DGRAM,
                                  .flags = AI_PASSIVE), 1);
    if (list)
        text_of(&list[0].addr, text);
    T_EXPECT_STR(text, "0.0.0.0:80");
    skua_freeaddrinfo(list);
    T_EXPECT_INT(skua_getaddrinfo("host.example", "80", 1.0, &list, .flags = AI_NUMERICHOST),
                 -ENOENT);
    return arg;
}

static void test_answers_that_need_no_looking_up(void **state)
{
    (void)state;
    t_run(localhost_main, NULL);
    t_run(localhost_main, NULL, .free_main = true);
}

/* The C library knows services; the machine may have no table of them. */
static void *service_main(void *arg)
{
    struct skua_addrinfo *list = NULL;
    struct skua_nameinfo info;
    skua_addr addr;
    int n = skua_getaddrinfo("127.0.0.1", "http", 20.0, &list, .type = SOCK_STREAM);
    T_EXPECT(n == 1 || n == -EPROTONOSUPPORT);
    skua_freeaddrinfo(n > 0 ? list : NULL);
    T_EXPECT_INT(skua_getaddrinfo("127.0.0.1", "no-such-service", 20.0, &list,
                                  .type = SOCK_STREAM), -EPROTONOSUPPORT);
    T_EXPECT_INT(skua_addr_parse("127.0.0.1:80", &addr), 0);
    T_EXPECT_INT(skua_getnameinfo(&addr, NI_NUMERICHOST, 20.0, &info), 0);
    T_EXPECT_STR(info.host, "127.0.0.1");
    T_EXPECT(!strcmp(info.service, n == 1 ? "http" : "80"));
    return arg;
}

static void *many_main(void *arg)
{
    skua_task *t[MANY];
    for (int i = 0; i < MANY; i++)
        T_EXPECT((t[i] = i % 2 ? skua_go(service_main, arg) : skua_spawn(service_main, arg)) !=
                 NULL);
    T_EXPECT_INT(skua_gather(t, MANY, NULL, SKUA_RELEASE), 0);
    return NULL;
}

static void test_many_ask_at_once(void **state)
{
    (void)state;
    t_run(many_main, NULL, .real_time = true);
}

/* --- where it may be called --- */

static void call_back(void *arg)
{
    struct skua_addrinfo *list = NULL;
    T_EXPECT_INT(skua_getaddrinfo("127.0.0.1", "80", 1.0, &list), -EPERM);
    T_EXPECT_INT(skua_connect("localhost:80", 1.0), -EPERM);
    *(bool *)arg = true;
}

static void *callback_main(void *arg)
{
    bool called = false;
    T_EXPECT(skua_call_soon(call_back, &called).id != 0);
    T_EXPECT_INT(skua_sleep(0), 0);
    T_EXPECT(called);
    return arg;
}

static void test_only_tasks_may_ask(void **state)
{
    bool called;
    (void)state;
    call_back(&called);
    t_run(callback_main, NULL);
}

/* Rule 30: a pending cancel is delivered where the task must wait, and not before. */
static void *pending_main(void *arg)
{
    struct skua_addrinfo *list = NULL;
    skua_cancel(skua_current_task(), NULL);
    T_EXPECT_INT(skua_getaddrinfo("127.0.0.1", "80", 1.0, &list, .type = SOCK_STREAM), 1);
    skua_freeaddrinfo(list);
    T_EXPECT_INT(skua_getaddrinfo("127.0.0.1", "http", 20.0, &list), -ECANCELED);
    T_EXPECT_INT(skua_uncancel(skua_current_task()), 0);
    return arg;
}

static void test_rule_30_cancel_is_delivered_where_it_waits(void **state)
{
    (void)state;
    t_run(pending_main, NULL, .real_time = true);
    t_run(pending_main, NULL, .real_time = true, .free_main = true);
}

/* --- connecting --- */

static void *serve_one(void *arg)
{
    int fd = skua_accept(*(int *)arg, 10.0);
    T_EXPECT(fd >= 0);
    T_EXPECT_INT(skua_write(fd, "hello", 5, 10.0), 5);
    T_EXPECT_INT(skua_close(fd), 0);
    return NULL;
}

static void *connect_main(void *arg)
{
    char text[SKUA_ADDR_TEXT], name[32], got[8] = "", peer[SKUA_ADDR_TEXT];
    skua_addr addr;
    int listener = skua_listen("127.0.0.1:0");
    T_EXPECT_INT(skua_sockname(listener, &addr), 0);
    text_of(&addr, text);
    snprintf(name, sizeof name, "localhost:%.5s", strrchr(text, ':') + 1);
    skua_task *t = skua_go(serve_one, &listener);
    int fd = skua_connect(name, 10.0);
    if (T_EXPECT(fd >= 0)) {
        T_EXPECT_INT(skua_read(fd, got, sizeof got - 1, 10.0), 5);
        T_EXPECT_STR(got, "hello");
        T_EXPECT_INT(skua_peername(fd, &addr), 0);
        text_of(&addr, peer);
        T_EXPECT_STR(peer, text);
        T_EXPECT_INT(skua_close(fd), 0);
    }
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_close(listener), 0);
    T_EXPECT_INT(skua_connect(name, 10.0), -ECONNREFUSED);
    T_EXPECT_INT(skua_connect(name, NAN), -EINVAL);
    T_EXPECT_INT(skua_connect("localhost:", 1.0), -EINVAL);
    T_EXPECT_INT(skua_connect("127.1:80", 1.0), -EINVAL);
    T_EXPECT_INT(skua_listen("localhost:0"), -EINVAL);
    return arg;
}

static void test_connecting_to_a_name(void **state)
{
    (void)state;
    t_run(connect_main, NULL, .real_time = true);
    t_run(connect_main, NULL, .real_time = true, .free_main = true);
}

static const struct CMUnitTest tests[] = {
    T_TEST(test_answers_that_need_no_looking_up),
    T_TEST(test_many_ask_at_once),
    T_TEST(test_only_tasks_may_ask),
    T_TEST(test_rule_30_cancel_is_delivered_where_it_waits),
    T_TEST(test_connecting_to_a_name),
};

T_MAIN(tests, NULL)
