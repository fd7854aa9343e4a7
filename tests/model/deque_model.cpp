/* SPDX-License-Identifier: MIT */
/* The deque of ready tasks (rt/runq/deque.h): every entry comes out exactly once, with what was
 * written into it before it was pushed; a full deque refuses.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/deque_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#define RT_DEQUE_CAP 2

#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: TAKE_RELAXED: the owner lowers bottom without the full order */
    { "TAKE_RELAXED", "one thief", "rt_deque_take", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: TAKE_SPLIT: the owner does not settle the last entry by compare-and-swap */
    { "TAKE_SPLIT", "one thief", "rt_deque_take", "cas_sc", MODEL_BLIND },
    /* MUTANT: TAKE_TOP_RELAXED: the owner reads an old top */
    { "TAKE_TOP_RELAXED", "one thief", "rt_deque_take", "load_sc", MODEL_RELAXED },
    /* MUTANT: OLDEST_RELAXED: a thief reads top and bottom in any order */
    { "OLDEST_RELAXED", "one thief", "rt_deque_oldest", "load_sc", MODEL_RELAXED },
    /* MUTANT: OLDEST_BLIND: a thief takes its entry without validating it */
    { "OLDEST_BLIND", "one thief", "rt_deque_oldest", "cas_sc", MODEL_BLIND },
    /* MUTANT: OLDEST_CAS_RELAXED: a thief's claim is not in the total order */
    { "OLDEST_CAS_RELAXED", "one thief", "rt_deque_oldest", "cas_sc", MODEL_RELAXED },
    /* MUTANT: PUSH_RELAXED: the entry is not published by bottom */
    { "PUSH_RELAXED", "one thief", "rt_deque_push", "store_release", MODEL_RELAXED },
    /* MUTANT: PUSH_NO_LIMIT: the check for a full deque is off by one */
    { "PUSH_NO_LIMIT", "full", "rt_deque_push", "load_acquire", MODEL_ONE_OFF },
    /* MUTANT: ANNOUNCED_RELAXED: as PUSH_RELAXED, in the push that announces */
    { "ANNOUNCED_RELAXED", "one thief", "rt_deque_push_announced", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: MANY_BLIND: the owner takes several without validating them */
    { "MANY_BLIND", "many", "rt_deque_oldest_many", "cas_sc", MODEL_BLIND },
};

#include "runq/deque.h"

#define ITEMS 5

struct deque_base {
    struct rt_deque d;
    rl::var<int>    payload[ITEMS + 1];
    int             seen[ITEMS + 1];
    int             refused;

    void setup()
    {
        rt_init(&d.top, 0);
        rt_init(&d.bottom, 0);
        for (int i = 0; i < RT_DEQUE_CAP; i++)
            rt_init(&d.slot[i], 0);
        memset(seen, 0, sizeof seen);
        refused = 0;
    }

    void see(uintptr_t x)
    {
        if (!x)
            return;
        RL_ASSERT(x <= ITEMS && seen[x] == 0);
        seen[x]++;
        RL_ASSERT(RT_VAR_GET(payload[x]) == (int)x + 40);
        RT_VAR_SET(payload[x], -1);
    }

    /* True when the deque took it. */
    bool put(uintptr_t x, bool announced)
    {
        RT_VAR_SET(payload[x], (int)x + 40);
        if (announced ? rt_deque_push_announced(&d, x) : rt_deque_push(&d, x))
            return true;
        refused++;
        return false;
    }

    /* Makes room as the runtime does: the owner takes old entries from its own top. */
    void put_surely(uintptr_t x, bool announced)
    {
        while (!put(x, announced))
            see(rt_deque_oldest(&d));
    }

    void finish(int items)
    {
        while (uintptr_t x = rt_deque_take(&d))
            see(x);
        RL_ASSERT(rt_deque_size(&d) == 0);
        for (int i = 1; i <= items; i++)
            RL_ASSERT(seen[i] == 1);
    }
};

/* The owner and one thief, around the ring more than once. */
struct deque_one : rl::test_suite<deque_one, 2>, deque_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            put_surely(1, false);
            see(rt_deque_take(&d));
            put_surely(2, true);
            put_surely(3, false);
            put_surely(4, false);
            see(rt_deque_take(&d));
            put_surely(5, true);
            see(rt_deque_take(&d));
        } else {
            for (int i = 0; i < 4; i++)
                see(rt_deque_oldest(&d));
        }
    }

    void after() { finish(ITEMS); }
};

/* The owner and two thieves. */
struct deque_two : rl::test_suite<deque_two, 3>, deque_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            put_surely(1, true);
            put_surely(2, false);
            see(rt_deque_take(&d));
            put_surely(3, false);
            see(rt_deque_take(&d));
            see(rt_deque_take(&d));
        } else {
            see(rt_deque_oldest(&d));
            see(rt_deque_oldest(&d));
        }
    }

    void after() { finish(3); }
};

/* The owner spills what is in the way, as into a block, while a thief is at the same end. */
struct deque_many : rl::test_suite<deque_many, 2>, deque_base {
    void before() { setup(); }

    void spill()
    {
        uintptr_t x[RT_DEQUE_CAP];
        size_t    n = rt_deque_oldest_many(&d, x, RT_DEQUE_CAP);
        for (size_t i = 0; i < n; i++)
            see(x[i]);
    }

    void thread(unsigned id)
    {
        if (id == 0) {
            for (uintptr_t x = 1; x <= 4; x++)
                while (!put(x, x & 1))
                    spill();
            see(rt_deque_take(&d));
            spill();
        } else {
            for (int i = 0; i < 3; i++)
                see(rt_deque_oldest(&d));
        }
    }

    void after() { finish(4); }
};

/* Few steps, so that every schedule with a few forced switches can be tried. */
struct deque_small : rl::test_suite<deque_small, 2>, deque_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            put(1, false);
            put(2, false);
            see(rt_deque_take(&d));
            see(rt_deque_take(&d));
        } else {
            see(rt_deque_oldest(&d));
            see(rt_deque_oldest(&d));
        }
    }

    void after() { finish(2); }
};

/* Nobody takes: the third push is refused. */
struct deque_full : rl::test_suite<deque_full, 1>, deque_base {
    void before() { setup(); }

    void thread(unsigned)
    {
        RL_ASSERT(put(1, false) && put(2, true) && !put(3, false) && !put(3, true));
        RL_ASSERT(rt_deque_size(&d) == 2 && rt_deque_newest(&d) == 2);
        see(rt_deque_oldest(&d));
        RL_ASSERT(seen[1] == 1 && put(3, false));
    }

    void after() { finish(3); }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "deque");
    model_random<deque_full>("full", 1);
    model_random<deque_one>("one thief", 1000000);
    model_random<deque_two>("two thieves", 1000000);
    model_random<deque_many>("many", 1000000);
    model_bounded<deque_small>("small", 5);
    return model_end();
}
