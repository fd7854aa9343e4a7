/* SPDX-License-Identifier: MIT */
/* floor 8: net. Whole files and whole directories, each one job of the lane "file". */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/mem.h"
#include "base/sys.h"
#include "net/blob.h"
#include "net/file.h"

enum {
    NAME_TRIES = 100, /* names of others' temporary files that are passed over */
};

/* --- reading --- */

/* Until the end, or until it is longer than the limit. One byte more than a file has is asked for,
 * so that its end shows. */
static int64_t read_until_end(struct rt_file_op *op, int fd, struct rt_blob *b)
{
    for (;;) {
        int64_t r = b->n < b->room ? 0 : rt_blob_grow(b);
        if (r == 0)
            r = skua_token_is_set(&op->token) ? -EINTR
                                              : rt_file_get(op, fd, b->data + b->n, b->room - b->n);
        if (r <= 0)
            return r;
        b->n += (size_t)r;
        if (b->n > op->n)
            return -EFBIG;
    }
}

static int64_t read_into(struct rt_file_op *op, int fd, struct rt_blob *b)
{
    struct stat st;
    int64_t r = rt_sys_fstat(fd, &st);
    if (r < 0)
        return r;
    size_t size = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 0;
    if (size > op->n)
        return -EFBIG;
    r = rt_blob_reserve(b, size ? size + 1 : RT_BLOB_FIRST);
    return r < 0 ? r : read_until_end(op, fd, b);
}

static int64_t read_all_call(struct rt_file_op *op)
{
    struct rt_blob b = {0};
    int64_t fd = rt_file_open(op, op->path, O_RDONLY | O_NOCTTY, 0);
    if (fd < 0)
        return fd;
    int64_t r = read_into(op, (int)fd, &b);
    SKUA_IGNORE(rt_sys_close((int)fd)); /* nothing was written */
    if (r < 0) {
        rt_free(b.data);
        return r;
    }
    b.data[b.n] = '\0';
    op->buf = b.data;
    op->n = b.n;
    return 0;
}

/* What the call has allocated goes to the caller, or away. */
static int hand_over(struct rt_file_op *op, void **ret_data, size_t *ret_n)
{
    int64_t r = rt_file_run(op);
    if (r < 0 || !ret_data)
        rt_free(op->buf);
    else
        *ret_data = op->buf;
    if (r == 0 && ret_n)
        *ret_n = op->n;
    return (int)r;
}

int skua_file_read_all(const char *path, void **ret_data, size_t *ret_n, size_t limit)
{
    struct rt_file_op op = {.call = read_all_call, .path = path, .n = limit};
    return path ? hand_over(&op, ret_data, ret_n) : -EINVAL;
}

/* --- writing --- */

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* A file that nobody has, in the folder of the other. Its descriptor, with *ret_name to be freed.
 */
static int64_t open_beside(struct rt_file_op *op, mode_t mode, char **ret_name)
{
    static RT_ATOMIC(uint32_t) next;
    size_t folder = folder_length(op->path);
    size_t size = folder + 48;
    char *name = rt_malloc(size);
    if (!name)
        return -ENOMEM;
    int64_t r = -EEXIST;
    for (int i = 0; r == -EEXIST && i < NAME_TRIES; i++) {
        unsigned nth = rt_add_relaxed(&next, 1); /* relaxed: only to differ */
        (void)snprintf(name, size, "%.*s.skua-%d-%u.tmp", (int)folder, op->path, rt_sys_gettid(),
                       nth);
        r = rt_file_open(op, name, O_WRONLY | O_CREAT | O_EXCL, mode);
    }
    if (r < 0)
        rt_free(name);
    else
        *ret_name = name;
    return r;
}

/* 1 and the mode of the file that will be replaced; 0: there is none, or another is wanted. */
static int find_mode(struct rt_file_op *op, mode_t *ret_mode)
{
    struct stat st;
    *ret_mode = op->mode ? op->mode : 0666;
    if (op->mode)
        return 0;
    int r = rt_sys_path_stat(op->path, true, &st);
    if (r < 0)
        return r == -ENOENT || r == -ELOOP ? 0 : r;
    if (!S_ISREG(st.st_mode))
        return 0;
    *ret_mode = st.st_mode & 07777;
    return 1;
}

/* Puts the data there and closes. */
static int64_t fill(struct rt_file_op *op, int fd)
{
    int64_t r = rt_file_put(op, fd, op->data, op->n);
    if (r >= 0 && op->sync)
        r = rt_file_sync(op, fd);
    int closed = rt_sys_close(fd);
    return r < 0 ? r : closed;
}

static int64_t sync_folder(struct rt_file_op *op)
{
    size_t n = folder_length(op->path);
    char *folder = rt_malloc(n + 2);
    if (!folder)
        return -ENOMEM;
    memcpy(folder, n ? op->path : "./", n ? n : 2);
    folder[n ? n : 2] = '\0';
    int64_t fd = rt_file_open(op, folder, O_RDONLY | O_DIRECTORY, 0);
    rt_free(folder);
    if (fd < 0)
        return fd;
    int r = rt_file_sync(op, (int)fd);
    SKUA_IGNORE(rt_sys_close((int)fd)); /* nothing was written through it */
    return r;
}

/* A signal that asks the call to end does not keep it from clearing away. */
static void remove_it(const char *name)
{
    int r;
    do {
        r = rt_sys_path_unlink(name);
    } while (r == -EINTR);
}

/* Made with no more than the mode that it gets: who opened it before could read what comes. */
static int64_t replace(struct rt_file_op *op)
{
    char *name = NULL;
    mode_t mode;
    int has_mode = find_mode(op, &mode);
    int64_t r = has_mode < 0 ? has_mode : open_beside(op, mode, &name);
    if (r < 0)
        return r;
    int fd = (int)r;
    r = has_mode ? rt_sys_file_chmod(fd, mode) : 0;
    if (r < 0)
        SKUA_IGNORE(rt_sys_close(fd)); /* the first error counts */
    else
        r = fill(op, fd);
    if (r == 0)
        r = skua_token_is_set(&op->token) ? -EINTR : rt_sys_path_rename(name, op->path);
    if (r < 0)
        remove_it(name);
    rt_free(name);
    return r == 0 && op->sync ? sync_folder(op) : r;
}

static int64_t write_all_call(struct rt_file_op *op)
{
    if (op->atomic)
        return replace(op);
    int64_t fd = rt_file_open(op, op->path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY,
                              op->mode ? op->mode : 0666);
    return fd < 0 ? fd : fill(op, (int)fd);
}

int skua_file_write_all_with(const char *path, const void *data, size_t n,
                             const struct skua_file_write_opts *opts)
{
    struct rt_file_op op = {.call = write_all_call, .path = path, .data = data, .n = n};
    if (!path || n > INT64_MAX || (opts && opts->size != sizeof *opts))
        return -EINVAL;
    if (n > 0 && !data)
        return -EFAULT;
    if (opts) {
        op.atomic = opts->atomic;
        op.sync = opts->sync;
        op.mode = opts->mode;
    }
    return (int)rt_file_run(&op);
}

/* --- directories --- */

static int64_t collect_names(struct rt_file_op *op, void *dir, struct rt_blob *names, size_t *ret_n)
{
    const char *name;
    int r;
    while ((r = rt_sys_dir_next(dir, &name)) == 1) {
        size_t size = strlen(name) + 1;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        while (r >= 0 && names->room - names->n < size)
            r = rt_blob_grow(names);
        if (r >= 0 && skua_token_is_set(&op->token))
            r = -EINTR;
        if (r < 0)
            break;
        memcpy(names->data + names->n, name, size);
        names->n += size;
        ++*ret_n;
    }
    return r;
}

/* One block: the pointers, then what they point to. */
static int64_t lay_out(struct rt_file_op *op, const struct rt_blob *names, size_t n)
{
    char **list = rt_malloc((n + 1) * sizeof *list + names->n);
    if (!list)
        return -ENOMEM;
    char *text = (char *)(list + n + 1);
    if (names->n)
        memcpy(text, names->data, names->n);
    for (size_t i = 0; i < n; i++) {
        list[i] = text;
        text += strlen(text) + 1;
    }
    list[n] = NULL;
    op->buf = list;
    op->n = n;
    return 0;
}

static int64_t list_call(struct rt_file_op *op)
{
    struct rt_blob names = {0};
    size_t n = 0;
    void *dir;
    int64_t r = rt_sys_dir_open(op->path, &dir);
    if (r < 0)
        return r;
    r = collect_names(op, dir, &names, &n);
    rt_sys_dir_close(dir);
    if (r >= 0)
        r = lay_out(op, &names, n);
    rt_free(names.data);
    return r;
}

int skua_file_list(const char *path, char ***ret_names, size_t *ret_n)
{
    struct rt_file_op op = {.call = list_call, .path = path};
    void *list = NULL;
    size_t n = 0;
    if (!path)
        return -EINVAL;
    int r = hand_over(&op, &list, &n);
    if (r < 0)
        return r;
    if (ret_names)
        *ret_names = list;
    else
        rt_free(list);
    if (ret_n)
        *ret_n = n;
    return 0;
}
