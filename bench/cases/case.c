/* case.c - layout, inputs, poison and guard zones of a case. */
#include "cases/case.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { ALIGN = 64, GUARD_BYTES = 256, GUARD_BYTE = 0xA5 };

int64_t tensor_elements(const struct tensor *tensor)
{
    int64_t elements = 1;
    for (int i = 0; i < RANK_MAX && tensor->shape[i] > 0; i++)
        elements *= tensor->shape[i];
    return elements;
}

static size_t padded_bytes(const struct tensor *tensor)
{
    const size_t bytes = (size_t)tensor_elements(tensor) * sizeof(float);
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static int list_scratch(const struct kernel *kernel, struct dims dims,
                        struct tensor out[SCRATCH_MAX])
{
    const int count = kernel->scratch ? kernel->scratch(dims, out) : 0;
    assert(count <= SCRATCH_MAX);
    return count;
}

static int list_prepared(const struct kernel *kernel, struct dims dims,
                         struct tensor out[PREPARED_MAX])
{
    const int count = kernel->prepared ? kernel->prepared(dims, out) : 0;
    assert(count <= PREPARED_MAX);
    return count;
}

static int list_tensors(const struct kernel *kernel, struct dims dims,
                        struct tensor out[TENSOR_MAX])
{
    const int count = kernel->layer->tensors(dims, out);
    assert(count <= TENSOR_MAX);
    return count;
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
    struct tensor tensors[TENSOR_MAX], prepared[PREPARED_MAX], scratch[SCRATCH_MAX];
    return GUARD_BYTES + total_bytes(list_tensors(kernel, dims, tensors), tensors) +
           total_bytes(list_prepared(kernel, dims, prepared), prepared) +
           total_bytes(list_scratch(kernel, dims, scratch), scratch);
}

int64_t case_compulsory_bytes(const struct kernel *kernel, struct dims dims)
{
    struct tensor tensors[TENSOR_MAX];
    const int count = list_tensors(kernel, dims, tensors);
    int64_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += tensor_elements(&tensors[i]) * (int64_t)sizeof(float);
    return bytes;
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

void case_place(const struct kernel *kernel, struct dims dims, const struct arena *arena,
                struct bench_case *out)
{
    assert(case_bytes(kernel, dims) <= arena->bytes);
    struct tensor specs[TENSOR_MAX], prepared[PREPARED_MAX], scratch[SCRATCH_MAX];
    *out = (struct bench_case){
        .kernel = kernel,
        .instance.dims = dims,
        .tensor_count = list_tensors(kernel, dims, specs),
        .prepared_count = list_prepared(kernel, dims, prepared),
        .scratch_count = list_scratch(kernel, dims, scratch),
    };
    unsigned char *at = arena->base + GUARD_BYTES;
    memset(arena->base, GUARD_BYTE, GUARD_BYTES);
    for (int i = 0; i < out->tensor_count; i++) {
        out->tensor[i] = place(specs[i], &at);
        out->instance.t[i] = out->tensor[i].data;
    }
    for (int i = 0; i < out->prepared_count; i++) {
        prepared[i].role = PREPARED;
        out->prepared[i] = place(prepared[i], &at);
        out->instance.prepared[i] = out->prepared[i].data;
    }
    for (int i = 0; i < out->scratch_count; i++) {
        scratch[i].role = SCRATCH;
        out->scratch[i] = place(scratch[i], &at);
        out->instance.scratch[i] = out->scratch[i].data;
    }
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
        if (bench_case->tensor[i].spec.role != OUTPUT)
            draw(&bench_case->tensor[i], seed * 64 + (uint64_t)i);
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
    if (bench_case->kernel->prepare)
        bench_case->kernel->prepare(&bench_case->instance);
}

void case_release(struct bench_case *bench_case)
{
    if (bench_case->kernel->release)
        bench_case->kernel->release(&bench_case->instance);
}

void case_poison_outputs(struct bench_case *bench_case)
{
    for (int i = 0; i < bench_case->tensor_count; i++)
        if (bench_case->tensor[i].spec.role == OUTPUT)
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

void case_run(const struct bench_case *bench_case)
{
    bench_case->kernel->run(&bench_case->instance);
}
