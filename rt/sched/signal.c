/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Signals.
 *
 * The handler may interrupt anything, so it touches nothing but static atomics and one write(2).
 * Each runtime has a seat: what it wants, what came, and the eventfd of its watch.
 */
#include "sched/signal.h"

#include <errno.h>
#include <signal.h>

#include "sched/queues.h"
#include "sched/runtime.h"

enum { SEATS = 64 };

struct seat {
    RT_ATOMIC(uint64_t) wanted;
    RT_ATOMIC(uint64_t) came;
    RT_ATOMIC(int)      event_fd; /* 0: empty seat (the number 0 is never an eventfd of ours) */
    RT_ATOMIC(uint32_t) ringers;  /* handlers, on any thread, that may be about to ring it */
    struct rt_runtime  *rt;       /* under lock */
    struct rt_signal_sub *subs;   /* under lock */
    uint64_t            pending;  /* came, and no wait was there; under lock */
    uint64_t            remembered; /* signals that waits have asked for; under lock */
};

static struct seat      seats[SEATS];
static struct rt_lock   lock = RT_LOCK_INIT(RT_RANK_GROUP);
static struct sigaction before[RT_SIGNALS + 1]; /* under lock */
static unsigned         users[RT_SIGNALS + 1];  /* under lock */

/* The descriptor is closed when the runtime has ended, and not before those who may have its number
 * have left. */
static void ring(struct seat *s, uint64_t bit)
{
    (void)rt_add_sc(&s->ringers, 1);      /* pairs: SIGNAL -> rt_signals_end */
    int fd = rt_load_sc(&s->event_fd); /* pairs: SIGNAL <- take_seat, rt_signals_end */
    if (fd != 0) {
        (void)rt_or_sc(&s->came, bit);
        SKUA_IGNORE(rt_sys_eventfd_ring(fd));
    }
    (void)rt_sub_sc(&s->ringers, 1); /* pairs: SIGNAL -> rt_signals_end */
}

static void on_signal(int signo)
{
    uint64_t bit = (uint64_t)1 << (signo - 1);
    for (unsigned i = 0; i < SEATS; i++)
        if (rt_load_relaxed(&seats[i].wanted) & bit) /* relaxed: set before the handler is */
            ring(&seats[i], bit);
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
    rt_store_relaxed(&s->came, 0); /* relaxed, both: nobody looks before event_fd is set */
    rt_store_relaxed(&s->wanted, 0);
    rt_store_release(&s->event_fd, rt->watch.event_fd); /* pairs: SIGNAL -> ring */
    return s;
}

static int catch_one(int signo, bool is_fallback)
{
    struct sigaction old;
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART };
    if (users[signo] > 0 && is_fallback) {
        users[signo]++;
        return 0;
    }
    if (is_fallback)
        /* a loop that is stuck can be interrupted by asking again */
        act.sa_flags |= (int)SA_RESETHAND;
    sigfillset(&act.sa_mask);
    int r = rt_sys_sigaction(signo, &act, &old);
    if (r == 0 && users[signo]++ == 0)
        before[signo] = old;
    return r;
}

static void release_mask(uint64_t mask)
{
    for (int signo = 1; signo <= RT_SIGNALS; signo++)
        if ((mask >> (signo - 1) & 1) && --users[signo] == 0)
            SKUA_IGNORE(rt_sys_sigaction(signo, &before[signo], NULL));
}

static int catch_mask(uint64_t mask, bool is_fallback)
{
    for (int signo = 1; signo <= RT_SIGNALS; signo++) {
        if (!(mask >> (signo - 1) & 1))
            continue;
        int r = catch_one(signo, is_fallback);
        if (r < 0) {
            release_mask(mask & (((uint64_t)1 << (signo - 1)) - 1));
            return r;
        }
    }
    return 0;
}

int rt_signal_subscribe(struct rt_runtime *rt, struct rt_signal_sub *sub)
{
    int r = -EAGAIN;
    rt_lock(&lock);
    struct seat *s = take_seat(rt);
    if (s) {
        uint64_t news = sub->name ? sub->mask & ~s->remembered : sub->mask;
        (void)rt_or_sc(&s->wanted, sub->mask);
        r = catch_mask(news, sub->is_fallback);
        if (r == 0) {
            if (sub->name)
                s->remembered |= sub->mask; /* stays caught: nothing is lost between two waits */
            sub->next = s->subs;
            s->subs = sub;
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
            release_mask(sub->mask);
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
            if (!rt_xchg_acq_rel(&sub->queued, 1)) /* pairs: SIGNAL <- the step's run */
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
    uint64_t     came = s ? rt_xchg_sc(&s->came, 0) : 0;
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
        (void)rt_xchg_sc(&s->event_fd, 0);     /* pairs: SIGNAL -> ring */
        while (rt_load_sc(&s->ringers) > 0) /* pairs: SIGNAL <- ring */
            SKUA_IGNORE(rt_sys_sched_yield());
        release_mask(s->remembered);
        for (struct rt_signal_sub *sub = s->subs; sub; sub = sub->next)
            if (!sub->name)
                release_mask(sub->mask);
        s->subs = NULL;
        s->rt = NULL;
    }
    rt_unlock(&lock);
}
