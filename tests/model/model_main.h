/* SPDX-License-Identifier: MIT */
/* What every model program shares: how its suites are run and reported.
 *
 * A suite runs `iterations` random schedules, the same ones each time, or every schedule with at
 * most `bound` forced switches. The count is multiplied by RT_MODEL_ITERS percent, or by the first
 * argument: 100 is the default, 1000 a long hunt. A failed suite prints Relacy's account of the
 * schedule that broke it; a mutant only if RT_MODEL_TRACE is set. A mutant runs its own suite only.
 */
#ifndef RT_MODEL_MAIN_H
#define RT_MODEL_MAIN_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ostream>
#include <streambuf>

#include "model_atomic.h"

/* Wherever the model needs "and then": a place where another thread may run. */
#define MODEL_YIELD() rl::yield(1, $)

/* Relacy's report, kept in place: it replaces operator new, so a growing string would not survive
 * it. */
struct model_text : std::streambuf {
    char text[1 << 18];

    model_text() { restart(); }
    void        restart() { setp(text, text + sizeof text - 1); }
    const char *read()
    {
        *pptr() = 0;
        return text;
    }
};

static model_text  model_report;
static double      model_percent = 100;
static const char *model_program;

static inline void model_begin(int argc, char **argv, const char *program,
                               const model_mutant *mutants, size_t count)
{
    const char *env = getenv("RT_MODEL_ITERS");
    const char *mutant = getenv("RT_MODEL_MUTANT");
    model_program = program;
    for (size_t i = 0; mutant && i < count; i++)
        if (!strcmp(mutant, mutants[i].name))
            model_chosen = &mutants[i];
    if (mutant && !model_chosen) {
        printf("%s: no mutant %s\n", program, mutant);
        exit(0); /* a mutant that does not fail is an error */
    }
    if (argc > 1)
        model_percent = atof(argv[1]);
    else if (env)
        model_percent = atof(env);
}

#define MODEL_BEGIN(argc, argv, program) \
    model_begin(argc, argv, program, model_mutants, sizeof model_mutants / sizeof *model_mutants)

template <typename suite>
static inline void model_search(const char *name, rl::test_params &p, const char *how)
{
    if (model_chosen && strcmp(name, model_chosen->suite))
        return;
    model_report.restart();
    std::ostream text(&model_report);
    p.output_stream = &text;
    p.progress_stream = &text;
    p.execution_depth_limit = 4000;
    bool good = rl::simulate<suite>(p);
    printf("%s %s: %llu %s schedules: %s\n", model_program, name,
           (unsigned long long)p.stop_iteration, how,
           good ? "ok" : rl::test_result_str(p.test_result));
    if (good)
        return;
    if (!model_chosen || getenv("RT_MODEL_TRACE"))
        puts(model_report.read());
    printf("%s: FAILED\n", model_program);
    fflush(stdout);
    _exit(1); /* a broken schedule leaves its objects behind: no tearing down after it */
}

template <typename suite> static inline void model_random(const char *name, double iterations)
{
    rl::test_params p;
    double          n = iterations * model_percent / 100;
    p.search_type = rl::sched_random;
    p.iteration_count = n < 1 ? 1 : (rl::iteration_t)n;
    model_search<suite>(name, p, "random");
}

template <typename suite> static inline void model_bounded(const char *name, unsigned bound)
{
    rl::test_params p;
    p.search_type = rl::sched_bound;
    p.context_bound = bound;
    model_search<suite>(name, p, "bounded");
}

static inline int model_end()
{
    printf("%s: ok\n", model_program);
    return 0;
}

#endif
