/*
 * runner.c - the run (parent: plan, folder, progress) and the round (child: pin, warm, time).
 *
 * The parent writes plan.csv, host.json, topology.xml and checks.csv before the first sample. Each
 * round is this program started anew, so that every round gets its own address layout.
 */
#define _GNU_SOURCE /* sched_getcpu */
#include "runner.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "blas.h"
#include "case.h"
#include "check.h"
#include "host.h"
#include "pin.h"
#include "plan.h"
#include "progress.h"
#include "registry.h"
#include "samples.h"
#include "timer.h"

static const double sample_ns = 10e6; /* a sample lasts at least this long */
static const double warm_up_ns = 5e6; /* a case is run this long before its first sample */
static const double own_warm_up_ns =
    100e6;                      /* a run this long is its own warm-up: caches fill in about 1 ms */
enum { SAMPLES_PER_VISIT = 3 }; /* of a case whose runs are shorter than that */

/* ISO 8601 with milliseconds. */
static void utc_stamp(char out[32])
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    const size_t length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, 32 - length, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

static double monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- the round ---- */

static void run_instance(const void *arg)
{
    case_run(arg);
}

/* Runs the case for warm_up_ns; returns the time of one run. */
static double warm_up(const struct bench_case *c)
{
    const double start = monotonic_ns();
    double elapsed;
    int64_t runs = 0;
    for (int64_t batch = 1;; batch *= 2) {
        for (int64_t i = 0; i < batch; i++)
            case_run(c);
        runs += batch;
        elapsed = monotonic_ns() - start;
        if (elapsed >= warm_up_ns)
            return elapsed / (double)runs;
    }
}

static bool take_sample(const struct bench_case *c, int64_t iterations, struct sample *sample)
{
    struct timing timing;
    utc_stamp(sample->started_utc);
    sample->cpu_before = sched_getcpu();
    if (timer_sample(c->kernel->name, run_instance, c, iterations, &timing) != 0)
        return false;
    sample->cpu_after = sched_getcpu();
    sample->iterations = iterations;
    sample->wall_ns = timing.wall_ns;
    sample->cpu_ns = timing.cpu_ns;
    return true;
}

/* A sample of at least sample_ns; too short ones are thrown away and taken again, longer. */
static bool take_long_sample(const struct bench_case *c, double *run_ns, struct sample *sample)
{
    for (;;) {
        const double wanted = ceil(1.1 * sample_ns / *run_ns);
        if (!take_sample(c, wanted < 1.0 ? 1 : (int64_t)wanted, sample))
            return false;
        *run_ns = fmax(sample->wall_ns / (double)sample->iterations, 0.01);
        if (sample->wall_ns >= sample_ns)
            return true;
    }
}

/*
 * All samples of one visit. The first run tells how long a run is. A run of own_warm_up_ns or more
 * is the sample; a shorter one is followed by warm-up and SAMPLES_PER_VISIT samples.
 */
static bool visit_case(const struct visit *visit, const struct arena *arena, uint64_t seed, int fd,
                       struct err *err)
{
    struct bench_case c;
    struct sample sample = {.visit = *visit};
    case_place(visit->kernel, visit->dims, arena, &c);
    case_draw(&c, seed);
    bool timed = take_sample(&c, 1, &sample);
    if (timed && sample.wall_ns >= own_warm_up_ns)
        return samples_append(fd, &sample, err);
    double run_ns = timed ? warm_up(&c) : 0.0;
    for (; timed && sample.index < SAMPLES_PER_VISIT; sample.index++) {
        timed = take_long_sample(&c, &run_ns, &sample);
        if (timed && !samples_append(fd, &sample, err))
            return false;
    }
    if (timed)
        return true;
    sample.error = "Google Benchmark returned no result";
    return samples_append(fd, &sample, err);
}

/* The first sgemm maps and faults OpenBLAS's buffer; this is before any sample. */
static void warm_blas(void)
{
    enum { N = 256 };
    static float a[N * N], b[N * N];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1.0f, a, N, a, N, 0.0f, b, N);
}

/* One arena for all cases of the plan, its pages touched before any sample. */
static bool map_for_plan(const struct plan *plan, struct arena *arena, struct err *err)
{
    const struct visit *largest = plan_largest(plan);
    if (!arena_map(case_bytes(largest->kernel, largest->dims), arena, err))
        return false;
    memset(arena->base, 0, arena->bytes);
    return true;
}

static bool visit_all(const struct plan *plan, int64_t round, uint64_t seed, int fd,
                      struct err *err)
{
    struct arena arena;
    if (!map_for_plan(plan, &arena, err))
        return false;
    bool ok = true;
    for (int64_t i = 0; ok && i < plan->count; i++) {
        if (plan->visits[i].round != round)
            continue;
        ok = visit_case(&plan->visits[i], &arena, seed, fd, err);
        if (ok) {
            printf("%" PRId64 "\n", plan->visits[i].order);
            fflush(stdout);
        }
    }
    arena_unmap(&arena);
    return ok;
}

static bool pin_this_process(int cpu, bool flush_to_zero, struct err *err)
{
    hwloc_topology_t topology;
    if (!topology_load(&topology, err))
        return false;
    const bool ok = pin_bind(topology, cpu, err);
    hwloc_topology_destroy(topology);
    if (ok)
        pin_set_flush_to_zero(flush_to_zero);
    return ok;
}

bool runner_round(const char *folder, int64_t round, int cpu, bool flush_to_zero, uint64_t seed,
                  struct err *err)
{
    char path[PATH_MAX];
    struct plan plan;
    signal(SIGXFSZ, SIG_IGN); /* a file size limit shows as EFBIG, like a full disk */
    snprintf(path, sizeof(path), "%s/plan.csv", folder);
    if (!host_blas_is_serial(err) || !pin_this_process(cpu, flush_to_zero, err) ||
        !plan_read(path, &plan, err))
        return false;
    snprintf(path, sizeof(path), "%s/samples.csv", folder);
    const int fd = samples_open(path, err);
    warm_blas();
    const bool ok = fd >= 0 && visit_all(&plan, round, seed, fd, err);
    if (fd >= 0)
        close(fd);
    plan_free(&plan);
    return ok;
}

/* ---- the run ---- */

/* Starts a round; its stdout is the pipe whose reading end is returned. */
static FILE *start_round(const struct run_options *options, const char *folder, int64_t round,
                         int cpu, pid_t *pid, struct err *err)
{
    char round_text[24], cpu_text[24], seed_text[24];
    snprintf(round_text, sizeof(round_text), "%" PRId64, round);
    snprintf(cpu_text, sizeof(cpu_text), "%d", cpu);
    snprintf(seed_text, sizeof(seed_text), "%" PRIu64, options->seed);
    int ends[2];
    if (pipe(ends) != 0 || (*pid = fork()) < 0) {
        err_set(err, "cannot start a round: %s", strerror(errno));
        return NULL;
    }
    if (*pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "seqbench", "round", "--round", round_text, "--cpu", cpu_text,
              "--seed", seed_text, "-o", folder, options->flush_to_zero ? NULL : "--no-ftz",
              (char *)NULL);
        fprintf(stderr, "seqbench: cannot start itself: %s\n", strerror(errno));
        _exit(1);
    }
    close(ends[1]);
    return fdopen(ends[0], "r");
}

/* Waits for a round, showing progress; says in err how it ended when it did not end well. */
static bool follow_round(FILE *from_round, pid_t pid, const struct plan *plan,
                         struct progress *progress, struct err *err)
{
    char line[64];
    int64_t last = -1;
    while (fgets(line, sizeof(line), from_round)) {
        last = strtoll(line, NULL, 10);
        progress_advance(progress, plan, last);
    }
    fclose(from_round);
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(err, "lost sight of a round: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFEXITED(status))
        return err_passed_on(err, WEXITSTATUS(status)); /* the round has said why */
    const struct visit *v = &plan->visits[last + 1 < plan->count ? last + 1 : last];
    err_set(err, "%s S=%" PRId64 " H=%" PRId64 ": ended by signal %d (%s)", v->kernel->name,
            v->dims.S, v->dims.H, WTERMSIG(status), strsignal(WTERMSIG(status)));
    err->status = 1;
    return false;
}

static bool run_rounds(const struct run_options *options, const struct plan *plan,
                       const char *folder, int cpu, struct err *err)
{
    struct progress progress;
    progress_start(&progress, plan);
    bool ok = true;
    for (int64_t round = 0; ok && round < options->grid.rounds; round++) {
        pid_t pid;
        FILE *from_round = start_round(options, folder, round, cpu, &pid, err);
        ok = from_round && follow_round(from_round, pid, plan, &progress, err);
    }
    progress_end(&progress);
    return ok;
}

static cJSON *sizes_json(const struct sizes *sizes)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < sizes->count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)sizes->v[i]));
    return list;
}

static cJSON *describe_run(const struct run_options *options, const struct plan *plan,
                           const char *started_utc)
{
    cJSON *run = cJSON_CreateObject();
    char seed[24];
    snprintf(seed, sizeof(seed), "%" PRIu64, options->seed);
    cJSON_AddStringToObject(run, "started_utc", started_utc);
    cJSON_AddStringToObject(run, "kernels", options->globs);
    cJSON_AddStringToObject(run, "grid", options->grid.name);
    cJSON_AddItemToObject(run, "seq_len", sizes_json(&options->grid.seq_len));
    cJSON_AddItemToObject(run, "hid_size", sizes_json(&options->grid.hid_size));
    cJSON_AddItemToObject(run, "heads",
                          options->grid.heads.count ? sizes_json(&options->grid.heads)
                                                    : cJSON_CreateString("by HidSize"));
    cJSON_AddNumberToObject(run, "rounds", (double)options->grid.rounds);
    cJSON_AddNumberToObject(run, "visits", (double)plan->count);
    cJSON_AddStringToObject(run, "seed", seed);
    cJSON_AddBoolToObject(run, "flush_to_zero", options->flush_to_zero);
    return run;
}

/* Closes what fopen returned; fails when it, a write or the closing failed. */
static bool close_file(FILE *file, const char *path, struct err *err)
{
    const bool written = file && !ferror(file);
    if (file && fclose(file) == 0 && written)
        return true;
    return err_set(err, "%s: %s", path, strerror(errno));
}

static bool write_host(const struct run_options *options, const struct plan *plan,
                       hwloc_topology_t topology, int cpu, const char *path, struct err *err)
{
    char started[32];
    utc_stamp(started);
    cJSON *host = host_describe(topology, cpu);
    cJSON_AddItemToObject(host, "run", describe_run(options, plan, started));
    char *text = cJSON_Print(host);
    cJSON_Delete(host);
    FILE *file = fopen(path, "wx");
    if (file)
        fprintf(file, "%s\n", text);
    free(text);
    return close_file(file, path, err);
}

static bool write_plan(const struct plan *plan, const char *path, struct err *err)
{
    FILE *file = fopen(path, "wx");
    if (file)
        plan_write(plan, file);
    return close_file(file, path, err);
}

/* Checks the kernels that will be timed; the figures go to checks.csv. */
static bool write_checks(const char *globs, const char *path, struct err *err)
{
    FILE *file = fopen(path, "wx");
    const int failed = file ? check_kernels(globs, NULL, file, err) : 0;
    if (!close_file(file, path, err) || failed < 0)
        return false;
    if (failed == 0)
        return true;
    err_set(err, "%d of the kernels fail their check, nothing was timed; see `seqbench check`",
            failed);
    err->status = 1;
    return false;
}

/* The files of a run in the order in which they are made. */
static const char *const run_files[] = {"plan.csv", "host.json", "topology.xml", "checks.csv",
                                        "samples.csv"};

static bool write_files(const struct run_options *options, const struct plan *plan,
                        hwloc_topology_t topology, int cpu, const char *folder, struct err *err)
{
    char path[sizeof(run_files) / sizeof(run_files[0])][PATH_MAX];
    for (size_t i = 0; i < sizeof(run_files) / sizeof(run_files[0]); i++)
        snprintf(path[i], sizeof(path[i]), "%s/%s", folder, run_files[i]);
    return write_plan(plan, path[0], err) &&
           write_host(options, plan, topology, cpu, path[1], err) &&
           host_write_topology(topology, path[2], err) &&
           write_checks(options->globs, path[3], err) && samples_create(path[4], err);
}

static void remove_files(const char *folder)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof(run_files) / sizeof(run_files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, run_files[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* Creates the folder, which must be new, and those above it. */
static bool make_folder(const char *path, struct err *err)
{
    char part[PATH_MAX];
    if (*path == '\0' || strlen(path) >= sizeof(part) - 32)
        return err_set(err, "output folder '%.60s': the name is empty or too long", path);
    strcpy(part, path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return err_set(err, "%s: %s", part, strerror(errno));
        *slash = '/';
    }
    if (mkdir(path, 0777) == 0)
        return true;
    if (errno == EEXIST)
        return err_set(err, "%s: exists already; results are never overwritten", path);
    return err_set(err, "%s: %s", path, strerror(errno));
}

static bool enough_memory(const struct plan *plan, struct err *err)
{
    const struct visit *v = plan_largest(plan);
    const size_t bytes = case_bytes(v->kernel, v->dims);
    const int64_t available = memory_available();
    if ((int64_t)bytes <= available)
        return true;
    return err_set(err,
                   "%s S=%" PRId64 " H=%" PRId64 " heads=%" PRId64
                   ": needs %zu MiB of memory, %" PRId64 " MiB are available",
                   v->kernel->name, v->dims.S, v->dims.H, v->dims.A, bytes >> 20, available >> 20);
}

static void choose_folder(const struct run_options *options, char out[PATH_MAX])
{
    char cpu[64], stamp[32];
    const time_t now = time(NULL);
    struct tm utc;
    host_cpu_slug(cpu, sizeof(cpu));
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    if (options->folder)
        snprintf(out, PATH_MAX, "%s", options->folder);
    else
        snprintf(out, PATH_MAX, "results/%s/%s", cpu, stamp);
}

static bool run_planned(const struct run_options *options, const struct plan *plan,
                        hwloc_topology_t topology, int cpu, struct err *err)
{
    char folder[PATH_MAX];
    choose_folder(options, folder);
    if (!enough_memory(plan, err) || !make_folder(folder, err))
        return false;
    fprintf(stderr, "seqbench: core %d, %" PRId64 " rounds of %" PRId64 " cases, into %s\n", cpu,
            options->grid.rounds, plan->count / options->grid.rounds, folder);
    if (!write_files(options, plan, topology, cpu, folder, err)) {
        remove_files(folder);
        return false;
    }
    if (!run_rounds(options, plan, folder, cpu, err))
        return false;
    printf("%s\n", folder);
    return true;
}

/* What run and plan share: the machine, the core and the plan for them. */
static bool prepare(const struct run_options *options, hwloc_topology_t *topology, int *cpu,
                    struct plan *plan, struct err *err)
{
    if (!globs_check(options->globs, err) || !topology_load(topology, err))
        return false;
    if (pin_choose(*topology, options->cpu, cpu, err) &&
        plan_make(&options->grid, options->globs, pin_last_level_bytes(*topology, *cpu),
                  options->seed, plan, err))
        return true;
    hwloc_topology_destroy(*topology);
    return false;
}

bool runner_run(const struct run_options *options, struct err *err)
{
    hwloc_topology_t topology;
    struct plan plan;
    int cpu;
    if (!host_blas_is_serial(err) || !prepare(options, &topology, &cpu, &plan, err))
        return false;
    signal(SIGXFSZ, SIG_IGN);
    const bool ok = run_planned(options, &plan, topology, cpu, err);
    plan_free(&plan);
    hwloc_topology_destroy(topology);
    return ok;
}

bool runner_plan(const struct run_options *options, struct err *err)
{
    hwloc_topology_t topology;
    struct plan plan;
    int cpu;
    if (!prepare(options, &topology, &cpu, &plan, err))
        return false;
    plan_write(&plan, stdout);
    plan_free(&plan);
    hwloc_topology_destroy(topology);
    return true;
}
