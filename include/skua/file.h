/* SPDX-License-Identifier: MIT */
/* skua/file.h: files, off the loop. asyncio has no files of its own; there these are to_thread()
 * of what os and open() do.
 *
 * A file is never "not ready", so an epoll cannot wait for it, and yet it blocks: on a disk, on a
 * server, on the other end of a fifo. Each call here runs on a thread of the lane "file" (8 threads
 * at most, .lanes and SKUA_LANES change that; skua/thread.h) while its task waits and the others
 * run on. Many calls at once take their turn in its queue.
 *
 * All of them: Suspends. From: task. Besides what they name they return what the
 * system answers (-ENOENT, -EACCES, -ENOSPC, ...), and -ECANCELED, -EPERM outside a task, -EAGAIN
 * (no thread, and none to be had), -ENOMEM, -ESHUTDOWN, -EINVAL for a path that is NULL, -EFAULT
 * for a buffer that is.
 *
 * Cancelled before it has begun a call never runs. Cancelled while it runs it is waited for, as its
 * buffer is in use: what waits there (a fifo, a terminal, some network file systems) is interrupted
 * by the signal of skua/thread.h, and a long transfer ends after the piece under way. What was
 * moved until then is not told: the position of a descriptor may have changed.
 *
 * Descriptors are plain blocking ones, closed over exec, and of no loop: skua_read() and
 * skua_write() on them would block the worker. */
#ifndef SKUA_FILE_H
#define SKUA_FILE_H

#include <skua/base.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opens a file: flags (O_RDONLY, O_CREAT, ... of <fcntl.h>) and mode as for open(2); O_CLOEXEC is
 * added. Returns the descriptor. Cancelled, it leaves none open; a file that O_CREAT made stays. */
SKUA_API int skua_file_open(const char *path, int flags, mode_t mode) SKUA_CHECKED;

/* Closes a descriptor: always, whatever it returns, -EPERM and -EBADF excepted. Returns 0. */
SKUA_API int skua_file_close(int fd) SKUA_CHECKED;

/* Reads up to n bytes from where the file stands. Returns how many: less than n at the end of a
 * file (0: nothing is left), and where what is there comes in pieces (fifos, terminals). */
SKUA_API ssize_t skua_file_read(int fd, void *buf, size_t n) SKUA_CHECKED;

/* Writes all n bytes. Returns n, or an error, after which an unknown part was written. */
SKUA_API ssize_t skua_file_write(int fd, const void *buf, size_t n) SKUA_CHECKED;

/* Reads n bytes from `offset` on, and leaves alone where the file stands. Returns how many: less
 * than n only at the end of the file. */
SKUA_API ssize_t skua_file_pread(int fd, void *buf, size_t n, off_t offset) SKUA_CHECKED;

/* Writes all n bytes from `offset` on. Returns n, or an error, after which an unknown part was
 * written. */
SKUA_API ssize_t skua_file_pwrite(int fd, const void *buf, size_t n, off_t offset) SKUA_CHECKED;

/* Moves to where the next read or write begins; whence: SEEK_SET, SEEK_CUR, SEEK_END, also
 * SEEK_DATA and SEEK_HOLE. Returns the new offset from the beginning. */
SKUA_API int64_t skua_file_seek(int fd, off_t offset, int whence) SKUA_CHECKED;

/* Waits until what was written is on the device: fdatasync leaves out what reading it back does
 * not need (times). Returns 0. */
SKUA_API int skua_file_fsync(int fd) SKUA_CHECKED;
SKUA_API int skua_file_fdatasync(int fd) SKUA_CHECKED;

/* Makes the file `size` bytes long: cut off, or filled up with zeros. Returns 0. */
SKUA_API int skua_file_truncate(int fd, off_t size) SKUA_CHECKED;

/* What is known of a file: its size, kind, times. stat follows a symbolic link, lstat tells of the
 * link. Returns 0. */
SKUA_API int skua_file_stat(const char *path, struct stat *ret_st) SKUA_CHECKED;
SKUA_API int skua_file_lstat(const char *path, struct stat *ret_st) SKUA_CHECKED;
SKUA_API int skua_file_fstat(int fd, struct stat *ret_st) SKUA_CHECKED;

/* As the system calls of these names. Return 0. */
SKUA_API int skua_file_rename(const char *from, const char *to) SKUA_CHECKED;
SKUA_API int skua_file_unlink(const char *path) SKUA_CHECKED;
SKUA_API int skua_file_mkdir(const char *path, mode_t mode) SKUA_CHECKED;
SKUA_API int skua_file_rmdir(const char *path) SKUA_CHECKED;

/* The names in a directory, in no order, without "." and "..". *ret_names is an array of n names
 * with a NULL behind them, the caller's to free by one skua_free(). Returns 0.
 * asyncio: to_thread(os.listdir). */
SKUA_API int skua_file_list(const char *path, char ***ret_names, size_t *ret_n) SKUA_CHECKED;

/* A whole file, with a NUL behind it that does not count in *ret_n. *ret_data is the caller's to
 * free by skua_free(). Returns 0, or -EFBIG when it is longer than `limit` bytes (SIZE_MAX: no
 * limit). asyncio: to_thread(Path.read_bytes). */
SKUA_API int skua_file_read_all(const char *path, void **ret_data, size_t *ret_n,
                                size_t limit) SKUA_CHECKED;

/* Options of skua_file_write_all(). */
struct skua_file_write_opts {
    size_t size;    /* sizeof(struct skua_file_write_opts); the macro fills it in */
    bool atomic;    /* write another file beside it and rename that: readers, and who comes after a
                       crash or a cancel, see either all of the old one or all of the new one */
    bool sync;      /* return when it is on the device, with .atomic its name as well */
    mode_t mode;    /* of a file that is made, less the umask; 0: 0666, and with .atomic the mode of
                       the file that is replaced */
};

/* Makes a file of these n bytes, in place of what it held. .atomic needs leave to write to its
 * directory; the file is a new one then (owner, other links), and a symbolic link is replaced, not
 * followed. Returns 0; after an error without .atomic an unknown part was written.
 * asyncio: to_thread(Path.write_bytes). */
SKUA_API int skua_file_write_all_with(const char *path, const void *data, size_t n,
                                      const struct skua_file_write_opts *opts) SKUA_CHECKED;

#ifndef __cplusplus
/* int skua_file_write_all(const char *path, const void *data, size_t n, [.atomic = true, ...]) */
#define skua_file_write_all(path, data, ...) \
    SKUA_FILE_WRITE_ALL_(path, data, __VA_ARGS__, .size = sizeof(struct skua_file_write_opts))
#define SKUA_FILE_WRITE_ALL_(path, data, n, ...) \
    skua_file_write_all_with((path), (data), (n), \
                             &(const struct skua_file_write_opts){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif
#endif
