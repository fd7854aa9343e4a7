/* SPDX-License-Identifier: MIT */
/* floor 2: fiber. Pools of stacks.
 *
 * Design: a cache per worker that nobody else touches, a depot behind a lock; between the two
 * stacks move in batches. A fresh stack is made only when both are empty, so the number of stacks
 * is the largest number that was ever in use at once, plus what caches hold.
 *
 * Memory goes back in two steps, both by the watch and the end of a runtime, never by who gives or
 * takes a stack. A stack that came back is warm; one that the depot could do without for a while
 * becomes lean, which leaves it the page of its parked loop; beyond a reserve it is stripped and
 * belongs to the arena, where it is as good as new. The measure is need, not age: the fewest stacks
 * that lay in the depot since it was looked after last.
 *
 * Who runs what: a cache belongs to its worker, only its counts are read by others; caches with
 * something in them are listed so that rt_stacks_idle() finds them. Tending is for one at a time.
 */
#include "fiber/stack.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/sys.h"
#include "fiber/arena.h"
#include "fiber/ctx.h"
#include "fiber/switch_entry.h"

#include <string.h>
#include <sys/mman.h>

#define TEND_MAX      1024u /* stacks that one call looks after: a few milliseconds at most */
#define TEND_BATCH    512u /* stacks that are out of the depot at once while they are tended */
#define BELOW_PARKED  256u /* bytes kept below a saved stack pointer */

/* Idle stacks of one class. */
struct shelf {
    struct rt_stack *warm;
    struct rt_stack *lean; /* keep one page */
    uint32_t warm_count;
    uint32_t lean_count;
    uint32_t least; /* the fewest of both since the last tending */
};

static struct {
    struct rt_lock lock;
    struct shelf shelf[RT_STACK_CLASSES];
    struct rt_stack_cache *caches; /* those with a limit */
    bool is_tended;                /* by somebody, at the moment */
    uint32_t out;                  /* stacks that he has out */
} depot = {.lock = RT_LOCK_INIT(RT_RANK_DEPOT)};

static struct rt_stack *make(unsigned size_class, void (*entry)(void), int *ret_err)
{
    struct rt_stack *s = rt_arena_carve(size_class, ret_err);

    if (s == NULL)
        return NULL;
    s->entry = entry;
    rt_san_fiber_init(&s->san, s->base, (size_t)(s->top - s->base));
    /* The first function finds its descriptor as the top of the stack that it starts on. */
    s->sp = rt_ctx_make(s, (void (*)(void))rt_stack_first_entry);
    return s;
}

/* Moves up to n stacks from one list to another. */
static uint32_t move(struct rt_stack **to, struct rt_stack **from, uint32_t n)
{
    uint32_t moved = 0;

    while (moved < n && *from != NULL) {
        struct rt_stack *s = *from;

        *from = s->next;
        s->next = *to;
        *to = s;
        moved++;
    }
    return moved;
}

static uint32_t batch_of(unsigned size_class)
{
    return (rt_stack_cache_max(size_class) + 1) / 2;
}

/* Fills the empty cache from the depot and returns how many stacks are on their way back to it. */
static uint32_t restock(struct rt_stack_cache *c, unsigned size_class)
{
    struct shelf *shelf = &depot.shelf[size_class];
    uint32_t moved;
    uint32_t out;

    rt_lock(&depot.lock);
    moved = move(&c->list[size_class], &shelf->warm, batch_of(size_class));
    shelf->warm_count -= moved;
    if (moved == 0) {
        moved = move(&c->list[size_class], &shelf->lean, batch_of(size_class));
        shelf->lean_count -= moved;
    }
    if (shelf->least > shelf->warm_count + shelf->lean_count)
        shelf->least = shelf->warm_count + shelf->lean_count;
    out = depot.out;
    rt_unlock(&depot.lock);
    /* relaxed: read by others for statistics */
    rt_store_relaxed(&c->count[size_class], moved);
    return out;
}

RT_NOINLINE struct rt_stack *rt_stack_get_slow(struct rt_stack_cache *c, unsigned size_class,
                                               void (*entry)(void), int *ret_err)
{
    struct rt_stack *s;

    RT_ASSERT(size_class < RT_STACK_CLASSES);
    for (;;) {
        uint32_t out = restock(c, size_class);

        if (c->list[size_class] != NULL)
            return rt_stack_get(c, size_class, entry, ret_err);
        s = make(size_class, entry, ret_err);
        if (s != NULL || out == 0)
            return s;
        (void)rt_sys_sched_yield(); /* cannot fail */
    }
}

/* Lock held. */
static void enlist(struct rt_stack_cache *c)
{
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
        c->limit[i] = rt_stack_cache_max(i);
    c->link_prev = NULL;
    c->link_next = depot.caches;
    if (c->link_next != NULL)
        c->link_next->link_prev = c;
    depot.caches = c;
}

/* Lock held. */
static void delist(struct rt_stack_cache *c)
{
    if (c->link_prev != NULL)
        c->link_prev->link_next = c->link_next;
    else
        depot.caches = c->link_next;
    if (c->link_next != NULL)
        c->link_next->link_prev = c->link_prev;
    memset(c->limit, 0, sizeof(c->limit));
    c->link_prev = c->link_next = NULL;
}

/* Lock held. */
static void give_back(struct rt_stack_cache *c, unsigned size_class, uint32_t n)
{
    uint32_t count = rt_load_relaxed(&c->count[size_class]); /* relaxed: the owner's own count */
    uint32_t moved = move(&depot.shelf[size_class].warm, &c->list[size_class], n);

    depot.shelf[size_class].warm_count += moved;
    rt_store_relaxed(&c->count[size_class], count - moved);
}

RT_NOINLINE void rt_stack_put_slow(struct rt_stack_cache *c, struct rt_stack *s)
{
    RT_CHECK(!s->is_thread);
    rt_lock(&depot.lock);
    if (c->limit[0] == 0)
        enlist(c);
    /* relaxed: the owner's own count */
    if (rt_load_relaxed(&c->count[s->size_class]) >= c->limit[s->size_class])
        give_back(c, s->size_class, batch_of(s->size_class));
    rt_unlock(&depot.lock);
    rt_stack_put(c, s);
}

void rt_stack_cache_flush(struct rt_stack_cache *c)
{
    rt_lock(&depot.lock);
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
        give_back(c, i, UINT32_MAX);
    if (c->limit[0] != 0)
        delist(c);
    rt_unlock(&depot.lock);
}

/* --- giving memory back --- */

/* What is below the parked loop was left by tasks that ended. */
static void trim(struct rt_stack *s)
{
    uintptr_t page = rt_sys_page_size();
    uintptr_t end = ((uintptr_t)s->sp - BELOW_PARKED) & ~(page - 1);

    if (end > (uintptr_t)s->base)
        (void)rt_sys_madvise(s->base, end - (uintptr_t)s->base, MADV_DONTNEED);
}

/* Takes up to n out of the depot. */
static struct rt_stack *take_out(struct rt_stack **from, uint32_t *count, uint32_t n)
{
    struct rt_stack *list = NULL;

    rt_lock(&depot.lock);
    n = move(&list, from, n < TEND_BATCH ? n : TEND_BATCH);
    *count -= n;
    depot.out = n;
    rt_unlock(&depot.lock);
    return list;
}

/* What was taken out is back, as lean stacks or in the arena. */
static uint32_t put_back(struct shelf *shelf, struct rt_stack *lean)
{
    uint32_t n;

    rt_lock(&depot.lock);
    n = depot.out;
    shelf->lean_count += move(&shelf->lean, &lean, UINT32_MAX);
    depot.out = 0;
    rt_unlock(&depot.lock);
    return n;
}

static void strip_some(struct shelf *shelf, uint32_t n)
{
    while (n > 0) {
        struct rt_stack *list = take_out(&shelf->lean, &shelf->lean_count, n);

        if (list == NULL)
            list = take_out(&shelf->warm, &shelf->warm_count, n);
        if (list == NULL)
            return;
        rt_arena_strip(list);
        n -= put_back(shelf, NULL);
    }
}

static void trim_some(struct shelf *shelf, uint32_t n)
{
    while (n > 0) {
        struct rt_stack *list = take_out(&shelf->warm, &shelf->warm_count, n);

        if (list == NULL)
            return;
        for (struct rt_stack *s = list; s != NULL; s = s->next)
            trim(s);
        n -= put_back(shelf, list);
    }
}

/* The sanitizers know the frames of every stack, so there each keeps its loop's. */
static uint32_t keep_of(unsigned size_class)
{
    return RT_SANITIZED ? UINT32_MAX : rt_stack_depot_keep(size_class);
}

static uint32_t least_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* What there is to do with one class, and then what was done. */
struct chores {
    uint32_t strip;
    uint32_t trim;
};

/* Lock held. */
static struct chores chores_of(unsigned size_class, bool all)
{
    const struct shelf *shelf = &depot.shelf[size_class];
    uint32_t spare = all ? shelf->warm_count + shelf->lean_count : shelf->least;
    uint32_t keep = keep_of(size_class);
    uint32_t strip = spare > keep ? spare - keep : 0;
    uint32_t lean = shelf->lean_count > strip ? shelf->lean_count - strip : 0;

    spare -= strip;
    return (struct chores){.strip = strip, .trim = spare > lean ? spare - lean : 0};
}

/* False: there is more. */
static bool tend_shelf(struct shelf *shelf, struct chores wanted, uint32_t *budget)
{
    uint32_t strip = least_of(wanted.strip, *budget);
    uint32_t trim = least_of(wanted.trim, *budget - strip);
    bool is_done = strip == wanted.strip && trim == wanted.trim;

    strip_some(shelf, strip);
    trim_some(shelf, trim);
    *budget -= strip + trim;
    rt_lock(&depot.lock);
    if (is_done)
        shelf->least = shelf->warm_count + shelf->lean_count;
    else
        shelf->least -= least_of(shelf->least, strip); /* the others are to spare still */
    rt_unlock(&depot.lock);
    return is_done;
}

static bool tend(bool all)
{
    struct chores wanted[RT_STACK_CLASSES];
    uint32_t budget = all ? UINT32_MAX : TEND_MAX;
    bool is_done = true;
    bool is_mine;

    rt_lock(&depot.lock);
    is_mine = !depot.is_tended;
    depot.is_tended = true;
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
        wanted[i] = chores_of(i, all);
    rt_unlock(&depot.lock);
    if (!is_mine)
        return true;
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
        is_done &= tend_shelf(&depot.shelf[i], wanted[i], &budget);
    rt_lock(&depot.lock);
    depot.is_tended = false;
    rt_unlock(&depot.lock);
    return is_done;
}

bool rt_stacks_tend(void)
{
    return tend(false);
}

void rt_stacks_tend_now(void)
{
    (void)tend(true);
}

bool rt_stacks_untended(void)
{
    bool is_wanted = false;

    rt_lock(&depot.lock);
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++) {
        const struct shelf *shelf = &depot.shelf[i];

        is_wanted |= shelf->warm_count > 0 || shelf->lean_count > keep_of(i);
    }
    rt_unlock(&depot.lock);
    return is_wanted;
}

size_t rt_stack_class_usable(unsigned size_class)
{
    size_t taken =
        RT_STACK_GUARD_BYTES + RT_ARENA_COLOURS * RT_CACHE_LINE + RT_ARENA_DESCRIPTOR_BYTES;

    return rt_arena_class_bytes(size_class) - taken;
}

unsigned rt_stack_class_for(size_t bytes)
{
    unsigned i = RT_STACK_CLASS_DEFAULT;

    while (i < RT_STACK_CLASSES - 1 && rt_stack_class_usable(i) < bytes)
        i++;
    return i;
}

uint64_t rt_stacks_created(void)
{
    return rt_arena_carved();
}

uint64_t rt_stacks_idle(void)
{
    uint64_t n = rt_arena_stripped();

    rt_lock(&depot.lock);
    n += depot.out;
    for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
        n += depot.shelf[i].warm_count + depot.shelf[i].lean_count;
    for (struct rt_stack_cache *c = depot.caches; c != NULL; c = c->link_next) {
        for (unsigned i = 0; i < RT_STACK_CLASSES; i++)
            n += rt_load_relaxed(&c->count[i]); /* relaxed: a statistic */
    }
    rt_unlock(&depot.lock);
    return n;
}

int rt_stack_adopt_thread(struct rt_stack *s)
{
    void *base = NULL;
    size_t bytes = 0;
    int r = rt_sys_thread_stack(&base, &bytes);

    if (r < 0)
        return r;
    memset(s, 0, sizeof(*s));
    s->base = base;
    s->top = s->base + bytes;
    s->is_thread = 1;
    rt_san_fiber_init_thread(&s->san, s->base, bytes);
    return 0;
}
