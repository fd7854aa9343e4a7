/* SPDX-License-Identifier: MIT */
/* Two threads that poll one epoll, as they do while one serves the loop of a worker that is held:
 * what is known of a descriptor's direction (rt/loop/token.h) loses no readiness and wakes nobody
 * by a name that is over, and a close reaches who is about to wait; a ring that the wrong thread's
 * poll took reaches the owner of the loop all the same (rt/loop/bell.h).
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/token_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: EVENT_NO_TICK: an event whose token was taken off by another reader is forgotten */
    { "EVENT_NO_TICK", "readers", "rt_token_event", "add_sc", MODEL_SKIP },
    /* MUTANT: EVENT_SPLIT: a name left between the load and the store is lost */
    { "EVENT_SPLIT", "servers", "rt_token_put", "xchg_sc", MODEL_SPLIT },
    /* MUTANT: DRAINED_NO_TICK: the reader does not see that an event came */
    { "DRAINED_NO_TICK", "readers", "rt_token_drained", "load_sc", MODEL_ZERO },
    /* MUTANT: DRAINED_BLIND: drained in place of another reader's name */
    { "DRAINED_BLIND", "readers", "rt_token_drained", "cas_sc", MODEL_BLIND },
    /* MUTANT: WAIT_BLIND: a name in place of a token */
    { "WAIT_BLIND", "servers", "rt_token_wait", "cas_sc", MODEL_BLIND },
    /* MUTANT: WAIT_SPLIT: a token set between the load and the store is lost */
    { "WAIT_SPLIT", "servers", "rt_token_wait", "cas_sc", MODEL_SPLIT },
    /* MUTANT: UNWAIT_BLIND: a waiter that gives up takes another's name off */
    { "UNWAIT_BLIND", "quitter", "rt_token_unwait", "cas_sc", MODEL_BLIND },
    /* MUTANT: STALE_WAKE: a name is claimed without looking whether it is over */
    { "STALE_WAKE", "readers", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: LATE_NO_KICK: who believed a mark that came too late is left asleep */
    { "LATE_NO_KICK", "late", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: CLOSE_EARLY: who reads looks before the try alone, which takes the event off */
    { "CLOSE_EARLY", "close", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: BELL_DOWN_RELAXED: the sleeper's mark is not in the total order */
    { "BELL_DOWN_RELAXED", "bell", "rt_bell_down", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: BELL_DOWN_BLIND: the sleeper does not look whether its ring was taken */
    { "BELL_DOWN_BLIND", "bell", "rt_bell_down", "load_sc", MODEL_ZERO },
    /* MUTANT: BELL_TAKE_RELAXED: the taker's mark is not in the total order */
    { "BELL_TAKE_RELAXED", "bell", "rt_bell_take", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: BELL_TAKE_BLIND: the taker does not look whether the owner sleeps */
    { "BELL_TAKE_BLIND", "bell", "rt_bell_take", "load_sc", MODEL_ZERO },
    /* MUTANT: BELL_NO_AGAIN: the taker does not ring again */
    { "BELL_NO_AGAIN", "bell", NULL, NULL, MODEL_RIGHT },
};

#include "loop/bell.h"
#include "loop/token.h"

#define READERS_MAX 2

/* A descriptor from which each reader wants `wanted` bytes. */
struct token_base {
    RT_ATOMIC(uint64_t) dir;
    RT_ATOMIC(uint32_t) tick;
    RT_ATOMIC(int)      bytes;              /* in the kernel; a lock there orders it */
    RT_ATOMIC(uint64_t) wait[READERS_MAX];  /* the name of the current wait; 0 = claimed */
    HANDLE              woken[READERS_MAX];
    rl::var<uint64_t>   by[READERS_MAX];    /* the name that woke it */

    void setup()
    {
        rt_init(&dir, 0);
        rt_init(&tick, 0);
        rt_init(&bytes, 0);
        for (int i = 0; i < READERS_MAX; i++) {
            rt_init(&wait[i], 0);
            woken[i] = CreateSemaphore(0, 0, 1, 0);
        }
    }

    void tear_down()
    {
        for (int i = 0; i < READERS_MAX; i++)
            CloseHandle(woken[i]);
    }

    struct rt_token token()
    {
        struct rt_token t = { &dir, &tick };
        return t;
    }

    /* Names: reader in the low bits, a count above. */
    bool claim(uint64_t name)
    {
        int i = (int)(name & 15) - 3;
        if (MODEL_IS("STALE_WAKE"))
            return (void)rt_xchg_sc(&wait[i], 0), true;
        return rt_cas_sc(&wait[i], &name, 0);
    }

    void deliver(int n)
    {
        (void)rt_add_acq_rel(&bytes, n);
        uint64_t name = rt_token_event(token());
        if (!rt_token_is_name(name) || !claim(name))
            return;
        by[(name & 15) - 3]($) = name;
        ReleaseSemaphore(woken[(name & 15) - 3], 1, 0);
    }

    bool read_one()
    {
        int n = rt_load_acquire(&bytes);
        while (n > 0)
            if (rt_cas_acq_rel(&bytes, &n, n - 1))
                return true;
        return false;
    }

    void drained(uint32_t seen)
    {
        if (!rt_token_drained(token(), seen) && !MODEL_IS("LATE_NO_KICK"))
            deliver(0);
    }

    /* One wait; `gives_up`: tries to end it by itself, as a timer would. */
    void wait_once(int i, uint64_t name, bool gives_up)
    {
        (void)rt_xchg_sc(&wait[i], name);
        if (rt_token_wait(token(), name)) {
            (void)rt_xchg_sc(&wait[i], 0);
            MODEL_YIELD();
            return;
        }
        uint64_t mine = name;
        if (!gives_up || !rt_cas_sc(&wait[i], &mine, 0)) {
            WaitForSingleObject(woken[i], INFINITE);
            RL_ASSERT(by[i]($) == name);
        }
        (void)rt_token_unwait(token(), name);
        RL_ASSERT(rt_load_sc(&wait[i]) == 0);
    }

    void read(int i, int wanted, bool gives_up)
    {
        uint64_t name = 16 + 3 + (uint64_t)i;
        while (wanted > 0) {
            uint32_t seen;
            if (rt_token_begin(token(), &seen)) {
                if (read_one())
                    wanted--;
                else
                    drained(seen);
                continue;
            }
            wait_once(i, name, gives_up);
            gives_up = false;
            name += 16;
        }
    }
};

/* One reader; both servers get events of the same descriptor. */
struct token_servers : rl::test_suite<token_servers, 3>, token_base {
    void before() { setup(); }
    void after() { tear_down(); }

    void thread(unsigned id)
    {
        if (id == 0)
            read(0, 2, false);
        else
            deliver(1);
    }
};

/* Two readers of one direction, of whom the first gives up its first wait. */
struct token_readers : rl::test_suite<token_readers, 3>, token_base {
    void before() { setup(); }
    void after() { tear_down(); }

    void thread(unsigned id)
    {
        if (id < 2)
            read((int)id, 1, id == 0);
        else if (rl::rand(2))
            deliver(2);
        else
            deliver(1), deliver(1);
    }
};

/* One that gives up while another one, who has had a part, waits for more. */
struct token_quitter : rl::test_suite<token_quitter, 3>, token_base {
    void before() { setup(); }
    void after() { tear_down(); }

    void thread(unsigned id)
    {
        if (id < 2)
            read((int)id, 1 + (int)id, id == 0);
        else
            deliver(1), deliver(2);
    }
};

/* One that found nothing and says so late, beside one that reads on. */
struct token_late : rl::test_suite<token_late, 3>, token_base {
    void before() { setup(); }
    void after() { tear_down(); }

    void thread(unsigned id)
    {
        uint32_t seen;
        if (id == 1)
            read(1, 2, false);
        else if (id == 2)
            deliver(2);
        else if (rt_token_begin(token(), &seen) && rt_load_acquire(&bytes) == 0)
            drained(seen);
    }
};

/* A close that leaves the descriptor open, as that of a stream with bytes unsent (get in
 * rt/net/stream_read.c): the flag first, then an event, for a reader to whom nobody sends. */
struct token_close : rl::test_suite<token_close, 2>, token_base {
    RT_ATOMIC(int) closing;

    void before()
    {
        setup();
        rt_init(&closing, 0);
    }
    void after() { tear_down(); }

    bool try_and_look()
    {
        uint32_t seen;
        bool     is_closing = rt_load_acquire(&closing);
        if (rt_token_begin(token(), &seen))
            rt_token_drained(token(), seen);
        return is_closing || (!MODEL_IS("CLOSE_EARLY") && rt_load_acquire(&closing));
    }

    void thread(unsigned id)
    {
        if (id == 1) {
            rt_store_release(&closing, 1);
            deliver(0);
            return;
        }
        for (uint64_t name = 16 + 3; !try_and_look(); name += 16)
            wait_once(0, name, false);
    }
};

/* A ring for a loop that a server polls at the same time. */
struct token_bell : rl::test_suite<token_bell, 3> {
    struct rt_bell b;
    HANDLE         edges; /* in the epoll */
    rl::var<int>   work;

    void before()
    {
        rt_init(&b.asleep, 0);
        rt_init(&b.taken, 0);
        work($) = 0;
        edges = CreateSemaphore(0, 0, 2, 0);
    }

    void after() { CloseHandle(edges); }

    void thread(unsigned id)
    {
        if (id == 0) {
            if (rt_bell_down(&b)) {
                WaitForSingleObject(edges, INFINITE);
                rt_bell_up(&b);
            }
            RL_ASSERT(work($) == 1);
        } else if (id == 1) {
            work($) = 1;
            ReleaseSemaphore(edges, 1, 0);
        } else if (WaitForSingleObject(edges, 0) == WAIT_OBJECT_0) {
            if (rt_bell_take(&b) && !MODEL_IS("BELL_NO_AGAIN"))
                ReleaseSemaphore(edges, 1, 0);
        }
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "token");
    model_random<token_servers>("servers", 600000);
    model_random<token_readers>("readers", 600000);
    model_random<token_quitter>("quitter", 400000);
    model_random<token_late>("late", 400000);
    model_random<token_close>("close", 200000);
    model_random<token_bell>("bell", 400000);
    model_bounded<token_bell>("bell", 3);
    return model_end();
}
