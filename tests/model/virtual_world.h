/* SPDX-License-Identifier: MIT */
/* The world of the virtual time model: the parts of the runtime that rt/sched/virtual.c needs, that
 * file itself, and workers that park, rise, take and run as rt/sched/find.c and pick.c let them.
 */
#ifndef RT_MODEL_VIRTUAL_WORLD_H
#define RT_MODEL_VIRTUAL_WORLD_H

#define RT_WORKERS_MAX 64

#include "model_main.h"

#include "runq/inbox.h"
#include "sched/idle.h"

/* --- what virtual.c needs of the runtime --- */

#define RT_SCHED_QUEUES_H
#define RT_SCHED_RUNTIME_H
#define RT_NEVER UINT64_MAX

enum { CREW = 3, RING = 1, EVENT = 16 };

struct rt_poller {
    RT_ATOMIC(uint32_t) ready; /* RING, and EVENT for each event */
    HANDLE              bell;
};

struct rt_timers {
    RT_ATOMIC(uint64_t) next;
};

struct rt_time {
    RT_ATOMIC(uint64_t) virtual_now;
};

struct rt_inject {
    rl::mutex           lock;
    RT_ATOMIC(uint64_t) length;
};

struct rt_runtime;

struct rt_worker {
    struct rt_runtime  *rt;
    unsigned            index;
    struct rt_inbox     inbox, pinned_inbox;
    struct rt_poller    poller;
    struct rt_timers    timers;
    RT_ATOMIC(uint32_t) duty;
    bool                searching;
};

struct rt_runtime {
    struct rt_idle      idle;
    struct rt_time      time;
    struct rt_inject    inject;
    RT_ATOMIC(uint32_t) crew, busy;
    RT_ATOMIC(uint64_t) risings;
    rl::mutex           lock;
    struct rt_worker   *workers[CREW];
};

static void ring(struct rt_worker *w)
{
    (void)rt_or_acq_rel(&w->poller.ready, RING);
    ReleaseSemaphore(w->poller.bell, 1, 0);
}

static uint64_t model_time(uint64_t time, model_wrong wrong)
{
    return wrong == MODEL_ZERO ? 0 : time;
}

static bool model_flag(bool is, model_wrong wrong)
{
    return is && wrong != MODEL_ZERO;
}

static void move(struct rt_runtime *rt, uint64_t to);

static struct rt_worker *decider; /* of the schedule that runs: who has the lock */

#define rt_lock(l) ((MODEL_HERE("lock") == MODEL_SKIP ? (void)0 : (l)->lock($)), decider = w)
#define rt_unlock(l)         (MODEL_HERE("lock") == MODEL_SKIP ? (void)0 : (l)->unlock($))
#define rt_crew(rt)          rt_load_acquire(&(rt)->crew)
#define rt_on_duty(w)        rt_load_acquire(&(w)->duty)
#define rt_timers_next(ts)   rt_load_relaxed(&(ts)->next)
#define rt_time_move(t, now) move(rt, now)
#define rt_time_now(t) model_time(rt_load_acquire(&(t)->virtual_now), MODEL_HERE("rt_time_now"))
#define rt_poller_has_events(p) \
    model_flag(rt_load_relaxed(&(p)->ready) != 0, MODEL_HERE("rt_poller_has_events"))
#define rt_inbox_has(b)                                         \
    (model_flag(rt_inbox_has(b), MODEL_HERE("rt_inbox_has")) && \
     !(MODEL_IS("OWN_BLIND") && (b) == &decider->inbox))
#define rt_inject_length(q)                                                           \
    ((MODEL_IS("COUNT_LATE") ? (void)(risings = rt_load_sc(&rt->risings)) : (void)0), \
     rt_load_sc(&(q)->length))
#define rt_ring(w) (MODEL_HERE("rt_ring") == MODEL_SKIP ? (void)0 : ring(w))
#undef rt_load_sc
#define rt_load_sc(p) MODEL_LOAD(p, rl::mo_seq_cst, "load_sc " #p)

#include "sched/virtual.c"

#undef rt_inbox_has
#undef rt_inject_length
#define rt_inject_length(q) rt_load_sc(&(q)->length)

/* --- workers, and what they do --- */

/* A timer runs one of these. */
enum deed { PASS, SEND_EVENT, SEND_MAIL, INJECT, CALL, MEET };

struct alarm_clock {
    uint64_t at;
    deed     what;
    unsigned to;
};

struct virtual_base;
static virtual_base *world; /* of the schedule that runs */

struct virtual_base {
    enum { ALARMS = 3 };

    struct rt_runtime rt;
    struct rt_worker  worker[CREW];
    alarm_clock       alarm[CREW][ALARMS];
    unsigned          alarms[CREW], rung[CREW];
    struct rt_link    post[CREW];
    unsigned          posts;
    uint64_t          time;   /* as it is, whoever has seen it */
    int               open;   /* sent and not handled yet */
    int               left;   /* alarms not over yet, and what is open */
    int               meeting;
    HANDLE            met, called;
    bool              over;

    void setup(unsigned crew)
    {
        world = this;
        rt_init(&rt.idle.searching, 0);
        rt_init(&rt.idle.parked[0], 0);
        rt_init(&rt.time.virtual_now, 0);
        rt_init(&rt.inject.length, 0);
        rt_init(&rt.crew, crew);
        rt_init(&rt.busy, 0);
        rt_init(&rt.risings, 0);
        for (unsigned i = 0; i < CREW; i++) {
            struct rt_worker *w = rt.workers[i] = &worker[i];
            w->rt = &rt;
            w->index = i;
            rt_init(&w->inbox.head, 0);
            rt_init(&w->pinned_inbox.head, 0);
            rt_init(&w->poller.ready, 0);
            w->poller.bell = CreateSemaphore(0, 0, 1, 0);
            rt_init(&w->timers.next, RT_NEVER);
            rt_init(&w->duty, 1);
            w->searching = false;
            alarms[i] = rung[i] = 0;
        }
        posts = 0;
        time = 0;
        open = left = meeting = 0;
        met = CreateSemaphore(0, 0, 4, 0);
        called = CreateSemaphore(0, 0, 1, 0);
        over = false;
    }

    void set(unsigned w, uint64_t at, deed what, unsigned to = 0)
    {
        alarm[w][alarms[w]++] = { at, what, to };
        if (alarms[w] == 1)
            rt_init(&worker[w].timers.next, at);
        meeting += what == MEET;
        left++;
    }

    void finish()
    {
        RL_ASSERT(left == 0 && open == 0);
        RL_ASSERT(rt_load_relaxed(&rt.idle.searching) == 0);
        for (unsigned i = 0; i < CREW; i++)
            CloseHandle(worker[i].poller.bell);
        CloseHandle(met);
        CloseHandle(called);
    }

    void moved(uint64_t to)
    {
        RL_ASSERT(to > time);
        RL_ASSERT(open == 0);
        time = to;
    }

    void done()
    {
        if (--left)
            return;
        over = true;
        for (unsigned i = 0; i < CREW; i++)
            ReleaseSemaphore(worker[i].poller.bell, 1, 0);
        ReleaseSemaphore(called, 1, 0);
    }

    /* Some threads are slower: random schedules alone keep them abreast. */
    void pause()
    {
        for (unsigned n = rl::rand(24); n > 0; n--)
            MODEL_YIELD();
    }

    /* --- handing over: ready.c, inject.c, pool.c --- */

    void begun()
    {
        open++;
        left++;
    }

    void notify()
    {
        int index = rt_idle_pick(&rt.idle);
        if (index < 0)
            return;
        pause();
        ring(&worker[index]);
    }

    void mail(unsigned to)
    {
        begun();
        if (!rt_inbox_push(&worker[to].inbox, rt_item(&post[posts++], RT_TAG_TASK)))
            return;
        int index = rt_idle_pick_this(&rt.idle, to);
        if (index >= 0)
            ring(&worker[index]);
    }

    void inject()
    {
        begun();
        rt.inject.lock.lock($);
        (void)rt_xchg_sc(&rt.inject.length, rt_load_relaxed(&rt.inject.length) + 1);
        rt.inject.lock.unlock($);
        notify();
    }

    void call()
    {
        begun();
        (void)rt_add_sc(&rt.busy, 1);
        ReleaseSemaphore(called, 1, 0);
    }

    /* Its caller may have gone on. */
    void end_call(unsigned caller)
    {
        if (rl::rand(2))
            mail(caller);
        open--;
        pause();
        (void)rt_sub_sc(&rt.busy, 1);
        if (!MODEL_IS("BUSY_QUIET"))
            notify();
        done();
    }

    void meet()
    {
        if (--meeting == 0)
            ReleaseSemaphore(met, 1, 0);
        else
            WaitForSingleObject(met, INFINITE);
    }

    void run(const alarm_clock &a)
    {
        switch (a.what) {
        case PASS:
            break;
        case SEND_EVENT:
            begun();
            (void)rt_add_acq_rel(&worker[a.to].poller.ready, EVENT);
            ReleaseSemaphore(worker[a.to].poller.bell, 1, 0);
            break;
        case SEND_MAIL:
            mail(a.to);
            break;
        case INJECT:
            inject();
            break;
        case CALL:
            call();
            break;
        case MEET:
            meet();
            break;
        }
    }

    /* --- taking: pick.c --- */

    int take_mail(struct rt_worker *w)
    {
        int n = 0;
        for (uintptr_t at = rt_inbox_take(&w->inbox); at; n++)
            at = RT_VAR_GET(rt_item_link(at)->next);
        return n;
    }

    int poll(struct rt_worker *w)
    {
        if (!rt_load_relaxed(&w->poller.ready))
            return 0;
        return (int)(rt_xchg_acq_rel(&w->poller.ready, 0) / EVENT);
    }

    int take_injected()
    {
        if (!rt_inject_length(&rt.inject))
            return 0;
        rt.inject.lock.lock($);
        uint64_t n = rt_load_relaxed(&rt.inject.length);
        rt_store_relaxed(&rt.inject.length, 0);
        rt.inject.lock.unlock($);
        return (int)n;
    }

    void found(struct rt_worker *w)
    {
        if (!w->searching)
            return;
        w->searching = false;
        if (rt_idle_found(&rt.idle) && rt_inject_length(&rt.inject) > 0)
            notify();
    }

    /* Runs `n` things that were taken, and the timers that are due. */
    void handle(struct rt_worker *w, int n)
    {
        unsigned me = w->index;
        unsigned first = rung[me];
        uint64_t clock = rt_time_now(&rt.time);
        while (rung[me] < alarms[me] && alarm[me][rung[me]].at <= clock)
            rung[me]++;
        if (rung[me] > first)
            rt_store_relaxed(&w->timers.next,
                             rung[me] < alarms[me] ? alarm[me][rung[me]].at : RT_NEVER);
        if (n > 0 || rung[me] > first)
            found(w);
        for (; n > 0; n--) {
            pause();
            open--;
            done();
        }
        for (unsigned i = first; i < rung[me]; i++) {
            run(alarm[me][i]);
            done();
        }
    }

    void look_around(struct rt_worker *w)
    {
        int n = take_mail(w);
        n += poll(w);
        n += take_injected();
        handle(w, n);
    }

    /* --- find.c --- */

    bool own_mail(struct rt_worker *w) { return rt_inbox_has(&w->inbox); }

    void await(struct rt_worker *w)
    {
        if (rt_load_relaxed(&w->poller.ready) == 0)
            WaitForSingleObject(w->poller.bell, INFINITE);
        pause();
    }

    void park(struct rt_worker *w)
    {
        bool searched = w->searching;
        int  n = 0;
        rt_idle_park(&rt.idle, w->index, w->searching);
        w->searching = false;
        bool busy = own_mail(w) || rt_inject_length(&rt.inject) > 0 || over;
        bool awake = !busy && rt_virtual_idle(w) == RT_VIRTUAL_GO;
        if (!busy && !awake)
            await(w);
        if (MODEL_IS("RISE_FIRST"))
            rt_virtual_rise(w);
        if (MODEL_IS("TAKE_ASLEEP")) {
            n = poll(w);
            pause();
        }
        if (!awake && rt_idle_unpark(&rt.idle, w->index))
            w->searching = true;
        else if (busy && searched)
            w->searching = rt_idle_search(&rt.idle);
        if (MODEL_IS("RISE_LATE")) {
            n = poll(w);
            pause();
        }
        if (!MODEL_IS("RISE_FIRST"))
            rt_virtual_rise(w);
        n += poll(w);
        handle(w, n);
    }

    void work(unsigned me)
    {
        struct rt_worker *w = &worker[me];
        pause();
        look_around(w);
        while (!over) {
            if (own_mail(w) || rt_inject_length(&rt.inject) > 0) {
                look_around(w);
                continue;
            }
            if (!w->searching)
                w->searching = rt_idle_search(&rt.idle);
            park(w);
        }
        if (w->searching)
            (void)rt_idle_found(&rt.idle);
    }
};

static void move(struct rt_runtime *rt, uint64_t to)
{
    world->moved(to);
    rt_store_release(&rt->time.virtual_now, to);
}

#endif
