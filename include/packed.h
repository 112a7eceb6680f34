/*
 * packed.h - matrix products with weights packed once, before the clock starts.
 *
 * The suite's own answer to "what could this core do without the BLAS's packing on every call":
 * register-blocked loops in GNU C vector types, no intrinsics. A matrix W[out,in] is cut into
 * panels of a few vectors of output rows; within a panel the rows lie side by side for each input,
 * so that the inner loop reads memory in order.
 */
#ifndef SEQBENCH_PACKED_H
#define SEQBENCH_PACKED_H

#include "seqbench.h"
#include "vmath.h"

/* Block sizes by the number of vector registers: accumulators, a row of the panel, a broadcast. */
#if defined(__AVX512F__) || defined(__aarch64__)
enum { PACKED_VECTORS = 4, PACKED_ROWS = 6 }; /* 32 registers */
#else
enum { PACKED_VECTORS = 2, PACKED_ROWS = 6 }; /* 16 registers */
#endif
enum { PACKED_STEP_VECTORS = 8 };

/*
 * A matrix W[gates * hid, in] whose rows are reordered: blocks of `block` channels, and within a
 * block all gates of these channels, so that a step has the gates of a channel at hand together.
 * The last block is filled up with zeros. One gate: the order stays, filled up to whole blocks.
 */
struct packed {
    int64_t gates, hid, block, in;
    int64_t vectors; /* of a panel, except for the last one, which may have fewer */
    const float *panels;
};

/* Rows after reordering and filling up: a multiple of gates * block. */
static inline int64_t packed_rows(const struct packed *w)
{
    return w->gates * w->block * ((w->hid + w->block - 1) / w->block);
}

/* The shape that `prepared` lists for the panels, and for a vector of one float per row. */
struct tensor packed_tensor(const char *name, const struct packed *w);
struct tensor packed_vector(const char *name, const struct packed *w);

/* From W[gates * hid, in] with rows ldw apart, times scale, into panels. */
void packed_fill(const struct packed *w, const float *W, int64_t ldw, float scale, float *panels);

/* The same from W^T[in, hid], of one gate. */
void packed_fill_transposed(const struct packed *w, const float *W, int64_t ldw, float *panels);

/* From b[gates * hid] in the order of the rows. */
void packed_fill_vector(const struct packed *w, const float *b, float scale, float *out);

enum packed_then { THEN_NOTHING, THEN_RELU };

/*
 * Y[rows, out] = then(X[rows, in] W^T + bias + addend), out = packed_rows(w) or fewer.
 * Rows of X lie ldx apart, rows of addend and Y ldy. bias[packed_rows] and addend may be NULL;
 * addend may be Y.
 */
void packed_linear(int64_t rows, int64_t out, const struct packed *w, const float *X, int64_t ldx,
                   const float *bias, const float *addend, enum packed_then then, float *Y,
                   int64_t ldy);

/*
 * y[hid] = W x + bias + addend: one row of X. W with panels of PACKED_STEP_VECTORS; bias[rows of W]
 * and addend[hid] may be NULL; addend may be y.
 */
void packed_vector_product(const struct packed *w, const float *x, const float *bias,
                           const float *addend, float *y);

/* Steps whose W x is worked out at once. */
enum { PACKED_CHUNK_STEPS = 96 };

/* What a recurrence prepares: W for chunks, U for steps, b in the order of their rows. */
enum { PACKED_W, PACKED_U, PACKED_B, PACKED_RECURRENCE };
void packed_recurrence_tensors(const struct packed *W, struct tensor out[PACKED_RECURRENCE]);

/* Fills them from W, U [gates * hid, in] and b[gates * hid]. */
void packed_recurrence_fill(const struct packed *W, const struct packed *U,
                            const float *const from[PACKED_RECURRENCE],
                            float *const prepared[PACKED_RECURRENCE]);

/*
 * A recurrence with its input products taken out of the loop: W x + bias of a chunk of tokens at
 * once into chunk[PACKED_CHUNK_STEPS, packed_rows(W)], then step(in, s, wx) for each of them.
 */
void packed_recurrence(const struct instance *in, const struct packed *W, const float *x,
                       const float *bias, float *chunk,
                       void (*step)(const struct instance *in, int64_t s, const float *wx));

/*
 * acc[vectors] += panel[in, vectors] x[in], walked from the first input to the last, or back: what
 * was read last is read first then, and found in the nearest cache.
 */
void packed_step(int64_t vectors, bool backward, int64_t in, const float *panel, const float *x,
                 vfloat acc[PACKED_STEP_VECTORS]);

#endif
