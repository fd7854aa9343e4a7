/* SPDX-License-Identifier: MIT */
/* floor 7: aio. Parallel calls and loops, by halving: the upper half is forked, the lower one done
 * at once, so what a thief takes is always the largest piece there is. */
#include <errno.h>

#include "sched/runtime.h"

enum { PIECES_PER_WORKER = 8 };

static size_t default_grain(size_t length)
{
    struct rt_worker *w = rt_self();
    size_t            pieces = (size_t)PIECES_PER_WORKER * (w ? w->rt->n : 1);
    return length / pieces + (length % pieces != 0);
}

/* --- invoke --- */

struct invoke {
    const skua_fn *fns;
    void *const   *args;
    size_t         begin, end;
};

/* The first failure by index, as skua_fail() would return it, or NULL. */
static void *invoke(void *arg)
{
    const struct invoke *v = arg;
    if (v->end - v->begin == 1) {
        void *r = v->fns[v->begin](v->args ? v->args[v->begin] : NULL);
        return skua_failed(r) ? r : NULL;
    }
    size_t        middle = v->begin + (v->end - v->begin) / 2;
    struct invoke low = { v->fns, v->args, v->begin, middle };
    struct invoke high = { v->fns, v->args, middle, v->end };
    skua_job      job;
    skua_fork(&job, invoke, &high);
    void *first = invoke(&low);
    void *second = skua_fork_join(&job);
    return first ? first : second;
}

int skua_parallel_invoke(const skua_fn *fns, void *const *args, size_t n)
{
    if (n == 0)
        return 0;
    if (!fns)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (!fns[i])
            return -EINVAL;
    return skua_failed(invoke(&(struct invoke){ fns, args, 0, n }));
}

/* --- for --- */

struct loop {
    skua_range_fn body;
    void         *arg;
    size_t        begin, end, grain;
};

static void *loop(void *arg)
{
    const struct loop *l = arg;
    if (l->end - l->begin <= l->grain) {
        l->body(l->begin, l->end, l->arg);
        return NULL;
    }
    size_t      middle = l->begin + (l->end - l->begin) / 2;
    struct loop low = { l->body, l->arg, l->begin, middle, l->grain };
    struct loop high = { l->body, l->arg, middle, l->end, l->grain };
    skua_job    job;
    skua_fork(&job, loop, &high);
    (void)loop(&low);
    return skua_fork_join(&job);
}

int skua_parallel_for(size_t begin, size_t end, size_t grain, skua_range_fn body, void *arg)
{
    if (!body || begin > end)
        return -EINVAL;
    if (begin == end)
        return 0;
    (void)loop(&(struct loop){ body, arg, begin, end, grain ? grain : default_grain(end - begin) });
    return 0;
}

/* --- reduce --- */

struct reduction {
    skua_reduce_fn  body;
    skua_combine_fn combine;
    void           *arg;
    size_t          begin, end, grain;
    int             err; /* the first failure of a body below, else of a combine */
    bool            in_body;
};

/* The failure of a body goes before that of a combine, a lower one before a higher one. */
static void merge(struct reduction *r, const struct reduction *low, const struct reduction *high,
                  void *acc)
{
    const struct reduction *worse = low->err && (low->in_body || !high->in_body) ? low : high;
    r->err = worse->err;
    r->in_body = worse->in_body;
    if (!r->err)
        r->err = skua_failed(acc);
}

static void *reduce(void *arg)
{
    struct reduction *r = arg;
    void             *acc;
    if (r->end - r->begin <= r->grain) {
        acc = r->body(r->begin, r->end, r->arg);
        r->err = skua_failed(acc);
        r->in_body = r->err != 0;
        return acc;
    }
    size_t           middle = r->begin + (r->end - r->begin) / 2;
    struct reduction low = *r, high = *r;
    skua_job         job;
    low.end = high.begin = middle;
    skua_fork(&job, reduce, &high);
    void *left = reduce(&low);
    acc = r->combine(left, skua_fork_join(&job), r->arg);
    merge(r, &low, &high, acc);
    return acc;
}

int skua_parallel_reduce(size_t begin, size_t end, size_t grain, skua_reduce_fn body,
                         skua_combine_fn combine, void *arg, void **ret_acc)
{
    if (!body || !combine || begin > end)
        return -EINVAL;
    struct reduction r = { .body = body, .combine = combine, .arg = arg, .begin = begin };
    r.end = end;
    r.grain = grain ? grain : default_grain(end - begin);
    void *acc = reduce(&r);
    if (r.err == 0 && ret_acc)
        *ret_acc = acc;
    return r.err;
}
