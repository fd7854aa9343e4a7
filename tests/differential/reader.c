/* SPDX-License-Identifier: MIT */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_word(char *word)
{
    return scanf("%31s", word) == 1;
}

static void expect(const char *want)
{
    char word[WORD_MAX];
    if (!read_word(word) || strcmp(word, want) != 0) {
        fprintf(stderr, "the scenario lacks \"%s\"\n", want);
        exit(2);
    }
}

static double read_number(void)
{
    double x;
    if (scanf("%lf", &x) != 1) {
        fprintf(stderr, "the scenario lacks a number\n");
        exit(2);
    }
    return x;
}

static int read_count(const char *what, int most)
{
    expect(what);
    int n = (int)read_number();
    if (n < 0 || n > most) {
        fprintf(stderr, "too many %s\n", what);
        exit(2);
    }
    return n;
}

static void *need(void *p)
{
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return p;
}

static const struct op_kind *find_kind(const struct op_kind *kind, const char *name)
{
    for (; kind->name; kind++)
        if (strcmp(kind->name, name) == 0)
            return kind;
    fprintf(stderr, "no op \"%s\"\n", name);
    exit(2);
}

static struct block *read_block(const struct op_kind *kinds)
{
    struct block *b = need(calloc(1, sizeof *b));
    char word[WORD_MAX];
    expect("{");
    while (read_word(word) && strcmp(word, "}") != 0) {
        b->op = need(realloc(b->op, (size_t)(b->count + 1) * sizeof *b->op));
        struct op op = {.kind = find_kind(kinds, word)};
        for (int i = 0; i < op.kind->args; i++)
            op.arg[i] = read_number();
        for (int n = op.kind->has_list ? (int)read_number() : 0; n > 0 && op.list_count < LIST_MAX;
             n--)
            op.list[op.list_count++] = (int)read_number();
        if (op.kind->has_block)
            op.block = read_block(kinds);
        b->op[b->count++] = op;
    }
    return b;
}

static void free_block(struct block *b)
{
    for (int i = 0; i < b->count; i++)
        if (b->op[i].block)
            free_block(b->op[i].block);
    free(b->op);
    free(b);
}

bool read_scenario(struct scenario *s, const struct op_kind *kinds)
{
    char word[WORD_MAX];
    *s = (struct scenario){0};
    if (!read_word(word))
        return false;
    s->seed = (long)read_number();
    s->locks = read_count("locks", THINGS_MAX);
    s->conds = read_count("conds", THINGS_MAX);
    s->events = read_count("events", THINGS_MAX);
    s->futures = read_count("futures", THINGS_MAX);
    s->sems = read_count("sems", THINGS_MAX);
    for (int i = 0; i < s->sems; i++)
        s->sem[i] = (int)read_number();
    s->barriers = read_count("barriers", THINGS_MAX);
    for (int i = 0; i < s->barriers; i++)
        s->parties[i] = (int)read_number();
    s->queues = read_count("queues", THINGS_MAX);
    for (int i = 0; i < s->queues; i++) {
        s->queue[i].kind = (int)read_number();
        s->queue[i].size = (int)read_number();
    }
    while (read_word(word) && strcmp(word, "task") == 0 && s->tasks < TASKS_MAX) {
        (void)read_number();
        s->task[s->tasks++] = read_block(kinds);
    }
    return true;
}

void free_scenario(struct scenario *s)
{
    for (int i = 0; i < s->tasks; i++)
        free_block(s->task[i]);
}
