/* SPDX-License-Identifier: MIT */
#ifndef SKUA_STRESS_SOUP_H
#define SKUA_STRESS_SOUP_H
/* The books of tasks that may be cancelled or dropped: who was spawned, began, ended, was dropped;
 * and the small tasks that cancel_soup waits for. */
#include "stress.h"

enum { SOUP_NEW, SOUP_STARTED, SOUP_DROPPED, SOUP_ENDED };

struct soup {
    struct stress_run *run;
    atomic_uint spawned;
    atomic_uint started;
    atomic_uint ended;
    atomic_uint dropped;
};

struct soup_entry {
    struct soup *soup;
    atomic_int state;
};

/* A task that sleeps, or awaits a chain of `depth` tasks that ends in a sleep. */
struct soup_leaf {
    struct soup_entry entry; /* first: `.drop` gets its address */
    int depth;
    double delay;
    bool is_shielded; /* nobody may cancel it */
    uint64_t seed;
};

void soup_init(struct soup *s, struct stress_run *run);
void soup_begin(struct soup_entry *e);
void soup_end(struct soup_entry *e);
void soup_drop(void *entry);
void soup_check_books(struct soup *s);

/* Starts `fn` in the caller's group, in a pinned group or free; `arg` begins with a soup_entry. */
skua_task *soup_start(struct soup *s, skua_fn fn, void *arg, struct stress_rng *rng);
skua_task *soup_start_leaf(struct soup *s, struct soup_leaf *leaf, struct stress_rng *rng);
void soup_start_leaves(struct soup *s, struct soup_leaf *leaf, skua_task **t, int n,
                       struct stress_rng *rng);

/* Cancels, waits until it really ended, whatever happens to the caller meanwhile, and releases. */
void soup_drain(struct soup *s, skua_task *t);
#endif
