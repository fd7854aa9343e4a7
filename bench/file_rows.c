/* SPDX-License-Identifier: MIT */
/* The rows of files and children. */
#include "bench.h"

#include <stdlib.h>
#include <unistd.h>

enum { READERS = 64, BATCH = 16, FILE_BYTES = 16384 };

struct reader {
    double until; /* bench_now() */
    const char *path;
    uint64_t reads;
};

static void *read_on(void *arg)
{
    struct reader *me = arg;
    while (bench_now() < me->until) {
        for (int i = 0; i < BATCH; i++) {
            void *data;
            int err = skua_file_read_all(me->path, &data, NULL, FILE_BYTES);
            if (err < 0)
                return skua_fail(err);
            skua_free(data);
        }
        me->reads += BATCH;
    }
    return NULL;
}

static void run_readers(struct bench_sample *s, struct bench_clock begin, double seconds,
                        const char *path)
{
    struct reader reader[READERS];
    skua_task *t[READERS];
    double reads = 0;
    for (int i = 0; i < READERS; i++) {
        reader[i] = (struct reader){begin.wall + seconds, path, 0};
        t[i] = skua_spawn(read_on, &reader[i]);
    }
    if (skua_gather(t, READERS, NULL, SKUA_RELEASE) < 0)
        bench_fail(s, "a file could not be read");
    for (int i = 0; i < READERS; i++)
        reads += (double)reader[i].reads;
    s->value[0] = bench_value_ns(begin, reads);
}

/* What the page cache holds: the way there and back, opening, reading, closing. */
static void files(const struct bench_config *config, struct bench_sample *s)
{
    static const char content[FILE_BYTES];
    char path[] = "/tmp/skua-bench-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || skua_file_write_all(path, content, sizeof content) < 0)
        bench_fail(s, "a file could not be written");
    else
        run_readers(s, bench_clock_read(), config->seconds, path);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
}

/* One at a time: started, waited for, released. */
static void children(const struct bench_config *config, struct bench_sample *s)
{
    static const char *const argv[] = {"true", NULL};
    struct bench_clock begin = bench_clock_read();
    double n = 0;
    int err = 0;
    while (err == 0 && bench_now() - begin.wall < config->seconds) {
        skua_process *p;
        err = skua_process_exec(argv, &p);
        if (err == 0) {
            err = skua_process_wait(p, 10.0, NULL);
            skua_process_release(p);
            n++;
        }
    }
    s->value[0] = bench_value_ns(begin, n);
    if (err < 0)
        bench_fail(s, "a child could not be started or waited for: %d", err);
}

static const struct bench_row rows[] = {
    {.figure = {{"files", "a file of 16 KiB read whole, by 64 tasks at once; per file"}},
     .unit = "ns/op",
     .body = files},
    {.figure = {{"children", "a child started and waited for, one at a time"}},
     .unit = "ns/op",
     .body = children},
};
BENCH_ROWS(610, rows);
