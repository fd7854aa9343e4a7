/* SPDX-License-Identifier: MIT */
/* Work that computes, on all cores: a recursion that forks, a loop, and a sum. */
#include <skua.h>
#include <stdio.h>

enum { QUEENS = 10, LIMIT = 200000 };

/* ---- a recursion: in how many ways do n queens fit on a board of n x n? ---- */

struct board {
    unsigned columns, left, right; /* taken: columns, and diagonals as seen from the next row */
};

static void *place_queens(void *arg)
{
    const struct board *b = arg;
    unsigned free_columns = ~(b->columns | b->left | b->right) & ((1u << QUEENS) - 1);
    if (b->columns == (1u << QUEENS) - 1)
        return (void *)(uintptr_t)1;
    struct board next[QUEENS];
    skua_job jobs[QUEENS];
    int n = 0;
    for (; free_columns != 0; n++) {
        unsigned column = free_columns & -free_columns;
        free_columns ^= column;
        next[n] = (struct board){ b->columns | column, (b->left | column) << 1,
                                  (b->right | column) >> 1 };
        skua_fork(&jobs[n], place_queens, &next[n]);
    }
    uintptr_t ways = 0;
    while (n > 0)
        ways += (uintptr_t)skua_fork_join(&jobs[--n]); /* newest first */
    return (void *)ways;
}

/* ---- a loop: each range writes what belongs to it ---- */

static char is_prime[LIMIT];

static void find_primes(size_t begin, size_t end, void *arg)
{
    for (size_t i = begin; i < end; i++) {
        is_prime[i] = i > 1;
        for (size_t d = 2; d * d <= i && is_prime[i]; d++)
            is_prime[i] = i % d != 0;
    }
}

/* ---- a sum: each range has a result, neighbours are added up ---- */

static void *count(size_t begin, size_t end, void *arg)
{
    uintptr_t n = 0;
    for (size_t i = begin; i < end; i++)
        n += is_prime[i] != 0;
    return (void *)n;
}

static void *add(void *left, void *right, void *arg)
{
    return (void *)((uintptr_t)left + (uintptr_t)right);
}

static void *main_task(void *arg)
{
    printf("%d queens: %zu ways\n", QUEENS, (size_t)place_queens(&(struct board){ 0, 0, 0 }));
    void *primes = NULL;
    int err = skua_parallel_for(0, LIMIT, 1000, find_primes, NULL);
    if (err == 0)
        err = skua_parallel_reduce(0, LIMIT, 10000, count, add, NULL, &primes);
    if (err < 0)
        return skua_fail(err);
    printf("%zu primes below %d\n", (size_t)primes, LIMIT);
    return NULL;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
