/* SPDX-License-Identifier: MIT */
/* floor 0: base. A small generator per worker (xoroshiro128++ seeded by splitmix64). Not for
 * secrets. */
#ifndef RT_BASE_RAND_H
#define RT_BASE_RAND_H

#include <stdint.h>

struct rt_rand {
    uint64_t s[2];
};

/* One step of splitmix64: turns a counter into well mixed bits. */
static inline uint64_t rt_rand_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline void rt_rand_init(struct rt_rand *r, uint64_t seed)
{
    r->s[0] = rt_rand_mix(seed);
    r->s[1] = rt_rand_mix(seed + UINT64_C(0x9e3779b97f4a7c15));
    if ((r->s[0] | r->s[1]) == 0) /* the one state it never leaves */
        r->s[0] = 1;
}

static inline uint64_t rt_rand_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline uint64_t rt_rand_next(struct rt_rand *r)
{
    uint64_t a = r->s[0];
    uint64_t b = r->s[1];
    uint64_t ret = rt_rand_rotl(a + b, 17) + a;

    b ^= a;
    r->s[0] = rt_rand_rotl(a, 49) ^ b ^ (b << 21);
    r->s[1] = rt_rand_rotl(b, 28);
    return ret;
}

/* 0 .. n-1; n > 0. The bias of at most n/2^32 does not matter here. */
static inline uint32_t rt_rand_below(struct rt_rand *r, uint32_t n)
{
    return (uint32_t)(((rt_rand_next(r) >> 32) * n) >> 32);
}

#endif
