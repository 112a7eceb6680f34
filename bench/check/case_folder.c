/* case_folder.c - case folders in and out. */
#include "check/case_folder.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases/case.h"
#include "cases/dims.h"
#include "cases/grid.h"
#include "cases/kernel.h"
#include "check/check.h"
#include "check/npy.h"
#include "text.h"

static bool join(const char *folder, const char *name, const char *ending, char out[PATH_MAX],
                 struct err *err)
{
    if (snprintf(out, PATH_MAX, "%s/%s%s", folder, name, ending) < PATH_MAX)
        return true;
    return err_set(err, "%.60s...: the path is too long", folder);
}

static bool read_size(const cJSON *json, const struct dimension *dimension, const char *path,
                      int64_t *out, struct err *err)
{
    const char *key = dimension->name;
    const int64_t min = dimension->absent, max = dimension->max;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!cJSON_IsNumber(value))
        return err_set(err, "%s: \"%s\" is missing or not a number", path, key);
    if (!(value->valuedouble >= (double)min && value->valuedouble <= (double)max) ||
        value->valuedouble != (double)(int64_t)value->valuedouble)
        return err_set(err,
                       "%s: \"%s\" is %g, it must be a whole number from %" PRId64 " to %" PRId64,
                       path, key, value->valuedouble, min, max);
    *out = (int64_t)value->valuedouble;
    return true;
}

static bool read_dims(const cJSON *json, const struct layer *layer, const char *path,
                      struct dims *out, struct err *err)
{
    *out = dims_complete((struct dims){0});
    for (int i = 0; i < DIMENSIONS; i++) {
        int64_t size = dimensions[i].absent;
        const bool may_lack = i >= DIM_B && !cJSON_HasObjectItem(json, dimensions[i].name);
        if (layer_has(layer, i) && !may_lack && !read_size(json, &dimensions[i], path, &size, err))
            return false;
        dims_set(out, i, size);
    }
    if (out->H % out->A != 0)
        return err_set(err, "%s: H=%" PRId64 " is not divisible by heads=%" PRId64, path, out->H,
                       out->A);
    const char *reason = dims_refused(*out);
    if (!reason && layer->refuses)
        reason = layer->refuses(*out);
    return !reason || err_set(err, "%s: %s cannot have this shape: %s", path, layer->name, reason);
}

bool description_parse(const char *text, const char *path, struct description *out, struct err *err)
{
    cJSON *json = cJSON_Parse(text);
    if (!json)
        return err_set(err, "%s: not JSON", path);
    const cJSON *layer = cJSON_GetObjectItemCaseSensitive(json, "layer");
    bool ok = cJSON_IsString(layer) && strlen(layer->valuestring) < sizeof(out->layer);
    if (ok)
        strcpy(out->layer, layer->valuestring);
    else
        err_set(err, "%s: \"layer\" is missing or not a name", path);
    const struct layer *known = ok ? layer_find(out->layer) : NULL;
    out->known = known != NULL;
    if (known)
        ok = read_dims(json, known, path, &out->dims, err);
    cJSON_Delete(json);
    return ok;
}

static bool read_description(const char *folder, struct description *out, struct err *err)
{
    char path[PATH_MAX];
    if (!join(folder, "case", ".json", path, err))
        return false;
    char *text = text_read(path, 1 << 20, NULL, err);
    const bool ok = text && description_parse(text, path, out, err);
    free(text);
    return ok;
}

static void shape_text(int rank, const int64_t *shape, char *out, size_t size)
{
    int length = snprintf(out, size, "[");
    for (int i = 0; i < rank; i++)
        length +=
            snprintf(out + length, size - (size_t)length, "%s%" PRId64, i ? "," : "", shape[i]);
    snprintf(out + length, size - (size_t)length, "]");
}

/* Reads one tensor's file into out, which has room for the tensor. */
static bool load_tensor(const char *folder, const struct tensor *spec, float *out, struct err *err)
{
    char path[PATH_MAX];
    size_t size;
    struct npy npy;
    if (!join(folder, spec->name, ".npy", path, err))
        return false;
    char *bytes = text_read(path, NPY_BYTES_MAX, &size, err);
    bool ok = bytes && npy_parse((const unsigned char *)bytes, size, path, &npy, err);
    const int rank = tensor_rank(spec);
    if (ok && (npy.rank != rank ||
               memcmp(npy.shape, spec->shape, (size_t)rank * sizeof(npy.shape[0])) != 0)) {
        char got[128], want[128];
        shape_text(npy.rank, npy.shape, got, sizeof(got));
        shape_text(rank, spec->shape, want, sizeof(want));
        ok = err_set(err, "%s: its shape is %s, it must be %s", path, got, want);
    }
    if (ok)
        memcpy(out, npy.data, (size_t)npy.elements * sizeof(float));
    free(bytes);
    return ok;
}

/* Whether the folder has a tensor's file. States need not be there: see enum role. */
static bool has_file(const char *folder, const struct tensor *spec)
{
    char path[PATH_MAX];
    struct err ignored;
    if (spec->role != INITIAL && spec->role != INITIAL_NONE && spec->role != FINAL)
        return true;
    return join(folder, spec->name, ".npy", path, &ignored) && access(path, F_OK) == 0;
}

/* What a state is that the folder does not have. */
static void fill_absent(const struct tensor *spec, float *data)
{
    const int64_t n = tensor_elements(spec);
    for (int64_t i = 0; i < n; i++)
        data[i] = spec->role == INITIAL_NONE ? -INFINITY : 0.0f;
}

/* Everything but the outputs. */
static bool load_case(const char *folder, struct bench_case *c, struct err *err)
{
    for (int i = 0; i < c->tensor_count; i++) {
        const struct tensor *spec = &c->tensor[i].spec;
        if (case_is_result(&c->tensor[i]))
            continue;
        if (!has_file(folder, spec))
            fill_absent(spec, c->tensor[i].data);
        else if (!load_tensor(folder, spec, c->tensor[i].data, err))
            return false;
    }
    return true;
}

/* Loads, runs, and compares the outputs with their files. */
static bool verify_kernel(const char *folder, struct bench_case *c, struct verdict *verdict,
                          struct err *err)
{
    if (!load_case(folder, c, err))
        return false;
    case_prepare(c);
    case_poison(c);
    case_run(c);
    for (int i = 0; i < c->tensor_count; i++) {
        const struct tensor *spec = &c->tensor[i].spec;
        if (!case_is_result(&c->tensor[i]) || !has_file(folder, spec))
            continue;
        const int64_t n = tensor_elements(spec);
        float *given = malloc((size_t)n * sizeof(float));
        double *want = malloc((size_t)n * sizeof(double));
        if (!given || !want)
            abort();
        const bool ok = load_tensor(folder, spec, given, err);
        for (int64_t k = 0; ok && k < n; k++)
            want[k] = (double)given[k];
        const double error = ok ? relative_error(c->tensor[i].data, want, n) : 0.0;
        free(given);
        free(want);
        if (!ok)
            return false;
        if (error >= verdict->error) {
            verdict->error = error;
            verdict->tensor = spec->name;
        }
    }
    return true;
}

static bool verify_variant(const char *folder, const struct kernel *kernel, struct dims dims,
                           FILE *text, struct folder_counts *counts, struct err *err)
{
    struct arena arena;
    if (!arena_map(case_bytes(kernel, dims), &arena, err))
        return false;
    struct bench_case c;
    case_place(kernel, dims, &arena, &c);
    struct verdict verdict = {.error = 0.0, .bound = kernel_tolerance(kernel)};
    const bool ok = verify_kernel(folder, &c, &verdict, err);
    case_release(&c);
    arena_unmap(&arena);
    if (!ok)
        return false;
    const bool passed = verdict_passed(&verdict);
    counts->passed += passed;
    counts->failed += !passed;
    fprintf(text, "%s %-26s %-8s error %.2e bound %.2e  in %s of %s\n", passed ? "PASS" : "FAIL",
            kernel->name, kernel->engine_name, verdict.error, verdict.bound,
            verdict.tensor ? verdict.tensor : "nothing", folder);
    return true;
}

bool folder_verify(const char *path, FILE *text, struct folder_counts *counts, struct err *err)
{
    struct description description;
    if (!read_description(path, &description, err))
        return false;
    if (!description.known)
        return err_set(err, "%s/case.json: '%s' is no layer; `seqbench list` names them", path,
                       description.layer);
    for (int i = 0; kernel_at(i); i++) {
        if (strcmp(kernel_at(i)->layer->name, description.layer) != 0 ||
            kernel_refuses(kernel_at(i), description.dims) || kernel_approximates(kernel_at(i)))
            continue;
        if (!verify_variant(path, kernel_at(i), description.dims, text, counts, err))
            return false;
    }
    return true;
}

/* The tensors whose roles lie between two, as enum role lists them. */
static void add_names(cJSON *json, const char *key, const struct bench_case *c, enum role first,
                      enum role last)
{
    cJSON *names = cJSON_AddArrayToObject(json, key);
    for (int i = 0; i < c->tensor_count; i++)
        if (c->tensor[i].spec.role >= first && c->tensor[i].spec.role <= last)
            cJSON_AddItemToArray(names, cJSON_CreateString(c->tensor[i].spec.name));
}

static void add_cost(cJSON *json, const struct cost *cost)
{
    cJSON *object = cJSON_AddObjectToObject(json, "cost");
    cJSON_AddNumberToObject(object, "multiply_adds", (double)cost->multiply_adds);
    cJSON_AddNumberToObject(object, "elementwise", (double)cost->elementwise);
    cJSON_AddNumberToObject(object, "exps", (double)cost->exps);
    cJSON_AddNumberToObject(object, "logs", (double)cost->logs);
    cJSON_AddNumberToObject(object, "sigmoids", (double)cost->sigmoids);
    cJSON_AddNumberToObject(object, "tanhs", (double)cost->tanhs);
    cJSON_AddNumberToObject(object, "rsqrts", (double)cost->rsqrts);
}

static bool write_description(const struct bench_case *c, const char *path, struct err *err)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "layer", c->kernel->layer->name);
    for (int i = 0; i < DIMENSIONS; i++)
        cJSON_AddNumberToObject(json, dimensions[i].name, (double)dims_get(c->instance.dims, i));
    add_names(json, "inputs", c, INPUT, INITIAL_NONE);
    add_names(json, "outputs", c, OUTPUT, FINAL);
    cJSON_AddStringToObject(json, "oracle", c->kernel->name);
    cJSON_AddStringToObject(json, "engine", c->kernel->engine_name);
    const struct cost cost = kernel_cost(c->kernel, c->instance.dims);
    add_cost(json, &cost);
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    FILE *file = fopen(path, "wx");
    const bool written = file && fprintf(file, "%s\n", text) > 0;
    const bool ok = file && fclose(file) == 0 && written;
    free(text);
    return ok || err_set(err, "%s: %s", path, strerror(errno));
}

static bool write_tensors(const struct bench_case *c, const char *folder, struct err *err)
{
    char path[PATH_MAX];
    for (int i = 0; i < c->tensor_count; i++) {
        const struct tensor *spec = &c->tensor[i].spec;
        if (!join(folder, spec->name, ".npy", path, err) ||
            !npy_write(path, c->tensor[i].data, tensor_rank(spec), spec->shape, err))
            return false;
    }
    return join(folder, "case", ".json", path, err) && write_description(c, path, err);
}

/* Removes what a failed dump left. */
static void remove_folder(const struct bench_case *c, const char *folder)
{
    char path[PATH_MAX];
    struct err ignored;
    for (int i = 0; i < c->tensor_count; i++)
        if (join(folder, c->tensor[i].spec.name, ".npy", path, &ignored))
            unlink(path);
    if (join(folder, "case", ".json", path, &ignored))
        unlink(path);
    rmdir(folder);
}

bool folder_dump(const struct kernel *kernel, struct dims dims, uint64_t seed, const char *path,
                 struct err *err)
{
    struct arena arena;
    if (!arena_map(case_bytes(kernel, dims), &arena, err))
        return false;
    if (mkdir(path, 0777) != 0) {
        arena_unmap(&arena);
        return err_set(err, "%s: %s", path, strerror(errno));
    }
    struct bench_case c;
    case_place(kernel, dims, &arena, &c);
    case_draw(&c, seed);
    case_prepare(&c);
    case_run(&c);
    const bool ok = write_tensors(&c, path, err);
    if (!ok)
        remove_folder(&c, path);
    case_release(&c);
    arena_unmap(&arena);
    return ok;
}
