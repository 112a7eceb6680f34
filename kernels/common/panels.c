/* panels.c - packing, and the register-blocked product over it. */
#include "common/panels.h"

#include <math.h>
#include <string.h>

/* Words of a row per pass: what is read again stays in L2. Sums of bytes take a single pass. */
enum { PASS_WORDS = 1024 };

static int64_t inputs_per_word(enum element element)
{
    return element == FLOAT32 ? 1 : element == BF16 ? 2 : 4;
}

/* Floats of x per word of W: one where x is rounded to words, too. */
static int64_t x_per_word(enum element element)
{
    return panels_round_inputs(element) ? 1 : inputs_per_word(element);
}

/* Words that so many inputs of a row take. */
static int64_t words_of(const struct panels *w, int64_t inputs)
{
    const int64_t each = inputs_per_word(w->element);
    return (inputs + each - 1) / each;
}

/* Words of each row of W that a panel has room for. */
static int64_t panel_words(const struct panels *w)
{
    return words_of(w, w->held);
}

static const float *panel_at(const struct panels *w, int64_t row)
{
    return w->data + row * panel_words(w);
}

static int64_t panel_width(const struct panels *w)
{
    return w->vectors * VMATH_LANES;
}

int64_t panels_row_at(const struct panels *w, int64_t position)
{
    const int64_t group = w->gates * w->block;
    const int64_t channel = position / group * w->block + position % w->block;
    const int64_t gate = position % group / w->block;
    return channel < w->hid ? gate * w->hid + channel : -1;
}

struct tensor panels_tensor(const char *name, const struct panels *w)
{
    return (struct tensor){.name = name, .shape = {panels_rows(w), panel_words(w)}};
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
            const int64_t row = panels_row_at(w, first + c);
            for (int64_t i = 0; i < w->in; i++)
                panel[i * width + c] = row < 0 ? 0.0f : scale * W[row * ldw + i];
        }
    }
}

/* ---- words ---- */

/* To the nearest bfloat16; of two as near to the one whose last bit is 0. */
static uint32_t bf16_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static float largest(int64_t n, const float *x)
{
    float most = 0.0f;
    for (int64_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most;
}

/* One weight in the bits of its place within a word; sum adds up bytes. */
static uint32_t word_part(enum element element, float weight, float per_scale, int64_t place,
                          int32_t *sum)
{
    if (element == BF16)
        return bf16_bits(weight) << 16 * place;
    const int32_t byte = (int32_t)lrint((double)weight * (double)per_scale);
    *sum += byte;
    return (uint32_t)(uint8_t)byte << 8 * place;
}

/* One row of W into its column of a panel; returns the sum of its bytes. */
static int32_t fill_row(const struct panels *w, const float *row, float per_scale, int64_t width,
                        float *column)
{
    const int64_t inputs = inputs_per_word(w->element);
    int32_t sum = 0;
    for (int64_t k = 0; k < panel_words(w); k++) {
        uint32_t word = 0;
        for (int64_t i = k * inputs; row && i < at_most(w->in, (k + 1) * inputs); i++)
            word |= word_part(w->element, row[i], per_scale, i % inputs, &sum);
        memcpy(column + k * width, &word, sizeof(word));
    }
    return sum;
}

void panels_fill_words(const struct panels *w, const float *W, int64_t ldw, float *panels,
                       float *scale, float *offset)
{
    const int64_t rows = panels_rows(w);
    for (int64_t position = 0; position < rows; position++) {
        const int64_t first = position / panel_width(w) * panel_width(w);
        const int64_t width = at_most(rows - first, panel_width(w)),
                      row = panels_row_at(w, position);
        const float *from = row < 0 ? NULL : W + row * ldw;
        const float most = from ? largest(w->in, from) : 0.0f;
        float *column = panels + first * panel_words(w) + position - first;
        const int32_t sum = fill_row(w, from, most > 0.0f ? 127.0f / most : 0.0f, width, column);
        const int32_t start = -128 * sum; /* as 128 is added to each x */
        if (scale)
            scale[position] = most / 127.0f;
        if (offset)
            memcpy(offset + position, &start, sizeof(start));
    }
}

/* Words that a row of X takes, as products read it. */
static int64_t taken_row(const struct panels *w)
{
    return panel_words(w) * x_per_word(w->element);
}

struct tensor panels_taken_tensor(const char *name, const struct panels *w, int64_t rows)
{
    return (struct tensor){.name = name, .shape = {rows, taken_row(w)}};
}

#if DOTS_BF16
static void take_bf16(const struct panels *w, const float *x, float *taken)
{
    uint16_t *to = (uint16_t *)(void *)taken;
    memset(taken + w->in / 2, 0, (size_t)(panel_words(w) - w->in / 2) * sizeof(float));
    int64_t i = 0;
    for (; i + VMATH_LANES <= w->in; i += VMATH_LANES)
        v_store_bf16(to + i, v_load(x + i));
    for (; i < w->in; i++)
        to[i] = (uint16_t)bf16_bits(x[i]);
}
#endif

#if DOTS_INT8
/* Returns what one unit is worth. */
static float take_bytes(const struct panels *w, const float *x, float *taken)
{
    uint8_t *to = (uint8_t *)taken, last[VMATH_LANES];
    vfloat most_of_lanes = {0};
    V_EACH(i, lanes, w->in, most_of_lanes = v_max(most_of_lanes, v_abs(v_load_some(x + i, lanes))));
    const float most = vmath_max_lanes(most_of_lanes), units = most > 0.0f ? 127.0f / most : 0.0f;
    memset(taken + w->in / 4, 0, (size_t)(panel_words(w) - w->in / 4) * sizeof(float));
    int64_t i = 0;
    for (; i + VMATH_LANES <= w->in; i += VMATH_LANES)
        v_store_bytes(to + i, v_load(x + i), units);
    v_store_bytes(last, v_load_some(x + i, w->in - i), units);
    memcpy(to + i, last, (size_t)(w->in - i));
    return most / 127.0f;
}
#endif

/* As it is, with zeros behind. */
static void take_floats(const struct panels *w, const float *x, float *taken)
{
    memcpy(taken, x, (size_t)w->in * sizeof(float));
    memset(taken + w->in, 0, (size_t)(taken_row(w) - w->in) * sizeof(float));
}

void panels_take(const struct panels *w, int64_t rows, const float *X, int64_t ldx)
{
    for (int64_t r = 0; r < rows; r++) {
        float *taken = w->taken + r * taken_row(w);
#if DOTS_BF16
        if (w->element == BF16) {
            take_bf16(w, X + r * ldx, taken);
            continue;
        }
#endif
#if DOTS_INT8
        if (w->element == INT8) {
            w->x_scale[r] = take_bytes(w, X + r * ldx, taken);
            continue;
        }
#endif
        take_floats(w, X + r * ldx, taken);
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
        const int64_t row = panels_row_at(w, position);
        out[position] = row < 0 ? 0.0f : scale * b[row];
    }
}

/* ---- the product ---- */

/* One block of the product: some rows of X against one panel, over some of the inputs. */
struct block {
    const float *X, *panel;
    const float *from;                     /* what the sums start from: rows lie ldfrom apart */
    const float *bias;                     /* of the columns, added to that, or NULL */
    const float *scale, *offset, *x_scale; /* INT8: of the columns, and of the rows */
    const char *upcoming; /* weights that are needed next: PREFETCHED bytes per word */
    float *Y;
    int64_t ldx, ldfrom, ldy, words;
    bool is_relu;
};

/* Two blocks of rows ask for half a row of the panel each. */
enum { CACHE_LINE = 64, PREFETCHED = PRODUCT_VECTORS * VMATH_BYTES / 2 };

/* sum + the products of one word of a row of W in each lane and the x of its inputs. */
static inline __attribute__((always_inline)) vfloat add_word(enum element element, vfloat sum,
                                                             vfloat w, const float *x)
{
    if (element == FLOAT32)
        return sum + (x[0] - (vfloat){0}) * w;
#if DOTS_BF16
    if (element == BF16)
        return v_dot_bf16(sum, v_bits(w), v_word(x));
#endif
    if (element == BF16) {
        sum += v_of_bf16(v_bits(w), 0) * x[0];
        return sum + v_of_bf16(v_bits(w), 1) * x[1];
    }
    sum += v_of_int8(v_bits(w), 0) * x[0];
    sum += v_of_int8(v_bits(w), 1) * x[1];
    sum += v_of_int8(v_bits(w), 2) * x[2];
    return sum + v_of_int8(v_bits(w), 3) * x[3];
}

/* The same for bytes. Sums are whole numbers until the end: gcc keeps them in registers only so. */
static inline vint add_bytes(vint sum, vfloat w, const float *x)
{
#if DOTS_INT8
    return v_dot_int8(sum, v_bits(w), v_word(x));
#else
    (void)w;
    (void)x;
    return sum;
#endif
}

/* What the sums of products of bytes come to. */
static inline vfloat scaled(vfloat sum, const float *scale, const float *offset,
                            const float *x_scale)
{
    if (DOTS_INT8)
        return v_of_int(v_bits(sum) + v_bits(v_load(offset))) * (v_load(scale) * x_scale[0]);
    return sum * v_load(scale);
}

/* Full width: nothing in here depends on the number of columns. */
static inline __attribute__((always_inline)) void
multiply(enum element element, const struct block *b, int rows, int vectors)
{
    const int64_t step = x_per_word(element);
    const bool is_whole = element == INT8 && DOTS_INT8;
    vfloat sum[PRODUCT_ROWS][PRODUCT_VECTORS];
    vint whole[PRODUCT_ROWS][PRODUCT_VECTORS];
    const float *panel = b->panel;
    const char *upcoming = b->upcoming;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            sum[r][v] =
                element == INT8 ? (vfloat){0} : v_load(b->from + r * b->ldfrom + v * VMATH_LANES);
            whole[r][v] = (vint){0};
        }
    if (element != INT8 && b->bias)
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                sum[r][v] += v_load(b->bias + v * VMATH_LANES);
    for (int64_t i = 0; i < b->words; i++) {
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
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                if (is_whole)
                    whole[r][v] = add_bytes(whole[r][v], w[v], b->X + r * b->ldx + i * step);
                else
                    sum[r][v] = add_word(element, sum[r][v], w[v], b->X + r * b->ldx + i * step);
    }
    if (element == INT8)
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) {
                if (is_whole)
                    sum[r][v] = v_of_bits(whole[r][v]);
                sum[r][v] = scaled(sum[r][v], b->scale + v * VMATH_LANES,
                                   b->offset + v * VMATH_LANES, b->x_scale + r) +
                            v_load(b->from + r * b->ldfrom + v * VMATH_LANES);
                if (b->bias)
                    sum[r][v] += v_load(b->bias + v * VMATH_LANES);
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

#define BLOCK(element, rows, vectors)                                                              \
    static void element##_##rows##x##vectors(const struct block *b)                                \
    {                                                                                              \
        multiply(element, b, rows, vectors);                                                       \
    }
#define BLOCKS(element, vectors)                                                                   \
    BLOCK(element, 1, vectors)                                                                     \
    BLOCK(element, 2, vectors)                                                                     \
    BLOCK(element, 3, vectors)                                                                     \
    BLOCK(element, 4, vectors)                                                                     \
    BLOCK(element, 5, vectors)                                                                     \
    BLOCK(element, 6, vectors)
#define NAMES(element, vectors)                                                                    \
    {                                                                                              \
        element##_1x##vectors, element##_2x##vectors, element##_3x##vectors,                       \
            element##_4x##vectors, element##_5x##vectors, element##_6x##vectors                    \
    }

#if PRODUCT_VECTORS == 4
#define ALL_BLOCKS(element)                                                                        \
    BLOCKS(element, 1) BLOCKS(element, 2) BLOCKS(element, 3) BLOCKS(element, 4)
#define ALL_NAMES(element)                                                                         \
    {                                                                                              \
        NAMES(element, 1), NAMES(element, 2), NAMES(element, 3), NAMES(element, 4)                 \
    }
#else
#define ALL_BLOCKS(element) BLOCKS(element, 1) BLOCKS(element, 2)
#define ALL_NAMES(element)                                                                         \
    {                                                                                              \
        NAMES(element, 1), NAMES(element, 2)                                                       \
    }
#endif

ALL_BLOCKS(FLOAT32)
ALL_BLOCKS(BF16)
ALL_BLOCKS(INT8)
static block_function *const blocks[][PRODUCT_VECTORS][PRODUCT_ROWS] = {
    [FLOAT32] = ALL_NAMES(FLOAT32), [BF16] = ALL_NAMES(BF16), [INT8] = ALL_NAMES(INT8)};

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

/* Words of each row that hold inputs. */
static int64_t product_words(const struct panels *w)
{
    return words_of(w, w->in);
}

/* One pass over some of the words, for some rows of X and one panel. */
static void multiply_pass(const struct task *p, int64_t first_row, int64_t rows, int64_t column,
                          int64_t vectors, int64_t word, int64_t words, const struct target *t)
{
    const struct panels *w = p->w;
    const int64_t parts = (rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
    const float *panel = panel_at(w, column) + word * vectors * VMATH_LANES;
    const char *const upcoming = (const char *)(panel + words * vectors * VMATH_LANES);
    for (int64_t i = 0; i < parts; i++) {
        const int64_t r = i * rows / parts, count = (i + 1) * rows / parts - r;
        /* The first two blocks ask for the weights that follow; the others have them. */
        const struct block b = {
            .X = p->X + (first_row + r) * p->ldx + word * x_per_word(w->element),
            .panel = panel,
            .scale = w->scale ? w->scale + column : NULL,
            .offset = w->offset ? w->offset + column : NULL,
            .x_scale = w->x_scale ? w->x_scale + first_row + r : NULL,
            .from = t->from + r * t->ldfrom,
            .bias = t->bias,
            .upcoming = i < 2 ? upcoming + i * words * PREFETCHED : (const char *)panel,
            .Y = t->Y + r * t->ldy,
            .ldx = p->ldx,
            .ldfrom = t->ldfrom,
            .ldy = t->ldy,
            .words = words,
            .is_relu = p->is_relu && word + words == product_words(w),
        };
        blocks[w->element][vectors - 1][count - 1](&b);
    }
}

/* All passes: the first from what the target says, the others from what the last one left. */
static void multiply_rows(const struct task *p, int64_t first_row, int64_t rows, int64_t column,
                          int64_t vectors, struct target t)
{
    const int64_t all = product_words(p->w), pass = p->w->element == INT8 ? all : PASS_WORDS;
    for (int64_t word = 0; word < all; word += pass) {
        multiply_pass(p, first_row, rows, column, vectors, word, at_most(all - word, pass), &t);
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
    struct task task = {w, X, bias, addend, Y, ldx, ldy, out, relu};
    const int64_t chunks = (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * rows / chunks, count = (c + 1) * rows / chunks - first;
        if (w->element == FLOAT32) {
            multiply_chunk(&task, first, count);
            continue;
        }
        panels_take(w, count, X + first * ldx, ldx);
        task.X = w->taken;
        task.ldx = taken_row(w);
        task.addend = addend ? addend + first * ldy : NULL;
        task.Y = Y + first * ldy;
        multiply_chunk(&task, 0, count);
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

/* One word of each row into the sums; whole ones where the products are of bytes. */
static inline __attribute__((always_inline)) void walk_word(enum element element, int vectors,
                                                            const float *panel, const float *x,
                                                            vfloat sum[WALK_VECTORS],
                                                            vint whole[WALK_VECTORS])
{
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        if (element == INT8 && DOTS_INT8)
            whole[v] = add_bytes(whole[v], v_load(panel + v * VMATH_LANES), x);
        else
            sum[v] = add_word(element, sum[v], v_load(panel + v * VMATH_LANES), x);
}

/* The same as walk for words, and the x that was taken. */
static inline __attribute__((always_inline)) void walk_words(enum element element, int vectors,
                                                             bool backward, const struct panels *w,
                                                             int64_t first,
                                                             vfloat acc[WALK_VECTORS])
{
    const int64_t words = product_words(w), stride = (int64_t)vectors * VMATH_LANES;
    const int64_t step = x_per_word(element);
    const bool is_doubled = vectors < WALK_VECTORS;
    const float *panel = panel_at(w, first), *x = w->taken;
    vfloat even[WALK_VECTORS], odd[WALK_VECTORS];
    vint whole[WALK_VECTORS], other[WALK_VECTORS];
    int64_t k = 0;
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        even[v] = element == INT8 ? (vfloat){0} : acc[v];
        odd[v] = (vfloat){0};
        whole[v] = other[v] = (vint){0};
    }
    for (; k + 2 <= words; k += 2) {
        const int64_t i = backward ? words - 1 - k : k, j = backward ? i - 1 : i + 1;
        walk_word(element, vectors, panel + i * stride, x + i * step, even, whole);
        walk_word(element, vectors, panel + j * stride, x + j * step, is_doubled ? odd : even,
                  is_doubled ? other : whole);
    }
    if (k < words) {
        const int64_t i = backward ? 0 : k;
        walk_word(element, vectors, panel + i * stride, x + i * step, even, whole);
    }
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        const int64_t row = first + v * VMATH_LANES;
        const vfloat sum =
            element == INT8 && DOTS_INT8 ? v_of_bits(whole[v] + other[v]) : even[v] + odd[v];
        if (element == INT8)
            acc[v] += scaled(sum, w->scale + row, w->offset + row, w->x_scale);
        else
            acc[v] = sum;
    }
}

#define WALK_WORDS(element, n)                                                                     \
    case n:                                                                                        \
        if (backward)                                                                              \
            walk_words(element, n, true, w, first, acc);                                           \
        else                                                                                       \
            walk_words(element, n, false, w, first, acc);                                          \
        break;
#define WALK_ALL_WORDS(element)                                                                    \
    switch (vectors) {                                                                             \
        WALK_WORDS(element, 1)                                                                     \
        WALK_WORDS(element, 2)                                                                     \
        WALK_WORDS(element, 3)                                                                     \
        WALK_WORDS(element, 4)                                                                     \
        WALK_WORDS(element, 5)                                                                     \
        WALK_WORDS(element, 6)                                                                     \
        WALK_WORDS(element, 7)                                                                     \
        WALK_WORDS(element, 8)                                                                     \
    }

void panels_walk_words(const struct panels *w, int64_t first, int64_t vectors, bool backward,
                       vfloat acc[WALK_VECTORS])
{
    if (w->element == BF16)
        WALK_ALL_WORDS(BF16)
    else
        WALK_ALL_WORDS(INT8)
}

void panels_row_product(int64_t out, const struct panels *w, const float *x, const float *bias,
                        const float *addend, bool relu, float *y)
{
    if (w->element != FLOAT32)
        panels_take(w, 1, x, w->in);
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
        if (w->element == FLOAT32)
            panels_walk(vectors, false, w->in, panel_at(w, first), x, sum);
        else
            panels_walk_words(w, first, vectors, false, sum);
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t at = first + v * VMATH_LANES;
            v_store_some(y + at, relu ? v_max(sum[v], (vfloat){0}) : sum[v], out - at);
        }
    }
}
