/* SPDX-License-Identifier: MIT */
/* floor 0: base. Every free choice of the scheduler goes through here, so that one seed can stir
 * all of them.
 *
 * rt_pick is for choices that are random anyway (the victim of a steal). rt_choice and rt_chance
 * are for paths that are legal at any time but not wanted: they take choice 0 (never) unless the
 * build allows stirring (RT_TESTING or debug checks) and SKUA_FUZZ=<seed>, seed > 0, asks for it;
 * elsewhere they fold away. One chooser per worker, used by its owner only.
 */
#ifndef RT_BASE_CHOICE_H
#define RT_BASE_CHOICE_H

#include "base/check.h"
#include "base/rand.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(RT_TESTING) || RT_DEBUG
#define RT_FUZZ 1
#else
#define RT_FUZZ 0
#endif

struct rt_chooser {
    struct rt_rand rand;
    bool is_fuzzing;
    uint64_t choices;      /* made while fuzzing, for the dump */
    const char *last_site; /* likewise */
};

/* stream: tells choosers of one run apart (the worker's index). Reads SKUA_FUZZ. */
void rt_chooser_init(struct rt_chooser *c, uint64_t stream);
/* As if SKUA_FUZZ were seed; 0: no fuzzing, and a seed nobody knows. */
void rt_chooser_init_seed(struct rt_chooser *c, uint64_t seed, uint64_t stream);
/* SKUA_FUZZ, or 0 when it is unset or the build does not fuzz. Stable over the life of the process.
 */
uint64_t rt_fuzz_seed(void);

uint32_t rt_choice_fuzzed(struct rt_chooser *c, uint32_t n, const char *site);

/* 0 .. n-1 at random, fuzzing or not; n > 0. */
static inline uint32_t rt_pick(struct rt_chooser *c, uint32_t n, const char *site)
{
    (void)site;
    return rt_rand_below(&c->rand, n);
}

/* 0 .. n-1 when fuzzing, else 0; n > 0. */
static inline uint32_t rt_choice(struct rt_chooser *c, uint32_t n, const char *site)
{
#if RT_FUZZ
    return RT_UNLIKELY(c->is_fuzzing) ? rt_choice_fuzzed(c, n, site) : 0;
#else
    (void)c;
    (void)n;
    (void)site;
    return 0;
#endif
}

/* True once in one_in times (>= 2) when fuzzing, else false. */
static inline bool rt_chance(struct rt_chooser *c, uint32_t one_in, const char *site)
{
    return rt_choice(c, one_in, site) == one_in - 1;
}

#endif
