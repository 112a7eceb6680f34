/* onednn.c - oneDNN's C API, version 2, as the kernels use it. Compiled where dnnl.h is found. */
#define _GNU_SOURCE /* madvise */
#include "peers/onednn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ARGUMENTS_MAX = 12 };

struct onednn {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    int count, owned_count;
    dnnl_exec_arg_t arguments[ARGUMENTS_MAX];
    void *owned[ARGUMENTS_MAX];
};

/* Of the OpenMP library that oneDNN is linked with; omp.h is the compiler's and may be another's.
 */
void omp_set_num_threads(int count);
int omp_get_max_threads(void);

void onednn_check(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return;
    fprintf(stderr, "seqbench: %s: oneDNN's status %d\n", what, (int)status);
    abort();
}

const char *onednn_runtime(void)
{
    switch (dnnl_version()->cpu_runtime) {
    case DNNL_RUNTIME_OMP:
        return "omp";
    case DNNL_RUNTIME_SEQ:
        return "seq";
    default:
        return "neither omp nor seq";
    }
}

int onednn_threads(void)
{
    return dnnl_version()->cpu_runtime == DNNL_RUNTIME_SEQ ? 1 : omp_get_max_threads();
}

bool onednn_is_serial(void)
{
    const unsigned runtime = dnnl_version()->cpu_runtime;
    omp_set_num_threads(1);
    return (runtime == DNNL_RUNTIME_OMP || runtime == DNNL_RUNTIME_SEQ) && onednn_threads() == 1;
}

bool onednn_has_narrow(void)
{
    const unsigned needed = dnnl_cpu_isa_avx512_core;
    return ((unsigned)dnnl_get_effective_cpu_isa() & needed) == needed;
}

static dnnl_engine_t engine(void)
{
    static dnnl_engine_t made;
    if (!made) {
        if (!onednn_is_serial())
            onednn_check(dnnl_runtime_error, "cannot keep oneDNN in one thread");
        onednn_check(dnnl_engine_create(&made, dnnl_cpu, 0), "dnnl_engine_create");
    }
    return made;
}

static dnnl_stream_t stream(void)
{
    static dnnl_stream_t made;
    if (!made)
        onednn_check(dnnl_stream_create(&made, engine(), dnnl_stream_default_flags),
                     "dnnl_stream_create");
    return made;
}

/* ---- one primitive ---- */

dnnl_memory_desc_t onednn_desc(dnnl_data_type_t type, int64_t a, int64_t b, int64_t c, int64_t d,
                               dnnl_format_tag_t tag)
{
    const dnnl_dims_t sizes = {a, b, c, d};
    int rank = 1;
    while (rank < 4 && sizes[rank] > 0)
        rank++;
    dnnl_memory_desc_t desc;
    onednn_check(dnnl_memory_desc_init_by_tag(&desc, rank, sizes, type, tag),
                 "dnnl_memory_desc_init_by_tag");
    return desc;
}

struct onednn *onednn_open(const void *op, const_dnnl_primitive_attr_t attributes)
{
    struct onednn *p = calloc(1, sizeof(*p));
    if (!p)
        abort();
    onednn_check(dnnl_primitive_desc_create(&p->desc, op, attributes, engine(), NULL),
                 "dnnl_primitive_desc_create");
    onednn_check(dnnl_primitive_create(&p->primitive, p->desc), "dnnl_primitive_create");
    return p;
}

void onednn_close(struct onednn *p)
{
    for (int i = 0; i < p->count; i++)
        dnnl_memory_destroy(p->arguments[i].memory);
    for (int i = 0; i < p->owned_count; i++)
        free(p->owned[i]);
    dnnl_primitive_destroy(p->primitive);
    dnnl_primitive_desc_destroy(p->desc);
    free(p);
}

/* ---- several ---- */

enum { STEPS_MAX = 8 };

struct onednn_chain {
    struct onednn *steps[STEPS_MAX];
    int count;
};

struct onednn_chain *onednn_chain(struct instance *in)
{
    struct onednn_chain *chain = calloc(1, sizeof(*chain));
    if (!chain)
        abort();
    in->handle = chain;
    return chain;
}

void onednn_chain_add(struct onednn_chain *chain, struct onednn *p)
{
    if (chain->count == STEPS_MAX)
        abort();
    chain->steps[chain->count++] = p;
}

void onednn_chain_run(const struct onednn_chain *chain)
{
    for (int i = 0; i < chain->count; i++)
        onednn_execute(chain->steps[i]);
}

void onednn_release(struct instance *in)
{
    struct onednn_chain *chain = in->handle;
    for (int i = 0; i < chain->count; i++)
        onednn_close(chain->steps[i]);
    free(chain);
}

static dnnl_memory_t make_memory(const dnnl_memory_desc_t *desc, void *data)
{
    dnnl_memory_t memory;
    onednn_check(dnnl_memory_create(&memory, desc, engine(), data), "dnnl_memory_create");
    return memory;
}

static const dnnl_memory_desc_t *wanted(const struct onednn *p, int arg)
{
    const dnnl_memory_desc_t *desc =
        dnnl_primitive_desc_query_md(p->desc, dnnl_query_exec_arg_md, arg);
    onednn_check(desc ? dnnl_success : dnnl_invalid_arguments, "dnnl_primitive_desc_query_md");
    return desc;
}

static dnnl_memory_t add_argument(struct onednn *p, int arg, void *data)
{
    if (p->count == ARGUMENTS_MAX)
        abort();
    dnnl_memory_t memory = make_memory(wanted(p, arg), data);
    p->arguments[p->count++] = (dnnl_exec_arg_t){arg, memory};
    return memory;
}

/* oneDNN takes inputs as pointers to non-const. */
static void *without_const(const void *data)
{
    union {
        const void *in;
        void *out;
    } pointer = {data};
    return pointer.out;
}

void onednn_bind(struct onednn *p, int arg, const void *data)
{
    add_argument(p, arg, without_const(data));
}

/* On large pages where the system grants them, as the arrays of a case are. */
static void *allocate_weights(struct onednn *p, size_t bytes)
{
    const size_t huge = (size_t)2 << 20, align = bytes < huge ? 64 : huge;
    const size_t whole = (bytes + align - 1) / align * align;
    void *data = aligned_alloc(align, whole);
    if (!data)
        abort();
    if (align == huge)
        madvise(data, whole, MADV_HUGEPAGE);
    p->owned[p->owned_count++] = data;
    return data;
}

struct onednn *onednn_reorder(dnnl_memory_desc_t from, const void *data, dnnl_memory_desc_t to,
                              void *copy, const_dnnl_primitive_attr_t attributes)
{
    struct onednn *p = calloc(1, sizeof(*p));
    if (!p)
        abort();
    onednn_check(
        dnnl_reorder_primitive_desc_create(&p->desc, &from, engine(), &to, engine(), attributes),
        "dnnl_reorder_primitive_desc_create");
    onednn_check(dnnl_primitive_create(&p->primitive, p->desc), "dnnl_primitive_create");
    p->arguments[p->count++] =
        (dnnl_exec_arg_t){DNNL_ARG_FROM, make_memory(&from, without_const(data))};
    p->arguments[p->count++] = (dnnl_exec_arg_t){DNNL_ARG_TO, make_memory(&to, copy)};
    return p;
}

void onednn_pack(struct onednn *p, int arg, dnnl_memory_desc_t given, const float *data,
                 const_dnnl_primitive_attr_t attributes)
{
    const dnnl_memory_desc_t *packed = wanted(p, arg);
    void *copy = allocate_weights(p, dnnl_memory_desc_get_size(packed));
    struct onednn *reorder = onednn_reorder(given, data, *packed, copy, attributes);
    onednn_execute(reorder);
    onednn_close(reorder);
    add_argument(p, arg, copy);
}

void onednn_execute(const struct onednn *p)
{
    onednn_check(dnnl_primitive_execute(p->primitive, stream(), p->count, p->arguments),
                 "dnnl_primitive_execute");
}

/* ---- other types than float32 ---- */

static dnnl_memory_desc_t as_float32(dnnl_memory_desc_t desc)
{
    desc.data_type = dnnl_f32;
    return desc;
}

/* Bytes are 128 + 127 times a number in [-1,1]. */
enum { BYTE_UNITS = 127, BYTE_OFFSET = 128 };

static dnnl_primitive_attr_t to_bytes(void)
{
    const float units = BYTE_UNITS;
    const int32_t offset = BYTE_OFFSET;
    dnnl_primitive_attr_t attributes;
    onednn_check(dnnl_primitive_attr_create(&attributes), "dnnl_primitive_attr_create");
    onednn_check(dnnl_primitive_attr_set_output_scales(attributes, 1, 0, &units),
                 "dnnl_primitive_attr_set_output_scales");
    onednn_check(dnnl_primitive_attr_set_zero_points(attributes, DNNL_ARG_DST, 1, 0, &offset),
                 "dnnl_primitive_attr_set_zero_points");
    return attributes;
}

const void *onednn_taken(struct onednn_chain *chain, dnnl_memory_desc_t as, const float *data,
                         float *room)
{
    if (as.data_type == dnnl_f32)
        return data;
    dnnl_primitive_attr_t attributes = as.data_type == dnnl_u8 ? to_bytes() : NULL;
    onednn_chain_add(chain, onednn_reorder(as_float32(as), data, as, room, attributes));
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return room;
}

void *onednn_made(dnnl_memory_desc_t as, float *data, float *room)
{
    return as.data_type == dnnl_f32 ? data : room;
}

void onednn_give_back(struct onednn_chain *chain, dnnl_memory_desc_t as, const float *room,
                      float *data)
{
    if (as.data_type != dnnl_f32)
        onednn_chain_add(chain, onednn_reorder(as, room, as_float32(as), data, NULL));
}

/* ---- linear maps ---- */

static dnnl_primitive_attr_t with_relu(void)
{
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t operations;
    onednn_check(dnnl_primitive_attr_create(&attributes), "dnnl_primitive_attr_create");
    onednn_check(dnnl_post_ops_create(&operations), "dnnl_post_ops_create");
    onednn_check(dnnl_post_ops_append_eltwise(operations, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f),
                 "dnnl_post_ops_append_eltwise");
    onednn_check(dnnl_primitive_attr_set_post_ops(attributes, operations),
                 "dnnl_primitive_attr_set_post_ops");
    dnnl_post_ops_destroy(operations);
    return attributes;
}

struct onednn *onednn_linear(dnnl_data_type_t type, int64_t rows, int64_t in, int64_t out,
                             const void *X, const float *W, const float *b, bool relu, float *Y)
{
    const dnnl_memory_desc_t from = onednn_desc(type, rows, in, 0, 0, dnnl_ab);
    const dnnl_memory_desc_t to = onednn_desc(dnnl_f32, rows, out, 0, 0, dnnl_ab);
    const dnnl_memory_desc_t weights = onednn_desc(type, out, in, 0, 0, dnnl_format_tag_any);
    const dnnl_memory_desc_t bias = onednn_desc(dnnl_f32, out, 0, 0, 0, dnnl_a);
    dnnl_inner_product_desc_t op;
    onednn_check(dnnl_inner_product_forward_desc_init(&op, dnnl_forward_inference, &from, &weights,
                                                      &bias, &to),
                 "dnnl_inner_product_forward_desc_init");
    dnnl_primitive_attr_t attributes = relu ? with_relu() : NULL;
    struct onednn *p = onednn_open(&op, attributes);
    if (relu)
        dnnl_primitive_attr_destroy(attributes);
    onednn_bind(p, DNNL_ARG_SRC, X);
    onednn_pack(p, DNNL_ARG_WEIGHTS, onednn_desc(dnnl_f32, out, in, 0, 0, dnnl_ab), W, NULL);
    onednn_bind(p, DNNL_ARG_BIAS, b);
    onednn_bind(p, DNNL_ARG_DST, Y);
    return p;
}

/* ---- recurrent layers ---- */

dnnl_format_tag_t onednn_sequence_layout(struct dims d)
{
    return d.B == 1 ? dnnl_tnc : dnnl_ntc;
}

static dnnl_memory_desc_t five(const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    onednn_check(dnnl_memory_desc_init_by_tag(&desc, 5, dims, type, tag),
                 "dnnl_memory_desc_init_by_tag");
    return desc;
}

struct onednn_recurrent onednn_recurrent(struct onednn_types types, struct dims d, int64_t gates,
                                         int64_t biases, dnnl_format_tag_t layout)
{
    const int64_t H = d.H, In = input_size(d);
    const dnnl_dims_t of_input = {1, 1, In, gates, H}, of_state = {1, 1, H, gates, H};
    const dnnl_dims_t bias = {1, 1, biases, H};
    struct onednn_recurrent r = {.input = onednn_desc(types.input, d.S, d.B, In, 0, layout),
                                 .output = onednn_desc(types.output, d.S, d.B, H, 0, layout),
                                 .state = onednn_desc(types.input, 1, 1, d.B, H, dnnl_ldnc),
                                 .cell = onednn_desc(dnnl_f32, 1, 1, d.B, H, dnnl_ldnc)};
    r.weights_of_input = five(of_input, types.weights, dnnl_format_tag_any);
    r.weights_of_state = five(of_state, types.weights, dnnl_format_tag_any);
    r.given_of_input = five(of_input, dnnl_f32, dnnl_ldgoi);
    r.given_of_state = five(of_state, dnnl_f32, dnnl_ldgoi);
    onednn_check(dnnl_memory_desc_init_by_tag(&r.bias, 4, bias, dnnl_f32, dnnl_ldgo),
                 "dnnl_memory_desc_init_by_tag");
    return r;
}

int onednn_rooms(struct dims d, struct tensor out[ONEDNN_ROOMS])
{
    out[ONEDNN_X] = (struct tensor){.name = "x as taken", .shape = {d.S, input_size(d)}};
    out[ONEDNN_H0] = (struct tensor){.name = "h0 as taken", .shape = {d.H}};
    out[ONEDNN_Y] = (struct tensor){.name = "y as made", .shape = {d.S, d.H}};
    return ONEDNN_ROOMS;
}

static float largest(int64_t n, const float *x, float most)
{
    for (int64_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most;
}

dnnl_primitive_attr_t onednn_recurrent_scales(struct onednn_types types, struct dims d,
                                              int64_t gates, const float *W, const float *U)
{
    enum { OF_GATE_AND_CHANNEL = 1 << 3 | 1 << 4 };
    const int64_t In = input_size(d), rows = gates * d.H;
    dnnl_primitive_attr_t attributes;
    if (types.weights != dnnl_s8)
        return NULL;
    float *scales = malloc((size_t)rows * sizeof(float));
    if (!scales)
        abort();
    for (int64_t r = 0; r < rows; r++)
        scales[r] = 127.0f / largest(d.H, U + r * d.H, largest(In, W + r * In, 1e-30f));
    onednn_check(dnnl_primitive_attr_create(&attributes), "dnnl_primitive_attr_create");
    onednn_check(dnnl_primitive_attr_set_rnn_data_qparams(attributes, BYTE_UNITS, BYTE_OFFSET),
                 "dnnl_primitive_attr_set_rnn_data_qparams");
    onednn_check(
        dnnl_primitive_attr_set_rnn_weights_qparams(attributes, rows, OF_GATE_AND_CHANNEL, scales),
        "dnnl_primitive_attr_set_rnn_weights_qparams");
    free(scales);
    return attributes;
}

/* By way of the order that every reorder of a recurrent primitive's weights takes. */
static void pack_recurrent(struct onednn *p, int arg, dnnl_memory_desc_t given, const float *data,
                           const_dnnl_primitive_attr_t attributes)
{
    const dnnl_memory_desc_t plain = five(given.dims, dnnl_f32, dnnl_ldigo);
    float *copy = malloc(dnnl_memory_desc_get_size(&plain));
    if (!copy)
        abort();
    struct onednn *reorder = onednn_reorder(given, data, plain, copy, NULL);
    onednn_execute(reorder);
    onednn_close(reorder);
    onednn_pack(p, arg, plain, copy, attributes);
    free(copy);
}

struct onednn *onednn_open_recurrent(const dnnl_rnn_desc_t *op, const struct onednn_recurrent *r,
                                     const_dnnl_primitive_attr_t attributes, const void *x,
                                     const void *h0, const float *W, const float *U, const float *b,
                                     void *y)
{
    struct onednn *p = onednn_open(op, attributes);
    onednn_bind(p, DNNL_ARG_SRC_LAYER, x);
    onednn_bind(p, DNNL_ARG_SRC_ITER, h0);
    pack_recurrent(p, DNNL_ARG_WEIGHTS_LAYER, r->given_of_input, W, attributes);
    pack_recurrent(p, DNNL_ARG_WEIGHTS_ITER, r->given_of_state, U, attributes);
    onednn_bind(p, DNNL_ARG_BIAS, b);
    onednn_bind(p, DNNL_ARG_DST_LAYER, y);
    return p;
}
