/* SPDX-License-Identifier: MIT */
/* skua/net.h: sockets that suspend the task instead of the thread. asyncio: sock_* calls of the
 * loop, start_server().
 *
 * A descriptor is a plain int. Those made here (listen, accept, connect) or adopted stay
 * registered with a loop and must be closed by skua_close(). Others can be read, written and
 * polled too, at the price of a registration for each wait. Addresses are "127.0.0.1:8080",
 * "[::1]:0", "[fe80::1%eth0]:80", "unix:/path" or "unix:@abstract"; only skua_connect() takes names
 * of hosts as well. One task may wait to read while another waits to write; a second one in the
 * same direction gets -EBUSY. */
#ifndef SKUA_NET_H
#define SKUA_NET_H

#include <skua/base.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Options of skua_listen(). */
struct skua_listen_opts {
    size_t size;    /* sizeof(struct skua_listen_opts); the macro fills it in */
    int backlog;    /* 0: 511 */
    bool reuseport; /* SO_REUSEPORT: several sockets may listen on one port */
};

/* Options of skua_connect(). */
struct skua_connect_opts {
    size_t size;       /* sizeof(struct skua_connect_opts); the macro fills it in */
    const char *local; /* the address to come from; NULL: the system chooses */
    double happy_eyeballs_delay; /* seconds that an attempt gets before the next address is tried
                                    beside it; 0: 0.25; INFINITY: not before it has failed */
    int interleave; /* how many addresses of the first family come before one of the other; 0: 1;
                       -1: all in the order of the answer */
};

/* Options of skua_serve(). */
struct skua_serve_opts {
    size_t size;         /* sizeof(struct skua_serve_opts); the macro fills it in */
    skua_group *group;   /* handlers run there; NULL: each is a free task, on any core */
    int max_connections; /* accept no more while this many are open; 0: no limit */
    double drain;        /* seconds that open connections get once the server is cancelled; then
                            they are cancelled too. 0: at once */
};

/* Makes a listening socket; port 0 lets the system choose one. The file of a unix path must not be
 * there yet, and stays until somebody unlinks it. Never suspends. From: any thread.
 * Returns the descriptor, -EINVAL for an address that does not parse, or what socket, bind and
 * listen answer (-EADDRINUSE, -EACCES, -EMFILE, ...). asyncio: the socket of
 * loop.create_server(). */
SKUA_API int skua_listen_with(const char *addr, const struct skua_listen_opts *opts);

/* Takes the next connection; TCP ones come with TCP_NODELAY. May suspend. From: task. Returns its
 * descriptor, -ETIMEDOUT, -ECANCELED, -EBADF when fd is closed meanwhile, -EMFILE, -EINVAL (a
 * foreign fd that blocks), -EPERM, ... asyncio: loop.sock_accept(). */
SKUA_API int skua_accept(int fd, double timeout) SKUA_CHECKED;

/* Opens a connection. A host may be a name here, "localhost:8080": it is looked up as by
 * skua_getaddrinfo(), and its addresses are tried in turn, both families alternately, the next one
 * after .happy_eyeballs_delay or as soon as one fails. The first to connect wins, the others are
 * closed. The timeout is for all of it. .local is numeric, and only addresses of its family are
 * tried. Suspends. From: task.
 * Returns its descriptor; if no address answers, the error that tells most (-ECONNREFUSED before
 * -ENETUNREACH); -ETIMEDOUT, -ECANCELED, -EINVAL for an address that does not parse, -EPERM; what
 * skua_getaddrinfo() says of the name (-ENOENT, -ENODATA, -EAGAIN, ...).
 * asyncio: loop.create_connection(), loop.sock_connect(). */
SKUA_API int skua_connect_with(const char *addr, double timeout,
                               const struct skua_connect_opts *opts) SKUA_CHECKED;

/* Accepts connections on fd for ever and runs handler(conn, arg) in a task for each, spread over
 * all workers; conn is closed when the handler returns, or when it never started. Running out of
 * descriptors or memory makes it pause, not fail. Ends when the calling task is cancelled (that is
 * how a server is told to stop; it then drains) or fd is closed, and returns when all its handlers
 * have ended; fd itself stays the caller's to close. Suspends. From: task.
 * Returns 0 after fd was closed, -ECANCELED, -EBADF, -EINVAL (options, or a foreign fd), -EPERM.
 * asyncio: start_server() and serve_forever(). */
SKUA_API int skua_serve_with(int fd, skua_conn_fn handler, void *arg,
                             const struct skua_serve_opts *opts) SKUA_CHECKED;

/* Reads up to n bytes into buf. May suspend. From: task. Returns how many, 0 at the end of the
 * stream, -ETIMEDOUT, -ECANCELED, -ECONNRESET, -EBADF, -EPERM, ...
 * asyncio: loop.sock_recv_into(). */
SKUA_API ssize_t skua_read(int fd, void *buf, size_t n, double timeout) SKUA_CHECKED;

/* Writes all n bytes. May suspend. From: task. Returns n; or -ETIMEDOUT, -ECANCELED, -EPIPE (never
 * SIGPIPE), -ECONNRESET, -EBADF, -EPERM, ..., after which an unknown part has been sent.
 * asyncio: loop.sock_sendall(). */
SKUA_API ssize_t skua_write(int fd, const void *buf, size_t n, double timeout) SKUA_CHECKED;

/* The same with n pieces of memory, one after the other; empty ones are skipped, and there may be
 * any number of them. skua_readv() takes what one read gives; skua_writev() writes all of it. May
 * suspend. From: task. Returns how many bytes, 0 also when all pieces are empty; -EINVAL (n < 0, or
 * more bytes in all than a ssize_t counts), and what skua_read() and skua_write() say.
 * asyncio: transport.writelines(). */
SKUA_API ssize_t skua_readv(int fd, const struct iovec *iov, int n, double timeout) SKUA_CHECKED;
SKUA_API ssize_t skua_writev(int fd, const struct iovec *iov, int n, double timeout) SKUA_CHECKED;

/* Sends `count` bytes of the file in_fd, from `offset` on, to out_fd; SIZE_MAX: up to its end.
 * The position of in_fd is neither used nor moved. The kernel copies where it can, else a buffer.
 * Reading a file that is not in memory holds up the thread. May suspend. From: task.
 * Returns how many, less than `count` where the file ends; -EINVAL (a negative offset), -ESPIPE
 * (in_fd is no file that can be read at an offset), -ENOMEM, and what skua_write() says, after
 * which an unknown part has been sent.
 * asyncio: loop.sock_sendfile(). */
SKUA_API ssize_t skua_sendfile(int out_fd, int in_fd, off_t offset, size_t count,
                               double timeout) SKUA_CHECKED;

/* Ends one direction of a connection, or both: how is SHUT_RD, SHUT_WR or SHUT_RDWR of
 * <sys/socket.h>. After SHUT_WR the peer reads the end of the stream. Never suspends. From: any
 * thread. Returns 0, -ENOTCONN, -ENOTSOCK, -EBADF, -EINVAL.
 * asyncio: StreamWriter.write_eof(). */
SKUA_API int skua_shutdown(int fd, int how);

/* Waits until one of `events` (POLLIN, POLLOUT, ... of <poll.h>) is true of any descriptor that
 * can be polled, ours or foreign: the way to drive a library that has sockets of its own. May
 * suspend. From: task. Returns the events that are true (> 0), -ETIMEDOUT, -ECANCELED, -EBADF,
 * -EINVAL (other events than POLLIN, POLLPRI, POLLOUT, POLLRDHUP, or neither POLLIN nor POLLOUT of
 * a file), -EPERM.
 * asyncio: loop.add_reader(). */
SKUA_API int skua_poll_fd(int fd, unsigned events, double timeout) SKUA_CHECKED;

/* Closes a descriptor; tasks that wait on it get -EBADF. Never suspends. From: any thread.
 * Returns 0 or -EBADF. asyncio: socket.close(). */
SKUA_API int skua_close(int fd);

/* Makes a foreign descriptor, which must be non-blocking, ours: it stays registered and is to be
 * closed by skua_close(). Never suspends. From: any thread. Returns 0, -EINVAL (it blocks), -EBUSY
 * (it is ours, or somebody waits for it), -EBADF, -ENOMEM. asyncio:
 * loop.connect_accepted_socket(). */
SKUA_API int skua_fd_adopt(int fd);

#ifndef __cplusplus
/* int skua_listen(const char *addr, [.backlog = 128, ...]) */
#define skua_listen(...) SKUA_LISTEN_(__VA_ARGS__, .size = sizeof(struct skua_listen_opts))
#define SKUA_LISTEN_(addr, ...) \
    skua_listen_with((addr), &(const struct skua_listen_opts){ __VA_ARGS__ })

/* int skua_connect(const char *addr, double timeout, [.local = "127.0.0.2:0"]) */
#define skua_connect(addr, ...) \
    SKUA_CONNECT_(addr, __VA_ARGS__, .size = sizeof(struct skua_connect_opts))
#define SKUA_CONNECT_(addr, timeout, ...) \
    skua_connect_with((addr), (timeout), &(const struct skua_connect_opts){ __VA_ARGS__ })

/* int skua_serve(int fd, skua_conn_fn handler, void *arg, [.drain = 5.0, ...]) */
#define skua_serve(fd, handler, ...) \
    SKUA_SERVE_(fd, handler, __VA_ARGS__, .size = sizeof(struct skua_serve_opts))
#define SKUA_SERVE_(fd, handler, arg, ...) \
    skua_serve_with((fd), (handler), (arg), &(const struct skua_serve_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
