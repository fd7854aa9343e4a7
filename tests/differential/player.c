/* SPDX-License-Identifier: MIT */
/*
 * Plays scenarios on skua in virtual time and writes what happens: the counterpart of
 * asyncio_player.py, which see for what each op means. Reads scenarios from standard input, writes
 * "== SEED" and the lines of each to standard output.
 *
 *     differential_player [--free | --spread] [--workers N] [--log]
 *
 * --free plays every task as a free one, --spread some free and some in groups on other workers.
 * There the order is nobody's, and only breaches of what must hold in any order are written, with
 * --log also what happened.
 */
#include "player.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HANGS_AFTER = 20 }; /* seconds */

enum mode mode;
struct player *stage;
static bool quiet;

/* ---- what ops need ---- */

void say(const char *who, const char *fmt, ...)
{
    char line[TEXT_MAX * 2];
    va_list ap;
    if (quiet)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    printf("%s %s\n", who, line);
}

const char *code(int r, char *buf)
{
    if (r <= FAILURE)
        snprintf(buf, WORD_MAX, "E%d", FAILURE - r);
    else
        strcpy(buf, r == -ECANCELED ? "C" : r == -ETIMEDOUT ? "T" : r == -EPIPE ? "B" : "R");
    return buf;
}

const char *outcome_code(skua_task *t, char *buf)
{
    void *value = NULL;
    int r = skua_result(t, &value);
    if (r < 0)
        return code(r, buf);
    snprintf(buf, WORD_MAX, "%d", (int)(intptr_t)value);
    return buf;
}

const char *name_of(const struct actor *a)
{
    static const char names[TASKS_MAX][3] = {"0", "1", "2", "3", "4", "5", "6", "7", "8"};
    return names[a->k];
}

void add_word(struct scene *s, const char *word)
{
    size_t n = strlen(s->text);
    snprintf(s->text + n, TEXT_MAX - n, "%s%s", n ? "," : "", word);
}

int int_arg(const struct scene *s, int i)
{
    return (int)s->op->arg[i];
}

int result(struct scene *s, int r, intptr_t value)
{
    if (r >= 0)
        snprintf(s->text, TEXT_MAX, "%d", (int)value);
    return r < 0 ? r : 0;
}

int none(struct scene *s)
{
    strcpy(s->text, "none");
    return 0;
}

/* ---- playing ---- */

int play_block(struct actor *a, const struct block *b, struct around around)
{
    for (int i = 0; i < b->count; i++) {
        char text[TEXT_MAX] = "", buf[WORD_MAX];
        struct scene s = {a, &b->op[i], around, text};
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

int play_inner(struct scene *s)
{
    return play_block(s->actor, s->op->block, s->around);
}

void *body(void *k)
{
    struct actor a = {.k = (int)(intptr_t)k};
    char buf[WORD_MAX];
    say(name_of(&a), "begins");
    task_begins(a.k);
    int r = play_block(&a, stage->s->task[a.k], (struct around){NULL, NULL, NULL});
    intptr_t value = r == RETURNED ? a.value : 0; /* a ret may have been overtaken by a cancel */
    task_ends(a.k, r < 0 ? r : 0, value);
    if (r < 0) {
        say(name_of(&a), "ends %s", code(r, buf));
        return skua_fail(r);
    }
    say(name_of(&a), "ends %d", (int)value);
    return (void *)value;
}

static void *play_main(void *s)
{
    struct player p;
    set_up(&p, s);
    stage = &p;
    if (mode == MODE_SPREAD)
        make_homes(&p);
    p.task[0] = skua_retain(skua_current_task());
    void *value = body((void *)0);
    settle(&p);
    oracle_check(&p, mode != MODE_PINNED);
    tear_down(&p);
    return value;
}

/* ---- the program ---- */

static struct op_kind kinds[80];

static void gather_kinds(void)
{
    const struct op_kind *const tables[] = {time_ops, task_ops, sync_ops};
    size_t n = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct op_kind *kind = tables[i]; kind->name; kind++)
            kinds[n++] = *kind;
}

static int usage(void)
{
    fprintf(stderr, "usage: differential_player [--free | --spread] [--workers N] [--log]\n");
    return 64;
}

/* False: an option that there is not. */
static bool read_options(int argc, char **argv, int *workers)
{
    bool logs = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--free") == 0)
            mode = MODE_FREE;
        else if (strcmp(argv[i], "--spread") == 0)
            mode = MODE_SPREAD;
        else if (strcmp(argv[i], "--log") == 0)
            logs = true;
        else if (strcmp(argv[i], "--workers") == 0 && i + 1 < argc)
            *workers = atoi(argv[++i]);
        else
            return false;
    }
    quiet = mode != MODE_PINNED && !logs;
    return true;
}

/* As asyncio.run() does: a runtime of its own. With several workers that is mostly the making of
 * threads, so there the scenarios share one. */
static int play(struct scenario *s, skua_runner *shared)
{
    if (shared)
        return skua_runner_run(shared, play_main, s, NULL);
    return skua_run(play_main, s, .virtual_time = true);
}

int main(int argc, char **argv)
{
    struct scenario s;
    char buf[WORD_MAX];
    int workers = 4;
    if (!read_options(argc, argv, &workers))
        return usage();
    gather_kinds();
    skua_runner *shared = NULL;
    if (mode != MODE_PINNED)
        shared = skua_runner_new(.virtual_time = true, .workers = workers,
                                 .free_main = mode == MODE_FREE);
    while (read_scenario(&s, kinds)) {
        printf("== %ld\n", s.seed);
        fflush(stdout);
        alarm(HANGS_AFTER);
        int r = play(&s, shared);
        if (r < 0)
            say("main", "%s", code(r, buf));
        free_scenario(&s);
        fflush(stdout);
    }
    return shared ? -skua_runner_close(shared) : 0;
}
