/* SPDX-License-Identifier: MIT */
/* Forked jobs (rt/runq/jobs.h): whatever is private, shared, taken back, given away or stolen, each
 * job is run exactly once, with what was written into it before it was forked; the one who joins a
 * stolen job sees its result, and is woken.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/jobs_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#define RT_DEQUE_CAP 4

#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: SHARE_RELAXED: a shared entry is not published by bottom */
    { "SHARE_RELAXED", "lazy", "rt_deque_push", "store_release", MODEL_RELAXED },
    /* MUTANT: SHARE_QUIET: as SHARE_RELAXED, of an entry that is announced */
    { "SHARE_QUIET", "lazy", "rt_deque_push_announced", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: POP_SHARED: the owner pops what is shared as if it were private */
    { "POP_SHARED", "lazy", "rt_jobs_private", "load_relaxed", MODEL_ZERO },
    /* MUTANT: TAKE_RELAXED: the owner takes back without the full order */
    { "TAKE_RELAXED", "batch", "rt_deque_take", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: TAKE_SPLIT: the owner does not settle the last shared entry by compare-and-swap */
    { "TAKE_SPLIT", "churn", "rt_deque_take", "cas_sc", MODEL_BLIND },
    /* MUTANT: TAKE_TOP_RELAXED: the owner reads an old top */
    { "TAKE_TOP_RELAXED", "batch", "rt_deque_take", "load_sc", MODEL_RELAXED },
    /* MUTANT: STEAL_BLIND: a thief takes its entry without validating it */
    { "STEAL_BLIND", "churn", "rt_deque_oldest", "cas_sc", MODEL_BLIND },
    /* MUTANT: STEAL_RELAXED: a thief reads top and bottom in any order */
    { "STEAL_RELAXED", "batch", "rt_deque_oldest", "load_sc", MODEL_RELAXED },
    /* MUTANT: PUSH_NO_LIMIT: the check for a full deque is off by one */
    { "PUSH_NO_LIMIT", "full", "rt_jobs_push", "load_acquire", MODEL_ONE_OFF },
    /* MUTANT: END_RELAXED: the end of a job does not publish its result */
    { "END_RELAXED", "join", "rt_fork_end", "xchg_acq_rel", MODEL_RELAXED },
    /* MUTANT: END_SPLIT: a name that comes while a job ends is overwritten */
    { "END_SPLIT", "join", "rt_fork_end", "xchg_acq_rel", MODEL_SPLIT },
    /* MUTANT: END_SKIP: a job ends and says so to nobody */
    { "END_SKIP", "join", "rt_fork_end", "xchg_acq_rel", MODEL_SKIP },
    /* MUTANT: LOOK_RELAXED: the result is read without having been acquired */
    { "LOOK_RELAXED", "join", "rt_fork_look", "load_acquire", MODEL_RELAXED },
    /* MUTANT: AWAIT_BLIND: the name overwrites the end of the job */
    { "AWAIT_BLIND", "join", "rt_fork_await", "cas_relaxed", MODEL_BLIND },
};

#include "runq/jobs.h"

#define JOBS 6

struct jobs_base {
    struct rt_jobs j;
    rl::var<int>   payload[JOBS + 1];
    int            seen[JOBS + 1];

    void setup()
    {
        rt_jobs_init(&j, 1);
        for (int i = 0; i < RT_DEQUE_CAP; i++)
            rt_init(&j.deque.slot[i], 0);
        memset(seen, 0, sizeof seen);
    }

    void run(uintptr_t x)
    {
        RL_ASSERT(x && x <= JOBS && seen[x] == 0);
        seen[x]++;
        RL_ASSERT(RT_VAR_GET(payload[x]) == (int)x + 40);
        RT_VAR_SET(payload[x], -1);
    }

    void steal()
    {
        if (uintptr_t x = rt_jobs_steal(&j))
            run(x);
    }

    /* As skua_fork: what finds no room stays with the owner. True: it is in. */
    bool fork(uintptr_t x, bool told)
    {
        RT_VAR_SET(payload[x], (int)x + 40);
        if (!rt_jobs_push(&j, x))
            return false;
        if (rt_jobs_hungry(&j))
            rt_jobs_share(&j, told ? 1 : (rt_jobs_private(&j) + 1) / 2, told);
        return true;
    }

    /* As skua_fork_join, newest first: called here, or stolen. */
    void join(uintptr_t x)
    {
        if (rt_jobs_pop(&j, x)) {
            if (rt_jobs_hungry(&j) && rt_jobs_private(&j) > 0)
                rt_jobs_share(&j, 1, 0);
            run(x);
            return;
        }
        if (!rt_jobs_any(&j))
            return;
        RL_ASSERT(rt_jobs_newest(&j) == x);
        if (uintptr_t y = rt_jobs_take(&j)) {
            RL_ASSERT(y == x);
            run(x);
        }
    }

    void give_away()
    {
        if (rt_jobs_private(&j) > 0)
            rt_jobs_share(&j, rt_jobs_private(&j), 0);
        while (uintptr_t x = rt_jobs_oldest(&j))
            run(x);
        RL_ASSERT(!rt_jobs_any(&j) && rt_jobs_private(&j) == 0);
    }

    void finish(int jobs)
    {
        RL_ASSERT(rt_deque_size(&j.deque) == 0 && rt_jobs_private(&j) == 0);
        for (int i = 1; i <= jobs; i++)
            RL_ASSERT(seen[i] == 1);
    }
};

/* The owner goes up and down a tree, around the ring; one thief. */
struct jobs_lazy : rl::test_suite<jobs_lazy, 2>, jobs_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            fork(1, true);
            fork(2, false);
            fork(3, false);
            join(3);
            fork(4, true);
            join(4);
            join(2);
            fork(5, false);
            fork(6, true);
            join(6);
            join(5);
            join(1);
        } else {
            for (int i = 0; i < 3; i++)
                steal();
        }
    }

    void after() { finish(6); }
};

/* One job at a time: each join takes back what was shared, or comes too late. */
struct jobs_churn : rl::test_suite<jobs_churn, 2>, jobs_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            for (uintptr_t x = 1; x <= 6; x++) {
                fork(x, x & 1);
                join(x);
            }
        } else {
            for (int i = 0; i < 5; i++)
                steal();
        }
    }

    void after() { finish(6); }
};

/* Several are shared at once, as after a theft, and taken back from one end, stolen from the
 * other. */
struct jobs_batch : rl::test_suite<jobs_batch, 2>, jobs_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            for (uintptr_t round = 0; round < 2; round++) {
                for (uintptr_t x = 1; x <= 3; x++) {
                    RT_VAR_SET(payload[3 * round + x], 3 * (int)round + (int)x + 40);
                    RL_ASSERT(rt_jobs_push(&j, 3 * round + x));
                }
                rt_jobs_share(&j, 3, 1);
                for (uintptr_t x = 3; x >= 1; x--)
                    join(3 * round + x);
            }
        } else {
            for (int i = 0; i < 5; i++)
                steal();
        }
    }

    void after() { finish(6); }
};

/* Two thieves, and an owner who gives away what they leave. */
struct jobs_away : rl::test_suite<jobs_away, 3>, jobs_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            fork(1, false);
            fork(2, true);
            fork(3, false);
            give_away();
            fork(4, true);
            join(4);
        } else {
            steal();
            steal();
        }
    }

    void after() { finish(4); }
};

/* Few steps, so that every schedule with a few forced switches can be tried. */
struct jobs_small : rl::test_suite<jobs_small, 2>, jobs_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            fork(1, true);
            fork(2, false);
            join(2);
            join(1);
        } else {
            steal();
            steal();
        }
    }

    void after() { finish(2); }
};

/* A fifth job finds no room; it does when one was stolen. */
struct jobs_full : rl::test_suite<jobs_full, 1>, jobs_base {
    void before() { setup(); }

    void thread(unsigned)
    {
        for (uintptr_t x = 1; x <= 4; x++)
            RL_ASSERT(fork(x, true));
        RL_ASSERT(!fork(5, true));
        steal();
        RL_ASSERT(fork(5, true));
        for (uintptr_t x = 5; x >= 2; x--)
            join(x);
    }

    void after() { finish(5); }
};

/* A thief ends the job; the one who joins waits under two names, since a cancel ended its first
 * wait. `claimed` stands for the wait word: who claims a name wakes its wait. */
struct jobs_join : rl::test_suite<jobs_join, 2> {
    struct rt_fork          job;
    rl::atomic<uint64_t>    claimed[2];
    static const uint64_t   FIRST = 1 << 24;

    void before()
    {
        rt_init(&job.word, RT_FORK_PENDING);
        claimed[0].store(0, rl::mo_relaxed, $);
        claimed[1].store(0, rl::mo_relaxed, $);
        RT_VAR_SET(job.value, (void *)1);
    }

    void thread(unsigned id)
    {
        if (id == 1) {
            RL_ASSERT(RT_VAR_GET(job.value) == (void *)1);
            RT_VAR_SET(job.value, (void *)2);
            uint64_t name = rt_fork_end(&job, RT_FORK_DONE);
            if (name)
                claimed[name - FIRST].store(1, rl::mo_release, $);
            return;
        }
        bool ended = rt_fork_look(&job) == RT_FORK_DONE;
        if (!ended && rt_fork_await(&job, FIRST)) {
            MODEL_YIELD(); /* a cancel ends this wait */
            if (rt_fork_look(&job) != RT_FORK_DONE && rt_fork_await(&job, FIRST + 1)) {
                rl::linear_backoff b;
                while (!claimed[1].load(rl::mo_acquire, $))
                    b.yield($);
            }
        }
        RL_ASSERT(rt_fork_look(&job) == RT_FORK_DONE);
        RL_ASSERT(RT_VAR_GET(job.value) == (void *)2);
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "jobs");
    model_random<jobs_full>("full", 1);
    model_random<jobs_lazy>("lazy", 500000);
    model_random<jobs_churn>("churn", 500000);
    model_random<jobs_batch>("batch", 500000);
    model_random<jobs_away>("away", 300000);
    model_random<jobs_join>("join", 300000);
    model_bounded<jobs_small>("small", 4);
    return model_end();
}
