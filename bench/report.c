/* SPDX-License-Identifier: MIT */
/* Medians, quartiles, and the three ways to show them. */
#include "report.h"
#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Above this share of CPU time taken by somebody else, wall time says little. */
static const double notable_pct = 3.0;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between neighbours: part 0.5 is the median. */
static double quantile(const double *values, int n, double part)
{
    double sorted[PAIRS_MAX];
    if (n == 0)
        return 0;
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    double at = part * (n - 1);
    int below = (int)at;
    if (below >= n - 1)
        return sorted[n - 1];
    return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

static double share_pct(double part, double total)
{
    return total > 0 ? 100 * part / total : 0;
}

static void add_sample(struct series *to, int figure, const struct bench_sample *s)
{
    to->value[to->n] = s->value[figure].value;
    to->cpu_ns[to->n] = s->value[figure].cpu_ns;
    to->cores[to->n] = s->value[figure].cores;
    to->n++;
    to->rss_mb = s->rss_mb > to->rss_mb ? s->rss_mb : to->rss_mb;
    to->steal_s += s->steal_s;
    to->other_s += s->other_s;
    to->total_s += s->total_s;
    to->worker_count = s->worker_count;
    memcpy(to->worker, s->worker, sizeof to->worker);
}

void report_add(struct result *r, int figure, const struct bench_sample *s)
{
    for (int i = 0; i < r->side_count; i++)
        if (s[i].is_good && r->side[i].n < PAIRS_MAX)
            add_sample(&r->side[i], figure, &s[i]);
    if (r->side_count < SIDES || !s[0].is_good || !s[1].is_good || r->ratio_count == PAIRS_MAX)
        return;
    double one = s[0].value[figure].value;
    double many = s[1].value[figure].value;
    r->ratio[r->ratio_count++] = r->row->is_higher_better ? many / one : one / many;
}

/* How many times better skua is than the peer with this number of workers, in the unit of the row
 * and in CPU time: the median over the rounds, which measure one after the other. 0: unknown. */
static double versus(const struct result *r, int side, bool is_cpu)
{
    double ratio[PAIRS_MAX];
    const struct series *theirs = &r->side[side];
    const struct series *ours = &r->skua->side[side];
    int n = theirs->n < ours->n ? theirs->n : ours->n;
    for (int i = 0; i < n; i++) {
        double their = is_cpu ? theirs->cpu_ns[i] : theirs->value[i];
        double our = is_cpu ? ours->cpu_ns[i] : ours->value[i];
        if (!(our > 0) || !(their > 0))
            return 0;
        ratio[i] = r->row->is_higher_better && !is_cpu ? our / their : their / our;
    }
    return quantile(ratio, n, 0.5);
}

static const char *pretty(char *buf, size_t n, double value)
{
    snprintf(buf, n, "%.*f", value < 10 ? 2 : value < 1000 ? 1 : 0, value);
    return buf;
}

static void print_side(FILE *out, const struct series *s, bool is_peer)
{
    char a[32];
    char b[32];
    char c[32];
    char text[128];
    snprintf(text, sizeof text, "%s (%s-%s)", pretty(a, sizeof a, quantile(s->value, s->n, 0.5)),
             pretty(b, sizeof b, quantile(s->value, s->n, 0)),
             pretty(c, sizeof c, quantile(s->value, s->n, 1)));
    fprintf(out, " %-26s", s->n > 0 ? text : is_peer ? "-" : "no result");
}

static void print_ratios(FILE *out, const struct result *r, bool is_cpu)
{
    for (int side = 0; side < r->side_count; side++) {
        double ratio = versus(r, side, is_cpu);
        fputs(side == 0 ? " " : " / ", out);
        if (ratio > 0)
            fprintf(out, "%.2fx", ratio);
        else
            fputc('-', out);
    }
}

static void print_versus(FILE *out, const struct result *r)
{
    if (r->peer == NULL)
        return;
    fputs("  skua is better by", out);
    print_ratios(out, r, false);
    if (bench_unit(r->row, r->figure) == r->row->unit) { /* else another view of the same work */
        fputs(", in CPU by", out);
        print_ratios(out, r, true);
    }
}

static void print_disturbance(FILE *out, const struct result *r)
{
    double steal = 0;
    double other = 0;
    double total = 0;
    for (int side = 0; side < r->side_count; side++) {
        steal += r->side[side].steal_s;
        other += r->side[side].other_s;
        total += r->side[side].total_s;
    }
    if (share_pct(steal, total) > notable_pct)
        fprintf(out, "  (host took %.0f %%)", share_pct(steal, total));
    if (share_pct(other, total) > notable_pct)
        fprintf(out, "  (other programs took %.0f %%)", share_pct(other, total));
}

static void print_workers(FILE *out, const struct result *r)
{
    for (int side = 0; side < r->side_count; side++) {
        const struct series *s = &r->side[side];
        if (s->worker_count == 0)
            continue;
        fprintf(out, "\n%s, %d worker%s, last measurement:\n", r->figure->name, s->workers,
                s->workers == 1 ? "" : "s");
        fprintf(out, "  %6s %12s %12s %12s %12s\n", "worker", "tasks", "steals", "polls",
                "connections");
        for (int w = 0; w < s->worker_count; w++)
            fprintf(out, "  %6d %12ju %12ju %12ju %12ju\n", w, (uintmax_t)s->worker[w].tasks,
                    (uintmax_t)s->worker[w].steals, (uintmax_t)s->worker[w].polls,
                    (uintmax_t)s->worker[w].connections);
    }
}

static void print_result(FILE *out, const struct bench_config *config, const struct result *r)
{
    char name[64];
    snprintf(name, sizeof name, "  %s", r->peer != NULL ? r->peer->name : "");
    fprintf(out, "%-16s %-6s", r->peer != NULL ? name : r->figure->name,
            bench_unit(r->row, r->figure));
    for (int side = 0; side < r->side_count; side++)
        print_side(out, &r->side[side], r->peer != NULL);
    if (r->side_count == SIDES && r->ratio_count > 0) {
        double ratio = quantile(r->ratio, r->ratio_count, 0.5);
        fprintf(out, " %8.2fx %9.0f%% %6.2f", ratio, 100 * ratio / config->workers,
                quantile(r->side[1].cores, r->side[1].n, 0.5));
    } else if (r->side_count == SIDES) {
        fprintf(out, " %9s %10s %6s", "", "", "");
    }
    for (int side = 0; side < r->side_count; side++)
        if (r->side[side].n > 0)
            fprintf(out, "%s%.4g", side == 0 ? " " : " / ",
                    quantile(r->side[side].cpu_ns, r->side[side].n, 0.25));
    print_versus(out, r);
    print_disturbance(out, r);
    fputc('\n', out);
}

void report_table(FILE *out, const struct bench_config *config, const struct result *results,
                  int count)
{
    char head[2][32];
    fprintf(out,
            "\nskua-bench %s on %ld CPUs: %d rounds, %.2g s a measurement; median (min-max)\n\n",
            skua_version(), sysconf(_SC_NPROCESSORS_ONLN), config->pairs, config->seconds);
    snprintf(head[0], sizeof head[0], "1 worker");
    snprintf(head[1], sizeof head[1], "%d workers", config->workers);
    fprintf(out, "%-16s %-6s %-26s", "row", "unit", head[0]);
    if (config->workers > 1)
        fprintf(out, " %-26s %9s %10s %6s", head[1], "speed-up", "efficiency", "cores");
    fprintf(out, " %s\n", "CPU ns/op");
    for (int i = 0; i < count; i++)
        if (results[i].peer == NULL)
            for (int k = i; k < count; k++)
                if (k == i || results[k].skua == &results[i])
                    print_result(out, config, &results[k]);
    fprintf(out,
            "\nspeed-up: median of the ratios of neighbouring measurements; CPU ns/op: lower "
            "quartile%s\n",
            config->workers > 1 ? ", 1 / N workers" : "");
    for (int i = 0; i < count; i++)
        if (results[i].row->drive != NULL && results[i].peer == NULL)
            print_workers(out, &results[i]);
}

static void json_workers(FILE *out, const struct series *s)
{
    fputs(",\"per_worker\":[", out);
    for (int w = 0; w < s->worker_count; w++)
        fprintf(out, "%s{\"tasks\":%ju,\"steals\":%ju,\"polls\":%ju,\"connections\":%ju}",
                w == 0 ? "" : ",", (uintmax_t)s->worker[w].tasks, (uintmax_t)s->worker[w].steals,
                (uintmax_t)s->worker[w].polls, (uintmax_t)s->worker[w].connections);
    fputc(']', out);
}

static void json_side(FILE *out, const struct bench_config *config, const struct result *r,
                      int side)
{
    const struct series *s = &r->side[side];
    struct utsname host = {0};
    uname(&host);
    fprintf(out,
            "{\"bench\":\"%s\",\"impl\":\"%s\",\"workers\":%d,\"unit\":\"%s\",\"median\":%.6g,"
            "\"min\":%.6g",
            r->figure->name, r->peer != NULL ? r->peer->name : "skua", s->workers,
            bench_unit(r->row, r->figure), quantile(s->value, s->n, 0.5),
            quantile(s->value, s->n, 0));
    fprintf(out,
            ",\"max\":%.6g,\"n\":%d,\"better\":\"%s\",\"p25\":%.6g,\"cpu_ns_per_op\":%.6g,"
            "\"cores\":%.4g",
            quantile(s->value, s->n, 1), s->n, r->row->is_higher_better ? "higher" : "lower",
            quantile(s->value, s->n, 0.25), quantile(s->cpu_ns, s->n, 0.25),
            quantile(s->cores, s->n, 0.5));
    fprintf(out, ",\"rss_mb\":%.4g,\"steal_pct\":%.2f,\"other_pct\":%.2f", s->rss_mb,
            share_pct(s->steal_s, s->total_s), share_pct(s->other_s, s->total_s));
    if (side == SIDES - 1 && r->ratio_count > 0)
        fprintf(out, ",\"ratio\":%.4g,\"ratio_p25\":%.4g", quantile(r->ratio, r->ratio_count, 0.5),
                quantile(r->ratio, r->ratio_count, 0.25));
    if (r->peer != NULL)
        fprintf(out, ",\"skua_ratio\":%.4g,\"skua_cpu_ratio\":%.4g", versus(r, side, false),
                versus(r, side, true));
    fprintf(out,
            ",\"seconds\":%g,\"cpus\":%ld,\"kernel\":\"%s\",\"compiler\":\"%s\",\"version\":\"%s\","
            "\"time\":%lld",
            config->seconds, sysconf(_SC_NPROCESSORS_ONLN), host.release, __VERSION__,
            skua_version(), (long long)time(NULL));
    json_workers(out, s);
    fputs("}\n", out);
}

void report_json(FILE *out, const struct bench_config *config, const struct result *results,
                 int count)
{
    for (int i = 0; i < count; i++)
        for (int side = 0; side < results[i].side_count; side++)
            if (results[i].side[side].n > 0)
                json_side(out, config, &results[i], side);
}

static bool has_bar(const struct result *r)
{
    return r->ratio_count > 0 && r->peer == NULL;
}

void report_svg(FILE *out, const struct bench_config *config, const struct result *results,
                int count)
{
    enum { LEFT = 150, WIDTH = 420, TOP = 56, STEP = 30, BAR = 20, RIGHT = 70 };
    int bars = 0;
    double most = config->workers;
    for (int i = 0; i < count; i++) {
        double ratio = quantile(results[i].ratio, results[i].ratio_count, 0.5);
        bars += has_bar(&results[i]);
        most = ratio > most ? ratio : most;
    }
    int height = TOP + bars * STEP + 20;
    double scale = WIDTH / most;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "font-family=\"sans-serif\" "
            "font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            LEFT + WIDTH + RIGHT, height);
    fprintf(out,
            "<text x=\"12\" y=\"24\" font-size=\"15\">Speed-up of %d workers over 1 (%ld CPUs, "
            "medians of %d "
            "pairs)</text>\n",
            config->workers, sysconf(_SC_NPROCESSORS_ONLN), config->pairs);
    for (int x = 0; x <= (int)most; x++)
        fprintf(out,
                "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#%s\"/>\n<text "
                "x=\"%.1f\" y=\"%d\" "
                "fill=\"#666\" text-anchor=\"middle\">%dx</text>\n",
                LEFT + x * scale, TOP - 4, LEFT + x * scale, height - 16, x == 1 ? "888" : "ddd",
                LEFT + x * scale, TOP - 8, x);
    int y = TOP;
    for (int i = 0; i < count; i++) {
        if (!has_bar(&results[i]))
            continue;
        double ratio = quantile(results[i].ratio, results[i].ratio_count, 0.5);
        fprintf(out,
                "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n<rect x=\"%d\" y=\"%d\" "
                "width=\"%.1f\" "
                "height=\"%d\" fill=\"#2b7bba\"/>\n<text x=\"%.1f\" y=\"%d\">%.2fx</text>\n",
                LEFT - 8, y + 15, results[i].figure->name, LEFT, y, ratio * scale, BAR,
                LEFT + ratio * scale + 6, y + 15, ratio);
        y += STEP;
    }
    fputs("</svg>\n", out);
}
