/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. The slab: chunks of two mebibytes, a table of them, caches and the depot behind.
 *
 * Design: the table is filled from below and never changes an entry, so a number is resolved
 * without a lock. Caches touch nothing shared; what they have too much goes to the depot object by
 * object (one compare-and-swap each) and comes back in batches from a reserve list that the lock
 * protects: the reserve is refilled by taking the whole depot at once. New objects are carved under
 * the same lock, only when both are empty.
 *
 * Rejected: batches linked by a second word of their first object (a freed object keeps all but one
 * word); popping single objects off the depot (a taker could be fooled by an object that left and
 * came back).
 */
#include "fiber/slab.h"

#include "base/atomic.h"
#include "base/lock.h"
#include "base/sys.h"
#include "fiber/depot.h"

#include <stddef.h>
#include <sys/mman.h>

#define CHUNK_OBJECT_BITS 14u
#define CHUNK_OBJECTS     (1u << CHUNK_OBJECT_BITS)
#define CHUNK_BYTES       ((size_t)CHUNK_OBJECTS * RT_SLAB_OBJECT_BYTES)
#define CHUNK_TABLE_SIZE  (1u << (RT_SLAB_SLOT_BITS - CHUNK_OBJECT_BITS))
#define CARVE_BATCH       32u /* new objects per trip: one page of them */

_Static_assert(CHUNK_BYTES == (size_t)2 << 20, "a chunk is one huge page");
_Static_assert(RT_SLAB_SLOT_OFFSET >= sizeof(struct rt_slab_free) &&
                   RT_SLAB_SLOT_OFFSET % sizeof(uint32_t) == 0 &&
                   RT_SLAB_SLOT_OFFSET + sizeof(uint32_t) <= RT_SLAB_OBJECT_BYTES,
               "the number lies in the object and not under the link");
_Static_assert(sizeof(struct rt_slab_free) == sizeof(struct rt_depot_node), "the same link");

static struct {
    RT_ATOMIC(char *) chunk[CHUNK_TABLE_SIZE];
    RT_ATOMIC(uint32_t) carved; /* highest number in use; written under the lock */
    RT_CACHELINE struct rt_depot depot;
    RT_CACHELINE struct rt_lock lock;
    struct rt_depot_node *reserve; /* taken from the depot; protected by the lock */
} slab = {.lock = RT_LOCK_INIT(RT_RANK_SLAB)};

void *rt_slab_at(uint32_t slot)
{
    char *chunk;

    if (slot == 0 || slot > RT_SLAB_SLOT_MAX)
        return NULL;
    if (slot > rt_load_acquire(&slab.carved)) /* pairs: SLAB_CARVED <- carve_one */
        return NULL;
    /* relaxed: written before carved */
    chunk = rt_load_relaxed(&slab.chunk[slot >> CHUNK_OBJECT_BITS]);
    return chunk + (size_t)(slot & (CHUNK_OBJECTS - 1)) * RT_SLAB_OBJECT_BYTES;
}

uint32_t rt_slab_carved(void)
{
    return rt_load_acquire(&slab.carved); /* pairs: SLAB_CARVED <- carve_one */
}

/* Memory for one chunk, aligned to its size. From the second chunk on a program has so many tasks
 * that huge pages pay: one fault in place of 512 (a third of the cost of a first task in a fresh
 * object). */
static int map_chunk(int is_first, void **ret_memory)
{
    void *memory;
    int r = rt_sys_mmap_reserve(2 * CHUNK_BYTES, &memory);

    if (r < 0)
        return r;
    size_t before = (CHUNK_BYTES - ((uintptr_t)memory & (CHUNK_BYTES - 1))) & (CHUNK_BYTES - 1);
    char *aligned = (char *)memory + before;
    if (before > 0)
        (void)rt_sys_munmap(memory, before);
    (void)rt_sys_munmap(aligned + CHUNK_BYTES, CHUNK_BYTES - before);
    if (!is_first)
        (void)rt_sys_madvise(aligned, CHUNK_BYTES, MADV_HUGEPAGE); /* small pages do as well */
    *ret_memory = aligned;
    return 0;
}

/* Lock held. */
static void *carve_one(void)
{
    uint32_t slot = rt_load_relaxed(&slab.carved) + 1; /* relaxed: written under the lock only */
    RT_ATOMIC(char *) * entry;
    char *obj;

    if (slot > RT_SLAB_SLOT_MAX)
        return NULL;
    entry = &slab.chunk[slot >> CHUNK_OBJECT_BITS];
    if (rt_load_relaxed(entry) == NULL) {
        void *memory;

        if (map_chunk(slot < CHUNK_OBJECTS, &memory) < 0)
            return NULL;
        rt_store_relaxed(entry, memory); /* relaxed: carved publishes it */
    }
    obj = rt_load_relaxed(entry) + (size_t)(slot & (CHUNK_OBJECTS - 1)) * RT_SLAB_OBJECT_BYTES;
    *(uint32_t *)(void *)(obj + RT_SLAB_SLOT_OFFSET) = slot;
    rt_store_release(&slab.carved, slot); /* pairs: SLAB_CARVED -> rt_slab_at, rt_slab_carved */
    return obj;
}

/* Lock held. An object that was free, or NULL when there is none. */
static void *take_one(void)
{
    struct rt_depot_node *node = slab.reserve;

    if (node == NULL)
        node = rt_depot_take_all(&slab.depot);
    if (node == NULL)
        return NULL;
    rt_depot_taken(node);
    slab.reserve = node->next;
    return node;
}

/* Lock held. Moves objects into the cache until n are there or the source is dry. */
static void fill(struct rt_slab_cache *c, uint32_t n, void *(*source)(void))
{
    while (c->count < n) {
        struct rt_slab_free *f = source();

        if (f == NULL)
            break;
        f->next = c->free;
        c->free = f;
        c->count++;
    }
}

RT_NOINLINE void *rt_slab_get_slow(struct rt_slab_cache *c)
{
    struct rt_slab_cache one = {0};
    uint32_t taken_max = c != NULL ? RT_SLAB_BATCH : 1;
    uint32_t carved_max = c != NULL ? CARVE_BATCH : 1;
    struct rt_slab_free *obj;

    if (c == NULL)
        c = &one;
    rt_lock(&slab.lock);
    fill(c, taken_max, take_one);
    if (c->count == 0)
        fill(c, carved_max, carve_one);
    rt_unlock(&slab.lock);
    obj = c->free;
    if (obj != NULL) {
        c->free = obj->next;
        c->count--;
    }
    return obj;
}

static void give_back(struct rt_slab_cache *c, uint32_t keep)
{
    while (c->count > keep) {
        struct rt_slab_free *f = c->free;

        c->free = f->next;
        c->count--;
        rt_depot_push(&slab.depot, (struct rt_depot_node *)(void *)f);
    }
}

RT_NOINLINE void rt_slab_put_slow(struct rt_slab_cache *c, void *obj)
{
    if (c == NULL) {
        rt_depot_push(&slab.depot, obj);
        return;
    }
    give_back(c, RT_SLAB_CACHE_MAX - RT_SLAB_BATCH);
    rt_slab_put(c, obj);
}

void rt_slab_cache_flush(struct rt_slab_cache *c)
{
    give_back(c, 0);
}
