/* SPDX-License-Identifier: MIT */
/* What the ops have in common. Each is a function of its scene: it returns 0, a negative error
 * that ends its block, or RETURNED. */
#ifndef PLAYER_H
#define PLAYER_H
#include "oracle.h"
#include "stage.h"

enum { TEXT_MAX = 256, FAILURE = -1000, RETURNED = 1 };

struct actor {
    int k;
    intptr_t value; /* of ret */
};

/* The innermost blocks of their kinds around an op; NULL: none. */
struct around {
    skua_taskgroup *group;
    unsigned *children; /* bits: the tasks that were started in the group */
    skua_timeout *limit;
};

/* What an op is played with. */
struct scene {
    struct actor *actor;
    const struct op *op;
    struct around around;
    char *text; /* the result, "" for none */
};

/* How the tasks of a scenario run. */
enum mode {
    MODE_PINNED, /* in one group, as asyncio's: the log is compared */
    MODE_FREE,   /* all free */
    MODE_SPREAD, /* some free, some in groups on other workers      */
};

extern enum mode mode;
extern struct player *stage;
extern const struct op_kind time_ops[], task_ops[], sync_ops[];

void say(const char *who, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *name_of(const struct actor *a);
/* The letters for an error; buf has WORD_MAX bytes. */
const char *code(int r, char *buf);
/* The same for what a task or future that is done ended with, or its value. */
const char *outcome_code(skua_task *t, char *buf);
void add_word(struct scene *s, const char *word);

int int_arg(const struct scene *s, int i);
/* 0 with the value as the result, or the error r. */
int result(struct scene *s, int r, intptr_t value);
int none(struct scene *s);

/* The body of every task; its argument is the number. */
void *body(void *k);
int play_block(struct actor *a, const struct block *b, struct around around);
int play_inner(struct scene *s);

/* `call` under a time limit, as async with timeout(). */
#define LIMITED(seconds, call)                                                                     \
    ({                                                                                             \
        skua_timeout limit_;                                                                       \
        int r_ = skua_timeout_enter(&limit_, (seconds));                                           \
        if (r_ == 0) {                                                                             \
            r_ = (call);                                                                           \
            r_ = skua_timeout_exit(&limit_, r_);                                                   \
        }                                                                                          \
        r_;                                                                                        \
    })
#endif
