/* SPDX-License-Identifier: MIT */
/* floor 4: loop. Descriptor records. */
#include "loop/fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "loop/poll.h"
#include "task/task.h"

enum {
    CHUNK = 256,       /* records      */
    CHUNKS_MAX = 65536 /* 16 M numbers */
};

#define EVENTS_OWNED (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)
#define EVENTS_IN    (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define EVENTS_OUT   (EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define EVENTS_ODD   (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* --- the table --- */

static struct rt_fd first_chunk[CHUNK]; /* no allocation in processes of ordinary size */
static RT_ATOMIC(struct rt_fd *) table[CHUNKS_MAX];
static RT_ATOMIC(uint32_t) chunks_used; /* below this index chunks may exist */
static struct rt_lock table_lock = RT_LOCK_INIT(RT_RANK_OBJECT);

static struct rt_fd *find(int fd)
{
    if (fd < 0 || fd / CHUNK >= CHUNKS_MAX)
        return NULL;
    struct rt_fd *chunk = rt_load_acquire(&table[fd / CHUNK]); /* pairs: FD-TABLE <- make_chunk */
    return chunk ? &chunk[fd % CHUNK] : NULL;
}

static struct rt_fd *make_chunk(int index)
{
    struct rt_fd *chunk = index ? rt_aligned(RT_CACHE_LINE, CHUNK * sizeof *chunk) : first_chunk;
    if (!chunk)
        return NULL;
    memset(chunk, 0, CHUNK * sizeof *chunk);
    for (int i = 0; i < CHUNK; i++) {
        rt_lock_init(&chunk[i].lock, RT_RANK_FD);
        chunk[i].fd = index * CHUNK + i;
    }
    if (rt_load_relaxed(&chunks_used) <= (uint32_t)index)
        rt_store_release(&chunks_used, (uint32_t)index + 1); /* pairs: FD-TABLE -> rt_fd_forget */
    rt_store_release(&table[index], chunk);                  /* pairs: FD-TABLE -> find */
    return chunk;
}

static int find_or_make(int fd, struct rt_fd **ret_rec)
{
    if (RT_UNLIKELY(fd < 0 || fd / CHUNK >= CHUNKS_MAX))
        return -EBADF;
    struct rt_fd *rec = find(fd);
    if (RT_UNLIKELY(!rec)) {
        rt_lock(&table_lock);
        rec = find(fd);
        if (!rec) {
            struct rt_fd *chunk = make_chunk(fd / CHUNK);
            rec = chunk ? &chunk[fd % CHUNK] : NULL;
        }
        rt_unlock(&table_lock);
    }
    *ret_rec = rec;
    return rec ? 0 : -ENOMEM;
}

/* --- words --- */

static struct rt_token token(struct rt_fd *rec, enum rt_dir dir)
{
    return (struct rt_token){&rec->dir[dir], &rec->tick};
}

static uint64_t event_data(struct rt_fd *rec)
{
    uint32_t generation =
        rt_use_generation(rt_load_relaxed(&rec->use)); /* relaxed: fixed while inside */
    return (uint64_t)generation << 32 | (uint32_t)rec->fd;
}

/* Puts `word` there and claims whoever waited. */
static void sweep(struct rt_fd *rec, enum rt_dir dir, uint64_t word, unsigned value,
                  struct rt_fifo *out)
{
    uint64_t old = rt_token_put(token(rec, dir), word);
    if (rt_token_is_name(old))
        (void)rt_name_claim(old, value, out);
}

/* --- ownership --- */

/* Forgets what the number meant before, with the generation raised: names are claimed, the
 * registration is gone with the file or goes now. */
static void start_anew(struct rt_fd *rec, struct rt_fifo *out)
{
    rt_lock(&rec->lock);
    struct rt_poller *poller = rt_load_relaxed(&rec->poller); /* relaxed: under lock */
    if (poller) {
        /* the file may be closed already */
        SKUA_IGNORE(rt_sys_epoll_del(poller->epoll_fd, rec->fd));
        rt_store_release(&rec->poller, NULL); /* pairs: FD-POLLER -> rt_fd_wait */
    }
    rec->wanted[RT_DIR_IN] = rec->wanted[RT_DIR_OUT] = 0;
    rt_store_relaxed(&rec->strangers, 0); /* relaxed: a count */
    rt_unlock(&rec->lock);
    sweep(rec, RT_DIR_IN, 0, EBADF, out);
    sweep(rec, RT_DIR_OUT, 0, EBADF, out);
}

static uint32_t own(struct rt_fd *rec, enum rt_fd_kind kind)
{
    rt_use_settle(&rec->use);
    rec->kind = (uint8_t)kind;
    return rt_use_own(&rec->use);
}

static int kind_of(int fd, enum rt_fd_kind *ret_kind)
{
    struct stat st;
    int protocol;
    int r = rt_sys_fstat(fd, &st);
    if (r < 0)
        return r;
    *ret_kind = RT_FD_FILE;
    if (S_ISSOCK(st.st_mode)) {
        *ret_kind = RT_FD_SOCKET;
        if (rt_sys_getsockopt_int(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) == 0 &&
            protocol == IPPROTO_TCP)
            *ret_kind = RT_FD_TCP;
    }
    return 0;
}

int rt_fd_adopt(int fd)
{
    enum rt_fd_kind kind = RT_FD_FILE;
    struct rt_fd *rec;
    int flags = rt_sys_fcntl_getfl(fd);
    int r = flags < 0 ? flags : 0;
    if (r == 0)
        r = flags & O_NONBLOCK ? kind_of(fd, &kind) : -EINVAL;
    if (r == 0)
        r = find_or_make(fd, &rec);
    if (r < 0)
        return r;
    rt_lock(&rec->lock);
    uint64_t use = rt_load_acquire(&rec->use); /* pairs: FD-USE <- rt_use_own */
    uint64_t readers = RT_FD_WATCHED(RT_DIR_IN) | RT_FD_WATCHED(RT_DIR_OUT);
    if ((use & (RT_FD_OWNED | RT_FD_CLOSING | readers)) || rec->wanted[RT_DIR_IN] ||
        rec->wanted[RT_DIR_OUT]) {
        r = -EBUSY;
    } else {
        rt_store_relaxed(&rec->dir[RT_DIR_IN], 0); /* relaxed, both: own publishes */
        rt_store_relaxed(&rec->dir[RT_DIR_OUT], 0);
        (void)own(rec, kind);
    }
    rt_unlock(&rec->lock);
    return r;
}

int rt_fd_adopt_fresh(int fd, enum rt_fd_kind kind, uint32_t *ret_generation, struct rt_fifo *out)
{
    struct rt_fd *rec;
    int r = find_or_make(fd, &rec);
    if (r < 0)
        return r;
    *ret_generation = own(rec, kind);
    start_anew(rec, out);
    return 0;
}

/* --- inside --- */

int rt_fd_enter(int fd, struct rt_fd **ret_rec, uint32_t *ret_generation)
{
    int r = find_or_make(fd, ret_rec);
    if (RT_UNLIKELY(r < 0))
        return r;
    uint64_t use;
    if (RT_UNLIKELY(!rt_use_enter(&(*ret_rec)->use, &use)))
        return -EBADF;
    *ret_generation = rt_use_generation(use);
    return (use & RT_FD_OWNED) != 0;
}

bool rt_fd_resume(struct rt_fd *rec, uint32_t generation)
{
    return rt_use_resume(&rec->use, generation);
}

/* --- readiness --- */

bool rt_fd_try(struct rt_fd *rec, enum rt_dir dir, uint32_t *ret_seen)
{
    return rt_token_begin(token(rec, dir), ret_seen);
}

bool rt_fd_drained(struct rt_fd *rec, enum rt_dir dir, uint32_t seen)
{
    return rt_token_drained(token(rec, dir), seen);
}

bool rt_fd_short_read(struct rt_fd *rec, uint32_t seen)
{
    if (rec->kind != RT_FD_TCP ||
        (rt_load_acquire(&rec->use) & RT_FD_ODD)) /* pairs: FD-ODD <- note_odd */
        return true;
    return rt_fd_drained(rec, RT_DIR_IN, seen);
}

/* --- waiting: owned --- */

/* Under the lock, after a look that it is not closing. */
static int join_poller(struct rt_fd *rec, struct rt_poller *poller)
{
    int r = rt_sys_epoll_add(poller->epoll_fd, rec->fd, EVENTS_OWNED, event_data(rec));
    if (r == -EEXIST)
        r = rt_sys_epoll_mod(poller->epoll_fd, rec->fd, EVENTS_OWNED, event_data(rec));
    if (r == 0)
        rt_store_release(&rec->poller, poller); /* pairs: FD-POLLER -> rt_fd_wait */
    return r;
}

static int registered(struct rt_fd *rec, struct rt_poller *poller)
{
    int r = 0;
    rt_lock(&rec->lock);
    if (rt_load_acquire(&rec->use) & RT_FD_CLOSING) /* pairs: FD-CLOSE <- rt_use_close */
        r = -EBADF;
    else if (!rt_load_relaxed(&rec->poller)) /* relaxed: under lock */
        r = join_poller(rec, poller);
    rt_unlock(&rec->lock);
    return r;
}

int rt_fd_wait(struct rt_fd *rec, enum rt_dir dir, uint64_t name, struct rt_poller *poller)
{
    if (RT_UNLIKELY(!rt_load_acquire(&rec->poller))) { /* pairs: FD-POLLER <- join_poller */
        int r = registered(rec, poller);
        if (r < 0)
            return r;
    }
    return rt_use_wait(&rec->use, token(rec, dir), dir, name);
}

/* --- waiting: foreign --- */

/* Under the lock: the registration becomes what the waiters want. 0 or -errno. */
static int arm_foreign(struct rt_fd *rec, struct rt_poller *poller)
{
    struct rt_poller *at = rt_load_relaxed(&rec->poller); /* relaxed: under lock */
    uint32_t events = 0;
    for (int dir = 0; dir < RT_DIRS; dir++)
        if (rt_token_is_name(rt_load_sc(&rec->dir[dir]))) /* pairs: FD-DIR <- rt_token_put */
            events |= rec->wanted[dir];
    if (!events) {
        if (at)
            SKUA_IGNORE(rt_sys_epoll_del(at->epoll_fd, rec->fd)); /* the file may be gone */
        rt_store_release(&rec->poller, NULL);
        return 0;
    }
    int r = -ENOENT;
    if (at)
        r = rt_sys_epoll_mod(at->epoll_fd, rec->fd, events | EPOLLONESHOT, event_data(rec));
    if (r == -ENOENT && (at || poller)) {
        at = at ? at : poller;
        r = rt_sys_epoll_add(at->epoll_fd, rec->fd, events | EPOLLONESHOT, event_data(rec));
        if (r == -EEXIST)
            r = rt_sys_epoll_mod(at->epoll_fd, rec->fd, events | EPOLLONESHOT, event_data(rec));
    }
    rt_store_release(&rec->poller, r == 0 ? at : NULL); /* pairs: FD-POLLER -> rt_fd_wait */
    return r;
}

static bool wants(uint32_t events, enum rt_dir dir)
{
    return dir == RT_DIR_OUT ? (events & EPOLLOUT) != 0 : (events & ~(uint32_t)EPOLLOUT) != 0;
}

/* Under the lock. True: it was there, nobody has claimed it through this word. */
static bool take_name(struct rt_fd *rec, uint64_t name)
{
    bool found = false;
    for (int dir = 0; dir < RT_DIRS; dir++) {
        if (rt_token_unwait(token(rec, (enum rt_dir)dir), name))
            found = true;
        if (!rt_token_is_name(rt_load_sc(&rec->dir[dir])))
            rec->wanted[dir] = 0;
    }
    return found;
}

/* Under the lock. `flags`: of readers to whom a direction belongs. */
static int put_name(struct rt_fd *rec, uint32_t events, uint64_t name, uint64_t flags)
{
    for (int dir = 0; dir < RT_DIRS; dir++)
        if (wants(events, (enum rt_dir)dir) &&
            ((flags & RT_FD_WATCHED(dir)) || rt_token_is_name(rt_load_sc(&rec->dir[dir]))))
            return -EBUSY;
    for (int dir = 0; dir < RT_DIRS; dir++) {
        if (!wants(events, (enum rt_dir)dir))
            continue;
        uint32_t out = events & (uint32_t)EPOLLOUT;
        rec->wanted[dir] = (uint16_t)(dir == RT_DIR_OUT ? out : events & ~out);
        (void)rt_xchg_sc(&rec->dir[dir], name); /* pairs: FD-DIR -> rt_token_put */
    }
    return 0;
}

static int wait_foreign(struct rt_fd *rec, uint32_t events, uint64_t name, struct rt_poller *poller,
                        bool is_reader)
{
    int r = 0;
    rt_lock(&rec->lock);
    uint64_t use = rt_load_acquire(&rec->use); /* pairs: FD-CLOSE <- rt_use_close */
    if (use & (RT_FD_CLOSING | RT_FD_OWNED))
        r = use & RT_FD_OWNED ? -EBUSY : -EBADF; /* adopted or closed since the caller entered */
    if (r == 0)
        r = put_name(rec, events, name, is_reader ? 0 : use);
    if (r == 0) {
        r = arm_foreign(rec, poller);
        if (r < 0 && !take_name(rec, name))
            r = 0; /* a claimer was faster: its value counts */
    }
    rt_unlock(&rec->lock);
    return r;
}

int rt_fd_wait_foreign(struct rt_fd *rec, uint32_t events, uint64_t name, struct rt_poller *poller)
{
    return wait_foreign(rec, events, name, poller, false);
}

void rt_fd_unwait_foreign(struct rt_fd *rec, uint64_t name)
{
    rt_lock(&rec->lock);
    (void)take_name(rec, name);
    if (!(rt_load_acquire(&rec->use) & RT_FD_OWNED) && /* pairs: FD-USE <- rt_use_own */
        rt_load_relaxed(&rec->poller)) /* relaxed: under lock */
        SKUA_IGNORE(arm_foreign(rec, NULL));
    rt_unlock(&rec->lock);
}

/* An event has disarmed both directions. */
static void rearm_foreign(struct rt_fd *rec)
{
    rt_lock(&rec->lock);
    /* pairs: FD-USE <- rt_use_own; FD-CLOSE <- rt_use_close */
    bool foreign = !(rt_load_acquire(&rec->use) & (RT_FD_OWNED | RT_FD_CLOSING));
    bool waited =
        rt_token_is_name(rt_load_sc(&rec->dir[RT_DIR_IN])) ||
        rt_token_is_name(rt_load_sc(&rec->dir[RT_DIR_OUT]));
    if (foreign && waited && rt_load_relaxed(&rec->poller)) /* relaxed: under lock */
        SKUA_IGNORE(arm_foreign(rec, NULL));
    rt_unlock(&rec->lock);
}

/* --- watching --- */

/* Registering anew is what makes the kernel look again at one that is edge-triggered. */
int rt_fd_watch(struct rt_fd *rec, enum rt_dir dir, uint64_t name, struct rt_poller *poller,
                bool calm)
{
    if (!(rt_load_acquire(&rec->use) & RT_FD_OWNED)) /* pairs: FD-USE <- rt_use_own */
        return wait_foreign(rec, dir == RT_DIR_OUT ? EPOLLOUT : EPOLLIN, name, poller, true);
    rt_lock(&rec->lock);
    struct rt_poller *at = rt_load_relaxed(&rec->poller); /* relaxed: under lock */
    int r = rt_token_leave(token(rec, dir), name) ? 0 : -EBUSY;
    /* pairs: FD-CLOSE <- rt_use_close */
    if (r == 0 && (rt_load_acquire(&rec->use) & RT_FD_CLOSING))
        r = -EBADF;
    else if (r == 0 && !(at && calm))
        r = join_poller(rec, at ? at : poller);
    if (r < 0 && r != -EBUSY && !rt_token_unwait(token(rec, dir), name))
        r = 0; /* a claimer was faster: its value counts */
    rt_unlock(&rec->lock);
    return r;
}

/* --- moving --- */

/* Registered in both for a moment: an event that comes twice does no harm, one that is lost would.
 */
static int move(struct rt_fd *rec, struct rt_poller *poller)
{
    rt_lock(&rec->lock);
    struct rt_poller *old = rt_load_relaxed(&rec->poller); /* relaxed: under lock */
    bool closing =
        (rt_load_acquire(&rec->use) & RT_FD_CLOSING) != 0; /* pairs: FD-CLOSE <- rt_use_close */
    /* who polls a loop that is lent is no stranger; relaxed: a hint */
    bool stays = !old || old == poller || rt_load_relaxed(&old->loan.lent);
    int r = !closing && !stays ? join_poller(rec, poller) : 1;
    if (r == 0)
        SKUA_IGNORE(rt_sys_epoll_del(old->epoll_fd, rec->fd));
    rt_unlock(&rec->lock);
    return r < 0 ? r : 0;
}

void rt_fd_settle(struct rt_fd *rec, struct rt_poller *poller)
{
    struct rt_poller *at = rt_load_acquire(&rec->poller); /* pairs: FD-POLLER <- join_poller */
    uint16_t n =
        rt_load_relaxed(&rec->strangers); /* relaxed, all here: a count that may lose some */
    if (RT_LIKELY(at == poller)) {
        if (n)
            rt_store_relaxed(&rec->strangers, 0);
        return;
    }
    if (++n < RT_FD_STRANGERS_MAX) {
        rt_store_relaxed(&rec->strangers, n);
        return;
    }
    rt_store_relaxed(&rec->strangers, 0);
    SKUA_IGNORE(move(rec, poller)); /* it stays where it is */
}

/* --- events --- */

static void note_odd(struct rt_fd *rec, uint32_t generation)
{
    uint64_t old = rt_load_relaxed(&rec->use); /* relaxed: the CAS decides */
    do {
        if (rt_use_generation(old) != generation || (old & RT_FD_ODD))
            return;
    } while (
        !rt_cas_acq_rel(&rec->use, &old, old | RT_FD_ODD)); /* pairs: FD-ODD -> rt_fd_short_read */
}

void rt_fd_kick(struct rt_fd *rec, enum rt_dir dir, struct rt_fifo *out)
{
    uint64_t old = rt_token_event(token(rec, dir));
    if (rt_token_is_name(old))
        (void)rt_name_claim(old, 0, out);
}

void rt_fd_fire(uint64_t data, uint32_t events, struct rt_fifo *out)
{
    struct rt_fd *rec = find((int)(uint32_t)data);
    uint32_t generation = (uint32_t)(data >> 32);
    if (RT_UNLIKELY(!rec))
        return;
    uint64_t use = rt_load_acquire(&rec->use); /* pairs: FD-USE <- rt_use_own */
    if (RT_UNLIKELY(rt_use_generation(use) != generation || (use & RT_FD_CLOSING)))
        return;
    if (RT_UNLIKELY(events & EVENTS_ODD))
        note_odd(rec, generation);
    if (events & EVENTS_IN)
        rt_fd_kick(rec, RT_DIR_IN, out);
    if (events & EVENTS_OUT)
        rt_fd_kick(rec, RT_DIR_OUT, out);
    if (RT_UNLIKELY(!(use & RT_FD_OWNED)))
        rearm_foreign(rec);
}

/* --- closing --- */

int rt_fd_finish_close(struct rt_fd *rec, struct rt_fifo *out)
{
    rt_use_closed(&rec->use);
    int r = rt_sys_close(rec->fd);
    rt_fd_kick(rec, RT_DIR_IN, out);
    rt_fd_kick(rec, RT_DIR_OUT, out);
    return r;
}

static int close_record(struct rt_fd *rec, const uint32_t *generation, struct rt_fifo *out)
{
    int r = rt_use_close(&rec->use, generation);
    if (r < 0)
        return r;
    start_anew(rec, out);
    return rt_fd_leave(rec) ? rt_fd_finish_close(rec, out) : 0;
}

int rt_fd_close(int fd, struct rt_fifo *out)
{
    struct rt_fd *rec = find(fd);
    if (!rec)
        return rt_sys_close(fd);                       /* no call ever knew it */
    if (!(rt_load_acquire(&rec->use) & RT_FD_OWNED)) { /* pairs: FD-USE <- rt_use_own */
        int r = rt_sys_fcntl_getfl(fd);
        if (r < 0)
            return r;
    }
    return close_record(rec, NULL, out);
}

int rt_fd_close_generation(int fd, uint32_t generation, struct rt_fifo *out)
{
    struct rt_fd *rec = find(fd);
    return rec ? close_record(rec, &generation, out) : -EBADF;
}

/* --- the end of a loop --- */

/* Registered in both for a moment, as in move: where it cannot go it stays. */
static int move_foreign(struct rt_fd *rec, struct rt_poller *from, struct rt_poller *to)
{
    int r = 1;
    rt_lock(&rec->lock);
    if (rt_load_relaxed(&rec->poller) == from && /* relaxed: under lock */
        /* pairs: FD-USE <- rt_use_own; FD-CLOSE <- rt_use_close */
        !(rt_load_acquire(&rec->use) & (RT_FD_OWNED | RT_FD_CLOSING))) {
        rt_store_release(&rec->poller, NULL); /* pairs: FD-POLLER -> rt_fd_wait */
        r = arm_foreign(rec, to);
        if (r < 0)
            rt_store_release(&rec->poller, from); /* pairs: FD-POLLER -> rt_fd_wait */
        else
            SKUA_IGNORE(rt_sys_epoll_del(from->epoll_fd, rec->fd)); /* the file may be gone */
    }
    rt_unlock(&rec->lock);
    return r;
}

int rt_fd_move_all(struct rt_poller *from, struct rt_poller *to)
{
    int first = 0;
    uint32_t n = rt_load_acquire(&chunks_used); /* pairs: FD-TABLE <- make_chunk */
    for (uint32_t i = 0; i < n; i++) {
        struct rt_fd *chunk = rt_load_acquire(&table[i]); /* pairs: FD-TABLE <- make_chunk */
        for (int k = 0; chunk && k < CHUNK; k++) {
            /* relaxed: what is registered here was by this thread, or before it came to this */
            if (rt_load_relaxed(&chunk[k].poller) != from)
                continue;
            int r = move_foreign(&chunk[k], from, to);
            if (r > 0)
                r = move(&chunk[k], to);
            if (r < 0 && first == 0)
                first = r;
        }
    }
    return first;
}

static void forget_one(struct rt_fd *rec, struct rt_poller *poller)
{
    if (rt_load_acquire(&rec->poller) != poller) /* pairs: FD-POLLER <- join_poller */
        return;
    rt_lock(&rec->lock);
    if (rt_load_relaxed(&rec->poller) == poller) /* relaxed: under lock */
        rt_store_release(&rec->poller, NULL);
    rt_unlock(&rec->lock);
}

void rt_fd_forget(struct rt_poller *poller)
{
    uint32_t n = rt_load_acquire(&chunks_used); /* pairs: FD-TABLE <- make_chunk */
    for (uint32_t i = 0; i < n; i++) {
        struct rt_fd *chunk = rt_load_acquire(&table[i]); /* pairs: FD-TABLE <- make_chunk */
        for (int k = 0; chunk && k < CHUNK; k++)
            forget_one(&chunk[k], poller);
    }
}
