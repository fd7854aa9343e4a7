/* SPDX-License-Identifier: MIT */
/* The gate of the watch (rt/sched/gate.h): two workers that park, wake and run, and the watch,
 * which now looks behind its shut gate, now sleeps. No worker runs while the watch looks, and it
 * sees all that was written before they fell asleep; who waited at the gate goes on when it opens;
 * a worker that is up is not left alone by a watch that sleeps; and a watch that sleeps has looked
 * at all that the workers did before they fell asleep.
 *
 * The futex is the kernel's: it compares and sleeps in one step, and may wake for no reason.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/gate_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: PARK_RELAXED: what was written before falling asleep is not published */
    { "PARK_RELAXED", "gate", "rt_gate_park", "add_sc", MODEL_RELAXED },
    /* MUTANT: PARK_SPLIT: two fall asleep and one is not counted */
    { "PARK_SPLIT", "gate", "rt_gate_park", "add_sc", MODEL_SPLIT },
    /* MUTANT: UNPARK_RELAXED: that somebody is up is not in the total order */
    { "UNPARK_RELAXED", "gate", "rt_gate_unpark", "sub_sc", MODEL_RELAXED },
    /* MUTANT: UNPARK_LATE: the gate is looked at first */
    { "UNPARK_LATE", "gate", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: UNPARK_BLIND: the gate is not looked at */
    { "UNPARK_BLIND", "gate", "rt_gate_unpark", "load_sc &g->shut", MODEL_ZERO },
    /* MUTANT: UNPARK_STALE: it is looked at outside the total order */
    { "UNPARK_STALE", "gate", "rt_gate_unpark", "load_sc &g->shut", MODEL_RELAXED },
    /* MUTANT: SHUT_RELAXED: it is shut outside the total order */
    { "SHUT_RELAXED", "gate", "rt_gate_shut", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: SHUT_SKIP: it is not shut */
    { "SHUT_SKIP", "gate", "rt_gate_shut", "xchg_sc", MODEL_SKIP },
    /* MUTANT: COUNT_RELAXED: who is up is looked at outside the total order */
    { "COUNT_RELAXED", "gate", "rt_gate_parked", "load_sc &g->parked", MODEL_RELAXED },
    /* MUTANT: OPEN_RELAXED: it is opened before the look is over */
    { "OPEN_RELAXED", "gate", "rt_gate_open", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: OPEN_QUIET: who waits at the gate is not woken */
    { "OPEN_QUIET", "gate", "rt_gate_open", "wake", MODEL_SKIP },
    /* MUTANT: DOZE_RELAXED: the watch says outside the total order that it sleeps */
    { "DOZE_RELAXED", "gate", "rt_gate_doze", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: DOZE_SKIP: it does not say so */
    { "DOZE_SKIP", "gate", "rt_gate_doze", "xchg_sc", MODEL_SKIP },
    /* MUTANT: RING_BLIND: who wakes does not look whether it sleeps */
    { "RING_BLIND", "gate", "rt_gate_unpark", "load_sc &g->asleep", MODEL_ZERO },
    /* MUTANT: ROUNDS_BLIND: who was up for a moment since the look is forgotten */
    { "ROUNDS_BLIND", "gate", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: ROUNDS_LATE: they are counted after the look */
    { "ROUNDS_LATE", "gate", NULL, NULL, MODEL_RIGHT },
};

/* The kernel, in place of base/sys.h. */
#define RT_BASE_SYS_H

struct model_futex_tag;

struct model_futex {
    rl::mutex                    mutex;
    rl::condvar<model_futex_tag> cond;
};

static model_futex *futex; /* of the schedule that runs */

static int futex_wait(RT_ATOMIC(uint32_t) * word, uint32_t expected)
{
    futex->mutex.lock($);
    if (word->load(rl::mo_relaxed, $) == expected)
        futex->cond.wait(futex->mutex, false, $);
    futex->mutex.unlock($);
    return 0;
}

static int futex_wake(model_wrong wrong)
{
    futex->mutex.lock($);
    if (wrong != MODEL_SKIP)
        futex->cond.notify_all($);
    futex->mutex.unlock($);
    return 0;
}

#define rt_sys_futex_wait(word, expected, timeout) futex_wait(word, expected)
#define rt_sys_futex_wake(word, n)                 futex_wake(MODEL_HERE("wake"))

#undef rt_load_sc
#define rt_load_sc(p) MODEL_LOAD(p, rl::mo_seq_cst, "load_sc " #p)

#include "sched/gate.h"

enum { WORKERS = 2, ROUNDS = 3, WATCH = WORKERS };

struct gate_watch : rl::test_suite<gate_watch, WORKERS + 1> {
    struct rt_gate gate;
    model_futex    kernel;
    rl::var<int>   frame[WORKERS]; /* of tasks that are suspended while the worker sleeps */
    HANDLE         bell;           /* of the watch */
    HANDLE         served[WORKERS];
    bool           wants[WORKERS]; /* something that only the watch does */
    int            done[WORKERS];  /* as in frame, for the model itself */
    int            looked_at[WORKERS];
    uint32_t       rounds;
    bool           looking, over;
    int            working;

    void before()
    {
        futex = &kernel;
        kernel.cond.init(false, $);
        rt_init(&gate.parked, 0);
        rt_init(&gate.shut, 0);
        rt_init(&gate.asleep, 0);
        bell = CreateSemaphore(0, 0, 1, 0);
        for (int i = 0; i < WORKERS; i++) {
            frame[i]($) = 0;
            served[i] = CreateSemaphore(0, 0, 1, 0);
            wants[i] = false;
            done[i] = looked_at[i] = 0;
        }
        rounds = 0;
        looking = over = false;
        working = WORKERS;
    }

    void after()
    {
        RL_ASSERT((uint32_t)rt_load_relaxed(&gate.parked) == WORKERS);
        CloseHandle(bell);
        for (int i = 0; i < WORKERS; i++)
            CloseHandle(served[i]);
        kernel.cond.deinit($);
    }

    /* Some threads are slower: random schedules alone keep them abreast. */
    void pause()
    {
        for (unsigned n = rl::rand(12); n > 0; n--)
            MODEL_YIELD();
    }

    /* rt_gate_unpark with its first two steps swapped. */
    bool unpark_late()
    {
        while (rt_load_sc(&gate.shut))
            (void)futex_wait(&gate.shut, 1);
        (void)rt_sub_sc(&gate.parked, 1);
        return rt_load_sc(&gate.asleep) && rt_xchg_sc(&gate.asleep, 0);
    }

    void wake_up()
    {
        if (MODEL_IS("UNPARK_LATE") ? unpark_late() : rt_gate_unpark(&gate))
            ReleaseSemaphore(bell, 1, 0);
    }

    void work(unsigned me)
    {
        for (int round = 0; round < ROUNDS; round++) {
            RL_ASSERT(!looking);
            frame[me]($) = done[me] = round + 1;
            if (round == 1) {
                wants[me] = true;
                WaitForSingleObject(served[me], INFINITE);
            }
            RL_ASSERT(!looking);
            rt_gate_park(&gate);
            pause();
            wake_up();
        }
        RL_ASSERT(!looking);
        rt_gate_park(&gate);
        if (--working)
            return;
        over = true;
        ReleaseSemaphore(bell, 1, 0);
    }

    void look()
    {
        uint32_t before = rt_gate_rounds(&gate);
        if (!rt_gate_shut(&gate, WORKERS))
            return;
        looking = true;
        int sum = 0;
        for (int i = 0; i < WORKERS; i++)
            sum += looked_at[i] = frame[i]($);
        pause();
        RL_ASSERT(sum > 0);
        looking = false;
        rt_gate_open(&gate);
        rounds = MODEL_IS("ROUNDS_LATE") ? rt_gate_rounds(&gate) : before;
    }

    /* Nobody is up. */
    void sleep()
    {
        for (int i = 0; i < WORKERS; i++)
            RL_ASSERT(looked_at[i] == done[i]);
        WaitForSingleObject(bell, INFINITE);
    }

    void watch()
    {
        while (!over) {
            for (int i = 0; i < WORKERS; i++) {
                if (!wants[i])
                    continue;
                wants[i] = false;
                ReleaseSemaphore(served[i], 1, 0);
            }
            if (rl::rand(2))
                look();
            if (rt_gate_doze(&gate, WORKERS,
                             MODEL_IS("ROUNDS_BLIND") ? rt_gate_rounds(&gate) : rounds))
                sleep();
            rt_gate_undoze(&gate);
            MODEL_YIELD();
        }
    }

    void thread(unsigned id)
    {
        if (id == WATCH)
            watch();
        else
            work(id);
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "gate");
    model_random<gate_watch>("gate", 100000);
    return model_end();
}
