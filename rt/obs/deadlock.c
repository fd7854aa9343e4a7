/* SPDX-License-Identifier: MIT */
/* floor 9: obs. Deadlocks: every worker sleeps, somebody waits for a task, and nothing is left that
 * could ever wake one of them.
 *
 * The watch looks, behind its gate: no task runs and none is resumed meanwhile, so what suspended
 * tasks wait for may be read, their frames included. Plain threads may complete futures and release
 * locks at the same time; what they share with tasks has locks. docs/debugging.md has the argument
 * why this never cries wolf.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aio/allocator.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/san.h"
#include "sched/finish.h"
#include "sched/report.h"

enum { TASKS_MAX = 128, LINE_MAX = 400, NAMES_MAX = 4 };

static RT_ATOMIC(uint64_t) holds;

void skua_hold(void)
{
    (void)rt_add_sc(&holds, 1);
}

int skua_unhold(void)
{
    uint64_t n = rt_load_relaxed(&holds); /* relaxed: the CAS decides */
    do {
        if (n == 0)
            return -EINVAL;
    } while (!rt_cas_sc(&holds, &n, n - 1));
    return 0;
}

/* --- is it one? --- */

/* Threads that could wake somebody: all but those of this runtime and those that only clean up. */
static bool has_others(struct rt_runtime *rt)
{
    /* the workers, worker 0 on its caller's thread, and the watch */
    int ours = (int)rt->watch.threads + 1 + rt_allocator_threads() + RT_TSAN;
    if (rt->pool_threads)
        ours += rt->pool_threads(rt);
    int all = rt_thread_count();
    return all < 0 || all > ours;
}

/* Something is armed, or on its way, that no task waits for. */
static bool has_sources(struct rt_runtime *rt)
{
    unsigned crew = rt_crew(rt);
    rt_lock(&rt->lock);
    bool has = rt->reader_count > 0 || rt->signal_handlers;
    rt_unlock(&rt->lock);
    for (unsigned i = 0; !has && i < crew; i++) {
        struct rt_worker *w = rt->workers[i];
        has = rt_timers_next(&w->timers) != RT_NEVER || rt_inbox_has(&w->inbox) ||
              rt_inbox_has(&w->pinned_inbox) || rt_deque_size(&w->deque) > 0;
    }
    return has || rt_inject_length(&rt->inject) > 0;
}

/* Can only a task end its wait? */
static bool waits_for_tasks(struct rt_runtime *rt, struct skua_task *t)
{
    uint64_t      word = rt_load_acquire(&t->wait.bits); /* pairs: WAKE <- rt_ww_claim */
    enum rt_phase phase = rt_ww_phase(word);
    if ((phase != RT_PHASE_PARKED && phase != RT_PHASE_INLINE) || t->awaiting == 0)
        return false;
    struct rt_awaitable *combined = rt_combined(t);
    if (combined)
        return combined->kind != NULL;
    return rt_load_relaxed(&t->target->runtime) == rt->id; /* relaxed: fixed, it is awaited */
}

struct stuck {
    struct rt_runtime *rt;
    size_t             n;     /* in task[] */
    size_t             total; /* that wait */
    struct skua_task  *task[TASKS_MAX]; /* one reference each */
    unsigned char      state[TASKS_MAX]; /* enum state */
    size_t             path[TASKS_MAX]; /* from one to the next */
    size_t             depth;
};

enum state { NEW, ON_PATH, SEEN, TOLD };

/* Retained. */
static bool collect_one(struct stuck *s, struct skua_task *t)
{
    bool waits = waits_for_tasks(s->rt, t);
    if (waits && s->n < TASKS_MAX) {
        s->state[s->n] = NEW;
        s->task[s->n++] = t;
    } else {
        rt_task_unref(NULL, t);
    }
    s->total += waits;
    return waits;
}

/* A task of the runtime, which stays as it is while no worker runs: futures and other runtimes'
 * tasks may come and go meanwhile, and are not touched. */
static bool is_ours(struct rt_runtime *rt, struct skua_task *t)
{
    /* relaxed: see above */
    return rt_load_relaxed(&t->runtime) == rt->id && rt_task_kind(t) < RT_KIND_FUTURE;
}

/* Retained; NULL: no task of the runtime, or one that has ended. */
static struct skua_task *task_at(struct rt_runtime *rt, uint32_t slot)
{
    struct skua_task *t = rt_slab_at(slot);
    return t && is_ours(rt, t) && rt_st_try_retain_pending(&t->state) ? t : NULL;
}

/* Who was found to go on when it was looked last, the one that listens for instance, mostly does so
 * still: the walk to it is saved. */
static bool last_one_goes_on(struct rt_runtime *rt)
{
    struct skua_task *t = task_at(rt, rt->goes_on);
    bool              goes_on = t && !waits_for_tasks(rt, t);
    if (t)
        rt_task_unref(NULL, t);
    return goes_on;
}

/* All tasks of the runtime. False: one of them will go on. Those alive are counted, since they may
 * be few in a slab that has seen many. A plain thread that spawns meanwhile counts its task before
 * it posts it: one that is missed here was not there yet. */
static bool collect(struct stuck *s)
{
    uint64_t left = rt_runtime_alive(s->rt);
    uint32_t carved = rt_slab_carved();
    for (uint32_t slot = 1; left > 0 && slot <= carved; slot++) {
        struct skua_task *t = task_at(s->rt, slot);
        if (t && !collect_one(s, t)) {
            s->rt->goes_on = slot;
            return false;
        }
        left -= t != NULL;
    }
    return true;
}

static void let_go(struct stuck *s)
{
    for (size_t i = 0; i < s->n; i++)
        rt_task_unref(NULL, s->task[i]);
}

/* --- the report --- */

struct text {
    char   at[LINE_MAX];
    size_t used;
    size_t names;
    const char *before; /* the next name */
};

static void add(struct text *x, const char *piece)
{
    size_t n = strnlen(piece, sizeof x->at - 1 - x->used);
    memcpy(x->at + x->used, piece, n);
    x->used += n;
    x->at[x->used] = '\0';
}

static void add_name(struct text *x, struct skua_task *t)
{
    struct rt_cold *cold = rt_task_cold_if_any(t);
    const char     *name = cold ? rt_load_acquire(&cold->name) : NULL; /* pairs: COLD <- set_text */
    char            made[24];
    if (!name)
        (void)snprintf(made, sizeof made, "%s-%u", rt_task_is_future(t) ? "Future" : "Task", t->id);
    add(x, name ? name : made);
}

static void see_name(struct skua_task *t, void *arg)
{
    struct text *x = arg;
    if (x->names++ == NAMES_MAX)
        add(x, ", ...");
    if (x->names > NAMES_MAX)
        return;
    add(x, x->before);
    add_name(x, t);
    x->before = ", ";
}

static void tell_one(struct skua_task *t, const char *indent)
{
    struct text x = { .used = 0 };
    char        address[32];
    add(&x, indent);
    add_name(&x, t);
    add(&x, " (spawned at ");
    add(&x, rt_task_place(t));
    struct rt_awaitable *combined = rt_combined(t);
    if (!combined) {
        add(&x, ") awaits ");
        add_name(&x, t->target);
        if (rt_task_is_future(t->target))
            add(&x, ", which nobody completes");
    } else {
        (void)snprintf(address, sizeof address, " at %p", combined->object);
        add(&x, ") waits for ");
        add(&x, combined->kind->what);
        if (combined->kind->is_shown)
            add(&x, address);
        x.before = combined->kind->whose;
        if (combined->kind->tasks)
            combined->kind->tasks(combined, see_name, &x);
    }
    rt_log("%s", x.at);
}

static size_t index_of(struct stuck *s, const struct skua_task *t)
{
    size_t i = 0;
    while (i < s->n && s->task[i] != t)
        i++;
    return i;
}

static void follow(struct skua_task *t, void *arg);

/* In depth: what it waits for, and what that waits for. */
static void walk(struct stuck *s, size_t i)
{
    struct skua_task    *t = s->task[i];
    struct rt_awaitable *combined = rt_combined(t);
    s->state[i] = ON_PATH;
    s->path[s->depth++] = i;
    if (!combined)
        follow(t->target, s);
    else if (combined->kind->tasks)
        combined->kind->tasks(combined, follow, s);
    s->depth--;
    if (s->state[i] == ON_PATH)
        s->state[i] = SEEN;
}

/* Those from `first` to the end of the path wait for one another in a ring. */
static void tell_ring(struct stuck *s, size_t first)
{
    size_t from = s->depth;
    while (from > 0 && s->path[from - 1] != first)
        from--;
    rt_log("  in a ring:");
    for (size_t k = from - 1; k < s->depth; k++) {
        tell_one(s->task[s->path[k]], "    ");
        s->state[s->path[k]] = TOLD;
    }
}

static bool is_on_path(struct stuck *s, size_t i)
{
    for (size_t k = 0; k < s->depth; k++)
        if (s->path[k] == i)
            return true;
    return false;
}

static void follow(struct skua_task *t, void *arg)
{
    struct stuck *s = arg;
    size_t        i = index_of(s, t);
    if (i == s->n)
        return;
    if (s->state[i] == NEW)
        walk(s, i);
    else if (s->state[i] == ON_PATH && is_on_path(s, i))
        tell_ring(s, i);
}

static void tell(struct stuck *s, struct skua_task *main, bool ends)
{
    struct text x = { .used = 0 };
    add(&x, "deadlock: the run waits for ");
    add_name(&x, main);
    add(&x, ends ? ", and nothing is left that could wake a task"
                 : ", and only another thread of the process could wake a task");
    rt_log("%s", x.at);
    for (size_t i = 0; i < s->n; i++)
        if (s->state[i] == NEW)
            walk(s, i);
    for (size_t i = 0; i < s->n; i++)
        if (s->state[i] != TOLD)
            tell_one(s->task[i], "  ");
    if (s->total > s->n)
        rt_log("  and %zu more tasks wait", s->total - s->n);
    if (!ends)
        rt_log("  (skua_hold() says that a thread will)");
}

/* --- what the watch calls --- */

static void end_run(struct rt_runtime *rt)
{
    rt_store_release(&rt->deadlocked, 1); /* pairs: STUCK -> run_until */
    rt_worker_ask_leave(rt->workers[0]);
}

/* Behind the gate. */
static enum rt_stuck judge(struct rt_runtime *rt, bool is_late)
{
    struct stuck      s = { .rt = rt };
    struct skua_task *main = rt_load_relaxed(&rt->waited_for); /* relaxed: worker 0 sleeps */
    if (!main || rt_load_sc(&rt->phase) != RT_OPEN || rt_load_relaxed(&rt->abroad) ||
        rt_load_relaxed(&main->runtime) != rt->id) /* relaxed, both: likewise */
        return RT_STUCK_NO;
    if (rt_load_sc(&rt->busy) > 0 || rt_load_sc(&holds) > 0)
        return RT_STUCK_ASK;
    if (has_sources(rt) || last_one_goes_on(rt)) /* most of the time: saves the counts */
        return RT_STUCK_NO;
    /* Counted before all else is looked at: one that has ended by now may have woken somebody, who
     * is seen then; and nobody is there to make new ones. */
    bool          others = has_others(rt);
    bool          is_told = rt_load_relaxed(&rt->deadlock_told); /* relaxed: as waited_for */
    enum rt_stuck found = RT_STUCK_NO;
    if (others && is_late && is_told) /* nothing new before they are gone, or somebody is up */
        return RT_STUCK_LATER;
    if (!has_sources(rt) && collect(&s) && !rt_task_is_done(main)) {
        found = others ? RT_STUCK_LATER : RT_STUCK_YES;
        bool ends = found == RT_STUCK_YES;
        if (ends || (is_late && !is_told))
            tell(&s, main, ends);
        if (is_late)
            rt_store_relaxed(&rt->deadlock_told, 1); /* relaxed: likewise */
    }
    let_go(&s);
    if (found == RT_STUCK_YES)
        end_run(rt);
    return found;
}

static enum rt_stuck look(struct rt_runtime *rt, bool is_late)
{
    if (!rt_load_relaxed(&rt->waited_for)) /* relaxed: a hint, looked at again behind the gate */
        return RT_STUCK_NO;
    if (!rt_watch_shut_gate(rt))
        return RT_STUCK_ASK;
    enum rt_stuck found = judge(rt, is_late);
    rt_watch_open_gate(rt);
    return found;
}

__attribute__((constructor)) static void install(void)
{
    rt_deadlock_look = look;
}
