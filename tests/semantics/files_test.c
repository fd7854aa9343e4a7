/* SPDX-License-Identifier: MIT */
/* Files as users are promised them: off the loop, by a bounded number of threads, whole when they
 * are to be whole. asyncio answers with to_thread(): rules 72 and 73 hold. */
#include "../support/process.h"
#include "../support/scale.h"
#include "../support/t.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[64];

static int enter_folder(void **state)
{
    snprintf(folder, sizeof folder, "/dev/shm/skua-files-XXXXXX");
    if (!mkdtemp(folder)) {
        snprintf(folder, sizeof folder, "/tmp/skua-files-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    return t_setup(state);
}

static int leave_folder(void **state)
{
    assert_int_equal(rmdir(folder), 0);
    return t_teardown(state);
}

#define FILE_TEST(fn) { #fn, fn, enter_folder, leave_folder, (void *)#fn }

static const char *in_folder(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

/* ---- what each call does ---- */

static void *calls_main(void *arg)
{
    char a[128], b[128], back[16] = "";
    struct stat st;
    in_folder("a", a);
    in_folder("b", b);
    T_EXPECT_INT(skua_file_open(a, O_RDWR, 0), -ENOENT);
    int fd = skua_file_open(a, O_RDWR | O_CREAT | O_EXCL, 0600);
    T_EXPECT(fd >= 0);
    T_EXPECT_INT(skua_file_open(a, O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
    T_EXPECT_INT(skua_file_write(fd, "hello world", 11), 11);
    T_EXPECT_INT(skua_file_seek(fd, 6, SEEK_SET), 6);
    T_EXPECT_INT(skua_file_read(fd, back, sizeof back), 5);
    T_EXPECT_STR(back, "world");
    T_EXPECT_INT(skua_file_read(fd, back, sizeof back), 0);
    T_EXPECT_INT(skua_file_pwrite(fd, "W", 1, 6), 1);
    T_EXPECT_INT(skua_file_pread(fd, back, 5, 6), 5);
    T_EXPECT_STR(back, "World");
    T_EXPECT_INT(skua_file_seek(fd, 0, SEEK_CUR), 11);
    T_EXPECT_INT(skua_file_truncate(fd, 5), 0);
    T_EXPECT_INT(skua_file_fsync(fd), 0);
    T_EXPECT_INT(skua_file_fdatasync(fd), 0);
    T_EXPECT_INT(skua_file_fstat(fd, &st), 0);
    T_EXPECT_INT(st.st_size, 5);
    T_EXPECT_INT(skua_file_close(fd), 0);
    T_EXPECT_INT(skua_file_close(fd), -EBADF);
    T_EXPECT_INT(skua_file_rename(a, b), 0);
    T_EXPECT_INT(skua_file_stat(a, &st), -ENOENT);
    T_EXPECT_INT(skua_file_stat(b, NULL), 0);
    T_EXPECT_INT(skua_file_mkdir(a, 0700), 0);
    char **names = NULL;
    size_t n = 0;
    T_EXPECT_INT(skua_file_list(folder, &names, &n), 0);
    T_EXPECT(n == 2 && names[2] == NULL && names[0][0] + names[1][0] == 'a' + 'b');
    skua_free(names);
    T_EXPECT_INT(skua_file_list(b, &names, &n), -ENOTDIR);
    T_EXPECT_INT(skua_file_rmdir(a), 0);
    T_EXPECT_INT(skua_file_unlink(b), 0);
    T_EXPECT_INT(skua_file_unlink(b), -ENOENT);
    T_EXPECT_INT(skua_file_list(folder, &names, &n), 0);
    T_EXPECT(n == 0 && names[0] == NULL);
    skua_free(names);
    return arg;
}

static void test_each_call_does_what_its_name_says(void **state)
{
    /* Goal: pinned and free alike. */
    t_run(calls_main, NULL);
    t_run(calls_main, NULL, .free_main = true);
}

/* ---- bad input ---- */

static void *bad_main(void *arg)
{
    char byte = 0;
    T_EXPECT_INT(skua_file_open(NULL, O_RDONLY, 0), -EINVAL);
    T_EXPECT_INT(skua_file_stat(NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_file_lstat(NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_file_list(NULL, NULL, NULL), -EINVAL);
    T_EXPECT_INT(skua_file_unlink(NULL), -EINVAL);
    T_EXPECT_INT(skua_file_mkdir(NULL, 0), -EINVAL);
    T_EXPECT_INT(skua_file_rmdir(NULL), -EINVAL);
    T_EXPECT_INT(skua_file_rename(NULL, "x"), -EINVAL);
    T_EXPECT_INT(skua_file_rename("x", NULL), -EINVAL);
    T_EXPECT_INT(skua_file_read_all(NULL, NULL, NULL, 1), -EINVAL);
    T_EXPECT_INT(skua_file_write_all(NULL, "", 0), -EINVAL);
    T_EXPECT_INT(skua_file_write_all("/tmp/x", NULL, 1), -EFAULT);
    T_EXPECT_INT(skua_file_write_all("/tmp/x", &byte, SIZE_MAX), -EINVAL);
    const struct skua_file_write_opts wrong = { .size = 3 };
    T_EXPECT_INT(skua_file_write_all_with("/tmp/x", "", 0, &wrong), -EINVAL);
    static const int bad[] = { -1, -2147483647, 2147483647, 4711 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        T_EXPECT_INT(skua_file_read(bad[i], &byte, 1), -EBADF);
        T_EXPECT_INT(skua_file_write(bad[i], &byte, 1), -EBADF);
        T_EXPECT_INT(skua_file_pread(bad[i], &byte, 1, 0), -EBADF);
        T_EXPECT_INT(skua_file_pwrite(bad[i], &byte, 1, 0), -EBADF);
        T_EXPECT_INT(skua_file_seek(bad[i], 0, SEEK_SET), -EBADF);
        T_EXPECT_INT(skua_file_fsync(bad[i]), -EBADF);
        T_EXPECT(skua_file_truncate(bad[i], 0) < 0);
        T_EXPECT_INT(skua_file_fstat(bad[i], NULL), -EBADF);
        T_EXPECT_INT(skua_file_close(bad[i]), -EBADF);
    }
    int fd = skua_file_open("/dev/zero", O_RDWR, 0);
    T_EXPECT_INT(skua_file_read(fd, NULL, 1), -EFAULT);
    T_EXPECT_INT(skua_file_write(fd, NULL, 1), -EFAULT);
    T_EXPECT_INT(skua_file_read(fd, NULL, 0), 0);
    T_EXPECT_INT(skua_file_pread(fd, &byte, 1, -1), -EINVAL);
    T_EXPECT_INT(skua_file_pwrite(fd, &byte, 1, -1), -EINVAL);
    T_EXPECT_INT(skua_file_pread(fd, &byte, SIZE_MAX, 1), -EINVAL);
    T_EXPECT_INT(skua_file_read(fd, &byte, SIZE_MAX), -EINVAL);
    T_EXPECT_INT(skua_file_close(fd), 0);
    return arg;
}

static void test_bad_input_gets_an_error(void **state)
{
    /* Goal: no path, no buffer, no descriptor, impossible numbers; outside a runtime -EPERM. */
    char byte = 0;
    t_run(bad_main, NULL);
    assert_int_equal(skua_file_open("/dev/null", O_RDONLY, 0), -EPERM);
    assert_int_equal(skua_file_read(0, &byte, 1), -EPERM);
    assert_int_equal(skua_file_close(0), -EPERM);
    assert_int_equal(skua_file_read_all("/dev/null", NULL, NULL, 1), -EPERM);
    assert_true(fcntl(0, F_GETFD) >= 0 || errno == EBADF);
}

/* ---- atomic ---- */

enum { ROUNDS = T_SCALE(60, 20), HALF = 20000 };

static atomic_bool writing;

/* Every byte of the file is the same letter. */
static void *read_often(void *path)
{
    while (atomic_load(&writing)) {
        char *text = NULL;
        size_t n = 0;
        int r = skua_file_read_all(path, (void **)&text, &n, SIZE_MAX);
        if (r < 0)
            return skua_fail(r);
        T_EXPECT(n == HALF || n == 2 * HALF);
        for (size_t i = 1; i < n; i++)
            if (text[i] != text[0]) {
                T_EXPECT(!"a mixture");
                break;
            }
        skua_free(text);
    }
    return NULL;
}

static void *write_one(void *path)
{
    static const char other[2 * HALF];
    int r = skua_file_write_all(path, other, HALF, .atomic = true);
    return r < 0 ? skua_fail(r) : NULL;
}

static void *atomic_main(void *arg)
{
    static char data[2 * HALF];
    char path[128], **names;
    size_t n;
    in_folder("whole", path);
    T_EXPECT_INT(skua_file_write_all(path, data, HALF, .mode = 0644), 0);
    atomic_store(&writing, true);
    skua_task *reader = skua_go(read_often, path);
    for (int i = 0; i < ROUNDS; i++) {
        memset(data, 'a' + i % 20, sizeof data);
        T_EXPECT_INT(skua_file_write_all(path, data, i % 2 ? HALF : 2 * HALF, .atomic = true), 0);
        skua_task *cut = skua_spawn(write_one, path);
        for (int k = i % 4; k > 0; k--)
            SKUA_IGNORE(skua_yield());
        (void)skua_cancel(cut, NULL);
        int r = skua_join(cut, NULL);
        T_EXPECT(r == 0 || r == -ECANCELED);
    }
    atomic_store(&writing, false);
    T_EXPECT_INT(skua_join(reader, NULL), 0);
    T_EXPECT_INT(skua_file_list(folder, &names, &n), 0);
    T_EXPECT_INT(n, 1); /* no file beside it is left */
    skua_free(names);
    T_EXPECT_INT(skua_file_unlink(path), 0);
    return arg;
}

static void test_atomic_writes_are_never_seen_in_part(void **state)
{
    /* Goal: neither by readers meanwhile nor after a cancel. */
    t_run(atomic_main, NULL, .real_time = true);
}

/* ---- many at once ---- */

enum { READS = T_SCALE(1000, 200), SIZE = T_SCALE(1 << 20, 1 << 16), FILES = 16 };

static struct {
    int fds[2];
    int left;
    int echoes;
    int threads;
    double late;
    uint64_t sum;
} crowd;

static void *echo(void *arg)
{
    char byte;
    while (skua_read(crowd.fds[1], &byte, 1, INFINITY) == 1)
        T_EXPECT_INT(skua_write(crowd.fds[1], &byte, 1, INFINITY), 1);
    return arg;
}

static void *read_one(void *number)
{
    char name[16], path[128];
    void *data;
    size_t n;
    snprintf(name, sizeof name, "%d", T_NUM(number) % FILES);
    int r = skua_file_read_all(in_folder(name, path), &data, &n, SIZE);
    T_EXPECT_INT(r, 0);
    if (r == 0) {
        T_EXPECT_INT(n, SIZE);
        T_EXPECT_INT(((unsigned char *)data)[SIZE - 1], T_NUM(number) % FILES);
        skua_free(data);
    }
    crowd.left--;
    return NULL;
}

/* How long a task that is ready waits for its turn, beside the reads. */
static void note_lateness(void)
{
    double due = skua_loop_time() + 0.001;
    SKUA_IGNORE(skua_sleep_until(due));
    double late = skua_loop_time() - due;
    crowd.late = late > crowd.late ? late : crowd.late;
    int threads = t_threads();
    crowd.threads = threads > crowd.threads ? threads : crowd.threads;
}

static void make_files(bool make)
{
    char *data = calloc(1, SIZE);
    for (int i = 0; i < FILES; i++) {
        char name[16], path[128];
        snprintf(name, sizeof name, "%d", i);
        data[SIZE - 1] = (char)i;
        in_folder(name, path);
        T_EXPECT_INT(make ? skua_file_write_all(path, data, SIZE) : skua_file_unlink(path), 0);
    }
    free(data);
}

static void *crowd_main(void *arg)
{
    static skua_task *t[READS];
    char byte = 'x';
    make_files(true);
    T_EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, crowd.fds), 0);
    T_EXPECT(skua_fd_adopt(crowd.fds[0]) == 0 && skua_fd_adopt(crowd.fds[1]) == 0);
    skua_task *echoing = skua_spawn(echo, NULL);
    crowd.left = READS;
    for (int i = 0; i < READS; i++)
        t[i] = skua_spawn(read_one, T_PTR(i));
    while (crowd.left > 0) {
        T_EXPECT_INT(skua_write(crowd.fds[0], &byte, 1, 10), 1);
        T_EXPECT_INT(skua_read(crowd.fds[0], &byte, 1, 10), 1);
        crowd.echoes++;
        note_lateness();
    }
    T_EXPECT_INT(skua_gather(t, READS, NULL, SKUA_RELEASE), 0);
    T_EXPECT_INT(skua_close(crowd.fds[0]), 0);
    T_EXPECT_INT(skua_join(echoing, NULL), 0);
    T_EXPECT_INT(skua_close(crowd.fds[1]), 0);
    make_files(false);
    return arg;
}

static void test_a_thousand_reads_keep_an_echo_answering(void **state)
{
    /* Goal: 1,000 files of 1 MB at once, one loop that goes on, 8 threads and no more. */
    int before = t_threads();
    memset(&crowd, 0, sizeof crowd);
    double began = t_wall();
    t_run(crowd_main, NULL, .real_time = true);
    print_message("%d reads of %d KiB in %.2f s, %d echoes meanwhile, ready to run %.1f ms late at "
                  "most\n", READS, SIZE >> 10, t_wall() - began, crowd.echoes, crowd.late * 1e3);
    assert_true(crowd.echoes >= T_SCALE(5, 1));
    const char *workers = getenv("SKUA_WORKERS");
    int others = 2 * (workers ? atoi(workers) : (int)sysconf(_SC_NPROCESSORS_ONLN)) + 1;
    assert_true(crowd.threads <= before + others + 8); /* workers and spares, the watch; the lane */
}

static const struct CMUnitTest tests[] = {
    FILE_TEST(test_each_call_does_what_its_name_says),
    FILE_TEST(test_bad_input_gets_an_error),
    FILE_TEST(test_atomic_writes_are_never_seen_in_part),
    FILE_TEST(test_a_thousand_reads_keep_an_echo_answering),
};

T_MAIN(tests, NULL)
