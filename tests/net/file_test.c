/* SPDX-License-Identifier: MIT */
/* Goal: calls on files do what they say when the system is slow, short, interrupted, out of
 * descriptors or memory, and when they are cancelled at any moment; nothing is left behind. Method:
 * injected errors and short transfers; fifos for what waits. */
#include "net_support.h"

#include "t.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { SWEEP_MAX = 60 };

static char folder[64];

static int enter_folder(void **state)
{
    snprintf(folder, sizeof folder, "/dev/shm/skua-file-test-XXXXXX"); /* fsync is quick there */
    if (!mkdtemp(folder)) {
        snprintf(folder, sizeof folder, "/tmp/skua-file-test-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    return t_setup(state);
}

/* No test leaves a file that it did not name, so the folder can be removed. */
static int leave_folder(void **state)
{
    rt_fault_reset();
    assert_int_equal(rmdir(folder), 0);
    return t_teardown(state);
}

#define FILE_TEST(fn) { #fn, fn, enter_folder, leave_folder, (void *)#fn }

static const char *in_folder(const char *name)
{
    static __thread char path[4][128];
    static __thread unsigned at;
    char *p = path[at++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void fill(char *data, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i * 7 + seed + (i >> 8));
}

/* --- short transfers, interruptions --- */

enum { LENGTH = 100000 };

static void *pieces_main(void *arg)
{
    static char data[LENGTH], back[LENGTH];
    fill(data, LENGTH, 1);
    rt_fault_transfer_cap(777);
    int fd = skua_file_open(in_folder("pieces"), O_RDWR | O_CREAT | O_EXCL, 0600);
    T_EXPECT(fd >= 0);
    T_EXPECT(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    T_EXPECT_INT(skua_file_write(fd, data, LENGTH), LENGTH);
    T_EXPECT_INT(skua_file_pwrite(fd, data, 1000, LENGTH), 1000);
    T_EXPECT_INT(skua_file_pread(fd, back, LENGTH, 0), LENGTH);
    T_EXPECT(memcmp(data, back, LENGTH) == 0);
    T_EXPECT_INT(skua_file_pread(fd, back, LENGTH, LENGTH), 1000);
    T_EXPECT(memcmp(data, back, 1000) == 0);
    T_EXPECT_INT(skua_file_pread(fd, back, LENGTH, 10 * LENGTH), 0);
    T_EXPECT_INT(skua_file_truncate(fd, LENGTH), 0);
    T_EXPECT_INT(skua_file_close(fd), 0);
    void *whole = NULL;
    size_t n = 0;
    T_EXPECT_INT(skua_file_read_all(in_folder("pieces"), &whole, &n, SIZE_MAX), 0);
    T_EXPECT_INT(n, LENGTH);
    T_EXPECT(whole && memcmp(data, whole, LENGTH) == 0 && ((char *)whole)[LENGTH] == '\0');
    skua_free(whole);
    T_EXPECT_INT(skua_file_write_all(in_folder("pieces"), data, LENGTH / 2), 0);
    struct stat st;
    T_EXPECT_INT(skua_file_stat(in_folder("pieces"), &st), 0);
    T_EXPECT_INT(st.st_size, LENGTH / 2);
    rt_fault_transfer_cap(0);
    T_EXPECT_INT(skua_file_unlink(in_folder("pieces")), 0);
    return arg;
}

static void test_files_move_all_of_it_in_short_pieces(void **state)
{
    t_run(pieces_main, NULL);
}

static void *interrupted_main(void *arg)
{
    static const enum rt_sys_call calls[] = {
        RT_SYS_FILE_OPEN, RT_SYS_FILE_READ,     RT_SYS_FILE_WRITE, RT_SYS_FILE_SEEK,
        RT_SYS_FILE_SYNC, RT_SYS_FILE_TRUNCATE, RT_SYS_PATH_STAT,  RT_SYS_PATH_CHANGE,
        RT_SYS_DIR_OPEN,  RT_SYS_DIR_NEXT,
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char back[8] = "";
        char **names = NULL;
        size_t n = 0;
        rt_fault_arm(calls[i], 1, EINTR);
        int fd = skua_file_open(in_folder("e"), O_RDWR | O_CREAT, 0600);
        T_EXPECT(fd >= 0);
        T_EXPECT_INT(skua_file_write(fd, "hello", 5), 5);
        T_EXPECT_INT(skua_file_seek(fd, 1, SEEK_SET), 1);
        T_EXPECT_INT(skua_file_read(fd, back, 8), 4);
        T_EXPECT_STR(back, "ello");
        T_EXPECT_INT(skua_file_truncate(fd, 3), 0);
        T_EXPECT_INT(skua_file_fsync(fd), 0);
        T_EXPECT_INT(skua_file_fdatasync(fd), 0);
        T_EXPECT_INT(skua_file_close(fd), 0);
        T_EXPECT_INT(skua_file_lstat(in_folder("e"), NULL), 0);
        T_EXPECT_INT(skua_file_list(folder, &names, &n), 0);
        T_EXPECT_INT(n, 1);
        T_EXPECT_STR(names ? names[0] : "", "e");
        skua_free(names);
        T_EXPECT_INT(skua_file_write_all(in_folder("e"), "x", 1, .atomic = true, .sync = true), 0);
        T_EXPECT_INT(skua_file_unlink(in_folder("e")), 0);
        T_EXPECT_INT(rt_fault_hits(calls[i]), 1);
        rt_fault_reset();
    }
    return arg;
}

static void test_files_signals_of_others_interrupt_nothing(void **state)
{
    t_run(interrupted_main, NULL);
}

/* --- everything fails once --- */

static int all_calls(void)
{
    char buf[4];
    char **names;
    void *data;
    struct stat st;
    int fd = skua_file_open(in_folder("one"), O_RDWR | O_CREAT, 0600);
    if (fd < 0)
        return fd;
    int64_t r = skua_file_write(fd, "1234", 4);
    r = r < 0 ? r : skua_file_pwrite(fd, "1234", 4, 4);
    r = r < 0 ? r : skua_file_seek(fd, 0, SEEK_SET);
    r = r < 0 ? r : skua_file_read(fd, buf, 4);
    r = r < 0 ? r : skua_file_pread(fd, buf, 4, 2);
    r = r < 0 ? r : skua_file_truncate(fd, 6);
    r = r < 0 ? r : skua_file_fsync(fd);
    r = r < 0 ? r : skua_file_fstat(fd, &st);
    int closed = skua_file_close(fd);
    T_EXPECT(fcntl(fd, F_GETFD) < 0);
    r = r < 0 ? r : closed;
    if (r < 0)
        return (int)r;
    r = skua_file_write_all(in_folder("one"), "abc", 3, .atomic = true, .sync = true);
    if (r == 0 && (r = skua_file_read_all(in_folder("one"), &data, NULL, 100)) == 0) {
        T_EXPECT_STR(data, "abc");
        skua_free(data);
    }
    if (r == 0 && (r = skua_file_list(folder, &names, NULL)) == 0) {
        T_EXPECT_STR(names[0], "one");
        skua_free(names);
    }
    r = r < 0 ? r : skua_file_write_all(in_folder("two"), "abc", 3, .sync = true);
    r = r < 0 ? r : skua_file_rename(in_folder("two"), in_folder("one"));
    r = r < 0 ? r : skua_file_mkdir(in_folder("three"), 0700);
    return r < 0 ? (int)r : skua_file_rmdir(in_folder("three"));
}

/* Removes what a round that failed has made, and nothing else may be there. */
static void clean(void)
{
    (void)unlink(in_folder("one"));
    (void)unlink(in_folder("two"));
    (void)rmdir(in_folder("three"));
    T_EXPECT_INT(rmdir(folder), 0);
    T_EXPECT_INT(mkdir(folder, 0700), 0);
}

static void *errors_main(void *arg)
{
    static const enum rt_sys_call calls[] = {
        RT_SYS_FILE_OPEN,  RT_SYS_FILE_READ,     RT_SYS_FILE_WRITE, RT_SYS_FILE_SEEK,
        RT_SYS_FILE_SYNC,  RT_SYS_FILE_TRUNCATE, RT_SYS_FILE_CHMOD, RT_SYS_PATH_STAT,
        RT_SYS_DIR_OPEN,   RT_SYS_DIR_NEXT,      RT_SYS_FSTAT,      RT_SYS_CLOSE,
    };
    T_EXPECT_INT(all_calls(), 0);
    clean();
    int fds = t_fds();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int failed = 0;
        for (unsigned nth = 1; nth < SWEEP_MAX; nth++) {
            rt_fault_arm(calls[i], nth, EIO);
            int r = all_calls();
            unsigned hits = rt_fault_hits(calls[i]);
            rt_fault_reset();
            T_EXPECT(r == 0 || r == -EIO);
            T_EXPECT_INT(t_fds(), fds);
            failed += r < 0;
            clean();
            if (hits == 0)
                break;
        }
        T_EXPECT(failed > 0);
    }
    return arg;
}

static void test_files_each_system_call_fails_once(void **state)
{
    t_run(errors_main, NULL, .workers = 1);
}

/* The thread of a call drops it just after its task has gone on. */
static void expect_live(int64_t live)
{
    for (int i = 0; i < 5000 && rt_mem_live() != live; i++)
        t_nap(0.001);
    T_EXPECT_INT(rt_mem_live(), live);
}

static void *memory_main(void *arg)
{
    T_EXPECT_INT(all_calls(), 0);
    clean();
    int64_t live = rt_mem_live();
    for (int i = 0; i < 100; i++) {
        t_nap(0.001);
        live = rt_mem_live() < live ? rt_mem_live() : live;
    }
    int failed = 0;
    for (uint64_t nth = 1; nth < SWEEP_MAX; nth++) {
        rt_fault_alloc_arm(nth);
        int r = all_calls();
        uint64_t hits = rt_fault_alloc_hits();
        rt_fault_alloc_arm(0);
        T_EXPECT(r == 0 || r == -ENOMEM);
        expect_live(live);
        failed += r < 0;
        clean();
        if (hits == 0)
            break;
    }
    T_EXPECT(failed > 10);
    return arg;
}

static void test_files_each_allocation_fails_once(void **state)
{
    assert_int_equal(skua_run(memory_main, NULL, .workers = 1, .lanes = "file=1"), 0);
    t_check();
}

/* --- cancelling --- */

static void *open_fifo(void *path)
{
    int fd = skua_file_open(path, O_RDONLY, 0);
    T_EXPECT_INT(fd, -ECANCELED);
    return skua_fail(fd);
}

static void await_running(uint64_t n)
{
    struct skua_lane_stats s = { .size = sizeof s };
    do {
        SKUA_IGNORE(skua_sleep(0.001));
        T_EXPECT_INT(skua_lane_stats_get("file", &s), 0);
    } while (s.running < n);
}

static void *fifo_main(void *arg)
{
    const char *path = in_folder("fifo");
    T_EXPECT_INT(mkfifo(path, 0600), 0);
    int fds = t_fds();
    skua_task *t = skua_spawn(open_fifo, (void *)(uintptr_t)path);
    await_running(1);
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), -ECANCELED);
    T_EXPECT_INT(t_fds(), fds);
    T_EXPECT_INT(skua_file_unlink(path), 0);
    return arg;
}

static void test_files_a_cancelled_open_of_a_fifo_is_interrupted(void **state)
{
    t_run(fifo_main, NULL, .real_time = true);
}

static void handle_it(int signo)
{
    (void)signo;
}

/* The writer comes while the open waits, so that it ends by itself. */
static void *open_both_ends(void *arg)
{
    int fd = skua_file_open(arg, O_WRONLY, 0);
    T_EXPECT(fd >= 0);
    T_EXPECT_INT(skua_file_close(fd), 0);
    return NULL;
}

static void *busy_main(void *arg)
{
    const char *path = in_folder("fifo");
    T_EXPECT_INT(mkfifo(path, 0600), 0);
    skua_task *t = skua_spawn(open_both_ends, (void *)(uintptr_t)path);
    int fd = skua_file_open(path, O_RDONLY, 0);
    char byte;
    T_EXPECT(fd >= 0);
    T_EXPECT_INT(skua_file_read(fd, &byte, 1), 0);
    T_EXPECT_INT(skua_file_close(fd), 0);
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT_INT(skua_file_unlink(path), 0);
    return arg;
}

static void test_files_work_where_the_program_uses_the_signal_itself(void **state)
{
    struct sigaction act = { .sa_handler = handle_it }, old;
    assert_int_equal(sigaction(SIGRTMAX - 3, &act, &old), 0);
    t_run(busy_main, NULL, .real_time = true);
    assert_int_equal(sigaction(SIGRTMAX - 3, &old, NULL), 0);
}

static int closing_fd;

static void *close_it(void *arg)
{
    SKUA_IGNORE(skua_yield());
    int r = skua_file_close(closing_fd);
    T_EXPECT_INT(r, -ECANCELED);
    return arg;
}

/* Every thread of the lane waits in a fifo, so that the close stays queued. */
static void *close_queued_main(void *arg)
{
    const char *path = in_folder("fifo");
    skua_task *t[8];
    T_EXPECT_INT(mkfifo(path, 0600), 0);
    closing_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 8; i++)
        t[i] = skua_spawn(open_fifo, (void *)(uintptr_t)path);
    await_running(8);
    skua_task *c = skua_spawn(close_it, NULL);
    SKUA_IGNORE(skua_sleep(0.005));
    T_EXPECT(skua_cancel(c, NULL));
    SKUA_IGNORE(skua_join(c, NULL));
    T_EXPECT(fcntl(closing_fd, F_GETFD) < 0);
    for (int i = 0; i < 8; i++) {
        (void)skua_cancel(t[i], NULL);
        T_EXPECT_INT(skua_join(t[i], NULL), -ECANCELED);
    }
    T_EXPECT_INT(unlink(path), 0);
    return arg;
}

static void test_files_a_cancelled_close_has_closed(void **state)
{
    t_run(close_queued_main, NULL, .real_time = true);
}

/* --- cancelled in the middle of a long read --- */

enum { STRIP = 8 << 20, STRIPS = 32 };

/* So much room for so little memory: the same pages, again and again. */
static char *map_strips(void)
{
    int fd = memfd_create("strip", MFD_CLOEXEC);
    char *all = mmap(NULL, (size_t)STRIP * STRIPS, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    T_EXPECT(fd >= 0 && ftruncate(fd, STRIP) == 0 && all != MAP_FAILED);
    for (size_t i = 0; i < STRIPS; i++)
        T_EXPECT(mmap(all + i * STRIP, STRIP, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                      0) != MAP_FAILED);
    close(fd);
    return all;
}

static int long_fd;
static char *strips;

static void *read_long(void *arg)
{
    T_EXPECT_INT(skua_file_read(long_fd, strips, (size_t)STRIP * STRIPS), -ECANCELED);
    return arg;
}

static void *long_main(void *arg)
{
    strips = map_strips();
    long_fd = open(in_folder("holes"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    T_EXPECT(long_fd >= 0 && ftruncate(long_fd, (off_t)STRIP * STRIPS) == 0);
    rt_fault_arm(RT_SYS_FILE_READ, 0, 0); /* only counts */
    skua_task *t = skua_spawn(read_long, NULL);
    while (rt_fault_uses(RT_SYS_FILE_READ) == 0)
        SKUA_IGNORE(skua_sleep(0.001));
    T_EXPECT(skua_cancel(t, NULL));
    T_EXPECT_INT(skua_join(t, NULL), 0);
    T_EXPECT(rt_fault_uses(RT_SYS_FILE_READ) < STRIPS);
    close(long_fd);
    T_EXPECT_INT(unlink(in_folder("holes")), 0);
    munmap(strips, (size_t)STRIP * STRIPS);
    return arg;
}

static void test_files_a_cancelled_read_ends_after_its_piece(void **state)
{
    t_run(long_main, NULL, .real_time = true);
}

/* --- whole files --- */

static void *limits_main(void *arg)
{
    void *data = T_PTR(1);
    size_t n = 99;
    T_EXPECT_INT(skua_file_write_all(in_folder("ten"), "0123456789", 10, .mode = 0640), 0);
    T_EXPECT_INT(skua_file_read_all(in_folder("ten"), &data, &n, 9), -EFBIG);
    T_EXPECT(data == T_PTR(1) && n == 99);
    T_EXPECT_INT(skua_file_read_all(in_folder("ten"), &data, &n, 10), 0);
    T_EXPECT_INT(n, 10);
    skua_free(data);
    T_EXPECT_INT(skua_file_read_all(in_folder("ten"), NULL, &n, 10), 0);
    /* one that does not say how long it is */
    T_EXPECT_INT(skua_file_read_all("/proc/self/status", &data, &n, SIZE_MAX), 0);
    T_EXPECT(n > 100 && strlen(data) == n);
    skua_free(data);
    T_EXPECT_INT(skua_file_read_all("/proc/self/status", &data, &n, 20), -EFBIG);
    T_EXPECT_INT(skua_file_read_all("/dev/zero", &data, &n, 1 << 20), -EFBIG);
    T_EXPECT_INT(skua_file_read_all("/dev/null", &data, &n, 0), 0);
    T_EXPECT(n == 0 && *(char *)data == '\0');
    skua_free(data);
    T_EXPECT_INT(skua_file_read_all("/", &data, &n, 100), -EISDIR);
    T_EXPECT_INT(skua_file_write_all(in_folder("ten"), NULL, 0, .atomic = true), 0);
    struct stat st;
    T_EXPECT_INT(skua_file_stat(in_folder("ten"), &st), 0);
    T_EXPECT_INT(st.st_mode & 07777, 0640);
    T_EXPECT_INT(st.st_size, 0);
    T_EXPECT_INT(skua_file_unlink(in_folder("ten")), 0);
    T_EXPECT_INT(skua_file_write_all(in_folder("no/such"), "x", 1, .atomic = true), -ENOENT);
    T_EXPECT_INT(skua_file_write_all("/", "x", 1), -EISDIR);
    return arg;
}

static void test_files_whole_ones_and_their_limit(void **state)
{
    t_run(limits_main, NULL);
}

/* --- replacing what others may not see --- */

static void expect_mode(const char *path, mode_t want)
{
    struct stat st = { .st_mode = 0 };
    T_EXPECT_INT(stat(path, &st), 0);
    T_EXPECT_INT(st.st_mode & 07777, want);
}

/* Neither the mode can be set nor the new file removed: it shows what it was made with. */
static void *secret_main(void *arg)
{
    char **names = NULL;
    size_t n = 0;
    T_EXPECT_INT(skua_file_write_all(in_folder("secret"), "old", 3, .mode = 0600), 0);
    rt_fault_arm(RT_SYS_FILE_CHMOD, 1, EIO);
    rt_fault_arm(RT_SYS_PATH_CHANGE, 1, EIO);
    T_EXPECT_INT(skua_file_write_all(in_folder("secret"), "new", 3, .atomic = true), -EIO);
    rt_fault_reset();
    T_EXPECT_INT(unlink(in_folder("secret")), 0);
    T_EXPECT_INT(skua_file_list(folder, &names, &n), 0);
    if (T_EXPECT_INT(n, 1)) {
        expect_mode(in_folder(names[0]), 0600);
        T_EXPECT_INT(unlink(in_folder(names[0])), 0);
    }
    skua_free(names);
    return arg;
}

static void test_files_an_atomic_write_shows_a_secret_to_nobody(void **state)
{
    mode_t before = umask(0);
    t_run(secret_main, NULL);
    umask(before);
}

static void *no_look_main(void *arg)
{
    const char *path = in_folder("secret");
    T_EXPECT_INT(skua_file_write_all(path, "old", 3, .mode = 0600), 0);
    rt_fault_arm(RT_SYS_PATH_STAT, 1, EINTR);
    T_EXPECT_INT(skua_file_write_all(path, "new", 3, .atomic = true), 0);
    expect_mode(path, 0600);
    rt_fault_arm(RT_SYS_PATH_STAT, 1, EIO);
    T_EXPECT_INT(skua_file_write_all(path, "new", 3, .atomic = true), -EIO);
    rt_fault_reset();
    expect_mode(path, 0600);
    T_EXPECT_INT(unlink(path), 0);
    /* a link to itself is no file either, and is replaced */
    T_EXPECT_INT(symlink("loop", in_folder("loop")), 0);
    T_EXPECT_INT(skua_file_write_all(in_folder("loop"), "new", 3, .atomic = true), 0);
    T_EXPECT_INT(unlink(in_folder("loop")), 0);
    return arg;
}

static void test_files_a_mode_that_cannot_be_read_is_not_made_up(void **state)
{
    t_run(no_look_main, NULL);
}

static void *stuck_main(void *arg)
{
    T_EXPECT_INT(skua_file_write_all(in_folder("one"), "old", 3), 0);
    rt_fault_arm(RT_SYS_FILE_CHMOD, 1, EIO);
    rt_fault_arm(RT_SYS_PATH_CHANGE, 1, EINTR);
    T_EXPECT_INT(skua_file_write_all(in_folder("one"), "new", 3, .atomic = true), -EIO);
    T_EXPECT_INT(rt_fault_hits(RT_SYS_PATH_CHANGE), 1);
    rt_fault_reset();
    T_EXPECT_INT(unlink(in_folder("one")), 0);
    return arg; /* and the folder is empty */
}

static void test_files_a_signal_keeps_no_temporary_file(void **state)
{
    t_run(stuck_main, NULL);
}

static const struct CMUnitTest tests[] = {
    FILE_TEST(test_files_move_all_of_it_in_short_pieces),
    FILE_TEST(test_files_signals_of_others_interrupt_nothing),
    FILE_TEST(test_files_each_system_call_fails_once),
    FILE_TEST(test_files_each_allocation_fails_once),
    FILE_TEST(test_files_a_cancelled_open_of_a_fifo_is_interrupted),
    FILE_TEST(test_files_work_where_the_program_uses_the_signal_itself),
    FILE_TEST(test_files_a_cancelled_close_has_closed),
    FILE_TEST(test_files_a_cancelled_read_ends_after_its_piece),
    FILE_TEST(test_files_whole_ones_and_their_limit),
    FILE_TEST(test_files_an_atomic_write_shows_a_secret_to_nobody),
    FILE_TEST(test_files_a_mode_that_cannot_be_read_is_not_made_up),
    FILE_TEST(test_files_a_signal_keeps_no_temporary_file),
};

T_MAIN(tests, NULL)
