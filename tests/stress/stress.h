/* SPDX-License-Identifier: MIT */
#ifndef SKUA_STRESS_H
#define SKUA_STRESS_H
/*
 * What the cases of skua-stress share: a seeded generator, the record of one run (one case with one
 * number of workers), and the calls that count work and report violations. Everything here may be
 * called from any thread.
 */
#include <skua.h>
#include <stdatomic.h>

/* Where every step costs more, a round does less. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define STRESS_IS_SANITIZED 1
#endif
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define STRESS_IS_SANITIZED 1
#endif
#if !defined(STRESS_IS_SANITIZED)
#define STRESS_IS_SANITIZED 0
#endif

enum { STRESS_GROUPS_MAX = 8 };

struct stress_run;

struct stress_case {
    int place; /* in the order of the cases: lower comes first */
    const char *name;
    const char *about;
    /* One self-contained piece of load and its checks, called in the main task. Every choice
     * follows from `seed`. */
    void (*round)(struct stress_run *run, uint64_t seed);
    bool is_outside; /* `round` is called on a plain thread and runs its own runtimes */
    struct stress_case *next;
};

/*
 * A file with a case ends with one line of its own and is known to skua-stress by being compiled:
 *
 *     STRESS_CASE(300, "name", "what it does", round_function);
 *
 * Further members follow: `round_function, .is_outside = true`.
 */
#define STRESS_CASE(place_, name_, about_, ...)                                                    \
    __attribute__((constructor)) static void stress_case_of_file(void)                             \
    {                                                                                              \
        static struct stress_case the_case = {                                                     \
            .place = (place_), .name = (name_), .about = (about_), .round = __VA_ARGS__};          \
        stress_case_add(&the_case);                                                                \
    }                                                                                              \
    _Static_assert(1, "for the semicolon")

void stress_case_add(struct stress_case *c);

struct stress_run {
    const struct stress_case *c;
    int workers;
    uint64_t seed;       /* of the run; round r uses seed + r */
    uint64_t iterations; /* rounds to do, 0 = until the time is up */
    double seconds;
    double begin;
    atomic_ullong round;
    atomic_ullong ops;
    atomic_ullong violations;
    long fd_base;     /* of the first rounds: descriptors open, */
    long thread_base; /* threads, */
    long kib_base;    /* resident memory */
    int group_count;  /* pinned groups, spread over the workers; valid during the case */
    skua_group *group[STRESS_GROUPS_MAX];
};

/* One operation done: progress for the watchdog. */
void stress_op(struct stress_run *run);

/* An invariant does not hold: count it and say what was seen. */
void stress_violation(struct stress_run *run, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* True once the operator pressed Ctrl-C: long rounds end early. */
bool stress_interrupted(void);

/* Monotonic seconds; the clock of the runtime's timers. */
double stress_now(void);

/* How late (in seconds) the watchdog thread itself woke at worst since the last call: tells a
 * stalled host from a lost wake-up. */
double stress_host_lateness(void);

/* A handle was expected: NULL is reported. */
skua_task *stress_task(struct stress_run *run, skua_task *t);

#define STRESS_CHECK(run, cond, ...)                                                               \
    do {                                                                                           \
        if (!(cond))                                                                               \
            stress_violation((run), __VA_ARGS__);                                                  \
    } while (0)

struct stress_rng {
    uint64_t state;
};

/* splitmix64: any seed will do, neighbouring seeds included. */
static inline uint64_t stress_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t stress_next(struct stress_rng *r)
{
    r->state += 0x9e3779b97f4a7c15u;
    return stress_mix(r->state);
}

static inline unsigned stress_below(struct stress_rng *r, unsigned n)
{
    return (unsigned)(stress_next(r) >> 33) % n;
}

static inline struct stress_rng stress_rng_new(uint64_t seed, uint64_t stream)
{
    return (struct stress_rng){stress_mix(seed ^ stress_mix(stream))};
}
#endif
