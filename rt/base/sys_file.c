/* SPDX-License-Identifier: MIT */
/* floor 0: base. The door to the kernel: files and directories. */
#include "base/sys_door.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

/* ---- open files ---- */

RT_NOINLINE int rt_sys_file_open(const char *path, int flags, mode_t mode)
{
    return (int)RT_SYS_ONCE(RT_SYS_FILE_OPEN, open(path, flags | O_CLOEXEC, mode));
}

RT_NOINLINE ssize_t rt_sys_file_read(int fd, void *buf, size_t n)
{
    return RT_SYS_ONCE(RT_SYS_FILE_READ, read(fd, buf, rt_sys_capped(n)));
}

RT_NOINLINE ssize_t rt_sys_file_write(int fd, const void *buf, size_t n)
{
    return RT_SYS_ONCE(RT_SYS_FILE_WRITE, write(fd, buf, rt_sys_capped(n)));
}

RT_NOINLINE ssize_t rt_sys_file_pread(int fd, void *buf, size_t n, off_t offset)
{
    return RT_SYS_ONCE(RT_SYS_FILE_READ, pread(fd, buf, rt_sys_capped(n), offset));
}

RT_NOINLINE ssize_t rt_sys_file_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    return RT_SYS_ONCE(RT_SYS_FILE_WRITE, pwrite(fd, buf, rt_sys_capped(n), offset));
}

RT_NOINLINE int64_t rt_sys_file_seek(int fd, off_t offset, int whence)
{
    return RT_SYS_ONCE(RT_SYS_FILE_SEEK, lseek(fd, offset, whence));
}

RT_NOINLINE int rt_sys_file_sync(int fd, bool data_only)
{
    return (int)RT_SYS_ONCE(RT_SYS_FILE_SYNC, data_only ? fdatasync(fd) : fsync(fd));
}

RT_NOINLINE int rt_sys_file_truncate(int fd, off_t size)
{
    return (int)RT_SYS_ONCE(RT_SYS_FILE_TRUNCATE, ftruncate(fd, size));
}

RT_NOINLINE int rt_sys_file_chmod(int fd, mode_t mode)
{
    return (int)RT_SYS_ONCE(RT_SYS_FILE_CHMOD, fchmod(fd, mode));
}

/* ---- paths ---- */

RT_NOINLINE int rt_sys_path_stat(const char *path, bool follow, struct stat *ret_st)
{
    return (int)RT_SYS_ONCE(RT_SYS_PATH_STAT,
                            fstatat(AT_FDCWD, path, ret_st, follow ? 0 : AT_SYMLINK_NOFOLLOW));
}

RT_NOINLINE int rt_sys_path_rename(const char *from, const char *to)
{
    return (int)RT_SYS_ONCE(RT_SYS_PATH_CHANGE, rename(from, to));
}

RT_NOINLINE int rt_sys_path_unlink(const char *path)
{
    return (int)RT_SYS_ONCE(RT_SYS_PATH_CHANGE, unlink(path));
}

RT_NOINLINE int rt_sys_path_mkdir(const char *path, mode_t mode)
{
    return (int)RT_SYS_ONCE(RT_SYS_PATH_CHANGE, mkdir(path, mode));
}

RT_NOINLINE int rt_sys_path_rmdir(const char *path)
{
    return (int)RT_SYS_ONCE(RT_SYS_PATH_CHANGE, rmdir(path));
}

/* ---- directories ---- */

RT_NOINLINE int rt_sys_dir_open(const char *path, void **ret_dir)
{
    DIR *dir = NULL;
    int r = (int)RT_SYS_ONCE(RT_SYS_DIR_OPEN, (dir = opendir(path)) != NULL ? 0 : -1);
    if (r == 0)
        *ret_dir = dir;
    return r;
}

/* NULL is the end as well as an error, which only errno tells apart. */
static RT_NOINLINE int next_entry(DIR *dir, struct dirent **ret_entry)
{
    errno = 0;
    *ret_entry = readdir(dir);
    return *ret_entry || errno == 0 ? 0 : -1;
}

RT_NOINLINE int rt_sys_dir_next(void *dir, const char **ret_name)
{
    struct dirent *entry = NULL;
    int before = errno;
    int r = (int)RT_SYS_ONCE(RT_SYS_DIR_NEXT, next_entry(dir, &entry));
    errno = before;
    if (r < 0 || !entry)
        return r;
    *ret_name = entry->d_name;
    return 1;
}

void rt_sys_dir_close(void *dir)
{
    (void)closedir(dir); /* it was open; nothing was written */
}
