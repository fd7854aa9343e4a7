/* SPDX-License-Identifier: MIT */
/* Ops: time, callbacks, variables, ends. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "player.h"

/* ---- time ---- */

static int play_sleep(struct scene *s)
{
    return skua_sleep(s->op->arg[0]);
}

static int play_yield(struct scene *s)
{
    (void)s;
    return skua_yield();
}

/* ---- variables ---- */

static skua_var vars[] = {SKUA_VAR_INIT("first", NULL), SKUA_VAR_INIT("second", NULL)};

static int var(int i)
{
    return (int)(intptr_t)skua_var_get(&vars[i]);
}

static int play_vset(struct scene *s)
{
    return skua_var_set(&vars[int_arg(s, 0)], (void *)(intptr_t)int_arg(s, 1), NULL);
}

static int play_vget(struct scene *s)
{
    return result(s, 0, var(int_arg(s, 0)));
}

static int play_var(struct scene *s)
{
    int i = int_arg(s, 0), before = var(i);
    skua_var_token token;
    int r = skua_var_set(&vars[i], (void *)(intptr_t)int_arg(s, 1), &token);
    if (r < 0)
        return r;
    r = play_inner(s);
    HOLDS(skua_var_reset(&vars[i], token) == 0);
    HOLDS(var(i) == before);
    return r;
}

/* ---- callbacks ---- */

static void call_back(void *arg)
{
    call_runs(arg);
    say("cb", "%d %d", call_number(arg), var(0));
}

/* Free tasks have no loop to be called back on. */
static int calls(struct scene *s, struct call *c, skua_handle h)
{
    if (!h.id)
        return mode == MODE_PINNED ? -ENOMEM : none(s);
    call_set_handle(c, h.id);
    return 0;
}

static int play_soon(struct scene *s)
{
    struct call *c = call_new(int_arg(s, 0));
    return calls(s, c, skua_call_soon(call_back, c));
}

static int play_later(struct scene *s)
{
    struct call *c = call_new(int_arg(s, 1));
    return calls(s, c, skua_call_later(s->op->arg[0], call_back, c));
}

static int play_at(struct scene *s)
{
    struct call *c = call_new(int_arg(s, 1));
    return calls(s, c, skua_call_at(skua_loop_time() + s->op->arg[0], call_back, c));
}

static int play_hcancel(struct scene *s)
{
    struct call *c = call_latest(int_arg(s, 0));
    if (!c)
        return none(s);
    uint64_t id = call_handle(c);
    if (id)
        call_stopped(c, skua_handle_cancel((skua_handle){id}));
    return 0;
}

static void cancel_back(void *k)
{
    skua_task *t = stage->task[(intptr_t)k];
    if (t)
        say("cb", "cancels %d %d", (int)(intptr_t)k, skua_cancel(t, NULL));
}

static int play_lcancel(struct scene *s)
{
    skua_handle h = skua_call_later(s->op->arg[0], cancel_back, (void *)(intptr_t)int_arg(s, 1));
    return h.id || mode != MODE_PINNED ? 0 : -ENOMEM;
}

/* ---- limits ---- */

static int play_timeout(struct scene *s)
{
    skua_timeout limit;
    int r = skua_timeout_enter(&limit, s->op->arg[0]);
    if (r < 0)
        return r;
    struct around around = s->around;
    around.limit = &limit;
    int inner = play_block(s->actor, s->op->block, around);
    r = skua_timeout_exit(&limit, inner == RETURNED ? 0 : inner);
    return r == 0 ? inner : r;
}

static int play_resched(struct scene *s)
{
    double delay = s->op->arg[0];
    double when = delay < 0 ? INFINITY : skua_loop_time() + (delay > 0 ? delay : -1);
    if (!s->around.limit)
        return none(s);
    if (skua_timeout_reschedule(s->around.limit, when) < 0)
        strcpy(s->text, "late");
    return 0;
}

static int play_expired(struct scene *s)
{
    return s->around.limit ? result(s, 0, skua_timeout_expired(s->around.limit)) : none(s);
}

/* ---- ends ---- */

static int play_raise(struct scene *s)
{
    return FAILURE - int_arg(s, 0);
}

static int play_ret(struct scene *s)
{
    s->actor->value = int_arg(s, 0);
    return RETURNED;
}

const struct op_kind time_ops[] = {
    {"sleep", 1, false, false, play_sleep},     {"yield", 0, false, false, play_yield},
    {"vset", 2, false, false, play_vset},       {"vget", 1, false, false, play_vget},
    {"var", 2, false, true, play_var},          {"soon", 1, false, false, play_soon},
    {"later", 2, false, false, play_later},     {"at", 2, false, false, play_at},
    {"hcancel", 1, false, false, play_hcancel}, {"lcancel", 2, false, false, play_lcancel},
    {"timeout", 1, false, true, play_timeout},  {"resched", 1, false, false, play_resched},
    {"expired", 0, false, false, play_expired}, {"raise", 1, false, false, play_raise},
    {"ret", 1, false, false, play_ret},         {.name = NULL},
};
