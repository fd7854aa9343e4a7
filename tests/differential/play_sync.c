/* SPDX-License-Identifier: MIT */
/* Ops: locks and their kin, queues, futures. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "player.h"

/* ---- locks and semaphores ---- */

static int play_lock(struct scene *s)
{
    int i = int_arg(s, 0);
    int r = LIMITED(s->op->arg[1], skua_lock_acquire(&stage->lock[i]));
    if (r < 0)
        return r;
    enter_door(DOOR_LOCK, i, 1);
    say(name_of(s->actor), "in");
    r = play_inner(s);
    leave_door(DOOR_LOCK, i);
    HOLDS(skua_lock_release(&stage->lock[i]) == 0);
    return r;
}

static int play_sem(struct scene *s)
{
    int i = int_arg(s, 0);
    int r = LIMITED(s->op->arg[1], skua_semaphore_acquire(&stage->sem[i]));
    if (r < 0)
        return r;
    enter_door(DOOR_SEM, i, stage->s->sem[i] + permits_added(i));
    say(name_of(s->actor), "in");
    r = play_inner(s);
    leave_door(DOOR_SEM, i);
    HOLDS(skua_semaphore_release(&stage->sem[i]) == 0);
    return r;
}

static int play_srelease(struct scene *s)
{
    add_permit(int_arg(s, 0));
    return skua_semaphore_release(&stage->sem[int_arg(s, 0)]);
}

/* ---- events ---- */

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

/* ---- conditions ---- */

static int take_cond(int i, double limit)
{
    int r = LIMITED(limit, skua_lock_acquire(&stage->cond_lock[i]));
    if (r == 0)
        enter_door(DOOR_COND, i, 1);
    return r;
}

static void give_cond(int i)
{
    leave_door(DOOR_COND, i);
    HOLDS(skua_lock_release(&stage->cond_lock[i]) == 0);
}

static bool is_ready(void *ready)
{
    return *(atomic_bool *)ready;
}

static int wait_cond(const struct scene *s, bool has_predicate)
{
    int i = int_arg(s, 0);
    double limit = s->op->arg[1];
    int r = take_cond(i, limit);
    if (r < 0)
        return r;
    leave_door(DOOR_COND, i);
    r = LIMITED(limit, has_predicate
                           ? skua_cond_wait_for(&stage->cond[i], is_ready, &stage->ready[i])
                           : skua_cond_wait(&stage->cond[i]));
    enter_door(DOOR_COND, i, 1);
    say(name_of(s->actor), "locked %d", skua_lock_locked(&stage->cond_lock[i]));
    give_cond(i);
    return r;
}

static int play_cwait(struct scene *s)
{
    return wait_cond(s, false);
}

static int play_cwaitf(struct scene *s)
{
    return wait_cond(s, true);
}

static int play_cnotify(struct scene *s)
{
    int i = int_arg(s, 0);
    int r = take_cond(i, s->op->arg[2]);
    if (r < 0)
        return r;
    HOLDS(skua_cond_notify(&stage->cond[i], (size_t)int_arg(s, 1)) == 0);
    give_cond(i);
    return 0;
}

static int play_cready(struct scene *s)
{
    int i = int_arg(s, 0);
    int r = take_cond(i, s->op->arg[2]);
    if (r < 0)
        return r;
    stage->ready[i] = int_arg(s, 1) > 0;
    HOLDS(skua_cond_notify_all(&stage->cond[i]) == 0);
    give_cond(i);
    return 0;
}

/* ---- barriers ---- */

static int play_bwait(struct scene *s)
{
    int i = int_arg(s, 0);
    return LIMITED(s->op->arg[1], ({
        int index = skua_barrier_wait(&stage->barrier[i]);
        HOLDS(index < stage->s->parties[i]);
        index < 0 ? index : 0;
    }));
}

static int play_breset(struct scene *s)
{
    return LIMITED(s->op->arg[1], skua_barrier_reset(&stage->barrier[int_arg(s, 0)]));
}

static int play_babort(struct scene *s)
{
    return LIMITED(s->op->arg[1], skua_barrier_abort(&stage->barrier[int_arg(s, 0)]));
}

/* ---- queues ---- */

static skua_queue *queue_of(const struct scene *s)
{
    return &stage->queue[int_arg(s, 0)];
}

static int play_put(struct scene *s)
{
    void *item = item_new(int_arg(s, 0), int_arg(s, 1));
    int r = LIMITED(s->op->arg[2], skua_queue_put(queue_of(s), item, INFINITY));
    item_put(item, r);
    return r;
}

static int got(struct scene *s, void *item)
{
    item_got(int_arg(s, 0), item);
    return result(s, 0, item_number(item));
}

static int play_get(struct scene *s)
{
    void *item = NULL;
    int r = LIMITED(s->op->arg[1], skua_queue_get(queue_of(s), &item, INFINITY));
    return r == 0 ? got(s, item) : r;
}

static int play_putn(struct scene *s)
{
    void *item = item_new(int_arg(s, 0), int_arg(s, 1));
    int r = skua_queue_put_nowait(queue_of(s), item);
    item_put(item, r);
    if (r < 0)
        strcpy(s->text, "full");
    return 0;
}

static int play_getn(struct scene *s)
{
    void *item = NULL;
    if (skua_queue_get_nowait(queue_of(s), &item) == 0)
        return got(s, item);
    strcpy(s->text, "empty");
    return 0;
}

static int play_tdone(struct scene *s)
{
    int r = skua_queue_task_done(queue_of(s));
    item_done(int_arg(s, 0), r);
    if (r < 0)
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
    if (skua_future_set_result(future_of(s), (void *)(intptr_t)int_arg(s, 1)))
        future_won(int_arg(s, 0), 0, int_arg(s, 1));
    else
        strcpy(s->text, "late");
    return 0;
}

static int play_ffail(struct scene *s)
{
    if (skua_future_set_error(future_of(s), FAILURE - int_arg(s, 1)))
        future_won(int_arg(s, 0), FAILURE - int_arg(s, 1), 0);
    else
        strcpy(s->text, "late");
    return 0;
}

static int play_fcancel(struct scene *s)
{
    bool won = skua_cancel(future_of(s), NULL);
    if (won)
        future_won(int_arg(s, 0), -ECANCELED, 0);
    return result(s, 0, won);
}

static int play_fawait(struct scene *s)
{
    void *value = NULL;
    int r = LIMITED(s->op->arg[1], skua_join(skua_shield(future_of(s)), &value));
    return result(s, r, (intptr_t)value);
}

static int play_fown(struct scene *s)
{
    void *value = NULL;
    int r = skua_wait_for(future_of(s), s->op->arg[1], &value);
    return result(s, r, (intptr_t)value);
}

const struct op_kind sync_ops[] = {
    {"lock", 2, false, true, play_lock},        {"sem", 2, false, true, play_sem},
    {"srelease", 1, false, false, play_srelease}, {"eset", 1, false, false, play_eset},
    {"eclear", 1, false, false, play_eclear},   {"ewait", 2, false, false, play_ewait},
    {"cwait", 2, false, false, play_cwait},     {"cwaitf", 2, false, false, play_cwaitf},
    {"cnotify", 3, false, false, play_cnotify}, {"cready", 3, false, false, play_cready},
    {"bwait", 2, false, false, play_bwait},     {"breset", 2, false, false, play_breset},
    {"babort", 2, false, false, play_babort},   {"put", 3, false, false, play_put},
    {"get", 2, false, false, play_get},         {"putn", 2, false, false, play_putn},
    {"getn", 1, false, false, play_getn},       {"tdone", 1, false, false, play_tdone},
    {"qjoin", 2, false, false, play_qjoin},     {"fset", 2, false, false, play_fset},
    {"ffail", 2, false, false, play_ffail},     {"fcancel", 1, false, false, play_fcancel},
    {"fawait", 2, false, false, play_fawait},   {"fown", 2, false, false, play_fown},
    {.name = NULL},
};
