/* SPDX-License-Identifier: MIT */
/* The table of rows: each file of rows adds its own before main() begins. */
#include "bench.h"

static struct bench_rows *first;

/* The order of constructors is the linker's, hence the places. */
void bench_rows_add(struct bench_rows *list)
{
    struct bench_rows **at = &first;
    while (*at != NULL && (*at)->place <= list->place)
        at = &(*at)->next;
    list->next = *at;
    *at = list;
}

const struct bench_row *bench_row_at(int index)
{
    for (const struct bench_rows *list = first; list != NULL; list = list->next) {
        if (index < list->count)
            return &list->row[index];
        index -= list->count;
    }
    return NULL;
}
