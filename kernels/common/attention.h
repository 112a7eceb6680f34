/*
 * attention.h - softmax(q k^T / sqrt(H/A)) v of all heads, in three ways: piece by piece for
 * algorithms that store scores, and with a running softmax that stores a tile of them.
 *
 * Rows of qkv are [q | k | v], qkv_channels(d) floats: A heads of H/A channels of q, kv_heads(d) of
 * them of k and of v. Where that is fewer, head a of q meets number a kv_heads / A of k and v.
 * Causal: query s sees the keys from first_key(d, s) to s.
 */
#ifndef SEQBENCH_ATTENTION_H
#define SEQBENCH_ATTENTION_H

#include "products.h"

/* Queries first .. first + rows against keys from .. from + keys. */
struct tile {
    int64_t first, rows, from, keys;
};

/* All queries against all keys. */
static inline struct tile whole_square(struct dims d)
{
    return (struct tile){.rows = d.S, .keys = d.S};
}

/* The first key that query s sees, where it sees none behind its own. */
static inline int64_t first_key(struct dims d, int64_t s)
{
    return d.W > 0 && d.W <= s ? s + 1 - d.W : 0;
}

/* Queries from first on, at most so many, against the keys that any of them sees. */
static inline struct tile causal_tile(struct dims d, int64_t first, int64_t rows_at_most)
{
    const int64_t rows = at_most(d.S - first, rows_at_most), from = first_key(d, first);
    return (struct tile){first, rows, from, first + rows - from};
}

/* scores[rows,keys] = q k^T / sqrt(H/A) of one head. */
void attention_scores(struct dims d, int64_t head, struct tile tile, const float *qkv,
                      float *scores);

/* The tile's rows of context[S,H], one head: probs[rows,keys] times v. */
void attention_weighted(struct dims d, int64_t head, struct tile tile, const float *probs,
                        const float *qkv, float *context);

/* softmax of so many rows of n values; out may be in. */
void attention_softmax(int64_t rows, int64_t n, const float *in, float *out);

/* Causal softmax of scores[rows,keys], in place; what a query does not see becomes 0. The tile has
 * all keys that its queries see. */
void attention_causal_softmax(struct dims d, struct tile tile, float *scores);

/* Pairs of query and key that are worked out in causal tiles of so many queries; with tiles of one,
 * those of a query and a key that it sees. */
int64_t attention_causal_pairs(struct dims d, int64_t rows);

/* The same by attend_online. */
int64_t attention_online_pairs(struct dims d);

/* The attention of one sequence by stored scores: qkv[S,qkv_channels] to context[S,H]. */
typedef void attend_by_scores(struct dims d, const float *qkv, float *scores, float *context);

/* The same of each sequence, one after the other with the same scores: qkv[B,S,qkv_channels] to
 * context[B,S,H]. */
static inline void attend_each(struct dims d, const float *qkv, float *scores, float *context,
                               attend_by_scores *attend)
{
    for (int64_t b = 0; b < d.B; b++)
        attend(d, qkv + b * d.S * qkv_channels(d), scores, context + b * d.S * d.H);
}

enum { TILED_QUERIES = 64 }; /* of a tile of stored scores */

/* Tiles of queries against the keys that any of them sees, head by head: an attend_by_scores with
 * scores[TILED_QUERIES,S]. */
void attend_causal_tiles(struct dims d, const float *qkv, float *scores, float *context);

/* ---- running softmax ---- */

enum { ONLINE_QUERIES = 48 }; /* of a tile */

#define ONLINE_NEEDS_PANELS                                                                        \
    .needs_panels = true,                                                                          \
    .because = "it lays out keys and values in panels as the engine does weights"

/* Scratch that attend_online needs, in this order. */
enum { ONLINE_KEYS, ONLINE_VALUES, ONLINE_TILE, ONLINE_SUMS, ONLINE_SCRATCH };
void attention_online_scratch(struct dims d, struct tensor out[ONLINE_SCRATCH]);

/*
 * context[B,S,H] of all heads from qkv[B,S,qkv_channels]: keys and values laid out in panels head
 * by head, tiles of queries against tiles of keys with a running softmax, one division at the end.
 * Causal: a tile of queries meets the tiles of keys that any of them sees, up to its last query; a
 * short window makes these tiles shorter. Memory O(S H).
 */
void attend_online(struct dims d, bool causal, const float *qkv,
                   float *const scratch[ONLINE_SCRATCH], float *context);

#endif
