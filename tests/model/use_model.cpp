/* SPDX-License-Identifier: MIT */
/* The word of a descriptor's use (rt/loop/use.h) beside that of a direction (rt/loop/token.h); the
 * steps around them are those of rt/loop/fd.c, rt/aio/reader.c and rt/net/io.c. "watch": a reader
 * whose direction a task wants to wait for: once the reader has it no task waits there, also while
 * the reader has left no name; none of both is left asleep. "mark": the same where nothing else
 * orders the two. "close": callers inside, one of whom waits, and a closer: when the names have
 * been taken nobody waits who does not know; whoever is last closes, once, after everybody's last
 * access, and what is written for the next life of the number comes after that. "readers": two of
 * them and a number that gets a new life: one has a direction at a time, and keeps it.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/use_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: RESERVE_SKIP: the direction is not marked as the reader's */
    { "RESERVE_SKIP", "watch", "rt_use_reserve", "cas_acq_rel", MODEL_SKIP },
    /* MUTANT: RESERVE_LATE: the reader leaves its name, and then reserves */
    { "RESERVE_LATE", "mark", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: LEAVE_RELAXED: who finds that the reader was there need not see its mark */
    { "LEAVE_RELAXED", "mark", "rt_token_leave", "cas_sc", MODEL_RELAXED },
    /* MUTANT: LEAVE_BLIND: the reader's name in place of a task's */
    { "LEAVE_BLIND", "watch", "rt_token_leave", "cas_sc", MODEL_BLIND },
    /* MUTANT: LEAVE_SPLIT: a task's name left between the look and the store is lost */
    { "LEAVE_SPLIT", "watch", "rt_token_leave", "cas_sc", MODEL_SPLIT },
    /* MUTANT: LEAVE_QUIET: the reader does not have the kernel look again */
    { "LEAVE_QUIET", "watch", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: WAIT_RELAXED: the task does not acquire what was before its turn in the direction */
    { "WAIT_RELAXED", "mark", "rt_token_wait", "cas_sc", MODEL_RELAXED },
    /* MUTANT: WAIT_BLIND: the task does not look whether the direction is a reader's */
    { "WAIT_BLIND", "watch", "rt_use_wait", "load_acquire", MODEL_ZERO },
    /* MUTANT: WAIT_EARLY: it looks, and then leaves its name */
    { "WAIT_EARLY", "mark", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: WAIT_KEEPS: the name of a task that is refused stays */
    { "WAIT_KEEPS", "watch", "rt_token_unwait", "cas_sc", MODEL_SKIP },
    /* MUTANT: REFUSED_TWICE: a task that was claimed is refused all the same */
    { "REFUSED_TWICE", "watch", "rt_token_unwait", "cas_sc", MODEL_BLIND },
    /* MUTANT: CLOSE_UNSEEN: who is about to wait does not look whether it is being closed */
    { "CLOSE_UNSEEN", "close", "rt_use_wait", "load_acquire", MODEL_ZERO },
    /* MUTANT: CLOSE_SKIP: nobody is told that it is being closed */
    { "CLOSE_SKIP", "close", "rt_use_close", "cas_acq_rel", MODEL_SKIP },
    /* MUTANT: CLOSE_SPLIT: who enters or leaves at that moment is miscounted */
    { "CLOSE_SPLIT", "close", "rt_use_close", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: SWEEP_SKIP: the closer does not take the names */
    { "SWEEP_SKIP", "close", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: SWEEP_FIRST: it takes them, and then says that it closes */
    { "SWEEP_FIRST", "close", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: SWEEP_RELAXED: who comes after it need not see that it closes */
    { "SWEEP_RELAXED", "close", "rt_token_put", "xchg_sc", MODEL_RELAXED },
    /* MUTANT: SETTLE_RELAXED: what is written for the next life meets who reads of this one */
    { "SETTLE_RELAXED", "close", "rt_use_settle", "add_acq_rel", MODEL_RELAXED },
    /* MUTANT: ENTER_SPLIT: two enter, one is counted */
    { "ENTER_SPLIT", "close", "rt_use_enter", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: ENTER_SKIP: nobody is counted */
    { "ENTER_SKIP", "close", "rt_use_enter", "cas_acq_rel", MODEL_SKIP },
    /* MUTANT: RESUME_SPLIT: one enters, and one enters again */
    { "RESUME_SPLIT", "close", "rt_use_resume", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: OUT_RELAXED: the last one does not see the others' last accesses */
    { "OUT_RELAXED", "close", "rt_use_leave", "sub_acq_rel", MODEL_RELAXED },
    /* MUTANT: OUT_SPLIT: two leave, one is counted */
    { "OUT_SPLIT", "close", "rt_use_leave", "sub_acq_rel", MODEL_SPLIT },
    /* MUTANT: CLOSED_QUIET: a late caller waits for what is closed */
    { "CLOSED_QUIET", "close", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: RESERVE_BLIND: two readers have the direction, or a count is overwritten */
    { "RESERVE_BLIND", "readers", "rt_use_reserve", "cas_acq_rel", MODEL_BLIND },
    /* MUTANT: RESERVE_SPLIT: two readers have the direction */
    { "RESERVE_SPLIT", "readers", "rt_use_reserve", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: RESERVE_OLD: of another descriptor */
    { "RESERVE_OLD", "readers", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: UNRESERVE_OLD: of another descriptor */
    { "UNRESERVE_OLD", "readers", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: UNRESERVE_SPLIT: what changes meanwhile is undone */
    { "UNRESERVE_SPLIT", "readers", "rt_use_unreserve", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: UNRESERVE_SKIP: the mark stays */
    { "UNRESERVE_SKIP", "readers", "rt_use_unreserve", "cas_acq_rel", MODEL_SKIP },
    /* MUTANT: OWN_SPLIT: who leaves at that moment is counted for ever */
    { "OWN_SPLIT", "readers", "rt_use_own", "cas_acq_rel", MODEL_SPLIT },
};

#include "loop/use.h"

enum { READER, TASK, KERNEL, WAITERS = 2, BYTES = 2 };

/* One direction of one descriptor, and who waits for it. */
struct use_base {
    RT_ATOMIC(uint64_t) use;
    RT_ATOMIC(uint64_t) dir;
    RT_ATOMIC(uint32_t) tick;
    RT_ATOMIC(uint64_t) wait[WAITERS]; /* the name of the current wait; 0 = claimed */
    HANDLE              woken[WAITERS];
    int                 value[WAITERS]; /* what it was claimed with                     */
    uint64_t            asleep;         /* the name of a task that waits, and has looked */
    bool                mine;           /* the reader has the direction                  */
    unsigned            names;          /* of its waits                                  */
    rl::mutex           lock;           /* the kernel's */
    int                 bytes;          /* likewise     */

    void setup()
    {
        rt_init(&use, RT_FD_OWNED | (uint64_t)1 << RT_FD_GEN_BIT);
        rt_init(&dir, 0);
        rt_init(&tick, 0);
        for (int i = 0; i < WAITERS; i++) {
            rt_init(&wait[i], 0);
            woken[i] = CreateSemaphore(0, 0, 1, 0);
            value[i] = 0;
        }
        asleep = 0;
        mine = false;
        names = 0;
        bytes = 0;
    }

    void tear_down()
    {
        for (int i = 0; i < WAITERS; i++)
            CloseHandle(woken[i]);
    }

    struct rt_token token()
    {
        struct rt_token t = { &dir, &tick };
        return t;
    }

    /* What is there now, whoever looks; orders nothing. */
    uint64_t latest(RT_ATOMIC(uint64_t) *word) { return word->fetch_add(0, rl::mo_relaxed, $); }

    /* Names: who in the low bits, a count above. */
    static uint64_t name_of(int who, unsigned n) { return 16 * (n + 1) + 3 + (uint64_t)who; }

    void claim(uint64_t name, int why)
    {
        int who = (int)(name & 15) - 3;
        if (!rt_token_is_name(name) || !rt_cas_sc(&wait[who], &name, 0))
            return;
        value[who] = why;
        ReleaseSemaphore(woken[who], 1, 0);
    }

    void event() { claim(rt_token_event(token()), 0); }

    /* How many bytes there are now, `n` more. */
    int kernel(int n)
    {
        lock.lock($);
        int now = bytes += n;
        lock.unlock($);
        return now;
    }

    /* Some threads are slower: random schedules alone keep them abreast. */
    void pause(unsigned most)
    {
        for (unsigned n = rl::rand(most); n > 0; n--)
            MODEL_YIELD();
    }

    /* Nobody waits for a direction that is a reader's. */
    void look()
    {
        uint64_t there = latest(&dir);
        RL_ASSERT(!(mine && asleep && there == asleep));
    }

    /* rt_use_wait with its steps swapped. */
    int wait_early(uint64_t name)
    {
        uint64_t word = rt_load_acquire(&use);
        pause(16);
        if (rt_token_wait(token(), name))
            return 1;
        if (!(word & (RT_FD_CLOSING | RT_FD_WATCHED(RT_DIR_IN))))
            return 0;
        return rt_token_unwait(token(), name) ? -EBUSY : 0;
    }

    /* As rt_io_wait, as far as to the wait. */
    int leave_name(uint64_t name)
    {
        (void)rt_xchg_sc(&wait[TASK], name);
        int r = MODEL_IS("WAIT_EARLY") ? wait_early(name)
                                       : rt_use_wait(&use, token(), RT_DIR_IN, name);
        if (r != 0) /* then nobody has claimed it */
            RL_ASSERT(rt_cas_sc(&wait[TASK], &name, 0));
        else
            asleep = name;
        return r;
    }

    int leave_reader()
    {
        uint64_t name = name_of(READER, names++);
        (void)rt_xchg_sc(&wait[READER], name);
        if (rt_token_leave(token(), name))
            return 0;
        return rt_cas_sc(&wait[READER], &name, 0) ? -EBUSY : 0;
    }

    void sleep(uint64_t name)
    {
        WaitForSingleObject(woken[TASK], INFINITE);
        asleep = 0;
        (void)rt_token_unwait(token(), name);
    }
};

/* A reader that reads what comes, then removes itself; a task that looks whether anything is there;
 * and the kernel, which tells of each byte, and of other things. */
struct use_watch : rl::test_suite<use_watch, 3>, use_base {
    RT_ATOMIC(int) over; /* nothing will come any more */

    void before()
    {
        setup();
        rt_init(&over, 0);
    }
    void after() { tear_down(); }

    /* arm of rt/aio/reader.c. */
    int arm()
    {
        int r = leave_reader();
        if (r == 0 && !MODEL_IS("LEAVE_QUIET") && kernel(0) > 0)
            event();
        return r;
    }

    void add()
    {
        for (;;) {
            RL_ASSERT(rt_use_reserve(&use, RT_DIR_IN, 1) == 0);
            if (arm() == 0)
                break;
            rt_use_unreserve(&use, RT_DIR_IN, 1);
            MODEL_YIELD();
        }
        mine = true;
        look();
    }

    /* In its callback it tries as any call does. */
    bool try_one()
    {
        uint32_t seen;
        if (!rt_token_begin(token(), &seen))
            return false;
        lock.lock($);
        bool got = bytes > 0;
        bytes -= got;
        lock.unlock($);
        if (!got && !rt_token_drained(token(), seen))
            event();
        return got;
    }

    void reader()
    {
        add();
        for (int got = 0; got < BYTES;) {
            WaitForSingleObject(woken[READER], INFINITE);
            while (got < BYTES && try_one())
                got++;
            pause(6);
            look();
            while (got < BYTES && arm() == -EBUSY)
                MODEL_YIELD();
        }
        mine = false;
        rt_use_unreserve(&use, RT_DIR_IN, 1);
        rt_store_release(&over, 1);
        event();
    }

    void task()
    {
        for (unsigned n = 0, refused = 0; refused < 2; n++) {
            uint32_t seen;
            if (rt_token_begin(token(), &seen) && kernel(0) == 0 &&
                !rt_token_drained(token(), seen))
                event();
            if (rt_load_acquire(&over))
                return;
            uint64_t name = name_of(TASK, n);
            pause(16);
            int r = leave_name(name);
            look();
            if (r == 0)
                sleep(name);
            refused += r == -EBUSY;
        }
    }

    void thread(unsigned id)
    {
        switch (id) {
        case READER:
            reader();
            break;
        case TASK:
            task();
            break;
        default:
            for (int i = 0; i < BYTES; i++) {
                if (rl::rand(2))
                    event();
                (void)kernel(1);
                event();
            }
        }
    }
};

/* The beginning of that alone, in which nothing but the two words orders anything: the reader adds
 * itself and tries, the task has tried and is about to wait; events tell of other things. */
struct use_mark : rl::test_suite<use_mark, 3>, use_base {
    void before() { setup(); }
    void after() { tear_down(); }

    void try_one()
    {
        uint32_t seen;
        if (rt_token_begin(token(), &seen) && !rt_token_drained(token(), seen))
            event();
    }

    void reader()
    {
        if (!MODEL_IS("RESERVE_LATE"))
            RL_ASSERT(rt_use_reserve(&use, RT_DIR_IN, 1) == 0);
        bool left = leave_reader() == 0;
        if (MODEL_IS("RESERVE_LATE"))
            RL_ASSERT(rt_use_reserve(&use, RT_DIR_IN, 1) == 0);
        mine = left;
        if (latest(&wait[READER]) == 0)
            try_one();
        look();
    }

    void thread(unsigned id)
    {
        switch (id) {
        case READER:
            reader();
            break;
        case TASK:
            try_one();
            (void)leave_name(name_of(TASK, 0));
            look();
            break;
        default:
            event();
        }
    }
};

/* Nothing ever comes. */
struct use_close : rl::test_suite<use_close, 3>, use_base {
    rl::var<int>   number; /* 1: open. Late callers, who may find another one there, do not look */
    RT_ATOMIC(int) open;   /* what the kernel tells them                                         */
    rl::var<int>   kind;   /* of the record, by its life                                         */
    bool           swept;
    int            closed;

    void before()
    {
        setup();
        number($) = 1;
        rt_init(&open, 1);
        kind($) = 1;
        swept = false;
        closed = 0;
    }

    void after()
    {
        RL_ASSERT(closed == 1 && (rt_load_relaxed(&use) & RT_FD_CALLS_MASK) == 0);
        tear_down();
    }

    void leave()
    {
        if (!rt_use_leave(&use))
            return;
        rt_use_closed(&use);
        RL_ASSERT(closed++ == 0);
        number($) = 0;
        (void)rt_xchg_acq_rel(&open, 0);
        if (!MODEL_IS("CLOSED_QUIET"))
            event();
    }

    bool is_open(uint32_t generation)
    {
        return generation == 1 ? number($) == 1 : rt_load_acquire(&open) == 1;
    }

    bool is_lost()
    {
        uint64_t there = latest(&dir);
        return swept && asleep && there == asleep && (latest(&use) & RT_FD_CLOSING);
    }

    void task()
    {
        uint64_t word;
        if (!rt_use_enter(&use, &word))
            return;
        for (unsigned n = 0; is_open(rt_use_generation(word)); n++) {
            uint32_t seen;
            uint64_t name = name_of(TASK, n);
            if (rt_token_begin(token(), &seen)) {
                if (!is_open(rt_use_generation(word)))
                    break;
                if (!rt_token_drained(token(), seen))
                    event();
            }
            int r = leave_name(name);
            RL_ASSERT(!is_lost());
            if (r < 0)
                break;
            if (r > 0)
                continue;
            leave();
            sleep(name);
            if (value[TASK] == EBADF || !rt_use_resume(&use, rt_use_generation(word)))
                return;
        }
        leave();
    }

    void close()
    {
        if (MODEL_IS("SWEEP_FIRST"))
            claim(rt_token_put(token(), 0), EBADF);
        RL_ASSERT(rt_use_close(&use, NULL) == 0);
        if (!MODEL_IS("SWEEP_FIRST") && !MODEL_IS("SWEEP_SKIP"))
            claim(rt_token_put(token(), 0), EBADF);
        swept = true;
        RL_ASSERT(!is_lost());
        leave();
        while (rt_load_relaxed(&open)) /* relaxed: that a number is free orders nothing */
            MODEL_YIELD();
        rt_use_settle(&use);
        kind($) = 2;
        (void)rt_use_own(&use);
    }

    void caller()
    {
        uint64_t word;
        for (int i = 0; i < 2 && rt_use_enter(&use, &word); i++) {
            bool open_now = is_open(rt_use_generation(word));
            RL_ASSERT(open_now || rt_use_generation(word) != 1);
            RL_ASSERT(rt_use_generation(word) != 1 || kind($) == 1);
            leave();
            if (rl::rand(2))
                event();
        }
    }

    void thread(unsigned id)
    {
        switch (id) {
        case 0:
            close();
            break;
        case TASK:
            task();
            break;
        default:
            caller();
        }
    }
};

/* The third thread closes the number and gives it a new life. */
struct use_readers : rl::test_suite<use_readers, 3>, use_base {
    int owners[8]; /* of the direction, by generation */

    void before()
    {
        setup();
        memset(owners, 0, sizeof owners);
    }

    void after()
    {
        uint64_t word = latest(&use);
        RL_ASSERT(!(word & (RT_FD_CALLS_MASK | RT_FD_WATCHED(RT_DIR_IN))));
        tear_down();
    }

    void leave()
    {
        if (rt_use_leave(&use))
            rt_use_closed(&use);
    }

    /* Those of the word as it is. */
    uint32_t generation(uint32_t mine)
    {
        return MODEL_IS("UNRESERVE_OLD") ? rt_use_generation(rt_load_acquire(&use)) : mine;
    }

    void check(uint32_t mine)
    {
        uint64_t word = latest(&use);
        RL_ASSERT(owners[mine] == 1);
        RL_ASSERT(rt_use_generation(word) != mine || (word & RT_FD_WATCHED(RT_DIR_IN)));
    }

    void reader()
    {
        uint64_t word;
        if (!rt_use_enter(&use, &word))
            return;
        uint32_t mine = rt_use_generation(word);
        if (MODEL_IS("RESERVE_OLD"))
            word = rt_load_acquire(&use);
        int r = rt_use_reserve(&use, RT_DIR_IN, rt_use_generation(word));
        if (r == 0)
            RL_ASSERT(rt_use_generation(word) == mine && owners[mine]++ == 0);
        leave();
        if (r < 0)
            return;
        check(mine);
        MODEL_YIELD();
        check(mine);
        owners[mine]--;
        rt_use_unreserve(&use, RT_DIR_IN, generation(mine));
    }

    void thread(unsigned id)
    {
        if (id == 2) {
            uint64_t word;
            RL_ASSERT(rt_use_close(&use, NULL) == 0);
            leave();
            MODEL_YIELD();
            if (!(latest(&use) & RT_FD_CLOSING)) /* else the number is not free yet */
                (void)rt_use_own(&use);
            return;
        }
        for (int i = 0; i < 2; i++)
            reader();
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "use");
    model_random<use_watch>("watch", 200000);
    model_random<use_mark>("mark", 200000);
    model_random<use_close>("close", 200000);
    model_random<use_readers>("readers", 100000);
    return model_end();
}
