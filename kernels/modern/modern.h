/*
 * modern.h - the tensors of the modern block and of its decode, and what both share around the
 * attention. FfnSize F as ffn_size() says; K = kv_channels(modern_dims(d)).
 */
#ifndef SEQBENCH_MODERN_H
#define SEQBENCH_MODERN_H

#include "common/attention.h"
#include "products.h"

/* The parameters of both layers. */
enum {
    MODERN_N1,
    MODERN_WQ,
    MODERN_WK,
    MODERN_WV,
    MODERN_WO,
    MODERN_N2,
    MODERN_WGATE,
    MODERN_WUP,
    MODERN_WDOWN,
    MODERN_PARAMETER_COUNT,
};

/* x, the parameters, y. */
enum { MODERN_X, MODERN_PARAMETERS, MODERN_Y = MODERN_PARAMETERS + MODERN_PARAMETER_COUNT };

/* Of one token: x, its caches, the parameters, y, its key and value. */
enum {
    MODERN_DECODE_X,
    MODERN_DECODE_K_CACHE,
    MODERN_DECODE_V_CACHE,
    MODERN_DECODE_PARAMETERS,
    MODERN_DECODE_Y = MODERN_DECODE_PARAMETERS + MODERN_PARAMETER_COUNT,
    MODERN_DECODE_K_NEW,
    MODERN_DECODE_V_NEW,
};

extern const struct layer modern_layer, modern_decode_layer;

/* With heads of keys: a quarter of the heads, or one where 4 does not divide them. */
static inline struct dims modern_dims(struct dims d)
{
    if (d.G == 0)
        d.G = d.A % 4 == 0 ? d.A / 4 : 1;
    return d;
}

/* Channels inside the FFN: 8H/3, as three matrices then have as many weights as two of 4H. */
static inline int64_t modern_ffn(struct dims d)
{
    const int64_t unit = 32;
    return d.F > 0 ? d.F : (8 * d.H + 3 * unit - 1) / (3 * unit) * unit;
}

const char *modern_refuses(struct dims d);
void modern_parameters(struct dims d, struct tensor out[MODERN_PARAMETER_COUNT]);

/* Operations on one token beside scores, softmax and weighted sum. */
struct cost modern_token_cost(struct dims d);

/* Of the block with so many pairs of query and key worked out per head. */
struct cost modern_cost(struct dims d, int64_t pairs);

/* The linear maps of a layer whose first parameter is tensor p. */
enum {
    MODERN_OF_Q,
    MODERN_OF_K,
    MODERN_OF_V,
    MODERN_OF_OUTPUT,
    MODERN_OF_GATE,
    MODERN_OF_UP,
    MODERN_OF_DOWN,
    MODERN_MAPS
};
#define MODERN_MAP_TABLE(p, of_one_row)                                                            \
    {                                                                                              \
        [MODERN_OF_Q] = {(p) + MODERN_WQ, .one_row = (of_one_row)},                                \
        [MODERN_OF_K] = {(p) + MODERN_WK, .one_row = (of_one_row)},                                \
        [MODERN_OF_V] = {(p) + MODERN_WV, .one_row = (of_one_row)},                                \
        [MODERN_OF_OUTPUT] = {(p) + MODERN_WO, .one_row = (of_one_row)},                           \
        [MODERN_OF_GATE] = {(p) + MODERN_WGATE, .one_row = (of_one_row)},                          \
        [MODERN_OF_UP] = {(p) + MODERN_WUP, .one_row = (of_one_row)},                              \
        [MODERN_OF_DOWN] = {(p) + MODERN_WDOWN, .one_row = (of_one_row)},                          \
    }

/* What prepare makes: cos and sin of the angles of positions first .. first + count. */
enum { MODERN_COS, MODERN_SIN, MODERN_PREPARED };
int modern_angles(struct dims d, int64_t count, struct tensor out[OWN_PREPARED_MAX]);
void modern_fill_angles(struct instance *in, int64_t first, int64_t count);

/*
 * Rows of qkv from x[rows,H]: RMS norm, three maps, and the rotation of q and k. Row r has the
 * position whose angles are number r % period of those prepared. p: the first parameter.
 */
void modern_begin(const struct instance *in, int p, int64_t rows, int64_t period, const float *x,
                  float *normed, float *qkv);

/* From the heads' context[rows,H] to y[rows,H]. normed[rows,H], hidden[rows,2F]: scratch. */
void modern_finish(const struct instance *in, int p, int64_t rows, const float *x,
                   const float *context, float *normed, float *hidden, float *y);

/* For references: one token's row [q | k | v] of normed x, rotated, and y from its context. */
void modern_reference_row(struct dims d, double *const p[], int64_t position, const double *x,
                          double *room, double *qkv);
void modern_reference_finish(struct dims d, double *const p[], const double *x,
                             const double *context, double *room, double *y);
int64_t modern_reference_room(struct dims d);

#endif
