/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. The arena of stacks.
 *
 * Design: chunks of one size class are reserved without commitment and cut from below. At the low
 * end of each stack lies its guard, made by MADV_GUARD_INSTALL where the kernel has it (6.13): such
 * a guard costs no mapping, while mprotect() splits the chunk and meets the limit of mappings per
 * process at some 32,000 stacks, hence RT_STACK_MPROTECT_CAP. Nothing is ever unmapped: a stack
 * outlives the runtime that made it. A stripped stack keeps its addresses and its guard, which
 * survives MADV_DONTNEED, and is known by a bit of its chunk, since nothing of it is in memory.
 *
 * Who runs what: rt_arena_carve() on any thread, under the lock but for the guard itself;
 * rt_arena_strip() on one thread at a time; rt_arena_stack_of_guard() anywhere, reads only what was
 * published before the stack existed.
 */
#include "fiber/arena.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define CHUNK_BYTES   ((size_t)64 << 20)
#define CHUNKS_MAX    4096u
#define CHUNK_STACKS  (CHUNK_BYTES >> 16) /* of the smallest class */
#define BITS_PER_WORD 64u
#define CHUNK_WORDS   (CHUNK_STACKS / BITS_PER_WORD)
#define COLOUR_STRIDE 7u /* neighbours lie some lines apart; the count of colours is prime */

enum guard_kind { GUARD_UNKNOWN, GUARD_CHEAP, GUARD_MPROTECT };

struct chunk {
    char *base;
    unsigned size_class;
    uint32_t stack_count;
    RT_ATOMIC(uint32_t) carved; /* written under the lock, read by the signal handler */
    uint32_t bare_count;
    struct chunk *bare_next;      /* next chunk of the class with bare stacks */
    uint64_t bare[CHUNK_WORDS];   /* stripped, to be made anew; under the lock */
    uint64_t leaving[CHUNK_WORDS]; /* being stripped; who does it */
};

/* Carved, but without its guard: waits for the next try where the descriptor would lie. */
struct raw_stack {
    struct raw_stack *next;
    char *low;
    struct chunk *chunk;
};

static struct {
    struct rt_lock lock;
    RT_ATOMIC(uint32_t) chunk_count;
    RT_ATOMIC(uint32_t) claim_count;      /* stacks made or in the making */
    RT_ATOMIC(uint32_t) stack_count;      /* stacks made */
    RT_ATOMIC(int) guard;                 /* enum guard_kind; decided once, under the lock */
    struct chunk *open[RT_STACK_CLASSES]; /* where the class is being cut from */
    struct raw_stack *raw[RT_STACK_CLASSES];
    struct chunk *bare[RT_STACK_CLASSES]; /* chunks with bare stacks */
    RT_ATOMIC(uint32_t) bare_count;       /* in all; written under the lock */
    struct chunk chunk[CHUNKS_MAX];
} arena = {.lock = RT_LOCK_INIT(RT_RANK_DEPOT)};

static struct rt_stack *descriptor_of(char *low, unsigned size_class)
{
    uintptr_t number = (uintptr_t)low / rt_arena_class_bytes(0);
    size_t colour = (size_t)(number * COLOUR_STRIDE % RT_ARENA_COLOURS) * RT_CACHE_LINE;
    char *top = low + rt_arena_class_bytes(size_class);

    return (struct rt_stack *)(void *)(top - colour - RT_ARENA_DESCRIPTOR_BYTES);
}

/* Lock held. A guard is good when the kernel itself refuses to read there, also after the memory
 * around it was given back. */
static enum guard_kind probe_guard(void)
{
    size_t page = rt_sys_page_size();
    enum guard_kind kind = GUARD_MPROTECT;
    void *memory;
    int fds[2];

    if (rt_sys_mmap_reserve(page, &memory) < 0)
        return kind;
    if (rt_sys_pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0) {
        if (rt_sys_madvise(memory, page, MADV_GUARD_INSTALL) == 0 &&
            rt_sys_madvise(memory, page, MADV_DONTNEED) == 0 &&
            rt_sys_write(fds[1], memory, 1) == -EFAULT)
            kind = GUARD_CHEAP;
        rt_sys_close(fds[0]);
        rt_sys_close(fds[1]);
    }
    rt_sys_munmap(memory, page);
    return kind;
}

static enum guard_kind guard_kind_get(void)
{
    int kind = rt_load_relaxed(&arena.guard); /* relaxed: a constant once it is set */

    if (RT_LIKELY(kind != GUARD_UNKNOWN))
        return (enum guard_kind)kind;
    rt_lock(&arena.lock);
    if (rt_load_relaxed(&arena.guard) == GUARD_UNKNOWN)
        rt_store_relaxed(&arena.guard, (int)probe_guard());
    kind = rt_load_relaxed(&arena.guard);
    rt_unlock(&arena.lock);
    return (enum guard_kind)kind;
}

int rt_stack_guards_are_cheap(void)
{
    return guard_kind_get() == GUARD_CHEAP;
}

/* Lock held. A new chunk, halved until the address space suffices. */
static int open_chunk(unsigned size_class)
{
    uint32_t n = rt_load_relaxed(&arena.chunk_count); /* relaxed: written under the lock only */
    size_t bytes = CHUNK_BYTES;
    struct chunk *chunk = &arena.chunk[n];
    void *memory = NULL;
    int rc;

    if (n == CHUNKS_MAX)
        return -EAGAIN;
    while ((rc = rt_sys_mmap_reserve(bytes, &memory)) < 0 &&
           bytes > rt_arena_class_bytes(size_class))
        bytes /= 2;
    if (rc < 0)
        return -ENOMEM;
    /* A huge page under a sparse stack would be memory wasted; kernels without them say no. */
    (void)rt_sys_madvise(memory, bytes, MADV_NOHUGEPAGE);
    chunk->base = memory;
    chunk->size_class = size_class;
    chunk->stack_count = (uint32_t)(bytes / rt_arena_class_bytes(size_class));
    rt_store_relaxed(&chunk->carved, 0); /* relaxed: the count publishes it */
    arena.open[size_class] = chunk;
    /* pairs: ARENA_CHUNKS -> rt_arena_stack_of_guard */
    rt_store_release(&arena.chunk_count, n + 1);
    return 0;
}

/* Low end of unguarded memory for one stack, and the chunk that it lies in. */
static int cut(unsigned size_class, char **ret_low, struct chunk **ret_chunk)
{
    struct raw_stack *raw;
    struct chunk *chunk;
    uint32_t i;
    int rc = 0;

    rt_lock(&arena.lock);
    raw = arena.raw[size_class];
    if (raw != NULL) {
        arena.raw[size_class] = raw->next;
        *ret_low = raw->low;
        *ret_chunk = raw->chunk;
        goto unlock;
    }
    chunk = arena.open[size_class];
    if (chunk == NULL || rt_load_relaxed(&chunk->carved) == chunk->stack_count) {
        rc = open_chunk(size_class);
        if (rc < 0)
            goto unlock;
        chunk = arena.open[size_class];
    }
    i = rt_load_relaxed(&chunk->carved); /* relaxed: written under the lock only */
    *ret_low = chunk->base + i * rt_arena_class_bytes(size_class);
    *ret_chunk = chunk;
    rt_store_release(&chunk->carved, i + 1); /* pairs: ARENA_CARVED -> rt_arena_stack_of_guard */
unlock:
    rt_unlock(&arena.lock);
    return rc;
}

static void uncut(char *low, struct chunk *chunk)
{
    unsigned size_class = chunk->size_class;
    struct raw_stack *raw = (struct raw_stack *)(void *)descriptor_of(low, size_class);

    rt_lock(&arena.lock);
    raw->low = low;
    raw->chunk = chunk;
    raw->next = arena.raw[size_class];
    arena.raw[size_class] = raw;
    rt_unlock(&arena.lock);
}

static int install_guard(char *low)
{
    if (rt_sys_page_size() > RT_STACK_GUARD_BYTES)
        return -ENOSYS; /* a guard of one page would take the stack with it */
    if (guard_kind_get() == GUARD_CHEAP)
        return rt_sys_madvise(low, RT_STACK_GUARD_BYTES, MADV_GUARD_INSTALL);
    return rt_sys_mprotect_none(low, RT_STACK_GUARD_BYTES);
}

/* Claims one more stack; false when the cap of mprotect guards is reached. */
static bool claim_stack(void)
{
    uint32_t claimed = rt_add_relaxed(&arena.claim_count, 1) + 1; /* relaxed: a limit, no order */

    if (RT_UNLIKELY(guard_kind_get() != GUARD_CHEAP && claimed > RT_STACK_MPROTECT_CAP)) {
        rt_sub_relaxed(&arena.claim_count, 1);
        return false;
    }
    return true;
}

/* A guarded piece of memory becomes a stack. */
static struct rt_stack *furnish(char *low, const struct chunk *chunk)
{
    unsigned size_class = chunk->size_class;
    struct rt_stack *s = descriptor_of(low, size_class);

    memset(s, 0, sizeof(*s));
    s->base = low + RT_STACK_GUARD_BYTES;
    s->top = low + rt_arena_class_bytes(size_class);
    s->size_class = (uint8_t)size_class;
    s->chunk = (uint16_t)(chunk - arena.chunk);
    return s;
}

/* A stripped stack, or NULL. */
static struct rt_stack *take_bare(unsigned size_class)
{
    struct chunk *chunk;
    unsigned word = 0;
    unsigned bit;
    char *low;

    if (rt_load_relaxed(&arena.bare_count) == 0) /* relaxed: who comes too early carves */
        return NULL;
    rt_lock(&arena.lock);
    chunk = arena.bare[size_class];
    if (chunk == NULL) {
        rt_unlock(&arena.lock);
        return NULL;
    }
    while (chunk->bare[word] == 0)
        word++;
    bit = (unsigned)__builtin_ctzll(chunk->bare[word]);
    chunk->bare[word] &= chunk->bare[word] - 1;
    if (--chunk->bare_count == 0)
        arena.bare[size_class] = chunk->bare_next;
    rt_sub_relaxed(&arena.bare_count, 1); /* relaxed: under the lock */
    low = chunk->base + (word * BITS_PER_WORD + bit) * rt_arena_class_bytes(size_class);
    rt_unlock(&arena.lock);
    return furnish(low, chunk);
}

struct rt_stack *rt_arena_carve(unsigned size_class, int *ret_err)
{
    struct chunk *chunk;
    struct rt_stack *s;
    char *low;
    int rc;

    RT_ASSERT(size_class < RT_STACK_CLASSES);
    s = take_bare(size_class);
    if (s != NULL)
        return s;
    if (!claim_stack()) {
        *ret_err = -EAGAIN;
        return NULL;
    }
    rc = cut(size_class, &low, &chunk);
    if (rc < 0)
        goto undo_claim;
    rc = install_guard(low);
    if (rc < 0)
        goto undo_cut;
    rt_add_relaxed(&arena.stack_count, 1); /* relaxed: a statistic */
    return furnish(low, chunk);

undo_cut:
    uncut(low, chunk);
undo_claim:
    rt_sub_relaxed(&arena.claim_count, 1);
    *ret_err = rc == -EAGAIN ? -EAGAIN : -ENOMEM;
    return NULL;
}

/* One call for each row of neighbours. That the kernel refuses (locked memory) does no harm. */
static void empty_marked(struct chunk *chunk)
{
    size_t bytes = rt_arena_class_bytes(chunk->size_class);
    uint32_t first = 0;

    for (uint32_t i = 0; i <= chunk->stack_count; i++) {
        bool is_marked = i < chunk->stack_count &&
                         (chunk->leaving[i / BITS_PER_WORD] >> i % BITS_PER_WORD & 1) != 0;

        if (is_marked)
            continue;
        if (i > first)
            (void)rt_sys_madvise(chunk->base + first * bytes, (i - first) * bytes, MADV_DONTNEED);
        first = i + 1;
    }
}

static void marked_are_bare(struct chunk *chunk)
{
    uint32_t n = 0;

    rt_lock(&arena.lock);
    for (unsigned word = 0; word < CHUNK_WORDS; word++) {
        n += (uint32_t)__builtin_popcountll(chunk->leaving[word]);
        chunk->bare[word] |= chunk->leaving[word];
        chunk->leaving[word] = 0;
    }
    if (chunk->bare_count == 0) {
        chunk->bare_next = arena.bare[chunk->size_class];
        arena.bare[chunk->size_class] = chunk;
    }
    chunk->bare_count += n;
    rt_add_relaxed(&arena.bare_count, n); /* relaxed: under the lock */
    rt_unlock(&arena.lock);
}

void rt_arena_strip(struct rt_stack *list)
{
    uint64_t touched[CHUNKS_MAX / BITS_PER_WORD] = {0};
    struct chunk *chunk;

    for (struct rt_stack *s = list; s != NULL; s = s->next) {
        chunk = &arena.chunk[s->chunk];
        size_t i = (size_t)(s->base - chunk->base) / rt_arena_class_bytes(s->size_class);

        chunk->leaving[i / BITS_PER_WORD] |= (uint64_t)1 << i % BITS_PER_WORD;
        touched[s->chunk / BITS_PER_WORD] |= (uint64_t)1 << s->chunk % BITS_PER_WORD;
    }
    for (unsigned word = 0; word < CHUNKS_MAX / BITS_PER_WORD; word++) {
        for (uint64_t bits = touched[word]; bits != 0; bits &= bits - 1) {
            chunk = &arena.chunk[word * BITS_PER_WORD + (unsigned)__builtin_ctzll(bits)];
            empty_marked(chunk);
            marked_are_bare(chunk);
        }
    }
}

uint64_t rt_arena_stripped(void)
{
    return rt_load_relaxed(&arena.bare_count); /* relaxed: a statistic */
}

uint64_t rt_arena_carved(void)
{
    return rt_load_relaxed(&arena.stack_count); /* relaxed: a statistic */
}

const struct rt_stack *rt_arena_stack_of_guard(const void *addr)
{
    uint32_t n = rt_load_acquire(&arena.chunk_count); /* pairs: ARENA_CHUNKS <- open_chunk */

    for (uint32_t i = 0; i < n; i++) {
        struct chunk *chunk = &arena.chunk[i];
        size_t bytes = rt_arena_class_bytes(chunk->size_class);
        uintptr_t offset = (uintptr_t)addr - (uintptr_t)chunk->base;

        if (offset >= chunk->stack_count * bytes)
            continue;
        /* pairs: ARENA_CARVED <- cut */
        if (offset / bytes >= rt_load_acquire(&chunk->carved) ||
            offset % bytes >= RT_STACK_GUARD_BYTES)
            return NULL;
        return descriptor_of(chunk->base + offset / bytes * bytes, chunk->size_class);
    }
    return NULL;
}
