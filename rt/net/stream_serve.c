/* SPDX-License-Identifier: MIT */
/* floor 8: net. Streams: a server whose handlers get them. */
#include <errno.h>
#include <math.h>

#include "net/streams.h"

#define LINGER_DEFAULT 30.0

struct stream_server {
    skua_stream_fn handler;
    void *arg;
    double linger;
    struct skua_stream_opts opts;
};

/* Waits for what is unsent, unless the handler was told to stop. What has not been sent then is
 * thrown away. */
static void finish(struct skua_stream *s, double linger)
{
    bool told = skua_cancelling(skua_current_task()) > 0;
    SKUA_IGNORE(skua_stream_close(s)); /* what goes wrong here is told to nobody */
    if (told || skua_stream_wait_closed(s, linger) < 0)
        SKUA_IGNORE(skua_stream_abort(s));
    skua_stream_release(s);
}

static void on_connection(int fd, void *arg)
{
    struct stream_server *server = arg;
    struct skua_stream *s;
    if (skua_stream_open_with(fd, fd, &s, &server->opts) < 0)
        return; /* no memory: the connection is closed */
    server->handler(s, server->arg);
    finish(s, server->linger);
}

int skua_serve_streams_with(int fd, skua_stream_fn handler, void *arg,
                            const struct skua_serve_streams_opts *opts)
{
    static const struct skua_serve_streams_opts defaults = {.size = sizeof defaults};
    opts = opts ? opts : &defaults;
    if (!handler || opts->size != sizeof *opts || isnan(opts->linger) || opts->linger < 0)
        return -EINVAL;
    struct stream_server server = {
        .handler = handler,
        .arg = arg,
        .linger = opts->linger > 0 ? opts->linger : LINGER_DEFAULT,
        .opts = {.size = sizeof server.opts,
                 .limit = opts->limit,
                 .high_water = opts->high_water,
                 .low_water = opts->low_water,
                 .write_max = opts->write_max},
    };
    const struct skua_serve_opts serve = {.size = sizeof serve,
                                          .group = opts->group,
                                          .max_connections = opts->max_connections,
                                          .drain = opts->drain};
    int r = rt_stream_check(&server.opts); /* now, and not at each connection */
    if (r < 0)
        return r;
    return skua_serve_with(fd, on_connection, &server, &serve);
}
