/* SPDX-License-Identifier: MIT */
/* A wait that is retired: its runtime ends without the task, while others hold its name. The wait
 * word is the real header; what its callers do is written down here as they have it
 * (sched/runtime.c, sched/table.c, sched/spawn.c, sync/waitq.c, sync/lock.c). Two suites:
 *  word  the end retires the wait, and the place among the tasks is another's next; one waker
 *        claims the old name or, when it sees the end, passes it over, which retires it as well,
 *        another one claims whatever name it knows: no claim of a retired wait succeeds, the wait
 *        that follows in that place is ended by nobody but who claims its own name;
 *  lock  a lock is let go of while the task is first in line and another waiter comes after it: the
 *        task is given it only while its runtime is held by a visit, and as it never runs the end
 *        gives it back: in each case the one behind it has it next, and the task is no waiter any
 *        more.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/retire_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: RETIRE_SKIP: a late name wakes a task that never runs again */
    { "RETIRE_SKIP", "word", "rt_ww_retire", "cas_acq_rel", MODEL_SKIP },
    /* MUTANT: RETIRE_SPLIT: a late one ends the wait of the next task in that place */
    { "RETIRE_SPLIT", "word", "rt_ww_retire", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: RETIRE_BLIND: the same, by a compare-and-swap that does not compare */
    { "RETIRE_BLIND", "word", "rt_ww_retire", "cas_acq_rel", MODEL_BLIND },
    /* MUTANT: RETIRE_ANY: the same: who passes over retires what it finds, not what it meant */
    { "RETIRE_ANY", "word", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: END_CLAIMED: the end retires no wait that was claimed: who was woken and never ran
     * counts as a waiter for ever */
    { "END_CLAIMED", "lock", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: END_KEEPS: what the task was given and never took is lost */
    { "END_KEEPS", "lock", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: PASS_QUIET: who cannot be woken is not retired, and keeps those behind it waiting */
    { "PASS_QUIET", "lock", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: VISIT_SHORT: a waker holds the runtime no more when it claims and posts */
    { "VISIT_SHORT", "lock", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: VISIT_RELAXED: of a waker that counts itself in and looks, and an end that says so
     * and counts, neither sees the other */
    { "VISIT_RELAXED", "lock", "visit", "add_sc", MODEL_RELAXED },
    /* MUTANT: LOOK_RELAXED: the same */
    { "LOOK_RELAXED", "lock", "visit", "load_sc", MODEL_RELAXED },
    /* MUTANT: LEAVE_RELAXED: the same, on the other side */
    { "LEAVE_RELAXED", "lock", "leave_table", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: COUNT_RELAXED: the end frees the queues under a waker's hands */
    { "COUNT_RELAXED", "lock", "leave_table", "load_sc", MODEL_RELAXED },
    /* MUTANT: UNVISIT_RELAXED: the end frees the queues before it sees what was posted */
    { "UNVISIT_RELAXED", "lock", "unvisit", "sub_sc", MODEL_RELAXED },
};

#include "task/waitword.h"

#define OLD RT_WW_TICKET_ONE /* the name of the wait that is retired */

struct retire_word : rl::test_suite<retire_word, 3> {
    struct rt_waitword   w;
    rl::atomic<uint32_t> ended;
    rl::atomic<uint64_t> name;    /* the newest, as another waker would have been told it */
    uint64_t             next;    /* the name of the wait that follows in that place; 0: not yet */
    bool                 retired; /* the old wait has been */
    int                  winner, next_winner;

    void before()
    {
        rt_init(&w.bits, OLD | RT_PHASE_PARKED);
        rt_init(&ended, 0);
        rt_init(&name, OLD);
        next = 0;
        retired = false;
        winner = next_winner = 0;
    }

    void after()
    {
        uint64_t word = rt_load_relaxed(&w.bits);
        RL_ASSERT(rt_ww_ticket(word) == next);
        RL_ASSERT(rt_ww_phase(word) == (next_winner ? RT_PHASE_RUNNING : RT_PHASE_PARKED));
        RL_ASSERT((int)rt_ww_value(word) == next_winner);
    }

    void retire(uint64_t ticket)
    {
        rt_ww_retire(&w, ticket);
        retired = true;
    }

    void end_runtime()
    {
        rt_store_release(&ended, 1);
        retire(rt_ww_ticket(rt_load_acquire(&w.bits)));
        /* as in spawn.c */
        rt_store_relaxed(&w.bits, rt_load_relaxed(&w.bits) & RT_WW_TICKET);
        next = rt_ww_arm(&w);
        RL_ASSERT(next != 0 && next != OLD);
        rt_store_release(&name, next);
        bool left = rt_ww_park(&w);
        RL_ASSERT(left || next_winner); /* else nobody resumes it */
    }

    void claim(uint64_t n, unsigned value)
    {
        if (rt_ww_claim(&w, n, value) == RT_CLAIM_STALE)
            return;
        int *won = n == OLD ? &winner : &next_winner;
        RL_ASSERT(n == OLD ? !retired : n == next);
        RL_ASSERT(*won == 0);
        *won = (int)value;
    }

    void wake(unsigned value)
    {
        if (!rt_load_acquire(&ended))
            claim(OLD, value);
        else if (MODEL_IS("RETIRE_ANY"))
            retire(rt_ww_ticket(rt_load_relaxed(&w.bits)));
        else
            retire(OLD);
    }

    void thread(unsigned id)
    {
        switch (id) {
        case 0:
            end_runtime();
            break;
        case 1:
            wake(1);
            wake(2);
            break;
        default:
            claim(OLD, 3);
            claim(rt_load_acquire(&name), 4);
            claim(OLD, 5);
        }
    }
};

struct retire_lock : rl::test_suite<retire_lock, 3> {
    struct rt_waitword   w;
    rl::atomic<uint32_t> open;     /* the runtime is in the table */
    rl::atomic<uint32_t> visitors; /* who look there now          */
    rl::var<int>         queue;    /* of the runtime: what was posted to it; freed with it */
    rl::mutex            mutex;    /* of the lock's queue; the rest is under it */
    rl::var<int>         taken, woken, second_waits, second_woken;
    bool                 ended, second_had_it;

    void before()
    {
        rt_init(&w.bits, OLD | RT_PHASE_PARKED);
        rt_init(&open, 1);
        rt_init(&visitors, 0);
        RT_VAR_SET(queue, 0);
        RT_VAR_SET(taken, 1);
        RT_VAR_SET(woken, 0);
        RT_VAR_SET(second_waits, 0);
        RT_VAR_SET(second_woken, 0);
        ended = second_had_it = false;
    }

    /* Whoever got the lock, the one left behind is a waiter no more. */
    void after()
    {
        RL_ASSERT(is_left_behind() && !has_waiters());
        RL_ASSERT(rt_ww_claim(&w, OLD, 1) == RT_CLAIM_STALE);
        RL_ASSERT(second_had_it && !RT_VAR_GET(taken));
    }

    /* --- table.c --- */

    bool visit()
    {
        rt_add_sc(&visitors, 1);
        if (rt_load_sc(&open))
            return true;
        rt_sub_sc(&visitors, 1);
        return false;
    }

    void unvisit() { rt_sub_sc(&visitors, 1); }

    void leave_table()
    {
        rt_xchg_sc(&open, 0);
        while (rt_load_sc(&visitors) > 0)
            MODEL_YIELD();
    }

    /* --- waitq.c --- */

    bool is_left_behind() { return rt_ww_ticket(rt_load_acquire(&w.bits)) != OLD; }

    bool is_waiting()
    {
        uint64_t word = rt_load_acquire(&w.bits);
        return rt_ww_ticket(word) == OLD && rt_ww_phase(word) != RT_PHASE_RUNNING;
    }

    bool has_waiters()
    {
        if (RT_VAR_GET(second_waits))
            return true;
        return RT_VAR_GET(woken) ? !is_left_behind() : is_waiting();
    }

    bool wake_abroad()
    {
        if (!visit()) {
            if (!MODEL_IS("PASS_QUIET"))
                rt_ww_retire(&w, OLD);
            return false;
        }
        if (MODEL_IS("VISIT_SHORT"))
            unvisit();
        bool won = rt_ww_claim(&w, OLD, 1) == RT_CLAIM_SUBMIT;
        if (won) {
            RL_ASSERT(!ended); /* what is posted now lies in no queue */
            RT_VAR_SET(queue, 1);
        }
        if (!MODEL_IS("VISIT_SHORT"))
            unvisit();
        return won;
    }

    /* --- lock.c --- */

    void hand_on()
    {
        bool handed = !RT_VAR_GET(woken) && wake_abroad();
        if (handed) {
            RT_VAR_SET(woken, 1);
        } else if (is_left_behind() && RT_VAR_GET(second_waits)) {
            handed = true;
            RT_VAR_SET(second_woken, 1);
        }
        RT_VAR_SET(taken, (int)handed);
    }

    void release()
    {
        mutex.lock($);
        RL_ASSERT(RT_VAR_GET(taken) == 1);
        hand_on();
        mutex.unlock($);
    }

    /* The task was woken, or stood in the way, and never runs. */
    void give_back()
    {
        mutex.lock($);
        if (RT_VAR_GET(woken) || !RT_VAR_GET(taken))
            hand_on();
        mutex.unlock($);
    }

    /* Does it have the lock at once? Else it is in line. */
    bool take_or_link()
    {
        mutex.lock($);
        bool free = !RT_VAR_GET(taken) && !has_waiters();
        RT_VAR_SET(taken, free || RT_VAR_GET(taken) ? 1 : 0);
        RT_VAR_SET(second_waits, !free);
        mutex.unlock($);
        return free;
    }

    void wait_for_it()
    {
        for (;;) {
            mutex.lock($);
            bool mine = RT_VAR_GET(second_woken);
            if (mine)
                RT_VAR_SET(second_waits, 0);
            mutex.unlock($);
            if (mine)
                return;
            MODEL_YIELD();
        }
    }

    void thread(unsigned id)
    {
        switch (id) {
        case 0: {
            leave_table();
            ended = true;
            RT_VAR_SET(queue, 0);
            uint64_t word = rt_load_acquire(&w.bits);
            bool has_ended = rt_ww_phase(word) == RT_PHASE_RUNNING;
            if (!MODEL_IS("END_CLAIMED") || !has_ended)
                rt_ww_retire(&w, rt_ww_ticket(word));
            if (has_ended && !MODEL_IS("END_KEEPS"))
                give_back();
            break;
        }
        case 1:
            release();
            break;
        default:
            if (!take_or_link())
                wait_for_it();
            second_had_it = true;
            release();
        }
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "retire");
    model_random<retire_word>("word", 500000);
    model_bounded<retire_word>("word", 3);
    model_random<retire_lock>("lock", 300000);
    return model_end();
}
