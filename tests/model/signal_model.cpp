/* SPDX-License-Identifier: MIT */
/* Signals (rt/sched/sigseat.h). "seat": runtimes that come and go, one after the other, in one
 * seat, and signals that come at any time. What is raised while a runtime has its handler installed
 * is told to it, or it ends; nobody rings a descriptor that is not open, or closed already; and no
 * runtime is told of what was over before it came. "step": the watch, a handler's step and its
 * removal, the steps around the header being those of rt/sched/signal.c and rt/aio/signals.c. What
 * was noted is seen by a step that begins later; a step is queued once, and the handler is freed
 * once, by whoever touches it last.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/signal_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: TAKE_RELAXED: the descriptor is rung by who cannot know that it exists */
    { "TAKE_RELAXED", "seat", "rt_sigseat_take", "store_release", MODEL_RELAXED },
    /* MUTANT: TAKE_KEEPS: what the former runtime left unread is told to the next */
    { "TAKE_KEEPS", "seat", "rt_sigseat_take", "store_relaxed &s->came", MODEL_SKIP },
    /* MUTANT: WANT_SKIP: nobody says what is wanted */
    { "WANT_SKIP", "seat", "rt_sigseat_want", "or_acq_rel", MODEL_SKIP },
    /* MUTANT: WANT_LATE: the handler is there before it is said what is wanted */
    { "WANT_LATE", "seat", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: RING_RELAXED: that somebody is about to ring is not in the total order */
    { "RING_RELAXED", "seat", "rt_sigseat_ring", "add_sc", MODEL_RELAXED },
    /* MUTANT: RING_SPLIT: two are about to ring, one is counted */
    { "RING_SPLIT", "seat", "rt_sigseat_ring", "add_sc", MODEL_SPLIT },
    /* MUTANT: RING_STALE: the descriptor is read outside the total order */
    { "RING_STALE", "seat", "rt_sigseat_ring", "load_sc", MODEL_RELAXED },
    /* MUTANT: RING_LATE: it is read before the handler is counted */
    { "RING_LATE", "seat", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: RING_FIRST: rung, and then noted */
    { "RING_FIRST", "seat", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: NOTE_SKIP: rung, and not noted */
    { "NOTE_SKIP", "seat", "rt_sigseat_ring", "or_acq_rel", MODEL_SKIP },
    /* MUTANT: NOTE_SPLIT: two are noted at once, one is lost */
    { "NOTE_SPLIT", "seat", "rt_sigseat_ring", "or_acq_rel", MODEL_SPLIT },
    /* MUTANT: OUT_RELAXED: that it has rung is not published */
    { "OUT_RELAXED", "seat", "rt_sigseat_ring", "sub_acq_rel", MODEL_RELAXED },
    /* MUTANT: OUT_SPLIT: one leaves while another comes, who is forgotten */
    { "OUT_SPLIT", "seat", "rt_sigseat_ring", "sub_acq_rel", MODEL_SPLIT },
    /* MUTANT: OUT_EARLY: it is counted out before it rings */
    { "OUT_EARLY", "seat", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: CAME_SPLIT: what is noted between the look and the taking is lost */
    { "CAME_SPLIT", "seat", "rt_sigseat_came", "xchg_acq_rel", MODEL_SPLIT },
    /* MUTANT: CAME_FIRST: the watch takes what was noted, and then empties its descriptor */
    { "CAME_FIRST", "seat", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: LEAVE_RELAXED: the descriptor is taken off outside the total order */
    { "LEAVE_RELAXED", "seat", "rt_sigseat_leave", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: LEAVE_SKIP: it is not taken off */
    { "LEAVE_SKIP", "seat", "rt_sigseat_leave", "xchg_sc", MODEL_SKIP },
    /* MUTANT: LEAVE_STALE: who is counted is looked at outside the total order */
    { "LEAVE_STALE", "seat", "rt_sigseat_leave", "load_sc", MODEL_RELAXED },
    /* MUTANT: LEAVE_BLIND: nobody is waited for */
    { "LEAVE_BLIND", "seat", "rt_sigseat_leave", "load_sc", MODEL_ZERO },
    /* MUTANT: TELL_RELAXED: the step does not see what it was queued before for */
    { "TELL_RELAXED", "step", "rt_signal_tell", "xchg_acq_rel", MODEL_RELAXED },
    /* MUTANT: TELL_SPLIT: the step begins between the look and the mark */
    { "TELL_SPLIT", "step", "rt_signal_tell", "xchg_acq_rel", MODEL_SPLIT },
    /* MUTANT: TELL_TWICE: the step is not marked as queued */
    { "TELL_TWICE", "step", "rt_signal_tell", "xchg_acq_rel", MODEL_SKIP },
    /* MUTANT: BEGIN_RELAXED: what was noted before, or the link, is not acquired or published */
    { "BEGIN_RELAXED", "step", "rt_signal_step_begin", "xchg_acq_rel", MODEL_RELAXED },
    /* MUTANT: BEGIN_SKIP: the mark stays */
    { "BEGIN_SKIP", "step", "rt_signal_step_begin", "xchg_acq_rel", MODEL_SKIP },
    /* MUTANT: BEGIN_LATE: the step looks, and then takes the mark off */
    { "BEGIN_LATE", "step", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: BEGIN_UNLOCKED: it takes the mark off before it has the lock */
    { "BEGIN_UNLOCKED", "step", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: REMOVE_BLIND: freed while its step is queued */
    { "REMOVE_BLIND", "step", "rt_signal_step_is_queued", "load_acquire", MODEL_ZERO },
    /* MUTANT: REMOVE_EARLY: who removes looks first, and then unsubscribes */
    { "REMOVE_EARLY", "step", NULL, NULL, MODEL_RIGHT },
};

/* The kernel, in place of base/sys.h. */
#define RT_BASE_SYS_H

struct model_watch_tag;

enum { FDS = 2, CLOSED = 0, OPEN = 1 };

/* Descriptors 1 and 2. Who writes to one that is being closed, or to one that he cannot know of,
 * has raced with it. */
struct model_kernel {
    rl::mutex                    mutex;
    rl::condvar<model_watch_tag> cond;
    rl::var<int>                 state[FDS + 1];
    bool                         rung[FDS + 1];
};

static model_kernel *kernel; /* of the schedule that runs */

static int eventfd_ring(int fd)
{
    kernel->mutex.lock($);
    kernel->rung[fd] = true;
    kernel->cond.notify_all($);
    kernel->mutex.unlock($);
    RL_ASSERT(kernel->state[fd]($) == OPEN);
    return 0;
}

#define rt_sys_eventfd_ring(fd) eventfd_ring(fd)
#define rt_sys_sched_yield()    (MODEL_YIELD(), 0)

#undef rt_store_relaxed
#define rt_store_relaxed(p, v) MODEL_STORE(p, v, rl::mo_relaxed, "store_relaxed " #p)

#include "sched/sigseat.h"

enum { RUNTIMES = 2, RAISERS = 2, SIGNALS = 2 };

/* Each signal is raised once, by a thread that stands for one in which the handler runs. */
struct signal_seat : rl::test_suite<signal_seat, RAISERS + 1> {
    struct rt_sigseat seat;
    model_kernel      the_kernel;
    bool              installed; /* the handler; this and the rest: the kernel's */
    uint64_t          raised;    /* while it was installed, since then */
    uint64_t          over;      /* raised, and handled */

    void before()
    {
        kernel = &the_kernel;
        kernel->cond.init(false, $);
        for (int fd = 0; fd <= FDS; fd++) {
            kernel->state[fd]($) = CLOSED;
            kernel->rung[fd] = false;
        }
        rt_init(&seat.wanted, 0);
        rt_init(&seat.came, 0);
        rt_init(&seat.event_fd, 0);
        rt_init(&seat.ringers, 0);
        installed = false;
        raised = over = 0;
    }

    void after() { kernel->cond.deinit($); }

    void pause()
    {
        for (unsigned n = rl::rand(12); n > 0; n--)
            MODEL_YIELD();
    }

    /* rt_sigseat_ring with its steps in another order. */
    void ring_wrong(uint64_t signal)
    {
        int fd = MODEL_IS("RING_LATE") ? rt_load_sc(&seat.event_fd) : 0;
        (void)rt_add_sc(&seat.ringers, 1);
        if (!MODEL_IS("RING_LATE"))
            fd = rt_load_sc(&seat.event_fd);
        if (fd != 0 && MODEL_IS("RING_FIRST"))
            eventfd_ring(fd);
        if (fd != 0)
            (void)rt_or_acq_rel(&seat.came, signal);
        if (MODEL_IS("OUT_EARLY"))
            (void)rt_sub_acq_rel(&seat.ringers, 1);
        if (fd != 0 && !MODEL_IS("RING_FIRST"))
            eventfd_ring(fd);
        if (!MODEL_IS("OUT_EARLY"))
            (void)rt_sub_acq_rel(&seat.ringers, 1);
    }

    void raise(uint64_t signal)
    {
        kernel->mutex.lock($);
        bool handled = installed;
        if (handled)
            raised |= signal;
        kernel->mutex.unlock($);
        if (!handled)
            return;
        if (MODEL_IS("RING_LATE") || MODEL_IS("RING_FIRST") || MODEL_IS("OUT_EARLY"))
            ring_wrong(signal);
        else
            rt_sigseat_ring(&seat, signal);
        kernel->mutex.lock($);
        over |= signal;
        kernel->mutex.unlock($);
    }

    void install(bool now)
    {
        kernel->mutex.lock($);
        installed = now;
        raised = 0;
        kernel->mutex.unlock($);
    }

    /* The watch, which has something to wait for. */
    uint64_t poll(int fd)
    {
        uint64_t came = 0;
        kernel->mutex.lock($);
        while (!kernel->rung[fd])
            kernel->cond.wait(kernel->mutex, false, $);
        if (MODEL_IS("CAME_FIRST")) {
            kernel->mutex.unlock($);
            came = rt_sigseat_came(&seat);
            kernel->mutex.lock($);
        }
        kernel->rung[fd] = false;
        kernel->mutex.unlock($);
        return came | (MODEL_IS("CAME_FIRST") ? 0 : rt_sigseat_came(&seat));
    }

    bool is_all_told(uint64_t told)
    {
        kernel->mutex.lock($);
        bool all = !(raised & ~told);
        kernel->mutex.unlock($);
        return all;
    }

    void live(int fd)
    {
        uint64_t told = 0;
        kernel->mutex.lock($);
        uint64_t past = over;
        kernel->mutex.unlock($);
        kernel->state[fd]($) = OPEN;
        rt_sigseat_take(&seat, fd);
        if (!MODEL_IS("WANT_LATE"))
            rt_sigseat_want(&seat, ~(uint64_t)0);
        install(true);
        if (MODEL_IS("WANT_LATE"))
            rt_sigseat_want(&seat, ~(uint64_t)0);
        pause();
        while (!is_all_told(told)) {
            told |= poll(fd);
            RL_ASSERT(!(told & past));
        }
        told |= rt_sigseat_came(&seat);
        RL_ASSERT(!(told & past));
        if (rl::rand(2))
            pause();
        rt_sigseat_leave(&seat);
        kernel->state[fd]($) = CLOSED;
        install(false);
    }

    void thread(unsigned id)
    {
        if (id == 0)
            for (int fd = 1; fd <= RUNTIMES; fd++)
                live(fd);
        else
            for (unsigned i = 0; i < SIGNALS; i++) {
                pause();
                raise((uint64_t)1 << (id * SIGNALS + i));
            }
    }
};

enum { WATCH, HOME, REMOVER, NOTES = 2 };

/* A handler. Its step is queued by writing its link. */
struct signal_step : rl::test_suite<signal_step, 3> {
    RT_ATOMIC(uint32_t) queued;
    RT_ATOMIC(int)      noted; /* what the step looks at */
    rl::mutex           subscribers, runtime;
    rl::atomic<int>     queue; /* steps posted and not taken */
    rl::var<int>        link, memory, removed;
    bool                subscribed; /* under subscribers */
    int                 told;       /* the last that the watch told of; likewise */
    int                 seen;       /* by the last step that called */
    bool                freed, must_call;

    void before()
    {
        rt_init(&queued, 0);
        rt_init(&noted, 0);
        rt_init(&queue, 0);
        link($) = 0;
        memory($) = 1;
        removed($) = 0;
        subscribed = must_call = true;
        told = seen = 0;
        freed = false;
    }

    void after()
    {
        RL_ASSERT(freed && queue.load(rl::mo_relaxed, $) == 0);
        RL_ASSERT(!must_call || seen == told);
    }

    void free_handler()
    {
        RL_ASSERT(!freed);
        memory($) = 0;
        freed = true;
    }

    /* tell of rt/sched/signal.c. */
    void watch()
    {
        for (int i = 1; i <= NOTES; i++) {
            rt_store_relaxed(&noted, i);
            subscribers.lock($);
            if (subscribed) {
                RL_ASSERT(memory($) == 1);
                told = i;
                if (rt_signal_tell(&queued)) {
                    link($) = i;
                    RL_ASSERT(queue.fetch_add(1, rl::mo_acq_rel, $) == 0);
                }
            }
            subscribers.unlock($);
        }
    }

    /* run of rt/aio/signals.c. */
    void step()
    {
        RL_ASSERT(memory($) == 1 && link($) > 0);
        (void)queue.fetch_sub(1, rl::mo_acq_rel, $);
        int now = MODEL_IS("BEGIN_LATE") ? rt_load_relaxed(&noted) : 0;
        if (MODEL_IS("BEGIN_UNLOCKED"))
            rt_signal_step_begin(&queued);
        runtime.lock($);
        if (!MODEL_IS("BEGIN_UNLOCKED"))
            rt_signal_step_begin(&queued);
        bool is_removed = removed($);
        runtime.unlock($);
        if (is_removed)
            free_handler();
        else
            seen = MODEL_IS("BEGIN_LATE") ? now : rt_load_relaxed(&noted);
    }

    void home()
    {
        while (!freed) {
            if (queue.load(rl::mo_acquire, $) > 0)
                step();
            else
                MODEL_YIELD();
        }
    }

    /* rt_signal_unsubscribe. */
    void unsubscribe()
    {
        subscribers.lock($);
        subscribed = false;
        subscribers.unlock($);
    }

    /* skua_remove_signal_handler; it may come at any time, or when all was told and seen. */
    void remove()
    {
        must_call = rl::rand(2);
        while (must_call && (told < NOTES || seen < NOTES))
            MODEL_YIELD();
        for (unsigned n = rl::rand(20); n > 0; n--)
            MODEL_YIELD();
        runtime.lock($);
        bool is_queued = false;
        if (MODEL_IS("REMOVE_EARLY"))
            is_queued = rt_signal_step_is_queued(&queued);
        unsubscribe();
        removed($) = 1;
        if (!MODEL_IS("REMOVE_EARLY"))
            is_queued = rt_signal_step_is_queued(&queued);
        runtime.unlock($);
        if (!is_queued)
            free_handler();
    }

    void thread(unsigned id)
    {
        switch (id) {
        case WATCH:
            watch();
            break;
        case HOME:
            home();
            break;
        default:
            remove();
        }
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "signal");
    model_random<signal_seat>("seat", 200000);
    model_random<signal_step>("step", 200000);
    return model_end();
}
