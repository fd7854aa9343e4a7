/* SPDX-License-Identifier: MIT */
/* Virtual time with several workers: rt/sched/virtual.c itself, over workers that park, rise, take
 * and run as rt/sched/find.c lets them. Timers set off what workers hand to each other: events of
 * descriptors, mail, injected tasks, calls of a pool. The clock never moves while any of that is on
 * its way or in hand, nor backwards; everything is done in the end; and who has a timer that is due
 * does not sleep while another one waits for it.
 *
 * The kernel gives no order to who finds nothing in an epoll, and any sleep may end for no reason.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/virtual_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "virtual_world.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: RISE_SKIP: who got up does not count */
    { "RISE_SKIP", "event", "rt_virtual_rise", "add_sc", MODEL_SKIP },
    /* MUTANT: RISE_RELAXED: it counts outside the total order */
    { "RISE_RELAXED", "mail", "rt_virtual_rise", "add_sc", MODEL_RELAXED },
    /* MUTANT: RISE_FIRST: it counts while it still is announced as asleep */
    { "RISE_FIRST", "event", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: RISE_LATE: it counts when it has taken the event */
    { "RISE_LATE", "event", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: TAKE_ASLEEP: it takes the event while it still is announced as asleep */
    { "TAKE_ASLEEP", "event", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: COUNT_BLIND: the count is not looked at */
    { "COUNT_BLIND", "event", "decide", "load_sc &rt->risings", MODEL_ZERO },
    /* MUTANT: COUNT_LATE: it is read first when the announcements have been looked at */
    { "COUNT_LATE", "mail", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: COUNT_RELAXED: it is read outside the total order */
    { "COUNT_RELAXED", "mail", "decide", "load_sc &rt->risings", MODEL_RELAXED },
    /* MUTANT: EVENTS_BLIND: events that a sleeper has not taken yet are not looked at */
    { "EVENTS_BLIND", "event", "has_pending", "rt_poller_has_events", MODEL_ZERO },
    /* MUTANT: MAIL_BLIND: nor is mail */
    { "MAIL_BLIND", "watch", "has_pending", "rt_inbox_has", MODEL_ZERO },
    /* MUTANT: OWN_BLIND: nor is that of the one who decides */
    { "OWN_BLIND", "own", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: BUSY_BLIND: calls of a pool are not looked at */
    { "BUSY_BLIND", "call", "decide", "load_sc &rt->busy", MODEL_ZERO },
    /* MUTANT: BUSY_QUIET: the end of a call sends nobody to look at the clock */
    { "BUSY_QUIET", "call", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: DUE_BLIND: a sleeper does not look whether it was missed when the clock moved */
    { "DUE_BLIND", "due", "has_due", "rt_time_now", MODEL_ZERO },
    /* MUTANT: SPARE_QUIET: a worker that begins does not count */
    { "SPARE_QUIET", "spare", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: NO_LOCK: two that both fell asleep last both decide */
    { "NO_LOCK", "mail", "rt_virtual_idle", "lock", MODEL_SKIP },
    /* MUTANT: MOVE_QUIET: who has a timer that is due is not woken */
    { "MOVE_QUIET", "mail", "decide", "rt_ring", MODEL_SKIP },
};

/* `crew` workers, and maybe somebody else. */
template <typename CASE, unsigned crew, int THREADS>
struct virtual_case : rl::test_suite<CASE, THREADS>, virtual_base {
    void before()
    {
        setup(crew);
        static_cast<CASE *>(this)->plan();
    }
    void after() { finish(); }

    void thread(unsigned id)
    {
        if (id < crew)
            work(id);
        else
            static_cast<CASE *>(this)->other();
    }

    void other() {}
};

/* A descriptor of a sleeper gets an event. */
struct virtual_event : virtual_case<virtual_event, 2, 2> {
    void plan()
    {
        set(0, 0, SEND_EVENT, 1);
        set(0, 1, PASS);
    }
};

/* A sleeper gets mail while another one decides. */
struct virtual_mail : virtual_case<virtual_mail, 3, 3> {
    void plan()
    {
        set(1, 1, PASS);
        set(2, 0, SEND_MAIL, 0);
    }
};

/* The same, while the watch is about to ring that sleeper for another reason. */
struct virtual_watch : virtual_case<virtual_watch, 3, 4> {
    void plan()
    {
        set(1, 1, PASS);
        set(2, 0, SEND_MAIL, 0);
    }

    void other()
    {
        pause();
        notify();
    }
};

/* Or the one who decides, who gets the mail. */
struct virtual_own : virtual_case<virtual_own, 2, 3> {
    void plan()
    {
        set(0, 1, PASS);
        set(1, 0, SEND_MAIL, 0);
    }

    void other()
    {
        pause();
        notify();
    }
};

/* And a task for whoever comes first. */
struct virtual_inject : virtual_case<virtual_inject, 2, 3> {
    void plan()
    {
        set(0, 1, PASS);
        set(1, 0, INJECT);
    }

    void other()
    {
        pause();
        notify();
    }
};

/* A thread of a pool, for which the clock waits. */
struct virtual_call : virtual_case<virtual_call, 2, 3> {
    void plan()
    {
        set(0, 0, CALL);
        set(0, 1, PASS);
        set(1, 1, PASS);
    }

    void other()
    {
        WaitForSingleObject(called, INFINITE);
        end_call(0);
    }
};

/* Two timers of one moment whose tasks need each other, while the watch sends somebody
 * searching. */
struct virtual_due : virtual_case<virtual_due, 2, 3> {
    void plan()
    {
        set(0, 1, MEET);
        set(1, 1, MEET);
    }

    void other()
    {
        pause();
        notify();
    }
};

/* A spare that begins, and takes from a worker that was held a moment ago. */
struct virtual_spare : virtual_case<virtual_spare, 2, 3> {
    void plan()
    {
        set(0, 0, SEND_EVENT, 1);
        set(0, 1, PASS);
        rt_init(&worker[2].duty, 0);
    }

    void other()
    {
        for (unsigned n = rl::rand(4); n > 0; n--)
            pause();
        rt_store_release(&worker[2].duty, 1);
        rt_store_release(&rt.crew, 3);
        if (!MODEL_IS("SPARE_QUIET"))
            rt_virtual_rise(&worker[2]);
        handle(&worker[2], poll(&worker[1]));
        work(2);
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "virtual");
    model_random<virtual_event>("event", 60000);
    model_random<virtual_mail>("mail", 60000);
    model_random<virtual_watch>("watch", 60000);
    model_random<virtual_own>("own", 60000);
    model_random<virtual_inject>("inject", 60000);
    model_random<virtual_call>("call", 60000);
    model_random<virtual_due>("due", 60000);
    model_random<virtual_spare>("spare", 60000);
    return model_end();
}
