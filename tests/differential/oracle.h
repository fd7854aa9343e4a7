/* SPDX-License-Identifier: MIT */
/* What must hold in whatever order things happen: nothing is lost, nothing comes twice, nobody is
 * let in who must wait. Each breach is written as a line "breach ...". */
#ifndef ORACLE_H
#define ORACLE_H
#include <stdbool.h>
#include <stdint.h>

struct player;

void oracle_begin(void);
/* In main, when every task has ended; `drains`: ends the futures and lets all callbacks run. */
void oracle_check(struct player *p, bool drains);

/* Writes a breach unless it holds. */
#define HOLDS(x) holds((x), #x, __func__, __LINE__)
bool holds(bool x, const char *text, const char *where, int line);

/* ---- tasks ---- */
void task_begins(int k);
void task_ends(int k, int err, intptr_t value);
/* Somebody got this from the task, which is done. */
void task_seen(int k, int err, intptr_t value);

/* ---- who is in: the kinds of doors, and how many may be in ---- */
enum door { DOOR_LOCK, DOOR_COND, DOOR_SEM, DOORS };
void enter_door(enum door d, int i, int most);
void leave_door(enum door d, int i);

/* ---- permits that were added to a semaphore ---- */
int permits_added(int i);
void add_permit(int i);

/* ---- elements of queues: each is another one, and has a number to be ordered by ---- */
void *item_new(int queue, int number);
int item_number(const void *item);
void item_put(void *item, int r);
void item_got(int queue, void *item);
void item_done(int queue, int r);

/* ---- futures ---- */
void future_won(int i, int err, intptr_t value);

/* ---- callbacks, each called once at most ---- */
struct call *call_new(int number);
int call_number(const struct call *c);
void call_runs(struct call *c);
/* The latest with this number; a cancel of it said `prevented`. */
struct call *call_latest(int number);
void call_stopped(struct call *c, bool prevented);
void call_set_handle(struct call *c, uint64_t handle);
uint64_t call_handle(struct call *c);

/* ---- done-callbacks: called or removed, once for each time they were added ---- */
struct watch *watch_of(int thing, int number);
int watch_number(const struct watch *w);
void watch_added(struct watch *w);
void watch_removed(struct watch *w, int n);
void watch_runs(struct watch *w);
#endif
