/* progress.c - how far a run is. */
#include "run/progress.h"

#include "measure/noise.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const double plain_line_s = 15.0; /* between two lines when stderr is no terminal */

/* A rough guess; what it misses by is the same factor before and after, and drops out. */
static double guess_s(const struct visit *visit)
{
    const struct cost cost = kernel_cost(visit->kernel, visit->dims);
    const double run_s = 2e-9 * (double)cost.multiply_adds / 50.0 +
                         1e-9 * (double)(cost.exps + cost.sigmoids + cost.tanhs) +
                         0.3e-9 * (double)cost.elementwise;
    const double setup_s = 0.02;
    return setup_s + (run_s > 0.1 ? run_s : 0.03 + 3.0 * run_s);
}

void progress_start(struct progress *progress, const struct plan *plan)
{
    *progress = (struct progress){.started_s = 1e-9 * monotonic_ns(),
                                  .planned = plan->count,
                                  .terminal = isatty(STDERR_FILENO)};
    progress->printed_s = progress->started_s;
}

void progress_expect(struct progress *progress, const struct visit *visit)
{
    progress->total += guess_s(visit);
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

void progress_advance(struct progress *progress, const struct plan *plan, int64_t order)
{
    const struct visit *visit = &plan->visits[order];
    progress->done += guess_s(visit);
    const double now = 1e-9 * monotonic_ns();
    const bool last = order + 1 == progress->planned;
    if (!last && now - progress->printed_s < (progress->terminal ? 0.1 : plain_line_s))
        return;
    progress->printed_s = now;
    const double elapsed = now - progress->started_s;
    const int64_t left = (int64_t)(elapsed * (progress->total / progress->done - 1.0) + 0.5);
    char place[96], dims[DIMS_TEXT];
    place_text(progress, plan, order, place, sizeof(place));
    fprintf(stderr, "%s%s  %s %s %s  %" PRId64 ":%02" PRId64 " left%s",
            progress->terminal ? "\r\033[K" : "seqbench: ", place, visit->kernel->name,
            visit->kernel->engine_name, dims_text(visit->dims, dims), left / 60, left % 60,
            progress->terminal ? "" : "\n");
    fflush(stderr);
}

void progress_end(const struct progress *progress)
{
    if (progress->terminal)
        fputc('\n', stderr);
}
