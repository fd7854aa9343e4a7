/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. The slab: chunks of two mebibytes, a table of them, caches and the depot behind.
 *
 * Design: the table is filled from below and never changes an entry, so a number is resolved
 * without a lock. Caches touch nothing shared. What they have too much goes to the depot as a
 * batch, a chain of objects whose head says how many there are, by one compare-and-swap; it comes
 * back as a batch from a reserve that the lock protects and that is refilled by taking the whole
 * depot at once. No object but the head of a batch is touched on the way, cold as they are. New
 * objects are carved under the same lock, only when both are empty.
 *
 * Rejected: popping single batches off the depot (a taker could be fooled by an object that left
 * and came back); moving object by object (a tenth of the cost of a million tasks).
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

/* In the head of a batch while it is in depot or reserve. */
struct batch {
    struct rt_depot_node node;
    uint64_t count;
};

_Static_assert(sizeof(struct batch) == RT_SLAB_BATCH_BYTES, "all that a free object has to spare");

static struct {
    RT_ATOMIC(char *) chunk[CHUNK_TABLE_SIZE];
    RT_ATOMIC(uint32_t) carved; /* highest number in use; written under the lock */
    RT_CACHELINE struct rt_depot depot;
    RT_CACHELINE struct rt_lock lock;
    struct rt_depot_node *reserve; /* batches taken from the depot; protected by the lock */
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

/* Lock held. NULL: no memory, or no numbers left. */
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

static struct batch *batch_of(struct rt_slab_free *head)
{
    return (struct batch *)(void *)((char *)head + RT_SLAB_BATCH_OFFSET);
}

static void push_batch(struct rt_slab_free *head, uint32_t count)
{
    batch_of(head)->count = count;
    rt_depot_push(&slab.depot, &batch_of(head)->node);
}

/* Lock held. The head of a batch, or NULL when nothing is free. */
static struct rt_slab_free *take_batch(uint32_t *ret_count)
{
    struct rt_depot_node *node = slab.reserve;

    if (node == NULL)
        node = rt_depot_take_all(&slab.depot);
    if (node == NULL)
        return NULL;
    rt_depot_taken(node);
    slab.reserve = node->next;
    *ret_count = (uint32_t)((struct batch *)(void *)node)->count;
    return (struct rt_slab_free *)(void *)((char *)node - RT_SLAB_BATCH_OFFSET);
}

static void add_one(struct rt_slab_cache *c, struct rt_slab_free *f)
{
    f->next = c->free;
    c->free = f;
    c->count++;
}

/* Lock held. Free objects for an empty cache: about a batch of them. */
static void refill(struct rt_slab_cache *c)
{
    while (c->count < RT_SLAB_BATCH) {
        uint32_t count;
        struct rt_slab_free *head = take_batch(&count);

        if (head == NULL)
            break;
        if (c->count == 0) {
            c->free = head;
            c->count = count;
        } else if (count == 1) {
            add_one(c, head); /* plain threads give back one at a time */
        } else {
            c->spare = head;
            c->spare_count = count;
            break;
        }
    }
}

static void carve(struct rt_slab_cache *c, uint32_t n)
{
    struct rt_slab_free *f;

    while (n-- > 0 && (f = carve_one()) != NULL)
        add_one(c, f);
}

static void use_spare(struct rt_slab_cache *c)
{
    c->free = c->spare;
    c->count = c->spare_count;
    c->spare = NULL;
    c->spare_count = 0;
}

/* What is left of a batch that a plain thread took one object from. Lock held. */
static void put_rest_back(struct rt_slab_free *head, uint32_t count)
{
    batch_of(head)->count = count;
    batch_of(head)->node.next = slab.reserve;
    slab.reserve = &batch_of(head)->node;
}

static void *get_one(void)
{
    uint32_t count = 0;

    rt_lock(&slab.lock);
    struct rt_slab_free *obj = take_batch(&count);
    if (obj == NULL)
        obj = carve_one();
    else if (count > 1)
        put_rest_back(obj->next, count - 1);
    rt_unlock(&slab.lock);
    return obj;
}

RT_NOINLINE void *rt_slab_get_slow(struct rt_slab_cache *c)
{
    if (c == NULL)
        return get_one();
    if (c->spare != NULL) {
        use_spare(c);
    } else {
        rt_lock(&slab.lock);
        refill(c);
        if (c->count == 0)
            carve(c, CARVE_BATCH);
        rt_unlock(&slab.lock);
    }
    struct rt_slab_free *obj = c->free;
    if (obj != NULL) {
        c->free = obj->next;
        c->count--;
    }
    return obj;
}

RT_NOINLINE void rt_slab_put_slow(struct rt_slab_cache *c, void *obj)
{
    if (c == NULL) {
        ((struct rt_slab_free *)obj)->next = NULL;
        push_batch(obj, 1);
        return;
    }
    if (c->spare != NULL)
        push_batch(c->spare, c->spare_count);
    c->spare = c->free;
    c->spare_count = c->count;
    c->free = NULL;
    c->count = 0;
    add_one(c, obj);
}

void rt_slab_cache_flush(struct rt_slab_cache *c)
{
    if (c->free != NULL)
        push_batch(c->free, c->count);
    if (c->spare != NULL)
        push_batch(c->spare, c->spare_count);
    *c = (struct rt_slab_cache){0};
}
