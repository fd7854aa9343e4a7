/* SPDX-License-Identifier: MIT */
/* A resolver for tests: answers, fails or hangs as it was told, and counts. */
#ifndef TESTS_NET_FAKE_RESOLVER_H
#define TESTS_NET_FAKE_RESOLVER_H

#include <netdb.h>
#include <stdatomic.h>

#include "net_support.h"

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool is_shut;             /* calls hang until it is opened */
    const char *const *addrs; /* numeric, with or without a port; ended by NULL */
    int error;                /* EAI_..., or 0 */
    int system_error;         /* errno that goes with EAI_SYSTEM */
    bool with_name;           /* gives a canonical name */
    atomic_int calls;
    atomic_int inside;
    atomic_int lists;         /* not freed yet */
    struct addrinfo hints;    /* of the last call */
    char host[300], service[64];
} fake = {.mutex = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

struct fake_node {
    struct addrinfo ai;
    struct sockaddr_storage sa;
    char name[32];
};

static int fake_wait(void)
{
    fake.calls++;
    pthread_mutex_lock(&fake.mutex);
    while (fake.is_shut)
        pthread_cond_wait(&fake.opened, &fake.mutex);
    pthread_mutex_unlock(&fake.mutex);
    errno = fake.system_error;
    return fake.error;
}

static UNUSED void fake_open(void)
{
    pthread_mutex_lock(&fake.mutex);
    fake.is_shut = false;
    pthread_cond_broadcast(&fake.opened);
    pthread_mutex_unlock(&fake.mutex);
}

static struct addrinfo *fake_node(const char *text, const char *service,
                                  const struct addrinfo *hints)
{
    char full[128];
    skua_addr addr;
    struct fake_node *node = calloc(1, sizeof *node);
    bool has_port = strchr(strchr(text, ']') ? strchr(text, ']') : text, ':') != NULL;
    snprintf(full, sizeof full, "%s%s%d", text, has_port ? "" : ":",
             service ? atoi(service) : 0);
    if (has_port) /* whatever was asked for */
        snprintf(full, sizeof full, "%s", text);
    assert_int_equal(skua_addr_parse(full, &addr), 0);
    node->sa = addr.sa;
    node->ai.ai_family = addr.sa.ss_family;
    node->ai.ai_socktype = hints->ai_socktype;
    node->ai.ai_addr = (struct sockaddr *)&node->sa;
    node->ai.ai_addrlen = addr.len;
    if (fake.with_name) {
        strcpy(node->name, "canonical.example");
        node->ai.ai_canonname = node->name;
    }
    return &node->ai;
}

static int fake_answer(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list)
{
    struct addrinfo *list = NULL;
    struct addrinfo **end = &list;
    snprintf(fake.host, sizeof fake.host, "%s", host ? host : "(none)");
    snprintf(fake.service, sizeof fake.service, "%s", service ? service : "(none)");
    fake.hints = *hints;
    int error = fake_wait();
    if (error)
        return error;
    for (const char *const *at = fake.addrs; at && *at; at++) {
        struct addrinfo *ai = fake_node(*at, service, hints);
        if (hints->ai_family && hints->ai_family != ai->ai_family) {
            free(ai);
            continue;
        }
        *end = ai;
        end = &ai->ai_next;
    }
    fake.lists += list != NULL;
    *ret_list = list;
    return list || !fake.addrs ? 0 : EAI_NODATA;
}

static int fake_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                            struct addrinfo **ret_list)
{
    fake.inside++;
    int error = fake_answer(host, service, hints, ret_list);
    fake.inside--;
    return error;
}

static void fake_freeaddrinfo(struct addrinfo *list)
{
    fake.lists--;
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static int fake_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host,
                            socklen_t host_n, char *service, socklen_t service_n, int flags)
{
    (void)addr;
    (void)len;
    (void)flags;
    fake.inside++;
    int error = fake_wait();
    snprintf(host, host_n, "somebody.example");
    snprintf(service, service_n, "echo");
    fake.inside--;
    return error;
}

static UNUSED void fake_use(const char *const *addrs)
{
    static const struct rt_resolver resolver = {fake_getaddrinfo, fake_freeaddrinfo,
                                                fake_getnameinfo};
    fake.addrs = addrs;
    fake.error = fake.system_error = 0;
    fake.is_shut = fake.with_name = false;
    fake.calls = 0;
    rt_sys_resolver_set(&resolver);
}

/* In a task: until `n` calls have been made. */
static UNUSED void fake_await_calls(int n)
{
    while (fake.calls < n)
        assert_int_equal(skua_sleep(0.001), 0);
}

/* In a task: until no thread is inside, so that what it uses may go. */
static UNUSED void fake_await_end(void)
{
    while (fake.inside > 0)
        assert_int_equal(skua_sleep(0.001), 0);
}

static UNUSED int fake_teardown(void **state)
{
    assert_int_equal(fake.lists, 0);
    assert_int_equal(fake.inside, 0);
    rt_sys_resolver_set(NULL);
    return teardown_each(state);
}

#define FAKE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_each, fake_teardown)

#endif
