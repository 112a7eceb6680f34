/*
 * runner.c - the parent of a run. Each round is this program started anew, so that every round has
 * its own address layout. What a round has done is read back from samples.csv, the one place where
 * it is written down; so going on after a crash, a kill or an interruption is the same loop.
 */
#define _GNU_SOURCE /* pipe2 */
#include "run/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases/case.h"
#include "cases/kernel.h"
#include "machine/host.h"
#include "measure/pin.h"
#include "peers/peer.h"
#include "run/append.h"
#include "run/lock.h"
#include "run/progress.h"
#include "run/round.h"
#include "run/run_folder.h"
#include "run/samples.h"

/* A run in progress. */
struct run {
    const struct options *options; /* of this session; the run's settings may be older */
    const struct settings *settings;
    const char *folder;
    struct plan plan;
    int64_t cases; /* visits of round 0 */
    struct history history;
    struct progress progress;
    double started_ns, busy_ns;
    int64_t rounds_made; /* in this session */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
}

/* ---- one round ---- */

/* A round as its parent sees it. */
struct child {
    pid_t pid;
    int fd;           /* its stdout */
    int64_t visiting; /* order of the visit at hand; -1: none yet */
    double since_ns;  /* when that began */
    char line[64];
    size_t length;
};

enum ending { DONE, REFUSED, CRASHED, TIMED_OUT, INTERRUPTED };

/* Variables that Google Benchmark reads before main and that would change what a sample is. */
static const char *const steering[] = {"BENCHMARK_REPETITIONS",
                                       "BENCHMARK_FILTER",
                                       "BENCHMARK_LIST_TESTS",
                                       "BENCHMARK_MIN_TIME",
                                       "BENCHMARK_MIN_WARMUP_TIME",
                                       "BENCHMARK_ENABLE_RANDOM_INTERLEAVING",
                                       "BENCHMARK_REPORT_AGGREGATES_ONLY",
                                       "BENCHMARK_DISPLAY_AGGREGATES_ONLY",
                                       "BENCHMARK_PERF_COUNTERS",
                                       "BENCHMARK_OUT"};

/* The round reads everything else from host.json of the folder. */
static void exec_round(const struct run *run, int64_t round, double deadline_ns)
{
    char number[2][32];
    snprintf(number[0], sizeof(number[0]), "%" PRId64, round);
    snprintf(number[1], sizeof(number[1]), "%.0f", fmin(deadline_ns, 9e17));
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no round outlives its run */
    for (size_t i = 0; i < sizeof(steering) / sizeof(steering[0]); i++)
        unsetenv(steering[i]);
    execl("/proc/self/exe", "seqbench", "round", "--round", number[0], "--deadline", number[1],
          "-o", run->folder, (char *)NULL);
    fprintf(stderr, "seqbench: cannot start itself: %s\n", strerror(errno));
    _exit(1);
}

static bool start_round(const struct run *run, int64_t round, double deadline_ns,
                        struct child *child, struct err *err)
{
    int ends[2];
    *child = (struct child){.visiting = -1, .since_ns = monotonic_ns()};
    if (pipe2(ends, O_CLOEXEC) != 0 || (child->pid = fork()) < 0)
        return err_set(err, "cannot start a round: %s", strerror(errno));
    if (child->pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        exec_round(run, round, deadline_ns);
    }
    close(ends[1]);
    child->fd = ends[0];
    return true;
}

static void take_line(struct run *run, struct child *child)
{
    int64_t order;
    double busy_ns;
    if (sscanf(child->line, "start %" SCNd64, &order) == 1 && order >= 0 &&
        order < run->plan.count) {
        child->visiting = order;
        child->since_ns = monotonic_ns();
    } else if (sscanf(child->line, "end %" SCNd64 " %lf", &order, &busy_ns) == 2 &&
               order == child->visiting) {
        run->busy_ns += busy_ns;
        progress_advance(&run->progress, &run->plan, order);
    }
}

/* Reads what the round has said; false at its end. */
static bool take_lines(struct run *run, struct child *child)
{
    char text[512];
    const ssize_t got = read(child->fd, text, sizeof(text));
    if (got <= 0)
        return got < 0 && errno == EINTR;
    for (ssize_t i = 0; i < got; i++) {
        if (text[i] != '\n' && child->length + 1 < sizeof(child->line)) {
            child->line[child->length++] = text[i];
            continue;
        }
        child->line[child->length] = '\0';
        child->length = 0;
        take_line(run, child);
    }
    return true;
}

/* Follows a round to its end and reaps it. */
static enum ending follow_round(struct run *run, struct child *child, int *status)
{
    enum ending forced = DONE;
    const double timeout_ns = 1e9 * (double)run->options->timeout_s;
    for (bool open = true; open && forced == DONE;) {
        struct pollfd ready = {.fd = child->fd, .events = POLLIN};
        const int events = poll(&ready, 1, 200);
        if (interrupted)
            forced = INTERRUPTED;
        else if (events > 0)
            open = take_lines(run, child);
        else if (monotonic_ns() - child->since_ns > timeout_ns)
            forced = TIMED_OUT;
    }
    if (forced != DONE)
        kill(child->pid, SIGKILL); /* a row is one write: it is whole or cut off when resuming */
    close(child->fd);
    while (waitpid(child->pid, status, 0) < 0 && errno == EINTR)
        ;
    if (forced != DONE)
        return forced;
    if (WIFSIGNALED(*status))
        return interrupted ? INTERRUPTED : CRASHED;
    return WEXITSTATUS(*status) == 0 ? DONE : REFUSED;
}

/* ---- what samples.csv says ---- */

static bool read_back(struct run *run, struct err *err)
{
    char path[PATH_MAX];
    if (run->settings->conditions.count > 0) {
        run_folder_path(run->folder, "calls.csv", path);
        if (!history_repair(path, err))
            return false;
    }
    run_folder_path(run->folder, "samples.csv", path);
    history_free(&run->history);
    return history_repair(path, err) && history_read(path, &run->history, err);
}

/* A row for a case that crashed or hung; it costs this case only. */
static bool append_failure(const struct run *run, int64_t order, const char *error, struct err *err)
{
    char path[PATH_MAX];
    struct sample sample = {.visit = run->plan.visits[order], .error = error};
    for (int64_t i = 0; i < run->history.count; i++)
        sample.index += run->history.records[i].order == order;
    sample.condition.kind = run->settings->cold ? COLD : HOT;
    if (run->settings->conditions.count > 0)
        sample.condition = run->settings->conditions.v[sample.index];
    run_folder_path(run->folder, "samples.csv", path);
    const int fd = append_open(path, err);
    if (fd < 0)
        return false;
    const bool ok = samples_append(fd, &sample, err);
    close(fd);
    char dims[DIMS_TEXT];
    fprintf(stderr, "seqbench: %s %s %s: %s; the run goes on without it\n",
            sample.visit.kernel->name, sample.visit.kernel->engine_name,
            dims_text(sample.visit.dims, dims), error);
    return ok;
}

/* ---- a round, however often it must be started ---- */

static bool give_up(const struct run *run, struct err *err)
{
    err_set(err,
            "interrupted; %" PRId64 " samples are in %s; go on with `seqbench run --resume %s`",
            run->history.count, run->folder, run->folder);
    err->status = 128 + interrupted;
    return false;
}

/* Handles how a round ended; *again when it is to be started once more. */
static bool after_round(struct run *run, const struct child *child, enum ending ending, int status,
                        bool *again, struct err *err)
{
    char error[128];
    *again = false;
    if (ending == REFUSED)
        return err_passed_on(err, WEXITSTATUS(status)); /* the round has said why */
    if (!read_back(run, err))
        return false;
    if (ending == DONE)
        return true;
    if (ending == INTERRUPTED)
        return give_up(run, err);
    if (ending == CRASHED)
        snprintf(error, sizeof(error), "ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(error, sizeof(error), "no end after %" PRId64 " s", run->options->timeout_s);
    if (child->visiting < 0) {
        err_set(err, "a round did not reach its first case: %s", error);
        err->status = 1;
        return false;
    }
    *again = true;
    return append_failure(run, child->visiting, error, err) && read_back(run, err);
}

static bool round_is_complete(const struct run *run, int64_t round)
{
    for (int64_t i = 0; i < run->plan.count; i++)
        if (run->plan.visits[i].round == round &&
            !visit_is_complete(&run->history, i, run->settings))
            return false;
    return true;
}

static bool is_paused(const struct run *run)
{
    return run->options->pause_after > 0 && run->rounds_made >= run->options->pause_after;
}

static bool run_round(struct run *run, int64_t round, double deadline_ns, struct err *err)
{
    if (round_is_complete(run, round) || is_paused(run))
        return true;
    run->rounds_made++;
    for (bool again = true; again;) {
        struct child child;
        int status = 0;
        if (!start_round(run, round, deadline_ns, &child, err))
            return false;
        const enum ending ending = follow_round(run, &child, &status);
        if (!after_round(run, &child, ending, status, &again, err))
            return false;
    }
    return true;
}

/* ---- which cases are visited again ---- */

/* A case whose interval is too wide, and what an additional visit is worth. */
struct candidate {
    struct visit visit;
    double cost_s, gain; /* gain: width over cost */
};

static int by_gain(const void *a, const void *b)
{
    const double x = ((const struct candidate *)a)->gain, y = ((const struct candidate *)b)->gain;
    return (x < y) - (x > y);
}

static struct estimate *estimate_cases(const struct run *run)
{
    struct estimate *estimates = malloc((size_t)run->cases * sizeof(*estimates));
    if (!estimates)
        abort();
    history_estimate(&run->history, &run->plan, run->cases, estimates);
    return estimates;
}

static bool is_unstable(const struct estimate *estimate, double until)
{
    return !estimate->failed && !(estimate->half_width <= until);
}

/* Fills out with the cases that narrow most per second and fit into left_s; returns how many. */
static int64_t choose_cases(const struct run *run, double left_s, struct visit *out)
{
    struct estimate *estimates = estimate_cases(run);
    struct candidate *candidates = malloc((size_t)run->cases * sizeof(*candidates));
    if (!candidates)
        abort();
    int64_t count = 0, chosen = 0;
    for (int64_t i = 0; i < run->cases; i++) {
        if (!is_unstable(&estimates[i], run->settings->until))
            continue;
        const double cost_s = visit_s(1e-9 * estimates[i].median_ns, run->settings->samples);
        const double width = fmin(estimates[i].half_width, 1.0);
        candidates[count++] = (struct candidate){run->plan.visits[i], cost_s, width / cost_s};
    }
    qsort(candidates, (size_t)count, sizeof(*candidates), by_gain);
    for (int64_t i = 0; i < count; i++)
        if (candidates[i].cost_s <= left_s) {
            left_s -= candidates[i].cost_s;
            out[chosen++] = candidates[i].visit;
        }
    free(candidates);
    free(estimates);
    return chosen;
}

static double seconds_left(const struct run *run)
{
    return (double)run->settings->grid.budget_s - 1e-9 * (monotonic_ns() - run->started_ns);
}

/* Plans one more round of what is still unstable; *more is false when there is none. */
static bool plan_more(struct run *run, bool *more, struct err *err)
{
    struct visit *chosen = malloc((size_t)run->cases * sizeof(*chosen));
    if (!chosen)
        abort();
    const int64_t count = choose_cases(run, seconds_left(run), chosen);
    const int64_t first = run->plan.count;
    *more = count > 0 && run->plan.visits[first - 1].round + 1 < ROUNDS_MAX;
    if (*more)
        plan_add_round(&run->plan, chosen, count, (uint64_t)run->settings->seed);
    free(chosen);
    for (int64_t i = first; i < run->plan.count; i++)
        progress_expect(&run->progress, &run->plan.visits[i]);
    return !*more || run_folder_write_plan(&run->plan, run->folder, err);
}

/* ---- the run ---- */

/* Says how it went; fails when no sample came out of it. */
static bool report(const struct run *run, struct err *err)
{
    struct estimate *estimates = estimate_cases(run);
    int64_t flagged = 0, failed = 0, unstable = 0;
    for (int64_t i = 0; i < run->cases; i++) {
        flagged += estimates[i].flagged;
        failed += estimates[i].failed;
        unstable += is_unstable(&estimates[i], run->settings->until);
    }
    free(estimates);
    const double elapsed_ns = monotonic_ns() - run->started_ns;
    fprintf(stderr,
            "seqbench: %" PRId64 " samples, %" PRId64 " of them disturbed; of %" PRId64 " cases ",
            run->history.count, flagged, run->cases);
    if (run->settings->conditions.count == 0)
        fprintf(stderr, "%" PRId64 " unstable (interval wider than %.3g %%), ", unstable,
                100.0 * run->settings->until);
    fprintf(stderr, "%" PRId64 " failed\n", failed);
    fprintf(stderr, "seqbench: %.0f s, %.1f %% of them inside timed kernels or their warm-up\n",
            1e-9 * elapsed_ns, 100.0 * run->busy_ns / elapsed_ns);
    if (failed < run->cases)
        return true;
    err_set(err, "no case could be timed; samples.csv in %s says why", run->folder);
    err->status = 1;
    return false;
}

static bool run_all(struct run *run, struct err *err)
{
    const int64_t planned = run->plan.visits[run->plan.count - 1].round;
    const double budget_ns = 1e9 * (double)run->settings->grid.budget_s;
    const double deadline_ns = budget_ns > 0.0 ? run->started_ns + budget_ns : HUGE_VAL;
    for (int64_t round = 0; round <= planned; round++)
        if (!run_round(run, round, round == 0 ? HUGE_VAL : deadline_ns, err))
            return false;
    /* A stream is as long as it was asked to be. */
    for (bool more = run->settings->conditions.count == 0; more && !is_paused(run);) {
        if (!plan_more(run, &more, err))
            return false;
        if (more && !run_round(run, run->plan.visits[run->plan.count - 1].round, deadline_ns, err))
            return false;
    }
    return true;
}

/* But for those that are ignored on purpose, as nohup does. */
static void catch_interrupts(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction action;
        sigaction(numbers[i], NULL, &action);
        if (action.sa_handler == SIG_IGN)
            continue;
        action = (struct sigaction){.sa_handler = on_interrupt};
        sigaction(numbers[i], &action, NULL);
    }
}

/* From a folder whose files are there: all rounds, then the report. */
static bool conduct(struct run *run, struct err *err)
{
    catch_interrupts();
    run->started_ns = monotonic_ns();
    while (run->cases < run->plan.count && run->plan.visits[run->cases].round == 0)
        run->cases++;
    if (!read_back(run, err))
        return false;
    progress_start(&run->progress, &run->plan, run->settings);
    for (int64_t i = 0; i < run->plan.count; i++)
        if (!visit_is_complete(&run->history, i, run->settings))
            progress_expect(&run->progress, &run->plan.visits[i]);
    const bool ok = run_all(run, err);
    progress_end(&run->progress);
    const bool timed = ok && report(run, err);
    if (timed && is_paused(run))
        fprintf(stderr, "seqbench: paused; go on with `seqbench run --resume %s`\n", run->folder);
    else if (timed)
        printf("%s\n", run->folder);
    history_free(&run->history);
    return timed;
}

/* Maps the largest case once, so that a refusal comes before anything is written. */
static bool enough_memory(const struct plan *plan, struct err *err)
{
    const struct visit *v = plan_largest(plan);
    struct arena arena;
    struct err cause;
    if (arena_map(case_bytes(v->kernel, v->dims), &arena, &cause)) {
        arena_unmap(&arena);
        return true;
    }
    char dims[DIMS_TEXT];
    return err_set(err, "%s %s: %.700s", v->kernel->name, dims_text(v->dims, dims), cause.text);
}

/* What a new run and plan share: the core and the plan for it. */
static bool make_plan(const struct settings *settings, hwloc_topology_t topology, int *cpu,
                      struct plan *plan, struct err *err)
{
    return pin_choose(topology, (int)settings->cpu, cpu, err) &&
           plan_make(&settings->grid, settings_selection(settings),
                     pin_last_level_bytes(topology, *cpu), (uint64_t)settings->seed, stderr, plan,
                     err);
}

enum { DURATION_TEXT = 2 * MINUTES_TEXT + 32 };

/* ", about 0:40, at most 1:00". The budget ends what is planned, or what is added to it, but the first
 * round is made in any case. How long a stream's calls take is not guessed. */
static const char *duration_text(const struct run *run, char out[DURATION_TEXT])
{
    const double budget_s = (double)run->settings->grid.budget_s;
    const int64_t samples = run->settings->samples;
    const double most_s = fmax(budget_s, progress_guess_s(&run->plan, 1, samples));
    double about_s = progress_guess_s(&run->plan, ROUNDS_MAX, samples);
    char about[MINUTES_TEXT], most[MINUTES_TEXT];
    if (budget_s > 0.0)
        about_s = fmin(about_s, most_s);
    progress_minutes(fmax(about_s, 1.0), about);
    progress_minutes(most_s, most);
    const bool guessed = run->settings->conditions.count == 0;
    const bool ends = budget_s > 0.0 && !(guessed && strcmp(about, most) == 0);
    snprintf(out, DURATION_TEXT, "%s%s%s%s", guessed ? ", about " : "", guessed ? about : "",
             ends ? ", at most " : "", ends ? most : "");
    return out;
}

static bool run_new(const struct options *options, hwloc_topology_t topology, struct err *err)
{
    char folder[PATH_MAX];
    int cpu;
    struct settings settings = options->settings;
    struct run run = {.options = options, .settings = &settings, .folder = folder};
    run_folder_name(options->folder, folder);
    if (!selection_check(settings_selection(&settings), err) ||
        (settings.fifo && !(pin_set_fifo(true, err) && pin_set_fifo(false, err))))
        return false;
    if (!make_plan(&settings, topology, &cpu, &run.plan, err))
        return false;
    settings.cpu = cpu;
    bool ok = enough_memory(&run.plan, err) && lock_core(cpu, folder, options->wait_s, err) &&
              run_folder_create(&settings, &run.plan, topology, folder, err);
    if (ok) {
        const int64_t rounds = settings.grid.rounds;
        char duration[DURATION_TEXT];
        fprintf(stderr, "seqbench: core %d, %" PRId64 " rounds of %" PRId64 " cases%s, into %s\n",
                cpu, rounds, run.plan.count / rounds, duration_text(&run, duration), folder);
        ok = conduct(&run, err);
    }
    plan_free(&run.plan);
    return ok;
}

static bool run_resumed(const struct options *options, hwloc_topology_t topology, struct err *err)
{
    char path[PATH_MAX];
    int cpu;
    struct settings settings;
    struct run run = {.options = options, .settings = &settings, .folder = options->resume};
    if (!run_folder_is_ours(run.folder, topology, err) ||
        !run_folder_read_settings(run.folder, &settings, err) || !peers_start(&settings, err))
        return false;
    run_folder_path(run.folder, "plan.csv", path);
    if (!pin_choose(topology, (int)settings.cpu, &cpu, err) ||
        !lock_core(cpu, run.folder, options->wait_s, err) || !plan_read(path, &run.plan, err))
        return false;
    fprintf(stderr, "seqbench: core %d, going on with %s\n", cpu, run.folder);
    const bool ok = enough_memory(&run.plan, err) && conduct(&run, err);
    plan_free(&run.plan);
    return ok;
}

bool runner_run(const struct options *options, struct err *err)
{
    hwloc_topology_t topology;
    signal(SIGXFSZ, SIG_IGN); /* a file size limit shows as EFBIG, like a full disk */
    if (!host_blas_is_serial(err) || !topology_load(&topology, err))
        return false;
    const bool ok =
        *options->resume ? run_resumed(options, topology, err) : run_new(options, topology, err);
    hwloc_topology_destroy(topology);
    return ok;
}

bool runner_plan(const struct settings *settings, struct err *err)
{
    hwloc_topology_t topology;
    struct plan plan;
    int cpu;
    if (!selection_check(settings_selection(settings), err) || !topology_load(&topology, err))
        return false;
    const bool ok = make_plan(settings, topology, &cpu, &plan, err);
    if (ok) {
        plan_write(&plan, stdout);
        plan_free(&plan);
    }
    hwloc_topology_destroy(topology);
    return ok;
}
