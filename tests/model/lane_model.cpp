/* SPDX-License-Identifier: MIT */
/* Lanes (rt/aio/lane.h): calls that are queued, cancelled, interrupted, waited for and left, by
 * threads that come and go, until the lane is closed. Each call starts at most once, and never
 * after it was withdrawn; each one that was queued is settled once, and its last reference is
 * dropped once; who waits is woken; no signal is sent to a thread whose call has left it; every
 * thread is joined once or left alone; nobody sleeps for ever.
 *
 * The mutex and the condition are Relacy's, with spurious wakes and with time running out at any
 * moment. The fields under the mutex are watched for races. A mutant is a lock that is not taken, a
 * wake that is not given, or a field that is not written or read wrongly in one function.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/lane_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "lane_world.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: PUSH_NO_LOCK: queueing without the mutex */
    { "PUSH_NO_LOCK", "calls", "rt_lane_push", "lock", MODEL_SKIP },
    /* MUTANT: WITHDRAW_NO_LOCK: withdrawing without the mutex */
    { "WITHDRAW_NO_LOCK", "calls", "rt_lane_withdraw", "lock", MODEL_SKIP },
    /* MUTANT: RENAME_NO_LOCK: naming a wait without the mutex */
    { "RENAME_NO_LOCK", "calls", "rt_lane_rename", "lock", MODEL_SKIP },
    /* MUTANT: UNREF_NO_LOCK: dropping a reference without the mutex */
    { "UNREF_NO_LOCK", "calls", "rt_lane_unref", "lock", MODEL_SKIP },
    /* MUTANT: FINISH_NO_LOCK: a call leaves its seat without the mutex */
    { "FINISH_NO_LOCK", "nag", "rt_lane_finish", "lock", MODEL_SKIP },
    /* MUTANT: NAG_NO_LOCK: signals are sent without the mutex */
    { "NAG_NO_LOCK", "nag", "rt_lane_nag", "lock", MODEL_SKIP },
    /* MUTANT: CLOSE_NO_LOCK: closing without the mutex */
    { "CLOSE_NO_LOCK", "stop", "rt_lane_close", "lock", MODEL_SKIP },
    /* MUTANT: PUSH_QUIET: nobody is woken for a call */
    { "PUSH_QUIET", "idle", "rt_lane_wake", "signal", MODEL_SKIP },
    /* MUTANT: PUSH_WAKES_ONE: one is woken, and it may be a watcher */
    { "PUSH_WAKES_ONE", "idle", "rt_lane_wake", "get lane->watchers", MODEL_ZERO },
    /* MUTANT: END_QUIET: the end of calls and threads wakes nobody */
    { "END_QUIET", "stop", "rt_lane_wake_watchers", "broadcast", MODEL_SKIP },
    /* MUTANT: CLOSE_QUIET: idle threads do not hear of the end */
    { "CLOSE_QUIET", "idle", "rt_lane_close", "broadcast", MODEL_SKIP },
    /* MUTANT: WITHDRAW_BLIND: a call that runs or ran is withdrawn all the same */
    { "WITHDRAW_BLIND", "calls", "rt_lane_withdraw", "get item->state", MODEL_BLIND },
    /* MUTANT: WITHDRAW_KEEPS: a withdrawn call is still queued by its state */
    { "WITHDRAW_KEEPS", "calls", "rt_lane_withdraw", "set item->state", MODEL_SKIP },
    /* MUTANT: WITHDRAW_UNCOUNTED: the queue is thought to be longer than it is */
    { "WITHDRAW_UNCOUNTED", "calls", "rt_lane_withdraw", "set lane->queued", MODEL_SKIP },
    /* MUTANT: RENAME_BLIND: somebody waits for what is done */
    { "RENAME_BLIND", "calls", "rt_lane_rename", "get item->state", MODEL_BLIND },
    /* MUTANT: PULL_KEEPS: a call that runs is still queued by its state */
    { "PULL_KEEPS", "calls", "rt_lane_pull", "set item->state", MODEL_SKIP },
    /* MUTANT: PULL_UNCOUNTED: a thread that works counts as idle */
    { "PULL_UNCOUNTED", "meet", "rt_lane_pull", "set lane->idle", MODEL_SKIP },
    /* MUTANT: ENTER_UNCOUNTED: a thread that is about to begin is not counted as idle */
    { "ENTER_UNCOUNTED", "meet", "rt_lane_enter", "set lane->idle", MODEL_SKIP },
    /* MUTANT: LEAVE_UNCOUNTED: a thread that left is counted */
    { "LEAVE_UNCOUNTED", "calls", "rt_lane_pull", "set lane->count", MODEL_SKIP },
    /* MUTANT: NO_CATCH_UP: calls without a thread wait for the next call */
    { "NO_CATCH_UP", "short", "rt_lane_pull", "get lane->is_short", MODEL_ZERO },
    /* MUTANT: SHORT_FORGOTTEN: that a thread could not be made is not noted */
    { "SHORT_FORGOTTEN", "short", "rt_lane_staff", "set lane->is_short", MODEL_SKIP },
    /* MUTANT: STAFF_BLIND: a thread that cannot be made is an error, though others are there */
    { "STAFF_BLIND", "short", "rt_lane_staff", "get lane->count", MODEL_ZERO },
    /* MUTANT: FINISH_KEEPS_SEAT: a call that has returned keeps its seat */
    { "FINISH_KEEPS_SEAT", "nag", "rt_lane_finish", "set seat->item", MODEL_SKIP },
    /* MUTANT: FINISH_KEEPS_STATE: a call that has returned still runs by its state */
    { "FINISH_KEEPS_STATE", "calls", "rt_lane_finish", "set item->state", MODEL_SKIP },
    /* MUTANT: NAG_ONCE: a signal is never repeated */
    { "NAG_ONCE", "nag", "rt_lane_nag", "set item->nag_at", MODEL_BLIND },
    /* MUTANT: NAG_UNSEEN: the thread does not know that a signal may be pending */
    { "NAG_UNSEEN", "nag", "rt_lane_nag", "set item->hit", MODEL_SKIP },
    /* MUTANT: CLOSE_OPEN: calls are taken after the end */
    { "CLOSE_OPEN", "stop", "rt_lane_close", "set lane->closed", MODEL_SKIP },
    /* MUTANT: CLOSE_KEEPS: what was queued at the end can still be withdrawn */
    { "CLOSE_KEEPS", "stop", "rt_lane_close", "set item->state", MODEL_SKIP },
    /* MUTANT: PUSH_CLOSED: a call is queued after the end */
    { "PUSH_CLOSED", "stop", "rt_lane_push", "get lane->closed", MODEL_ZERO },
    /* MUTANT: FORGET_KEEPS: a thread that was given up does not learn it */
    { "FORGET_KEEPS", "stop", "rt_lane_forget", "set seat->forgotten", MODEL_SKIP },
    /* MUTANT: FORGET_UNCOUNTED: a thread that was given up is waited for */
    { "FORGET_UNCOUNTED", "stop", "rt_lane_forget", "set lane->count", MODEL_SKIP },
    /* MUTANT: FINISH_BLIND: a thread that was given up delivers its result */
    { "FINISH_BLIND", "stop", "rt_lane_finish", "get seat->forgotten", MODEL_ZERO },
};

/* Two callers and a thread that may leave between calls: cancelled while queued, while it runs and
 * when it is over; waited for as tasks do and by blocking. */
struct lane_calls : rl::test_suite<lane_calls, 4>, lane_base {
    rl::atomic<int> callers;

    void before()
    {
        begin(1);
        timed = true;
        callers.store(2, rl::mo_relaxed, $);
    }
    void after() { finish(); }

    void caller_ended()
    {
        if (callers.fetch_sub(1, rl::mo_acq_rel, $) != 1)
            return;
        check_empty();
        stop();
        join(rt_lane_drain(&lane, UINT64_MAX, give_up));
        end();
    }

    void thread(unsigned id)
    {
        if (id < 2) {
            pool_thread((int)id);
            return;
        }
        if (id == 2) {
            push(calls[0], 1);
            cancel(calls[0], false);
            release(calls[0]);
            push(calls[1], 0);
            rt_lane_block(&lane, &calls[1].item);
            release(calls[1]);
        } else {
            push(calls[2], 1);
            await(calls[2]);
            release(calls[2]);
        }
        caller_ended();
    }
};

/* A thread that is idle between calls, beside somebody who blocks until the last one is done. */
struct lane_idle : rl::test_suite<lane_idle, 3>, lane_base {
    void before()
    {
        begin(1);
        in_slot[1] = in_slot[2] = SEATS;
    }
    void after() { finish(); }

    void thread(unsigned id)
    {
        if (id == 0) {
            pool_thread(0);
        } else if (id == 1) {
            rt_lane_block(&lane, &calls[2].item);
        } else {
            for (int i = 0; i < CALLS; i++) {
                push(calls[i], 1);
                await(calls[i]);
            }
            for (int i = 0; i < CALLS; i++)
                release(calls[i]);
            stop();
            join(rt_lane_drain(&lane, UINT64_MAX, give_up));
            end();
        }
    }
};

/* As lane_base, but slot 2 has no thread: two are enough for a bound of one or two. */
#define NO_THIRD_SLOT() (in_slot[2] = SEATS)

/* Two calls that end only when both run. */
struct lane_meet : rl::test_suite<lane_meet, 3>, lane_base {
    void before()
    {
        begin(2);
        NO_THIRD_SLOT();
        wants_meeting = true;
        meeting = 2;
    }
    void after() { finish(); }

    void thread(unsigned id)
    {
        if (id < 2) {
            pool_thread((int)id);
            return;
        }
        push(calls[0], 1);
        push(calls[1], 1);
        await(calls[0]);
        await(calls[1]);
        release(calls[0]);
        release(calls[1]);
        drop_unused(2);
        stop();
        join(rt_lane_drain(&lane, UINT64_MAX, give_up));
        end();
    }
};

/* The same, and the second thread can be made only when nobody pushes any more. */
struct lane_short : rl::test_suite<lane_short, 3>, lane_base {
    void before()
    {
        begin(2);
        NO_THIRD_SLOT();
        calls[0].stuck = CreateSemaphore(0, 0, 1, 0);
        begun = CreateSemaphore(0, 0, 1, 0);
    }
    void after()
    {
        finish();
        CloseHandle(begun);
        begun = NULL;
    }

    void thread(unsigned id)
    {
        if (id < 2) {
            pool_thread((int)id);
            return;
        }
        push(calls[0], 1);
        WaitForSingleObject(begun, INFINITE);
        wants_meeting = true;
        meeting = 2;
        failures = 2;
        push(calls[1], 1);
        push(calls[2], 1);
        ReleaseSemaphore(calls[0].stuck, 1, 0);
        for (int i = 0; i < CALLS; i++)
            await(calls[i]);
        for (int i = 0; i < CALLS; i++)
            release(calls[i]);
        stop();
        join(rt_lane_drain(&lane, UINT64_MAX, give_up));
        end();
    }
};

/* Functions that wait for signals, a canceller, and the watch, which stops when nothing is left. */
struct lane_nag : rl::test_suite<lane_nag, 3>, lane_base {
    rl::atomic<int> ended;

    void before()
    {
        begin(1);
        NO_THIRD_SLOT();
        in_slot[1] = SEATS;
        interrupts = true;
        bell = CreateSemaphore(0, 0, 9, 0);
        ended.store(0, rl::mo_relaxed, $);
    }
    void after()
    {
        finish();
        CloseHandle(bell);
    }

    /* Ticks by itself as long as there is somebody to nag. */
    void watch()
    {
        uint64_t time = 0;
        bool     again = false;
        while (!ended.load(rl::mo_acquire, $)) {
            if (!again)
                WaitForSingleObject(bell, INFINITE);
            again = asked.exchange(0, rl::mo_seq_cst, $) &&
                    rt_lane_nag(&lane, time += 10, 10, interrupt);
            if (again)
                asked.exchange(1, rl::mo_seq_cst, $);
            if (again)
                MODEL_YIELD();
        }
    }

    void thread(unsigned id)
    {
        if (id == 0) {
            pool_thread(0);
        } else if (id == 1) {
            watch();
        } else {
            push(calls[0], 1);
            push(calls[1], 1);
            cancel(calls[0], false);
            cancel(calls[1], true);
            for (int i = 0; i < CALLS; i++)
                release(calls[i]);
            stop();
            ring();
            join(rt_lane_drain(&lane, UINT64_MAX, give_up));
            ended.store(1, rl::mo_release, $);
            ring();
            end();
        }
    }
};

/* The end while calls are pushed, withdrawn, run and never return. */
struct lane_stop : rl::test_suite<lane_stop, 4>, lane_base {
    rl::atomic<int> left;

    void before()
    {
        begin(1);
        NO_THIRD_SLOT();
        calls[0].stuck = CreateSemaphore(0, 0, 2, 0);
        left.store(2, rl::mo_relaxed, $);
        may_refuse = true;
    }
    void after() { finish(); }

    void part_ended()
    {
        if (left.fetch_sub(1, rl::mo_acq_rel, $) == 1)
            end();
    }

    void thread(unsigned id)
    {
        if (id < 2) {
            pool_thread((int)id);
            return;
        }
        if (id == 2) {
            if (push(calls[1], 1))
                cancel(calls[1], true);
            release(calls[1]);
            if (push(calls[2], 1))
                await(calls[2]);
            release(calls[2]);
        } else {
            push(calls[0], 0);
            release(calls[0]);
            stop();
            join(rt_lane_drain(&lane, 1, give_up));
            ReleaseSemaphore(calls[0].stuck, 1, 0);
        }
        part_ended();
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "lane");
    model_random<lane_calls>("calls", 100000);
    model_random<lane_idle>("idle", 50000);
    model_random<lane_meet>("meet", 50000);
    model_random<lane_short>("short", 50000);
    model_random<lane_nag>("nag", 50000);
    model_random<lane_stop>("stop", 100000);
    return model_end();
}
