/* SPDX-License-Identifier: MIT */
/* Peers: found, asked for their rows, run, and their lines read. */
#include "peer.h"
#include "measure.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 4096 };

/* Those this project has sources of. */
static const char *const known[] = {"asyncio", "epoll", "go", "libuv"};

void peer_exec(const struct bench_peer *peer, const struct bench_row *row, double seconds,
               int workers)
{
    char length[32];
    char count[16];
    snprintf(length, sizeof length, "%g", seconds);
    snprintf(count, sizeof count, "%d", workers);
    execl(peer->path, peer->path, row->figure[0].name, length, count, (char *)NULL);
}

static void exec_list(const struct bench_peer *peer)
{
    execl(peer->path, peer->path, "--list", (char *)NULL);
}

/* What the child says until it ends or the time is up. */
static void read_all(int fd, char *text, size_t n, double seconds)
{
    size_t have = 0;
    double deadline = bench_now() + seconds;
    while (have < n - 1 && bench_now() < deadline) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 100) <= 0)
            continue;
        ssize_t got = read(fd, text + have, n - 1 - have);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    text[have] = '\0';
}

struct peer_run {
    const struct bench_peer *peer;
    const struct bench_row *row; /* NULL: its list */
    double seconds;
    int workers;
    double limit;
};

/* Returns the exit status, -1 when it crashed or hung. */
static int run_peer(const struct peer_run *run, char *text, size_t n, struct rusage *usage)
{
    int ends[2];
    int status = -1;
    if (pipe(ends) != 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child_settle();
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (run->row == NULL)
            exec_list(run->peer);
        else
            peer_exec(run->peer, run->row, run->seconds, run->workers);
        _exit(127);
    }
    close(ends[1]);
    if (pid > 0) {
        read_all(ends[0], text, n, run->limit);
        status = child_status(pid, 5, usage);
    }
    close(ends[0]);
    return status;
}

static bool peer_open(struct bench_peer *peer, const char *directory, const char *name)
{
    struct rusage usage;
    struct stat st;
    struct peer_run run = {.peer = peer, .limit = 10};
    if (snprintf(peer->path, sizeof peer->path, "%s/%s", directory, name) >=
            (int)sizeof peer->path ||
        snprintf(peer->name, sizeof peer->name, "%s", name) >= (int)sizeof peer->name)
        return false;
    if (stat(peer->path, &st) != 0 || !S_ISREG(st.st_mode) || access(peer->path, X_OK) != 0)
        return false;
    peer->list[0] = '\n';
    if (run_peer(&run, peer->list + 1, sizeof peer->list - 1, &usage) == 0)
        return true;
    fprintf(stderr, "skua-bench: peer %s left out: it does not run here\n", name);
    return false;
}

static void name_missing(const char *directory, const struct bench_peer *peers, int count)
{
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        bool is_here = false;
        for (int i = 0; i < count; i++)
            is_here = is_here || strcmp(peers[i].name, known[k]) == 0;
        if (!is_here)
            fprintf(stderr, "skua-bench: peer %s left out: not in %s\n", known[k], directory);
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct bench_peer *)a)->name, ((const struct bench_peer *)b)->name);
}

int peers_find(const char *directory, struct bench_peer *peers)
{
    DIR *dir = opendir(directory);
    int count = 0;
    for (struct dirent *e; dir != NULL && count < PEERS_MAX && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.' && peer_open(&peers[count], directory, e->d_name))
            count++;
    if (dir != NULL)
        closedir(dir);
    qsort(peers, (size_t)count, sizeof *peers, compare_names);
    name_missing(directory, peers, count);
    return count;
}

bool peer_has(const struct bench_peer *peer, const struct bench_row *row)
{
    char line[64];
    snprintf(line, sizeof line, "\n%s\n", row->figure[0].name);
    return strstr(peer->list, line) != NULL;
}

/* The line of a figure; all zero when there is none. */
static struct bench_value read_value(const char *text, const char *figure)
{
    struct bench_value v = {0};
    size_t n = strlen(figure);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += strspn(line, "\n");
        if (strncmp(line, figure, n) == 0 && line[n] == ' ' &&
            sscanf(line + n, "%lf %lf %lf", &v.value, &v.cpu_ns, &v.cores) == 3)
            break;
    }
    return v;
}

void peer_measure(const struct bench_config *config, const struct bench_row *row,
                  const struct bench_peer *peer, int workers, struct bench_sample *s)
{
    char text[TEXT_MAX];
    struct rusage usage = {0};
    struct peer_run run = {
        .peer = peer,
        .row = row,
        .seconds = config->seconds,
        .workers = workers,
        .limit = (row->limit_s > 0 ? row->limit_s : 60) + 20 * config->seconds,
    };
    int status = run_peer(&run, text, sizeof text, &usage);
    s->rss_mb = (double)usage.ru_maxrss / 1024;
    s->is_absent = status == PEER_ABSENT;
    if (status != 0) {
        bench_fail(s, "%s ended with status %d", peer->name, status);
        return;
    }
    for (int f = 0; f < FIGURES_MAX && row->figure[f].name != NULL; f++)
        s->value[f] = read_value(text, row->figure[f].name);
    s->is_good = true;
}
