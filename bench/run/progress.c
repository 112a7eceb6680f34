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

void progress_start(struct progress *progress)
{
    *progress =
        (struct progress){.started_s = 1e-9 * monotonic_ns(), .terminal = isatty(STDERR_FILENO)};
    progress->printed_s = progress->started_s;
}

void progress_expect(struct progress *progress, const struct visit *visit)
{
    progress->total += guess_s(visit);
}

void progress_advance(struct progress *progress, const struct visit *visit, int64_t planned)
{
    progress->done += guess_s(visit);
    const double now = 1e-9 * monotonic_ns();
    const bool last = visit->order + 1 == planned;
    if (!last && now - progress->printed_s < (progress->terminal ? 0.1 : plain_line_s))
        return;
    progress->printed_s = now;
    const double elapsed = now - progress->started_s;
    char dims[DIMS_TEXT];
    const int64_t left = (int64_t)(elapsed * (progress->total / progress->done - 1.0) + 0.5);
    fprintf(stderr,
            "%s%" PRId64 "/%" PRId64 " round %" PRId64 "  %s %s  %s  %" PRId64 ":%02" PRId64
            " left%s",
            progress->terminal ? "\r\033[K" : "seqbench: ", visit->order + 1, planned,
            visit->round + 1, visit->kernel->name, visit->kernel->engine_name,
            dims_text(visit->dims, dims), left / 60, left % 60, progress->terminal ? "" : "\n");
    fflush(stderr);
}

void progress_end(const struct progress *progress)
{
    if (progress->terminal)
        fputc('\n', stderr);
}
