/* SPDX-License-Identifier: MIT */
/* Scenarios as the player knows them; their text is described in scenario.py. */
#ifndef READER_H
#define READER_H
#include <stdbool.h>

enum { TASKS_MAX = 9, THINGS_MAX = 8, LIST_MAX = 16, ARGS_MAX = 3, WORD_MAX = 32 };

struct scene; /* what an op is played with */
struct block;

struct op_kind {
    const char *name; /* NULL behind the last of a table */
    int args;
    bool has_list, has_block;
    int (*play)(struct scene *s);
};

struct op {
    const struct op_kind *kind;
    double arg[ARGS_MAX];
    int list[LIST_MAX];
    int list_count;
    struct block *block;
};

struct block {
    struct op *op;
    int count;
};

struct queue_plan {
    int kind, size;
};

struct scenario {
    long seed;
    int locks, conds, events, futures;
    int sems, sem[THINGS_MAX];
    int barriers, parties[THINGS_MAX];
    int queues;
    struct queue_plan queue[THINGS_MAX];
    int tasks;
    struct block *task[TASKS_MAX];
};

/* The next scenario on standard input; false: there is none. Nonsense ends the program. */
bool read_scenario(struct scenario *s, const struct op_kind *kinds);
void free_scenario(struct scenario *s);
#endif
