/* main.c - subcommands only; their options are in cases/settings.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases/kernel.h"
#include "check/accuracy.h"
#include "check/case_folder.h"
#include "check/check.h"
#include "command_line.h"
#include "machine/doctor.h"
#include "machine/host.h"
#include "manual.h"
#include "measure/pin.h"
#include "peers/peer.h"
#include "run/round.h"
#include "run/runner.h"
#include "verb.h"

enum { EXIT_CHECK_FAILED = 1 };

static bool command_list(const struct call *call, struct err *err)
{
    const struct selection selection = settings_selection(&call->options.settings);
    if (!selection_check(selection, err))
        return false;
    if (call->options.csv)
        kernels_write_csv(selection, stdout);
    for (int i = 0; kernel_at(i) && !call->options.csv; i++)
        if (kernel_is_in(kernel_at(i), selection))
            printf("%-26s %-8s %s\n%-26s   %s%s\n", kernel_at(i)->name, kernel_at(i)->engine_name,
                   kernel_at(i)->layer->equation, "", kernel_at(i)->algorithm->method,
                   kernel_batches(kernel_at(i)) ? "" : " (one sequence only)");
    return true;
}

static bool command_check(const struct call *call, struct err *err)
{
    const struct selection selection = settings_selection(&call->options.settings);
    if (!selection_check(selection, err))
        return false;
    const int failed = check_kernels(selection, stdout, NULL, err);
    if (failed > 0)
        err_passed_on(err, EXIT_CHECK_FAILED); /* each has its FAIL line */
    return failed == 0;
}

static bool command_accuracy(const struct call *call, struct err *err)
{
    const struct settings *s = &call->options.settings;
    return accuracy_write(&s->grid, settings_selection(s), (uint64_t)s->seed, stdout, err);
}

static bool command_verify(const struct call *call, struct err *err)
{
    struct folder_counts counts = {0};
    if (!*call->operands)
        return err_set(err, "verify: which folder?");
    for (char **folder = call->operands; *folder; folder++)
        if (!folder_verify(*folder, stdout, &counts, err))
            return false;
    printf("%d passed, %d failed\n", counts.passed, counts.failed);
    if (counts.failed > 0)
        err_passed_on(err, EXIT_CHECK_FAILED);
    return counts.failed == 0;
}

static bool command_dump(const struct call *call, struct err *err)
{
    const struct settings *s = &call->options.settings;
    struct dims d = {0};
    const struct kernel *kernel = kernel_find(s->kernels, *s->engines ? s->engines : NULL);
    if (!kernel)
        return err_set(err, "dump: '%s' is no kernel%s%s; `seqbench list` names them", s->kernels,
                       *s->engines ? " with engine " : "", s->engines);
    for (int i = 0; i < DIMENSIONS; i++) {
        const struct sizes *sizes = &s->grid.sizes[i];
        if (sizes->count > 1)
            return err_set(err, "dump: sizes of %s: one, not %d", dimensions[i].name, sizes->count);
        dims_set(&d, i, sizes->count ? sizes->v[0] : 0);
    }
    d = kernel_dims(kernel, d);
    char text[DIMS_TEXT];
    const char *reason = kernel_refuses(kernel, d);
    if (reason)
        return err_set(err, "%s %s: %s", kernel->name, dims_text(d, text), reason);
    return folder_dump(kernel, d, (uint64_t)s->seed, call->options.folder, err);
}

static bool command_plan(const struct call *call, struct err *err)
{
    return runner_plan(&call->options.settings, err);
}

static bool command_run(const struct call *call, struct err *err)
{
    return runner_run(&call->options, err);
}

static bool command_round(const struct call *call, struct err *err)
{
    const struct options *o = &call->options;
    return round_visit(o->folder, o->round, (double)o->deadline_ns, err);
}

static bool command_host(const struct call *call, struct err *err)
{
    (void)call;
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

static bool command_doctor(const struct call *call, struct err *err)
{
    const struct options *o = &call->options;
    return doctor_run((int)o->settings.cpu, o->warnings, stdout, err);
}

extern const struct verb verbs[]; /* which man and completion tell of, and are in */

static bool command_man(const struct call *call, struct err *err)
{
    (void)call, (void)err;
    manual_page(verbs, stdout);
    return true;
}

static bool command_completion(const struct call *call, struct err *err)
{
    (void)call, (void)err;
    manual_completion(verbs, stdout);
    return true;
}

const struct verb verbs[] = {
    {"run", "", "time; the folder's name goes to stdout", RUN, command_run},
    {"stream", "", "time call by call, with the state carried on", STREAM, command_run},
    {"plan", "", "the plan that run would follow, as CSV", PLAN, command_plan},
    {"list", "", "kernels: name, equation", LIST, command_list},
    {"check", "", "every kernel against its reference", CHECK, command_check},
    {"verify", " DIR...", "every variant against the tensors of case folders", VERIFY,
     command_verify},
    {"accuracy", "", "how far results are from those of float32 weights in double, as CSV",
     ACCURACY, command_accuracy},
    {"dump", "", "write a case folder from a kernel's own tensors", DUMP, command_dump},
    {"host", "", "host.json on stdout", HOST, command_host},
    {"doctor", "", "what disturbs timings here, and what to do about it", DOCTOR, command_doctor},
    {"man", "", "the man page, as roff", MAN, command_man},
    {"completion", "", "a script for bash: eval \"$(seqbench completion)\"", COMPLETION,
     command_completion},
    {"round", "", NULL, ROUND, command_round},
    {0},
};

static const struct verb *find_verb(const char *name)
{
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (strcmp(name, verb->name) == 0)
            return verb;
    return NULL;
}

static void help_all(void)
{
    puts("usage: seqbench COMMAND [OPTION...]\n");
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (verb->help)
            printf("  %s%-*s %s\n", verb->name, 18 - (int)strlen(verb->name), verb->operands,
                   verb->help);
    puts("\n  COMMAND --help     the options of a command\n"
         "  --version          version, commit, compiler and libraries\n\n"
         "SEQBENCH_LOCKS=DIR in the environment: where runs that share a core lock it (/tmp)");
}

static void help_verb(const struct verb *verb)
{
    printf("usage: seqbench %s [OPTION...]%s\n%s\n\n", verb->name, verb->operands,
           verb->help ? verb->help
                      : "started by run; everything else is in host.json of the folder");
    command_line_help(verb->command, stdout);
}

static bool run_verb(const struct verb *verb, int argc, char **argv, struct err *err)
{
    struct call call;
    if (!command_line_parse(verb->command, argc, argv, &call.options, &call.operands, err))
        return false;
    if (!call.operands) {
        help_verb(verb);
        return true;
    }
    if (*call.operands && *verb->operands == '\0')
        return err_set(err, "%s: unexpected '%.60s'", verb->name, *call.operands);
    return peers_start(&call.options.settings, err) && verb->run(&call, err);
}

/* `seqbench help run` is `seqbench run --help`. */
static bool run_command(int argc, char **argv, struct err *err)
{
    if (argc < 2)
        return err_set(err, "which command? see `seqbench --help`");
    const bool help = strcmp(argv[1], "help") == 0;
    const struct verb *verb = find_verb(argv[help && argc > 2 ? 2 : 1]);
    if (verb && help)
        help_verb(verb);
    else if (verb)
        return run_verb(verb, argc - 1, argv + 1, err);
    else if ((help && argc == 2) || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        help_all();
    else if (strcmp(argv[1], "--version") == 0)
        host_print_version(stdout);
    else
        return err_set(err, "unknown %s '%.60s'; see `seqbench --help`",
                       argv[1][0] == '-' ? "option" : "command", argv[help ? 2 : 1]);
    return true;
}

int main(int argc, char **argv)
{
    struct err err;
    if (run_command(argc, argv, &err) &&
        (fflush(stdout) == 0 || err_set(&err, "cannot write to stdout")))
        return 0;
    fflush(stdout);
    if (err.text[0] != '\0')
        fprintf(stderr, "seqbench: %s\n", err.text);
    return err.status;
}
