/* SPDX-License-Identifier: MIT */
#include <skua.h>
#include <stdio.h>
#include <string.h>

/* How many primes lie below a number: work for a core. */
static void *count_primes(void *arg)
{
    size_t below = *(size_t *)arg, primes = 0;
    for (size_t n = 2; n < below; n++) {
        size_t d = 2;
        while (d * d <= n && n % d)
            d++;
        primes += d * d > n;
    }
    return (void *)primes;
}

/* A slow server, asked for a page. */
static void *fetch(void *arg)
{
    const char *page = arg;
    int err = skua_sleep(0.1);
    if (err == 0 && strcmp(page, "/missing") == 0)
        err = -ENOENT;
    return err < 0 ? skua_fail(err) : (void *)"a page";
}

static void *main_task(void *arg)
{
    size_t numbers[] = { 10, 100, 1000, 10000 };
    void *args[] = { &numbers[0], &numbers[1], &numbers[2], &numbers[3] }, *primes[4];
    if (skua_map(count_primes, args, 4, primes, .free = true) == 0) /* on all cores */
        for (int i = 0; i < 4; i++)
            printf("%zu primes below %zu\n", (size_t)primes[i], numbers[i]);

    void *pages[] = { "/", "/about", "/missing", "/news" }, *found[4];
    double start = skua_loop_time();
    int failed = skua_map(fetch, pages, 4, found, .limit = 2, .flags = SKUA_RETURN_ERRORS);
    for (int i = 0; i < 4 && failed >= 0; i++) {
        int err = skua_failed(found[i]);
        printf("%s: %s\n", (char *)pages[i], err < 0 ? strerror(-err) : (char *)found[i]);
    }
    printf("%d failed, two at a time: %.2f seconds\n", failed, skua_loop_time() - start);
    return arg;
}

int main(void) { return skua_run(main_task, NULL) < 0; }
