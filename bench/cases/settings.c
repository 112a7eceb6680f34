/* settings.c - the table of options, and what their types are. */
#include "cases/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* ---- types: text to value, value to JSON ---- */

struct setting_type {
    bool (*parse)(const char *text, const struct setting *s, void *out, struct err *err);
    cJSON *(*json)(const void *value);
    enum offer offer;
    const char *words;
};

static bool parse_text(const char *text, const struct setting *s, void *out, struct err *err)
{
    if (strlen(text) >= OPTION_TEXT)
        return err_set(err, "%s: longer than %d characters", s->flag, OPTION_TEXT - 1);
    strcpy(out, text);
    return true;
}

static cJSON *text_json(const void *value)
{
    return cJSON_CreateString(value);
}

/* Without -o a run chooses; with it, a name must be there. */
static bool parse_folder(const char *text, const struct setting *s, void *out, struct err *err)
{
    if (*text == '\0')
        return err_set(err, "%s: the name is empty", s->flag);
    return parse_text(text, s, out, err);
}

static bool parse_grid(const char *text, const struct setting *s, void *out, struct err *err)
{
    (void)s;
    return grid_load(text, out, err);
}

static cJSON *grid_json(const void *value)
{
    return cJSON_CreateString(((const struct grid *)value)->name);
}

static const char by_layer[] = "by layer"; /* of a list that stays empty */

static bool parse_list(const char *text, const struct setting *s, void *out, struct err *err)
{
    if (strcmp(text, by_layer) != 0)
        return parse_sizes(text, s->flag, s->max, out, err);
    *(struct sizes *)out = (struct sizes){0};
    return true;
}

static cJSON *list_json(const void *value)
{
    const struct sizes *sizes = value;
    if (sizes->count == 0)
        return cJSON_CreateString(by_layer);
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < sizes->count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)sizes->v[i]));
    return list;
}

static bool parse_number(const char *text, const struct setting *s, void *out, struct err *err)
{
    return parse_whole(text, s->flag, s->min, s->max, out, err);
}

static cJSON *number_json(const void *value)
{
    return cJSON_CreateNumber((double)*(const int64_t *)value);
}

/* Of numbers that JSON would round. */
static cJSON *digits_json(const void *value)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRId64, *(const int64_t *)value);
    return cJSON_CreateString(digits);
}

static bool parse_share(const char *text, const struct setting *s, void *out, struct err *err)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0.0 && value <= 1.0))
        return err_set(err, "%s: '%.60s' is not a number above 0 and up to 1", s->flag, text);
    *(double *)out = value;
    return true;
}

static cJSON *share_json(const void *value)
{
    return cJSON_CreateNumber(*(const double *)value);
}

static bool parse_cache(const char *text, const struct setting *s, void *out, struct err *err)
{
    *(bool *)out = strcmp(text, "cold") == 0;
    return *(bool *)out || strcmp(text, "hot") == 0 ||
           err_set(err, "%s: '%.60s' is neither hot nor cold", s->flag, text);
}

static cJSON *cache_json(const void *value)
{
    return cJSON_CreateString(*(const bool *)value ? "cold" : "hot");
}

static bool parse_conditions(const char *text, const struct setting *s, void *out, struct err *err)
{
    return conditions_parse(text, s->flag, out, err);
}

static cJSON *conditions_json(const void *value)
{
    const struct conditions *conditions = value;
    char text[CONDITIONS_MAX * (CONDITION_TEXT + 1)] = "", one[CONDITION_TEXT];
    for (int i = 0; i < conditions->count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "",
                 condition_text(conditions->v[i], one));
    return cJSON_CreateString(text);
}

/* Given without a value, a switch is not as it is by default. */
static bool parse_switch(const char *text, const struct setting *s, void *out, struct err *err)
{
    const bool on = strcmp(*text ? text : s->fallback, "true") == 0;
    *(bool *)out = on == (*text != '\0');
    return *text == '\0' || on || strcmp(text, "false") == 0 ||
           err_set(err, "%s: '%.60s' is neither true nor false", s->flag, text);
}

static cJSON *switch_json(const void *value)
{
    return cJSON_CreateBool(*(const bool *)value);
}

static const struct setting_type KERNEL_GLOBS = {parse_text, text_json, KERNELS, NULL};
static const struct setting_type ENGINE_GLOBS = {parse_text, text_json, ENGINES, "all"};
static const struct setting_type ENGINE_NAME = {parse_text, text_json, ENGINES, ""};
static const struct setting_type PROGRAMS = {parse_text, text_json, WORDS_OR_FILES, ""};
static const struct setting_type FOLDER = {parse_folder, text_json, FOLDERS, NULL};
static const struct setting_type GRID = {parse_grid, grid_json, WORDS_OR_FILES, GRIDS};
static const struct setting_type STREAM_GRID = {parse_grid, grid_json, WORDS_OR_FILES,
                                                STREAM_GRIDS};
static const struct setting_type ACCURACY_GRID = {parse_grid, grid_json, WORDS_OR_FILES,
                                                  ACCURACY_GRIDS};
static const struct setting_type LIST_OF_SIZES = {parse_list, list_json, NOTHING, NULL};
static const struct setting_type NUMBER = {parse_number, number_json, NOTHING, NULL};
static const struct setting_type DIGITS = {parse_number, digits_json, NOTHING, NULL};
static const struct setting_type SHARE = {parse_share, share_json, NOTHING, NULL};
static const struct setting_type CACHE = {parse_cache, cache_json, WORDS, "hot, cold"};
static const struct setting_type CONDITIONS = {parse_conditions, conditions_json, NOTHING, NULL};
static const struct setting_type SWITCH = {parse_switch, switch_json, NOTHING, NULL};

enum offer settings_offer(const struct setting *setting, const char **words)
{
    *words = setting->type->words;
    return setting->type->offer;
}

/* ---- the table ---- */

#define SEED_MAX INT64_C(999999999999999999)

enum { SAMPLES_MAX = 1000, CPU_MAX = 65535, SECONDS_MAX = 10000000, CALLS_MAX = 1000000000 };

#define AT(field) offsetof(struct options, field)

/*
 * In the order of the help. A row comes after those that it overrides: -g sets the sizes and the
 * rounds too.
 */
/* clang-format off */
const struct setting settings_table[] = {
    {"-k", "GLOB", "*",
     "kernels, several with commas: 'lstm/*,rnn.step,!*/full'; ! takes out",
     LIST | CHECK | DUMP | PLAN | RUN | STREAM | ACCURACY, DUMP, "run", "kernels", &KERNEL_GLOBS, AT(settings.kernels), 0, 0},
    {"--engine", "LIST", ENGINES_OF_THE_SUITE, "engines, several with commas: 'packed*'; or all",
     PLAN | RUN | STREAM, 0, "run", "engines", &ENGINE_GLOBS, AT(settings.engines), 0, 0},
    {"--engine", "LIST", "all", "engines, several with commas",
     LIST | CHECK | ACCURACY, 0, NULL, NULL, &ENGINE_GLOBS, AT(settings.engines), 0, 0},
    {"--engine", "NAME", "", "engine (the first that the kernel takes)",
     DUMP, 0, NULL, NULL, &ENGINE_NAME, AT(settings.engines), 0, 0},
    {"--peers", "LIST", "", "programs that have layers of other libraries, see scripts/peers/README.md",
     LIST | CHECK | PLAN | RUN | STREAM, 0, "run", "peers", &PROGRAMS, AT(settings.peers), 0, 0},
    {"-g", "NAME|FILE", "default", "grid: " GRIDS " or a file",
     PLAN | RUN, 0, "run", "grid", &GRID, AT(settings.grid), 0, 0},
    {"-g", "NAME|FILE", "stream",
     "grid: " STREAM_GRIDS " or a file;\n"
     "its SeqLens are tokens per call",
     STREAM, 0, NULL, NULL, &STREAM_GRID, AT(settings.grid), 0, 0},
    {"-g", "NAME|FILE", "accuracy", "grid: " ACCURACY_GRIDS " or a file",
     ACCURACY, 0, NULL, NULL, &ACCURACY_GRID, AT(settings.grid), 0, 0},
    /* Lists of sizes; host.json has them under their columns. A dump needs one S and one H. */
#define DIMENSION(field, column, name, absent, max, help)                                          \
    {sizeof(name) == 2 ? "-" name : "--" name, "LIST", NULL, help,                                           \
     DUMP | PLAN | RUN | (DIM_##field == DIM_B ? 0 : STREAM | ACCURACY),                           \
     DIM_##field <= DIM_H ? DUMP : 0, "run", #column, &LIST_OF_SIZES,                              \
     AT(settings.grid.sizes[DIM_##field]), 1, max},
#include "dims.def"
#undef DIMENSION
    {"--rounds", "N", NULL, "processes that visit every case once (the grid's)",
     PLAN | RUN | STREAM, 0, "run", "rounds", &NUMBER, AT(settings.grid.rounds), 1, ROUNDS_MAX},
    {"--conditions", "LIST", "hot,20.8us",
     "what is between calls: hot: nothing; cold: the caches are evicted;\n"
     "20.8us: the time from tick to tick, in which other memory is worked on",
     STREAM, 0, "run", "conditions", &CONDITIONS, AT(settings.conditions), 0, 0},
    {"--calls", "N", "20000", "of each case under each condition, in all rounds",
     STREAM, 0, "run", "calls", &NUMBER, AT(settings.calls), 0, CALLS_MAX},
    {"--seconds", "N", "5", "but no longer than N seconds for these",
     STREAM, 0, "run", "seconds", &NUMBER, AT(settings.seconds), 0, SECONDS_MAX},
    {"--keys", "N", "128", "keys that a layer of one token sees, the new one included",
     STREAM, 0, "run", "keys", &NUMBER, AT(settings.grid.keys), 0, 1 << 20},
    {"--fifo", NULL, "false", "real-time scheduling (SCHED_FIFO), which needs the right to it; it is stopped\n"
     "for 5 % of each second, unless /proc/sys/kernel/sched_rt_runtime_us is -1",
     STREAM, 0, "run", "fifo", &SWITCH, AT(settings.fifo), 0, 0},
    {"--cpu", "N", NULL, "core to measure on (chosen)",
     PLAN | RUN | STREAM | DOCTOR, 0, "cpu", "measured_core", &NUMBER, AT(settings.cpu), 0, CPU_MAX},
    {"--seed", "N", "1", "of inputs and order",
     DUMP | PLAN | RUN | STREAM | ACCURACY, 0, "run", "seed", &DIGITS, AT(settings.seed), 0, SEED_MAX},
    {"--no-ftz", NULL, "true", "keep subnormal numbers",
     PLAN | RUN | STREAM, 0, "run", "flush_to_zero", &SWITCH, AT(settings.flush_to_zero), 0, 0},
    {"--samples", "N", "1", "of a case in a round, when its runs are short",
     RUN, 0, "run", "samples", &NUMBER, AT(settings.samples), 1, SAMPLES_MAX},
    {"--until", "REL", "0.02", "go on until 95 % intervals of medians are within REL; 0.02 is 2 %",
     RUN, 0, "run", "until", &SHARE, AT(settings.until), 0, 0},
    {"--budget", "N", NULL,
     "but begin nothing after N seconds, the first round apart (the grid's);\n"
     "0: the planned rounds and no more",
     RUN | STREAM, 0, "run", "budget_s", &NUMBER, AT(settings.grid.budget_s), 0, BUDGET_MAX},
    {"--cache", "hot|cold", "hot", "cold: evict the caches before each iteration",
     RUN, 0, "run", "cache", &CACHE, AT(settings.cold), 0, 0},
    {"--timeout", "N", "600", "give a case up after N seconds",
     RUN | STREAM, 0, NULL, NULL, &NUMBER, AT(timeout_s), 0, SECONDS_MAX},
    {"--wait", "N", "0", "wait up to N seconds for another run on the same core",
     RUN | STREAM, 0, NULL, NULL, &NUMBER, AT(wait_s), 0, SECONDS_MAX},
    {"--pause-after", "N", NULL, "stop after N rounds, to be resumed: two runs can take turns (never)",
     RUN | STREAM, 0, NULL, NULL, &NUMBER, AT(pause_after), 1, ROUNDS_MAX},
    {"--resume", "DIR", NULL, "go on with an interrupted run, with the options it was started with",
     RUN | STREAM, 0, NULL, NULL, &FOLDER, AT(resume), 0, 0},
    {"--round", "N", NULL, "number of the round",
     ROUND, ROUND, NULL, NULL, &NUMBER, AT(round), 0, ROUNDS_MAX},
    {"--deadline", "NS", NULL, "of CLOCK_MONOTONIC: no visit begins later",
     ROUND, ROUND, NULL, NULL, &NUMBER, AT(deadline_ns), 0, SEED_MAX},
    {"-o", "DIR", NULL, "folder to write into (of a run: results/<cpu>/<UTC time>)",
     DUMP | RUN | STREAM | ROUND, DUMP | ROUND, NULL, NULL, &FOLDER, AT(folder), 0, 0},
    {"--csv", NULL, "false", "every column of kernels.csv",
     LIST, 0, NULL, NULL, &SWITCH, AT(csv), 0, 0},
    {"--warnings", NULL, "false", "only what can be done something about",
     DOCTOR, 0, NULL, NULL, &SWITCH, AT(warnings), 0, 0},
    {0},
};
/* clang-format on */

/* ---- from the command line ---- */

/* A resumed run has its settings in its folder. */
static bool resume_stands_alone(const char *const given[SETTINGS_MAX], struct err *err)
{
    bool resumes = false, other = false;
    for (int i = 0; settings_table[i].flag; i++) {
        const struct setting *s = &settings_table[i];
        resumes |= given[i] && s->offset == AT(resume);
        other |= given[i] && (s->key || s->offset == AT(folder));
    }
    return !resumes || !other ||
           err_set(err, "--resume: the run's options are those it was started with; only "
                        "--timeout, --wait and --pause-after may be given");
}

/* host.json of a run that is no stream has these empty or 0. */
static bool stream_has_what_it_needs(const struct settings *s, struct err *err)
{
    const struct sizes *batch = &s->grid.sizes[DIM_B];
    if (s->conditions.count == 0)
        return err_set(err, "--conditions: the list is empty");
    if (s->calls < 1 || s->seconds < 1 || s->grid.keys < 1)
        return err_set(err, "--calls, --seconds and --keys: at least 1");
    for (int i = 0; i < batch->count; i++)
        if (batch->v[i] > 1)
            return err_set(err, "grid %s: a stream is of one sequence, not of a batch of %" PRId64,
                           s->grid.name, batch->v[i]);
    return true;
}

bool settings_parse(enum command command, const char *const given[SETTINGS_MAX],
                    struct options *out, struct err *err)
{
    *out = (struct options){.settings.cpu = -1};
    for (int i = 0; settings_table[i].flag; i++) {
        const struct setting *s = &settings_table[i];
        const char *text = given[i] ? given[i] : s->fallback;
        if (s->needed_by & command && !given[i])
            return err_set(err, "%s %s is missing", s->flag, s->metavar);
        /* host.json of a stream has the settings of every run, too. */
        const bool is_taken = s->commands & command || (command == STREAM && s->commands & RUN);
        if (text && is_taken && !s->type->parse(text, s, (char *)out + s->offset, err))
            return false;
    }
    return resume_stands_alone(given, err) &&
           (command != STREAM || stream_has_what_it_needs(&out->settings, err));
}

/* ---- host.json ---- */

_Static_assert(AT(settings) == 0, "settings are found by their offset in options");

void settings_write(const struct settings *settings, cJSON *run)
{
    for (const struct setting *s = settings_table; s->flag; s++)
        if (s->key && strcmp(s->group, "run") == 0)
            cJSON_AddItemToObject(run, s->key, s->type->json((const char *)settings + s->offset));
}

/* A value as it would be typed. Only a list of numbers can be too long; then it is cut. */
static bool as_text(const cJSON *value, char *out, size_t size)
{
    if (cJSON_IsString(value))
        return snprintf(out, size, "%s", value->valuestring) < (int)size;
    if (cJSON_IsBool(value))
        return snprintf(out, size, "%s", cJSON_IsTrue(value) ? "true" : "false") > 0;
    if (cJSON_IsNumber(value))
        return snprintf(out, size, "%.17g", value->valuedouble) > 0;
    size_t used = 0;
    const cJSON *item;
    if (!cJSON_IsArray(value))
        return false;
    cJSON_ArrayForEach(item, value)
    {
        if (!cJSON_IsNumber(item) || used + 32 > size)
            return false;
        used += (size_t)snprintf(out + used, size - used, "%s%.17g", used ? "," : "",
                                 item->valuedouble);
    }
    return used > 0;
}

bool settings_read(const cJSON *host, const char *path, struct settings *out, struct err *err)
{
    for (const struct setting *s = settings_table; s->flag; s++) {
        char text[OPTION_TEXT];
        struct err cause;
        if (!s->key)
            continue;
        const cJSON *group = cJSON_GetObjectItemCaseSensitive(host, s->group);
        if (!as_text(cJSON_GetObjectItemCaseSensitive(group, s->key), text, sizeof(text)))
            return err_set(err, "%s: \"%s\" is missing or not what a run writes", path, s->key);
        if (s->type == &GRID) /* sizes and rounds have keys of their own */
            snprintf(out->grid.name, sizeof(out->grid.name), "%.255s", text);
        else if (!s->type->parse(text, s, (char *)out + s->offset, &cause))
            return err_set(err, "%s: \"%s\": %.700s", path, s->key, cause.text);
    }
    return true;
}
