/*
 * panels.h - matrices in panels, and products with them.
 *
 * The suite's own answer to "what could this core do without the BLAS's packing on every call":
 * register-blocked loops in GNU C vector types, no intrinsics. A matrix W[out,in] is cut into
 * panels of a few vectors of output rows; within a panel the rows lie side by side for each input,
 * so that the inner loop reads memory in order. The engines `packed...` lay out weights so before
 * the clock starts, attention its keys and values while it runs. Multiply-adds are counted by
 * callers.
 *
 * Weights of fewer bits share words of 32: two as bfloat16 or four as int8, of consecutive inputs
 * of a row. Where dot.h has dot products of such words, activations are rounded to bfloat16 or to 8
 * bits, too; otherwise they stay float32 and weights are widened.
 */
#ifndef SEQBENCH_PANELS_H
#define SEQBENCH_PANELS_H

#include "common/dot.h"
#include "products.h"

/*
 * Block sizes by the number of vector registers, whatever their width: accumulators, a row of the
 * panel, a broadcast.
 */
#if defined(__AVX512VL__) || (defined(__AVX512F__) && VMATH_LANES == 16) || defined(__aarch64__)
#define PRODUCT_VECTORS 4 /* 32 registers */
#else
#define PRODUCT_VECTORS 2 /* 16 registers */
#endif
enum { PRODUCT_ROWS = 6 };

/* What a panel holds of each weight. */
enum element { FLOAT32, BF16, INT8 };

/*
 * A matrix W[gates * hid, in] whose rows are reordered: blocks of `block` channels, and within a
 * block all gates of these channels, so that a step has the gates of a channel at hand together.
 * The last block is filled up with zeros. One gate: the order stays, filled up to whole blocks.
 */
struct panels {
    int64_t gates, hid, block, in;
    int64_t held; /* inputs that a panel has room for: in, or more when only the first are used */
    int64_t vectors; /* of a panel, except for the last one, which may have fewer */
    const float *data;
    enum element element;   /* data is of words where it is not FLOAT32 */
    const float *scale;     /* INT8: of each row; a weight is scale times its byte */
    const float *offset;    /* INT8 with dot products: int32 that is added to the sums of a row */
    float *taken, *x_scale; /* of words: room for X as it is read, see panels_take */
};

/* Rows after reordering and filling up: a multiple of gates * block. */
static inline int64_t panels_rows(const struct panels *w)
{
    return w->gates * w->block * ((w->hid + w->block - 1) / w->block);
}

/* The row of W that stands at a position, or -1: filled up. */
int64_t panels_row_at(const struct panels *w, int64_t position);

/* The arrays that hold the panels, and a vector of one float per row. */
struct tensor panels_tensor(const char *name, const struct panels *w);
struct tensor panels_vector(const char *name, const struct panels *w);

/* From W[gates * hid, in] with rows ldw apart, times scale, into panels. */
void panels_fill(const struct panels *w, const float *W, int64_t ldw, float scale, float *panels);

/*
 * The same as words. bfloat16: to the nearest, of two as near to the even one. int8: the largest
 * weight of a row is 127 or -127 times its scale[rows]; to the nearest. offset as in struct panels.
 */
void panels_fill_words(const struct panels *w, const float *W, int64_t ldw, float *panels,
                       float *scale, float *offset);

/* The same as panels_fill from W^T[in, hid], of one gate. */
void panels_fill_transposed(const struct panels *w, const float *W, int64_t ldw, float *panels);

/* From b[gates * hid] in the order of the rows. */
void panels_fill_vector(const struct panels *w, const float *b, float scale, float *out);

/* Whether products of words take activations that are rounded. */
static inline bool panels_round_inputs(enum element element)
{
    return (element == BF16 && DOTS_BF16) || (element == INT8 && DOTS_INT8);
}

/* Rows of X that are taken through all panels together. */
enum { CHUNK_ROWS = 96 };

/* The array that holds so many rows of X as products of words read them. */
struct tensor panels_taken_tensor(const char *name, const struct panels *w, int64_t rows);

/*
 * At most CHUNK_ROWS rows X[rows,in] into w->taken: rounded, or as they are, filled up to whole
 * words with zeros. INT8 with dot products: the largest of a row is 127 or -127 times its
 * w->x_scale; bytes are to the nearest, and 128 is added, as one factor has to be unsigned.
 */
void panels_take(const struct panels *w, int64_t rows, const float *X, int64_t ldx);

/*
 * Y[rows,out] = X[rows,in] W^T + bias + addend, negative results 0 where relu; out = panels_rows(w)
 * or fewer. Rows of X lie ldx apart, rows of addend and Y ldy. bias[panels_rows] and addend may be
 * NULL; addend may be Y.
 */
void panels_product(int64_t rows, int64_t out, const struct panels *w, const float *X, int64_t ldx,
                    const float *bias, const float *addend, bool relu, float *Y, int64_t ldy);

/* The same as panels_product for one row. W with panels of at most WALK_VECTORS. */
void panels_row_product(int64_t out, const struct panels *w, const float *x, const float *bias,
                        const float *addend, bool relu, float *y);

/*
 * acc[vectors] += panel[in, vectors] x[in], walked from the first input to the last, or back: what
 * was read last is read first then, and found in the nearest cache.
 */
void panels_walk(int64_t vectors, bool backward, int64_t in, const float *panel, const float *x,
                 vfloat acc[WALK_VECTORS]);

/* The same for rows first .. of W of words, and the x that was taken last. */
void panels_walk_words(const struct panels *w, int64_t first, int64_t vectors, bool backward,
                       vfloat acc[WALK_VECTORS]);

#endif
