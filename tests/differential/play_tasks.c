/* SPDX-License-Identifier: MIT */
/* Ops: tasks, fan-in, blocks. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "player.h"

static skua_task *task_of(const struct scene *s)
{
    return stage->task[int_arg(s, 0)];
}

/* ---- starting ---- */

/* True: the caller is the one to start it. */
static bool claim(int k)
{
    return !stage->task[k] && !atomic_exchange(&stage->claimed[k], true);
}

static void started(int k, skua_task *t)
{
    stage->task[k] = t;
    if (!t)
        stage->claimed[k] = false;
}

static int play_spawn(struct scene *s)
{
    int k = int_arg(s, 0);
    void *arg = (void *)(intptr_t)k;
    skua_group *home = stage->home[k % HOMES];
    if (!claim(k))
        return 0;
    if (mode == MODE_PINNED)
        started(k, skua_spawn(body, arg));
    else
        started(k, home ? skua_spawn(body, arg, .group = home) : skua_go(body, arg));
    return 0;
}

static int play_espawn(struct scene *s)
{
    int k = int_arg(s, 0);
    if (claim(k))
        started(k, skua_spawn(body, (void *)(intptr_t)k, .eager = true));
    return 0;
}

static int play_gspawn(struct scene *s)
{
    int k = int_arg(s, 0);
    void *arg = (void *)(intptr_t)k;
    skua_taskgroup *group = s->around.group;
    skua_group *home = stage->home[k % HOMES];
    skua_task *t;
    if (!group || !claim(k))
        return none(s);
    if (mode == MODE_PINNED)
        t = skua_taskgroup_spawn(group, body, arg);
    else
        t = home ? skua_taskgroup_spawn(group, body, arg, .group = home)
                 : skua_taskgroup_go(group, body, arg);
    started(k, skua_retain(t));
    if (t)
        *s->around.children |= 1u << k;
    else
        strcpy(s->text, "refused");
    return 0;
}

/* ---- waiting for one ---- */

static int outcome(struct scene *s, int r, void *value)
{
    if (r >= 0)
        task_seen(int_arg(s, 0), r, (intptr_t)value);
    return result(s, r, (intptr_t)value);
}

static int play_await(struct scene *s)
{
    void *value = NULL;
    skua_task *t = task_of(s);
    int r = t ? skua_await(t, &value) : 0;
    return t ? outcome(s, r, value) : none(s);
}

static int play_shield(struct scene *s)
{
    void *value = NULL;
    skua_task *t = task_of(s);
    int r = t ? skua_join(skua_shield(t), &value) : 0;
    return t ? outcome(s, r, value) : none(s);
}

static int play_waitfor(struct scene *s)
{
    void *value = NULL;
    skua_task *t = task_of(s);
    int r = t ? skua_wait_for(t, s->op->arg[1], &value) : 0;
    return t ? outcome(s, r, value) : none(s);
}

/* ---- asking ---- */

static int play_cancel(struct scene *s)
{
    skua_task *t = task_of(s);
    return t ? result(s, 0, skua_cancel(t, NULL)) : none(s);
}

static int play_uncancel(struct scene *s)
{
    skua_task *t = task_of(s);
    return t ? result(s, 0, skua_uncancel(t)) : none(s);
}

static int play_done(struct scene *s)
{
    skua_task *t = task_of(s);
    if (!t)
        return none(s);
    snprintf(s->text, TEXT_MAX, "%d%d", skua_done(t), skua_cancelled(t));
    return 0;
}

static int play_cancelling(struct scene *s)
{
    return result(s, 0, skua_cancelling(skua_current_task()));
}

static int play_alltasks(struct scene *s)
{
    return result(s, 0, (intptr_t)skua_all_tasks(NULL, 0));
}

/* ---- done-callbacks ---- */

static void when_done(skua_task *t, void *watch)
{
    char buf[WORD_MAX];
    watch_runs(watch);
    say("did", "%d %s", watch_number(watch), outcome_code(t, buf));
}

static int play_dadd(struct scene *s)
{
    skua_task *t = thing(stage, int_arg(s, 0));
    struct watch *w = watch_of(place(int_arg(s, 0)), int_arg(s, 1));
    if (!t || (mode != MODE_PINNED && int_arg(s, 0) == 0)) /* main ends after everything else */
        return none(s);
    watch_added(w);
    return skua_add_done_callback(t, when_done, w);
}

static int play_ddel(struct scene *s)
{
    skua_task *t = thing(stage, int_arg(s, 0));
    struct watch *w = watch_of(place(int_arg(s, 0)), int_arg(s, 1));
    if (!t)
        return none(s);
    int n = (int)skua_remove_done_callback(t, when_done, w);
    watch_removed(w, n);
    return result(s, 0, n);
}

/* ---- several ---- */

static int pick(const struct scene *s, skua_task **t)
{
    int n = 0;
    for (int i = 0; i < s->op->list_count; i++)
        if ((t[n] = thing(stage, s->op->list[i])) != NULL)
            n++;
    return n;
}

static void add_name(struct scene *s, const skua_task *t)
{
    char buf[WORD_MAX];
    for (int i = 0; i < s->op->list_count; i++)
        if (thing(stage, s->op->list[i]) == t) {
            snprintf(buf, sizeof buf, "%d", s->op->list[i]);
            add_word(s, buf);
            return;
        }
}

static int gather(struct scene *s, skua_task **t, int n)
{
    void *got[LIST_MAX];
    char buf[WORD_MAX];
    int r = skua_gather(t, (size_t)n, got, SKUA_RETURN_ERRORS);
    for (int i = 0; r >= 0 && i < n; i++) {
        int err = skua_failed(got[i]);
        HOLDS(skua_done(t[i]));
        snprintf(buf, sizeof buf, "%d", (int)(intptr_t)got[i]);
        add_word(s, err ? code(err, buf) : buf);
    }
    return r < 0 ? r : 0;
}

static int play_gather(struct scene *s)
{
    skua_task *t[LIST_MAX];
    int n = pick(s, t);
    return n > 0 ? gather(s, t, n) : none(s);
}

static int play_lgather(struct scene *s)
{
    skua_task *t[LIST_MAX];
    int n = pick(s, t);
    return n > 0 ? LIMITED(s->op->arg[0], gather(s, t, n)) : none(s);
}

static int play_wait(struct scene *s)
{
    skua_task *t[LIST_MAX];
    size_t done = 0;
    int n = pick(s, t);
    if (n == 0)
        return none(s);
    int r = skua_wait(t, (size_t)n, s->op->arg[1], (enum skua_when)int_arg(s, 0), &done);
    for (size_t i = 0; r >= 0 && i < done; i++) { /* which stand in the order of the list */
        HOLDS(skua_done(t[i]));
        add_name(s, t[i]);
    }
    if (r >= 0 && done == 0)
        strcpy(s->text, "nobody");
    return r;
}

static int play_ascomp(struct scene *s)
{
    skua_task *t[LIST_MAX], *next;
    skua_as_completed it;
    int n = pick(s, t), came = 0, r;
    if (n == 0)
        return none(s);
    r = skua_as_completed_init(&it, t, (size_t)n, s->op->arg[0]);
    if (r < 0)
        return r;
    while ((next = skua_as_completed_next(&it, &r)) != NULL) {
        HOLDS(skua_done(next));
        came++;
        add_name(s, next);
    }
    skua_as_completed_fini(&it);
    HOLDS(r < 0 || came == n);
    return r;
}

/* ---- blocks ---- */

static int play_try(struct scene *s)
{
    char buf[WORD_MAX];
    int r = play_inner(s);
    if (r == RETURNED || r == 0)
        return r;
    while (r == -ECANCELED && skua_uncancel(skua_current_task()) > 0)
        continue;
    snprintf(s->text, TEXT_MAX, "caught %s", code(r, buf));
    return 0;
}

static void say_errors(const struct scene *s, skua_taskgroup *group)
{
    int errs[TASKS_MAX];
    char buf[WORD_MAX], text[TEXT_MAX] = "";
    struct scene words = {.text = text};
    size_t n = skua_taskgroup_errors(group, errs, TASKS_MAX);
    for (size_t i = 0; i < n; i++)
        add_word(&words, code(errs[i], buf));
    if (n > 0)
        say(name_of(s->actor), "errors %s", text);
}

static int play_group(struct scene *s)
{
    skua_taskgroup group;
    unsigned children = 0;
    int r = skua_taskgroup_init(&group);
    if (r < 0)
        return r;
    struct around around = {&group, &children, s->around.limit};
    int inner = play_block(s->actor, s->op->block, around);
    r = skua_taskgroup_join(&group, inner == RETURNED ? 0 : inner);
    for (int k = 1; k < TASKS_MAX; k++)
        HOLDS(!(children >> k & 1) || skua_done(stage->task[k]));
    if (r < 0)
        say_errors(s, &group);
    return r < 0 ? r : inner == RETURNED ? RETURNED : 0;
}

const struct op_kind task_ops[] = {
    {"spawn", 1, false, false, play_spawn},       {"espawn", 1, false, false, play_espawn},
    {"gspawn", 1, false, false, play_gspawn},     {"await", 1, false, false, play_await},
    {"shield", 1, false, false, play_shield},     {"waitfor", 2, false, false, play_waitfor},
    {"cancel", 1, false, false, play_cancel},     {"uncancel", 1, false, false, play_uncancel},
    {"done", 1, false, false, play_done},         {"cancelling", 0, false, false, play_cancelling},
    {"alltasks", 0, false, false, play_alltasks}, {"dadd", 2, false, false, play_dadd},
    {"ddel", 2, false, false, play_ddel},         {"gather", 0, true, false, play_gather},
    {"lgather", 1, true, false, play_lgather},    {"wait", 2, true, false, play_wait},
    {"ascomp", 1, true, false, play_ascomp},      {"try", 0, false, true, play_try},
    {"group", 0, false, true, play_group},        {.name = NULL},
};
