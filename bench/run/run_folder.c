/* run_folder.c - the files of a run beside samples.csv. */
#include "run/run_folder.h"

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
#include "run/stream.h"
#include "text.h"

enum { FILES = 7 };

/* In the order in which they are made. */
static const char *const files[FILES] = {"plan.csv",   "host.json", "topology.xml", "kernels.csv",
                                         "checks.csv", "calls.csv", "samples.csv"};

void run_folder_path(const char *folder, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        abort(); /* make_folder has refused such a folder */
}

void run_folder_name(const char *asked, char out[PATH_MAX])
{
    char cpu[64], stamp[32];
    const time_t now = time(NULL);
    struct tm utc;
    host_cpu_slug(cpu, sizeof(cpu));
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    if (*asked)
        snprintf(out, PATH_MAX, "%s", asked);
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

static cJSON *describe_run(const struct settings *settings)
{
    cJSON *run = cJSON_CreateObject();
    char started[32];
    utc_stamp(started);
    cJSON_AddStringToObject(run, "started_utc", started);
    settings_write(settings, run);
    add_binary(run);
    return run;
}

static bool write_host(const struct settings *settings, hwloc_topology_t topology, const char *path,
                       struct err *err)
{
    cJSON *host = host_describe(topology, (int)settings->cpu);
    cJSON_AddItemToObject(host, "run", describe_run(settings));
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

static bool write_files(const struct settings *settings, const struct plan *plan,
                        hwloc_topology_t topology, const char *folder, struct err *err)
{
    char path[FILES][PATH_MAX];
    for (int i = 0; i < FILES; i++)
        run_folder_path(folder, files[i], path[i]);
    return write_plan(plan, path[0], err) && write_host(settings, topology, path[1], err) &&
           host_write_topology(topology, path[2], err) &&
           write_kernels(settings_selection(settings), path[3], err) &&
           write_checks(settings_selection(settings), path[4], err) &&
           (settings->conditions.count == 0 || stream_create(path[5], err)) &&
           samples_create(path[6], err);
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

bool run_folder_create(const struct settings *settings, const struct plan *plan,
                       hwloc_topology_t topology, const char *folder, struct err *err)
{
    if (!make_folder(folder, err))
        return false;
    if (write_files(settings, plan, topology, folder, err))
        return true;
    remove_files(folder);
    return false;
}

/* ---- reading back ---- */

/* host.json of a folder that someone names; NULL: err says why. Its path goes to path. */
static cJSON *read_host(const char *folder, char path[PATH_MAX], struct err *err)
{
    struct err cause;
    if (strlen(folder) >= PATH_MAX - 32) {
        err_set(err, "%.60s...: the path is too long", folder);
        return NULL;
    }
    run_folder_path(folder, "host.json", path);
    char *text = text_read(path, 1 << 20, NULL, &cause);
    if (!text) {
        err_set(err, "%.900s; is it the folder of a run?", cause.text);
        return NULL;
    }
    cJSON *json = cJSON_Parse(text);
    free(text);
    if (!json)
        err_set(err, "%s: not JSON, or nested too deep", path);
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
    {"kernel set of BLIS", "libraries", "blis_kernels"},
};

static bool same_identity(const cJSON *then, const cJSON *now, const char *folder, struct err *err)
{
    for (size_t i = 0; i < sizeof(identity) / sizeof(identity[0]); i++) {
        const cJSON *a = member(then, identity[i].group, identity[i].key);
        const cJSON *b = member(now, identity[i].group, identity[i].key);
        if (!a && !b)
            continue;
        if (!cJSON_IsString(a) || !cJSON_IsString(b) || strcmp(a->valuestring, b->valuestring) != 0)
            return err_set(err, "%s: cannot go on, the %s is another: it was %s, it is %s", folder,
                           identity[i].what, cJSON_IsString(a) ? a->valuestring : "not recorded",
                           cJSON_IsString(b) ? b->valuestring : "unknown");
    }
    return true;
}

bool run_folder_read_settings(const char *folder, struct settings *out, struct err *err)
{
    char path[PATH_MAX];
    cJSON *host = read_host(folder, path, err);
    const bool ok = host && settings_read(host, path, out, err);
    cJSON_Delete(host);
    return ok;
}

bool run_folder_is_ours(const char *folder, hwloc_topology_t topology, struct err *err)
{
    char path[PATH_MAX];
    cJSON *then = read_host(folder, path, err);
    if (!then)
        return false;
    cJSON *now = host_describe(topology, 0);
    add_binary(cJSON_AddObjectToObject(now, "run"));
    const bool ok = same_identity(then, now, folder, err);
    cJSON_Delete(then);
    cJSON_Delete(now);
    return ok;
}
