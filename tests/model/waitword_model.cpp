/* SPDX-License-Identifier: MIT */
/* The wait word (rt/task/waitword.h). Three suites:
 *  free    a task arms, leaves its stack, is resumed by whoever claims it, and arms again, with two
 *          claimers and a canceller: one winner for each ticket, never resumed twice, never before
 *          it left its stack, the resumed task sees the winner's value and what the winner wrote
 *          before, a late name fails, a cancel ends a wait or stays pending until the task takes
 *          it;
 *  pinned  the same with the store instead of the compare-and-swap, resumed by its own thread only;
 *  inline  a task waits for a child on its own stack: it never goes on while a canceller is at the
 * child.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/waitword_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: CLAIM_SPLIT: two claimers win */
    { "CLAIM_SPLIT", "free", "rt_ww_claim", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: CLAIM_RELAXED: the claimer resumes a stack that is still being left */
    { "CLAIM_RELAXED", "free", "rt_ww_claim", "cas_acq_rel", MODEL_RELAXED },
    /* MUTANT: PARK_RELAXED: leaving the stack is not published */
    { "PARK_RELAXED", "free", "rt_ww_park", "cas_acq_rel", MODEL_RELAXED },
    /* MUTANT: PARK_BLIND: the leaver parks over a claim: nobody resumes the task */
    { "PARK_BLIND", "free", "rt_ww_park", "cas_acq_rel", MODEL_BLIND },
    /* MUTANT: CANCEL_SKIP: a cancel of a running task is not noted */
    { "CANCEL_SKIP", "free", "rt_ww_cancel", "cas_acq_rel", MODEL_SKIP },
    /* MUTANT: CANCEL_SPLIT: a cancel wins together with a claimer */
    { "CANCEL_SPLIT", "free", "rt_ww_cancel", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: ARM_BLIND: arming wipes out a cancel that came in between */
    { "ARM_BLIND", "free", "rt_ww_arm", "cas_acq_rel", MODEL_BLIND },
    /* MUTANT: FINISH_RELAXED: the resumed task does not see what the winner wrote */
    { "FINISH_RELAXED", "free", "rt_ww_finish", "load_acquire", MODEL_RELAXED },
    /* MUTANT: FINISH_SPLIT: taking the pending cancel off wipes out another */
    { "FINISH_SPLIT", "free", "rt_ww_finish", "and_acq_rel", MODEL_SKIP },
    /* MUTANT: SAME_TICKET: the ticket is not raised: a late name claims the next wait */
    { "SAME_TICKET", "free", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: PINNED_ARMED: a pinned task's store does not publish what it wrote before */
    { "PINNED_ARMED", "pinned", "rt_ww_arm_pinned", "store_release", MODEL_RELAXED },
    /* MUTANT: VISIT_SKIP: the canceller at the child is not counted */
    { "VISIT_SKIP", "inline", "rt_ww_inline_visit", "cas_acq_rel", MODEL_SKIP },
    /* MUTANT: ENTER_RELAXED: the child is not published by the wait */
    { "ENTER_RELAXED", "inline", "rt_ww_inline_enter", "cas_acq_rel", MODEL_RELAXED },
    /* MUTANT: UNVISIT_RELAXED: the canceller's last look at the child is not over when the task
     * goes on */
    { "UNVISIT_RELAXED", "inline", "rt_ww_inline_unvisit", "cas_acq_rel", MODEL_RELAXED },
    /* MUTANT: UNVISIT_SPLIT: two cancellers leave and one is counted */
    { "UNVISIT_SPLIT", "inline", "rt_ww_inline_unvisit", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: LEAVE_BLIND: the task goes on although a canceller came in between */
    { "LEAVE_BLIND", "inline", "rt_ww_inline_leave", "cas_acq_rel", MODEL_BLIND },
};

#include "task/waitword.h"

#define ROUNDS       2
#define CANCEL_VALUE 9

/* What every suite keeps about one task. Plain members are the judge's own notes, not part of the
 * model. */
struct waitword_base {
    struct rt_waitword   w;
    rl::atomic<uint64_t> name;          /* the newest ticket, as a waker would have been told it */
    rl::var<int>         stack;         /* the task's stack: whoever runs the task writes it     */
    rl::var<int>         armed_with;    /* written by the task before it arms, read by its waker */
    rl::var<int>         message[16];   /* by value: written by a waker before it claims         */
    int                  round;
    int                  winner[ROUNDS + 2]; /* by ticket: the value that won, 0 = none          */
    int                  on_stack;      /* threads that run the task just now: 0 or 1            */
    int                  pended;        /* cancels that went from nothing to pending             */
    int                  taken;         /* pending cancels that the task took                    */
    bool                 finished;

    void setup()
    {
        rt_init(&w.bits, 0);
        rt_init(&name, 0);
        RT_VAR_SET(stack, 0);
        RT_VAR_SET(armed_with, 0);
        memset(winner, 0, sizeof winner);
        round = on_stack = pended = taken = 0;
        finished = false;
    }

    static int index(uint64_t ticket) { return (int)(ticket >> RT_WW_TICKET_BIT); }

    void note_winner(uint64_t ticket, unsigned value)
    {
        int i = index(ticket);
        RL_ASSERT(i >= 1 && i <= ROUNDS && winner[i] == 0);
        winner[i] = (int)value;
    }

    /* The name a waker knows; 0 = none yet. */
    uint64_t known_name()
    {
        return rt_load_acquire(&name);
    }

    void resumed(uint64_t ticket)
    {
        int      cancelled;
        unsigned value = rt_ww_finish(&w, &cancelled);
        RL_ASSERT(winner[index(ticket)] == (int)value && value != 0);
        if (value != CANCEL_VALUE)
            RL_ASSERT(RT_VAR_GET(message[value]) == (int)value);
        taken += cancelled;
    }

    void check_end()
    {
        uint64_t word = rt_load_relaxed(&w.bits);
        enum rt_phase phase = rt_ww_phase(word);
        RL_ASSERT(pended == taken + ((word & RT_WW_CANCEL) != 0));
        RL_ASSERT(on_stack == 0);
        if (finished) {
            RL_ASSERT(phase == RT_PHASE_RUNNING);
        } else {
            RL_ASSERT(phase == RT_PHASE_PARKED && winner[index(rt_ww_ticket(word))] == 0);
            RL_ASSERT(!(word & RT_WW_CANCEL));
        }
    }
};

struct waitword_free : rl::test_suite<waitword_free, 4>, waitword_base {
    uint64_t ticket; /* of the suspension the task is in; the task's own, as on its stack */

    void before() { setup(); }
    void after() { check_end(); }

    /* The task on the calling thread, until it parks or ends. */
    void run_task()
    {
        for (;;) {
            RL_ASSERT(on_stack++ == 0);
            RT_VAR_SET(stack, RT_VAR_GET(stack) + 1);
            if (ticket)
                resumed(ticket);
            ticket = 0;
            if (round == ROUNDS) {
                finished = true;
                on_stack--;
                return;
            }
            round++;
            if (MODEL_IS("SAME_TICKET") && round > 1) {
                rt_sub_relaxed(&w.bits, RT_WW_TICKET_ONE);
                winner[1] = 0;
            }
            uint64_t mine = rt_ww_arm(&w);
            if (!mine) {
                RL_ASSERT(rt_ww_drop_cancel(&w));
                taken++;
                on_stack--;
                continue;
            }
            ticket = mine;
            rt_store_release(&name, mine | (unsigned)round); /* for the judge: which wait it is */
            RT_VAR_SET(stack, RT_VAR_GET(stack) + 1);
            on_stack--;
            if (rt_ww_park(&w))
                return;
        }
    }

    void claim(unsigned value)
    {
        uint64_t n = known_name();
        if (!n)
            return;
        enum rt_claim how = rt_ww_claim(&w, rt_ww_ticket(n), value);
        if (how == RT_CLAIM_STALE)
            return;
        RL_ASSERT(round == (int)(n & 0xff));
        note_winner(rt_ww_ticket(n), value);
        if (how == RT_CLAIM_SUBMIT)
            run_task();
    }

    void cancel()
    {
        uint64_t word;
        enum rt_claim how = rt_ww_cancel(&w, CANCEL_VALUE, &word);
        if (how == RT_CLAIM_STALE) {
            pended += !(word & RT_WW_CANCEL);
            return;
        }
        note_winner(rt_ww_ticket(word), CANCEL_VALUE);
        if (how == RT_CLAIM_SUBMIT)
            run_task();
    }

    void thread(unsigned id)
    {
        switch (id) {
        case 0:
            ticket = 0;
            run_task();
            break;
        case 1:
        case 2:
            RT_VAR_SET(message[id], (int)id);
            RT_VAR_SET(message[id + 2], (int)id + 2);
            claim(id);
            claim(id + 2);
            break;
        default:
            cancel();
            cancel();
        }
    }
};

/* Resumed by its own thread only, from a queue that two claimers push to; cancels come from that
 * thread. */
struct waitword_pinned : rl::test_suite<waitword_pinned, 3>, waitword_base {
    rl::atomic<uint32_t> queued;
    uint32_t             seen;

    void before()
    {
        setup();
        rt_init(&queued, 0);
        seen = 0;
    }

    void after()
    {
        int won = 0;
        for (int i = 1; i <= ROUNDS; i++)
            won += winner[i] != 0 && winner[i] != CANCEL_VALUE;
        RL_ASSERT((int)rt_load_relaxed(&queued) == won);
        RL_ASSERT(pended == taken);
    }

    void own_cancel()
    {
        uint64_t word;
        enum rt_claim how = rt_ww_cancel(&w, CANCEL_VALUE, &word);
        RL_ASSERT(how != RT_CLAIM_NOTHING);
        if (how == RT_CLAIM_SUBMIT)
            note_winner(rt_ww_ticket(word), CANCEL_VALUE);
        else
            pended += rt_ww_phase(word) == RT_PHASE_RUNNING && !(word & RT_WW_CANCEL);
    }

    void run_pinned()
    {
        for (int i = 1; i <= ROUNDS; i++) {
            RT_VAR_SET(armed_with, i);
            uint64_t mine = rt_ww_arm_pinned(&w);
            if (!mine) {
                RL_ASSERT(rt_ww_drop_cancel(&w));
                taken++;
                mine = rt_ww_arm_pinned(&w);
            }
            rt_store_relaxed(&name, mine); /* relaxed: the claim has to show what was armed */
            if (i == ROUNDS)
                own_cancel();
            for (int k = 0; k < 3 && rt_load_acquire(&queued) == seen; k++) {
            }
            if (rt_load_acquire(&queued) == seen) {
                own_cancel();
                if (winner[i] != CANCEL_VALUE)
                    while (rt_load_acquire(&queued) == seen)
                        MODEL_YIELD();
            }
            if (winner[i] != CANCEL_VALUE)
                seen++;
            resumed(mine);
        }
        if (rt_ww_drop_cancel(&w))
            taken++;
    }

    void claim(unsigned value)
    {
        uint64_t n = rt_load_relaxed(&name);
        if (!n)
            return;
        enum rt_claim how = rt_ww_claim(&w, n, value);
        if (how == RT_CLAIM_STALE)
            return;
        RL_ASSERT(how == RT_CLAIM_SUBMIT);
        note_winner(n, value);
        RL_ASSERT(RT_VAR_GET(armed_with) == index(n));
        rt_add_acq_rel(&queued, 1);
    }

    void thread(unsigned id)
    {
        if (id == 0) {
            run_pinned();
            return;
        }
        RT_VAR_SET(message[id], (int)id);
        RT_VAR_SET(message[id + 2], (int)id + 2);
        claim(id);
        claim(id + 2);
    }
};

/* Thread 0 waits for its child and throws it away after; threads 1 and 2 cancel through it. */
struct waitword_inline : rl::test_suite<waitword_inline, 3>, waitword_base {
    rl::var<int> child; /* 0 = none, 1 = alive */
    int          inside;
    int          reached; /* cancels that got to the child alive and left nothing pending */

    void before()
    {
        setup();
        RT_VAR_SET(child, 0);
        inside = reached = 0;
    }

    void after()
    {
        uint64_t word = rt_load_relaxed(&w.bits);
        RL_ASSERT(rt_ww_phase(word) == RT_PHASE_RUNNING && (word & RT_WW_VALUE_MASK) == 0);
        RL_ASSERT(((word & RT_WW_CANCEL) != 0) == (pended != 0));
    }

    void wait_inline()
    {
        RT_VAR_SET(child, 1);
        rt_ww_inline_enter(&w);
        RL_ASSERT(rt_ww_phase(rt_load_relaxed(&w.bits)) == RT_PHASE_INLINE);
        while (!rt_ww_inline_leave(&w))
            MODEL_YIELD();
        RL_ASSERT(inside == 0);
        RT_VAR_SET(child, 0);
    }

    void cancel(int pend)
    {
        for (;;) {
            uint64_t word;
            enum rt_claim how = rt_ww_cancel(&w, CANCEL_VALUE, &word);
            RL_ASSERT(how == RT_CLAIM_STALE);
            if (rt_ww_phase(word) != RT_PHASE_INLINE) {
                pended++;
                return;
            }
            if (!rt_ww_inline_visit(&w))
                continue;
            inside++;
            RL_ASSERT(RT_VAR_GET(child) == 1);
            inside--;
            pended += pend;
            rt_ww_inline_unvisit(&w, pend);
            return;
        }
    }

    void thread(unsigned id)
    {
        if (id == 0)
            wait_inline();
        else
            cancel(id == 1);
    }
};

/* The ticket after the last one is not 0, which would read as "a cancel is pending". */
struct waitword_wrap : rl::test_suite<waitword_wrap, 1> {
    struct rt_waitword w;

    void before() { rt_init(&w.bits, RT_WW_TICKET); }

    void thread(unsigned)
    {
        RL_ASSERT(rt_ww_arm(&w) == RT_WW_TICKET_ONE);
        RL_ASSERT(rt_ww_claim(&w, RT_WW_TICKET_ONE, 1) == RT_CLAIM_NOTHING);
        rt_init(&w.bits, RT_WW_TICKET);
        RL_ASSERT(rt_ww_arm_pinned(&w) == RT_WW_TICKET_ONE);
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "waitword");
    model_random<waitword_wrap>("wrap", 1);
    model_random<waitword_free>("free", 1000000);
    model_random<waitword_pinned>("pinned", 500000);
    model_random<waitword_inline>("inline", 500000);
    model_bounded<waitword_inline>("inline", 3);
    return model_end();
}
