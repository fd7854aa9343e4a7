/* SPDX-License-Identifier: MIT */
/* floor 8: net. What a buffered stream is made of.
 *
 * One lock guards the state; nothing is sent or read under it. Two tokens say who does that:
 *
 *   reading   the one call that reads: its holder alone uses the read buffer and in.fd
 *   sending   one call that writes, or the flushing task: see stream_turn.h. The holder goes on
 *             for as long as there is something to do. A task that takes over from a call takes
 *             its token over.
 *
 * Unsent bytes lie in chunks. Who sends reads the first ones without the lock; who writes adds
 * behind what has been published, under it. A chunk never moves.
 *
 * Bytes are unsent and nobody holds `sending` only if there was no memory, for a task or for it to
 * send with, or it was cancelled: then the next call that could wait for them starts another
 * (rt_stream_flush). Who waits already is woken, and does that too, but for want of memory.
 */
#ifndef RT_NET_STREAMS_H
#define RT_NET_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/io.h"
#include "net/stream_turn.h"
#include "sync/waitq.h"

struct rt_chunk {
    struct rt_chunk *next;
    size_t begin, end, cap;
    char data[];
};

/* One descriptor; -1: none, or none any more. The generation tells it from a later one of the same
 * number. */
struct rt_stream_side {
    int fd;
    uint32_t generation;
};

struct skua_stream {
    struct rt_waitq q;         /* the lock, and who waits in drain */
    struct rt_wq_list closers; /* who waits in wait_closed */
    struct rt_stream_refs refs;
    struct rt_stream_side in, out; /* under the lock; the same number, or two */
    bool is_shared;                /* fixed: the same number */
    bool can_eof;                  /* fixed */

    bool reading;         /* the token */
    bool eof;              /* the end of the stream has been read; holder of `reading` */
    int in_error;          /* reading has failed; holder of `reading` */
    size_t partial;        /* holder of `reading` */
    size_t limit;          /* fixed */
    char *buf;             /* read and not asked for yet; holder of `reading` */
    size_t begin, end, cap;

    struct rt_chunk *head, *tail; /* under the lock, and so all below */
    size_t unsent;
    size_t high, low, max;
    bool paused; /* drain waits */
    struct rt_stream_turn turn;
    int hitch; /* -ENOMEM: the last one to send had no memory; those who wait are told */
};

/* ---- streams.c: the life of it ---- */

/* 0 or -EINVAL. */
int rt_stream_check(const struct skua_stream_opts *opts);
void rt_stream_unref(struct skua_stream *s);
/* The descriptors go now, whatever is unsent. Nothing locked; more than once does no harm. */
void rt_stream_drop_fds(struct skua_stream *s);

/* ---- stream_flush.c: sending ---- */

/* The caller holds `sending` and has sent with result r: deals with what became of the stream
 * meanwhile, and gives the token back. True: it was not given back, there is more to send. */
RT_MUST_USE bool rt_stream_settle(struct skua_stream *s, int r);
/* The caller holds `sending` and gives it back, whatever is unsent: there is nobody to send it. */
void rt_stream_put_off(struct skua_stream *s);
/* The caller holds `sending`: hands it to a task that sends all there is. 0 or -errno, and the
 * token is the caller's still. */
RT_MUST_USE int rt_stream_hand_over(struct skua_stream *s);
/* Sees to it that what is unsent is being sent. 0 or -errno. */
RT_MUST_USE int rt_stream_flush(struct skua_stream *s);
/* One try to send, by the holder of `sending`. Bytes, or -EAGAIN, after which rt_io_wait waits. */
ssize_t rt_stream_put(struct rt_io *io, const struct iovec *iov, int n);
/* Lock held: how much is unsent has changed. */
void rt_stream_mark(struct skua_stream *s, struct rt_fifo *woken);

static inline void rt_stream_lock(const struct skua_stream *s)
{
    rt_wq_lock((struct rt_waitq *)(uintptr_t)&s->q);
}

static inline void rt_stream_unlock(const struct skua_stream *s, struct rt_fifo *woken)
{
    rt_wq_unlock((struct rt_waitq *)(uintptr_t)&s->q, woken);
}

#endif
