/* round.c - pin, draw, warm up, sample; each sample with its evidence becomes a row. */
#define _GNU_SOURCE /* sched_getcpu */
#include "run/round.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cases/case.h"
#include "cases/kernel.h"
#include "machine/host.h"
#include "measure/noise.h"
#include "measure/output.h"
#include "measure/pin.h"
#include "measure/timer.h"
#include "peers/peer.h"
#include "products.h"
#include "run/append.h"
#include "run/run_folder.h"
#include "run/samples.h"
#include "run/stream.h"

static const double sample_ns = 10e6;       /* a sample lasts at least this long */
static const double warm_up_ns = 5e6;       /* a case is run this long before its first sample */
static const double own_warm_up_ns = 100e6; /* a run this long is its own warm-up: caches fill in
                                               about 1 ms */
/* When a sample counts as disturbed: see enum flag. */
static const double clock_tolerance = 0.03, sentinel_tolerance = 0.05, lost_tolerance = 0.01;
enum { RETRIES = 2 };        /* of a disturbed sample within its visit */
enum { BASELINE_ROWS = 25 }; /* good ones: from here on samples.csv tells the run's medians */
enum { SENTINEL_STRETCHES = 5, SENTINEL_RUNS = 100 };

/* ---- the bench: what a round works with ---- */

struct bench {
    const struct settings *settings;
    int fd;             /* samples.csv */
    struct arena arena; /* for the case at hand */
    struct arena sentinel_arena, eviction;
    struct bench_case sentinel;
    int calls_fd;            /* calls.csv of a stream, or -1 */
    struct histogram *calls; /* STREAM_BLOCKS of a stream */
    struct noise_meter meter;
    double clock_ghz, sentinel_ns; /* the run's medians so far */
    double busy_ns;                /* of the visit at hand: timed, or warming up */
};

/* Median over a few stretches, so that an interrupt or cold lines in one of them do not count. */
static double sentinel_ns(const struct bench *bench)
{
    double stretch[SENTINEL_STRETCHES];
    for (int k = 0; k < SENTINEL_STRETCHES; k++) {
        const double start = monotonic_ns();
        for (int i = 0; i < SENTINEL_RUNS; i++)
            case_run(&bench->sentinel);
        stretch[k] = (monotonic_ns() - start) / SENTINEL_RUNS;
    }
    return median(stretch, SENTINEL_STRETCHES);
}

/* A case without BLAS that stays in L1: where memory happens to lie does not change its time. */
static bool open_sentinel(struct bench *bench, struct err *err)
{
    const struct kernel *kernel = kernel_find("lstm.update", NULL);
    const struct dims dims = dims_complete((struct dims){.S = 1, .H = 512});
    if (!arena_map(case_bytes(kernel, dims), &bench->sentinel_arena, err))
        return false;
    case_place(kernel, dims, &bench->sentinel_arena, &bench->sentinel);
    case_draw(&bench->sentinel, 1);
    case_prepare(&bench->sentinel);
    return true;
}

/* The run's medians of clock and sentinel: from its rows, or measured now when they are few. */
static void find_baseline(struct bench *bench, const struct history *history)
{
    double clock[BASELINE_ROWS], sentinel[BASELINE_ROWS];
    if (history_good(history) >= BASELINE_ROWS) {
        bench->clock_ghz = history_clock_ghz(history);
        bench->sentinel_ns = history_sentinel_ns(history);
        return;
    }
    for (int i = 0; i < BASELINE_ROWS; i++) {
        sentinel[i] = sentinel_ns(bench);
        clock[i] = noise_clock_ghz();
    }
    bench->clock_ghz = median(clock, BASELINE_ROWS);
    bench->sentinel_ns = median(sentinel, BASELINE_ROWS);
}

/* ---- one sample ---- */

static void run_instance(const void *arg)
{
    case_run(arg);
}

static unsigned find_flags(const struct bench *bench, const struct sample *s)
{
    const struct noise *n = &s->noise;
    const double low = fmin(n->clock_ghz_before, n->clock_ghz_after) / bench->clock_ghz;
    const double high = fmax(n->clock_ghz_before, n->clock_ghz_after) / bench->clock_ghz;
    const double lost_ns = s->wall_ns - s->cpu_ns;
    const double stolen_ns = 1e9 * (double)n->steal_ticks / (double)sysconf(_SC_CLK_TCK);
    unsigned flags = 0;
    flags |=
        s->cpu_before != s->cpu_after || s->cpu_after != bench->settings->cpu ? FLAG_MIGRATION : 0;
    flags |= n->involuntary_switches > 0 && lost_ns > lost_tolerance * s->wall_ns ? FLAG_SWITCH : 0;
    flags |= stolen_ns > lost_tolerance * s->wall_ns ? FLAG_STEAL : 0;
    flags |= low < 1.0 - clock_tolerance || high > 1.0 + clock_tolerance ? FLAG_CLOCK : 0;
    flags |= fabs(s->sentinel_ratio - 1.0) > sentinel_tolerance ? FLAG_SENTINEL : 0;
    return flags;
}

/* Reads through a buffer of twice the last-level cache, so that nothing of the case stays there. */
static void evict(const struct arena *eviction)
{
    volatile unsigned char *bytes = eviction->base;
    for (size_t i = 0; i < eviction->bytes; i += 64)
        bytes[i]++;
}

static bool is_peers(const struct bench_case *c)
{
    return peers_have(c->kernel->algorithm);
}

/* Times iterations runs and gathers the evidence around them; false without a result. */
static bool take_sample(struct bench *bench, const struct bench_case *c, int64_t iterations,
                        struct sample *sample)
{
    struct noise_mark before, after;
    struct timing timing;
    utc_stamp(sample->started_utc);
    if (bench->settings->cold)
        evict(&bench->eviction);
    sample->cpu_before = sched_getcpu();
    noise_before(&bench->meter, &before);
    if (is_peers(c))
        peer_time(c, iterations, &timing);
    else if (timer_sample(c->kernel->name, run_instance, c, iterations, &timing) != 0)
        return false;
    noise_after(&bench->meter, &after);
    sample->cpu_after = sched_getcpu();
    noise_between(&before, &after, &sample->noise);
    if (is_peers(c)) {
        peer_noise(c, &sample->noise);
        peer_fetch(c);
    }
    sample->iterations = iterations;
    sample->wall_ns = timing.wall_ns;
    sample->cpu_ns = timing.cpu_ns;
    bench->busy_ns += timing.wall_ns;
    return true;
}

/* What is looked at after the sample: the sentinel, the output, and the rules. */
static void judge_sample(const struct bench *bench, const struct bench_case *c, uint64_t checked,
                         struct sample *sample)
{
    sample->output = output_examine(c);
    sample->sentinel_ns = sentinel_ns(bench);
    sample->sentinel_ratio = sample->sentinel_ns / bench->sentinel_ns;
    sample->flags = find_flags(bench, sample);
    if (sample->output.checksum != checked)
        sample->flags |= FLAG_OUTPUT;
}

/* ---- one visit ---- */

/* So many runs, as samples have them but without evidence; ns. */
static double run_batch(const struct bench_case *c, int64_t runs)
{
    struct timing timing;
    if (is_peers(c)) {
        peer_time(c, runs, &timing);
        return timing.wall_ns;
    }
    const double start = monotonic_ns();
    for (int64_t i = 0; i < runs; i++)
        case_run(c);
    return monotonic_ns() - start;
}

/* Runs the case for warm_up_ns; returns the time of one run. */
static double warm_up(struct bench *bench, const struct bench_case *c)
{
    double elapsed = 0.0;
    int64_t runs = 0;
    for (int64_t batch = 1; elapsed < warm_up_ns; batch *= 2) {
        elapsed += run_batch(c, batch);
        runs += batch;
    }
    bench->busy_ns += elapsed;
    return elapsed / (double)runs;
}

/* A sample of at least sample_ns; too short ones are thrown away and taken again, longer. */
static bool take_long_sample(struct bench *bench, const struct bench_case *c, double *run_ns,
                             struct sample *sample)
{
    for (;;) {
        const double wanted = ceil(1.1 * sample_ns / *run_ns);
        if (!take_sample(bench, c, wanted < 1.0 ? 1 : (int64_t)wanted, sample))
            return false;
        *run_ns = fmax(sample->wall_ns / (double)sample->iterations, 0.01);
        if (sample->wall_ns >= sample_ns)
            return true;
    }
}

/* How many clean samples a visit should give: one when a single run is long. */
static int64_t wanted_samples(double run_ns, const struct settings *settings)
{
    return run_ns >= own_warm_up_ns ? 1 : settings->samples;
}

/* Rows of a visit so far. */
struct progress_of_visit {
    int64_t rows, clean;
    double run_ns;
    bool failed;
};

static struct progress_of_visit look_up(const struct history *history, int64_t order)
{
    struct progress_of_visit p = {0};
    for (int64_t i = 0; i < history->count; i++) {
        const struct record *r = &history->records[i];
        if (r->order != order)
            continue;
        p.rows++;
        p.clean += !r->flagged;
        p.failed |= r->failed;
        p.run_ns = r->failed ? 0.0 : r->wall_ns / (double)r->iterations;
    }
    return p;
}

static bool is_complete(const struct progress_of_visit *p, const struct settings *settings)
{
    if (settings->conditions.count > 0)
        return p->failed || p->rows >= settings->conditions.count;
    const int64_t wanted = wanted_samples(p->run_ns, settings);
    return p->failed || (p->rows > 0 && (p->clean >= wanted || p->rows >= wanted + RETRIES));
}

bool visit_is_complete(const struct history *history, int64_t order,
                       const struct settings *settings)
{
    const struct progress_of_visit p = look_up(history, order);
    return is_complete(&p, settings);
}

static bool append_sample(const struct bench *bench, struct sample *sample,
                          struct progress_of_visit *p, struct err *err)
{
    if (!samples_append(bench->fd, sample, err))
        return false;
    p->rows++;
    p->clean += sample->flags == 0;
    p->run_ns = sample->wall_ns / (double)sample->iterations;
    sample->index++;
    return true;
}

/*
 * All samples of one visit that are not there yet. The first run, from poisoned outputs, tells how
 * long a run is and what the output should be. A run of own_warm_up_ns or more is a sample itself;
 * a shorter one is followed by warm-up and several samples.
 */
static bool sample_case(struct bench *bench, const struct visit *visit, struct bench_case *c,
                        struct progress_of_visit p, struct err *err)
{
    struct sample sample = {.visit = *visit, .index = p.rows};
    sample.condition.kind = bench->settings->cold ? COLD : HOT;
    case_poison_outputs(c);
    bool timed = take_sample(bench, c, 1, &sample);
    const uint64_t checked = timed ? output_examine(c).checksum : 0;
    const bool first_counts = timed && (sample.wall_ns >= own_warm_up_ns || bench->settings->cold);
    if (first_counts) {
        judge_sample(bench, c, checked, &sample);
        if (!append_sample(bench, &sample, &p, err))
            return false;
    }
    double run_ns = timed && !first_counts ? warm_up(bench, c) : sample.wall_ns;
    while (timed && !is_complete(&p, bench->settings)) {
        timed = bench->settings->cold ? take_sample(bench, c, 1, &sample)
                                      : take_long_sample(bench, c, &run_ns, &sample);
        if (!timed)
            break;
        judge_sample(bench, c, checked, &sample);
        if (!append_sample(bench, &sample, &p, err))
            return false;
    }
    if (timed)
        return true;
    sample.error = "Google Benchmark returned no result";
    return samples_append(bench->fd, &sample, err);
}

/* ---- one visit of a stream ---- */

/* Room for histograms, whose pages are touched before any call. */
static void open_histograms(struct bench *bench)
{
    const size_t bytes = STREAM_BLOCKS * sizeof(*bench->calls);
    bench->calls = malloc(bytes);
    if (!bench->calls)
        abort();
    memset(bench->calls, 0, bytes);
}

/* The calls under one condition, to calls.csv; then the row with the evidence around them. */
static bool stream_under(struct bench *bench, struct stream *stream, struct sample *sample,
                         struct err *err)
{
    const struct settings *settings = bench->settings;
    struct noise_mark before, after;
    struct timespec cpu[2];
    struct timing timing = {0.0, 0.0};
    double clock_ns = stream_clock_ns();
    for (int b = 0; b < STREAM_BLOCKS; b++)
        histogram_clear(&bench->calls[b]);
    sample->condition = settings->conditions.v[sample->index];
    utc_stamp(sample->started_utc);
    sample->cpu_before = sched_getcpu();
    noise_before(&bench->meter, &before);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[0]);
    const double start = monotonic_ns();
    sample->iterations =
        is_peers(stream->c)
            ? stream_time_peer(stream, stream_limits(settings), bench->calls, &timing)
            : stream_time(stream, sample->condition, stream_limits(settings), bench->calls);
    sample->wall_ns = monotonic_ns() - start;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu[1]);
    noise_after(&bench->meter, &after);
    sample->cpu_after = sched_getcpu();
    sample->cpu_ns =
        1e9 * (double)(cpu[1].tv_sec - cpu[0].tv_sec) + (double)(cpu[1].tv_nsec - cpu[0].tv_nsec);
    noise_between(&before, &after, &sample->noise);
    if (is_peers(stream->c)) {
        sample->wall_ns = timing.wall_ns;
        sample->cpu_ns = timing.cpu_ns;
        clock_ns = peer_clock_ns(stream->c);
        peer_noise(stream->c, &sample->noise);
    }
    bench->busy_ns += sample->wall_ns;
    sample->output = output_examine(stream->c);
    sample->sentinel_ns = sentinel_ns(bench);
    sample->sentinel_ratio = sample->sentinel_ns / bench->sentinel_ns;
    sample->flags = find_flags(bench, sample);
    if (sample->output.nonfinite > 0)
        sample->flags |= FLAG_OUTPUT;
    return stream_append(bench->calls_fd, sample->visit.order, sample->index, clock_ns,
                         bench->calls, err);
}

/* Every condition that is not there yet, one after the other; the state goes on through all. */
static bool stream_case(struct bench *bench, const struct visit *visit, struct bench_case *c,
                        struct progress_of_visit p, struct err *err)
{
    struct stream stream;
    struct sample sample = {.visit = *visit, .index = p.rows};
    bool ok = true;
    case_poison_outputs(c);
    stream_open(c, (uint64_t)bench->settings->seed, &bench->eviction, &stream);
    while (ok && !is_complete(&p, bench->settings))
        ok = stream_under(bench, &stream, &sample, err) && append_sample(bench, &sample, &p, err);
    stream_close(&stream);
    return ok;
}

static bool visit_case(struct bench *bench, const struct visit *visit, struct progress_of_visit p,
                       struct err *err)
{
    struct bench_case c;
    case_place(visit->kernel, visit->dims, &bench->arena, &c);
    case_draw(&c, (uint64_t)bench->settings->seed);
    case_prepare(&c);
    const bool is_stream = bench->settings->conditions.count > 0;
    const bool ok = (is_stream ? stream_case : sample_case)(bench, visit, &c, p, err);
    case_release(&c);
    return ok;
}

/* ---- the round ---- */

/* The first sgemm maps and faults OpenBLAS's buffer; this is before any sample. */
static void warm_blas(void)
{
    enum { N = 256 };
    static float a[N * N], b[N * N];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1.0f, a, N, a, N, 0.0f, b, N);
}

static bool case_failed(const struct history *history, const struct plan *plan, int64_t order)
{
    for (int64_t i = 0; i < history->count; i++) {
        const int64_t at = history->records[i].order;
        if (history->records[i].failed && at >= 0 && at < plan->count &&
            same_case(&plan->visits[at], &plan->visits[order]))
            return true;
    }
    return false;
}

static bool visit_all(struct bench *bench, const struct plan *plan, const struct history *history,
                      int64_t round, double deadline_ns, struct err *err)
{
    for (int64_t i = 0; i < plan->count; i++) {
        if (plan->visits[i].round != round)
            continue;
        const struct progress_of_visit p = look_up(history, i);
        if (is_complete(&p, bench->settings) || case_failed(history, plan, i))
            continue;
        if (monotonic_ns() >= deadline_ns)
            return true;
        printf("start %" PRId64 "\n", i);
        fflush(stdout);
        bench->busy_ns = 0.0;
        if (!visit_case(bench, &plan->visits[i], p, err))
            return false;
        printf("end %" PRId64 " %.0f\n", i, bench->busy_ns);
        fflush(stdout);
    }
    return true;
}

static bool pin_this_process(const struct settings *settings, int64_t *last_level_bytes,
                             struct err *err)
{
    hwloc_topology_t topology;
    if (!topology_load(&topology, err))
        return false;
    *last_level_bytes = pin_last_level_bytes(topology, (int)settings->cpu);
    const bool ok = pin_bind(topology, (int)settings->cpu, err);
    hwloc_topology_destroy(topology);
    if (ok && !pin_set_flush_to_zero(settings->flush_to_zero))
        return err_set(err, "this CPU cannot flush subnormal numbers to zero; see --no-ftz");
    return ok;
}

/* Arenas for the largest case, the sentinel and eviction; pages are touched before any sample. */
static bool open_bench(struct bench *bench, const struct plan *plan, int64_t last_level_bytes,
                       struct err *err)
{
    const struct visit *largest = plan_largest(plan);
    if (!arena_map(case_bytes(largest->kernel, largest->dims), &bench->arena, err) ||
        !open_sentinel(bench, err))
        return false;
    memset(bench->arena.base, 0, bench->arena.bytes);
    if (bench->settings->cold || bench->settings->conditions.count > 0) {
        if (!arena_map(2 * (size_t)last_level_bytes, &bench->eviction, err))
            return false;
        memset(bench->eviction.base, 0, bench->eviction.bytes);
    }
    if (bench->settings->conditions.count > 0)
        open_histograms(bench);
    noise_open((int)bench->settings->cpu, &bench->meter);
    warm_blas();
    return true;
}

bool round_visit(const char *folder, int64_t round, double deadline_ns, struct err *err)
{
    char path[PATH_MAX];
    struct settings settings;
    struct plan plan = {NULL, 0};
    struct history history = {NULL, 0};
    struct bench bench = {.settings = &settings, .fd = -1, .calls_fd = -1};
    int64_t last_level_bytes = 0;
    signal(SIGXFSZ, SIG_IGN); /* a file size limit shows as EFBIG, like a full disk */
    if (!run_folder_read_settings(folder, &settings, err) || !host_blas_is_serial(err) ||
        !pin_this_process(&settings, &last_level_bytes, err) || !peers_start(&settings, err))
        return false;
    run_folder_path(folder, "plan.csv", path);
    if (!plan_read(path, &plan, err))
        return false;
    run_folder_path(folder, "samples.csv", path);
    bool ok = history_read(path, &history, err) && open_bench(&bench, &plan, last_level_bytes, err);
    if (ok) {
        find_baseline(&bench, &history);
        bench.fd = append_open(path, err);
        run_folder_path(folder, "calls.csv", path);
        if (settings.conditions.count > 0)
            bench.calls_fd = append_open(path, err);
        ok = bench.fd >= 0 && (bench.calls_fd >= 0 || settings.conditions.count == 0) &&
             (!settings.fifo || pin_set_fifo(true, err)) &&
             visit_all(&bench, &plan, &history, round, deadline_ns, err);
        noise_close(&bench.meter);
    }
    if (bench.fd >= 0)
        close(bench.fd);
    if (bench.calls_fd >= 0)
        close(bench.calls_fd);
    free(bench.calls);
    history_free(&history);
    plan_free(&plan);
    return ok; /* the process ends now: its arenas go with it */
}
