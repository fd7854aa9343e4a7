/* SPDX-License-Identifier: MIT */
/* Loops that are lent (rt/loop/loan.h), together with who sleeps (rt/sched/idle.h): three workers
 * that fall asleep again and again, lend their loops to each other then or sleep as usual, and now
 * and then wake another one. Nobody helps who has lent his own loop; a helper that sleeps does so
 * in the loops of all who nap, or is being rung; each lender has a seat for as long as it naps, and
 * none is left over.
 *
 * A sleep and a nap may end for no reason, as with a timer. Rings are counted, and taken all at
 * once.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/loan_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#define RT_WORKERS_MAX 64

#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: BEGIN_RELAXED: that it lends is not in the total order */
    { "BEGIN_RELAXED", "loan", "rt_loan_begin", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: BEGIN_SKIP: it does not say that it lends */
    { "BEGIN_SKIP", "loan", "rt_loan_begin", "xchg_sc", MODEL_SKIP },
    /* MUTANT: BEGIN_LATE: it looks into its own seats before it says that it lends */
    { "BEGIN_LATE", "loan", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: BEGIN_BLIND: it does not look into its own seats */
    { "BEGIN_BLIND", "loan", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: BEGIN_KEEPS: who was refused counts as lent for ever */
    { "BEGIN_KEEPS", "loan", "rt_loan_begin", "store_relaxed", MODEL_SKIP },
    /* MUTANT: CHAIN_BLIND: it does not look whether the helper lends */
    { "CHAIN_BLIND", "loan", "rt_loan_begin", "load_sc", MODEL_ZERO },
    /* MUTANT: CHAIN_STALE: it looks outside the total order whether the helper lends */
    { "CHAIN_STALE", "loan", "rt_loan_begin", "load_sc", MODEL_RELAXED },
    /* MUTANT: ENTER_RELAXED: that it is in a seat is not in the total order */
    { "ENTER_RELAXED", "loan", "rt_loan_enter", "cas_sc", MODEL_RELAXED },
    /* MUTANT: ENTER_SPLIT: two enter at once, and one of them is lost */
    { "ENTER_SPLIT", "loan", "rt_loan_enter", "cas_sc", MODEL_SPLIT },
    /* MUTANT: ENTER_BLIND: a seat that was taken meanwhile is overwritten */
    { "ENTER_BLIND", "loan", "rt_loan_enter", "cas_sc", MODEL_BLIND },
    /* MUTANT: SEATS_RELAXED: a helper looks into its seats outside the total order */
    { "SEATS_RELAXED", "loan", "rt_loan_seats", "load_sc", MODEL_RELAXED },
    /* MUTANT: LIST_EARLY: a helper looks into its seats before it says that it sleeps */
    { "LIST_EARLY", "loan", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: SLEEP_RELAXED: that a helper sleeps is not in the total order */
    { "SLEEP_RELAXED", "loan", "rt_idle_park", "or_sc", MODEL_RELAXED },
    /* MUTANT: RING_STALE: a lender looks outside the total order whether the helper sleeps */
    { "RING_STALE", "loan", "rt_idle_is_parked", "load_sc", MODEL_RELAXED },
    /* MUTANT: RING_EARLY: a lender looks whether the helper sleeps before it is in a seat */
    { "RING_EARLY", "loan", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: NO_RING: a helper that sleeps is not rung */
    { "NO_RING", "loan", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: HUSH_LATE: old rings are forgotten after the look into the seats, with a new one */
    { "HUSH_LATE", "loan", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: LEAVE_SPLIT: who enters between the load and the store is lost */
    { "LEAVE_SPLIT", "loan", "rt_loan_leave", "and_sc", MODEL_SPLIT },
    /* MUTANT: LEAVE_KEEPS: the seat stays taken */
    { "LEAVE_KEEPS", "loan", "rt_loan_leave", "and_sc", MODEL_SKIP },
    /* MUTANT: END_KEEPS: who lent once counts as lent for ever */
    { "END_KEEPS", "loan", "rt_loan_end", "store_relaxed", MODEL_SKIP },
    /* MUTANT: FULL_SPLIT: two take the last free seat */
    { "FULL_SPLIT", "full", "rt_loan_enter", "cas_sc", MODEL_SPLIT },
};

#include "loop/loan.h"
#include "sched/idle.h"

enum { WORKERS = 3, ROUNDS = 3, NOBODY = -1 };

/* How often it is there. */
static int times_in(uint64_t seats, unsigned worker)
{
    int n = 0;
    for (unsigned seat = 0; seat < RT_LOAN_SEATS; seat++)
        n += rt_loan_seat(seats, seat) == worker + 1;
    return n;
}

struct loan_workers : rl::test_suite<loan_workers, WORKERS> {
    struct rt_loan loan[WORKERS];
    struct rt_idle idle;
    HANDLE         bell[WORKERS];
    int            rings[WORKERS];    /* on their way to it or not taken yet */
    int            lends_to[WORKERS]; /* or NOBODY */
    bool           naps[WORKERS];     /* and has done what it has to do for that */
    bool           sleeps[WORKERS];
    uint64_t       list[WORKERS];     /* in whose loops, as rt_loan_seats has it */

    void before()
    {
        rt_init(&idle.searching, 0);
        rt_init(&idle.parked[0], 0);
        for (int i = 0; i < WORKERS; i++) {
            rt_init(&loan[i].seats, 0);
            rt_init(&loan[i].lent, 0);
            bell[i] = CreateSemaphore(0, 0, 100, 0);
            rings[i] = 0;
            lends_to[i] = NOBODY;
            naps[i] = sleeps[i] = false;
            list[i] = 0;
        }
    }

    void after()
    {
        RL_ASSERT(rt_load_relaxed(&idle.parked[0]) == 0);
        for (int i = 0; i < WORKERS; i++) {
            RL_ASSERT(rt_load_relaxed(&loan[i].seats) == 0);
            RL_ASSERT(rt_load_relaxed(&loan[i].lent) == 0);
            CloseHandle(bell[i]);
        }
    }

    /* After each step of anybody. */
    void invariant()
    {
        for (unsigned i = 0; i < WORKERS; i++) {
            int helper = lends_to[i];
            if (helper == NOBODY)
                continue;
            RL_ASSERT(lends_to[helper] == NOBODY);
            RL_ASSERT(!naps[i] || !sleeps[helper] || rings[helper] > 0 ||
                      times_in(list[helper], i) == 1);
        }
    }

    /* Some threads are slower: random schedules alone keep them abreast. */
    void pause()
    {
        for (unsigned n = rl::rand(6); n > 0; n--)
            MODEL_YIELD();
    }

    void ring(unsigned worker)
    {
        rings[worker]++;
        ReleaseSemaphore(bell[worker], 1, 0);
    }

    void hush(unsigned me)
    {
        while (WaitForSingleObject(bell[me], 0) == WAIT_OBJECT_0)
            rings[me]--;
    }

    void wait(unsigned me)
    {
        if (WaitForSingleObject(bell[me], 1) == WAIT_OBJECT_0)
            rings[me]--;
    }

    /* As any waker: who clears the bit rings. The ring counts as on its way from before that. */
    void wake(unsigned worker)
    {
        rings[worker]++;
        if (rt_idle_unpark(&idle, worker))
            rings[worker]--;
        else
            ReleaseSemaphore(bell[worker], 1, 0);
    }

    /* rt_loan_begin without its look into the own seats, or with that one first. */
    bool begin_wrong(struct rt_loan *l, struct rt_loan *helper, unsigned me)
    {
        bool free = MODEL_IS("BEGIN_BLIND") || rt_loan_seats(l) == 0;
        (void)rt_xchg_sc(&l->lent, 1);
        if (free && rt_loan_enter(helper, me)) {
            if (!rt_load_sc(&helper->lent))
                return true;
            rt_loan_leave(helper, me);
        }
        rt_store_relaxed(&l->lent, 0);
        return false;
    }

    bool begin(unsigned me, unsigned helper)
    {
        if (MODEL_IS("BEGIN_BLIND") || MODEL_IS("BEGIN_LATE"))
            return begin_wrong(&loan[me], &loan[helper], me);
        return rt_loan_begin(&loan[me], &loan[helper], me);
    }

    /* As rt_lend_nap. */
    bool lend(unsigned me, unsigned helper)
    {
        bool early = MODEL_IS("RING_EARLY") && rt_idle_is_parked(&idle, helper);
        if (!begin(me, helper))
            return false;
        lends_to[me] = (int)helper;
        bool asleep = MODEL_IS("RING_EARLY") ? early : rt_idle_is_parked(&idle, helper);
        if (asleep && !MODEL_IS("NO_RING"))
            ring(helper);
        naps[me] = true;
        pause();
        wait(me);
        RL_ASSERT(times_in(rt_load_sc(&loan[helper].seats), me) == 1);
        naps[me] = false;
        lends_to[me] = NOBODY;
        rt_loan_end(&loan[me], &loan[helper], me);
        return true;
    }

    /* As rt_lend_sleep. */
    void sleep(unsigned me, uint64_t early)
    {
        uint64_t seats = MODEL_IS("LIST_EARLY") ? early : rt_loan_seats(&loan[me]);
        if (MODEL_IS("HUSH_LATE"))
            hush(me);
        list[me] = seats;
        sleeps[me] = true;
        pause();
        wait(me);
        sleeps[me] = false;
    }

    void thread(unsigned me)
    {
        for (int round = 0; round < ROUNDS; round++) {
            unsigned other = (me + 1 + rl::rand(WORKERS - 1)) % WORKERS;
            bool     lends = rl::rand(2);
            uint64_t early = MODEL_IS("LIST_EARLY") ? rt_loan_seats(&loan[me]) : 0;
            if (lends)
                hush(me);
            rt_idle_park(&idle, me, false);
            if (!lends || !lend(me, other))
                sleep(me, early);
            (void)rt_idle_unpark(&idle, me);
            if (rl::rand(4) == 0)
                wake(other);
        }
    }
};

/* A helper with two seats left, and three who want one. */
struct loan_full : rl::test_suite<loan_full, 3> {
    struct rt_loan helper;
    uint64_t       others;
    int            inside;

    void before()
    {
        others = (uint64_t)100 << RT_LOAN_BITS | (uint64_t)101 << (3 * RT_LOAN_BITS);
        rt_init(&helper.seats, others);
        rt_init(&helper.lent, 0);
        inside = 0;
    }

    void after() { RL_ASSERT(rt_load_relaxed(&helper.seats) == others); }

    void thread(unsigned me)
    {
        for (int round = 0; round < 3; round++) {
            if (!rt_loan_enter(&helper, me)) {
                MODEL_YIELD();
                continue;
            }
            RL_ASSERT(++inside <= 2);
            MODEL_YIELD();
            RL_ASSERT(times_in(rt_load_sc(&helper.seats), me) == 1);
            inside--;
            rt_loan_leave(&helper, me);
        }
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "loan");
    model_random<loan_workers>("loan", 250000);
    model_random<loan_full>("full", 100000);
    return model_end();
}
