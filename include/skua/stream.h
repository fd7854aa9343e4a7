/* SPDX-License-Identifier: MIT */
/* skua/stream.h: buffered reading and writing of connections, pipes and standard input and output.
 * asyncio: Streams (StreamReader, StreamWriter, open_connection, start_server).
 *
 * A stream has two sides over one descriptor, or over one for each. Its reading side takes bytes
 * from the kernel only while a call asks for them, and keeps what that call did not want. Its
 * writing side takes what it is given at once, sends what can be sent, and lets a task of its own
 * send the rest; skua_stream_drain() waits until not too much of it is left.
 *
 * One task may read while another writes, on any worker. A second task that reads gets -EBUSY;
 * several may write: what one call writes is not torn apart. A stream is a counted reference. */
#ifndef SKUA_STREAM_H
#define SKUA_STREAM_H

#include <skua/base.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A connection with its buffers. asyncio: StreamReader and StreamWriter in one. */
typedef struct skua_stream skua_stream;

/* The body of a connection's task, see skua_serve_streams(). The stream is borrowed.
 * asyncio: client_connected_cb. */
typedef void (*skua_stream_fn)(skua_stream *stream, void *arg);

struct skua_connect_opts;

/* What a stream is like; zeroes are defaults. */
struct skua_stream_opts {
    size_t size;       /* sizeof(struct skua_stream_opts); the macro fills it in */
    size_t limit;      /* bytes before a separator, at most; 0: 64 KiB */
    size_t high_water; /* drain waits when more bytes than this are unsent; 0: 64 KiB */
    size_t low_water;  /* and until no more than this are; 0: a quarter of high_water */
    size_t write_max;  /* a write is refused when that many bytes are unsent; 0: 16 * high_water */
    bool keep;         /* the descriptors stay the caller's: the stream uses copies of them */
    const struct skua_connect_opts *connect; /* for skua_stream_open_connection() */
};

/* What a server of streams does, and what its streams are like. */
struct skua_serve_streams_opts {
    size_t size;             /* sizeof(struct skua_serve_streams_opts); the macro fills it in */
    skua_group *group;       /* as in skua_serve() */
    int max_connections;     /* as in skua_serve() */
    double drain;            /* as in skua_serve() */
    double linger;           /* seconds that a handler's unsent bytes get once it has returned;
                                0: 30; INFINITY: as long as it takes */
    size_t limit;            /* of each stream, as in struct skua_stream_opts */
    size_t high_water;       /* the same */
    size_t low_water;        /* the same */
    size_t write_max;        /* the same */
};

/* ---- opening ---- */

/* Connects, and makes a stream of the connection. `timeout` is for the connecting.
 * Suspends. From: task. Returns 0, -ENOMEM, -EINVAL, or what skua_connect() answers.
 * asyncio: open_connection(), open_unix_connection(). */
SKUA_API int skua_stream_open_connection_with(const char *addr, double timeout,
                                              skua_stream **ret_stream,
                                              const struct skua_stream_opts *opts) SKUA_CHECKED;

/* Makes a stream of descriptors that are there: of a socket or a terminal, given twice; of the
 * reading end of one pipe and the writing end of another; of one end (-1: no such side). They
 * become the stream's and are closed with it, unless .keep says otherwise; after an error they are
 * the caller's still, perhaps adopted (skua_fd_adopt). Descriptors that block can be used too, for
 * instance 0 and 1, and stay as they are for the processes that share them (docs/streams.md).
 * Never suspends. From: any thread. Returns 0, -EBADF, -EBUSY (somebody waits for it), -EINVAL,
 * -ENOMEM, -EMFILE. asyncio: connect_read_pipe(), connect_write_pipe(),
 * open_connection(sock=...). */
SKUA_API int skua_stream_open_with(int read_fd, int write_fd, skua_stream **ret_stream,
                                   const struct skua_stream_opts *opts);

/* skua_serve() whose handlers get streams. When a handler has returned, its stream is closed: what
 * is unsent then gets .linger seconds, and none if the handler was cancelled. The handler may close
 * it sooner. Suspends. From: task. Returns as skua_serve(). asyncio: start_server(). */
SKUA_API int skua_serve_streams_with(int fd, skua_stream_fn handler, void *arg,
                                     const struct skua_serve_streams_opts *opts) SKUA_CHECKED;

/* ---- reading ---- */

/* All these calls: May suspend. From: task. The timeout is for the whole call. Errors: -ETIMEDOUT
 * and -ECANCELED, after which all bytes that came are still there to be read; -EBUSY when another
 * task reads; -EBADF when it is closed, also meanwhile, or has no such side; -ECONNRESET and what
 * else the kernel answers, from then on; -ENOMEM, -EFAULT, -EINVAL, -EPERM. */

/* Reads up to n bytes: what is there, waiting only when nothing is. Returns how many, 0 at the end
 * of the stream. asyncio: StreamReader.read(n). */
SKUA_API ssize_t skua_stream_read(skua_stream *stream, void *buf, size_t n,
                                  double timeout) SKUA_CHECKED;

/* Reads n bytes, no fewer. Returns n; -ENODATA when the stream ended before: what was left is in
 * buf, and skua_stream_partial() says how much. asyncio: StreamReader.readexactly(). */
SKUA_API ssize_t skua_stream_read_exactly(skua_stream *stream, void *buf, size_t n,
                                          double timeout) SKUA_CHECKED;

/* Reads up to the end of the stream, n bytes at most. Returns how many; -EMSGSIZE when there are
 * more, of which none is consumed then. asyncio: StreamReader.read(). */
SKUA_API ssize_t skua_stream_read_all(skua_stream *stream, void *buf, size_t n,
                                      double timeout) SKUA_CHECKED;

/* Reads up to the separator, of 1 to n bytes, and with it. Returns how many; -ENODATA as
 * skua_stream_read_exactly(); -EMSGSIZE when more bytes come before the separator than the limit or
 * n allow: none is consumed, and skua_stream_partial() says how many may be, because no separator
 * begins in them. asyncio: StreamReader.readuntil(), IncompleteReadError, LimitOverrunError. */
SKUA_API ssize_t skua_stream_read_until(skua_stream *stream, const void *separator,
                                        size_t separator_n, void *buf, size_t n,
                                        double timeout) SKUA_CHECKED;

/* Reads a line with its newline, and puts a zero byte behind it: it has n - 1 bytes at most. The
 * last line may come without a newline. Returns its length, 0 at the end of the stream, -EMSGSIZE
 * as skua_stream_read_until(). asyncio: StreamReader.readline(). */
SKUA_API ssize_t skua_stream_read_line(skua_stream *stream, char *buf, size_t n,
                                       double timeout) SKUA_CHECKED;

/* After -ENODATA: the bytes in buf. After -EMSGSIZE: the bytes that may be consumed. Else 0.
 * Never suspends. From: any thread. asyncio: IncompleteReadError.partial,
 * LimitOverrunError.consumed. */
SKUA_API size_t skua_stream_partial(const skua_stream *stream);

/* Has all been read, and has the stream been found to end? Never suspends. From: any thread.
 * asyncio: StreamReader.at_eof(). */
SKUA_API bool skua_stream_at_eof(const skua_stream *stream);

/* ---- writing ---- */

/* Takes all n bytes, or none. What cannot be sent at once is copied and sent later.
 * Never suspends. From: runtime. Returns 0; -ENOBUFS when .write_max bytes or more are unsent
 * already: drain, and try again; -ENOMEM; -EPIPE after skua_stream_write_eof(); -EPIPE,
 * -ECONNRESET, ... when sending has failed, then or earlier; -EBADF when it is closed or has no
 * such side; -EFAULT, -EINVAL, -EPERM. asyncio: StreamWriter.write(). */
SKUA_API int skua_stream_write(skua_stream *stream, const void *buf, size_t n);

/* The same for n pieces in a row; empty ones are passed over. Never suspends. From: runtime.
 * Returns and fails as skua_stream_write(). asyncio: StreamWriter.writelines(). */
SKUA_API int skua_stream_writelines(skua_stream *stream, const struct iovec *iov, int n);

/* Returns at once unless more than .high_water bytes are unsent; then when no more than .low_water
 * are. Nothing is lost by a timeout or a cancel: sending goes on.
 * May suspend. From: task. Returns 0; -ETIMEDOUT; -ECANCELED; the error with which sending failed;
 * -ENOMEM, -EINVAL, -EPERM. asyncio: StreamWriter.drain(). */
SKUA_API int skua_stream_drain(skua_stream *stream, double timeout) SKUA_CHECKED;

/* Says that nothing more will be written: once all is sent, the peer reads the end of the stream.
 * Reading goes on. Never suspends. From: any thread, but see skua_stream_close(). Returns 0, also
 * the second time; -EOPNOTSUPP, -EBADF, -EINVAL, -ENOMEM, or the error with which sending failed.
 * asyncio: StreamWriter.write_eof(). */
SKUA_API int skua_stream_write_eof(skua_stream *stream);

/* Can one end be closed alone? Of sockets and pipes, not of a terminal. Never suspends.
 * From: any thread. asyncio: StreamWriter.can_write_eof(). */
SKUA_API bool skua_stream_can_write_eof(const skua_stream *stream);

/* Bytes written and not sent yet. Never suspends. From: any thread.
 * asyncio: transport.get_write_buffer_size(). */
SKUA_API size_t skua_stream_unsent(const skua_stream *stream);

/* Sets the marks that skua_stream_drain() goes by. SIZE_MAX: the default, of `high` 4 * low or
 * 64 KiB, of `low` a quarter of high. high 0: drain waits until all is sent. Never suspends.
 * From: any thread. Returns 0; -EINVAL when high < low.
 * asyncio: transport.set_write_buffer_limits(). */
SKUA_API int skua_stream_set_write_buffer_limits(skua_stream *stream, size_t high, size_t low);

/* ---- closing ---- */

/* Closes: reading ends at once, who reads gets -EBADF; what is unsent is sent first. The second
 * time it does nothing. Never suspends. From: any thread, but where bytes are unsent that no task
 * is sending, because there was no memory for one or it was cancelled, another one is needed.
 * Returns 0; -EINVAL; -ENOMEM, -EPERM: it is closed, and what was unsent is lost.
 * asyncio: StreamWriter.close(). */
SKUA_API int skua_stream_close(skua_stream *stream);

/* Closes without sending what is unsent. Never suspends. From: any thread. Returns 0, -EINVAL.
 * asyncio: transport.abort(). */
SKUA_API int skua_stream_abort(skua_stream *stream);

/* Waits until a stream that is being closed is: all is sent, or that has failed. May suspend.
 * From: task. Returns 0; -ETIMEDOUT; -ECANCELED; the error with which sending failed, -ECONNABORTED
 * if bytes were thrown away; -EINVAL, -EPERM, -ENOMEM. asyncio: StreamWriter.wait_closed(). */
SKUA_API int skua_stream_wait_closed(skua_stream *stream, double timeout) SKUA_CHECKED;

/* Has close or abort been called? Never suspends. From: any thread.
 * asyncio: StreamWriter.is_closing(). */
SKUA_API bool skua_stream_is_closing(const skua_stream *stream);

/* Takes one more reference and returns `stream`. Never suspends. From: any thread. asyncio has
 * none. */
SKUA_API skua_stream *skua_stream_retain(skua_stream *stream);

/* Gives one reference back; the last one closes the stream, as skua_stream_close() does. Never
 * suspends. From: any thread. asyncio has none. */
SKUA_API void skua_stream_release(skua_stream *stream);

/* ---- asking ---- */

/* The descriptor that it reads from, or writes to if it has no reading side; borrowed. Never
 * suspends. From: any thread. Returns it; -EBADF once it is closed, -EINVAL.
 * asyncio: get_extra_info("socket"), ("pipe"). */
SKUA_API int skua_stream_fd(const skua_stream *stream);

/* The address of the other end, or of this one, as skua_addr_text() writes it: "127.0.0.1:8080",
 * "[::1]:80", "unix:/path", "unix:@abstract"; "unix:" when it has no name. Never suspends.
 * From: any thread. Returns the length; -ENOSPC when n is too small; -ENOTSOCK, -ENOTCONN, -EBADF,
 * -EINVAL. asyncio: get_extra_info("peername"), ("sockname"). */
SKUA_API int skua_stream_peer_name(const skua_stream *stream, char *buf, size_t n);
SKUA_API int skua_stream_local_name(const skua_stream *stream, char *buf, size_t n);

#ifndef __cplusplus
/* int skua_stream_open_connection(const char *addr, double timeout, skua_stream **ret_stream,
 *                                 [.limit = 4096, ...]) */
#define skua_stream_open_connection(addr, timeout, ...) \
    SKUA_STREAM_CONNECT_(addr, timeout, __VA_ARGS__, .size = sizeof(struct skua_stream_opts))
#define SKUA_STREAM_CONNECT_(addr, timeout, ret_stream, ...)      \
    skua_stream_open_connection_with((addr), (timeout), (ret_stream), \
                                     &(const struct skua_stream_opts){ __VA_ARGS__ })

/* int skua_stream_open(int read_fd, int write_fd, skua_stream **ret_stream, [.keep = true, ...]) */
#define skua_stream_open(read_fd, write_fd, ...) \
    SKUA_STREAM_OPEN_(read_fd, write_fd, __VA_ARGS__, .size = sizeof(struct skua_stream_opts))
#define SKUA_STREAM_OPEN_(read_fd, write_fd, ret_stream, ...)     \
    skua_stream_open_with((read_fd), (write_fd), (ret_stream), \
                          &(const struct skua_stream_opts){ __VA_ARGS__ })

/* int skua_serve_streams(int fd, skua_stream_fn handler, void *arg, [.drain = 5.0, ...]) */
#define skua_serve_streams(fd, handler, ...) \
    SKUA_SERVE_STREAMS_(fd, handler, __VA_ARGS__, .size = sizeof(struct skua_serve_streams_opts))
#define SKUA_SERVE_STREAMS_(fd, handler, arg, ...)   \
    skua_serve_streams_with((fd), (handler), (arg), \
                            &(const struct skua_serve_streams_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
