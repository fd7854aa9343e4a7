/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The watch thread. */
#include "sched/watch.h"

#include <poll.h>

#include "sched/queues.h"
#include "sched/runtime.h"
#include "sched/seen.h"
#include "sched/signal.h"

enum {
    ASKED_TICK_MS = 2, /* while the pool wants to be ticked */
    ROLL_MIN_MS = 3, /* less time in which a worker makes no step says nothing */
    TICKS_BEFORE_SLEEP = 8, /* all workers parked for so long: stop ticking */
    ASK_MAX = 5, /* on a busy machine a thread that is asked who it is may not run at once */
    QUIET_MS = 900, /* all slept so long, and only another thread could wake them: it is said */
    TEND_MS = 1000, /* idle stacks that nobody needed for so long give memory back */
};

void rt_watch_note_park(struct rt_runtime *rt)
{
    rt_gate_park(&rt->watch.gate);
}

void rt_watch_note_unpark(struct rt_runtime *rt)
{
    if (rt_gate_unpark(&rt->watch.gate))
        SKUA_IGNORE(rt_sys_eventfd_ring(rt->watch.event_fd));
}

bool rt_watch_shut_gate(struct rt_runtime *rt)
{
    return rt_gate_shut(&rt->watch.gate, rt->watch.threads);
}

void rt_watch_open_gate(struct rt_runtime *rt)
{
    rt_gate_open(&rt->watch.gate);
}

static void report(struct rt_runtime *rt, struct rt_worker *w, struct rt_seen *seen, uint64_t now)
{
    /* relaxed: a late view is a late report */
    if (seen->name[0] || rt_seen_still(seen, now) < rt_load_relaxed(&rt->watch.stall_ns))
        return;
    bool last = ++seen->asked >= ASK_MAX;
    rt_stall_report(rt, w, rt_seen_still(seen, now), last, seen->name);
}

/* The worker does something else by now. */
static void begin_anew(struct rt_worker *w, struct rt_seen *seen, uint64_t steps, uint64_t now)
{
    if (RT_UNLIKELY(seen->name[0]))
        rt_stall_report_end(w, rt_seen_still(seen, now), seen->name);
    rt_seen_anew(seen, steps, now);
}

/* A worker that stood still since the last tick: others look after what waits behind it. True: it
 * did. */
static bool look_at(struct rt_runtime *rt, struct rt_worker *w, struct rt_seen *seen, uint64_t now)
{
    uint64_t steps = RT_STAT_GET(&w->steps); /* relaxed: a hint */
    rt_store_relaxed(&w->poll_due, 1);           /* relaxed: a hint */
    rt_store_relaxed(&w->jobs.told, 1);          /* relaxed: a hint; see sched/fork.c */
    if (steps != seen->steps) {
        begin_anew(w, seen, steps, now);
        return false;
    }
    /* relaxed: a hint */
    if (rt->n > 1 && rt->steal && (rt_deque_size(&w->deque) > 0 || rt_load_relaxed(&w->next)))
        rt_notify(rt);
    report(rt, w, seen, now);
    return true;
}

/* Deadlocks: what the watch remembers while all sleep. */
struct quiet {
    uint32_t      rounds; /* how often one had fallen asleep, before it looked last */
    uint64_t      since;
    uint64_t      again; /* not before that */
    enum rt_stuck found;
};

/* Looks once for each time that all fell asleep, and again when what it found may have changed. */
static void look_for_deadlock(struct rt_runtime *rt, struct quiet *quiet, uint64_t now)
{
    uint32_t rounds = rt_gate_rounds(&rt->watch.gate);
    bool     is_new = rounds != quiet->rounds;
    if (is_new)
        *quiet = (struct quiet){ .rounds = rounds, .since = now,
                                 .found = rt_deadlock_look ? RT_STUCK_ASK : RT_STUCK_NO };
    if (!rt_deadlock_look || (!is_new && (quiet->found == RT_STUCK_NO || now < quiet->again)))
        return;
    quiet->again = rt_ns_add(now, QUIET_MS / 2 * RT_NS_PER_MS);
    quiet->found = rt_deadlock_look(rt, now - quiet->since >= QUIET_MS * RT_NS_PER_MS);
}

/* All workers sleep: wait to be rung. Who was up since the look and sleeps again has to be looked
 * at as well. */
static void doze(struct rt_runtime *rt, const struct quiet *quiet)
{
    struct rt_watch *watch = &rt->watch;
    int timeout_ms = rt_stacks_untended() || quiet->found != RT_STUCK_NO ? TEND_MS : -1;
    if (!rt_gate_doze(&watch->gate, watch->threads, quiet->rounds))
        timeout_ms = RT_WATCH_TICK_MS;
    SKUA_IGNORE(rt_sys_poll1(watch->event_fd, POLLIN, timeout_ms));
    rt_gate_undoze(&watch->gate);
}

/* Who sleeps, who moves, who stands still. True: all sleep. */
static bool call_roll(struct rt_runtime *rt, struct rt_seen *seen, uint64_t now,
                      struct rt_roll_call *roll)
{
    unsigned crew = rt_crew(rt);
    bool     all_idle = true;
    for (unsigned i = 0; i < crew; i++) {
        struct rt_worker *w = rt->workers[i];
        bool              on_duty = rt_on_duty(w);
        bool              parked = !on_duty || rt_idle_is_parked(&rt->idle, i);
        all_idle &= parked;
        if (!parked && look_at(rt, w, &seen[i], now)) {
            roll->held++;
            roll->has_news |= rt->n > 1 && rt->steal && rt_rescue_mark(rt, i);
            continue;
        }
        if (parked) /* what it does next begins now */
            begin_anew(w, &seen[i], RT_STAT_GET(&w->steps), now);
        rt_rescue_unmark(rt, i);
        /* relaxed: own write. A resting spare may still run a task, but takes no other. */
        if (!on_duty || rt_load_relaxed(&w->leave_asked) == RT_ORDER_REST)
            continue;
        roll->free++;
        roll->regular += i < rt->n;
    }
    return all_idle;
}

static void tend_stacks(uint64_t now, uint64_t *at)
{
    if (now < *at)
        return;
    *at = rt_stacks_tend() ? rt_ns_add(now, TEND_MS * RT_NS_PER_MS) : 0;
}

void rt_watch_ask(struct rt_runtime *rt)
{
    (void)rt_xchg_sc(&rt->watch.asked, 1); /* pairs: WATCH -> tick_pool */
    SKUA_IGNORE(rt_sys_eventfd_ring(rt->watch.event_fd));
}

/* True: it wants the next tick as well. */
static bool tick_pool(struct rt_runtime *rt)
{
    struct rt_watch *watch = &rt->watch;
    if (RT_LIKELY(!rt_load_sc(&watch->asked)) || !rt_xchg_sc(&watch->asked, 0))
        return false;                /* pairs: WATCH <- rt_watch_ask */
    bool again = rt->pool_tick(rt);
    if (again)
        (void)rt_xchg_sc(&watch->asked, 1);
    return again;
}

/* True: all sleep and may go on doing so. */
static bool tick(struct rt_runtime *rt, struct rt_seen *seen, uint64_t now)
{
    struct rt_roll_call roll = { 0 };
    bool                all_idle = call_roll(rt, seen, now, &roll);
    if (!all_idle && rt->n > 1 && rt_work_visible(rt, true))
        rt_notify(rt); /* see push_deque */
    bool has_spares = rt_rescue_tick(rt, &roll);
    return all_idle && !has_spares;
}

static void *watch_main(void *arg)
{
    struct rt_runtime *rt = arg;
    struct rt_watch   *watch = &rt->watch;
    struct rt_seen     seen[RT_WORKERS_MAX];
    unsigned           idle_ticks = 0;
    uint64_t           tend_at = rt_ns_add(rt_clock_now(), TEND_MS * RT_NS_PER_MS);
    uint64_t           roll_at = 0;
    struct quiet       quiet = { 0 };
    bool               asked = false;
    rt_seen_begin(seen, RT_WORKERS_MAX, rt_clock_now());
    rt_sys_signals_avoid(false); /* somebody has to take them */
    while (!rt_load_acquire(&watch->stop)) { /* pairs: WATCH <- rt_watch_halt */
        if (idle_ticks > TICKS_BEFORE_SLEEP && tend_at > 0)
            doze(rt, &quiet);
        else
            SKUA_IGNORE(rt_sys_poll1(watch->event_fd, POLLIN,
                                     asked ? ASKED_TICK_MS : RT_WATCH_TICK_MS));
        SKUA_IGNORE(rt_sys_eventfd_drain(watch->event_fd));
        rt_signals_carry(rt);
        if ((asked = tick_pool(rt)))
            idle_ticks = 0;
        uint64_t now = rt_clock_now();
        tend_stacks(now, &tend_at);
        if (now >= roll_at) {
            bool all_idle = tick(rt, seen, now);
            idle_ticks = all_idle && !asked ? idle_ticks + 1 : 0;
            roll_at = rt_ns_add(now, ROLL_MIN_MS * RT_NS_PER_MS);
            if (idle_ticks > TICKS_BEFORE_SLEEP)
                look_for_deadlock(rt, &quiet, now);
        }
    }
    return NULL;
}

int rt_watch_start(struct rt_runtime *rt)
{
    struct rt_watch *watch = &rt->watch;
    int              r = watch->event_fd = rt_sys_eventfd();
    if (r < 0)
        return r;
    watch->threads = rt->n;
    if (rt_load_relaxed(&watch->stall_ns) != RT_NEVER) /* relaxed: own write */
        rt_stall_begin();
    r = rt_sys_thread_create(&watch->thread, watch_main, rt, "skua-watch");
    if (r < 0) {
        SKUA_IGNORE(rt_sys_close(watch->event_fd));
        return r;
    }
    watch->is_running = 1;
    return 0;
}

void rt_watch_halt(struct rt_runtime *rt)
{
    struct rt_watch *watch = &rt->watch;
    if (!watch->is_running)
        return;
    rt_store_release(&watch->stop, 1); /* pairs: WATCH -> watch_main */
    SKUA_IGNORE(rt_sys_eventfd_ring(watch->event_fd));
    SKUA_IGNORE(rt_sys_thread_join(watch->thread));
    watch->is_running = 0;
}

void rt_watch_stop(struct rt_runtime *rt)
{
    rt_watch_halt(rt);
    SKUA_IGNORE(rt_sys_close(rt->watch.event_fd));
}
