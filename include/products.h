/*
 * products.h - matrix products: with weights by the engine of the case, of activations by OpenBLAS.
 *
 * A linear map is stored W[out,in], as torch.nn.Linear stores it. Rows of X lie ldx floats apart,
 * rows of Y ldy.
 */
#ifndef SEQBENCH_PRODUCTS_H
#define SEQBENCH_PRODUCTS_H

#include <cblas.h>

#include "seqbench.h"
#include "vmath.h"

/* Accumulators of a walk through a panel, in vectors. */
enum { WALK_VECTORS = 8 };

/* Who makes the products with weights. One file in kernels/engines and one line in engines.def. */
struct engine {
    const char *name;
    const char *method;      /* how it stores weights and multiplies, one line */
    const char *layers;      /* the only ones that take it, with commas between; NULL: all */
    double bytes_per_weight; /* that a product reads, of those that it keeps */
    double kept;             /* the share of the weights that it multiplies by; 0: all */
    bool packs_before;       /* before the clock starts; else at every product of several rows */
    enum rounding rounds;    /* what it makes of weights */
    bool rounds_inputs;      /* and of what they multiply, token by token */
    const char *roof;        /* that gives the peak rate of its products */
    const char *(*refuses)(struct dims d); /* as of algorithms; NULL: it supports every shape */
    /* Lists the arrays that an engine has for a map whose sizes are known: those that prepare fills,
     * and room that products and take write to. Returns how many. */
    int (*arrays)(const struct weights *w, struct tensor out[ENGINE_ARRAYS]);
    void (*prepare)(const struct weights *w);
    /* Y[rows,out] = X[rows,in] W^T + bias + addend, with the map's relu. addend[rows,ldy] may be
     * NULL or Y. */
    void (*product)(const struct weights *w, int64_t rows, const float *X, int64_t ldx,
                    const float *addend, float *Y, int64_t ldy);
    /* Before walks of a map with x[in]: makes x what they read. NULL: they read x itself. */
    void (*take)(const struct weights *w, const float *x);
    /*
     * acc[vectors] += rows first .. of W times x: one panel of a map with gates, walked from the
     * first input to the last or back, so that what was read last is read first then. NULL: this
     * engine has no panels.
     */
    void (*walk)(const struct weights *w, int64_t first, int64_t vectors, bool backward,
                 const float *x, vfloat acc[WALK_VECTORS]);
    /* How many weights of a row of so many it multiplies by; and zeros for the others of W[row,in].
     * NULL: all. */
    int64_t (*inputs)(double kept, int64_t in);
    void (*leave_out)(const struct weights *w, int64_t row, double *weights);
};

static inline int64_t engine_inputs(const struct engine *engine, int64_t in)
{
    return engine->inputs ? engine->inputs(engine->kept, in) : in;
}

/* Multiply-adds of one row of a product. */
static inline int64_t weights_multiply_adds(const struct engine *engine, const struct weights *w)
{
    return w->out * engine_inputs(engine, w->in);
}

static inline int64_t map_padded_channels(const struct map *map, int64_t out, int64_t vectors)
{
    const int64_t block = vectors * VMATH_LANES;
    return block * ((out / map->gates + block - 1) / block);
}

/* Vectors of each gate in a block: as the map says, or one where that fills up markedly less. */
static inline int map_gate_vectors(const struct map *map, int64_t out)
{
    const int64_t whole = map_padded_channels(map, out, map->gate_vectors);
    return 10 * map_padded_channels(map, out, 1) < 9 * whole ? 1 : map->gate_vectors;
}

/* Rows that products of a map write: those of W, or whole blocks of channels where it has gates. */
static inline int64_t map_rows(const struct map *map, int64_t out)
{
    if (!map->gates)
        return out;
    return map->gates * map_padded_channels(map, out, map_gate_vectors(map, out));
}

/* ---- products with weights ---- */

/* Y = X W^T + bias + addend by the map-th map of the algorithm. */
static inline void product(const struct instance *in, int map, int64_t rows, const float *X,
                           int64_t ldx, const float *addend, float *Y, int64_t ldy)
{
    const struct weights *w = &in->weights[map];
    multiply_adds_done += rows * weights_multiply_adds(in->engine, w);
    in->engine->product(w, rows, X, ldx, addend, Y, ldy);
}

/* The same for rows without gaps, and without an addend. */
static inline void product_rows(const struct instance *in, int map, int64_t rows, const float *X,
                                float *Y)
{
    product(in, map, rows, X, in->weights[map].in, NULL, Y, in->weights[map].rows);
}

/* y = W x + bias + addend, one row; addend may be NULL or y. */
static inline void product_row(const struct instance *in, int map, const float *x,
                               const float *addend, float *y)
{
    product(in, map, 1, x, in->weights[map].in, addend, y, in->weights[map].rows);
}

/* ---- products of activations ---- */

/*
 * C[m,n] = alpha A[m,k] B[n,k]^T + beta C. One row goes to sgemv: OpenBLAS's sgemm does not forward
 * it and packs both operands at every call.
 */
static inline void sgemm_nt(int64_t m, int64_t n, int64_t k, float alpha, const float *A,
                            int64_t lda, const float *B, int64_t ldb, float beta, float *C,
                            int64_t ldc)
{
    multiply_adds_done += m * n * k;
    if (m == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)n, (int)k, alpha, B, (int)ldb, A, 1, beta, C,
                    1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, alpha, A,
                    (int)lda, B, (int)ldb, beta, C, (int)ldc);
}

/* C[m,n] = A[m,k] B[k,n] + beta C */
static inline void sgemm_nn(int64_t m, int64_t n, int64_t k, const float *A, int64_t lda,
                            const float *B, int64_t ldb, float beta, float *C, int64_t ldc)
{
    multiply_adds_done += m * n * k;
    if (m == 1)
        cblas_sgemv(CblasRowMajor, CblasTrans, (int)k, (int)n, 1.0f, B, (int)ldb, A, 1, beta, C, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, A,
                    (int)lda, B, (int)ldb, beta, C, (int)ldc);
}

/* C[m,n] = A[k,m]^T B[k,n] + beta C */
static inline void sgemm_tn(int64_t m, int64_t n, int64_t k, const float *A, int64_t lda,
                            const float *B, int64_t ldb, float beta, float *C, int64_t ldc)
{
    multiply_adds_done += m * n * k;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, A, (int)lda,
                B, (int)ldb, beta, C, (int)ldc);
}

/* X[n,m] = (I + L)^-1 X, L[n,n] strictly lower: what stands on its diagonal and above is not read. */
static inline void solve_unit_lower(int64_t n, int64_t m, const float *L, int64_t ldl, float *X,
                                    int64_t ldx)
{
    multiply_adds_done += n * (n - 1) / 2 * m;
    cblas_strsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasUnit, (int)n, (int)m, 1.0f,
                L, (int)ldl, X, (int)ldx);
}

#endif
