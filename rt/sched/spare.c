/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Spares: workers that step in when every other one is held.
 *
 * A spare is a full worker with an index behind those of the regular ones. Nothing is ever
 * addressed to it: groups, connections and callbacks have their homes on regular workers. So once
 * it runs no task, what ties it to the world is its timers, which it waits for, and the descriptors
 * in its epoll, which it hands to a regular worker. Its object stays until the runtime ends.
 *
 *   duty    NONE -> ON by the watch, before the thread is made;  ON -> NAP -> ON by the thread,
 *           while it rests;  ON -> ENDED by the thread, last;  ENDED -> NONE by the watch, which
 *           joins
 *   order   (rt_order) told to rest and called back by the watch; LEFT by the spare, after which it
 *           cannot be called back
 */
#include "base/log.h"
#include "base/mem.h"
#include "loop/fd.h"
#include "sched/queues.h"
#include "sched/rescue.h"
#include "sched/runtime.h"

#include <stdio.h>
#include <string.h>

enum { PAUSE_TICKS = 256 }; /* about a second */

static bool is_alive(struct rt_worker *w)
{
    return rt_load_acquire(&w->duty) != RT_DUTY_NONE; /* pairs: DUTY <- spare_main */
}

static void *spare_main(void *arg)
{
    struct rt_worker *w = arg;
    int               r = rt_worker_thread(w);
    if (r < 0)
        rt_warn("spare worker %u cannot run: %s", w->index, strerror(-r));
    rt_slab_cache_flush(&w->slab);
    rt_stack_cache_flush(&w->stacks);
    rt_store_release(&w->duty, RT_DUTY_ENDED); /* pairs: DUTY -> rt_spare_reap */
    return NULL;
}

/* --- the watch --- */

/* One whose thread has ended, or a new one; NULL: all are at work, or there is no memory. */
static struct rt_worker *find_free(struct rt_runtime *rt)
{
    unsigned crew = rt_crew(rt);
    for (unsigned i = rt->n; i < crew; i++)
        if (!is_alive(rt->workers[i]))
            return rt->workers[i];
    if (crew >= rt->n + rt->rescue.spares_max)
        return NULL;
    struct rt_worker *w;
    int               r = rt_worker_new(rt, crew, &w);
    if (r < 0) {
        rt_warn("no spare worker: %s", strerror(-r));
        rt->rescue.pause = PAUSE_TICKS;
        return NULL;
    }
    rt_store_relaxed(&w->duty, RT_DUTY_NONE); /* relaxed: nobody knows it yet */
    rt->workers[crew] = w;
    rt_store_release(&rt->crew, crew + 1); /* pairs: CREW -> rt_crew */
    return w;
}

static bool call_back(struct rt_runtime *rt)
{
    unsigned crew = rt_crew(rt);
    for (unsigned i = rt->n; i < crew; i++) {
        uint32_t resting = RT_ORDER_REST;
        if (!rt_cas_sc(&rt->workers[i]->leave_asked, &resting, 0))
            continue;
        rt_ring(rt->workers[i]);
        return true;
    }
    return false;
}

/* Nor would the next one. Whoever was the last to fall asleep may have waited for it before moving
 * virtual time, and looks again. */
static void has_not_come(struct rt_runtime *rt, struct rt_worker *w)
{
    (void)rt_xchg_sc(&w->duty, RT_DUTY_NONE); /* pairs: DUTY -> rt_on_duty */
    rt->rescue.pause = PAUSE_TICKS;
    rt_notify(rt);
}

void rt_spare_start(struct rt_runtime *rt)
{
    char              name[24];
    struct rt_worker *w = call_back(rt) ? NULL : find_free(rt);
    if (!w)
        return;
    rt_store_relaxed(&w->leave_asked, 0); /* relaxed: its thread does not exist yet */
    rt_store_release(&w->duty, RT_DUTY_ON); /* pairs: DUTY -> rt_on_duty */
    (void)snprintf(name, sizeof name, "skua-spare-%u", w->index);
    int r = rt_sys_thread_create(&w->thread, spare_main, w, name);
    if (r < 0) {
        rt_warn("no spare worker: %s", strerror(-r));
        has_not_come(rt, w);
        return;
    }
    rt->watch.threads++;
    (void)rt_add_relaxed(&rt->rescue.spares_started, 1); /* relaxed: a count */
}

/* The one with the highest index that is neither held nor resting. */
void rt_spare_rest(struct rt_runtime *rt)
{
    for (unsigned i = rt_crew(rt); i-- > rt->n;) {
        struct rt_worker *w = rt->workers[i];
        uint32_t          none = 0;
        if (!rt_on_duty(w) || rt_rescue_is_held(&rt->rescue, i) ||
            !rt_cas_sc(&w->leave_asked, &none, RT_ORDER_REST))
            continue;
        rt_poller_ring(&w->poller);
        rt->rescue.calm = 0;
        return;
    }
}

bool rt_spare_reap(struct rt_runtime *rt)
{
    unsigned crew = rt_crew(rt);
    bool     at_work = false;
    for (unsigned i = rt->n; i < crew; i++) {
        struct rt_worker *w = rt->workers[i];
        uint32_t          duty = rt_load_acquire(&w->duty); /* pairs: DUTY <- spare_main */
        uint32_t          order = rt_load_relaxed(&w->leave_asked); /* relaxed: own write */
        at_work |= (duty == RT_DUTY_ON || duty == RT_DUTY_NAP) && order == 0;
        if (duty != RT_DUTY_ENDED)
            continue;
        SKUA_IGNORE(rt_sys_thread_join(w->thread));
        rt_rescue_unmark(rt, i);
        rt->watch.threads--;
        if (order == 0) /* nobody asked it to end: it cannot run */
            has_not_come(rt, w);
        else
            rt_store_release(&w->duty, RT_DUTY_NONE); /* pairs: DUTY -> rt_on_duty */
    }
    return at_work;
}

void rt_spare_stop_all(struct rt_runtime *rt)
{
    unsigned crew = rt_crew(rt);
    for (unsigned i = rt->n; i < crew; i++)
        if (is_alive(rt->workers[i]))
            rt_worker_ask_leave(rt->workers[i]);
    for (unsigned i = rt->n; i < crew; i++)
        if (is_alive(rt->workers[i]))
            SKUA_IGNORE(rt_sys_thread_join(rt->workers[i]->thread));
}

/* --- the spare --- */

void rt_spare_nap(struct rt_worker *w)
{
    struct rt_runtime *rt = w->rt;
    struct rt_fifo     batch = { 0 };
    uint32_t           resting = RT_ORDER_REST;
    uint64_t           next = rt_timers_next(&w->timers);
    rt_give_away(w);
    int r = rt_fd_move_all(&w->poller, &rt->workers[w->index % rt->n]->poller);
    if (r == 0 && next == RT_NEVER && rt_cas_sc(&w->leave_asked, &resting, RT_ORDER_LEFT)) {
        w->leaving = true;
        return;
    }
    int64_t timeout = next == RT_NEVER ? -1 : rt_ns_until(next, rt_timers_read_clock(&w->timers));
    rt_store_release(&w->duty, RT_DUTY_NAP); /* pairs: DUTY -> rt_on_duty */
    rt_watch_note_park(rt);
    SKUA_IGNORE(rt_poll(&w->poller, timeout, &batch)); /* an error looks like a wake */
    rt_watch_note_unpark(rt);
    rt_store_release(&w->duty, RT_DUTY_ON); /* pairs: DUTY -> rt_on_duty */
    rt_timers_expire(&w->timers, rt_timers_read_clock(&w->timers), &batch);
    rt_dispatch(w, &batch);
    rt_give_away(w);
}
