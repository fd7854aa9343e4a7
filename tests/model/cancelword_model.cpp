/* SPDX-License-Identifier: MIT */
/* The cancel word (rt/task/cancelword.h), with the wait word and the state word beside it. The task
 * takes random steps: it waits, begins a scope, takes a request back, cancels itself, and ends. Two
 * suites:
 *  posted  a pinned task and two cancellers of other threads, whose requests arrive in an inbox: a
 *          feeling has a request that was not felt; a request that was counted is felt, or one with
 *          another, or taken back, or ends the task; the item is in the inbox once, and keeps the
 *          task alive;
 *  free    the same for a free task, whose requests are marked in its wait word after they were
 *          counted.
 * In both, who begins counts as felt what was felt, and no request that is still to be felt.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m \
 *       tests/model/cancelword_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: COUNT_FIRST: a request is counted in one step and marked in the next */
    { "COUNT_FIRST", "posted", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: POST_SPLIT: two requests, one counted */
    { "POST_SPLIT", "posted", "rt_cw_post", "cas_acq_rel", MODEL_SPLIT },
    /* MUTANT: POST_RELAXED: the link is written again while it is read */
    { "POST_RELAXED", "posted", "rt_cw_post", "cas_acq_rel", MODEL_RELAXED },
    /* MUTANT: POST_NO_REF: the item on its way does not keep the task */
    { "POST_NO_REF", "posted", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: ARRIVE_RELAXED: that the link has been read is not published */
    { "ARRIVE_RELAXED", "posted", "rt_cw_arrive", "and_acq_rel", MODEL_RELAXED },
    /* MUTANT: ARRIVE_SPLIT: the arrival wipes out a request that comes in between */
    { "ARRIVE_SPLIT", "posted", "rt_cw_arrive", "and_acq_rel", MODEL_SPLIT },
    /* MUTANT: ARRIVE_BLIND: what arrives is felt, though it has been felt already */
    { "ARRIVE_BLIND", "posted", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: DUE_SPLIT: taking the mark off wipes out a request that comes in between */
    { "DUE_SPLIT", "posted", "rt_cw_take_due", "and_acq_rel", MODEL_SPLIT },
    /* MUTANT: DUE_STAYS: the mark stays though the task has felt a request */
    { "DUE_STAYS", "posted", "rt_cw_take_due", "and_acq_rel", MODEL_SKIP },
    /* MUTANT: FINISH_BLIND: the task ends without a look at what is on its way */
    { "FINISH_BLIND", "posted", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: FELT_BLIND: what is still to be felt counts as felt for who begins */
    { "FELT_BLIND", "posted", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: INSIDE_BLIND: who begins does not wait for one who has counted but not marked */
    { "INSIDE_BLIND", "free", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: LEAVE_FIRST: the canceller leaves before it has marked */
    { "LEAVE_FIRST", "free", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: LEAVE_RELAXED: leaving does not publish the mark */
    { "LEAVE_RELAXED", "free", "rt_cw_leave", "sub_acq_rel", MODEL_RELAXED },
    /* MUTANT: LEAVE_SPLIT: leaving wipes out a request that comes in between */
    { "LEAVE_SPLIT", "free", "rt_cw_leave", "sub_acq_rel", MODEL_SPLIT },
    /* MUTANT: ENTER_SPLIT: two requests, one counted */
    { "ENTER_SPLIT", "free", "rt_cw_enter", "cas_relaxed", MODEL_SPLIT },
    /* MUTANT: FELT_RELAXED: who begins sees nobody inside, and not the mark */
    { "FELT_RELAXED", "free", "rt_cw_felt", "load_acquire", MODEL_RELAXED },
    /* MUTANT: FELT_NO_RETRY: who begins takes a mark for that of a request counted before */
    { "FELT_NO_RETRY", "free", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: BACK_LATE: the mark is dropped after the count: that of a later request is lost */
    { "BACK_LATE", "free", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: BACK_FORGETS: the mark of another request is dropped and not set again */
    { "BACK_FORGETS", "free", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: BACK_BLIND: a count that changed is overwritten */
    { "BACK_BLIND", "free", "rt_cw_take_back", "cas_acq_rel", MODEL_BLIND },
    /* MUTANT: BACK_RELAXED: the mark of what is taken back is not seen, and felt later */
    { "BACK_RELAXED", "free", "rt_cw_take_back", "load_acquire", MODEL_RELAXED },
};

#include "task/cancelword.h"
#include "task/stateword.h"

#define STEPS        4
#define CANCEL_VALUE 9

/* Plain members are the judge's own notes: what it notes after an operation is one step with it. */
struct cancelword_base {
    struct rt_cancelword c;
    struct rt_waitword   w;
    rl::atomic<int>      told[3]; /* by canceller: its call has returned */
    int                  n;       /* requests outstanding */
    int                  unfelt;  /* of these, not felt yet */
    bool                 over;

    void setup()
    {
        rt_init(&c.bits, 0);
        rt_init(&w.bits, 0);
        for (int i = 0; i < 3; i++)
            told[i].store(0, rl::mo_relaxed, $);
        n = unfelt = 0;
        over = false;
    }

    void note_request()
    {
        n++;
        unfelt++;
    }

    void note_feeling(int left_unfelt)
    {
        RL_ASSERT(unfelt > 0 && n > 0);
        unfelt = left_unfelt < n ? left_unfelt : n;
    }

    void note_taken_back(uint32_t left)
    {
        if (unfelt == n)
            unfelt--;
        n--;
        RL_ASSERT((int)left == n);
    }

    bool felt_once(uint32_t *felt)
    {
        if (MODEL_IS("FELT_BLIND")) {
            *felt = rt_cw_count(&c);
            return true;
        }
        if (MODEL_IS("FELT_NO_RETRY") || MODEL_IS("INSIDE_BLIND")) {
            uint32_t word = rt_load_acquire(&c.bits);
            uint32_t count = rt_cw_requests(word);
            uint64_t wait = rt_load_acquire(&w.bits);
            *felt = count - (count > 0 && ((word & RT_CW_DUE) || (wait & RT_WW_CANCEL)));
            if (MODEL_IS("INSIDE_BLIND"))
                return rt_load_relaxed(&c.bits) == word;
            return !(word & RT_CW_INSIDE);
        }
        return rt_cw_felt(&c, &w, felt);
    }

    void begin_scope()
    {
        uint32_t felt;
        while (!felt_once(&felt))
            MODEL_YIELD();
        RL_ASSERT((int)felt >= n - unfelt);
        RL_ASSERT((int)felt <= n - (unfelt > 0));
    }

    bool has_been_told() { return rt_load_acquire(&told[1]) && rt_load_acquire(&told[2]); }
};

struct cancelword_posted : rl::test_suite<cancelword_posted, 3>, cancelword_base {
    struct rt_stateword s;
    rl::var<int>        memory; /* the task: 1, 0 once it is freed */
    rl::var<int>        link;
    rl::atomic<int>     inbox;
    int                 due; /* requests on their way */
    int                 freed;

    void before()
    {
        setup();
        rt_init(&s.bits, 3 * RT_ST_REF);
        RT_VAR_SET(memory, 1);
        RT_VAR_SET(link, 0);
        inbox.store(0, rl::mo_relaxed, $);
        due = freed = 0;
    }

    void after() { RL_ASSERT(freed == 1); }

    void release()
    {
        RL_ASSERT(RT_VAR_GET(memory) == 1);
        if (!rt_st_release(&s))
            return;
        RL_ASSERT(freed++ == 0);
        RT_VAR_SET(memory, 0);
    }

    void note_post()
    {
        due++;
        note_request();
    }

    bool count_and_mark()
    {
        if (MODEL_IS("COUNT_FIRST")) {
            rt_cw_raise(&c);
            note_request();
            bool posts = rt_cw_post(&c, 1);
            due++;
            return posts;
        }
        bool posts = rt_cw_post(&c, 0);
        note_post();
        return posts;
    }

    void canceller(int id)
    {
        if (!(rt_st_load(&s) & RT_ST_DONE) && count_and_mark()) {
            if (!MODEL_IS("POST_NO_REF"))
                rt_st_retain(&s);
            RT_VAR_SET(link, id);
            RL_ASSERT(rt_xchg_acq_rel(&inbox, 1) == 0);
        }
        rt_store_release(&told[id], 1);
        release();
    }

    void pend() { (void)rt_or_acq_rel(&w.bits, RT_WW_CANCEL); }

    void drain()
    {
        if (!rt_xchg_acq_rel(&inbox, 0))
            return;
        RL_ASSERT(RT_VAR_GET(memory) == 1 && RT_VAR_GET(link) != 0);
        RT_VAR_SET(link, 0);
        bool is_due = rt_cw_arrive(&c);
        RL_ASSERT(is_due == (due > 0));
        due = 0;
        if ((is_due || MODEL_IS("ARRIVE_BLIND")) && !over)
            pend();
        if (!MODEL_IS("POST_NO_REF"))
            release();
    }

    bool take_due()
    {
        if (!rt_cw_take_due(&c))
            return false;
        RL_ASSERT(due > 0);
        due = 0;
        return true;
    }

    /* As rt_wait_begin and rt_delivered. */
    void wait()
    {
        if (!rt_ww_drop_cancel(&w))
            return;
        (void)take_due();
        note_feeling(due);
    }

    void take_back()
    {
        int      dropped = 0;
        uint32_t left;
        if (rt_cw_count(&c) == 0)
            return;
        RL_ASSERT(rt_cw_take_back(&c, &w, &dropped, &left));
        note_taken_back(left);
        if (left == 0)
            unfelt = 0;
        due = due < unfelt ? due : unfelt;
        if (dropped && left > 0)
            pend();
    }

    void cancel_itself()
    {
        rt_cw_raise(&c);
        note_request();
        pend();
    }

    void finish()
    {
        bool knows_all = has_been_told();
        bool asked = rt_ww_drop_cancel(&w) != 0;
        if (!MODEL_IS("FINISH_BLIND"))
            asked |= take_due();
        RL_ASSERT(!asked || unfelt > 0);
        RL_ASSERT(!knows_all || asked == (unfelt > 0));
        over = true;
        uint64_t left;
        if (!rt_st_complete(&s, 0, 1, &left) && left == 0) {
            RL_ASSERT(freed++ == 0);
            RT_VAR_SET(memory, 0);
        }
    }

    void thread(unsigned id)
    {
        if (id > 0) {
            canceller((int)id);
            return;
        }
        for (int i = 0; i < STEPS; i++) {
            switch (rl::rand(6)) {
            case 0:
                wait();
                break;
            case 1:
                begin_scope();
                break;
            case 2:
                take_back();
                break;
            case 3:
                cancel_itself();
                break;
            default:
                drain();
            }
        }
        finish();
        while (!has_been_told()) {
            drain();
            MODEL_YIELD();
        }
        drain();
    }
};

struct cancelword_free : rl::test_suite<cancelword_free, 3>, cancelword_base {
    int inside;  /* requests counted and not marked */
    int pending; /* marked by C and not taken off; 0: C is not set */

    void before()
    {
        setup();
        inside = pending = 0;
    }

    /* As rt_cancel. */
    void mark()
    {
        uint64_t word;
        pending += rt_ww_cancel(&w, CANCEL_VALUE, &word) == RT_CLAIM_STALE;
    }

    void cancel()
    {
        while (!rt_cw_enter(&c))
            MODEL_YIELD();
        note_request();
        inside++;
        if (MODEL_IS("LEAVE_FIRST"))
            rt_cw_leave(&c);
        mark();
        inside--;
        if (!MODEL_IS("LEAVE_FIRST"))
            rt_cw_leave(&c);
    }

    /* A wait that is given up at once, if no cancel ends it before. */
    void wait()
    {
        uint64_t ticket = rt_ww_arm(&w);
        int      late;
        if (!ticket) {
            RL_ASSERT(rt_ww_drop_cancel(&w));
            pending = 0;
            note_feeling(inside);
            return;
        }
        if (rt_ww_claim(&w, ticket, 1) != RT_CLAIM_STALE)
            return;
        RL_ASSERT(rt_ww_finish(&w, &late) == CANCEL_VALUE);
        pending = late ? 0 : pending;
        note_feeling(inside + pending);
    }

    bool take_back_once(int *dropped, uint32_t *left)
    {
        if (!MODEL_IS("BACK_LATE"))
            return rt_cw_take_back(&c, &w, dropped, left);
        uint32_t old = rt_load_acquire(&c.bits);
        do {
            if (rt_cw_requests(old) == 1 && (old & RT_CW_INSIDE))
                return false;
        } while (!rt_cas_acq_rel(&c.bits, &old, old - RT_CW_ONE));
        *left = rt_cw_requests(old) - 1;
        return true;
    }

    void take_back()
    {
        int      dropped = 0;
        uint32_t left;
        if (rt_cw_count(&c) == 0)
            return;
        while (!take_back_once(&dropped, &left))
            MODEL_YIELD();
        note_taken_back(left);
        if (left == 0)
            unfelt = pending = 0;
        if (MODEL_IS("BACK_LATE") && left == 0)
            (void)rt_ww_drop_cancel(&w);
        if (dropped && left > 0 && !MODEL_IS("BACK_FORGETS"))
            mark();
    }

    void finish()
    {
        bool knows_all = has_been_told();
        bool asked = rt_ww_drop_cancel(&w) != 0;
        RL_ASSERT(!asked || unfelt > 0);
        RL_ASSERT(!knows_all || asked == (unfelt > 0));
    }

    void thread(unsigned id)
    {
        if (id > 0) {
            cancel();
            rt_store_release(&told[id], 1);
            return;
        }
        for (int i = 0; i < STEPS; i++) {
            switch (rl::rand(5)) {
            case 0:
                wait();
                break;
            case 1:
            case 2:
                begin_scope();
                break;
            case 3:
                take_back();
                break;
            default:
                cancel();
            }
        }
        finish();
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "cancelword");
    model_random<cancelword_posted>("posted", 500000);
    model_random<cancelword_free>("free", 500000);
    return model_end();
}
