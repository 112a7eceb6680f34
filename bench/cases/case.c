/* case.c - layout, inputs, poison and guard zones of a case. */
#include "cases/case.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { ALIGN = 64, GUARD_BYTES = 256, GUARD_BYTE = 0xA5 };

static size_t padded_bytes(const struct tensor *tensor)
{
    const size_t bytes = (size_t)tensor_elements(tensor) * sizeof(float);
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- what a case is made of ---- */

/* Every array of a case, as its layer, algorithm and engine list it. */
struct arrays {
    int tensors, own, prepared, scratch; /* own: of those prepared, the algorithm's */
    struct tensor tensor[TENSOR_MAX], made[PREPARED_MAX], buffer[SCRATCH_MAX];
    struct weights weights[MAPS_MAX];
    int first_made[MAPS_MAX]; /* where the engine's arrays of a map begin */
};

/* The sizes of a map: its matrix's last size is in, the others together are out. */
static struct weights size_map(const struct kernel *kernel, const struct map *map,
                               const struct arrays *a, struct dims d)
{
    const struct tensor *matrix = map->is_made ? &a->made[map->matrix] : &a->tensor[map->matrix];
    const int64_t parts = map->parts > 0 ? map->parts : 1;
    const int64_t in = matrix->shape[tensor_rank(matrix) - 1],
                  out = tensor_elements(matrix) / in / parts;
    return (struct weights){.map = map,
                            .out = out,
                            .in = in,
                            .rows = map_rows(map, out),
                            .one_row = d.B == 1 && (map->one_row || d.S == 1),
                            .kept = kernel->engine->kept};
}

/* The sizes that a run is given at once. */
static struct dims dims_at_once(const struct kernel *kernel, struct dims d)
{
    d.B = kernel_sequences_at_once(kernel, d);
    return d;
}

static void list_arrays(const struct kernel *kernel, struct dims dims, struct arrays *a)
{
    const struct algorithm *algorithm = kernel->algorithm;
    const struct dims d = dims_at_once(kernel, dims);
    a->tensors = layer_tensors(kernel->layer, dims, a->tensor);
    a->own = algorithm->prepared ? algorithm->prepared(d, a->made) : 0;
    a->scratch = algorithm->scratch ? algorithm->scratch(d, a->buffer) : 0;
    a->prepared = a->own;
    assert(a->tensors <= TENSOR_MAX && a->own <= OWN_PREPARED_MAX && a->scratch <= SCRATCH_MAX);
    assert(algorithm->map_count <= MAPS_MAX);
    for (int m = 0; m < algorithm->map_count; m++) {
        a->weights[m] = size_map(kernel, &algorithm->maps[m], a, d);
        a->first_made[m] = a->prepared;
        a->prepared += kernel->engine->arrays(&a->weights[m], a->made + a->prepared);
    }
}

static size_t total_bytes(int count, const struct tensor specs[])
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += padded_bytes(&specs[i]) + GUARD_BYTES;
    return bytes;
}

size_t case_bytes(const struct kernel *kernel, struct dims dims)
{
    struct arrays a;
    list_arrays(kernel, dims, &a);
    return GUARD_BYTES + total_bytes(a.tensors, a.tensor) + total_bytes(a.prepared, a.made) +
           total_bytes(a.scratch, a.buffer);
}

/* What an engine's weights of a map are shorter than those of the layer. */
static double saved_bytes(const struct engine *engine, const struct arrays *a, int m)
{
    const struct weights *w = &a->weights[m];
    const double float_bytes = sizeof(float);
    double of_rows = 0.0;
    for (int k = 0; k < MADE_OF_MAX && w->map->rows_of[k]; k++)
        of_rows += (double)tensor_elements(&a->tensor[w->map->rows_of[k]]);
    if (of_rows > 0.0)
        return (float_bytes - engine->bytes_per_weight) * of_rows;
    return float_bytes * (double)(w->out * w->in) -
           engine->bytes_per_weight * (double)weights_multiply_adds(engine, w);
}

int64_t case_compulsory_bytes(const struct kernel *kernel, struct dims dims)
{
    struct arrays a;
    double bytes = 0.0;
    list_arrays(kernel, dims, &a);
    for (int i = 0; i < a.tensors; i++)
        bytes += sizeof(float) * (double)tensor_elements(&a.tensor[i]);
    for (int m = 0; m < kernel->algorithm->map_count; m++)
        bytes -= saved_bytes(kernel->engine, &a, m);
    return (int64_t)bytes;
}

/* Puts one array at *at with a guard zone behind it, which covers the padding too. */
static struct placed place(struct tensor spec, unsigned char **at)
{
    const size_t bytes = (size_t)tensor_elements(&spec) * sizeof(float);
    unsigned char *const next = *at + padded_bytes(&spec) + GUARD_BYTES;
    struct placed placed = {spec, (float *)(void *)*at};
    memset(*at + bytes, GUARD_BYTE, (size_t)(next - (*at + bytes)));
    *at = next;
    return placed;
}

/* Where a map's matrix and bias lie, and what its engine prepares. */
static void place_map(const struct arrays *a, int m, struct bench_case *out)
{
    struct instance *in = &out->instance;
    struct weights *w = &in->weights[m];
    const struct map *map = a->weights[m].map;
    const int end = m + 1 < out->kernel->algorithm->map_count ? a->first_made[m + 1] : a->prepared;
    *w = a->weights[m];
    w->matrix = (map->is_made ? in->prepared : in->t)[map->matrix] + map->part * w->out * w->in;
    w->bias = map->bias ? in->t[map->bias] : NULL;
    for (int i = a->first_made[m]; i < end; i++)
        w->made[i - a->first_made[m]] = out->prepared[i].data;
}

void case_place(const struct kernel *kernel, struct dims dims, const struct arena *arena,
                struct bench_case *out)
{
    assert(case_bytes(kernel, dims) <= arena->bytes);
    struct arrays a;
    list_arrays(kernel, dims, &a);
    *out = (struct bench_case){
        .kernel = kernel,
        .instance.dims = dims,
        .instance.algorithm = kernel->algorithm,
        .instance.engine = kernel->engine,
        .tensor_count = a.tensors,
        .prepared_count = a.prepared,
        .scratch_count = a.scratch,
    };
    unsigned char *at = arena->base + GUARD_BYTES;
    memset(arena->base, GUARD_BYTE, GUARD_BYTES);
    for (int i = 0; i < a.tensors; i++) {
        out->tensor[i] = place(a.tensor[i], &at);
        out->instance.t[i] = out->tensor[i].data;
    }
    for (int i = 0; i < a.prepared; i++) {
        a.made[i].role = PREPARED;
        out->prepared[i] = place(a.made[i], &at);
        if (i < a.own)
            out->instance.prepared[i] = out->prepared[i].data;
    }
    for (int i = 0; i < a.scratch; i++) {
        a.buffer[i].role = SCRATCH;
        out->scratch[i] = place(a.buffer[i], &at);
        out->instance.scratch[i] = out->scratch[i].data;
    }
    for (int m = 0; m < kernel->algorithm->map_count; m++)
        place_map(&a, m, out);
}

/* A value in [-1, 1) from a counter: an integer hash, so that the loop over i vectorises. */
static inline float uniform(uint32_t key, uint32_t i)
{
    uint32_t h = i * 0x9E3779B9u + key;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    return (float)(int32_t)(h >> 8) * 0x1p-23f - 1.0f;
}

int64_t case_sequence_elements(const struct placed *placed, struct dims dims)
{
    return tensor_is_per_sequence(&placed->spec) ? tensor_elements(&placed->spec) / dims.B : 0;
}

bool case_is_result(const struct placed *placed)
{
    return tensor_is_result(&placed->spec);
}

static void draw(const struct placed *placed, uint64_t seed)
{
    const int64_t n = tensor_elements(&placed->spec), block = 1 << 20;
    const float center = placed->spec.center, spread = placed->spec.spread;
    for (int64_t first = 0; first < n; first += block) {
        const int64_t count = n - first < block ? n - first : block;
        uint64_t mixed = (seed + (uint64_t)first) * 0x9E3779B97F4A7C15u;
        mixed = (mixed ^ (mixed >> 31)) * 0xBF58476D1CE4E5B9u;
        const uint32_t key = (uint32_t)(mixed >> 32);
        for (int64_t i = 0; i < count; i++)
            placed->data[first + i] = center + spread * uniform(key, (uint32_t)i);
    }
}

void case_draw(struct bench_case *bench_case, uint64_t seed)
{
    for (int i = 0; i < bench_case->tensor_count; i++)
        if (!case_is_result(&bench_case->tensor[i]))
            draw(&bench_case->tensor[i], seed * 64 + (uint64_t)i);
    for (int m = 0; m < bench_case->kernel->algorithm->map_count; m++)
        bench_case->instance.weights[m].seed = seed * MAPS_MAX + (uint64_t)m;
}

static void fill_nan(const struct placed *placed)
{
    const int64_t n = tensor_elements(&placed->spec);
    for (int64_t i = 0; i < n; i++)
        placed->data[i] = NAN;
}

void case_prepare(struct bench_case *bench_case)
{
    for (int i = 0; i < bench_case->prepared_count; i++)
        fill_nan(&bench_case->prepared[i]);
    const struct algorithm *algorithm = bench_case->kernel->algorithm;
    if (algorithm->prepare)
        algorithm->prepare(&bench_case->instance);
    for (int m = 0; m < algorithm->map_count; m++)
        bench_case->kernel->engine->prepare(&bench_case->instance.weights[m]);
}

void case_release(struct bench_case *bench_case)
{
    if (bench_case->kernel->algorithm->release)
        bench_case->kernel->algorithm->release(&bench_case->instance);
}

void case_poison_outputs(struct bench_case *bench_case)
{
    for (int i = 0; i < bench_case->tensor_count; i++)
        if (case_is_result(&bench_case->tensor[i]))
            fill_nan(&bench_case->tensor[i]);
}

void case_poison(struct bench_case *bench_case)
{
    case_poison_outputs(bench_case);
    for (int i = 0; i < bench_case->scratch_count; i++)
        fill_nan(&bench_case->scratch[i]);
}

static bool guard_intact(const struct placed *placed)
{
    const size_t bytes = (size_t)tensor_elements(&placed->spec) * sizeof(float);
    const unsigned char *data = (const unsigned char *)placed->data;
    const unsigned char *end = data + padded_bytes(&placed->spec) + GUARD_BYTES;
    for (const unsigned char *p = data + bytes; p < end; p++)
        if (*p != GUARD_BYTE)
            return false;
    for (const unsigned char *p = data - GUARD_BYTES; p < data; p++)
        if (*p != GUARD_BYTE)
            return false;
    return true;
}

static const char *broken_of(int count, const struct placed placed[])
{
    for (int i = 0; i < count; i++)
        if (!guard_intact(&placed[i]))
            return placed[i].spec.name;
    return NULL;
}

const char *case_broken_guard(const struct bench_case *c)
{
    const char *broken = broken_of(c->tensor_count, c->tensor);
    if (!broken)
        broken = broken_of(c->prepared_count, c->prepared);
    return broken ? broken : broken_of(c->scratch_count, c->scratch);
}

/* Sequences first .. first + count. */
static void run_some(const struct bench_case *c, int64_t first, int64_t count)
{
    struct instance some = c->instance;
    some.dims.B = count;
    for (int i = 0; i < c->tensor_count; i++)
        some.t[i] += first * case_sequence_elements(&c->tensor[i], c->instance.dims);
    c->kernel->algorithm->run(&some);
}

void case_run(const struct bench_case *bench_case)
{
    const struct dims d = bench_case->instance.dims;
    const int64_t at_once = d.B > 1 ? kernel_sequences_at_once(bench_case->kernel, d) : 1;
    if (at_once == d.B)
        bench_case->kernel->algorithm->run(&bench_case->instance);
    else
        for (int64_t b = 0; b < d.B; b += at_once)
            run_some(bench_case, b, at_most(d.B - b, at_once));
}
