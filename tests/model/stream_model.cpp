/* SPDX-License-Identifier: MIT */
/* Streams (rt/net/stream_turn.h): users that write, close, abort and leave, and a worker that runs
 * flushing tasks or drops them unstarted; a task cannot always be spawned. The steps around the
 * header are those of rt/net/stream*.c. One at a time sends; every byte that was taken is sent, or
 * thrown away with an error; nobody ends the stream but its last user, an abort or a close, and it
 * is closed once; the memory is freed once, by the last reference, after everybody's last access.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/stream_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"
#include "model_var.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: LEAVE_RELAXED: the last user does not see the others' last accesses */
    { "LEAVE_RELAXED", "users", "rt_stream_refs_leave", "sub_acq_rel", MODEL_RELAXED },
    /* MUTANT: LEAVE_SPLIT: two users leave, one is counted */
    { "LEAVE_SPLIT", "users", "rt_stream_refs_leave", "sub_acq_rel", MODEL_SPLIT },
    /* MUTANT: JOIN_SKIP: the second user is not counted */
    { "JOIN_SKIP", "users", "rt_stream_refs_join", "add_relaxed", MODEL_SKIP },
    /* MUTANT: DROP_RELAXED: the one who frees does not see the last accesses of the task */
    { "DROP_RELAXED", "users", "rt_stream_refs_drop", "sub_acq_rel", MODEL_RELAXED },
    /* MUTANT: DROP_SPLIT: two references dropped, one counted */
    { "DROP_SPLIT", "users", "rt_stream_refs_drop", "sub_acq_rel", MODEL_SPLIT },
    /* MUTANT: HOLD_SKIP: the flushing task has no reference */
    { "HOLD_SKIP", "users", "rt_stream_refs_hold", "add_relaxed", MODEL_SKIP },
    /* MUTANT: UNHOLD_SKIP: the reference of a task that there is not stays */
    { "UNHOLD_SKIP", "users", "rt_stream_refs_unhold", "sub_relaxed", MODEL_SKIP },
    /* MUTANT: TAKE_BLIND: the turn is taken though somebody has it */
    { "TAKE_BLIND", "users", "rt_stream_turn_take", "get t->sending", MODEL_ZERO },
    /* MUTANT: NEXT_KEEPS: the turn is not given back */
    { "NEXT_KEEPS", "users", "rt_stream_turn_next", "set t->sending", MODEL_SKIP },
    /* MUTANT: NEXT_TWICE: the turn is given back in a later step than that of the last look */
    { "NEXT_TWICE", "users", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: NEXT_NO_LOCK: the holder looks without the lock */
    { "NEXT_NO_LOCK", "users", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: NEXT_OPEN: the holder does not see that the stream was closed meanwhile */
    { "NEXT_OPEN", "users", "rt_stream_turn_next", "get t->closing", MODEL_ZERO },
    /* MUTANT: CLOSE_QUIET: the last user goes and closes nothing */
    { "CLOSE_QUIET", "users", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: SHUT_TWICE: the end of sending is sent again */
    { "SHUT_TWICE", "users", "rt_stream_turn_next", "set t->eof_sent", MODEL_SKIP },
    /* MUTANT: ABORT_AGAIN: an abort closes what is closed */
    { "ABORT_AGAIN", "users", "rt_stream_turn_abort", "get t->closed", MODEL_ZERO },
    /* MUTANT: NOTE_FORGETS: a task dropped in a stream being closed leaves its bytes lying */
    { "NOTE_FORGETS", "users", "rt_stream_turn_note", "set t->error", MODEL_SKIP },
};

#include "net/stream_turn.h"

struct stream_users : rl::test_suite<stream_users, 3> {
    struct rt_stream_refs refs;
    struct rt_stream_turn turn;
    rl::mutex             lock;
    rl::var<int>          memory;  /* the object: 1, 0 once it is freed    */
    rl::var<int>          unsent;  /* bytes in the queue; under the lock   */
    rl::var<int>          wire;    /* the descriptor; holder of the turn   */
    rl::atomic<int>       tasks;   /* spawned and not begun                */
    rl::atomic<int>       second;  /* the second user has a reference      */
    int                   left;    /* users that have gone                 */
    int                   taken, sent, thrown; /* bytes                    */
    int                   shut, closed, freed;

    void before()
    {
        rt_stream_refs_init(&refs);
        RT_VAR_SET(turn.sending, false);
        RT_VAR_SET(turn.eof_wanted, false);
        RT_VAR_SET(turn.eof_sent, false);
        RT_VAR_SET(turn.closing, false);
        RT_VAR_SET(turn.closed, false);
        RT_VAR_SET(turn.error, 0);
        RT_VAR_SET(memory, 1);
        RT_VAR_SET(unsent, 0);
        RT_VAR_SET(wire, 0);
        rt_init(&tasks, 0);
        rt_init(&second, 0);
        left = taken = sent = thrown = shut = closed = freed = 0;
    }

    void after()
    {
        RL_ASSERT(freed == 1 && closed == 1 && shut <= 1);
        RL_ASSERT(taken == sent + thrown);
    }

    void use() { RL_ASSERT(RT_VAR_GET(memory) == 1); }

    void acquire()
    {
        use();
        lock.lock($);
    }

    void release()
    {
        lock.unlock($);
        use();
    }

    void unref()
    {
        use();
        if (!rt_stream_refs_drop(&refs))
            return;
        RL_ASSERT(freed++ == 0);
        RT_VAR_SET(memory, 0);
    }

    /* By the holder of the turn: one byte, or none. */
    int put()
    {
        use();
        RT_VAR_SET(wire, RT_VAR_GET(wire) + 1);
        return (int)rl::rand(2);
    }

    int check()
    {
        if (RT_VAR_GET(turn.closing))
            return -EBADF;
        return RT_VAR_GET(turn.eof_wanted) ? -EPIPE : RT_VAR_GET(turn.error);
    }

    void shut_down()
    {
        use();
        RT_VAR_SET(wire, RT_VAR_GET(wire) + 1);
        RL_ASSERT(RT_VAR_GET(wire) > 0 && shut++ == 0);
    }

    void note_closed()
    {
        use();
        RT_VAR_SET(wire, RT_VAR_GET(wire) + 1);
        RL_ASSERT(closed++ == 0);
        acquire();
        RL_ASSERT(RT_VAR_GET(unsent) == 0);
        rt_stream_turn_closed(&turn);
        release();
    }

    enum rt_stream_next look(int r)
    {
        enum rt_stream_next next;
        rt_stream_turn_note(&turn, r, RT_VAR_GET(unsent) > 0);
        if (RT_VAR_GET(turn.error)) {
            thrown += RT_VAR_GET(unsent);
            RT_VAR_SET(unsent, 0);
        }
        next = rt_stream_turn_next(&turn, r, RT_VAR_GET(unsent) > 0);
        if (MODEL_IS("NEXT_TWICE") && next == RT_STREAM_NOTHING) {
            RT_VAR_SET(turn.sending, true);
            release();
            acquire();
            RT_VAR_SET(turn.sending, false);
        }
        return next;
    }

    /* rt_stream_settle */
    bool settle(int r)
    {
        for (;;) {
            enum rt_stream_next next;
            if (MODEL_IS("NEXT_NO_LOCK")) {
                next = look(r);
            } else {
                acquire();
                next = look(r);
                release();
            }
            if (next == RT_STREAM_CLOSE)
                note_closed();
            if (next != RT_STREAM_SHUT)
                return next == RT_STREAM_SEND;
            shut_down();
            r = 0;
        }
    }

    /* flush_main, or never_flushed */
    void task(bool starts)
    {
        if (starts) {
            do {
                for (;;) {
                    acquire();
                    bool any = RT_VAR_GET(unsent) > 0;
                    release();
                    if (!any)
                        break;
                    if (!put())
                        continue; /* waits, and tries again */
                    acquire();
                    if (RT_VAR_GET(unsent) > 0) { /* not aborted meanwhile */
                        RT_VAR_SET(unsent, RT_VAR_GET(unsent) - 1);
                        sent++;
                    }
                    release();
                }
            } while (settle(0));
        } else {
            RL_ASSERT(!settle(-ECANCELED));
        }
        unref();
    }

    /* rt_stream_hand_over */
    int hand_over()
    {
        rt_stream_refs_hold(&refs);
        if (rl::rand(3) == 0) {
            rt_stream_refs_unhold(&refs);
            return -ENOMEM;
        }
        rt_add_acq_rel(&tasks, 1);
        return 0;
    }

    /* rt_stream_flush */
    void flush()
    {
        acquire();
        bool mine = RT_VAR_GET(unsent) > 0 && rt_stream_turn_take(&turn);
        release();
        int r = mine ? hand_over() : 0;
        if (r < 0)
            RL_ASSERT(!settle(r));
    }

    void enqueue(bool in_front)
    {
        acquire();
        int r = in_front ? RT_VAR_GET(turn.error) : check();
        if (r == 0)
            RT_VAR_SET(unsent, RT_VAR_GET(unsent) + 1);
        else
            taken--;
        release();
    }

    /* skua_stream_write, of one byte; in a callback nothing is tried at once */
    void write(bool in_task)
    {
        bool mine = false;
        acquire();
        if (in_task)
            mine = RT_VAR_GET(unsent) == 0 && check() == 0 && rt_stream_turn_take(&turn);
        release();
        taken++;
        if (!mine) {
            enqueue(false);
            flush();
            return;
        }
        if (put())
            sent++;
        else
            enqueue(true);
        if (settle(0) && hand_over() < 0)
            RL_ASSERT(!settle(-ENOMEM));
    }

    void write_eof()
    {
        acquire();
        bool mine = !RT_VAR_GET(turn.eof_wanted) && check() == 0 && rt_stream_turn_take(&turn);
        if (check() == 0)
            RT_VAR_SET(turn.eof_wanted, true);
        release();
        if (mine && settle(0) && hand_over() < 0)
            RL_ASSERT(!settle(-ENOMEM));
    }

    void close()
    {
        bool first;
        acquire();
        bool mine = rt_stream_turn_close(&turn, &first);
        release();
        if (mine && settle(0) && hand_over() < 0)
            RL_ASSERT(!settle(-ENOMEM));
    }

    void abort()
    {
        acquire();
        bool mine = rt_stream_turn_abort(&turn, RT_VAR_GET(unsent) > 0);
        release();
        if (mine)
            RL_ASSERT(!settle(0));
    }

    /* skua_stream_release */
    void leave()
    {
        use();
        if (rt_stream_refs_leave(&refs)) {
            if (!MODEL_IS("CLOSE_QUIET"))
                close();
            unref();
        }
        left++;
    }

    void user()
    {
        write(rl::rand(2));
        switch (rl::rand(5)) {
        case 0:
            close();
            break;
        case 1:
            abort();
            break;
        case 2:
            write_eof();
            break;
        default:
            write(true);
        }
        leave();
    }

    bool take_task()
    {
        int n = rt_load_acquire(&tasks);
        return n > 0 && rt_cas_acq_rel(&tasks, &n, n - 1);
    }

    void worker()
    {
        for (;;) {
            bool over = left == 2;
            if (take_task())
                task(rl::rand(4) > 0);
            else if (over)
                return;
            else
                MODEL_YIELD();
        }
    }

    void thread(unsigned id)
    {
        switch (id) {
        case 0:
            rt_stream_refs_join(&refs);
            rt_store_release(&second, 1);
            user();
            break;
        case 1:
            while (!rt_load_acquire(&second))
                MODEL_YIELD();
            user();
            break;
        default:
            worker();
        }
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "stream");
    model_random<stream_users>("users", 300000);
    return model_end();
}
