/* onednn.c - oneDNN's C API, version 2, as the kernels use it. Compiled where dnnl.h is found. */
#define _GNU_SOURCE /* madvise */
#include "peers/onednn.h"

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

dnnl_memory_desc_t onednn_desc(int64_t a, int64_t b, int64_t c, int64_t d, dnnl_format_tag_t tag)
{
    const dnnl_dims_t sizes = {a, b, c, d};
    int rank = 1;
    while (rank < 4 && sizes[rank] > 0)
        rank++;
    dnnl_memory_desc_t desc;
    onednn_check(dnnl_memory_desc_init_by_tag(&desc, rank, sizes, dnnl_f32, tag),
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

void onednn_release(struct instance *in)
{
    onednn_close(in->handle);
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
static void *without_const(const float *data)
{
    union {
        const float *in;
        void *out;
    } pointer = {data};
    return pointer.out;
}

void onednn_bind(struct onednn *p, int arg, const float *data)
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

void onednn_pack(struct onednn *p, int arg, dnnl_memory_desc_t given, const float *data)
{
    const dnnl_memory_desc_t *packed = wanted(p, arg);
    dnnl_memory_t from = make_memory(&given, without_const(data));
    dnnl_memory_t to = add_argument(p, arg, allocate_weights(p, dnnl_memory_desc_get_size(packed)));
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t reorder;
    onednn_check(
        dnnl_reorder_primitive_desc_create(&desc, &given, engine(), packed, engine(), NULL),
        "dnnl_reorder_primitive_desc_create");
    onednn_check(dnnl_primitive_create(&reorder, desc), "dnnl_primitive_create");
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    onednn_check(dnnl_primitive_execute(reorder, stream(), 2, arguments), "dnnl_primitive_execute");
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(from);
}

void onednn_execute(const struct onednn *p)
{
    onednn_check(dnnl_primitive_execute(p->primitive, stream(), p->count, p->arguments),
                 "dnnl_primitive_execute");
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

struct onednn *onednn_linear(int64_t rows, int64_t in, int64_t out, const float *X, const float *W,
                             const float *b, bool relu, float *Y)
{
    const dnnl_memory_desc_t from = onednn_desc(rows, in, 0, 0, dnnl_ab);
    const dnnl_memory_desc_t to = onednn_desc(rows, out, 0, 0, dnnl_ab);
    const dnnl_memory_desc_t weights = onednn_desc(out, in, 0, 0, dnnl_format_tag_any);
    const dnnl_memory_desc_t bias = onednn_desc(out, 0, 0, 0, dnnl_a);
    dnnl_inner_product_desc_t op;
    onednn_check(dnnl_inner_product_forward_desc_init(&op, dnnl_forward_inference, &from, &weights,
                                                      &bias, &to),
                 "dnnl_inner_product_forward_desc_init");
    dnnl_primitive_attr_t attributes = relu ? with_relu() : NULL;
    struct onednn *p = onednn_open(&op, attributes);
    if (relu)
        dnnl_primitive_attr_destroy(attributes);
    onednn_bind(p, DNNL_ARG_SRC, X);
    onednn_pack(p, DNNL_ARG_WEIGHTS, onednn_desc(out, in, 0, 0, dnnl_ab), W);
    onednn_bind(p, DNNL_ARG_BIAS, b);
    onednn_bind(p, DNNL_ARG_DST, Y);
    return p;
}

/* ---- recurrent layers ---- */

dnnl_format_tag_t onednn_sequence_layout(struct dims d)
{
    return d.B == 1 ? dnnl_tnc : dnnl_ntc;
}

static dnnl_memory_desc_t five(const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    onednn_check(dnnl_memory_desc_init_by_tag(&desc, 5, dims, dnnl_f32, tag),
                 "dnnl_memory_desc_init_by_tag");
    return desc;
}

struct onednn_recurrent onednn_recurrent(struct dims d, int64_t gates, int64_t biases,
                                         dnnl_format_tag_t layout)
{
    const int64_t H = d.H, In = input_size(d);
    const dnnl_dims_t of_input = {1, 1, In, gates, H}, of_state = {1, 1, H, gates, H};
    const dnnl_dims_t bias = {1, 1, biases, H};
    struct onednn_recurrent r = {.input = onednn_desc(d.S, d.B, In, 0, layout),
                                 .output = onednn_desc(d.S, d.B, H, 0, layout),
                                 .state = onednn_desc(1, 1, d.B, H, dnnl_ldnc)};
    r.weights_of_input = five(of_input, dnnl_format_tag_any);
    r.weights_of_state = five(of_state, dnnl_format_tag_any);
    r.given_of_input = five(of_input, dnnl_ldgoi);
    r.given_of_state = five(of_state, dnnl_ldgoi);
    onednn_check(dnnl_memory_desc_init_by_tag(&r.bias, 4, bias, dnnl_f32, dnnl_ldgo),
                 "dnnl_memory_desc_init_by_tag");
    return r;
}

struct onednn *onednn_open_recurrent(const dnnl_rnn_desc_t *op, const struct onednn_recurrent *r,
                                     const float *x, const float *h0, const float *W,
                                     const float *U, const float *b, float *y)
{
    struct onednn *p = onednn_open(op, NULL);
    onednn_bind(p, DNNL_ARG_SRC_LAYER, x);
    onednn_bind(p, DNNL_ARG_SRC_ITER, h0);
    onednn_pack(p, DNNL_ARG_WEIGHTS_LAYER, r->given_of_input, W);
    onednn_pack(p, DNNL_ARG_WEIGHTS_ITER, r->given_of_state, U);
    onednn_bind(p, DNNL_ARG_BIAS, b);
    onednn_bind(p, DNNL_ARG_DST_LAYER, y);
    return p;
}
