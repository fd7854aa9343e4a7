/* SPDX-License-Identifier: MIT */
/* floor 8: net. skua_getaddrinfo, skua_getnameinfo. */
#include "net/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "aio/pool.h"
#include "base/mem.h"
#include "base/sys.h"
#include "net/addr.h"
#include "sched/wait.h"

/* --- asking a thread --- */

/* Calls fn on the lane with a copy of the question, for a block of memory that becomes the
 * caller's. */
static int ask(skua_fn fn, void *question, size_t size, uint64_t deadline, void **ret_answer)
{
    struct rt_worker *w = rt_self();
    struct skua_thread_opts opts = {.size = sizeof opts, .lane = "dns", .copy = size};
    int r;
    if (deadline == 0)
        return -ETIMEDOUT;
    int kept = *skua_errno_location(); /* making the pool and its threads asks the system a lot */
    struct rt_job *job = rt_job_new(w->rt, fn, question, w->cur, &opts, &r);
    if (job) {
        job->drop = rt_free;
        r = rt_job_run(w, job, deadline, true);
        if (r == 0)
            r = skua_failed(job->result);
        if (r == 0) {
            *ret_answer = job->result;
            job->result = NULL;
        }
        rt_job_release(job);
    }
    *skua_errno_location() = kept;
    return r;
}

/* 0 when there is no time to wait. */
static int deadline_of(double timeout, uint64_t *ret_deadline)
{
    struct rt_worker *w = rt_self();
    if (!w || !w->cur)
        return -EPERM;
    if (isnan(timeout))
        return -EINVAL;
    *ret_deadline = 0;
    return timeout > 0 ? rt_deadline(w, timeout, ret_deadline) : 0;
}

/* --- names to addresses --- */

struct name_question {
    struct addrinfo hints;
    bool has_host;
    bool has_service;
    char host[RT_HOST_MAX + 1];
    char service[NI_MAXSERV];
};

/* On a thread. */
static void *resolve(void *arg)
{
    struct name_question *q = arg;
    struct addrinfo *found = NULL;
    struct skua_addrinfo *list = NULL;
    int r = rt_sys_getaddrinfo(q->has_host ? q->host : NULL, q->has_service ? q->service : NULL,
                               &q->hints, &found);
    if (r < 0)
        return skua_fail(r);
    r = rt_addrinfo_copy(found, &list);
    if (found)
        rt_sys_freeaddrinfo(found);
    return r < 0 ? skua_fail(r) : list;
}

static int ask_names(const char *host, const char *service, uint64_t deadline,
                     const struct skua_getaddrinfo_opts *opts, struct skua_addrinfo **ret_list)
{
    struct name_question q = {.hints = {.ai_family = opts->family,
                                        .ai_socktype = opts->type,
                                        .ai_protocol = opts->protocol,
                                        .ai_flags = opts->flags}};
    void *answer = NULL;
    if (host && rt_host_is_localhost(host)) { /* only the service is to be looked up */
        host = NULL;
        q.hints.ai_flags &= ~(AI_PASSIVE | AI_CANONNAME | AI_CANONIDN);
    }
    q.has_host = host != NULL;
    q.has_service = service != NULL;
    if (host)
        memcpy(q.host, host, strlen(host) + 1); /* checked to fit */
    if (service)
        memcpy(q.service, service, strlen(service) + 1);
    int r = ask(resolve, &q, sizeof q, deadline, &answer);
    if (r < 0)
        return r;
    *ret_list = answer;
    return rt_addrinfo_count(answer);
}

int rt_getaddrinfo(const char *host, const char *service, uint64_t deadline,
                   const struct skua_getaddrinfo_opts *opts, struct skua_addrinfo **ret_list)
{
    int r = rt_addrinfo_check(host, service, opts);
    if (r < 0)
        return r;
    r = rt_addrinfo_numeric(host, service, opts, ret_list);
    return r == 0 ? ask_names(host, service, deadline, opts, ret_list) : r;
}

int skua_getaddrinfo_with(const char *host, const char *service, double timeout,
                          struct skua_addrinfo **ret_list,
                          const struct skua_getaddrinfo_opts *opts)
{
    static const struct skua_getaddrinfo_opts none = {.size = sizeof none};
    struct skua_addrinfo *list = NULL;
    uint64_t deadline;
    int r = deadline_of(timeout, &deadline);
    if (r < 0)
        return r;
    r = rt_getaddrinfo(host, service, deadline, opts ? opts : &none, &list);
    if (r > 0 && ret_list)
        *ret_list = list;
    else if (r > 0)
        skua_freeaddrinfo(list);
    return r;
}

/* --- addresses to names --- */

struct addr_question {
    skua_addr addr;
    int flags;
};

static void *resolve_back(void *arg)
{
    struct addr_question *q = arg;
    struct skua_nameinfo *info = rt_calloc(1, sizeof *info);
    if (!info)
        return skua_fail(-ENOMEM);
    int r = rt_sys_getnameinfo((const struct sockaddr *)&q->addr.sa, q->addr.len, info->host,
                               sizeof info->host, info->service, sizeof info->service, q->flags);
    if (r == 0)
        return info;
    rt_free(info);
    return skua_fail(r);
}

/* "[::1]:80" without what belongs to the whole. */
static int numeric_info(const skua_addr *addr, struct skua_nameinfo *ret)
{
    char text[SKUA_ADDR_TEXT];
    int r = skua_addr_text(addr, text, sizeof text);
    if (r < 0)
        return r;
    bool is_ip6 = text[0] == '[';
    char *colon = strrchr(text, ':');
    colon[-is_ip6] = '\0';
    (void)snprintf(ret->host, sizeof ret->host, "%s", text + is_ip6);
    (void)snprintf(ret->service, sizeof ret->service, "%s", colon + 1);
    return 0;
}

static int check_address(const skua_addr *addr)
{
    if (!addr || addr->len < sizeof(sa_family_t) || addr->len > sizeof addr->sa)
        return -EINVAL;
    if (addr->sa.ss_family == AF_INET)
        return addr->len < sizeof(struct sockaddr_in) ? -EINVAL : 0;
    if (addr->sa.ss_family == AF_INET6)
        return addr->len < sizeof(struct sockaddr_in6) ? -EINVAL : 0;
    return -EAFNOSUPPORT;
}

int skua_getnameinfo(const skua_addr *addr, int flags, double timeout,
                     struct skua_nameinfo *ret_info)
{
    const int numeric = NI_NUMERICHOST | NI_NUMERICSERV;
    struct addr_question q = {.flags = flags};
    struct skua_nameinfo info;
    void *answer = NULL;
    uint64_t deadline;
    int r = deadline_of(timeout, &deadline);
    if (r == 0)
        r = flags & ~(numeric | NI_NOFQDN | NI_NAMEREQD | NI_DGRAM | NI_IDN) ? -EINVAL
                                                                             : check_address(addr);
    if (r < 0)
        return r;
    q.addr = *addr;
    if ((flags & (numeric | NI_NAMEREQD)) == numeric) {
        r = numeric_info(&q.addr, &info);
        if (r == 0 && ret_info)
            *ret_info = info;
        return r;
    }
    r = ask(resolve_back, &q, sizeof q, deadline, &answer);
    if (r == 0 && ret_info)
        *ret_info = *(struct skua_nameinfo *)answer;
    rt_free(answer);
    return r;
}
