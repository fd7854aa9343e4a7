/* SPDX-License-Identifier: MIT */
/* skynet: a tree of free tasks, ten children each, a million leaves; every task gives its number or
 * the sum over its children. */
#include "bench.h"

enum { LEAVES = 1000000, WIDTH = 10 };

struct branch {
    uint64_t first;
    uint64_t size;
};

static void *grow(void *arg)
{
    const struct branch *b = arg;
    struct branch child[WIDTH];
    skua_task *task[WIDTH];
    uintptr_t sum = 0;
    if (b->size == 1)
        return (void *)(uintptr_t)b->first;
    for (unsigned i = 0; i < WIDTH; i++) {
        child[i].size = b->size / WIDTH;
        child[i].first = b->first + i * child[i].size;
        task[i] = skua_go(grow, &child[i]);
    }
    int err = 0;
    for (int i = WIDTH - 1; i >= 0; i--) {
        void *part = NULL;
        int r = skua_join(task[i], &part);
        err = r < 0 ? r : err;
        sum += (uintptr_t)part;
    }
    return err < 0 ? skua_fail(err) : (void *)sum;
}

static bool grow_tree(uint64_t leaves)
{
    struct branch root = {.size = leaves};
    return (uintptr_t)grow(&root) == leaves * (leaves - 1) / 2;
}

static void skynet(const struct bench_config *config, struct bench_sample *s)
{
    double trees = 0;
    bool is_good = grow_tree(LEAVES / 100);
    struct bench_clock begin = bench_clock_read();
    do {
        is_good = is_good && grow_tree(LEAVES);
        trees++;
    } while (is_good && bench_now() - begin.wall < config->seconds);
    /* 1 + 10 + ... + 1,000,000 tasks a tree */
    s->value[0] = bench_value_ns(begin, trees * (double)((LEAVES * WIDTH - 1) / (WIDTH - 1)));
    s->value[0].value = (bench_now() - begin.wall) * 1e3 / trees;
    if (!is_good)
        bench_fail(s, "the sum over the tree came out wrong");
}

static const struct bench_row rows[] = {
    {.figure = {{"skynet", "a tree of free tasks with ten children each and 1,000,000 leaves"}},
     .unit = "ms",
     .body = skynet,
     .is_free_main = true},
};
BENCH_ROWS(150, rows);
