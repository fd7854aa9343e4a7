/* SPDX-License-Identifier: MIT */
#include "base/choice.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/env.h"

uint64_t rt_fuzz_seed(void)
{
#if RT_FUZZ
    static RT_ATOMIC(int64_t) cached = -1;
    int64_t seed =
        rt_load_relaxed(&cached); /* relaxed: all who read the environment find the same */

    if (seed < 0) {
        seed = rt_env_int("SKUA_FUZZ", 0, INT64_MAX, 0);
        rt_store_relaxed(&cached, seed); /* relaxed: likewise */
    }
    return (uint64_t)seed;
#else
    return 0;
#endif
}

void rt_chooser_init_seed(struct rt_chooser *c, uint64_t seed, uint64_t stream)
{
    uint64_t from = seed != 0 ? seed : rt_clock_now() ^ (uint64_t)(uintptr_t)c;

    *c = (struct rt_chooser){ .is_fuzzing = seed != 0 };
    rt_rand_init(&c->rand, rt_rand_mix(from) + rt_rand_mix(~stream));
}

void rt_chooser_init(struct rt_chooser *c, uint64_t stream)
{
    rt_chooser_init_seed(c, rt_fuzz_seed(), stream);
}

uint32_t rt_choice_fuzzed(struct rt_chooser *c, uint32_t n, const char *site)
{
    c->choices++;
    c->last_site = site;
    return rt_rand_below(&c->rand, n);
}
