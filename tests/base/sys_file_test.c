/* SPDX-License-Identifier: MIT */
/* Goal: calls on files return >= 0 or -errno, tell EINTR, and leave errno alone. Method: a file in
 * memory, a folder of its own, injected errors. */
#include "capture.h"

#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void test_file_errors_are_negative_errno(void **state)
{
    char byte = 0;
    void *dir;
    struct stat st;
    (void)state;
    errno = 4711;
    assert_int_equal(rt_sys_file_open("/nonexistent/file", O_RDONLY, 0), -ENOENT);
    assert_int_equal(rt_sys_file_read(-1, &byte, 1), -EBADF);
    assert_int_equal(rt_sys_file_pwrite(-1, &byte, 1, 0), -EBADF);
    assert_int_equal(rt_sys_file_seek(-1, 0, SEEK_SET), -EBADF);
    assert_int_equal(rt_sys_file_sync(-1, true), -EBADF);
    assert_int_equal(rt_sys_path_stat("/nonexistent/file", true, &st), -ENOENT);
    assert_int_equal(rt_sys_path_rename("/nonexistent/a", "/nonexistent/b"), -ENOENT);
    assert_int_equal(rt_sys_dir_open("/nonexistent", &dir), -ENOENT);
    assert_int_equal(errno, 4711);
}

static void test_file_calls_tell_an_interruption(void **state)
{
    char byte;
    int fd = rt_sys_file_open("/dev/zero", O_RDONLY, 0);
    (void)state;
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    rt_fault_arm(RT_SYS_FILE_READ, 1, EINTR);
    assert_int_equal(rt_sys_file_read(fd, &byte, 1), -EINTR);
    assert_int_equal(rt_sys_file_read(fd, &byte, 1), 1);
    rt_fault_reset();
    assert_int_equal(rt_sys_close(fd), 0);
}

static void test_file_directory_entries_end_without_an_error(void **state)
{
    char folder[] = "/tmp/skua-sys-test-XXXXXX";
    const char *name;
    void *dir;
    int n = 0, r;
    (void)state;
    assert_non_null(mkdtemp(folder));
    errno = 4711; /* what readdir says at its end is not this */
    assert_int_equal(rt_sys_dir_open(folder, &dir), 0);
    while ((r = rt_sys_dir_next(dir, &name)) == 1)
        n += name[0] == '.';
    assert_int_equal(r, 0);
    assert_int_equal(n, 2);
    rt_sys_dir_close(dir);
    assert_int_equal(errno, 4711);
    assert_int_equal(rt_sys_path_rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_errors_are_negative_errno),
        cmocka_unit_test(test_file_calls_tell_an_interruption),
        cmocka_unit_test(test_file_directory_entries_end_without_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
