/* SPDX-License-Identifier: MIT */
/* floor 5: sched. Walks the slab, keeping each task alive while it is looked at. */
#include "sched/census.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "sched/finish.h"

enum { SHORTAGE_ROWS = 4 };

static const char nowhere[] = "an unknown place";
static const char elsewhere[] = "other places";

struct table {
    struct skua_census_row *rows;
    size_t                  used;
    size_t                  max;
    size_t                  last; /* neighbours in the slab often come from one place */
};

static bool is_from(const struct skua_census_row *row, const char *where)
{
    return row->where == where || strcmp(row->where, where) == 0;
}

static struct skua_census_row *row_of(struct table *table, const char *where)
{
    if (table->used > 0 && is_from(&table->rows[table->last], where))
        return &table->rows[table->last];
    for (size_t i = 0; i < table->used; i++) {
        table->last = i;
        if (is_from(&table->rows[i], where))
            return &table->rows[i];
    }
    if (table->used == table->max) { /* the last row stands for all others from now on */
        table->rows[table->last].where = elsewhere;
        return &table->rows[table->last];
    }
    table->last = table->used++;
    table->rows[table->last] = (struct skua_census_row){
        .size = sizeof *table->rows,
        .where = where,
    };
    return &table->rows[table->last];
}

static void copy_name(char (*ret)[sizeof ((struct skua_census_row *)0)->name], struct skua_task *t)
{
    struct rt_cold *cold = rt_task_cold_if_any(t);
    /* pairs: COLD <- rt_task_set_name */
    const char *name = cold ? rt_load_acquire(&cold->name) : NULL;
    if (!name)
        return;
    size_t n = strnlen(name, sizeof *ret - 1);
    memcpy(*ret, name, n);
    (*ret)[n] = '\0';
}

static void count(struct table *table, struct skua_task *t)
{
    struct skua_census_row *row = row_of(table, t->where ? t->where : nowhere);
    row->tasks++;
    /* relaxed: may be another a moment later anyway */
    if (rt_ww_phase(rt_load_relaxed(&t->wait.bits)) != RT_PHASE_RUNNING)
        row->suspended++;
    if (row->name[0] == '\0')
        copy_name(&row->name, t);
}

static void most_first(struct skua_census_row *rows, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct skua_census_row row = rows[i];
        size_t                 at = i;
        for (; at > 0 && rows[at - 1].tasks < row.tasks; at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

size_t rt_census(struct rt_runtime *rt, struct skua_census_row *ret_rows, size_t n)
{
    struct table table = { .rows = ret_rows, .max = n };
    uint32_t     carved = rt_slab_carved();
    for (uint32_t slot = 1; slot <= carved; slot++) {
        struct skua_task *t = rt_slab_at(slot);
        if (!t || !rt_st_try_retain_pending(&t->state))
            continue;
        /* relaxed: fixed while we hold a reference */
        if (rt_load_relaxed(&t->runtime) == rt->id && !rt_task_is_future(t))
            count(&table, t);
        rt_task_unref(rt_self(), t);
    }
    most_first(ret_rows, table.used);
    return table.used;
}

int rt_stack_shortage(struct rt_runtime *rt, int err)
{
    struct skua_census_row rows[SHORTAGE_ROWS];
    if (rt_add_relaxed(&rt->shortage_told, 1) > 0) /* relaxed: once is once */
        return -ENOMEM;
    if (err == -EAGAIN)
        rt_log("no stack for one more waiting task: %u are the most without MADV_GUARD_INSTALL "
               "(Linux 6.13); calls that would wait fail", RT_STACK_MPROTECT_CAP);
    else
        rt_log("no memory for the stack of one more waiting task, after %llu; calls that would "
               "wait fail", (unsigned long long)rt_stacks_created());
    size_t n = rt_census(rt, rows, SHORTAGE_ROWS);
    for (size_t i = 0; i < n; i++)
        rt_log("  %llu spawned at %s%s%s%s, %llu of them waiting",
               (unsigned long long)rows[i].tasks, rows[i].where, rows[i].name[0] ? " ('" : "",
               rows[i].name, rows[i].name[0] ? "')" : "", (unsigned long long)rows[i].suspended);
    return -ENOMEM;
}
