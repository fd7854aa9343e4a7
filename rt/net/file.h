/* SPDX-License-Identifier: MIT */
/* floor 8: net. One call on a file, made by a thread of the lane "file".
 *
 *     static int64_t truncate_it(struct rt_file_op *op) { return rt_sys_...; }
 *     struct rt_file_op op = { .call = truncate_it, .fd = fd, .offset = size };
 *     return (int)rt_file_run(&op);
 *
 * The op lies in the frame of its task: who cancels one that runs waits for it.
 */
#ifndef RT_NET_FILE_H
#define RT_NET_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <skua/file.h>
#include <skua/thread.h>

struct rt_file_op {
    int64_t (*call)(struct rt_file_op *op); /* on the thread: >= 0 or -errno */
    skua_token token;                       /* set: the call shall end; answer -EINTR */
    int64_t result;                         /* of the call, once `ran` */
    bool ran;
    /* what the call is given and gives, as it likes */
    int fd;
    int flags;
    mode_t mode;
    bool has_offset;
    off_t offset;
    const char *path;
    const char *to;
    void *buf;
    const void *data;
    size_t n;
    struct stat *st;
    bool atomic;
    bool sync;
};

/* The result, or why there is none: then op->ran tells whether the call was made all the same, with
 * a result that nobody was told. */
int64_t rt_file_run(struct rt_file_op *op);

/* On the thread. A system call was interrupted by somebody else than who asks this one to end. A
 * call that answers so is made again, as a whole. */
static inline bool rt_file_again(const struct rt_file_op *op, int64_t r)
{
    return r == -EINTR && !skua_token_is_set(&op->token);
}

int64_t rt_file_open(struct rt_file_op *op, const char *path, int flags, mode_t mode);
/* One read of at most n bytes. */
int64_t rt_file_get(struct rt_file_op *op, int fd, void *buf, size_t n);
/* All n bytes, from op->offset on if op->has_offset. n, or -errno. */
int64_t rt_file_put(struct rt_file_op *op, int fd, const void *data, size_t n);
int rt_file_sync(struct rt_file_op *op, int fd);

#endif
