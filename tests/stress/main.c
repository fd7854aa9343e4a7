/* SPDX-License-Identifier: MIT */
/*
 * skua-stress: load with a known outcome.
 *
 * Each case runs in rounds inside one skua_run(); round r draws every choice from seed + r, so that
 * a round is named by case, workers and one number. After a round the number of live tasks must be
 * back where it was. The watchdog (watchdog.c) is a plain thread that needs nothing of the runtime.
 */
#include "options.h"
#include "stress.h"
#include "watchdog.h"

#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VIOLATIONS_SHOWN = 10 };

static struct stress_case *first_case;
static atomic_bool interrupted;

/* The order of constructors is the linker's, hence the places. */
void stress_case_add(struct stress_case *c)
{
    struct stress_case **at = &first_case;
    while (*at != NULL && (*at)->place <= c->place)
        at = &(*at)->next;
    c->next = *at;
    *at = c;
}

void stress_op(struct stress_run *run)
{
    atomic_fetch_add(&run->ops, 1);
}

bool stress_interrupted(void)
{
    return atomic_load(&interrupted);
}

double stress_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void stress_violation(struct stress_run *run, const char *fmt, ...)
{
    unsigned long long nth = atomic_fetch_add(&run->violations, 1);
    if (nth >= VIOLATIONS_SHOWN)
        return;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nskua-stress: VIOLATION in %s, %d workers, round seed %llu: %s\n",
            run->c->name, run->workers, (unsigned long long)run->seed + atomic_load(&run->round),
            text);
}

skua_task *stress_task(struct stress_run *run, skua_task *t)
{
    STRESS_CHECK(run, t != NULL, "a task or future could not be made");
    return t;
}

static uint64_t tasks_alive(void)
{
    struct skua_stats s = {.size = sizeof s};
    return skua_stats_get(&s) == 0 ? s.tasks_alive : 0;
}

/* Nothing of a round may outlive it. The last steps of a task may still be under way on another
 * worker when its joiner continues, hence the patience. */
static void settle(struct stress_run *run, uint64_t base)
{
    double deadline = stress_now() + 5;
    while (tasks_alive() > base && stress_now() < deadline)
        SKUA_IGNORE(skua_sleep(0.001));
    uint64_t now = tasks_alive();
    STRESS_CHECK(run, now == base, "%ju tasks alive after the round, %ju before", (uintmax_t)now,
                 (uintmax_t)base);
}

static bool is_over(struct stress_run *run)
{
    if (stress_interrupted() || atomic_load(&run->violations) > 0)
        return true;
    if (run->iterations > 0)
        return atomic_load(&run->round) >= run->iterations;
    return stress_now() - run->begin >= run->seconds;
}

static void make_groups(struct stress_run *run)
{
    run->group_count = run->workers < STRESS_GROUPS_MAX ? run->workers : STRESS_GROUPS_MAX;
    for (int i = 0; i < run->group_count; i++) {
        run->group[i] = skua_group_new(.worker = i + 1, .name = "stress");
        if (run->group[i] == NULL) {
            stress_violation(run, "group %d could not be made", i);
            run->group_count = i;
        }
    }
}

static void *case_main(void *arg)
{
    struct stress_run *run = arg;
    make_groups(run);
    uint64_t base = tasks_alive();
    while (!is_over(run)) {
        run->c->round(run, run->seed + atomic_load(&run->round));
        settle(run, base);
        if (atomic_load(&run->violations) == 0)
            atomic_fetch_add(&run->round, 1);
    }
    for (int i = 0; i < run->group_count; i++)
        skua_group_release(run->group[i]);
    return NULL;
}

static void run_outside(struct stress_run *run)
{
    while (!is_over(run)) {
        run->c->round(run, run->seed + atomic_load(&run->round));
        if (atomic_load(&run->violations) == 0)
            atomic_fetch_add(&run->round, 1);
    }
}

static void run_inside(struct stress_run *run)
{
    int r = skua_run(case_main, run, .workers = run->workers, .seed = run->seed);
    if (r < 0)
        stress_violation(run, "skua_run ended with %d", r);
}

static double run_case(struct stress_run *run, FILE *json)
{
    run->begin = stress_now();
    watchdog_watch(run);
    if (run->c->is_outside)
        run_outside(run);
    else
        run_inside(run);
    watchdog_watch(NULL);
    double took = stress_now() - run->begin;
    if (json != NULL) {
        fprintf(json,
                "{\"case\":\"%s\",\"workers\":%d,\"seed\":%llu,\"ops\":%llu,\"violations\":%llu,"
                "\"seconds\":%.3f,"
                "\"rounds\":%llu}\n",
                run->c->name, run->workers, (unsigned long long)run->seed, atomic_load(&run->ops),
                atomic_load(&run->violations), took, atomic_load(&run->round));
        fflush(json);
    }
    return took;
}

static bool is_wanted(const struct options *o, const char *name)
{
    for (int i = 0; i < o->pattern_count; i++)
        if (fnmatch(o->pattern[i], name, 0) == 0)
            return true;
    return o->pattern_count == 0;
}

static int count_wanted(const struct options *o)
{
    int wanted = 0;
    for (const struct stress_case *c = first_case; c != NULL; c = c->next)
        wanted += is_wanted(o, c->name);
    return wanted;
}

static void on_interrupt(int signo)
{
    (void)signo;
    atomic_store(&interrupted, true);
}

struct total {
    unsigned long long ops;
    unsigned long long violations;
    int runs;
};

static void run_one(const struct options *o, const struct stress_case *c, int workers, double share,
                    FILE *json, struct total *total)
{
    struct stress_run run = {
        .c = c,
        .workers = workers,
        .seed = o->seed,
        .iterations = o->iterations,
        .seconds = share,
    };
    double took = run_case(&run, json);
    unsigned long long bad = atomic_load(&run.violations);
    printf("%-12s %2d workers %8llu rounds %12llu operations %7.1f s  %s\n", c->name, workers,
           atomic_load(&run.round), atomic_load(&run.ops), took, bad == 0 ? "good" : "VIOLATED");
    if (bad > 0)
        watchdog_print_repeat(stdout, &run);
    fflush(stdout);
    total->ops += atomic_load(&run.ops);
    total->violations += bad;
    total->runs++;
}

static int finish(const struct options *o, const struct total *total, double took)
{
    bool cut = stress_interrupted();
    printf("skua-stress: %d runs, %llu operations in %.1f s, %llu violations, seed %llu: %s\n",
           total->runs, total->ops, took, total->violations, (unsigned long long)o->seed,
           total->violations > 0 ? "VIOLATED"
           : cut                 ? "interrupted"
                                 : "good");
    if (total->violations > 0)
        return 1;
    return cut ? 130 : 0;
}

int main(int argc, char **argv)
{
    struct options o;
    options_parse(&o, argc, argv);
    if (o.list) {
        for (const struct stress_case *c = first_case; c != NULL; c = c->next)
            printf("%-12s %s\n", c->name, c->about);
        return 0;
    }
    int wanted = count_wanted(&o);
    if (wanted == 0) {
        fprintf(stderr, "skua-stress: no case has that name (--list shows them)\n");
        return 2;
    }
    FILE *json = o.json != NULL ? fopen(o.json, "w") : NULL;
    if (o.json != NULL && json == NULL) {
        fprintf(stderr, "skua-stress: %s cannot be written\n", o.json);
        return 2;
    }
    /* SA_RESETHAND: a second Ctrl-C ends the program at once. */
    sigaction(
        SIGINT,
        &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND | SA_RESTART},
        NULL);
    if (!watchdog_start(&o))
        return 1;
    struct total total = {0};
    double begin = stress_now();
    double share = o.seconds / (wanted * o.workers_count);
    for (int w = 0; w < o.workers_count && !stress_interrupted(); w++)
        for (const struct stress_case *c = first_case; c != NULL && !stress_interrupted();
             c = c->next)
            if (is_wanted(&o, c->name))
                run_one(&o, c, o.workers[w], share, json, &total);
    watchdog_stop();
    if (json != NULL)
        fclose(json);
    return finish(&o, &total, stress_now() - begin);
}
