/* SPDX-License-Identifier: MIT */
/* Compiles rt/fiber/slab.c once more, under the name that SLAB_MUTANT gives and with whatever of
 * its helpers were defined away before: included several times, so without a guard. */
#define SLAB_CAT_(a, b)  a##_##b
#define SLAB_CAT(a, b)   SLAB_CAT_(a, b)
#define SLAB_MUTANT_(x)  SLAB_CAT(SLAB_MUTANT, x)

#define slab                SLAB_MUTANT_(slab)
#define map_chunk           SLAB_MUTANT_(map_chunk)
#define carve_one           SLAB_MUTANT_(carve_one)
#define batch               SLAB_MUTANT_(batch)
#define batch_of            SLAB_MUTANT_(batch_of)
#define push_batch          SLAB_MUTANT_(push_batch)
#define take_batch          SLAB_MUTANT_(take_batch)
#define add_one             SLAB_MUTANT_(add_one)
#define refill              SLAB_MUTANT_(refill)
#define carve               SLAB_MUTANT_(carve)
#define use_spare           SLAB_MUTANT_(use_spare)
#define put_rest_back       SLAB_MUTANT_(put_rest_back)
#define get_one             SLAB_MUTANT_(get_one)
#define rt_slab_at          SLAB_MUTANT_(at)
#define rt_slab_carved      SLAB_MUTANT_(carved)
#define rt_slab_get_slow    SLAB_MUTANT_(get_slow)
#define rt_slab_put_slow    SLAB_MUTANT_(put_slow)
#define rt_slab_cache_flush SLAB_MUTANT_(cache_flush)

void *rt_slab_at(uint32_t slot);
uint32_t rt_slab_carved(void);
void *rt_slab_get_slow(struct rt_slab_cache *c);
void rt_slab_put_slow(struct rt_slab_cache *c, void *obj);
void rt_slab_cache_flush(struct rt_slab_cache *c);

#include "fiber/slab.c"

#undef slab
#undef map_chunk
#undef carve_one
#undef batch
#undef batch_of
#undef push_batch
#undef take_batch
#undef add_one
#undef refill
#undef carve
#undef use_spare
#undef put_rest_back
#undef get_one
#undef rt_slab_at
#undef rt_slab_carved
#undef rt_slab_get_slow
#undef rt_slab_put_slow
#undef rt_slab_cache_flush
#undef SLAB_MUTANT_
#undef SLAB_CAT
#undef SLAB_CAT_
#undef SLAB_MUTANT
