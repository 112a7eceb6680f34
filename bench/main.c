/* main.c - subcommands and options only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases/kernel.h"
#include "check/case_folder.h"
#include "check/check.h"
#include "machine/doctor.h"
#include "machine/host.h"
#include "measure/pin.h"
#include "run/runner.h"

enum { EXIT_CHECK_FAILED = 1 };

static const char usage[] =
    "usage:\n"
    "  seqbench list [--csv]                  kernels: name, equation\n"
    "  seqbench check [-k GLOB]               every kernel against its reference\n"
    "  seqbench verify DIR...                 every variant against the tensors of case folders\n"
    "  seqbench dump -k KERNEL -S n -H n [--heads n] [--seed n] -o DIR\n"
    "                                         write such a folder from a kernel's own tensors\n"
    "  seqbench plan [options]                the plan that run would follow, as CSV\n"
    "  seqbench run [options] [-o DIR]        time; the folder's name goes to stdout\n"
    "  seqbench host                          host.json on stdout\n"
    "  seqbench doctor [--cpu n] [--warnings] what disturbs timings here, and what to do about it\n"
    "options of plan and run:\n"
    "  -k GLOB        kernels, several with commas: 'lstm/*,rnn.step,!*/packed' (all); ! takes "
    "out\n"
    "  -g NAME|FILE   grid: quick, default, peers, full or a file (default)\n"
    "  -S LIST        SeqLen instead of the grid's: 64,128 or 16:4096:x2 or 64:512:+64\n"
    "  -H LIST        HidSize instead of the grid's\n"
    "  --heads LIST   HeadCount (head size 64 where HidSize allows it)\n"
    "  --rounds n     processes that visit every case once (the grid's)\n"
    "  --cpu n        core to measure on (chosen)\n"
    "  --seed n       of inputs and order (1)\n"
    "  --no-ftz       keep subnormal numbers\n"
    "options of run:\n"
    "  --samples n    of a case in a round, when its runs are short (3)\n"
    "  --until REL    go on until 95 % intervals of medians are within REL, 0.02 is 2 % (0.02)\n"
    "  --budget n     but begin nothing after n seconds, the first round apart (the grid's);\n"
    "                 0: the planned rounds and no more\n"
    "  --cache hot|cold   cold: evict the caches before each iteration (hot)\n"
    "  --timeout n    give a case up after n seconds (600)\n"
    "  --wait n       wait up to n seconds for another run on the same core (0)\n"
    "  --pause-after n   stop after n rounds, to be resumed: two runs can take turns (never)\n"
    "  --resume DIR   go on with an interrupted run, with its options\n"
    "SEQBENCH_LOCKS=DIR in the environment: where runs that share a core lock it (/tmp)\n";

/* What the command line says; NULL: not given. */
struct arguments {
    const char *kernels, *grid, *seq_len, *hid_size, *heads, *rounds, *cpu, *seed, *folder;
    const char *engine, *samples, *until, *budget, *cache, *timeout, *wait, *resume, *pause, *round,
        *deadline;
    bool csv, no_ftz, warnings;
    const char *operand[256];
    int operands;
};

enum {
    LIST = 1,
    CHECK = 2,
    VERIFY = 4,
    DUMP = 8,
    PLAN = 16,
    RUN = 32,
    HOST = 64,
    ROUND = 128,
    DOCTOR = 256
};

static const struct option {
    const char *name;
    int commands; /* that take it */
    size_t value; /* offset of a const char *, or */
    size_t flag;  /* offset of a bool */
} options[] = {
#define VALUE(name, commands, field)                                                               \
    {                                                                                              \
        name, commands, offsetof(struct arguments, field), 0                                       \
    }
#define FLAG(name, commands, field)                                                                \
    {                                                                                              \
        name, commands, 0, offsetof(struct arguments, field)                                       \
    }
    FLAG("--csv", LIST, csv),
    FLAG("--no-ftz", PLAN | RUN | ROUND, no_ftz),
    FLAG("--warnings", DOCTOR, warnings),
    VALUE("-k", CHECK | DUMP | PLAN | RUN, kernels),
    VALUE("--engine", CHECK | DUMP | PLAN | RUN, engine),
    VALUE("-g", PLAN | RUN, grid),
    VALUE("-S", DUMP | PLAN | RUN, seq_len),
    VALUE("-H", DUMP | PLAN | RUN, hid_size),
    VALUE("--heads", DUMP | PLAN | RUN, heads),
    VALUE("--rounds", PLAN | RUN, rounds),
    VALUE("--cpu", PLAN | RUN | ROUND | DOCTOR, cpu),
    VALUE("--seed", DUMP | PLAN | RUN | ROUND, seed),
    VALUE("-o", DUMP | RUN | ROUND, folder),
    VALUE("--samples", RUN | ROUND, samples),
    VALUE("--until", RUN, until),
    VALUE("--budget", RUN, budget),
    VALUE("--cache", RUN | ROUND, cache),
    VALUE("--timeout", RUN, timeout),
    VALUE("--wait", RUN, wait),
    VALUE("--pause-after", RUN, pause),
    VALUE("--resume", RUN, resume),
    VALUE("--round", ROUND, round),
    VALUE("--deadline", ROUND, deadline),
#undef VALUE
#undef FLAG
};

static const struct option *find_option(const char *name)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static bool parse_arguments(int command, const char *name, char **argv, struct arguments *out,
                            struct err *err)
{
    *out = (struct arguments){0};
    char *base = (char *)out;
    for (; *argv; argv++) {
        if ((*argv)[0] != '-') {
            if (command != VERIFY)
                return err_set(err, "%s: unexpected '%s'", name, *argv);
            if (out->operands == sizeof(out->operand) / sizeof(out->operand[0]))
                return err_set(err, "%s: too many folders", name);
            out->operand[out->operands++] = *argv;
            continue;
        }
        const struct option *option = find_option(*argv);
        if (!option || !(option->commands & command))
            return err_set(err, "%s: unknown option '%s'; see `seqbench help`", name, *argv);
        if (option->flag) {
            *(bool *)(void *)(base + option->flag) = true;
            continue;
        }
        if (!argv[1])
            return err_set(err, "%s: option '%s' needs a value", name, *argv);
        *(const char **)(void *)(base + option->value) = *++argv;
    }
    return true;
}

static bool parse_natural(const char *text, const char *what, uint64_t max, uint64_t *out,
                          struct err *err)
{
    char *end;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || strlen(text) > 18 || value > max)
        return err_set(err, "%s: '%s' is not a whole number from 0 to %" PRIu64, what, text, max);
    *out = value;
    return true;
}

static const uint64_t seed_max = 999999999999999999, cpu_max = 65535, seconds_max = 10000000;

enum { SAMPLES_MAX = 1000 };

static bool parse_seconds(const char *text, const char *what, int64_t *out, struct err *err)
{
    uint64_t value = 0;
    if (text && !parse_natural(text, what, seconds_max, &value, err))
        return false;
    if (text)
        *out = (int64_t)value;
    return true;
}

static bool parse_share(const char *text, const char *what, double *out, struct err *err)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0.0 && value <= 1.0))
        return err_set(err, "%s: '%s' is not a number above 0 and up to 1", what, text);
    *out = value;
    return true;
}

static bool parse_cache(const char *text, bool *cold, struct err *err)
{
    *cold = strcmp(text, "cold") == 0;
    return *cold || strcmp(text, "hot") == 0 ||
           err_set(err, "--cache: '%s' is neither hot nor cold", text);
}

/* What run and round have in common. */
static bool parse_settings(const struct arguments *args, struct settings *out, struct err *err)
{
    *out = (struct settings){
        .cpu = -1, .seed = 1, .flush_to_zero = !args->no_ftz, .samples = 3, .until = 0.02};
    uint64_t cpu = 0;
    if ((args->seed && !parse_natural(args->seed, "--seed", seed_max, &out->seed, err)) ||
        (args->cpu && !parse_natural(args->cpu, "--cpu", cpu_max, &cpu, err)) ||
        (args->samples &&
         !parse_count(args->samples, "--samples", SAMPLES_MAX, &out->samples, err)) ||
        (args->until && !parse_share(args->until, "--until", &out->until, err)) ||
        (args->cache && !parse_cache(args->cache, &out->cold, err)))
        return false;
    if (args->cpu)
        out->cpu = (int)cpu;
    return true;
}

static bool parse_grid(const struct arguments *args, struct grid *out, struct err *err)
{
    return grid_load(args->grid ? args->grid : "default", out, err) &&
           (!args->seq_len ||
            parse_sizes(args->seq_len, "-S", dimensions[DIM_S].max, &out->sizes[DIM_S], err)) &&
           (!args->hid_size ||
            parse_sizes(args->hid_size, "-H", dimensions[DIM_H].max, &out->sizes[DIM_H], err)) &&
           (!args->heads ||
            parse_sizes(args->heads, "--heads", dimensions[DIM_A].max, &out->sizes[DIM_A], err)) &&
           (!args->rounds ||
            parse_count(args->rounds, "--rounds", ROUNDS_MAX, &out->rounds, err)) &&
           parse_seconds(args->budget, "--budget", &out->budget_s, err);
}

/* A resumed run has its plan and its settings in its folder. */
static bool resume_stands_alone(const struct arguments *args, struct err *err)
{
    if (!args->resume ||
        !(args->kernels || args->grid || args->seq_len || args->hid_size || args->heads ||
          args->rounds || args->cpu || args->seed || args->samples || args->until || args->budget ||
          args->cache || args->folder || args->no_ftz))
        return true;
    return err_set(err, "--resume: the run's options are those it was started with; only "
                        "--timeout, --wait and --pause-after may be given");
}

static bool parse_run_options(const struct arguments *args, struct run_options *out,
                              struct err *err)
{
    *out = (struct run_options){
        .selection = {args->kernels ? args->kernels : "*",
                      args->engine ? args->engine : ENGINES_OF_THE_SUITE},
        .folder = args->folder,
        .resume = args->resume,
        .timeout_s = 600,
    };
    if (!resume_stands_alone(args, err) || !parse_grid(args, &out->grid, err) ||
        !parse_settings(args, &out->settings, err) ||
        !parse_seconds(args->timeout, "--timeout", &out->timeout_s, err) ||
        !parse_seconds(args->wait, "--wait", &out->wait_s, err) ||
        (args->pause &&
         !parse_count(args->pause, "--pause-after", ROUNDS_MAX, &out->pause_after, err)))
        return false;
    out->settings.budget_s = out->grid.budget_s;
    return true;
}

static bool command_list(const struct arguments *args, struct err *err)
{
    (void)err;
    if (args->csv)
        kernels_write_csv((struct selection){"*", "all"}, stdout);
    for (int i = 0; kernel_at(i) && !args->csv; i++)
        printf("%-26s %-8s %s\n%-26s   %s\n", kernel_at(i)->name, kernel_at(i)->engine_name,
               kernel_at(i)->layer->equation, "", kernel_at(i)->algorithm->method);
    return true;
}

static bool command_check(const struct arguments *args, struct err *err)
{
    const struct selection selection = {args->kernels ? args->kernels : "*",
                                        args->engine ? args->engine : "all"};
    if (!selection_check(selection, err))
        return false;
    const int failed = check_kernels(selection, stdout, NULL, err);
    if (failed > 0)
        err_passed_on(err, EXIT_CHECK_FAILED); /* each has its FAIL line */
    return failed == 0;
}

static bool command_verify(const struct arguments *args, struct err *err)
{
    struct folder_counts counts = {0};
    if (args->operands == 0)
        return err_set(err, "verify: which folder?");
    for (int i = 0; i < args->operands; i++)
        if (!folder_verify(args->operand[i], stdout, &counts, err))
            return false;
    printf("%d passed, %d failed, %d skipped\n", counts.passed, counts.failed, counts.skipped);
    if (counts.failed > 0)
        err_passed_on(err, EXIT_CHECK_FAILED);
    return counts.failed == 0;
}

static bool command_dump(const struct arguments *args, struct err *err)
{
    struct dims d = {0};
    uint64_t seed = 1;
    if (!args->kernels || !args->seq_len || !args->hid_size || !args->folder)
        return err_set(err, "dump: needs -k, -S, -H and -o");
    const struct kernel *kernel = kernel_find(args->kernels, args->engine);
    if (!kernel)
        return err_set(err, "dump: '%s' is no kernel; `seqbench list` names them", args->kernels);
    if (!parse_count(args->seq_len, "-S", dimensions[DIM_S].max, &d.S, err) ||
        !parse_count(args->hid_size, "-H", dimensions[DIM_H].max, &d.H, err) ||
        (args->heads && !parse_count(args->heads, "--heads", dimensions[DIM_A].max, &d.A, err)) ||
        (args->seed && !parse_natural(args->seed, "--seed", seed_max, &seed, err)))
        return false;
    if (!args->heads)
        d.A = kernel->layer->uses & USES(A) ? default_heads(d.H) : 1;
    const char *reason = kernel_refuses(kernel, d);
    if (reason)
        return err_set(err, "%s S=%" PRId64 " H=%" PRId64 " heads=%" PRId64 ": %s", kernel->name,
                       d.S, d.H, d.A, reason);
    return folder_dump(kernel, d, seed, args->folder, err);
}

static bool command_plan(const struct arguments *args, struct err *err)
{
    struct run_options run;
    return parse_run_options(args, &run, err) && runner_plan(&run, err);
}

static bool command_run(const struct arguments *args, struct err *err)
{
    struct run_options run;
    return parse_run_options(args, &run, err) && runner_run(&run, err);
}

static bool command_round(const struct arguments *args, struct err *err)
{
    struct settings settings;
    uint64_t round = 0, deadline_ns = 0;
    if (!args->folder || !args->round || !args->cpu || !args->deadline)
        return err_set(err, "round: is started by run");
    return parse_settings(args, &settings, err) &&
           parse_natural(args->round, "--round", ROUNDS_MAX, &round, err) &&
           parse_natural(args->deadline, "--deadline", seed_max, &deadline_ns, err) &&
           round_visit(args->folder, (int64_t)round, &settings, (double)deadline_ns, err);
}

static bool command_host(const struct arguments *args, struct err *err)
{
    (void)args;
    hwloc_topology_t topology;
    int cpu;
    if (!topology_load(&topology, err))
        return false;
    const bool ok = pin_choose(topology, -1, &cpu, err);
    if (ok) {
        cJSON *host = host_describe(topology, cpu);
        char *text = cJSON_Print(host);
        puts(text);
        free(text);
        cJSON_Delete(host);
    }
    hwloc_topology_destroy(topology);
    return ok;
}

static bool command_doctor(const struct arguments *args, struct err *err)
{
    uint64_t cpu = 0;
    return (!args->cpu || parse_natural(args->cpu, "--cpu", cpu_max, &cpu, err)) &&
           doctor_run(args->cpu ? (int)cpu : -1, args->warnings, stdout, err);
}

static const struct command {
    const char *name;
    int bit;
    bool (*run)(const struct arguments *args, struct err *err);
} commands[] = {
    {"list", LIST, command_list},       {"check", CHECK, command_check},
    {"verify", VERIFY, command_verify}, {"dump", DUMP, command_dump},
    {"plan", PLAN, command_plan},       {"run", RUN, command_run},
    {"host", HOST, command_host},       {"round", ROUND, command_round},
    {"doctor", DOCTOR, command_doctor},
};

static bool run_command(int argc, char **argv, struct err *err)
{
    if (argc < 2)
        return err_set(err, "which command? see `seqbench help`");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct arguments args;
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (!parse_arguments(commands[i].bit, argv[1], argv + 2, &args, err) ||
            !commands[i].run(&args, err))
            return false;
        return fflush(stdout) == 0 || err_set(err, "cannot write to stdout");
    }
    return err_set(err, "unknown command '%s'; see `seqbench help`", argv[1]);
}

int main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    struct err err;
    if (run_command(argc, argv, &err))
        return 0;
    fflush(stdout);
    if (err.text[0] != '\0')
        fprintf(stderr, "seqbench: %s\n", err.text);
    return err.status;
}
