/* SPDX-License-Identifier: MIT */
/* floor 8: net. Bytes that grow at their end. Zero-filled is valid and empty; freed by
 * rt_free(data). */
#ifndef RT_NET_BLOB_H
#define RT_NET_BLOB_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum { RT_BLOB_FIRST = 4096 };

struct rt_blob {
    char *data;
    size_t n;
    size_t room; /* beside it there is always room for a NUL */
};

/* Room for that many in all. 0 or -ENOMEM, and nothing has changed. */
static inline int rt_blob_reserve(struct rt_blob *b, size_t room)
{
    if (b->data && room <= b->room)
        return 0;
    char *data = room < SIZE_MAX ? (char *)rt_realloc(b->data, room + 1) : NULL;
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->room = room;
    return 0;
}

/* Room for more. */
static inline int rt_blob_grow(struct rt_blob *b)
{
    size_t twice = b->room <= SIZE_MAX / 2 ? b->room * 2 : SIZE_MAX;
    return rt_blob_reserve(b, twice > RT_BLOB_FIRST ? twice : RT_BLOB_FIRST);
}

#endif
