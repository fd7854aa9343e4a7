/* SPDX-License-Identifier: MIT */
/*
 * Plays scenarios on skua in virtual time and writes what happens: the counterpart of
 * asyncio_player.py, which see for what each op means. Reads scenarios from standard input, writes
 * "== SEED" and the lines of each to standard output.
 */
#include "stage.h"

#include <errno.h>
#include <math.h>
#include <skua.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 256, FAILURE = -1000, RETURNED = 1 };

static struct player *stage;

struct actor {
    int k;
    intptr_t value; /* of ret */
};

/* What an op is played with. */
struct scene {
    struct actor *actor;
    const struct op *op;
    skua_taskgroup *group;
    char *text; /* the result, "" for none */
};

static __attribute__((format(printf, 2, 3))) void say(const char *who, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("%s ", who);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

static const char *code(int r, char *buf)
{
    if (r <= FAILURE)
        snprintf(buf, WORD_MAX, "E%d", FAILURE - r);
    else
        strcpy(buf, r == -ECANCELED ? "C" : r == -ETIMEDOUT ? "T" : r == -EPIPE ? "B" : "R");
    return buf;
}

static const char *name_of(const struct actor *a)
{
    static const char names[TASKS_MAX][3] = {"0", "1", "2", "3", "4", "5", "6", "7", "8"};
    return names[a->k];
}

static int result(struct scene *s, int r, void *value)
{
    if (r >= 0)
        snprintf(s->text, TEXT_MAX, "%d", (int)(intptr_t)value);
    return r < 0 ? r : 0;
}

static int none(struct scene *s)
{
    strcpy(s->text, "none");
    return 0;
}

static int int_arg(const struct scene *s, int i)
{
    return (int)s->op->arg[i];
}

static int play_block(struct actor *a, const struct block *b, skua_taskgroup *group)
{
    for (int i = 0; i < b->count; i++) {
        char text[TEXT_MAX] = "", buf[WORD_MAX];
        struct scene s = {a, &b->op[i], group, text};
        const char *name = s.op->kind->name;
        int r = s.op->kind->play(&s);
        if (r == RETURNED)
            return r;
        if (r < 0) {
            say(name_of(a), "%s! %s", name, code(r, buf));
            return r;
        }
        say(name_of(a), "%s%s%s", name, *text ? " " : "", text);
    }
    return 0;
}

/* `call` under a time limit, as async with timeout(). */
#define LIMITED(seconds, call)                                                                     \
    ({                                                                                             \
        skua_timeout limit_;                                                                       \
        int r_ = skua_timeout_enter(&limit_, (seconds));                                           \
        if (r_ == 0) {                                                                             \
            r_ = (call);                                                                           \
            r_ = skua_timeout_exit(&limit_, r_);                                                   \
        }                                                                                          \
        r_;                                                                                        \
    })

static void *body(void *arg)
{
    struct actor a = {.k = (int)(intptr_t)arg};
    char buf[WORD_MAX];
    say(name_of(&a), "begins");
    int r = play_block(&a, stage->s->task[a.k], NULL);
    if (r < 0) {
        say(name_of(&a), "ends %s", code(r, buf));
        return skua_fail(r);
    }
    intptr_t value = r == RETURNED ? a.value : 0; /* a ret may have been overtaken by a cancel */
    say(name_of(&a), "ends %d", (int)value);
    return (void *)value;
}

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

static void call_back(void *arg)
{
    say("cb", "%d", (int)(intptr_t)arg);
}

static int play_soon(struct scene *s)
{
    return skua_call_soon(call_back, (void *)(intptr_t)int_arg(s, 0)).id ? 0 : -ENOMEM;
}

static int play_later(struct scene *s)
{
    void *n = (void *)(intptr_t)int_arg(s, 1);
    return skua_call_later(s->op->arg[0], call_back, n).id ? 0 : -ENOMEM;
}

/* ---- tasks ---- */

static skua_task *task_of(const struct scene *s)
{
    return stage->task[int_arg(s, 0)];
}

static int play_spawn(struct scene *s)
{
    int k = int_arg(s, 0);
    if (!stage->task[k])
        stage->task[k] = skua_spawn(body, (void *)(intptr_t)k);
    return 0;
}

static int play_gspawn(struct scene *s)
{
    int k = int_arg(s, 0);
    if (!s->group || stage->task[k])
        return none(s);
    stage->task[k] = skua_retain(skua_taskgroup_spawn(s->group, body, (void *)(intptr_t)k));
    if (!stage->task[k])
        strcpy(s->text, "refused");
    return 0;
}

static int play_await(struct scene *s)
{
    void *value = NULL;
    skua_task *t = task_of(s);
    int r = t ? skua_await(t, &value) : 0;
    return t ? result(s, r, value) : none(s);
}

static int play_shield(struct scene *s)
{
    void *value = NULL;
    skua_task *t = task_of(s);
    int r = t ? skua_join(skua_shield(t), &value) : 0;
    return t ? result(s, r, value) : none(s);
}

static int play_waitfor(struct scene *s)
{
    void *value = NULL;
    skua_task *t = task_of(s);
    int r = t ? skua_wait_for(t, s->op->arg[1], &value) : 0;
    return t ? result(s, r, value) : none(s);
}

static int play_cancel(struct scene *s)
{
    skua_task *t = task_of(s);
    return t ? result(s, 0, (void *)(intptr_t)skua_cancel(t, NULL)) : none(s);
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
    return result(s, 0, (void *)(intptr_t)skua_cancelling(skua_current_task()));
}

static int pick(const struct scene *s, skua_task **t)
{
    int n = 0;
    for (int i = 0; i < s->op->list_count; i++)
        if (stage->task[s->op->list[i]])
            t[n++] = stage->task[s->op->list[i]];
    return n;
}

static void add_word(struct scene *s, const char *word)
{
    size_t n = strlen(s->text);
    snprintf(s->text + n, TEXT_MAX - n, "%s%s", n ? "," : "", word);
}

static int play_gather(struct scene *s)
{
    skua_task *t[LIST_MAX];
    void *got[LIST_MAX];
    char buf[WORD_MAX];
    int n = pick(s, t);
    if (n == 0)
        return none(s);
    int r = skua_gather(t, (size_t)n, got, SKUA_RETURN_ERRORS);
    for (int i = 0; r >= 0 && i < n; i++) {
        int err = skua_failed(got[i]);
        snprintf(buf, sizeof buf, "%d", (int)(intptr_t)got[i]);
        add_word(s, err ? code(err, buf) : buf);
    }
    return r < 0 ? r : 0;
}

static int play_wait(struct scene *s)
{
    skua_task *t[LIST_MAX];
    size_t done = 0;
    char buf[WORD_MAX];
    int n = pick(s, t);
    if (n == 0)
        return none(s);
    int r = skua_wait(t, (size_t)n, s->op->arg[1], (enum skua_when)int_arg(s, 0), &done);
    for (int k = 0; r >= 0 && k < TASKS_MAX; k++)
        for (size_t i = 0; i < done; i++)
            if (t[i] == stage->task[k]) {
                snprintf(buf, sizeof buf, "%d", k);
                add_word(s, buf);
            }
    if (r >= 0 && done == 0)
        strcpy(s->text, "nobody");
    return r;
}

/* ---- blocks ---- */

static int play_inner(struct scene *s, skua_taskgroup *group)
{
    return play_block(s->actor, s->op->block, group);
}

static int play_try(struct scene *s)
{
    char buf[WORD_MAX];
    int r = play_inner(s, s->group);
    if (r == RETURNED || r == 0)
        return r;
    while (r == -ECANCELED && skua_uncancel(skua_current_task()) > 0)
        continue;
    snprintf(s->text, TEXT_MAX, "caught %s", code(r, buf));
    return 0;
}

static int play_timeout(struct scene *s)
{
    bool returned = false;
    int r = LIMITED(s->op->arg[0], ({
        int inner = play_inner(s, s->group);
        returned = inner == RETURNED;
        returned ? 0 : inner;
    }));
    return r == 0 && returned ? RETURNED : r;
}

static int play_group(struct scene *s)
{
    skua_taskgroup group;
    int errs[TASKS_MAX];
    char buf[WORD_MAX], text[TEXT_MAX] = "";
    struct scene words = {.text = text};
    int r = skua_taskgroup_init(&group);
    if (r < 0)
        return r;
    int inner = play_inner(s, &group);
    r = skua_taskgroup_join(&group, inner == RETURNED ? 0 : inner);
    size_t n = skua_taskgroup_errors(&group, errs, TASKS_MAX);
    for (size_t i = 0; i < n; i++)
        add_word(&words, code(errs[i], buf));
    if (r < 0 && n > 0)
        say(name_of(s->actor), "errors %s", text);
    return r < 0 ? r : inner == RETURNED ? RETURNED : 0;
}

static int play_lock(struct scene *s)
{
    skua_lock *lock = &stage->lock[int_arg(s, 0)];
    int r = LIMITED(s->op->arg[1], skua_lock_acquire(lock));
    if (r < 0)
        return r;
    say(name_of(s->actor), "in");
    r = play_inner(s, s->group);
    skua_lock_release(lock);
    return r;
}

static int play_sem(struct scene *s)
{
    skua_semaphore *sem = &stage->sem[int_arg(s, 0)];
    int r = LIMITED(s->op->arg[1], skua_semaphore_acquire(sem));
    if (r < 0)
        return r;
    say(name_of(s->actor), "in");
    r = play_inner(s, s->group);
    skua_semaphore_release(sem);
    return r;
}

/* ---- events, conditions, barriers ---- */

static skua_event *event_of(const struct scene *s)
{
    return &stage->event[int_arg(s, 0)];
}

static int play_eset(struct scene *s)
{
    skua_event_set(event_of(s));
    return 0;
}

static int play_eclear(struct scene *s)
{
    skua_event_clear(event_of(s));
    return 0;
}

static int play_ewait(struct scene *s)
{
    return LIMITED(s->op->arg[1], skua_event_wait(event_of(s)));
}

static int play_cwait(struct scene *s)
{
    int i = int_arg(s, 0);
    int r = LIMITED(s->op->arg[1], skua_lock_acquire(&stage->cond_lock[i]));
    if (r < 0)
        return r;
    r = LIMITED(s->op->arg[1], skua_cond_wait(&stage->cond[i]));
    say(name_of(s->actor), "locked %d", skua_lock_locked(&stage->cond_lock[i]));
    skua_lock_release(&stage->cond_lock[i]);
    return r;
}

static int play_cnotify(struct scene *s)
{
    int i = int_arg(s, 0);
    int r = LIMITED(s->op->arg[2], skua_lock_acquire(&stage->cond_lock[i]));
    if (r < 0)
        return r;
    skua_cond_notify(&stage->cond[i], (size_t)int_arg(s, 1));
    return skua_lock_release(&stage->cond_lock[i]);
}

static int play_bwait(struct scene *s)
{
    return LIMITED(s->op->arg[1], ({
        int index = skua_barrier_wait(&stage->barrier[int_arg(s, 0)]);
        index < 0 ? index : 0;
    }));
}

static int play_breset(struct scene *s)
{
    return LIMITED(s->op->arg[1], skua_barrier_reset(&stage->barrier[int_arg(s, 0)]));
}

/* ---- queues ---- */

static skua_queue *queue_of(const struct scene *s)
{
    return &stage->queue[int_arg(s, 0)];
}

static int play_put(struct scene *s)
{
    void *item = (void *)(intptr_t)int_arg(s, 1);
    return LIMITED(s->op->arg[2], skua_queue_put(queue_of(s), item, INFINITY));
}

static int play_get(struct scene *s)
{
    void *item = NULL;
    int r = LIMITED(s->op->arg[1], skua_queue_get(queue_of(s), &item, INFINITY));
    return result(s, r, item);
}

static int play_putn(struct scene *s)
{
    if (skua_queue_put_nowait(queue_of(s), (void *)(intptr_t)int_arg(s, 1)) < 0)
        strcpy(s->text, "full");
    return 0;
}

static int play_getn(struct scene *s)
{
    void *item = NULL;
    if (skua_queue_get_nowait(queue_of(s), &item) == 0)
        return result(s, 0, item);
    strcpy(s->text, "empty");
    return 0;
}

static int play_tdone(struct scene *s)
{
    if (skua_queue_task_done(queue_of(s)) < 0)
        strcpy(s->text, "too often");
    return 0;
}

static int play_qjoin(struct scene *s)
{
    return LIMITED(s->op->arg[1], skua_queue_join(queue_of(s)));
}

/* ---- futures ---- */

static skua_future *future_of(const struct scene *s)
{
    return stage->future[int_arg(s, 0)];
}

static int play_fset(struct scene *s)
{
    if (!skua_future_set_result(future_of(s), (void *)(intptr_t)int_arg(s, 1)))
        strcpy(s->text, "late");
    return 0;
}

static int play_ffail(struct scene *s)
{
    if (!skua_future_set_error(future_of(s), FAILURE - int_arg(s, 1)))
        strcpy(s->text, "late");
    return 0;
}

static int play_fcancel(struct scene *s)
{
    return result(s, 0, (void *)(intptr_t)skua_cancel(future_of(s), NULL));
}

static int play_fawait(struct scene *s)
{
    void *value = NULL;
    int r = LIMITED(s->op->arg[1], skua_join(skua_shield(future_of(s)), &value));
    return result(s, r, value);
}

static int play_fown(struct scene *s)
{
    void *value = NULL;
    int r = skua_wait_for(future_of(s), s->op->arg[1], &value);
    return result(s, r, value);
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

static const struct op_kind kinds[] = {
    {"sleep", 1, false, false, play_sleep},     {"yield", 0, false, false, play_yield},
    {"soon", 1, false, false, play_soon},       {"later", 2, false, false, play_later},
    {"spawn", 1, false, false, play_spawn},     {"gspawn", 1, false, false, play_gspawn},
    {"await", 1, false, false, play_await},     {"shield", 1, false, false, play_shield},
    {"waitfor", 2, false, false, play_waitfor}, {"cancel", 1, false, false, play_cancel},
    {"done", 1, false, false, play_done},       {"cancelling", 0, false, false, play_cancelling},
    {"gather", 0, true, false, play_gather},    {"wait", 2, true, false, play_wait},
    {"try", 0, false, true, play_try},          {"timeout", 1, false, true, play_timeout},
    {"group", 0, false, true, play_group},      {"lock", 2, false, true, play_lock},
    {"sem", 2, false, true, play_sem},          {"eset", 1, false, false, play_eset},
    {"eclear", 1, false, false, play_eclear},   {"ewait", 2, false, false, play_ewait},
    {"cwait", 2, false, false, play_cwait},     {"cnotify", 3, false, false, play_cnotify},
    {"bwait", 2, false, false, play_bwait},     {"breset", 2, false, false, play_breset},
    {"put", 3, false, false, play_put},         {"get", 2, false, false, play_get},
    {"putn", 2, false, false, play_putn},       {"getn", 1, false, false, play_getn},
    {"tdone", 1, false, false, play_tdone},     {"qjoin", 2, false, false, play_qjoin},
    {"fset", 2, false, false, play_fset},       {"ffail", 2, false, false, play_ffail},
    {"fcancel", 1, false, false, play_fcancel}, {"fawait", 2, false, false, play_fawait},
    {"fown", 2, false, false, play_fown},       {"raise", 1, false, false, play_raise},
    {"ret", 1, false, false, play_ret},         {.name = NULL},
};

/* ---- playing ---- */

static void *play_main(void *arg)
{
    struct player p;
    set_up(&p, arg);
    stage = &p;
    p.task[0] = skua_retain(skua_current_task());
    void *value = body((void *)0);
    settle(&p);
    tear_down(&p);
    return value;
}

int main(void)
{
    struct scenario s;
    char buf[WORD_MAX];
    while (read_scenario(&s, kinds)) {
        printf("== %ld\n", s.seed);
        int r = skua_run(play_main, &s, .virtual_time = true);
        if (r < 0)
            say("main", "%s", code(r, buf));
        free_scenario(&s);
        fflush(stdout);
    }
    return 0;
}
