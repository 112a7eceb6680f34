/*
 * attention.h - softmax(q k^T / sqrt(H/A)) v of all heads, in three ways: piece by piece for
 * algorithms that store scores, and with a running softmax that stores a tile of them.
 *
 * Rows of qkv are [q | k | v], 3H floats; head a owns channels a H/A .. (a+1) H/A of each.
 */
#ifndef SEQBENCH_ATTENTION_H
#define SEQBENCH_ATTENTION_H

#include "products.h"

/* scores[rows,keys] = q k^T / sqrt(H/A) of one head: queries from first on, keys from 0 on. */
void attention_scores(struct dims d, int64_t head, int64_t first, int64_t rows, int64_t keys,
                      const float *qkv, float *scores);

/* The rows of context[S,H] from first on, one head: probs[rows,keys] times v. */
void attention_weighted(struct dims d, int64_t head, int64_t first, int64_t rows, int64_t keys,
                        const float *probs, const float *qkv, float *context);

/* softmax of so many rows of n values; out may be in. */
void attention_softmax(int64_t rows, int64_t n, const float *in, float *out);

/*
 * Causal softmax of queries first .. first + rows, in place: query s sees keys 0 .. s, the rest of
 * its row becomes 0. scores[rows,keys], keys >= first + rows
 */
void attention_causal_softmax(int64_t first, int64_t rows, int64_t keys, float *scores);

/*
 * Pairs of query and key that are worked out when tiles of so many queries meet the keys up to
 * their last query: the sum over tiles of rows (first + rows).
 */
int64_t attention_causal_pairs(int64_t S, int64_t tile);

/* The attention of one sequence by stored scores: qkv[S,3H] to context[S,H]. */
typedef void attend_by_scores(struct dims d, const float *qkv, float *scores, float *context);

/* The same of each sequence, one after the other with the same scores: qkv[B,S,3H] to
 * context[B,S,H]. */
static inline void attend_each(struct dims d, const float *qkv, float *scores, float *context,
                               attend_by_scores *attend)
{
    for (int64_t b = 0; b < d.B; b++)
        attend(d, qkv + b * d.S * 3 * d.H, scores, context + b * d.S * d.H);
}

/* ---- running softmax ---- */

enum { ONLINE_QUERIES = 48 }; /* of a tile */

#define ONLINE_NEEDS_PANELS                                                                        \
    .needs_panels = true,                                                                          \
    .because = "it lays out keys and values in panels as the engine does weights"

/* Scratch that attend_online needs, in this order. */
enum { ONLINE_KEYS, ONLINE_VALUES, ONLINE_TILE, ONLINE_SUMS, ONLINE_SCRATCH };
void attention_online_scratch(struct dims d, struct tensor out[ONLINE_SCRATCH]);

/*
 * context[B,S,H] of all heads from qkv[B,S,3H]: keys and values laid out in panels head by head, tiles
 * of queries against tiles of keys with a running softmax, one division at the end. Causal: a tile
 * of queries meets the keys up to its last query. Memory O(S H).
 */
void attend_online(struct dims d, bool causal, const float *qkv,
                   float *const scratch[ONLINE_SCRATCH], float *context);

#endif
