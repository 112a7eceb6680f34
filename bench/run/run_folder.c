/* run_folder.c - the files of a run beside samples.csv. */
#include "run/run_folder.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cases/kernel.h"
#include "check/check.h"
#include "machine/host.h"
#include "run/samples.h"

enum { FILES = 6 };

/* In the order in which they are made. */
static const char *const files[FILES] = {"plan.csv",    "host.json",  "topology.xml",
                                         "kernels.csv", "checks.csv", "samples.csv"};

void run_folder_path(const char *folder, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        abort(); /* make_folder has refused such a folder */
}

void run_folder_name(const struct run_options *options, char out[PATH_MAX])
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

/* Closes what fopen returned; fails when it, a write or the closing failed. */
static bool close_file(FILE *file, const char *path, struct err *err)
{
    const bool written = file && !ferror(file);
    if (file && fclose(file) == 0 && written)
        return true;
    return err_set(err, "%s: %s", path, strerror(errno));
}

/* ---- host.json ---- */

static cJSON *sizes_json(const struct sizes *sizes)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < sizes->count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)sizes->v[i]));
    return list;
}

/* FNV-1a of this program's file, so that a run is not resumed by another build. */
static void add_binary(cJSON *run)
{
    char text[24] = "unknown";
    FILE *file = fopen("/proc/self/exe", "rb");
    if (file) {
        uint64_t hash = 0xcbf29ce484222325u;
        for (int byte; (byte = getc(file)) != EOF;)
            hash = (hash ^ (uint64_t)byte) * 0x100000001b3u;
        fclose(file);
        snprintf(text, sizeof(text), "%016" PRIx64, hash);
    }
    cJSON_AddStringToObject(run, "binary", text);
}

static cJSON *describe_run(const struct run_options *options)
{
    const struct settings *s = &options->settings;
    cJSON *run = cJSON_CreateObject();
    char seed[24], started[32];
    utc_stamp(started);
    snprintf(seed, sizeof(seed), "%" PRIu64, s->seed);
    cJSON_AddStringToObject(run, "started_utc", started);
    cJSON_AddStringToObject(run, "kernels", options->selection.globs);
    cJSON_AddStringToObject(run, "engines", options->selection.engines);
    cJSON_AddStringToObject(run, "grid", options->grid.name);
    for (int i = 0; i < DIMENSIONS; i++)
        cJSON_AddItemToObject(run, dimensions[i].column,
                              options->grid.sizes[i].count ? sizes_json(&options->grid.sizes[i])
                                                           : cJSON_CreateString("by layer"));
    cJSON_AddNumberToObject(run, "rounds", (double)options->grid.rounds);
    cJSON_AddNumberToObject(run, "samples", (double)s->samples);
    cJSON_AddNumberToObject(run, "until", s->until);
    cJSON_AddNumberToObject(run, "budget_s", (double)s->budget_s);
    cJSON_AddStringToObject(run, "cache", s->cold ? "cold" : "hot");
    cJSON_AddStringToObject(run, "seed", seed);
    cJSON_AddBoolToObject(run, "flush_to_zero", s->flush_to_zero);
    add_binary(run);
    return run;
}

static bool write_host(const struct run_options *options, hwloc_topology_t topology,
                       const char *path, struct err *err)
{
    cJSON *host = host_describe(topology, options->settings.cpu);
    cJSON_AddItemToObject(host, "run", describe_run(options));
    char *text = cJSON_Print(host);
    cJSON_Delete(host);
    FILE *file = fopen(path, "wx");
    if (file)
        fprintf(file, "%s\n", text);
    free(text);
    return close_file(file, path, err);
}

/* ---- creating ---- */

static bool write_plan(const struct plan *plan, const char *path, struct err *err)
{
    FILE *file = fopen(path, "w");
    if (file)
        plan_write(plan, file);
    return close_file(file, path, err);
}

bool run_folder_write_plan(const struct plan *plan, const char *folder, struct err *err)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    run_folder_path(folder, "plan.csv", path);
    run_folder_path(folder, "plan.csv.new", fresh);
    if (!write_plan(plan, fresh, err)) {
        unlink(fresh);
        return false;
    }
    return rename(fresh, path) == 0 || err_set(err, "%s: %s", path, strerror(errno));
}

/* Checks the kernels that will be timed; the figures go to checks.csv. */
static bool write_checks(struct selection selection, const char *path, struct err *err)
{
    FILE *file = fopen(path, "wx");
    const int failed = file ? check_kernels(selection, NULL, file, err) : 0;
    if (!close_file(file, path, err) || failed < 0)
        return false;
    if (failed == 0)
        return true;
    err_set(err, "%d of the kernels fail their check, nothing was timed; see `seqbench check`",
            failed);
    err->status = 1;
    return false;
}

static bool write_kernels(struct selection selection, const char *path, struct err *err)
{
    FILE *file = fopen(path, "wx");
    if (file)
        kernels_write_csv(selection, file);
    return close_file(file, path, err);
}

static bool write_files(const struct run_options *options, const struct plan *plan,
                        hwloc_topology_t topology, const char *folder, struct err *err)
{
    char path[FILES][PATH_MAX];
    for (int i = 0; i < FILES; i++)
        run_folder_path(folder, files[i], path[i]);
    return write_plan(plan, path[0], err) && write_host(options, topology, path[1], err) &&
           host_write_topology(topology, path[2], err) &&
           write_kernels(options->selection, path[3], err) &&
           write_checks(options->selection, path[4], err) && samples_create(path[5], err);
}

static void remove_files(const char *folder)
{
    char path[PATH_MAX];
    for (int i = 0; i < FILES; i++) {
        run_folder_path(folder, files[i], path);
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

bool run_folder_create(const struct run_options *options, const struct plan *plan,
                       hwloc_topology_t topology, const char *folder, struct err *err)
{
    if (!make_folder(folder, err))
        return false;
    if (write_files(options, plan, topology, folder, err))
        return true;
    remove_files(folder);
    return false;
}

/* ---- reading back ---- */

static cJSON *read_json(const char *path, struct err *err)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        err_set(err, "%s: %s; is it the folder of a run?", path, strerror(errno));
        return NULL;
    }
    char text[65536];
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    cJSON *json = cJSON_Parse(text);
    if (!json)
        err_set(err, "%s: not JSON", path);
    return json;
}

static const cJSON *member(const cJSON *json, const char *group, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, group), key);
}

/* What must be the same for samples to belong to the same run. */
static const struct {
    const char *what, *group, *key;
} identity[] = {
    {"program", "run", "binary"},
    {"CPU", "cpu", "model"},
    {"CPU family", "cpu", "family"},
    {"CPU model number", "cpu", "model_number"},
    {"BLAS", "libraries", "openblas_config"},
    {"BLAS core type", "libraries", "openblas_corename"},
};

static bool same_identity(const cJSON *then, const cJSON *now, const char *folder, struct err *err)
{
    for (size_t i = 0; i < sizeof(identity) / sizeof(identity[0]); i++) {
        const cJSON *a = member(then, identity[i].group, identity[i].key);
        const cJSON *b = member(now, identity[i].group, identity[i].key);
        if (!cJSON_IsString(a) || !cJSON_IsString(b) || strcmp(a->valuestring, b->valuestring) != 0)
            return err_set(err, "%s: cannot go on, the %s is another: it was %s, it is %s", folder,
                           identity[i].what, cJSON_IsString(a) ? a->valuestring : "not recorded",
                           cJSON_IsString(b) ? b->valuestring : "unknown");
    }
    return true;
}

static bool parse_settings(const cJSON *json, const char *path, struct settings *out,
                           struct err *err)
{
    const cJSON *cpu = member(json, "cpu", "measured_core"), *seed = member(json, "run", "seed");
    const cJSON *samples = member(json, "run", "samples"), *until = member(json, "run", "until");
    const cJSON *budget = member(json, "run", "budget_s"), *cache = member(json, "run", "cache");
    const cJSON *ftz = member(json, "run", "flush_to_zero");
    if (!cJSON_IsNumber(cpu) || !cJSON_IsString(seed) || !cJSON_IsNumber(samples) ||
        !cJSON_IsNumber(until) || !cJSON_IsNumber(budget) || !cJSON_IsString(cache) ||
        !cJSON_IsBool(ftz))
        return err_set(err, "%s: the options of the run are not complete", path);
    *out = (struct settings){
        .cpu = cpu->valueint,
        .seed = strtoull(seed->valuestring, NULL, 10),
        .flush_to_zero = cJSON_IsTrue(ftz),
        .cold = strcmp(cache->valuestring, "cold") == 0,
        .samples = samples->valueint,
        .until = until->valuedouble,
        .budget_s = budget->valueint,
    };
    return true;
}

bool run_folder_read_settings(const char *folder, hwloc_topology_t topology, struct settings *out,
                              struct err *err)
{
    char path[PATH_MAX];
    if (strlen(folder) >= PATH_MAX - 32)
        return err_set(err, "%.60s...: the path is too long", folder);
    run_folder_path(folder, "host.json", path);
    cJSON *then = read_json(path, err);
    if (!then)
        return false;
    cJSON *now = host_describe(topology, 0);
    cJSON *run = cJSON_CreateObject();
    add_binary(run);
    cJSON_AddItemToObject(now, "run", run);
    const bool ok = same_identity(then, now, folder, err) && parse_settings(then, path, out, err);
    cJSON_Delete(then);
    cJSON_Delete(now);
    return ok;
}
