/* progress.c - how far a run is. */
#include "run/progress.h"

#include "measure/noise.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double plain_line_s = 60.0; /* between two lines when stderr is no terminal */

/* A rough guess. While a run goes on, what it misses by drops out: it is the same factor before and
 * after. */
static double guess_s(const struct visit *visit, int64_t samples)
{
    const struct cost cost = kernel_cost(visit->kernel, visit->dims);
    const double run_s = 2e-9 * (double)cost.multiply_adds / 50.0 +
                         1e-9 * (double)(cost.exps + cost.sigmoids + cost.tanhs) +
                         0.3e-9 * (double)cost.elementwise;
    return visit_s(run_s, samples);
}

double visit_s(double run_s, int64_t samples)
{
    return run_s > 0.1 ? 1.1 * run_s : 0.02 + 2.0 * run_s + 0.012 * (double)samples;
}

void progress_start(struct progress *progress, const struct plan *plan,
                    const struct settings *settings)
{
    *progress = (struct progress){.samples = settings->samples,
                                  .budget_s = (double)settings->grid.budget_s,
                                  .started_s = 1e-9 * monotonic_ns(),
                                  .planned = plan->count,
                                  .terminal = isatty(STDERR_FILENO)};
    progress->printed_s = progress->started_s;
}

void progress_expect(struct progress *progress, const struct visit *visit)
{
    progress->total += guess_s(visit, progress->samples);
}

/* "12/57 round 2", or "1/3 added round 5". */
static void place_text(const struct progress *progress, const struct plan *plan, int64_t order,
                       char *out, size_t size)
{
    const int64_t round = plan->visits[order].round;
    int64_t first = 0, end = progress->planned;
    if (order >= progress->planned) {
        for (first = order; plan->visits[first - 1].round == round;)
            first--;
        for (end = order; end < plan->count && plan->visits[end].round == round;)
            end++;
    }
    snprintf(out, size, "%" PRId64 "/%" PRId64 " %sround %" PRId64, order - first + 1, end - first,
             order < progress->planned ? "" : "added ", round + 1);
}

const char *progress_minutes(double seconds, char out[MINUTES_TEXT])
{
    const int64_t whole = (int64_t)(seconds + 0.5);
    snprintf(out, MINUTES_TEXT, "%" PRId64 ":%02" PRId64, whole / 60, whole % 60);
    return out;
}

double progress_guess_s(const struct plan *plan, int64_t rounds, int64_t samples)
{
    double sum = 0.0;
    for (int64_t i = 0; i < plan->count; i++)
        sum += plan->visits[i].round < rounds ? guess_s(&plan->visits[i], samples) : 0.0;
    return sum;
}

/* Writes over the line before: one that is longer than the terminal is wide would leave its first
 * part behind. Blanks, and no escape code, clear the rest. */
static void renew_line(const char *line)
{
    struct winsize size;
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    const int width = known ? size.ws_col - 1 : 79;
    fprintf(stderr, "\r%-*.*s", width, width, line);
    fflush(stderr);
}

void progress_advance(struct progress *progress, const struct plan *plan, int64_t order)
{
    const struct visit *visit = &plan->visits[order];
    progress->done += guess_s(visit, progress->samples);
    progress->visits++;
    const double now = 1e-9 * monotonic_ns();
    const bool last = order + 1 == progress->planned;
    if (!last && now - progress->printed_s < (progress->terminal ? 0.1 : plain_line_s))
        return;
    progress->printed_s = now;
    const double elapsed = now - progress->started_s;
    char line[512], place[96], left[MINUTES_TEXT], dims[DIMS_TEXT];
    place_text(progress, plan, order, place, sizeof(place));
    double left_s = elapsed * (progress->total / progress->done - 1.0);
    if (progress->budget_s > 0.0)
        left_s = fmin(left_s, fmax(progress->budget_s - elapsed, 0.0));
    progress_minutes(left_s, left);
    const double rate = (double)progress->visits / elapsed;
    snprintf(line, sizeof(line), "%s  %.*f cases/s  %s left  %s %s %s", place, rate < 1.0 ? 2 : 1,
             rate, left, visit->kernel->name, visit->kernel->engine_name,
             dims_text(visit->dims, dims));
    if (progress->terminal)
        renew_line(line);
    else
        fprintf(stderr, "seqbench: %s\n", line);
}

void progress_end(const struct progress *progress)
{
    if (progress->terminal)
        fputc('\n', stderr);
}
