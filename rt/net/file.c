/* SPDX-License-Identifier: MIT */
/* floor 8: net. Files: each call is a job of the lane "file". */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "base/sys.h"
#include "loop/fd.h"
#include "sched/queues.h"

/* What is moved between two looks at the token, and less than a kernel moves at once. */
enum { PIECE = 8 << 20 };

/* --- off the loop --- */

static void *on_thread(void *arg)
{
    struct rt_file_op *op = arg;
    do {
        op->result = op->call(op);
    } while (rt_file_again(op, op->result));
    op->ran = true;
    return NULL;
}

int64_t rt_file_run(struct rt_file_op *op)
{
    struct skua_thread_opts opts = {
        .size = sizeof opts, .lane = "file", .token = &op->token, .interrupt = true};
    int r = skua_to_thread_with(on_thread, op, NULL, &opts);
    if (r == -EBUSY) { /* the program has a handler of its own for the signal */
        opts.interrupt = false;
        r = skua_to_thread_with(on_thread, op, NULL, &opts);
    }
    return r < 0 ? r : op->result;
}

/* --- on the thread --- */

int64_t rt_file_open(struct rt_file_op *op, const char *path, int flags, mode_t mode)
{
    int64_t r;
    do {
        r = rt_sys_file_open(path, flags, mode);
    } while (rt_file_again(op, r));
    return r;
}

int rt_file_sync(struct rt_file_op *op, int fd)
{
    int r;
    do {
        r = rt_sys_file_sync(fd, false);
    } while (rt_file_again(op, r));
    return r;
}

static size_t piece_of(size_t left)
{
    return left < PIECE ? left : PIECE;
}

int64_t rt_file_get(struct rt_file_op *op, int fd, void *buf, size_t n)
{
    int64_t r;
    do {
        r = rt_sys_file_read(fd, buf, piece_of(n));
    } while (rt_file_again(op, r));
    return r;
}

int64_t rt_file_put(struct rt_file_op *op, int fd, const void *data, size_t n)
{
    const char *from = data;
    size_t done = 0;
    while (done < n) {
        size_t left = piece_of(n - done);
        ssize_t r = -EINTR;
        if (!skua_token_is_set(&op->token))
            r = op->has_offset
                    ? rt_sys_file_pwrite(fd, from + done, left, op->offset + (off_t)done)
                    : rt_sys_file_write(fd, from + done, left);
        if (rt_file_again(op, r))
            continue;
        if (r <= 0)
            return r < 0 ? r : -EIO; /* a device that takes nothing and says nothing */
        done += (size_t)r;
    }
    return (int64_t)done;
}

/* --- open, close --- */

static int64_t open_call(struct rt_file_op *op)
{
    return rt_sys_file_open(op->path, op->flags, op->mode);
}

int skua_file_open(const char *path, int flags, mode_t mode)
{
    struct rt_file_op op = {.call = open_call, .path = path, .flags = flags, .mode = mode};
    if (!path)
        return -EINVAL;
    int64_t r = rt_file_run(&op);
    if (r < 0 && op.ran && op.result >= 0)
        SKUA_IGNORE(rt_sys_close((int)op.result)); /* cancelled: nobody was told of it */
    return (int)r;
}

static int64_t close_call(struct rt_file_op *op)
{
    return skua_close(op->fd);
}

int skua_file_close(int fd)
{
    struct rt_file_op op = {.call = close_call, .fd = fd};
    if (!rt_current())
        return -EPERM;
    int64_t r = rt_file_run(&op);
    if (op.ran)
        return (int)r;
    int here = skua_close(fd); /* no thread was to be had, or it was cancelled before it ran */
    return r == -ECANCELED ? -ECANCELED : here;
}

/* --- read, write --- */

/* A piece that came whole may be followed by more. */
static int64_t read_call(struct rt_file_op *op)
{
    size_t done = 0;
    for (;;) {
        size_t want = piece_of(op->n - done);
        char *to = done ? (char *)op->buf + done : op->buf; /* which may be NULL for 0 bytes */
        int64_t r = -EINTR;
        if (!skua_token_is_set(&op->token))
            r = rt_file_get(op, op->fd, to, want);
        if (r < 0)
            return done && r != -EINTR ? (int64_t)done : r;
        done += (size_t)r;
        if ((size_t)r < want || done == op->n)
            return (int64_t)done;
    }
}

static int64_t pread_call(struct rt_file_op *op)
{
    size_t done = 0;
    while (done < op->n) {
        char *to = (char *)op->buf + done;
        ssize_t r = -EINTR;
        if (!skua_token_is_set(&op->token))
            r = rt_sys_file_pread(op->fd, to, piece_of(op->n - done), op->offset + (off_t)done);
        if (rt_file_again(op, r))
            continue;
        if (r < 0)
            return r;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (int64_t)done;
}

static int64_t write_call(struct rt_file_op *op)
{
    return rt_file_put(op, op->fd, op->data, op->n);
}

static int check_range(const void *buf, size_t n, off_t offset)
{
    if (offset < 0 || n > (size_t)(INT64_MAX - offset))
        return -EINVAL;
    return n > 0 && !buf ? -EFAULT : 0;
}

ssize_t skua_file_read(int fd, void *buf, size_t n)
{
    struct rt_file_op op = {.call = read_call, .fd = fd, .buf = buf, .n = n};
    int r = check_range(buf, n, 0);
    return r < 0 ? r : (ssize_t)rt_file_run(&op);
}

ssize_t skua_file_write(int fd, const void *buf, size_t n)
{
    struct rt_file_op op = {.call = write_call, .fd = fd, .data = buf, .n = n};
    int r = check_range(buf, n, 0);
    return r < 0 ? r : (ssize_t)rt_file_run(&op);
}

ssize_t skua_file_pread(int fd, void *buf, size_t n, off_t offset)
{
    struct rt_file_op op = {.call = pread_call, .fd = fd, .buf = buf, .n = n, .offset = offset};
    int r = check_range(buf, n, offset);
    return r < 0 ? r : (ssize_t)rt_file_run(&op);
}

ssize_t skua_file_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    struct rt_file_op op = {.call = write_call, .fd = fd, .data = buf, .n = n,
                            .offset = offset, .has_offset = true};
    int r = check_range(buf, n, offset);
    return r < 0 ? r : (ssize_t)rt_file_run(&op);
}

/* --- on an open file --- */

static int64_t seek_call(struct rt_file_op *op)
{
    return rt_sys_file_seek(op->fd, op->offset, op->flags);
}

int64_t skua_file_seek(int fd, off_t offset, int whence)
{
    struct rt_file_op op = {.call = seek_call, .fd = fd, .offset = offset, .flags = whence};
    return rt_file_run(&op);
}

static int64_t sync_call(struct rt_file_op *op)
{
    return rt_sys_file_sync(op->fd, op->flags != 0);
}

int skua_file_fsync(int fd)
{
    struct rt_file_op op = {.call = sync_call, .fd = fd};
    return (int)rt_file_run(&op);
}

int skua_file_fdatasync(int fd)
{
    struct rt_file_op op = {.call = sync_call, .fd = fd, .flags = 1};
    return (int)rt_file_run(&op);
}

static int64_t truncate_call(struct rt_file_op *op)
{
    return rt_sys_file_truncate(op->fd, op->offset);
}

int skua_file_truncate(int fd, off_t size)
{
    struct rt_file_op op = {.call = truncate_call, .fd = fd, .offset = size};
    return (int)rt_file_run(&op);
}

static int64_t fstat_call(struct rt_file_op *op)
{
    return rt_sys_fstat(op->fd, op->st);
}

/* Written only on success: the kernel writes into what nobody else sees. */
static int run_stat(struct rt_file_op *op, struct stat *ret_st)
{
    struct stat st;
    op->st = &st;
    int r = (int)rt_file_run(op);
    if (r == 0 && ret_st)
        *ret_st = st;
    return r;
}

int skua_file_fstat(int fd, struct stat *ret_st)
{
    struct rt_file_op op = {.call = fstat_call, .fd = fd};
    return run_stat(&op, ret_st);
}

/* --- on paths --- */

static int64_t stat_call(struct rt_file_op *op)
{
    return rt_sys_path_stat(op->path, op->flags != 0, op->st);
}

int skua_file_stat(const char *path, struct stat *ret_st)
{
    struct rt_file_op op = {.call = stat_call, .path = path, .flags = 1};
    return path ? run_stat(&op, ret_st) : -EINVAL;
}

int skua_file_lstat(const char *path, struct stat *ret_st)
{
    struct rt_file_op op = {.call = stat_call, .path = path};
    return path ? run_stat(&op, ret_st) : -EINVAL;
}

static int64_t rename_call(struct rt_file_op *op)
{
    return rt_sys_path_rename(op->path, op->to);
}

int skua_file_rename(const char *from, const char *to)
{
    struct rt_file_op op = {.call = rename_call, .path = from, .to = to};
    return from && to ? (int)rt_file_run(&op) : -EINVAL;
}

static int64_t unlink_call(struct rt_file_op *op)
{
    return rt_sys_path_unlink(op->path);
}

int skua_file_unlink(const char *path)
{
    struct rt_file_op op = {.call = unlink_call, .path = path};
    return path ? (int)rt_file_run(&op) : -EINVAL;
}

static int64_t mkdir_call(struct rt_file_op *op)
{
    return rt_sys_path_mkdir(op->path, op->mode);
}

int skua_file_mkdir(const char *path, mode_t mode)
{
    struct rt_file_op op = {.call = mkdir_call, .path = path, .mode = mode};
    return path ? (int)rt_file_run(&op) : -EINVAL;
}

static int64_t rmdir_call(struct rt_file_op *op)
{
    return rt_sys_path_rmdir(op->path);
}

int skua_file_rmdir(const char *path)
{
    struct rt_file_op op = {.call = rmdir_call, .path = path};
    return path ? (int)rt_file_run(&op) : -EINVAL;
}
