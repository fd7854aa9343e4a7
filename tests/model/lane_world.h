/* SPDX-License-Identifier: MIT */
/* The world of the lane model: Relacy's mutex and condition under the verbs of base/lock.h, fields
 * whose reads and writes a mutant can get wrong, and the parts of rt/aio/lane.c and pool.c that the
 * protocol needs: threads that are made and join each other, calls that are settled once, waits
 * that are claimed.
 */
#ifndef RT_MODEL_LANE_WORLD_H
#define RT_MODEL_LANE_WORLD_H

#define RT_BASE_CHECK_H
#define RT_ASSERT(x) RL_ASSERT(x)

#include <errno.h>

#include "model_main.h"
#include "model_var.h"

/* --- the mutex, the condition and the fields, with mutants --- */

#define RT_BASE_LOCK_H

struct model_condvar_tag;

struct rt_mutex_cond {
    rl::mutex                      mutex;
    rl::condvar<model_condvar_tag> cond;
};

static int model_wait(rt_mutex_cond *mc, uint64_t deadline, rl::debug_info_param info)
{
    rl::sema_wakeup_reason why = mc->cond.wait(mc->mutex, deadline != UINT64_MAX, info);
    return why == rl::sema_wakeup_reason_timeout ? -ETIMEDOUT : 0;
}

#define MODEL_UNLESS(verb, call) ((void)(MODEL_HERE(verb) == MODEL_SKIP || (call, 0)))

#define rt_mutex_cond_lock(mc)      MODEL_UNLESS("lock", (mc)->mutex.lock($))
#define rt_mutex_cond_unlock(mc)    MODEL_UNLESS("lock", (mc)->mutex.unlock($))
#define rt_mutex_cond_signal(mc)    MODEL_UNLESS("signal", (mc)->cond.notify_one($))
#define rt_mutex_cond_broadcast(mc) MODEL_UNLESS("broadcast", (mc)->cond.notify_all($))
#define rt_mutex_cond_wait(mc, deadline) model_wait((mc), (deadline), $)

#include "aio/lane.h"

/* --- a lane, its threads and its calls --- */

enum { SLOTS = 3, SEATS = 8, CALLS = 3 };

struct lane_base;
static lane_base *now; /* of the schedule that runs */

struct lane_base {
    struct call {
        struct rt_lane_item item;
        rl::atomic<uint64_t> waiting; /* name of the wait that its caller is in; 0: none */
        HANDLE woken;
        HANDLE stuck;      /* the function waits here; NULL: it returns */
        int    started, settled, freed;
        bool   withdrawn, queued;
    };
    struct place {
        struct rt_seat seat;
        HANDLE hit;        /* signals */
        bool   begun, outside, joined, left_alone;
        int    pending;    /* signals sent since its call began */
    };

    struct rt_lane lane;
    call   calls[CALLS];
    place  places[SEATS];
    HANDLE start[SLOTS];   /* a thread is wanted in this slot */
    int    in_slot[SLOTS]; /* its place, or -1 */
    int    places_used;
    int    failures;       /* of making threads, to come */
    bool   over;
    bool   interrupts;     /* functions wait for signals */
    bool   timed;          /* threads leave when idle */
    bool   wants_meeting;  /* functions wait for each other */
    HANDLE met;
    int    meeting;        /* that have to come */
    HANDLE begun;          /* the first call has; or NULL */
    HANDLE bell;           /* of the watch; or NULL */
    rl::atomic<int> asked;
    bool   closing, may_refuse;

    void setup(unsigned limit, int failing = 0)
    {
        now = this;
        memset((void *)&lane.queue, 0, sizeof lane.queue);
        lane.mc.cond.init(true, $);
        lane.start = start_thread;
        lane.limit = limit;
        lane.ended = NULL;
        rt_list_init(&lane.queue);
        rt_list_init(&lane.seats);
        rl::var<unsigned> *counts[] = { &lane.queued, &lane.count, &lane.idle, &lane.running,
                                        &lane.watchers };
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            (*counts[i])($).store(0u);
        lane.is_short($).store(false);
        lane.closed($).store(false);
        lane.done($).store((uint64_t)0);
        lane.withdrawn($).store((uint64_t)0);
        lane.given_up($).store((uint64_t)0);
        for (int i = 0; i < CALLS; i++) {
            call &c = calls[i];
            rt_lane_item_init(&c.item);
            c.waiting.store(0, rl::mo_relaxed, $);
            c.woken = CreateSemaphore(0, 0, 4, 0);
            c.stuck = NULL;
            c.started = c.settled = c.freed = 0;
            c.withdrawn = c.queued = false;
        }
        for (int i = 0; i < SEATS; i++) {
            places[i].hit = CreateSemaphore(0, 0, 100, 0);
            places[i].seat.item($).store((struct rt_lane_item *)NULL);
            places[i].seat.forgotten($).store(false);
            memset((void *)&places[i].seat.node, 0, sizeof places[i].seat.node);
            places[i].begun = places[i].outside = false;
            places[i].joined = places[i].left_alone = false;
            places[i].pending = 0;
        }
        for (int i = 0; i < SLOTS; i++) {
            start[i] = CreateSemaphore(0, 0, 2, 0);
            in_slot[i] = -1;
        }
        places_used = 0;
        failures = failing;
        over = interrupts = timed = false;
        met = CreateSemaphore(0, 0, 10, 0);
        meeting = 0;
    }

    void finish()
    {
        for (int i = 0; i < CALLS; i++) {
            call &c = calls[i];
            RL_ASSERT(c.settled + c.withdrawn == c.queued);
            RL_ASSERT(c.freed == 1);
            RL_ASSERT(!c.withdrawn || c.started == 0);
            CloseHandle(c.woken);
            if (c.stuck)
                CloseHandle(c.stuck);
        }
        for (int i = 0; i < SEATS; i++) {
            RL_ASSERT(!places[i].begun || places[i].joined != places[i].left_alone);
            CloseHandle(places[i].hit);
        }
        for (int i = 0; i < SLOTS; i++)
            CloseHandle(start[i]);
        CloseHandle(met);
        RL_ASSERT(lane.count($).load() == 0 && lane.idle($).load() == 0);
        RL_ASSERT(lane.queued($).load() == 0 && lane.running($).load() == 0);
        lane.mc.cond.deinit($);
    }

    /* --- what lane.c and pool.c do --- */

    static int start_thread(struct rt_lane *lane) { return now->make_thread(); }

    int make_thread()
    {
        int slot = 0;
        while (slot < SLOTS && in_slot[slot] >= 0)
            slot++;
        if (slot == SLOTS || failures > 0 || places_used == SEATS) {
            failures -= failures > 0;
            return -EAGAIN;
        }
        int at = in_slot[slot] = places_used++;
        places[at].begun = true;
        rt_lane_enter(&lane, &places[at].seat);
        ReleaseSemaphore(start[slot], 1, 0);
        return 0;
    }

    place &place_of(struct rt_seat *seat)
    {
        for (int i = 0; i < SEATS; i++)
            if (&places[i].seat == seat)
                return places[i];
        RL_ASSERT(false);
        return places[0];
    }

    void join(struct rt_seat *seat)
    {
        if (!seat)
            return;
        RL_ASSERT(!place_of(seat).joined && !place_of(seat).left_alone);
        place_of(seat).joined = true;
    }

    call &call_of(struct rt_lane_item *item)
    {
        return *rt_container_of(item, call, item);
    }

    void release(call &c)
    {
        if (!rt_lane_unref(&lane, &c.item))
            return;
        RL_ASSERT(!c.freed);
        c.freed++;
    }

    void settle(call &c, uint64_t name)
    {
        RL_ASSERT(!c.settled && !c.freed && !c.withdrawn);
        c.settled++;
        uint64_t expected = name;
        if (name && c.waiting.compare_exchange_strong(expected, 0, rl::mo_acq_rel, $))
            ReleaseSemaphore(c.woken, 1, 0);
        release(c);
    }

    static void interrupt(struct rt_seat *seat)
    {
        place &p = now->place_of(seat);
        RL_ASSERT(!p.outside);
        p.pending++;
        ReleaseSemaphore(p.hit, 1, 0);
    }

    static void ask(struct rt_lane_item *item) { rt_lane_ask(item); }

    static void give_up(struct rt_seat *seat, struct rt_lane_item *item)
    {
        place &p = now->place_of(seat);
        call  &c = now->call_of(item);
        RL_ASSERT(!p.outside);
        p.left_alone = true;
        uint64_t expected = RT_VAR_GET(item->name);
        if (expected && c.waiting.compare_exchange_strong(expected, 0, rl::mo_acq_rel, $))
            ReleaseSemaphore(c.woken, 1, 0);
    }

    /* The function. */
    void run(place &p, call &c)
    {
        RL_ASSERT(!c.started && !c.withdrawn && !c.freed && !c.settled);
        c.started++;
        if (begun && !wants_meeting)
            ReleaseSemaphore(begun, 1, 0);
        else if (wants_meeting) {
            if (--meeting == 0)
                ReleaseSemaphore(met, 2, 0);
            WaitForSingleObject(met, INFINITE);
        }
        if (interrupts) /* the first one came too early */
            for (int i = 0; i < 2; i++)
                WaitForSingleObject(p.hit, INFINITE);
        if (c.stuck)
            WaitForSingleObject(c.stuck, INFINITE);
    }

    void thread_main(int slot)
    {
        place &p = places[in_slot[slot]];
        for (;;) {
            struct rt_lane_item *item =
                rt_lane_pull(&lane, &p.seat, timed ? (uint64_t)1 : UINT64_MAX);
            if (!item)
                break;
            uint64_t name;
            bool     hit;
            p.outside = false;
            call &c = call_of(item);
            run(p, c);
            bool mine = rt_lane_finish(&lane, &p.seat, item, &name, &hit);
            p.outside = true;
            RL_ASSERT(hit == (p.pending > 0));
            p.pending = 0;
            if (mine) {
                settle(c, name);
                p.outside = false;
                continue;
            }
            RL_ASSERT(p.left_alone);
            RL_ASSERT(!c.settled);
            c.settled++;
            release(c);
            in_slot[slot] = -1;
            return;
        }
        in_slot[slot] = -1;
        join(p.seat.before);
    }

    void pool_thread(int slot)
    {
        for (;;) {
            WaitForSingleObject(start[slot], INFINITE);
            if (over)
                return;
            thread_main(slot);
        }
    }

    /* --- callers --- */

    bool push(call &c, uint64_t name)
    {
        RT_VAR_SET(c.item.name, name);
        c.waiting.store(name, rl::mo_relaxed, $);
        int r = rt_lane_push(&lane, &c.item);
        RL_ASSERT(r == 0 || r == -ESHUTDOWN || r == -EAGAIN);
        RL_ASSERT(r != -ESHUTDOWN || closing);
        RL_ASSERT(r != -EAGAIN || may_refuse);
        c.queued = r == 0;
        return r == 0;
    }

    /* Waits under the name that was given. */
    void await(call &c) { WaitForSingleObject(c.woken, INFINITE); }

    /* rt_watch_ask */
    void ring()
    {
        asked.exchange(1, rl::mo_seq_cst, $);
        ReleaseSemaphore(bell, 1, 0);
    }

    /* The wait is cancelled; the function is waited for, or the call is left. */
    void cancel(call &c, bool leaves)
    {
        uint64_t expected = 1;
        if (!c.waiting.compare_exchange_strong(expected, 0, rl::mo_acq_rel, $)) {
            await(c); /* it was woken before */
            return;
        }
        if (rt_lane_withdraw(&lane, &c.item) == RT_JOB_QUEUED) {
            RL_ASSERT(!c.started && !c.withdrawn && !c.settled);
            c.withdrawn = true;
            RL_ASSERT(rt_lane_withdraw(&lane, &c.item) == RT_JOB_DONE);
            return;
        }
        rt_lane_ask(&c.item);
        if (bell)
            ring();
        if (leaves)
            return;
        c.waiting.store(2, rl::mo_release, $);
        if (rt_lane_rename(&lane, &c.item, 2))
            await(c);
    }

    void stop()
    {
        struct rt_list left;
        rt_list_init(&left);
        closing = true;
        rt_lane_close(&lane, &left, ask);
        while (struct rt_list *node = rt_list_pop_front(&left)) {
            struct rt_lane_item *item = rt_container_of(node, struct rt_lane_item, node);
            settle(call_of(item), RT_VAR_GET(item->name));
        }
    }

    void check_empty()
    {
        rt_mutex_cond_lock(&lane.mc);
        RL_ASSERT(RT_VAR_GET(lane.queued) == 0);
        rt_mutex_cond_unlock(&lane.mc);
    }

    void end()
    {
        over = true;
        for (int i = 0; i < SLOTS; i++)
            ReleaseSemaphore(start[i], 1, 0);
    }

    void drop_unused(int from)
    {
        for (int i = from; i < CALLS; i++)
            release(calls[i]);
    }

    void begin(unsigned limit, int failing = 0)
    {
        wants_meeting = closing = may_refuse = false;
        begun = bell = NULL;
        asked.store(0, rl::mo_relaxed, $);
        setup(limit, failing);
    }
};

#endif
