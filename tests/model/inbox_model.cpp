/* SPDX-License-Identifier: MIT */
/* The inbox of a worker (rt/runq/inbox.h): nothing is lost, each producer's items stay in order,
 * what was written into an item is visible to the taker, and when the taker sleeps after a look at
 * an empty inbox, exactly one producer has the duty to ring.
 *
 * By hand, from the top of the tree:
 *   g++ -std=gnu++11 -O2 -w -DRT_MODEL -Irt -Itests/model -o /tmp/m tests/model/inbox_model.cpp
 *   /tmp/m
 * A mutant is run by RT_MODEL_MUTANT=name /tmp/m; the program then has to fail.
 */
#include "model_main.h"

static const model_mutant model_mutants[] = {
    /* MUTANT: PUSH_RELAXED: the item is not published */
    { "PUSH_RELAXED", "take", "rt_inbox_push", "cas_sc", MODEL_RELAXED },
    /* MUTANT: PUSH_SPLIT: push by load and store: another producer's item is dropped */
    { "PUSH_SPLIT", "take", "rt_inbox_push", "cas_sc", MODEL_SPLIT },
    /* MUTANT: PUSH_BLIND: push without comparing: the chain behind the old head is lost */
    { "PUSH_BLIND", "take", "rt_inbox_push", "cas_sc", MODEL_BLIND },
    /* MUTANT: TAKE_RELAXED: the taker does not synchronise with the producers */
    { "TAKE_RELAXED", "take", "rt_inbox_take", "xchg_acquire", MODEL_RELAXED },
    /* MUTANT: TAKE_SPLIT: take by load and store: an item pushed in between is dropped */
    { "TAKE_SPLIT", "take", "rt_inbox_take", "xchg_acquire", MODEL_SPLIT },
    /* MUTANT: SHARE_SPLIT: take by load and store: two takers get the same chain */
    { "SHARE_SPLIT", "share", "rt_inbox_take", "xchg_acquire", MODEL_SPLIT },
    /* MUTANT: HAS_BLIND: the sleeper's last look sees nothing */
    { "HAS_BLIND", "sleep", "rt_inbox_has", "load_sc", MODEL_ZERO },
    /* MUTANT: HAS_RELAXED: the sleeper's last look is not in the total order */
    { "HAS_RELAXED", "sleep", "rt_inbox_has", "load_sc", MODEL_RELAXED },
    /* MUTANT: NO_RING: nobody rings after a push onto an empty inbox */
    { "NO_RING", "sleep", NULL, NULL, MODEL_RIGHT },
    /* MUTANT: ALL_RING: every producer rings */
    { "ALL_RING", "sleep", NULL, NULL, MODEL_RIGHT },
};

#include "runq/inbox.h"

#define ITEMS 4

struct inbox_item {
    struct rt_link link; /* first: the item is the link's address */
    rl::var<int>   payload;
};

struct inbox_base {
    struct rt_inbox b;
    inbox_item      item[ITEMS];
    int             seen[ITEMS];
    int             last[2]; /* newest item seen of each producer */

    void setup()
    {
        rt_init(&b.head, 0);
        for (int i = 0; i < ITEMS; i++)
            seen[i] = 0;
        last[0] = last[1] = -1;
    }

    /* Items 0 and 1 are of producer 0, items 2 and 3 of producer 1. */
    int push(int i)
    {
        RT_VAR_SET(item[i].payload, i + 40);
        return rt_inbox_push(&b, rt_item(&item[i].link, RT_TAG_STEP));
    }

    int take_all()
    {
        int n = 0;
        for (uintptr_t at = rt_inbox_take(&b); at; n++) {
            inbox_item *it = (inbox_item *)rt_item_link(at);
            int         i = (int)(it - item);
            RL_ASSERT(rt_item_tag(at) == RT_TAG_STEP && i >= 0 && i < ITEMS);
            RL_ASSERT(RT_VAR_GET(it->payload) == i + 40);
            RL_ASSERT(seen[i]++ == 0);
            RL_ASSERT(last[i / 2] < i);
            last[i / 2] = i;
            at = RT_VAR_GET(it->link.next);
        }
        return n;
    }
};

/* Two producers, a taker that only looks now and then. */
struct inbox_take : rl::test_suite<inbox_take, 3>, inbox_base {
    void before() { setup(); }

    void thread(unsigned id)
    {
        if (id < 2) {
            push((int)id * 2);
            push((int)id * 2 + 1);
        } else {
            take_all();
            take_all();
            take_all();
        }
    }

    void after()
    {
        take_all();
        for (int i = 0; i < ITEMS; i++)
            RL_ASSERT(seen[i] == 1);
    }
};

/* Two takers, as when one serves a worker that comes back: each item has one of them. */
struct inbox_share : rl::test_suite<inbox_share, 4>, inbox_base {
    void before() { setup(); }

    void take_some()
    {
        for (uintptr_t at = rt_inbox_take(&b); at;) {
            inbox_item *it = (inbox_item *)rt_item_link(at);
            int         i = (int)(it - item);
            RL_ASSERT(i >= 0 && i < ITEMS && RT_VAR_GET(it->payload) == i + 40);
            RL_ASSERT(seen[i]++ == 0);
            at = RT_VAR_GET(it->link.next);
        }
    }

    void thread(unsigned id)
    {
        if (id < 2) {
            (void)push((int)id * 2);
            (void)push((int)id * 2 + 1);
        } else {
            take_some();
            take_some();
        }
    }

    void after()
    {
        take_some();
        for (int i = 0; i < ITEMS; i++)
            RL_ASSERT(seen[i] == 1);
    }
};

/* The taker sleeps when it finds nothing: announce, look a last time, block. A lost duty to ring is
 * a deadlock; a duty twice for one emptying of the inbox is an assertion. */
struct inbox_sleep : rl::test_suite<inbox_sleep, 3>, inbox_base {
    rl::atomic<int> asleep;
    HANDLE          bell;
    int             duties;  /* pushes that found the inbox empty */
    int             emptied; /* takes that found something        */
    int             left;    /* items not taken yet               */

    void before()
    {
        setup();
        rt_init(&asleep, 0);
        bell = CreateSemaphore(0, 0, 100, 0);
        duties = emptied = 0;
        left = ITEMS;
    }

    void after()
    {
        CloseHandle(bell);
        RL_ASSERT(emptied == duties);
    }

    void produce(int i)
    {
        int was_empty = push(i);
        if (!was_empty && !MODEL_IS("ALL_RING"))
            return;
        duties++;
        if (rt_load_sc(&asleep) && !MODEL_IS("NO_RING"))
            ReleaseSemaphore(bell, 1, 0);
    }

    void thread(unsigned id)
    {
        if (id < 2) {
            produce((int)id * 2);
            produce((int)id * 2 + 1);
            return;
        }
        while (left) {
            int n = take_all();
            left -= n;
            emptied += n != 0;
            if (n)
                continue;
            (void)rt_xchg_sc(&asleep, 1);
            if (!rt_inbox_has(&b))
                WaitForSingleObject(bell, INFINITE);
            (void)rt_xchg_sc(&asleep, 0);
        }
    }
};

int main(int argc, char **argv)
{
    MODEL_BEGIN(argc, argv, "inbox");
    model_random<inbox_take>("take", 1000000);
    model_random<inbox_sleep>("sleep", 1000000);
    model_random<inbox_share>("share", 500000);
    model_bounded<inbox_take>("take", 2);
    return model_end();
}
