/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Virtual time.
 *
 * Time moves only when every worker has announced its sleep, every inbox and the injector are
 * empty, no job of a thread pool runs, and no epoll has an event. The last worker to announce
 * itself sees that (the announcements are one sequentially consistent order), jumps to the earliest
 * deadline, and wakes whose timers are due.
 *
 * Looking at all that takes a while, and a worker may get up meanwhile, on its own, for an event
 * that came before. So nothing is taken while asleep: a worker takes its announcement back, counts
 * in `risings`, and takes the event only then. Who decides reads the count before it looks at the
 * announcements, and again in the end: if it is the same, nobody had taken anything by then; if it
 * is not, another one will announce itself last.
 *
 * The watch and other threads that are no workers may take an announcement back at any time, and
 * ring a moment later. So a ring on its way says nothing: who decides looks at its own mail as
 * well. And who got up for no reason may have read the clock just before it was moved, and be
 * missed by the ring for those whose timers are due: so nobody sleeps whose own timer is.
 */
#include "sched/virtual.h"

#include "sched/queues.h"
#include "sched/runtime.h"

static bool all_parked(struct rt_runtime *rt)
{
    unsigned crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++) {
        uint64_t word = rt_load_sc(&rt->idle.parked[i / 64]); /* pairs: IDLE <- rt_idle_park */
        if (!(word >> (i % 64) & 1) && rt_on_duty(rt->workers[i]))
            return false;
    }
    return true;
}

/* Something that w has to see first. */
static bool has_pending(struct rt_worker *w)
{
    return rt_inbox_has(&w->inbox) || rt_inbox_has(&w->pinned_inbox) ||
           rt_poller_has_events(&w->poller);
}

static bool wake_if_pending(struct rt_runtime *rt, struct rt_worker *w)
{
    if (!has_pending(w))
        return false;
    int index = rt_idle_pick_this(&rt->idle, w->index);
    if (index >= 0)
        rt_ring(rt->workers[index]);
    return true;
}

static bool has_due(struct rt_worker *w)
{
    return rt_timers_next(&w->timers) <= rt_time_now(&w->rt->time);
}

static uint64_t earliest(struct rt_runtime *rt)
{
    uint64_t first = RT_NEVER;
    unsigned crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++) {
        uint64_t next = rt_timers_next(&rt->workers[i]->timers);
        if (next < first)
            first = next;
    }
    return first;
}

/* With the lock held, so that two sleepers that both were last do not both decide. */
static enum rt_virtual decide(struct rt_runtime *rt, struct rt_worker *w)
{
    if (has_due(w))
        return RT_VIRTUAL_GO;
    uint64_t risings = rt_load_sc(&rt->risings); /* pairs: VIRTUAL <- rt_virtual_rise */
    if (!all_parked(rt) || rt_load_sc(&rt->busy) > 0 || rt_inject_length(&rt->inject) > 0)
        return RT_VIRTUAL_SLEEP;
    bool     pending = false;
    unsigned crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++)
        if (rt->workers[i] != w)
            pending |= wake_if_pending(rt, rt->workers[i]);
    if (pending)
        return RT_VIRTUAL_SLEEP;
    if (has_pending(w))
        return RT_VIRTUAL_GO;
    uint64_t next = earliest(rt);
    /* pairs: VIRTUAL <- rt_virtual_rise */
    if (next == RT_NEVER || rt_load_sc(&rt->risings) != risings)
        return RT_VIRTUAL_SLEEP;
    if (next > rt_time_now(&rt->time))
        rt_time_move(&rt->time, next);
    for (unsigned i = 0; i < crew; i++) {
        struct rt_worker *other = rt->workers[i];
        int index = other == w || rt_timers_next(&other->timers) > next
                        ? -1
                        : rt_idle_pick_this(&rt->idle, other->index);
        if (index >= 0)
            rt_ring(rt->workers[index]);
    }
    return rt_timers_next(&w->timers) <= next ? RT_VIRTUAL_GO : RT_VIRTUAL_SLEEP;
}

void rt_virtual_rise(struct rt_worker *w)
{
    (void)rt_add_sc(&w->rt->risings, 1); /* pairs: VIRTUAL -> decide */
}

enum rt_virtual rt_virtual_idle(struct rt_worker *w)
{
    rt_lock(&w->rt->lock);
    enum rt_virtual decision = decide(w->rt, w);
    if (decision == RT_VIRTUAL_GO && rt_idle_unpark(&w->rt->idle, w->index))
        w->searching = true;
    rt_unlock(&w->rt->lock);
    return decision;
}
