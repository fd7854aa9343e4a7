/* SPDX-License-Identifier: MIT */
/* floor 8: net. skua_connect: one address, or the race of several (RFC 8305, "happy eyeballs").
 *
 * One task runs the race: its wait is known to the sockets of all attempts and to the timer that
 * starts the next one. No attempt has a task or a stack of its own, so nothing has to be cancelled
 * when one has won: the others are closed.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sys.h"
#include "net/addr.h"
#include "net/lookup.h"
#include "net/sock.h"
#include "sched/wait.h"

enum { ATTEMPTS = 8, IN_PROGRESS = 1 };

#define DELAY            0.25
#define UNIX_RETRY_FIRST RT_NS_PER_MS
#define UNIX_RETRY_LAST  (50 * RT_NS_PER_MS)

struct attempt {
    struct rt_io io;
    const skua_addr *addr;
    uint32_t generation;
};

struct race {
    const skua_addr *const *addrs; /* in the order in which they are tried      */
    size_t n;
    size_t next;
    const skua_addr *local;        /* or NULL                                   */
    double timeout;
    uint64_t deadline;             /* 0: not known yet                          */
    uint64_t delay;
    uint64_t next_at;              /* when the next attempt begins at the latest */
    int err;                       /* the failure that tells most so far, or 0  */
    bool waited;
    size_t running;
    struct attempt attempts[ATTEMPTS];
    struct rt_io *ios[ATTEMPTS];   /* of those that are running                 */
};

/* --- one attempt --- */

static int set_up_client(int fd, const skua_addr *addr, const skua_addr *local)
{
    int r = 0;
    if (rt_sock_kind(addr) == RT_FD_TCP)
        r = rt_sys_setsockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (r == 0 && local)
        r = rt_sock_bind(fd, local);
    return r;
}

/* A socket that is ours, and inside it. */
static int attempt_begin(struct attempt *a, const skua_addr *addr, const skua_addr *local,
                         double timeout)
{
    a->addr = addr;
    int fd = rt_sock_stream(addr);
    if (fd < 0)
        return fd;
    int r = set_up_client(fd, addr, local);
    if (r < 0) {
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error is reported */
        return r;
    }
    r = rt_sock_adopt(fd, rt_sock_kind(addr), &a->generation);
    if (r == 0) {
        r = rt_io_begin(&a->io, fd, timeout);
        if (r < 0)
            rt_sock_drop(fd, a->generation);
    }
    if (r < 0)
        rt_sock_unbind(local);
    return r;
}

static void attempt_drop(struct attempt *a)
{
    rt_io_pause(&a->io);
    rt_sock_drop(a->io.fd, a->generation);
}

/* Asking again tells how it went, and whether the wake came too early. 0: connected. */
static int attempt_try(struct attempt *a)
{
    if (!a->io.inside)
        return -EBADF;
    SKUA_IGNORE(rt_io_try(&a->io, RT_DIR_OUT));
    int r = rt_sys_connect(a->io.fd, (const struct sockaddr *)&a->addr->sa, a->addr->len);
    if (r == -EISCONN)
        return 0;
    if (r != -EINPROGRESS && r != -EALREADY)
        return r;
    rt_io_drained(&a->io, RT_DIR_OUT);
    return IN_PROGRESS;
}

/* --- the race --- */

/* How much an error tells about why there is no connection. */
static int weight(int err)
{
    switch (err) {
    case 0:
        return 0;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -ENOBUFS:
        return 4; /* ours: the address was not even tried */
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -EACCES:
        return 3; /* somebody answered */
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
        return 2; /* it was tried */
    default:
        return 1; /* no way there from here: -ENETUNREACH, -EADDRNOTAVAIL, -EAFNOSUPPORT, ... */
    }
}

/* The next one need not wait. */
static void note_failure(struct race *race, int err)
{
    if (weight(err) > weight(race->err))
        race->err = err;
    race->next_at = 0;
}

static uint64_t now(void)
{
    return rt_timers_read_clock(&rt_self()->timers);
}

static bool may_begin(const struct race *race)
{
    return race->next < race->n && race->running < ATTEMPTS;
}

static struct attempt *attempt_of(struct rt_io *io)
{
    return rt_container_of(io, struct attempt, io);
}

/* A place that no running attempt has. */
static struct attempt *free_place(struct race *race)
{
    for (size_t i = 0;; i++) {
        size_t at = 0;
        while (at < race->running && race->ios[at] != &race->attempts[i].io)
            at++;
        if (at == race->running)
            return &race->attempts[i];
    }
}

/* True: it connected at once, and has won. */
static bool begin_next(struct race *race, struct attempt **ret_winner)
{
    struct attempt *a = free_place(race);
    int r = attempt_begin(a, race->addrs[race->next++], race->local, race->timeout);
    if (r < 0) {
        note_failure(race, r);
        return false;
    }
    r = attempt_try(a);
    if (r == 0) {
        *ret_winner = a;
        return true;
    }
    if (r < 0) {
        attempt_drop(a);
        note_failure(race, r);
        return false;
    }
    race->ios[race->running++] = &a->io;
    race->next_at = may_begin(race) ? rt_ns_add(now(), race->delay) : 0;
    return false;
}

/* Starts what is due. True: one has won. */
static bool begin_due(struct race *race, struct attempt **ret_winner)
{
    while (may_begin(race) && (race->running == 0 || race->next_at <= now()))
        if (begin_next(race, ret_winner))
            return true;
    return false;
}

/* Asks all that run how they are. True: one has won, and runs no more. */
static bool look_around(struct race *race, struct attempt **ret_winner)
{
    size_t kept = 0;
    bool won = false;
    for (size_t i = 0; i < race->running; i++) {
        struct attempt *a = attempt_of(race->ios[i]);
        int r = won ? IN_PROGRESS : attempt_try(a);
        if (r == IN_PROGRESS) {
            race->ios[kept++] = &a->io;
        } else if (r == 0) {
            *ret_winner = a;
            won = true;
        } else {
            attempt_drop(a);
            note_failure(race, r);
        }
    }
    race->running = kept;
    return won;
}

/* 0: something came, or the next attempt is due. */
static int wait_for_news(struct race *race)
{
    if (race->timeout <= 0)
        return -ETIMEDOUT;
    int r = race->deadline ? 0 : rt_deadline(rt_self(), race->timeout, &race->deadline);
    if (r < 0)
        return r;
    race->waited = true;
    uint64_t until = race->deadline;
    if (may_begin(race) && race->next_at < until)
        until = race->next_at;
    r = rt_io_wait_any(race->ios, race->running, POLLOUT, until);
    return r == -ETIMEDOUT && until < race->deadline ? 0 : r;
}

/* The descriptor of the winner, or -errno. */
static int run(struct race *race)
{
    struct attempt *winner = NULL;
    int r = 0;
    while (!begin_due(race, &winner) && race->running > 0) {
        r = wait_for_news(race);
        if (r < 0 || look_around(race, &winner))
            break;
    }
    while (race->running > 0)
        attempt_drop(attempt_of(race->ios[--race->running]));
    if (winner) {
        rt_io_pause(&winner->io);
        r = winner->io.fd;
    } else if (r == 0) {
        r = race->err;
    }
    if (!race->waited)
        rt_spend_budget(rt_self(), true);
    return r;
}

/* --- names --- */

static int connect_name(struct race *race, const struct rt_host *host, int first)
{
    struct skua_getaddrinfo_opts opts = {.size = sizeof opts, .type = SOCK_STREAM};
    struct skua_addrinfo *list = NULL;
    char port[8];
    if (race->local)
        opts.family = race->local->sa.ss_family;
    (void)snprintf(port, sizeof port, "%u", host->port);
    int n = race->timeout > 0 ? rt_deadline(rt_self(), race->timeout, &race->deadline) : 0;
    if (n == 0)
        n = rt_getaddrinfo(host->name, port, race->deadline, &opts, &list);
    if (n < 0)
        return n;
    const skua_addr **order = rt_calloc((size_t)n, sizeof *order);
    int r = -ENOMEM;
    if (order) {
        rt_addrinfo_order(list, (size_t)n, first, order);
        race->addrs = order;
        race->n = (size_t)n;
        r = run(race);
    }
    rt_free(order);
    skua_freeaddrinfo(list);
    return r;
}

/* --- unix sockets --- */

/* A full backlog gives EAGAIN, and no event when there is room again. */
static int connect_unix(const skua_addr *addr, const skua_addr *local, double timeout)
{
    struct attempt a;
    int r = attempt_begin(&a, addr, local, timeout);
    if (r < 0)
        return r;
    for (uint64_t pause = UNIX_RETRY_FIRST;;
         pause = pause * 2 < UNIX_RETRY_LAST ? pause * 2 : UNIX_RETRY_LAST) {
        r = rt_sys_connect(a.io.fd, (const struct sockaddr *)&addr->sa, addr->len);
        if (r == -EAGAIN)
            r = rt_io_rest(&a.io, pause);
        else
            break;
        if (r < 0)
            break;
    }
    r = (int)rt_io_end(&a.io, r);
    if (r < 0) {
        rt_sock_drop(a.io.fd, a.generation);
        rt_sock_unbind(local);
    }
    return r < 0 ? r : a.io.fd;
}

/* --- the call --- */

/* Reads the options into the race. */
static int take_options(struct race *race, const struct skua_connect_opts *opts,
                        skua_addr *ret_local, int *ret_first)
{
    double delay = DELAY;
    *ret_first = 0;
    if (isnan(race->timeout) || (opts && opts->size != sizeof *opts))
        return -EINVAL;
    if (opts) {
        *ret_first = opts->interleave;
        delay = opts->happy_eyeballs_delay != 0 ? opts->happy_eyeballs_delay : DELAY;
    }
    if (!(delay > 0) || *ret_first < -1 || rt_ns_from_seconds(delay, &race->delay) < 0)
        return -EINVAL;
    if (!opts || !opts->local)
        return 0;
    race->local = ret_local;
    return rt_addr_parse(opts->local, ret_local);
}

int skua_connect_with(const char *text, double timeout, const struct skua_connect_opts *opts)
{
    struct race race = {.timeout = timeout};
    struct rt_host host;
    skua_addr addr;
    skua_addr local;
    int first;
    if (!rt_current())
        return -EPERM;
    int r = take_options(&race, opts, &local, &first);
    if (r < 0)
        return r;
    int is_name = rt_addr_parse_name(text, &addr, &host);
    if (is_name < 0)
        return is_name;
    if (race.local && (is_name ? local.sa.ss_family == AF_UNIX
                               : local.sa.ss_family != addr.sa.ss_family))
        return -EINVAL;
    if (is_name)
        return connect_name(&race, &host, first);
    if (addr.sa.ss_family == AF_UNIX)
        return connect_unix(&addr, race.local, timeout);
    const skua_addr *only = &addr;
    race.addrs = &only;
    race.n = 1;
    return run(&race);
}
