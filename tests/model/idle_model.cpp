/* SPDX-License-Identifier: MIT */
/* Parking (rt/sched/idle.h) together with the queues it looks at: two workers that search, run and
 * park, a third that is busy and pushes to its own deque, and a stranger that posts to an inbox. A
 * worker that blocks with work published is a deadlock; items that wait for each other show work
 * left lying beside a sleeper. At most one ring is on its way to each sleeper; `searching` never
 * falls below zero and is zero when everything has been done.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/idle_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#define RT_DEQUE_CAP   4
#define RT_WORKERS_MAX 64

#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: NO_LAST_LOOK: the sleeper does not look again after announcing itself (P3) */
    { "NO_LAST_LOOK", "deque", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: LOOK_FIRST: the sleeper looks before it announces itself */
    { "LOOK_FIRST", "deque", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: PARK_RELAXED: the announcement is not in the total order */
    { "PARK_RELAXED", "deque", "rt_idle_park", "or_sc", MODEL_RELAXED },
    /* MUTANT: PARK_SPLIT: two workers announce themselves and one bit is lost */
    { "PARK_SPLIT", "deque", "rt_idle_park", "or_sc", MODEL_SPLIT },
    /* MUTANT: PARK_SEARCHING: a searcher parks and still counts (P2) */
    { "PARK_SEARCHING", "deque", "rt_idle_park", "sub_sc", MODEL_SKIP },
    /* MUTANT: PUSH_QUIET: the submitter's push is not in the total order (S1) */
    { "PUSH_QUIET", "deque", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: PICK_RELAXED: the submitter sees a stale `searching` or `parked` (S2, S3) */
    { "PICK_RELAXED", "deque", "rt_idle_pick", "load_sc", MODEL_RELAXED },
    /* MUTANT: THIS_RELAXED: the poster sees a stale `parked` */
    { "THIS_RELAXED", "inbox", "rt_idle_pick_this", "load_sc", MODEL_RELAXED },
    /* MUTANT: SIZE_RELAXED: the sleeper's last look at a deque is not in the total order */
    { "SIZE_RELAXED", "deque", "rt_deque_size", "load_sc", MODEL_RELAXED },
    /* MUTANT: PICK_KEEPS: a waker that lost the bit keeps counting as a searcher (S5) */
    { "PICK_KEEPS", "deque", "rt_idle_pick", "sub_sc", MODEL_SKIP },
    /* MUTANT: PICK_GIVES_UP: a waker that lost the bit does not look again (S5) */
    { "PICK_GIVES_UP", "long", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: PICK_SPLIT: two wakers clear one bit */
    { "PICK_SPLIT", "deque", "rt_idle_pick", "and_sc", MODEL_SPLIT },
    /* MUTANT: THIS_GIVES_UP: as PICK_GIVES_UP, for a worker's own inbox */
    { "THIS_GIVES_UP", "long", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: THIS_UNCOUNTED: a worker that was rung through its inbox does not count as
     * searching */
    { "THIS_UNCOUNTED", "inbox", "rt_idle_pick_this", "add_sc", MODEL_SKIP },
    /* MUTANT: FOUND_NO_LOOK: the last searcher finds work and does not look for more */
    { "FOUND_NO_LOOK", "pair", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: FOUND_RELAXED: leaving with work is not in the total order */
    { "FOUND_RELAXED", "pair", "rt_idle_found", "sub_sc", MODEL_RELAXED },
    /* MUTANT: LEAVE_RELAXED: leaving without work is not in the total order (P2) */
    { "LEAVE_RELAXED", "deque", "rt_idle_park", "sub_sc", MODEL_RELAXED },
    /* MUTANT: NO_SEARCH_AGAIN: a searcher that finds work of its own in its last look forgets
     * the rest (P5) */
    { "NO_SEARCH_AGAIN", "long", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: UNPARK_SPLIT: the sleeper and a waker both clear the bit */
    { "UNPARK_SPLIT", "deque", "rt_idle_unpark", "and_sc", MODEL_SPLIT },
};

#include "runq/deque.h"
#include "runq/inbox.h"

/* Everything is included by now, so the word has one use left: the way back to S2. */
#define goto if (MODEL_IS("PICK_GIVES_UP")) return -1; else goto
#include "sched/idle.h"
#undef goto

#define WORKERS 2

struct idle_base {
    struct rt_idle  idle;
    struct rt_deque busy;           /* of the busy worker */
    struct rt_inbox inbox[WORKERS];
    struct rt_link  post[4];
    HANDLE          bell[WORKERS];  /* counts to one, as an eventfd that is read whole */
    bool            ringing[WORKERS]; /* a waker cleared the bit and its ring was not taken yet */
    int             left;           /* items not run yet */
    int             meeting;        /* items of the deque that wait for each other */
    bool            inbox_waits;    /* an item of an inbox waits for one of the deque */
    HANDLE          gate;
    bool            over;

    void setup(int items)
    {
        rt_init(&idle.searching, 0);
        rt_init(&idle.parked[0], 0);
        rt_init(&busy.top, 0);
        rt_init(&busy.bottom, 0);
        for (int i = 0; i < RT_DEQUE_CAP; i++)
            rt_init(&busy.slot[i], 0);
        for (int i = 0; i < WORKERS; i++) {
            rt_init(&inbox[i].head, 0);
            bell[i] = CreateSemaphore(0, 0, 1, 0);
            ringing[i] = false;
        }
        left = items;
        meeting = 0;
        inbox_waits = over = false;
        gate = CreateSemaphore(0, 0, 10, 0);
    }

    void finish()
    {
        RL_ASSERT(left == 0);
        RL_ASSERT(rt_load_relaxed(&idle.searching) == 0);
        RL_ASSERT(rt_load_relaxed(&idle.parked[0]) == 0);
        for (int i = 0; i < WORKERS; i++)
            CloseHandle(bell[i]);
        CloseHandle(gate);
    }

    void invariant()
    {
        RL_ASSERT(idle.searching.load(rl::mo_relaxed, $) < 8);
    }

    void ring(int w)
    {
        if (w < 0)
            return;
        RL_ASSERT(!ringing[w]);
        ringing[w] = true;
        ReleaseSemaphore(bell[w], 1, 0);
    }

    void run(int n)
    {
        RL_ASSERT(left >= n);
        left -= n;
        if (left)
            return;
        over = true;
        for (int i = 0; i < WORKERS; i++)
            ReleaseSemaphore(bell[i], 1, 0);
    }

    int take_inbox(unsigned me)
    {
        int n = 0;
        for (uintptr_t at = rt_inbox_take(&inbox[me]); at; n++)
            at = RT_VAR_GET(rt_item_link(at)->next);
        return n;
    }

    /* What an item of the deque does, beside being run. */
    void run_stolen()
    {
        if (inbox_waits)
            ReleaseSemaphore(gate, 1, 0);
        if (!meeting)
            return;
        if (--meeting == 0)
            ReleaseSemaphore(gate, 1, 0);
        else
            WaitForSingleObject(gate, INFINITE);
    }

    bool look(unsigned me) { return rt_inbox_has(&inbox[me]) || rt_deque_size(&busy); }

    /* Up again, for whatever reason. The ring of a waker that cleared the bit is waited for. */
    bool up(unsigned me, bool rung)
    {
        if (!rt_idle_unpark(&idle, me))
            return false;
        if (!rung)
            WaitForSingleObject(bell[me], INFINITE);
        ringing[me] = false;
        return true;
    }

    /* Returns whether the worker counts as searching after it. */
    bool park(unsigned me, bool searching)
    {
        bool early = MODEL_IS("LOOK_FIRST") && look(me);
        rt_idle_park(&idle, me, searching);
        bool found = MODEL_IS("LOOK_FIRST") ? early : !MODEL_IS("NO_LAST_LOOK") && look(me);
        if (found || over) {
            if (up(me, false))
                return true;
            return searching && !MODEL_IS("NO_SEARCH_AGAIN") && rt_idle_search(&idle);
        }
        WaitForSingleObject(bell[me], INFINITE);
        /* The bell may have been left over from the end: then the bit is still there. */
        return up(me, true);
    }

    void work(unsigned me)
    {
        bool searching = false;
        while (!over) {
            int  n = take_inbox(me);
            bool stolen = !n;
            if (!n) {
                searching = searching || rt_idle_search(&idle);
                if (searching)
                    n = rt_deque_oldest(&busy) != 0;
            }
            if (n) {
                if (searching && rt_idle_found(&idle) && !MODEL_IS("FOUND_NO_LOOK"))
                    if (rt_deque_size(&busy))
                        ring(rt_idle_pick(&idle));
                searching = false;
                if (stolen)
                    run_stolen();
                else if (inbox_waits)
                    WaitForSingleObject(gate, INFINITE);
                run(n);
                continue;
            }
            searching = park(me, searching);
        }
        if (searching)
            (void)rt_idle_found(&idle);
    }

    void submit()
    {
        bool quiet = MODEL_IS("PUSH_QUIET");
        RL_ASSERT(quiet ? rt_deque_push(&busy, 1) : rt_deque_push_announced(&busy, 1));
        ring(rt_idle_pick(&idle));
    }

    /* rt_idle_pick_this without its last line. */
    int pick_this_gives_up(unsigned to)
    {
        uint64_t bit = (uint64_t)1 << to;
        if (!(rt_load_sc(&idle.parked[0]) & bit))
            return -1;
        (void)rt_add_sc(&idle.searching, 1);
        if (rt_and_sc(&idle.parked[0], ~bit) & bit)
            return (int)to;
        (void)rt_sub_sc(&idle.searching, 1);
        return -1;
    }

    void send(unsigned to, int i)
    {
        if (!rt_inbox_push(&inbox[to], rt_item(&post[i], RT_TAG_TASK)))
            return;
        ring(MODEL_IS("THIS_GIVES_UP") ? pick_this_gives_up(to) : rt_idle_pick_this(&idle, to));
    }
};

/* Two workers, and in every case others beside them. */
template <typename CASE, int THREADS, int ITEMS>
struct idle_case : rl::test_suite<CASE, THREADS>, idle_base {
    void before() { setup(ITEMS); }
    void after() { finish(); }
    void invariant() { idle_base::invariant(); }

    void thread(unsigned id)
    {
        if (id < WORKERS)
            work(id);
        else
            static_cast<CASE *>(this)->other(id);
    }
};

/* The busy worker pushes twice and may take its work back. */
struct idle_deque : idle_case<idle_deque, 3, 3> {
    void other(unsigned)
    {
        submit();
        submit();
        if (rt_deque_take(&busy))
            run(1);
        submit();
    }
};

/* A stranger posts to both workers. */
struct idle_inbox : idle_case<idle_inbox, 3, 3> {
    void other(unsigned)
    {
        send(0, 0);
        send(1, 1);
        send(0, 2);
    }
};

/* Both at once: they get into each other's way at `searching`. */
struct idle_both : idle_case<idle_both, 4, 4> {
    void other(unsigned id)
    {
        if (id == WORKERS) {
            submit();
            submit();
        } else {
            send(0, 0);
            send(0, 1);
        }
    }
};

/* Two items that end only when both run at once: the second must not lie while a worker sleeps. */
struct idle_pair : idle_case<idle_pair, 3, 2> {
    void before()
    {
        setup(2);
        meeting = 2;
    }

    void other(unsigned)
    {
        submit();
        submit();
    }
};

/* A posted item that ends only after the pushed one ran: the other worker has to be found for that.
 * */
struct idle_long : idle_case<idle_long, 4, 2> {
    void before()
    {
        setup(2);
        inbox_waits = true;
    }

    void other(unsigned id)
    {
        if (id == WORKERS)
            submit();
        else
            send(0, 0);
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "idle");
    model_random<idle_deque>("deque", 200000);
    model_random<idle_inbox>("inbox", 100000);
    model_random<idle_pair>("pair", 150000);
    model_random<idle_long>("long", 200000);
    model_random<idle_both>("both", 200000);
    return model_end();
}
