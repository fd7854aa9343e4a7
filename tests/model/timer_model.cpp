/* SPDX-License-Identifier: MIT */
/* A timer that expires while its task disarms it, with two threads that expire timers of one
 * heap: the loop's own and one that serves it (rt/loop/timer.c). A task waits twice, the first time
 * with a timer; whatever ends the first wait, expiry must neither be lost nor end the second. The
 * wait word is the real header; arming, disarming and expiry are written down here as the file has
 * them, the heap being one place under its lock.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/timer_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: CLAIM_UNLOCKED: expiry claims after it has let go of the lock */
    { "CLAIM_UNLOCKED", "timer", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: POP_UNLOCKED: the server takes the node out without the lock */
    { "POP_UNLOCKED", "timer", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: DISARM_LOOKS: a node that seems to be in no heap is disarmed without the lock */
    { "DISARM_LOOKS", "timer", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: DISARM_SKIPPED: the second wait begins with the timer still armed */
    { "DISARM_SKIPPED", "timer", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: KEEP_NODE: expiry claims and leaves the node in the heap */
    { "KEEP_NODE", "timer", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: CLAIM_SPLIT: two claimers win */
    { "CLAIM_SPLIT", "timer", "rt_ww_claim", "cas_acq_rel", MODEL_SPLIT },
};

#include "task/waitword.h"

enum { TIMED_OUT = 110, EVENT = 0, LAST = 7 };

struct timer_race : rl::test_suite<timer_race, 4> {
    struct rt_waitword  wait;
    rl::mutex           lock;   /* of the heap */
    rl::var<int>        in_heap;
    RT_ATOMIC(uint32_t) armed;  /* a hint that the mutant DISARM_LOOKS trusts */
    RT_ATOMIC(uint64_t) first;  /* the name of the first wait */
    RT_ATOMIC(uint64_t) second;
    HANDLE              ready;  /* the task is queued */

    void before()
    {
        rt_init(&wait.bits, 0);
        rt_init(&first, 0);
        rt_init(&second, 0);
        rt_init(&armed, 0);
        in_heap($) = 0;
        ready = CreateSemaphore(0, 0, 1, 0);
    }

    void after() { CloseHandle(ready); }

    void claim(uint64_t ticket, unsigned value)
    {
        if (rt_ww_claim(&wait, ticket, value) == RT_CLAIM_SUBMIT)
            RL_ASSERT(ReleaseSemaphore(ready, 1, 0)); /* queued twice: the count is full */
    }

    void arm()
    {
        lock.lock($);
        in_heap($) = 1;
        rt_store_relaxed(&armed, 1);
        lock.unlock($);
    }

    bool disarm()
    {
        if (MODEL_IS("DISARM_SKIPPED") ||
            (MODEL_IS("DISARM_LOOKS") && !rt_load_relaxed(&armed)))
            return false;
        lock.lock($);
        bool was_armed = in_heap($) != 0;
        in_heap($) = 0;
        lock.unlock($);
        return was_armed;
    }

    /* The deadline has come, for whoever looks. */
    void expire(bool is_server)
    {
        bool is_locked = !(MODEL_IS("POP_UNLOCKED") && is_server);
        if (is_locked)
            lock.lock($);
        bool due = in_heap($) != 0;
        if (due && !MODEL_IS("KEEP_NODE"))
            in_heap($) = 0;
        if (due)
            rt_store_relaxed(&armed, 0);
        if (MODEL_IS("CLAIM_UNLOCKED"))
            lock.unlock($);
        if (due)
            claim(rt_ww_ticket(rt_load_relaxed(&wait.bits)), TIMED_OUT);
        if (is_locked && !MODEL_IS("CLAIM_UNLOCKED"))
            lock.unlock($);
    }

    unsigned suspend()
    {
        int cancelled;
        if (rt_ww_park(&wait))
            WaitForSingleObject(ready, INFINITE);
        return rt_ww_finish(&wait, &cancelled);
    }

    void task()
    {
        rt_store_release(&first, rt_ww_arm(&wait));
        arm();
        unsigned value = suspend();
        RL_ASSERT(value == TIMED_OUT || value == EVENT);
        bool was_armed = disarm();
        RL_ASSERT(!(value == TIMED_OUT && was_armed));
        rt_store_release(&second, rt_ww_arm(&wait));
        RL_ASSERT(suspend() == LAST);
    }

    void thread(unsigned id)
    {
        if (id == 0) {
            task();
        } else if (id < 3) {
            expire(id == 2);
        } else {
            /* the event of the first wait comes before, after, or too late */
            uint64_t name = rt_load_acquire(&first);
            while (!rt_load_acquire(&second)) {
                if ((name = rt_load_acquire(&first)) != 0)
                    claim(name, EVENT);
                MODEL_YIELD();
            }
            claim(name, EVENT);
            claim(rt_load_acquire(&second), LAST);
        }
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "timer");
    model_random<timer_race>("timer", 600000);
    return model_end();
}
