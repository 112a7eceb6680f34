/* panels.c - packing, and the register-blocked product over it. */
#include "common/panels.h"

#include <string.h>

/* Rows of X that are taken through all panels together, and inputs per pass: what is read again
 * stays in L2. */
enum { CHUNK_ROWS = 96, PASS_INPUTS = 1024 };

static int64_t panel_width(const struct panels *w)
{
    return w->vectors * VMATH_LANES;
}

/* The row of W that stands at a position, or -1: filled up. */
static int64_t row_at(const struct panels *w, int64_t position)
{
    const int64_t group = w->gates * w->block;
    const int64_t channel = position / group * w->block + position % w->block;
    const int64_t gate = position % group / w->block;
    return channel < w->hid ? gate * w->hid + channel : -1;
}

struct tensor panels_tensor(const char *name, const struct panels *w)
{
    return (struct tensor){.name = name, .shape = {panels_rows(w), w->held}};
}

struct tensor panels_vector(const char *name, const struct panels *w)
{
    return (struct tensor){.name = name, .shape = {panels_rows(w)}};
}

void panels_fill(const struct panels *w, const float *W, int64_t ldw, float scale, float *panels)
{
    const int64_t rows = panels_rows(w);
    for (int64_t first = 0; first < rows; first += panel_width(w)) {
        const int64_t width = at_most(rows - first, panel_width(w));
        float *panel = panels + first * w->held;
        for (int64_t c = 0; c < width; c++) {
            const int64_t row = row_at(w, first + c);
            for (int64_t i = 0; i < w->in; i++)
                panel[i * width + c] = row < 0 ? 0.0f : scale * W[row * ldw + i];
        }
    }
}

void panels_fill_transposed(const struct panels *w, const float *W, int64_t ldw, float *panels)
{
    const int64_t rows = panels_rows(w);
    for (int64_t first = 0; first < rows; first += panel_width(w)) {
        const int64_t width = at_most(rows - first, panel_width(w)),
                      known = at_most(w->hid - first, width);
        float *panel = panels + first * w->held;
        for (int64_t i = 0; i < w->in; i++) {
            memcpy(panel + i * width, W + i * ldw + first, (size_t)known * sizeof(float));
            memset(panel + i * width + known, 0, (size_t)(width - known) * sizeof(float));
        }
    }
}

void panels_fill_vector(const struct panels *w, const float *b, float scale, float *out)
{
    for (int64_t position = 0; position < panels_rows(w); position++) {
        const int64_t row = row_at(w, position);
        out[position] = row < 0 ? 0.0f : scale * b[row];
    }
}

/* ---- the product ---- */

/* One block of the product: some rows of X against one panel, over some of the inputs. */
struct block {
    const float *X, *panel;
    const float *from;    /* what the sums start from: rows lie ldfrom apart */
    const float *bias;    /* of the columns, added to that, or NULL */
    const char *upcoming; /* weights that are needed next: PREFETCHED bytes per input */
    float *Y;
    int64_t ldx, ldfrom, ldy, inputs;
    bool is_relu;
};

/* Two blocks of rows ask for half a row of the panel each. */
enum { CACHE_LINE = 64, PREFETCHED = PRODUCT_VECTORS * VMATH_BYTES / 2 };

/* Full width: nothing in here depends on the number of columns. */
static inline __attribute__((always_inline)) void multiply(const struct block *b, int rows,
                                                           int vectors)
{
    vfloat sum[PRODUCT_ROWS][PRODUCT_VECTORS];
    const float *panel = b->panel;
    const char *upcoming = b->upcoming;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sum[r][v] = v_load(b->from + r * b->ldfrom + v * VMATH_LANES);
    if (b->bias)
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                sum[r][v] += v_load(b->bias + v * VMATH_LANES);
    for (int64_t i = 0; i < b->inputs; i++) {
        vfloat w[PRODUCT_VECTORS];
#pragma GCC unroll 2
        for (int line = 0; line < PREFETCHED; line += CACHE_LINE)
            __builtin_prefetch(upcoming + line, 0, 2);
        upcoming += PREFETCHED;
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
    if (b->is_relu)
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                sum[r][v] = v_max(sum[r][v], (vfloat){0});
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            v_store(b->Y + r * b->ldy + v * VMATH_LANES, sum[r][v]);
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
#if PRODUCT_VECTORS == 4
BLOCKS(3)
BLOCKS(4)
static block_function *const blocks[PRODUCT_VECTORS][PRODUCT_ROWS] = {NAMES(1), NAMES(2), NAMES(3),
                                                                      NAMES(4)};
#else
static block_function *const blocks[PRODUCT_VECTORS][PRODUCT_ROWS] = {NAMES(1), NAMES(2)};
#endif

/* What a product is made of, beside the rows and the panel at hand. */
struct task {
    const struct panels *w;
    const float *X, *bias, *addend;
    float *Y;
    int64_t ldx, ldy, out;
    bool is_relu;
};

static const float zeros[PRODUCT_VECTORS * VMATH_LANES];

/* Where the sums of some rows and one panel start from and go to. */
struct target {
    const float *from, *bias;
    float *Y;
    int64_t ldfrom, ldy;
};

/* One pass over the inputs, from `input` on, for some rows of X and one panel. */
static void multiply_pass(const struct task *p, int64_t first_row, int64_t rows, int64_t column,
                          int64_t vectors, int64_t input, const struct target *t)
{
    const int64_t in = p->w->in, inputs = at_most(in - input, PASS_INPUTS);
    const int64_t parts = (rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
    const float *panel = p->w->data + column * p->w->held + input * vectors * VMATH_LANES;
    const char *const upcoming = (const char *)(panel + inputs * vectors * VMATH_LANES);
    for (int64_t i = 0; i < parts; i++) {
        const int64_t r = i * rows / parts, count = (i + 1) * rows / parts - r;
        /* The first two blocks ask for the weights that follow; the others have them. */
        const struct block b = {
            .X = p->X + (first_row + r) * p->ldx + input,
            .panel = panel,
            .from = t->from + r * t->ldfrom,
            .bias = t->bias,
            .upcoming = i < 2 ? upcoming + i * inputs * PREFETCHED : (const char *)panel,
            .Y = t->Y + r * t->ldy,
            .ldx = p->ldx,
            .ldfrom = t->ldfrom,
            .ldy = t->ldy,
            .inputs = inputs,
            .is_relu = p->is_relu && input + inputs == in,
        };
        blocks[vectors - 1][count - 1](&b);
    }
}

/* All passes: the first from what the target says, the others from what the last one left. */
static void multiply_rows(const struct task *p, int64_t first_row, int64_t rows, int64_t column,
                          int64_t vectors, struct target t)
{
    for (int64_t input = 0; input < p->w->in; input += PASS_INPUTS) {
        multiply_pass(p, first_row, rows, column, vectors, input, &t);
        t = (struct target){.from = t.Y, .Y = t.Y, .ldfrom = t.ldy, .ldy = t.ldy};
    }
}

static void multiply_panel(const struct task *p, int64_t first_row, int64_t rows, int64_t column,
                           int64_t vectors)
{
    const int64_t at = first_row * p->ldy + column;
    const float *bias = p->bias ? p->bias + column : 0;
    struct target t = {.from = bias ? bias : zeros, .Y = p->Y + at, .ldy = p->ldy};
    if (p->addend)
        t = (struct target){p->addend + at, bias, p->Y + at, p->ldy, p->ldy};
    multiply_rows(p, first_row, rows, column, vectors, t);
}

/* The columns of a panel that is not full: into a tile, and from there what belongs to Y. */
static void multiply_edge(const struct task *p, int64_t first_row, int64_t rows, int64_t column,
                          int64_t vectors)
{
    float tile[PRODUCT_ROWS * PRODUCT_VECTORS * VMATH_LANES] __attribute__((aligned(64)));
    const int64_t width = vectors * VMATH_LANES;
    const size_t bytes = (size_t)(p->out - column) * sizeof(float);
    const struct target t = {tile, p->bias ? p->bias + column : 0, tile, width, width};
    for (int64_t r = 0; r < rows; r += PRODUCT_ROWS) {
        const int64_t count = at_most(rows - r, PRODUCT_ROWS);
        const int64_t at = (first_row + r) * p->ldy + column;
        memset(tile, 0, sizeof(tile));
        for (int64_t i = 0; p->addend && i < count; i++)
            memcpy(tile + i * width, p->addend + at + i * p->ldy, bytes);
        multiply_rows(p, first_row + r, count, column, vectors, t);
        for (int64_t i = 0; i < count; i++)
            memcpy(p->Y + at + i * p->ldy, tile + i * width, bytes);
    }
}

/* Some rows of X against every panel, in turns: what is read again stays in L2. */
static void multiply_chunk(const struct task *p, int64_t first_row, int64_t rows)
{
    const int64_t padded = panels_rows(p->w);
    for (int64_t column = 0; column < p->out; column += panel_width(p->w)) {
        const int64_t width = at_most(padded - column, panel_width(p->w));
        if (column + width > p->out)
            multiply_edge(p, first_row, rows, column, width / VMATH_LANES);
        else
            multiply_panel(p, first_row, rows, column, width / VMATH_LANES);
    }
}

void panels_product(int64_t rows, int64_t out, const struct panels *w, const float *X, int64_t ldx,
                    const float *bias, const float *addend, bool relu, float *Y, int64_t ldy)
{
    const struct task task = {w, X, bias, addend, Y, ldx, ldy, out, relu};
    const int64_t chunks = (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * rows / chunks;
        multiply_chunk(&task, first, (c + 1) * rows / chunks - first);
    }
}

/* ---- one row ---- */

/* Few accumulators are doubled, so that enough multiply-adds are under way. */
static inline __attribute__((always_inline)) void walk(int vectors, bool backward, int64_t in,
                                                       const float *panel, const float *x,
                                                       vfloat acc[WALK_VECTORS])
{
    const bool is_doubled = vectors < WALK_VECTORS;
    const int64_t stride = (int64_t)vectors * VMATH_LANES;
    vfloat even[WALK_VECTORS], odd[WALK_VECTORS];
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

void panels_walk(int64_t vectors, bool backward, int64_t in, const float *panel, const float *x,
                 vfloat acc[WALK_VECTORS])
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

void panels_row_product(int64_t out, const struct panels *w, const float *x, const float *bias,
                        const float *addend, bool relu, float *y)
{
    for (int64_t first = 0; first < out; first += panel_width(w)) {
        const int64_t vectors = at_most(panels_rows(w) - first, panel_width(w)) / VMATH_LANES;
        vfloat sum[WALK_VECTORS];
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t at = first + v * VMATH_LANES, left = out - at;
            sum[v] = bias ? v_load(bias + at) : (vfloat){0};
            if (addend && left > 0)
                sum[v] +=
                    left < VMATH_LANES ? v_load_head(addend + at, left, 0.0f) : v_load(addend + at);
        }
        panels_walk(vectors, false, w->in, w->data + first * w->held, x, sum);
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t at = first + v * VMATH_LANES;
            v_store_some(y + at, relu ? v_max(sum[v], (vfloat){0}) : sum[v], out - at);
        }
    }
}
