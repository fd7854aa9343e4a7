/* SPDX-License-Identifier: MIT */
/* floor 3: task. What a task has to end yet. */
#include "task/owed.h"

#include "base/mem.h"

/* Where it is, or where its link would go: at the end. */
static struct rt_owed **find(struct rt_cold *cold, const void *place)
{
    struct rt_owed **at = &cold->owed;
    while (*at && (*at)->place != place)
        at = &(*at)->next;
    return at;
}

static const char *take(struct rt_owed **at)
{
    struct rt_owed *it = *at;
    const char     *what = it->what;
    *at = it->next;
    rt_free(it);
    return what;
}

const char *rt_owed_add(struct skua_task *t, const void *place, const char *what)
{
    struct rt_cold *cold = rt_task_cold(t);
    if (!cold)
        return NULL;
    struct rt_owed **at = find(cold, place);
    const char      *before = *at ? take(at) : NULL;
    struct rt_owed  *it = rt_calloc(1, sizeof *it);
    if (it) {
        *it = (struct rt_owed){ .next = cold->owed, .place = place, .what = what };
        cold->owed = it;
    }
    return before;
}

void rt_owed_remove(struct skua_task *t, const void *place)
{
    struct rt_cold  *cold = rt_task_cold_if_any(t);
    struct rt_owed **at = cold ? find(cold, place) : NULL;
    if (at && *at)
        (void)take(at);
}

const char *rt_owed_take(struct skua_task *t)
{
    struct rt_cold *cold = rt_task_cold_if_any(t);
    return cold && cold->owed ? take(&cold->owed) : NULL;
}
