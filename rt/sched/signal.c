/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Signals.
 *
 * The handler may interrupt anything, so it touches nothing but static atomics and one write(2).
 * Each runtime has a seat (sched/sigseat.h): what it wants, what came, the eventfd of its watch.
 */
#include "sched/signal.h"

#include <errno.h>
#include <signal.h>

#include "sched/queues.h"
#include "sched/runtime.h"

enum { SEATS = 64 };

struct seat {
    struct rt_sigseat     at;
    struct rt_runtime    *rt;         /* this and the rest: under lock */
    struct rt_signal_sub *subs;
    uint64_t              pending;    /* came, and no wait was there */
    uint64_t              remembered; /* signals that waits have asked for */
};

static struct seat      seats[SEATS];
static struct rt_lock   lock = RT_LOCK_INIT(RT_RANK_GROUP);
static struct sigaction before[RT_SIGNALS + 1]; /* under lock */
static unsigned         users[RT_SIGNALS + 1];  /* under lock */
static unsigned         fallbacks[RT_SIGNALS + 1]; /* of those; under lock */

static void on_signal(int signo)
{
    uint64_t bit = (uint64_t)1 << (signo - 1);
    for (unsigned i = 0; i < SEATS; i++)
        rt_sigseat_ring(&seats[i].at, bit);
}

static struct seat *seat_of(struct rt_runtime *rt)
{
    for (unsigned i = 0; i < SEATS; i++)
        if (seats[i].rt == rt)
            return &seats[i];
    return NULL;
}

static struct seat *take_seat(struct rt_runtime *rt)
{
    struct seat *s = seat_of(rt);
    if (s)
        return s;
    s = seat_of(NULL);
    if (!s)
        return NULL;
    s->rt = rt;
    s->pending = s->remembered = 0;
    rt_sigseat_take(&s->at, rt->watch.event_fd);
    return s;
}

static int install(int signo, struct sigaction *ret_old)
{
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART };
    if (fallbacks[signo] == users[signo])
        /* a loop that is stuck can be interrupted by asking again */
        act.sa_flags |= (int)SA_RESETHAND;
    sigfillset(&act.sa_mask);
    return rt_sys_sigaction(signo, &act, ret_old);
}

static int catch_one(int signo, bool is_fallback)
{
    struct sigaction old;
    int              r = 0;
    users[signo]++;
    fallbacks[signo] += is_fallback;
    if (users[signo] == 1 || !is_fallback)
        r = install(signo, &old);
    if (r < 0) {
        users[signo]--;
        fallbacks[signo] -= is_fallback;
    } else if (users[signo] == 1) {
        before[signo] = old;
    }
    return r;
}

static void release_one(int signo, bool is_fallback)
{
    users[signo]--;
    fallbacks[signo] -= is_fallback;
    if (users[signo] == 0)
        SKUA_IGNORE(rt_sys_sigaction(signo, &before[signo], NULL));
    else if (!is_fallback && fallbacks[signo] == users[signo])
        SKUA_IGNORE(install(signo, NULL));
}

static void release_mask(uint64_t mask, bool is_fallback)
{
    for (int signo = 1; signo <= RT_SIGNALS; signo++)
        if (mask >> (signo - 1) & 1)
            release_one(signo, is_fallback);
}

static int catch_mask(uint64_t mask, bool is_fallback)
{
    for (int signo = 1; signo <= RT_SIGNALS; signo++) {
        if (!(mask >> (signo - 1) & 1))
            continue;
        int r = catch_one(signo, is_fallback);
        if (r < 0) {
            release_mask(mask & (((uint64_t)1 << (signo - 1)) - 1), is_fallback);
            return r;
        }
    }
    return 0;
}

/* Several tasks that wait for one signal have it in the order in which they came. */
static void link_last(struct rt_signal_sub **at, struct rt_signal_sub *sub)
{
    while (*at)
        at = &(*at)->next;
    sub->next = NULL;
    *at = sub;
}

int rt_signal_subscribe(struct rt_runtime *rt, struct rt_signal_sub *sub)
{
    int r = -EAGAIN;
    rt_lock(&lock);
    struct seat *s = take_seat(rt);
    if (s) {
        uint64_t news = sub->name ? sub->mask & ~s->remembered : sub->mask;
        rt_sigseat_want(&s->at, sub->mask);
        r = catch_mask(news, sub->is_fallback);
        if (r == 0) {
            if (sub->name)
                s->remembered |= sub->mask; /* stays caught: nothing is lost between two waits */
            link_last(&s->subs, sub);
        }
    }
    rt_unlock(&lock);
    return r;
}

void rt_signal_unsubscribe(struct rt_runtime *rt, struct rt_signal_sub *sub)
{
    rt_lock(&lock);
    struct seat *s = seat_of(rt);
    for (struct rt_signal_sub **at = s ? &s->subs : NULL; at && *at; at = &(*at)->next) {
        if (*at != sub)
            continue;
        *at = sub->next;
        if (!sub->name)
            release_mask(sub->mask, sub->is_fallback);
        break;
    }
    rt_unlock(&lock);
}

int rt_signal_take_pending(struct rt_runtime *rt, uint64_t mask)
{
    int signo = 0;
    rt_lock(&lock);
    struct seat *s = seat_of(rt);
    if (s && (s->pending & mask)) {
        signo = __builtin_ctzll(s->pending & mask) + 1;
        s->pending &= ~((uint64_t)1 << (signo - 1));
    }
    rt_unlock(&lock);
    return signo;
}

void rt_signal_give_back(struct rt_runtime *rt, int signo)
{
    struct rt_fifo out = { 0 };
    uint64_t       bit = (uint64_t)1 << (signo - 1);
    bool           taken = false;
    rt_lock(&lock);
    struct seat *s = seat_of(rt);
    for (struct rt_signal_sub *sub = s ? s->subs : NULL; sub && !taken; sub = sub->next)
        taken = sub->name && (sub->mask & bit) &&
                rt_name_claim(sub->name, RT_SIGNAL_VALUE + (unsigned)signo, &out);
    if (s && !taken)
        s->pending |= bit;
    rt_unlock(&lock);
    rt_ready_batch(&out);
}

static bool has_callback(struct seat *s, uint64_t bit)
{
    for (struct rt_signal_sub *sub = s->subs; sub; sub = sub->next)
        if ((sub->mask & bit) && !sub->name && !sub->is_fallback)
            return true;
    return false;
}

/* Tells the subscribers of one signal. Under lock. */
static void tell(struct seat *s, int signo, struct rt_fifo *out)
{
    uint64_t bit = (uint64_t)1 << (signo - 1);
    bool     taken = false;
    bool     asked = (s->remembered & bit) || has_callback(s, bit);
    for (struct rt_signal_sub *sub = s->subs; sub; sub = sub->next) {
        if (!(sub->mask & bit) || (sub->is_fallback && asked))
            continue;
        if (!sub->name) {
            if (rt_signal_tell(&sub->queued))
                rt_post_step(&sub->step);
        } else if (!taken) {
            taken = rt_name_claim(sub->name, RT_SIGNAL_VALUE + (unsigned)signo, out);
        }
    }
    if (!taken && (s->remembered & bit))
        s->pending |= bit;
}

void rt_signals_carry(struct rt_runtime *rt)
{
    struct rt_fifo out = { 0 };
    rt_lock(&lock);
    struct seat *s = seat_of(rt);
    uint64_t     came = s ? rt_sigseat_came(&s->at) : 0;
    for (; came; came &= came - 1)
        tell(s, __builtin_ctzll(came) + 1, &out);
    rt_unlock(&lock);
    rt_ready_batch(&out);
}

void rt_signals_end(struct rt_runtime *rt)
{
    rt_lock(&lock);
    struct seat *s = seat_of(rt);
    if (s) {
        rt_sigseat_leave(&s->at);
        release_mask(s->remembered, false);
        for (struct rt_signal_sub *sub = s->subs; sub; sub = sub->next)
            if (!sub->name)
                release_mask(sub->mask, sub->is_fallback);
        s->subs = NULL;
        s->rt = NULL;
    }
    rt_unlock(&lock);
}
