/* SPDX-License-Identifier: MIT */
/* floor 5: sched. The runtimes of the process by number, and what of them stays readable when they
 * have ended. */
#include <errno.h>

#include "base/mem.h"
#include "sched/runtime.h"

enum { RUNTIMES_MAX = 1024 };

static struct rt_lock                 table_lock = RT_LOCK_INIT(RT_RANK_GROUP);
static RT_ATOMIC(struct rt_runtime *) table[RUNTIMES_MAX]; /* by id; entry 0 stays empty */
static RT_ATOMIC(uint32_t)            visitors[RUNTIMES_MAX]; /* by id: who looks there now */
static unsigned                       next_id = 1;            /* under table_lock */

/* Numbers are used round about, so that a stale one names nobody for a long time. */
int rt_table_enter(struct rt_runtime *rt)
{
    int r = -EAGAIN;
    rt_lock(&table_lock);
    for (unsigned i = 0; r < 0 && i < RUNTIMES_MAX; i++) {
        unsigned id = next_id++ % RUNTIMES_MAX;
        if (id == 0 || rt_load_relaxed(&table[id])) /* relaxed: under the lock */
            continue;
        rt->id = (uint16_t)id;
        (void)rt_xchg_sc(&table[id], rt); /* pairs: TABLE -> rt_runtime_visit */
        r = 0;
    }
    rt_unlock(&table_lock);
    return r;
}

void rt_table_leave(struct rt_runtime *rt)
{
    (void)rt_xchg_sc(&table[rt->id], NULL); /* pairs: TABLE -> rt_runtime_visit */
    while (rt_load_sc(&visitors[rt->id]) > 0) /* pairs: TABLE <- rt_runtime_unvisit */
        SKUA_IGNORE(rt_sys_sched_yield());
}

struct rt_runtime *rt_runtime_visit(uint16_t id)
{
    (void)rt_add_sc(&visitors[id], 1); /* pairs: TABLE -> rt_table_leave */
    struct rt_runtime *rt = rt_load_sc(&table[id]); /* pairs: TABLE <- rt_table_enter */
    if (!rt)
        (void)rt_sub_sc(&visitors[id], 1);
    return rt;
}

void rt_runtime_unvisit(struct rt_runtime *rt)
{
    (void)rt_sub_sc(&visitors[rt->id], 1); /* pairs: TABLE -> rt_table_leave */
}

void rt_bury(struct rt_grave *grave, void *block)
{
    rt_lock(&table_lock);
    void *oldest = grave->kept[grave->at % RT_GRAVE_SIZE];
    grave->kept[grave->at++ % RT_GRAVE_SIZE] = block;
    rt_unlock(&table_lock);
    rt_free(oldest);
}
