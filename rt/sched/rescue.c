/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Who serves the workers that are held. */
#include "sched/rescue.h"

#include "sched/pace.h"
#include "sched/queues.h"
#include "sched/runtime.h"
#include "sched/stall.h"

enum {
    STILL_TICKS = 2, /* with nobody free, before a spare is started  */
    CALM_TICKS = 16, /* with a regular worker free, before one rests */
};

/* --- marks --- */

bool rt_rescue_mark(struct rt_runtime *rt, unsigned index)
{
    struct rt_rescue *r = &rt->rescue;
    uint64_t          bit = (uint64_t)1 << (index % 64);
    /* pairs: RESCUE -> rt_rescue_is_held */
    if (rt_or_sc(&r->marks[index / 64], bit) & bit)
        return false;
    (void)rt_add_sc(&r->held, 1); /* pairs: RESCUE -> rt_rescue_sleep */
    return true;
}

void rt_rescue_unmark(struct rt_runtime *rt, unsigned index)
{
    struct rt_rescue *r = &rt->rescue;
    uint64_t          bit = (uint64_t)1 << (index % 64);
    if (!(rt_load_relaxed(&r->marks[index / 64]) & bit)) /* relaxed: the RMW decides */
        return;
    if (rt_and_sc(&r->marks[index / 64], ~bit) & bit)
        (void)rt_sub_sc(&r->held, 1);
}

/* --- serving --- */

static void serve_inbox(struct rt_worker *victim, struct rt_fifo *out)
{
    uintptr_t item = rt_inbox_take(&victim->inbox);
    while (item) {
        uintptr_t next = rt_item_link(item)->next;
        rt_fifo_push(out, item);
        item = next;
    }
}

/* What may be handled elsewhere goes to `out`. Returns when the next timer is due. */
static uint64_t serve_one(struct rt_worker *w, struct rt_worker *victim, struct rt_fifo *out)
{
    size_t before = out->count;
    serve_inbox(victim, out);
    SKUA_IGNORE(rt_poll_served(&victim->poller, &w->poller, out)); /* the next pass tries again */
    uint64_t next = rt_timers_serve(&victim->timers, rt_time_now(&w->rt->time), out);
    if (out->count > before)
        RT_STAT_ADD(&w->rescues, out->count - before);
    return next;
}

/* Returns when the earliest timer of them all is due. */
static uint64_t serve_all(struct rt_worker *w, struct rt_fifo *out)
{
    struct rt_runtime *rt = w->rt;
    unsigned           crew = rt_crew(rt);
    uint64_t           next = RT_NEVER;
    for (unsigned i = 0; i < crew; i++) {
        if (i == w->index || !rt_rescue_is_held(&rt->rescue, i))
            continue;
        uint64_t at = serve_one(w, rt->workers[i], out);
        next = at < next ? at : next;
    }
    return next;
}

/* A worker that has work of its own would not come to the deques of the held ones by stealing. */
static void take_from_held(struct rt_worker *w)
{
    struct rt_runtime *rt = w->rt;
    unsigned           crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++) {
        if (i == w->index || !rt_rescue_is_held(&rt->rescue, i))
            continue;
        if (rt_shows_life(w, rt->workers[i]) && !rt_pace_takes_one(w))
            continue; /* its task starts others, short ones: they come in blocks */
        struct skua_task *t = rt_steal_held(w, rt->workers[i]);
        if (t)
            rt_ready_child(w, t);
    }
}

void rt_rescue_look(struct rt_worker *w)
{
    struct rt_fifo found = { 0 };
    rt_rescue_unmark(w->rt, w->index);
    (void)serve_all(w, &found);
    rt_dispatch(w, &found);
    take_from_held(w);
}

/* --- guarding --- */

static unsigned list_held(struct rt_worker *w, struct pollfd *fds)
{
    struct rt_runtime *rt = w->rt;
    unsigned           crew = rt_crew(rt), n = 0;
    for (unsigned i = 0; i < crew; i++)
        if (i != w->index && rt_rescue_is_held(&rt->rescue, i))
            fds[n++] =
                (struct pollfd){ .fd = rt->workers[i]->poller.epoll_fd, .events = POLLIN };
    return n;
}

/* The marks are read after the guard's place is taken, the watch looks for a guard after it has
 * set a mark: one of both sees the other. */
void rt_rescue_sleep(struct rt_worker *w, int64_t timeout_ns, struct rt_fifo *out)
{
    struct rt_rescue *r = &w->rt->rescue;
    uint32_t          nobody = 0;
    /* pairs: RESCUE -> wake_guard; RESCUE <- rt_rescue_mark */
    if (rt_load_sc(&r->held) == 0 || !rt_cas_sc(&r->guard, &nobody, w->index + 1)) {
        rt_lend_sleep(w, timeout_ns, out);
        return;
    }
    rt_rescue_unmark(w->rt, w->index);
    uint64_t next = serve_all(w, out);
    if (next != RT_NEVER && !w->rt->time.is_virtual) {
        int64_t until = rt_ns_until(next, rt_time_now(&w->rt->time));
        timeout_ns = timeout_ns < 0 || until < timeout_ns ? until : timeout_ns;
    }
    if (out->head)
        timeout_ns = 0;
    unsigned n = list_held(w, r->fds + 1);
    n += rt_lend_list(w, r->fds + 1 + n);
    /* not while it serves: then it has in its hands what others wait for */
    rt_watch_note_park(w->rt);
    rt_poll_await(&w->poller, r->fds, n, timeout_ns);
    rt_watch_note_unpark(w->rt);
    SKUA_IGNORE(rt_poll(&w->poller, 0, out)); /* an error looks like a wake */
    (void)rt_xchg_sc(&r->guard, 0); /* pairs: RESCUE -> wake_guard */
    rt_lend_serve(w, out);
    (void)serve_all(w, out);
}

void rt_rescue_doze(struct rt_worker *w)
{
    struct rt_rescue *r = &w->rt->rescue;
    uint32_t          nobody = 0;
    struct pollfd     own;
    bool guards = rt_load_sc(&r->held) > 0 && /* pairs: RESCUE <- rt_rescue_mark */
                  rt_cas_sc(&r->guard, &nobody, w->index + 1); /* pairs: RESCUE -> wake_guard */
    if (guards)
        rt_rescue_unmark(w->rt, w->index);
    unsigned n = guards ? list_held(w, r->fds + 1) : 0;
    rt_watch_note_park(w->rt);
    rt_poll_await(&w->poller, guards ? r->fds : &own, n, -1);
    rt_watch_note_unpark(w->rt);
    if (guards)
        (void)rt_xchg_sc(&r->guard, 0); /* pairs: RESCUE -> wake_guard */
}

/* --- the watch --- */

static void wake_guard(struct rt_runtime *rt)
{
    uint32_t guard = rt_load_sc(&rt->rescue.guard); /* pairs: RESCUE <- rt_rescue_sleep */
    if (guard == 0) {
        rt_notify(rt);
        return;
    }
    int index = rt_idle_pick_this(&rt->idle, guard - 1);
    if (index >= 0)
        rt_ring(rt->workers[index]);
}

/* What came after the guard has looked, and rings nobody: mail, and a timer that a child left there
 * which the held task called. Those of pinned tasks stay, and are not told from others; but where
 * no thread runs the loop nothing comes. */
static bool has_late(struct rt_runtime *rt)
{
    uint64_t now = rt_time_now(&rt->time);
    unsigned crew = rt_crew(rt);
    for (unsigned i = 0; i < crew; i++) {
        struct rt_worker *w = rt->workers[i];
        /* relaxed: a hint */
        bool is_due = rt_load_relaxed(&w->tid) && rt_timers_next(&w->timers) <= now;
        if (rt_rescue_is_held(&rt->rescue, i) && (is_due || rt_inbox_has(&w->inbox)))
            return true;
    }
    return false;
}

static bool something_waits(struct rt_runtime *rt)
{
    uint64_t now = rt_time_now(&rt->time);
    unsigned crew = rt_crew(rt);
    if (rt_inject_length(&rt->inject) > 0)
        return true;
    for (unsigned i = 0; i < crew; i++) {
        struct rt_worker *w = rt->workers[i];
        if (!rt_rescue_is_held(&rt->rescue, i))
            continue;
        if (rt_deque_size(&w->deque) > 0 || rt_load_relaxed(&w->next) || /* relaxed: a hint */
            rt_inbox_has(&w->inbox) || rt_timers_next(&w->timers) <= now ||
            rt_poller_has_events(&w->poller))
            return true;
    }
    return false;
}

bool rt_rescue_tick(struct rt_runtime *rt, const struct rt_roll_call *seen)
{
    struct rt_rescue *r = &rt->rescue;
    bool              spares = r->spares_max > 0 && rt_spare_reap(rt);
    if (rt->n == 1 || !rt->steal)
        return false;
    /* a sleeper takes over the guard, or sees one more, or takes what lies where nobody was rung */
    if (seen->held > 0 && seen->free > 0 &&
        (seen->has_news || !rt_load_sc(&r->guard) || has_late(rt)))
        wake_guard(rt);
    r->still = seen->held > 0 && seen->free == 0 ? r->still + 1 : 0;
    if (r->still == 0)
        r->is_told = false;
    else if (!r->is_told && seen->held == rt->n + r->spares_max &&
             (uint64_t)r->still * RT_WATCH_TICK_MS * RT_NS_PER_MS >= rt->watch.stall_ns) {
        r->is_told = true;
        rt_stall_report_all(rt, seen->held);
    }
    r->calm = seen->regular > 0 ? r->calm + 1 : 0;
    if (r->pause > 0)
        r->pause--;
    else if (r->still >= STILL_TICKS && r->spares_max > 0 && something_waits(rt))
        rt_spare_start(rt);
    else if (spares && r->calm >= CALM_TICKS && !rt->time.is_virtual)
        rt_spare_rest(rt);
    return spares && !rt->time.is_virtual;
}
