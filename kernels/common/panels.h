/*
 * panels.h - matrices in panels, and products with them.
 *
 * The suite's own answer to "what could this core do without the BLAS's packing on every call":
 * register-blocked loops in GNU C vector types, no intrinsics. A matrix W[out,in] is cut into
 * panels of a few vectors of output rows; within a panel the rows lie side by side for each input,
 * so that the inner loop reads memory in order. The engine `packed` lays out weights so before the
 * clock starts, attention its keys and values while it runs. Multiply-adds are counted by callers.
 */
#ifndef SEQBENCH_PANELS_H
#define SEQBENCH_PANELS_H

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
};

/* Rows after reordering and filling up: a multiple of gates * block. */
static inline int64_t panels_rows(const struct panels *w)
{
    return w->gates * w->block * ((w->hid + w->block - 1) / w->block);
}

/* The arrays that hold the panels, and a vector of one float per row. */
struct tensor panels_tensor(const char *name, const struct panels *w);
struct tensor panels_vector(const char *name, const struct panels *w);

/* From W[gates * hid, in] with rows ldw apart, times scale, into panels. */
void panels_fill(const struct panels *w, const float *W, int64_t ldw, float scale, float *panels);

/* The same from W^T[in, hid], of one gate. */
void panels_fill_transposed(const struct panels *w, const float *W, int64_t ldw, float *panels);

/* From b[gates * hid] in the order of the rows. */
void panels_fill_vector(const struct panels *w, const float *b, float scale, float *out);

/*
 * Y[rows,out] = X[rows,in] W^T + bias + addend, negative results 0 where relu; out = panels_rows(w)
 * or fewer. Rows of X lie ldx apart, rows of addend and Y ldy. bias[panels_rows] and addend may be
 * NULL; addend may be Y.
 */
void panels_product(int64_t rows, int64_t out, const struct panels *w, const float *X, int64_t ldx,
                    const float *bias, const float *addend, bool relu, float *Y, int64_t ldy);

/* The same for one row. W with panels of at most WALK_VECTORS. */
void panels_row_product(int64_t out, const struct panels *w, const float *x, const float *bias,
                        const float *addend, bool relu, float *y);

/*
 * acc[vectors] += panel[in, vectors] x[in], walked from the first input to the last, or back: what
 * was read last is read first then, and found in the nearest cache.
 */
void panels_walk(int64_t vectors, bool backward, int64_t in, const float *panel, const float *x,
                 vfloat acc[WALK_VECTORS]);

#endif
