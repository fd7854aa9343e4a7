/* SPDX-License-Identifier: MIT */
/* Goal: names are looked up on the lane, nothing else is; a caller leaves at once, and nothing
 * leaks, whoever is last. Method: a resolver that answers, fails and hangs as told; every
 * allocation fails once; a runtime that ends before its resolver. */
#include "fake_resolver.h"

static const char *const two[] = {"[2001:db8::1]", "192.0.2.1", NULL};

static int lookup(const char *host, const char *service, double timeout)
{
    struct skua_addrinfo *list = NULL;
    int n = skua_getaddrinfo(host, service, timeout, &list, .type = SOCK_STREAM);
    assert_true((n > 0) == (list != NULL));
    skua_freeaddrinfo(list);
    return n;
}

static void run_virtual(skua_fn body)
{
    struct skua_run_opts opts = {.size = sizeof opts, .workers = 1, .virtual_time = true};
    assert_int_equal(skua_run_with(body, NULL, &opts), 0);
}

/* --- answers --- */

static void *check_answers(void *arg)
{
    struct skua_addrinfo *list = NULL;
    char text[SKUA_ADDR_TEXT];
    (void)arg;
    fake_use(two);
    fake.with_name = true;
    int n = skua_getaddrinfo("host.example", "80", 5.0, &list, .type = SOCK_STREAM,
                             .flags = AI_CANONNAME);
    assert_int_equal(n, 2);
    assert_string_equal(fake.host, "host.example");
    assert_string_equal(fake.service, "80");
    assert_int_equal(fake.hints.ai_flags, AI_CANONNAME);
    assert_int_equal(list[0].family, AF_INET6);
    assert_int_equal(list[1].type, SOCK_STREAM);
    assert_string_equal(list[0].canonname, "canonical.example");
    assert_true(skua_addr_text(&list[0].addr, text, sizeof text) > 0);
    assert_string_equal(text, "[2001:db8::1]:80");
    assert_true(skua_addr_text(&list[1].addr, text, sizeof text) > 0);
    assert_string_equal(text, "192.0.2.1:80");
    skua_freeaddrinfo(list);
    n = skua_getaddrinfo("host.example", NULL, INFINITY, &list, .family = AF_INET);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].family, AF_INET);
    skua_freeaddrinfo(list);
    assert_int_equal(lookup("127.0.0.1", "echo", 5.0), 2); /* a service is a name as well */
    assert_int_equal(lookup("localhost", "echo", 5.0), 2);
    assert_string_equal(fake.host, "(none)");
    assert_int_equal(skua_getaddrinfo("host.example", "1", 5.0, NULL), 2);
    skua_freeaddrinfo(NULL);
    return NULL;
}

static void test_lookup_gives_what_the_resolver_says(void **state)
{
    (void)state;
    run_all(check_answers);
}

static void *check_errors(void *arg)
{
    static const struct {
        int eai, system, want;
    } table[] = {
        {EAI_NONAME, 0, -ENOENT},           {EAI_NODATA, 0, -ENODATA},
        {EAI_ADDRFAMILY, 0, -ENODATA},      {EAI_AGAIN, 0, -EAGAIN},
        {EAI_FAIL, 0, -EREMOTEIO},          {EAI_FAMILY, 0, -EAFNOSUPPORT},
        {EAI_SOCKTYPE, 0, -ESOCKTNOSUPPORT}, {EAI_SERVICE, 0, -EPROTONOSUPPORT},
        {EAI_BADFLAGS, 0, -EINVAL},         {EAI_MEMORY, 0, -ENOMEM},
        {EAI_OVERFLOW, 0, -EOVERFLOW},      {EAI_IDN_ENCODE, 0, -EILSEQ},
        {EAI_SYSTEM, EMFILE, -EMFILE},      {EAI_SYSTEM, 0, -EIO},
        {EAI_SYSTEM, ECANCELED, -EIO},      {-4711, 0, -EIO},
    };
    struct skua_nameinfo info;
    skua_addr addr;
    (void)arg;
    fake_use(two);
    assert_int_equal(skua_addr_parse("192.0.2.1:7", &addr), 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fake.error = table[i].eai;
        fake.system_error = table[i].system;
        errno = 77;
        assert_int_equal(lookup("host.example", "80", 5.0), table[i].want);
        assert_int_equal(skua_getnameinfo(&addr, 0, 5.0, &info), table[i].want);
        assert_int_equal(errno, 77);
    }
    fake_use(NULL); /* no error and no answer */
    assert_int_equal(lookup("host.example", "80", 5.0), -ENODATA);
    return NULL;
}

static void test_lookup_maps_every_error(void **state)
{
    (void)state;
    run_with(check_errors, 1, false);
}

static void *check_back(void *arg)
{
    struct skua_nameinfo info = {.host = ""};
    skua_addr addr;
    (void)arg;
    fake_use(two);
    assert_int_equal(skua_addr_parse("[2001:db8::1]:7", &addr), 0);
    assert_int_equal(skua_getnameinfo(&addr, 0, 5.0, &info), 0);
    assert_string_equal(info.host, "somebody.example");
    assert_string_equal(info.service, "echo");
    assert_int_equal(fake.calls, 1);
    assert_int_equal(skua_getnameinfo(&addr, 0, 5.0, NULL), 0);
    assert_int_equal(fake.calls, 2);
    assert_int_equal(skua_getnameinfo(&addr, NI_NUMERICHOST | NI_NUMERICSERV, 0, &info), 0);
    assert_int_equal(fake.calls, 2);
    assert_string_equal(info.host, "2001:db8::1");
    assert_string_equal(info.service, "7");
    assert_int_equal(skua_addr_parse("127.0.0.1:65535", &addr), 0);
    assert_int_equal(skua_getnameinfo(&addr, NI_NUMERICHOST | NI_NUMERICSERV, 0, &info), 0);
    assert_string_equal(info.host, "127.0.0.1");
    assert_string_equal(info.service, "65535");
    assert_int_equal(skua_getnameinfo(&addr, 1 << 20, 1.0, &info), -EINVAL);
    assert_int_equal(skua_getnameinfo(NULL, 0, 1.0, &info), -EINVAL);
    assert_int_equal(skua_getnameinfo(&addr, 0, NAN, &info), -EINVAL);
    assert_int_equal(skua_getnameinfo(&addr, 0, 0, &info), -ETIMEDOUT);
    addr.len = 8;
    assert_int_equal(skua_getnameinfo(&addr, 0, 1.0, &info), -EINVAL);
    assert_int_equal(skua_addr_parse("unix:/x", &addr), 0);
    assert_int_equal(skua_getnameinfo(&addr, 0, 1.0, &info), -EAFNOSUPPORT);
    return NULL;
}

static void test_lookup_of_addresses(void **state)
{
    skua_addr addr;
    struct skua_nameinfo info;
    (void)state;
    run_with(check_back, 1, false);
    assert_int_equal(skua_addr_parse("[::1]:7", &addr), 0);
    assert_int_equal(skua_getnameinfo(&addr, 0, 1.0, &info), -EPERM);
}

/* --- what needs no looking up --- */

static void *check_no_lane(void *arg)
{
    static const char *const hosts[] = {"127.0.0.1", "::1",        "fe80::1%2",   NULL,
                                        "localhost", "LOCALHOST.", "a.localhost", "::ffff:1.2.3.4"};
    struct skua_lane_stats stats = {.size = sizeof stats};
    char long_name[300];
    (void)arg;
    fake_use(two);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        assert_true(lookup(hosts[i], "80", -1.0) > 0); /* also when there is no time at all */
    memset(long_name, 'a', sizeof long_name);
    long_name[256] = '\0';
    assert_int_equal(lookup(long_name, "80", 1.0), -ENAMETOOLONG);
    assert_int_equal(lookup("host.example", long_name + 224, 1.0), -ENAMETOOLONG);
    assert_int_equal(lookup("host.example", "80", 0), -ETIMEDOUT);
    assert_int_equal(lookup("host.example", "80", NAN), -EINVAL);
    assert_int_equal(lookup("", "80", 1.0), -EINVAL);
    assert_int_equal(lookup(NULL, NULL, 1.0), -EINVAL);
    assert_int_equal(lookup("127.1", "80", 1.0), -EINVAL);
    assert_int_equal(lookup("0x7f000001", "80", 1.0), -EINVAL);
    assert_int_equal(lookup("1.2.3.4.5", "80", 1.0), -EINVAL);
    assert_int_equal(lookup("host.example", "65536", 1.0), -EINVAL);
    assert_int_equal(lookup("host.example", "", 1.0), -EINVAL);
    assert_int_equal(fake.calls, 0);
    assert_int_equal(skua_lane_stats_get("dns", &stats), 0);
    assert_int_equal(stats.threads + (int)stats.done, 0);
    long_name[255] = '\0';
    assert_int_equal(lookup(long_name, long_name + 224, 1.0), 2);
    assert_string_equal(fake.host, long_name);
    return NULL;
}

static void test_lookup_of_what_is_no_name_asks_nobody(void **state)
{
    (void)state;
    run_with(check_no_lane, 1, false);
    assert_int_equal(lookup("127.0.0.1", "80", 1.0), -EPERM);
}

/* --- leaving --- */

struct asking {
    double timeout;
    int r;
};

static void *ask(void *arg)
{
    struct asking *a = arg;
    a->r = lookup("hangs.example", "80", a->timeout);
    return NULL;
}

static uint64_t withdrawn(void)
{
    struct skua_lane_stats stats = {.size = sizeof stats};
    assert_int_equal(skua_lane_stats_get("dns", &stats), 0);
    return stats.withdrawn;
}

/* Until a thread is inside with it. On a busy machine its time may be up before: then it asks
 * again. */
static skua_task *ask_inside(struct asking *a, int calls)
{
    skua_task *t = skua_spawn(ask, a);
    uint64_t before = withdrawn();
    while (fake.calls < calls) {
        assert_int_equal(skua_sleep(0.001), 0);
        if (withdrawn() == before)
            continue;
        join(t);
        before = withdrawn();
        t = skua_spawn(ask, a);
    }
    return t;
}

static void leave_some(void)
{
    enum { LANE = 4, MORE = 3 };
    struct asking asking[LANE + MORE];
    skua_task *t[LANE + MORE];
    uint64_t before = 0;
    fake_use(two);
    fake.is_shut = true;
    for (int i = 0; i < LANE + MORE; i++) { /* the lane is full, the others are queued */
        asking[i] = (struct asking){.timeout = i == 1 || i == LANE + 1 ? 0.02 : INFINITY};
        t[i] = i < LANE ? ask_inside(&asking[i], i + 1) : skua_spawn(ask, &asking[i]);
        if (i == LANE - 1)
            before = withdrawn();
    }
    join(t[1]);
    join(t[LANE + 1]);
    assert_int_equal(asking[1].r, -ETIMEDOUT);
    assert_int_equal(asking[LANE + 1].r, -ETIMEDOUT);
    skua_cancel(t[0], NULL);
    skua_cancel(t[LANE], NULL);
    join(t[0]);
    join(t[LANE]);
    assert_int_equal(asking[0].r, -ECANCELED);
    assert_int_equal(asking[LANE].r, -ECANCELED);
    assert_int_equal(fake.inside, LANE); /* nobody waited for them */
    assert_int_equal(withdrawn() - before, 2);
    fake_open();
    join(t[2]);
    join(t[3]);
    join(t[LANE + 2]);
    assert_int_equal(asking[2].r, 2);
    assert_int_equal(asking[3].r, 2);
    assert_int_equal(asking[LANE + 2].r, 2);
    assert_int_equal(fake.calls, LANE + 1);
    fake_await_end();
}

static void *check_leaving(void *arg)
{
    enum { ROUNDS = 5 };
    int64_t live = 0;
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        leave_some();
        live = round == 0 ? rt_mem_live() : live;
    }
    while (rt_mem_live() >= live + ROUNDS - 1) /* the threads are through with it soon */
        assert_int_equal(skua_sleep(0.001), 0);
    return NULL;
}

static void test_lookup_that_hangs_is_left_at_once(void **state)
{
    (void)state;
    run_all(check_leaving);
}

static void *leave_one_hanging(void *arg)
{
    struct asking a = {.timeout = 0.01};
    (void)arg;
    fake_use(two);
    fake.is_shut = true;
    ask(&a);
    assert_int_equal(a.r, -ETIMEDOUT);
    return NULL;
}

static void test_lookup_outlives_its_runtime(void **state)
{
    struct skua_run_opts opts = {.size = sizeof opts, .workers = 1, .shutdown_timeout = 0.01};
    (void)state;
    run_with(check_answers, 1, false);
    int64_t live = rt_mem_live();
    assert_int_equal(skua_run_with(leave_one_hanging, NULL, &opts), 0);
    assert_int_equal(fake.inside, 1);
    fake_open();
    while (rt_mem_live() > live + 1) /* the thread takes everything with it but the closed loop */
        usleep(1000);
}

/* --- shortage --- */

static void *check_allocation(void *arg)
{
    (void)arg;
    fake_use(two);
    assert_int_equal(lookup("host.example", "80", 5.0), 2); /* the pool is there */
    uint64_t hits = 1;
    int n = 0;
    while (hits > 0) {
        rt_fault_alloc_arm((uint64_t)++n);
        int r = lookup("host.example", "80", 5.0);
        hits = rt_fault_alloc_hits();
        rt_fault_alloc_arm(0);
        assert_true(r == 2 || (r == -ENOMEM && hits > 0)); /* one more thread may be dispensable */
    }
    assert_true(n > 3);
    rt_fault_alloc_arm(1);
    assert_int_equal(lookup("127.0.0.1", "80", 5.0), -ENOMEM);
    rt_fault_alloc_arm(0);
    return NULL;
}

static void test_lookup_without_memory(void **state)
{
    (void)state;
    run_with(check_allocation, 1, false);
}

static void *check_no_thread(void *arg)
{
    (void)arg;
    fake_use(two);
    rt_fault_arm(RT_SYS_THREAD_CREATE, 1, EAGAIN);
    assert_int_equal(lookup("host.example", "80", 5.0), -EAGAIN);
    rt_fault_reset();
    assert_int_equal(lookup("host.example", "80", 5.0), 2);
    rt_fault_arm(RT_SYS_GETADDRINFO, 1, EINTR);
    assert_int_equal(lookup("host.example", "80", 5.0), 2);
    rt_fault_arm(RT_SYS_GETADDRINFO, 1, ENFILE);
    assert_int_equal(lookup("host.example", "80", 5.0), -ENFILE);
    rt_fault_reset();
    return NULL;
}

static void test_lookup_without_threads(void **state)
{
    (void)state;
    run_virtual(check_no_thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TEST(test_lookup_gives_what_the_resolver_says),
        FAKE_TEST(test_lookup_maps_every_error),
        FAKE_TEST(test_lookup_of_addresses),
        FAKE_TEST(test_lookup_of_what_is_no_name_asks_nobody),
        FAKE_TEST(test_lookup_that_hangs_is_left_at_once),
        FAKE_TEST(test_lookup_outlives_its_runtime),
        FAKE_TEST(test_lookup_without_memory),
        FAKE_TEST(test_lookup_without_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
