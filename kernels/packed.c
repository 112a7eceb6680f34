/* packed.c - packing, and the register-blocked product over it. */
#include "packed.h"

/* Rows of X that are taken through all panels together, and inputs per pass: what is read again
 * stays in L2. */
enum { CHUNK_ROWS = 96, PASS_INPUTS = 1024 };

static int64_t panel_width(const struct packed *w)
{
    return w->vectors * VMATH_LANES;
}

/* The row of W that stands at a position, or -1: filled up. */
static int64_t row_at(const struct packed *w, int64_t position)
{
    const int64_t group = w->gates * w->block;
    const int64_t channel = position / group * w->block + position % w->block;
    const int64_t gate = position % group / w->block;
    return channel < w->hid ? gate * w->hid + channel : -1;
}

struct tensor packed_tensor(const char *name, const struct packed *w)
{
    return (struct tensor){.name = name, .shape = {packed_rows(w), w->in}};
}

struct tensor packed_vector(const char *name, const struct packed *w)
{
    return (struct tensor){.name = name, .shape = {packed_rows(w)}};
}

void packed_fill(const struct packed *w, const float *W, int64_t ldw, float scale, float *panels)
{
    const int64_t rows = packed_rows(w);
    for (int64_t first = 0; first < rows; first += panel_width(w)) {
        const int64_t width = rows - first < panel_width(w) ? rows - first : panel_width(w);
        float *panel = panels + first * w->in;
        for (int64_t c = 0; c < width; c++) {
            const int64_t row = row_at(w, first + c);
            for (int64_t i = 0; i < w->in; i++)
                panel[i * width + c] = row < 0 ? 0.0f : scale * W[row * ldw + i];
        }
    }
}

void packed_fill_transposed(const struct packed *w, const float *W, int64_t ldw, float *panels)
{
    const int64_t rows = packed_rows(w);
    for (int64_t first = 0; first < rows; first += panel_width(w)) {
        const int64_t width = rows - first < panel_width(w) ? rows - first : panel_width(w);
        float *panel = panels + first * w->in;
        for (int64_t i = 0; i < w->in; i++)
            for (int64_t c = 0; c < width; c++) {
                const int64_t row = row_at(w, first + c);
                panel[i * width + c] = row < 0 ? 0.0f : W[i * ldw + row];
            }
    }
}

void packed_fill_vector(const struct packed *w, const float *b, float scale, float *out)
{
    for (int64_t position = 0; position < packed_rows(w); position++) {
        const int64_t row = row_at(w, position);
        out[position] = row < 0 ? 0.0f : scale * b[row];
    }
}

/* ---- the product ---- */

/* One block of the product: some rows of X against one panel, over some of the inputs. */
struct block {
    const float *X, *panel, *bias, *addend;
    float *Y;
    int64_t ldx, ldy, inputs, columns;
    bool first, last; /* pass over the inputs */
    enum packed_then then;
};

static inline __attribute__((always_inline)) vfloat load_columns(const float *p, int64_t n)
{
    return n >= VMATH_LANES ? v_load(p) : v_load_head(p, n, 0.0f);
}

static inline __attribute__((always_inline)) vfloat start(const struct block *b, int r, int v)
{
    const int64_t at = (int64_t)v * VMATH_LANES, left = b->columns - at;
    vfloat sum = {0};
    if (left <= 0)
        return sum;
    if (!b->first)
        return load_columns(b->Y + r * b->ldy + at, left);
    if (b->bias)
        sum += v_load(b->bias + at);
    if (b->addend)
        sum += load_columns(b->addend + r * b->ldy + at, left);
    return sum;
}

static inline __attribute__((always_inline)) void finish(const struct block *b, int r, int v,
                                                         vfloat sum)
{
    const int64_t at = (int64_t)v * VMATH_LANES, left = b->columns - at;
    if (b->last && b->then == THEN_RELU)
        sum = v_max(sum, (vfloat){0});
    if (left >= VMATH_LANES)
        v_store(b->Y + r * b->ldy + at, sum);
    else if (left > 0)
        v_store_head(b->Y + r * b->ldy + at, sum, left);
}

static inline __attribute__((always_inline)) void multiply(const struct block *b, int rows,
                                                           int vectors)
{
    vfloat sum[PACKED_ROWS][PACKED_VECTORS];
    const float *panel = b->panel;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sum[r][v] = start(b, r, v);
    for (int64_t i = 0; i < b->inputs; i++) {
        vfloat w[PACKED_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            w[v] = v_load(panel + v * VMATH_LANES);
        panel += vectors * VMATH_LANES;
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const vfloat x = b->X[r * b->ldx + i] - (vfloat){0};
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                sum[r][v] += x * w[v];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            finish(b, r, v, sum[r][v]);
}

typedef void block_function(const struct block *b);

#define BLOCK(rows, vectors)                                                                       \
    static void block_##rows##x##vectors(const struct block *b)                                    \
    {                                                                                              \
        multiply(b, rows, vectors);                                                                \
    }
#define BLOCKS(vectors)                                                                            \
    BLOCK(1, vectors)                                                                              \
    BLOCK(2, vectors) BLOCK(3, vectors) BLOCK(4, vectors) BLOCK(5, vectors) BLOCK(6, vectors)
#define NAMES(vectors)                                                                             \
    {                                                                                              \
        block_1x##vectors, block_2x##vectors, block_3x##vectors, block_4x##vectors,                \
            block_5x##vectors, block_6x##vectors                                                   \
    }

BLOCKS(1)
BLOCKS(2)
#if defined(__AVX512F__) || defined(__aarch64__)
BLOCKS(3)
BLOCKS(4)
static block_function *const blocks[PACKED_VECTORS][PACKED_ROWS] = {NAMES(1), NAMES(2), NAMES(3),
                                                                    NAMES(4)};
#else
static block_function *const blocks[PACKED_VECTORS][PACKED_ROWS] = {NAMES(1), NAMES(2)};
#endif

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* All rows of a chunk against one panel; b holds what the blocks have in common. */
static void multiply_panel(int64_t rows, int64_t in, int64_t vectors, struct block b)
{
    const float *const X = b.X, *const addend = b.addend, *const panel = b.panel;
    float *const Y = b.Y;
    for (int64_t input = 0; input < in; input += PASS_INPUTS) {
        b.inputs = least(in - input, PASS_INPUTS);
        b.panel = panel + input * vectors * VMATH_LANES;
        b.first = input == 0;
        b.last = input + b.inputs == in;
        for (int64_t r = 0; r < rows; r += PACKED_ROWS) {
            b.X = X + r * b.ldx + input;
            b.Y = Y + r * b.ldy;
            b.addend = addend ? addend + r * b.ldy : 0;
            blocks[vectors - 1][least(rows - r, PACKED_ROWS) - 1](&b);
        }
    }
}

void packed_linear(int64_t rows, int64_t out, const struct packed *w, const float *X, int64_t ldx,
                   const float *bias, const float *addend, enum packed_then then, float *Y,
                   int64_t ldy)
{
    multiply_adds_done += rows * w->gates * w->hid * w->in;
    for (int64_t r = 0; r < rows; r += CHUNK_ROWS)
        for (int64_t first = 0; first < out; first += panel_width(w)) {
            const int64_t width = least(packed_rows(w) - first, panel_width(w));
            multiply_panel(least(rows - r, CHUNK_ROWS), w->in, width / VMATH_LANES,
                           (struct block){
                               .X = X + r * ldx,
                               .panel = w->panels + first * w->in,
                               .bias = bias ? bias + first : 0,
                               .addend = addend ? addend + r * ldy + first : 0,
                               .Y = Y + r * ldy + first,
                               .ldx = ldx,
                               .ldy = ldy,
                               .columns = least(out - first, width),
                               .then = then,
                           });
        }
}

/* ---- recurrences ---- */

void packed_recurrence(const struct instance *in, const struct packed *W, const float *x,
                       const float *bias, float *chunk,
                       void (*step)(const struct instance *in, int64_t s, const float *wx))
{
    const int64_t S = in->dims.S, row = packed_rows(W);
    for (int64_t first = 0; first < S; first += PACKED_CHUNK_STEPS) {
        const int64_t steps = least(S - first, PACKED_CHUNK_STEPS);
        packed_linear(steps, row, W, x + first * W->in, W->in, bias, 0, THEN_NOTHING, chunk, row);
        for (int64_t s = 0; s < steps; s++)
            step(in, first + s, chunk + s * row);
    }
}

/* Few accumulators are doubled, so that enough multiply-adds are under way. */
static inline __attribute__((always_inline)) void walk(int vectors, bool backward, int64_t in,
                                                       const float *panel, const float *x,
                                                       vfloat acc[PACKED_STEP_VECTORS])
{
    const bool is_doubled = vectors < PACKED_STEP_VECTORS;
    const int64_t stride = (int64_t)vectors * VMATH_LANES;
    vfloat even[PACKED_STEP_VECTORS], odd[PACKED_STEP_VECTORS];
    int64_t k = 0;
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        even[v] = acc[v];
        odd[v] = (vfloat){0};
    }
    for (; k + 2 <= in; k += 2) {
        const int64_t i = backward ? in - 1 - k : k, j = backward ? i - 1 : i + 1;
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            even[v] += v_load(panel + i * stride + v * VMATH_LANES) * x[i];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            const vfloat weights = v_load(panel + j * stride + v * VMATH_LANES);
            if (is_doubled)
                odd[v] += weights * x[j];
            else
                even[v] += weights * x[j];
        }
    }
    if (k < in) {
        const int64_t i = backward ? 0 : k;
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            even[v] += v_load(panel + i * stride + v * VMATH_LANES) * x[i];
    }
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        acc[v] = even[v] + odd[v];
}

#define WALK(n)                                                                                    \
    case n:                                                                                        \
        if (backward)                                                                              \
            walk(n, true, in, panel, x, acc);                                                      \
        else                                                                                       \
            walk(n, false, in, panel, x, acc);                                                     \
        break;

void packed_step(int64_t vectors, bool backward, int64_t in, const float *panel, const float *x,
                 vfloat acc[PACKED_STEP_VECTORS])
{
    switch (vectors) {
        WALK(1)
        WALK(2)
        WALK(3)
        WALK(4)
        WALK(5)
        WALK(6)
        WALK(7)
        WALK(8)
    }
}

void packed_vector_product(const struct packed *w, const float *x, const float *bias,
                           const float *addend, float *y)
{
    multiply_adds_done += w->hid * w->in;
    for (int64_t first = 0; first < packed_rows(w); first += panel_width(w)) {
        const int64_t vectors = least(packed_rows(w) - first, panel_width(w)) / VMATH_LANES;
        vfloat sum[PACKED_STEP_VECTORS];
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t at = first + v * VMATH_LANES, left = w->hid - at;
            sum[v] = bias ? v_load(bias + at) : (vfloat){0};
            if (addend && left > 0)
                sum[v] += load_columns(addend + at, left);
        }
        packed_step(vectors, false, w->in, w->panels + first * w->in, x, sum);
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t at = first + v * VMATH_LANES;
            v_store_some(y + at, sum[v], w->hid - at);
        }
    }
}
