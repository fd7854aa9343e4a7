/* SPDX-License-Identifier: MIT */
/* floor 7: aio. A runtime that is made by its first run and kept for the next ones.
 *
 * The thread that runs it first owns it, and alone looks at the fields below the owner. What was
 * closed stays readable for a while, as closed loops do.
 */
#include "aio/runner.h"

#include <errno.h>

#include "base/mem.h"

struct skua_runner {
    struct skua_run_opts opts;   /* fixed */
    char                *lanes;  /* its text, copied */
    RT_ATOMIC(uint32_t)  closed;
    RT_ATOMIC(uint32_t)  owner;  /* id of the thread; 0: nobody has run it yet */
    struct rt_runtime   *rt;      /* NULL: not made yet; the owner */
    skua_context        *context; /* of every main; made with it */
};

skua_runner *skua_runner_new_with(const struct skua_run_opts *opts)
{
    static const struct skua_run_opts none = { .size = sizeof none };
    if (rt_run_opts_check(opts ? opts : &none) < 0)
        return NULL;
    struct skua_runner *r = rt_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->opts = opts ? *opts : none;
    if (r->opts.lanes && !(r->lanes = rt_strdup(r->opts.lanes))) {
        rt_free(r);
        return NULL;
    }
    r->opts.lanes = r->lanes;
    return r;
}

/* May the caller use it? 0, -EINVAL, -EPERM, -ESHUTDOWN. */
static int enter(struct skua_runner *r)
{
    uint32_t me = (uint32_t)rt_sys_gettid(), owner = 0;
    if (!r)
        return -EINVAL;
    if (rt_load_acquire(&r->closed)) /* pairs: RUNNER <- skua_runner_close */
        return -ESHUTDOWN;
    if (rt_self())
        return -EPERM;
    if (rt_cas_acq_rel(&r->owner, &owner, me)) /* pairs: RUNNER -> enter, RUNNER <- enter */
        return 0;
    return owner == me ? 0 : -EPERM;
}

static int make(struct skua_runner *r)
{
    if (r->rt)
        return 0;
    if (!r->context && !(r->context = skua_context_copy()))
        return -ENOMEM;
    int err = rt_runtime_new(&r->opts, &r->rt);
    if (err == 0)
        r->rt->has_runner = true;
    return err;
}

int skua_runner_run(skua_runner *r, skua_fn fn, void *arg, void **ret_result)
{
    int err = fn ? enter(r) : -EINVAL;
    if (err == 0)
        err = make(r);
    if (err < 0)
        return err;
    struct rt_main what = { .fn = fn, .arg = arg, .where = "skua_runner_run",
                            .context = r->context, .is_free = r->opts.free_main };
    return rt_run_main(r->rt, &what, ret_result);
}

skua_loop *skua_runner_get_loop(skua_runner *r)
{
    return enter(r) == 0 && make(r) == 0 ? r->rt->main_group : NULL;
}

int skua_runner_close(skua_runner *r)
{
    static struct rt_grave grave;
    int                    err = enter(r);
    if (err == -ESHUTDOWN)
        return 0;
    if (err < 0)
        return err;
    rt_store_release(&r->closed, 1); /* pairs: RUNNER -> enter */
    if (r->rt) {
        err = rt_runtime_drain(r->rt);
        rt_runtime_free(r->rt);
    }
    skua_context_release(r->context);
    rt_free(r->lanes);
    rt_bury(&grave, r);
    return err;
}
