/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Finding work: own queues, looking around, stealing, parking. On a loop stack
 * only. */
#include "base/spin.h"
#include "sched/fork.h"
#include "sched/pace.h"
#include "sched/queues.h"
#include "sched/runtime.h"
#include "sched/virtual.h"

enum {
    STEAL_MAX = 8,     /* entries that one thief takes at once */
    /* Rounds over all victims before a searcher parks. One that just ran out of work looks around
     * and goes; one that was woken for work, which cost its waker more than all these rounds, looks
     * longer. Spinning longer in the first case cost a server of short requests a quarter of its
     * CPU. */
    ROUNDS_IDLE = 2,
    ROUNDS_WOKEN = 8,
};

/* --- stealing --- */

/* Takes the oldest of a victim and up to half of what is left, at most 8 in all. `least`: leave a
 * deque alone that has fewer entries, its owner is about to run them. */
static struct skua_task *steal_from(struct rt_worker *w, struct rt_worker *victim, int64_t least)
{
    int64_t size = rt_deque_size(&victim->deque);
    if (size < least)
        return NULL;
    uintptr_t first = rt_deque_oldest(&victim->deque);
    if (!first)
        return NULL;
    int64_t more = size / 2 < STEAL_MAX ? size / 2 : STEAL_MAX;
    while (--more > 0) {
        uintptr_t x = rt_deque_oldest(&victim->deque);
        if (!x || !rt_deque_push(&w->deque, x)) {
            if (x)
                rt_ready_child(w, (struct skua_task *)x);
            break;
        }
    }
    RT_STAT_INC(&w->steals);
    return (struct skua_task *)first;
}

/* `one_by_one`: else only jobs, see sched/pace.h. */
static struct skua_task *steal_round(struct rt_worker *w, bool one_by_one)
{
    struct rt_runtime *rt = w->rt;
    unsigned           crew = rt_crew(rt);
    unsigned           start = rt_pick(&w->chooser, crew, "victim");
    for (unsigned i = 0; i < crew; i++) {
        struct rt_worker *victim = rt->workers[(start + i) % crew];
        struct skua_task *t = NULL;
        if (victim != w && one_by_one)
            t = steal_from(w, victim, rt_share_at(victim));
        if (victim != w && !t)
            t = rt_fork_steal(w, victim);
        if (t)
            return t;
    }
    return NULL;
}

struct skua_task *rt_steal_held(struct rt_worker *w, struct rt_worker *victim)
{
    struct skua_task *t = steal_from(w, victim, 1);
    if (!t && rt_load_relaxed(&victim->next)) /* relaxed: the exchange decides */
        /* pairs: NEXT <- push_next */
        t = (struct skua_task *)rt_xchg_acq_rel(&victim->next, 0);
    return t;
}

/* Changes when the worker picks a task or starts one; a pick from the bottom lowers it by one. */
static uint64_t signs_of_life(struct rt_worker *w)
{
    /* relaxed, both: a hint */
    return 2 * RT_STAT_GET(&w->steps) + (uint64_t)rt_load_relaxed(&w->deque.bottom);
}

bool rt_shows_life(struct rt_worker *w, struct rt_worker *victim)
{
    uint64_t signs = signs_of_life(victim);
    bool     shows = signs != w->signs_seen[victim->index];
    w->signs_seen[victim->index] = signs;
    return shows;
}

/* A task that waits behind a worker which does not come to it: it did nothing for a whole
 * search. */
static struct skua_task *steal_from_stuck(struct rt_worker *w)
{
    struct rt_runtime *rt = w->rt;
    unsigned           crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++) {
        struct rt_worker *victim = rt->workers[i];
        if (victim == w || rt_shows_life(w, victim))
            continue;
        struct skua_task *t = rt_steal_held(w, victim);
        if (t)
            return t;
    }
    return NULL;
}

bool rt_work_visible(struct rt_runtime *rt, bool one_by_one)
{
    if (rt_inject_length(&rt->inject) > 0)
        return true;
    unsigned crew = rt_crew(rt);
    for (unsigned i = 0; rt->steal && i < crew; i++)
        if (rt_jobs_worth_a_look(&rt->workers[i]->jobs) ||
            (one_by_one &&
             rt_deque_size(&rt->workers[i]->deque) >= rt_share_at(rt->workers[i])))
            return true;
    return false;
}

static bool own_mail(struct rt_worker *w)
{
    return rt_inbox_has(&w->inbox) || rt_inbox_has(&w->pinned_inbox) || w->mail.head;
}

/* A callback that ran after the deque was looked at may have put something there. */
static bool own_tasks(struct rt_worker *w)
{
    /* relaxed: own writes */
    return rt_deque_newest(&w->deque) != 0 || rt_load_relaxed(&w->next) != 0;
}

static struct skua_task *search(struct rt_worker *w)
{
    struct rt_runtime *rt = w->rt;
    struct rt_backoff  b = RT_BACKOFF_INIT;
    unsigned           crew = rt_crew(rt);
    for (unsigned i = 0; i < RT_WORKERS_MAX && i < crew; i++)
        (void)rt_shows_life(w, rt->workers[i]);
    int  rounds = w->woken ? ROUNDS_WOKEN : ROUNDS_IDLE;
    bool one_by_one = w->woken || rt_pace_takes_one(w);
    w->woken = false;
    for (int round = 0; round < rounds; round++) {
        struct skua_task *t = steal_round(w, one_by_one);
        if (t)
            return t;
        if (own_mail(w) || rt_inject_length(&rt->inject) > 0)
            return NULL;
        rt_backoff_wait(&b);
    }
    return steal_from_stuck(w);
}

/* A searcher that found something sends the next one searching, if there is more. */
static void found(struct rt_worker *w)
{
    if (!w->searching)
        return;
    w->searching = false;
    if (rt_idle_found(&w->rt->idle) && rt_work_visible(w->rt, rt_pace_takes_one(w)))
        rt_notify(w->rt);
}

/* --- parking --- */

static int64_t park_timeout(struct rt_worker *w)
{
    uint64_t next = rt_timers_next(&w->timers);
    if (next == RT_NEVER || w->rt->time.is_virtual)
        return -1;
    return rt_ns_until(next, rt_timers_read_clock(&w->timers));
}

/* What the worker got up for may be an event, which it would otherwise meet again and again as it
 * is about to sleep. */
static void wake_up_virtual(struct rt_worker *w, struct rt_fifo *batch)
{
    rt_virtual_rise(w);
    SKUA_IGNORE(rt_poll(&w->poller, 0, batch)); /* an error looks like a wake */
    if (rt_load_relaxed(&w->rt->rescue.held) > 0) /* relaxed: a hint */
        rt_rescue_look(w);
}

/* Parked. True: the worker slept as usual, else it napped. */
static bool fall_asleep(struct rt_worker *w, struct rt_worker *helper, struct rt_fifo *out)
{
    RT_STAT_INC(&w->parks);
    if (RT_UNLIKELY(w->rt->time.is_virtual))
        rt_rescue_doze(w);
    else if (RT_UNLIKELY(helper != NULL) && rt_lend_nap(w, helper, park_timeout(w), out))
        return false;
    else
        rt_rescue_sleep(w, park_timeout(w), out);
    return true;
}

static void park(struct rt_worker *w)
{
    struct rt_fifo    batch = { 0 };
    bool              searched = w->searching;
    struct rt_worker *helper = rt_lend_choose(w);
    uint64_t          since = rt_timers_read_clock(&w->timers);
    rt_pace_measure(w, since);
    while (RT_UNLIKELY(w->dead != NULL)) /* who parks often never looks around */
        rt_group_bury(w);
    rt_idle_park(&w->rt->idle, w->index, w->searching);
    w->searching = false;
    bool busy = own_mail(w) || rt_work_visible(w->rt, rt_pace_takes_one(w)) ||
                rt_load_relaxed(&w->leave_asked);
    bool is_virtual = w->rt->time.is_virtual;
    bool awake = !busy && is_virtual && rt_virtual_idle(w) == RT_VIRTUAL_GO;
    bool slept = !busy && !awake && fall_asleep(w, helper, &batch);
    if (!awake && rt_idle_unpark(&w->rt->idle, w->index))
        w->searching = w->woken = true;
    else if (busy && searched) /* P5: somebody may have trusted this worker while it searched */
        w->searching = rt_idle_search(&w->rt->idle);
    if (RT_UNLIKELY(is_virtual))
        wake_up_virtual(w, &batch);
    w->looked = w->tick;
    uint64_t now = rt_timers_read_clock(&w->timers);
    if (slept)
        rt_lend_learn(w, now - since, &batch);
    rt_timers_expire(&w->timers, now, &batch);
    rt_pace_restart(w, now);
    rt_dispatch(w, &batch);
}

/* A batch that has begun is finished first: what stop() was called in the middle of still runs. */
static bool may_leave(struct rt_worker *w)
{
    return w->leaving && !w->eager_back && (!w->ring_head || w->ring_head->batch == 0);
}

struct skua_task *rt_find(struct rt_worker *w)
{
    for (;;) {
        uint32_t order = rt_load_relaxed(&w->leave_asked); /* relaxed: its asker rings as well */
        if (RT_UNLIKELY(order != 0)) {
            w->leaving = order != RT_ORDER_REST;
            if (order == RT_ORDER_REST && !w->eager_back) {
                found(w);
                rt_spare_nap(w);
            }
        }
        bool              leave = may_leave(w);
        struct skua_task *t = leave ? NULL : rt_pick_loop(w);
        if (t || leave) {
            found(w);
            return t;
        }
        if (w->ring_head || w->leaving || own_tasks(w))
            continue;
        if (own_mail(w) || rt_inject_length(&w->rt->inject) > 0) {
            rt_look_around(w);
            continue;
        }
        if (!w->searching && w->rt->n > 1 && w->rt->steal)
            w->searching = rt_idle_search(&w->rt->idle);
        if (w->searching && w->rt->steal && (t = search(w)) != NULL) {
            found(w);
            return t;
        }
        park(w);
    }
}
