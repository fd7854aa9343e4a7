/* SPDX-License-Identifier: MIT */
/* Rows in which two tasks wake each other in turn: free ones, and ones pinned to two workers. */
#include "bench.h"

#include <stdatomic.h>

enum { HOPS_A_LOOK = 100 };

/* Whoever is handed a player's future answers by setting it, with a future of his own to be set
 * next. Each future has two handles, one of the task that awaits it and one of the task that sets
 * it. */
struct player {
    skua_future *first; /* to await, or NULL for the one who begins */
    skua_future *serve; /* to set first */
    double until;
    uint64_t hops;
};

static void *play(void *arg)
{
    struct player *p = arg;
    skua_future *mine = p->first;
    skua_future *theirs = p->serve;
    for (uint64_t hop = 0;; hop++) {
        if (theirs != NULL) {
            bool is_last = hop % HOPS_A_LOOK == 0 && bench_now() >= p->until;
            mine = is_last ? NULL : skua_future_new();
            skua_future_set_result(theirs, skua_retain(mine));
            skua_release(theirs);
            p->hops++;
        }
        if (mine == NULL)
            return NULL;
        void *next = NULL;
        if (skua_join(mine, &next) < 0)
            return skua_fail(-EIO);
        theirs = next;
        if (theirs == NULL)
            return NULL;
    }
}

struct match {
    struct player player[2];
    skua_task *task[2];
};

/* Where the players of a match live; NULL: free tasks. */
static bool match_start(struct match *m, double until, skua_group *const *group)
{
    skua_future *ball = skua_future_new();
    if (ball == NULL)
        return false;
    m->player[0] = (struct player){.first = ball, .until = until};
    m->player[1] = (struct player){.serve = skua_retain(ball), .until = until};
    for (int i = 0; i < 2; i++)
        m->task[i] = group == NULL ? skua_go(play, &m->player[i])
                                   : skua_spawn(play, &m->player[i], .group = group[i]);
    return true;
}

/* Hops of both players; the clock of the row stops before anything is cleaned up. */
static void match_end(struct match *m, struct bench_clock begin, double hops_an_op,
                      struct bench_sample *s)
{
    if (skua_gather(m->task, 2, NULL, SKUA_RELEASE) < 0)
        bench_fail(s, "a player failed");
    double hops = (double)(m->player[0].hops + m->player[1].hops);
    s->value[0] = bench_value_ns(begin, hops / hops_an_op);
}

static void wake(const struct bench_config *config, struct bench_sample *s)
{
    struct match m;
    struct bench_clock begin = bench_clock_read();
    if (match_start(&m, begin.wall + config->seconds, NULL))
        match_end(&m, begin, 1, s);
    else
        bench_fail(s, "no future");
}

/* ---- queue_cross: two pinned groups on different workers ---- */

static void *keep_busy(void *arg)
{
    const atomic_bool *stop = arg;
    while (!atomic_load(stop))
        if (skua_yield() < 0)
            break;
    return NULL;
}

static void cross(const struct bench_config *config, struct bench_sample *s, bool is_busy)
{
    struct skua_stats stats = {.size = sizeof stats};
    atomic_bool stop = false;
    skua_group *group[2] = {NULL, NULL};
    skua_task *busy[2] = {NULL, NULL};
    struct match m;

    if (skua_stats_get(&stats) < 0)
        return;
    for (int i = 0; i < 2; i++)
        group[i] = skua_group_new(.worker = 1 + i % stats.workers, .name = "court");
    if (group[0] == NULL || group[1] == NULL) {
        bench_fail(s, "no group");
        return;
    }
    for (int i = 0; i < 2 && is_busy; i++)
        busy[i] = skua_spawn(keep_busy, &stop, .group = group[i]);
    struct bench_clock begin = bench_clock_read();
    if (match_start(&m, begin.wall + config->seconds, group))
        match_end(&m, begin, 2, s);
    else
        bench_fail(s, "no future");
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        if (is_busy && skua_join(busy[i], NULL) < 0)
            bench_fail(s, "a task that yields failed");
        skua_group_release(group[i]);
    }
}

static void queue_cross(const struct bench_config *config, struct bench_sample *s)
{
    cross(config, s, false);
}

static void queue_cross_busy(const struct bench_config *config, struct bench_sample *s)
{
    cross(config, s, true);
}

static const struct bench_row rows[] = {
    {.figure = {{"wake", "two free tasks hand a future to and fro; per hand-over"}},
     .unit = "ns/op",
     .body = wake,
     .is_free_main = true},
    {.figure = {{"queue_cross", "two pinned tasks, each on a worker of its own, hand a future to "
                                "and fro; per round trip"}},
     .unit = "ns/op",
     .body = queue_cross},
    {.figure = {{"queue_cross_busy", "the same, while a task on each of the two workers yields "
                                     "all the time"}},
     .unit = "ns/op",
     .body = queue_cross_busy},
};
BENCH_ROWS(200, rows);
