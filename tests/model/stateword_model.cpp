/* SPDX-License-Identifier: MIT */
/* The state word (rt/task/stateword.h). Three suites:
 *  waiters  a completer against waiters that link themselves, and one that takes itself off again:
 *           every waiter linked before DONE is fired once or took itself off, never both; whoever
 *           sees DONE sees the result; the last of the releases, and no other, frees the object,
 *           after everybody's last access;
 *  future   two setters: one is chosen and its result is the one a reader sees;
 *  retain   somebody without a reference takes one only while the object is alive and not done.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/stateword_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: COMPLETE_NO_LIST: the completer does not look at the list */
    { "COMPLETE_NO_LIST", "waiters", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: COMPLETE_RELAXED: the result is not published */
    { "COMPLETE_RELAXED", "waiters", "rt_st_complete", "cas_acq_rel", MODEL_RELAXED },
    /* MUTANT: COMPLETE_BLIND: DONE is set over whatever happened in between */
    { "COMPLETE_BLIND", "waiters", "rt_st_complete", "cas_acq_rel", MODEL_BLIND },
    /* MUTANT: COMPLETE_SPLIT: DONE is set by load and store */
    { "COMPLETE_SPLIT", "waiters", "rt_st_complete", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: LOAD_RELAXED: the reader of DONE does not see the result */
    { "LOAD_RELAXED", "future", "rt_st_load", "load_acquire", MODEL_RELAXED },
    /* MUTANT: PENDING_RELAXED: the lock does not show what the last holder did to the list */
    { "PENDING_RELAXED", "waiters", "rt_st_try_lock_pending", "cas_acq_rel", MODEL_RELAXED },
    /* MUTANT: PENDING_SPLIT: two waiters hold the lock */
    { "PENDING_SPLIT", "waiters", "rt_st_try_lock_pending", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: LOCK_SPLIT: the completer and a waiter hold the lock */
    { "LOCK_SPLIT", "waiters", "rt_st_try_lock", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: UNLOCK_RELAXED: the list is not published by unlocking */
    { "UNLOCK_RELAXED", "waiters", "rt_st_unlock", "cas_acq_rel", MODEL_RELAXED },
    /* MUTANT: UNLOCK_BLIND: unlocking wipes out DONE */
    { "UNLOCK_BLIND", "waiters", "rt_st_unlock", "cas_acq_rel", MODEL_BLIND },
    /* MUTANT: UNLOCK_NO_FLAG: unlocking does not say that somebody waits */
    { "UNLOCK_NO_FLAG", "waiters", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: RELEASE_RELAXED: the one who frees does not see the others' last accesses */
    { "RELEASE_RELAXED", "waiters", "rt_st_release", "sub_acq_rel", MODEL_RELAXED },
    /* MUTANT: RELEASE_SPLIT: two references dropped, one counted */
    { "RELEASE_SPLIT", "waiters", "rt_st_release", "sub_acq_rel", MODEL_SPLIT },
    /* MUTANT: RELEASE_LOAD: the same as RELEASE_RELAXED, where the last reference is only read */
    { "RELEASE_LOAD", "waiters", "rt_st_release", "load_acquire", MODEL_RELAXED },
    /* MUTANT: CHOOSE_SPLIT: two setters are chosen */
    { "CHOOSE_SPLIT", "future", "rt_st_choose", "or_acq_rel", MODEL_SPLIT },
    /* MUTANT: RETAIN_BLIND: a reference is taken on an object that was done meanwhile */
    { "RETAIN_BLIND", "retain", "rt_st_try_retain_pending", "cas_acq_rel", MODEL_BLIND },
};

#include "task/stateword.h"

#define WAITERS 3
#define RESULT  42

struct stateword_base {
    struct rt_stateword s;
    rl::var<int>        memory;  /* the object: read by everybody who uses it, written to free it */
    rl::var<int>        result;
    rl::var<unsigned>   list;    /* a bit for each waiter; guarded by the lock */
    int                 linked[WAITERS];
    int                 fired[WAITERS];
    int                 unlinked[WAITERS];
    int                 freed;

    void setup(unsigned refs)
    {
        rt_init(&s.bits, refs * RT_ST_REF);
        RT_VAR_SET(memory, 1);
        RT_VAR_SET(result, 0);
        RT_VAR_SET(list, 0);
        memset(linked, 0, sizeof linked);
        memset(fired, 0, sizeof fired);
        memset(unlinked, 0, sizeof unlinked);
        freed = 0;
    }

    void use() { RL_ASSERT(RT_VAR_GET(memory) == 1); }

    void free_object()
    {
        RL_ASSERT(freed++ == 0);
        RT_VAR_SET(memory, 0);
    }

    void release()
    {
        use();
        if (rt_st_release(&s))
            free_object();
    }

    void lock()
    {
        while (rt_st_try_lock(&s) < 0)
            MODEL_YIELD();
    }

    void unlock(int has_waiters)
    {
        rt_st_unlock(&s, has_waiters && !MODEL_IS("UNLOCK_NO_FLAG"));
    }

    void fire_all()
    {
        lock();
        unsigned all = RT_VAR_GET(list);
        RT_VAR_SET(list, 0);
        rt_st_unlock(&s, 0);
        for (int i = 0; i < WAITERS; i++)
            if (all & 1u << i)
                RL_ASSERT(fired[i]++ == 0 && !unlinked[i]);
    }

    void complete(int value)
    {
        uint64_t left;
        use();
        RT_VAR_SET(result, value);
        int busy = rt_st_complete(&s, 0, 1, &left);
        if (!busy) {
            if (left == 0)
                free_object();
            return;
        }
        if (!MODEL_IS("COMPLETE_NO_LIST"))
            fire_all();
        release();
    }

    /* True: linked. False: done before, and then the result is there. */
    bool link(int i)
    {
        int how;
        use();
        while ((how = rt_st_try_lock_pending(&s)) < 0)
            MODEL_YIELD();
        if (how == 0) {
            RL_ASSERT(RT_VAR_GET(result) == RESULT);
            return false;
        }
        RT_VAR_SET(list, RT_VAR_GET(list) | 1u << i);
        linked[i] = 1;
        unlock(1);
        return true;
    }

    void unlink(int i)
    {
        lock();
        unsigned now = RT_VAR_GET(list);
        if (now & 1u << i) {
            RL_ASSERT(!fired[i]);
            unlinked[i] = 1;
            now &= ~(1u << i);
            RT_VAR_SET(list, now);
        }
        unlock(now != 0);
    }

    void check_end()
    {
        RL_ASSERT(freed == 1);
        RL_ASSERT(RT_VAR_GET(list) == 0);
        for (int i = 0; i < WAITERS; i++)
            RL_ASSERT(fired[i] + unlinked[i] == linked[i]);
    }
};

struct stateword_waiters : rl::test_suite<stateword_waiters, 4>, stateword_base {
    void before() { setup(4); }
    void after() { check_end(); }

    void thread(unsigned id)
    {
        switch (id) {
        case 0:
            complete(RESULT);
            break;
        case 1:
            link(0);
            release();
            break;
        case 2:
            if (link(1))
                unlink(1);
            release();
            break;
        default:
            if (rt_st_load(&s) & RT_ST_DONE)
                RL_ASSERT(RT_VAR_GET(result) == RESULT);
            rt_st_retain(&s);
            release();
            release();
        }
    }
};

struct stateword_future : rl::test_suite<stateword_future, 3>, stateword_base {
    int chosen;

    void before()
    {
        setup(4); /* one for each thread, one that goes with the completion */
        chosen = 0;
    }

    void after()
    {
        RL_ASSERT(chosen != 0);
        check_end();
    }

    void thread(unsigned id)
    {
        if (id < 2) {
            if (rt_st_choose(&s)) {
                RL_ASSERT(chosen == 0);
                chosen = (int)id + 1;
                complete(chosen);
            }
        } else {
            for (int i = 0; i < 3; i++)
                if (rt_st_load(&s) & RT_ST_DONE)
                    RL_ASSERT(RT_VAR_GET(result) == chosen);
        }
        release();
    }
};

/* The completer's own reference keeps the object until it is done, so whoever finds it not done
 * finds it alive. The fast path of a last release rests on this. */
struct stateword_retain : rl::test_suite<stateword_retain, 3>, stateword_base {
    void before() { setup(2); }

    void after()
    {
        RL_ASSERT(freed == 1);
        RL_ASSERT(rt_st_refs(rt_load_relaxed(&s.bits)) <= 1);
    }

    void thread(unsigned id)
    {
        switch (id) {
        case 0:
            complete(RESULT);
            break;
        case 1:
            release();
            break;
        default:
            if (rt_st_try_retain_pending(&s))
                release();
        }
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "stateword");
    model_random<stateword_waiters>("waiters", 1000000);
    model_random<stateword_future>("future", 500000);
    model_random<stateword_retain>("retain", 500000);
    model_bounded<stateword_retain>("retain", 4);
    model_bounded<stateword_future>("future", 3);
    return model_end();
}
