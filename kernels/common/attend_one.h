/* attend_one.h - the attention of one token against the keys and values of those before it. */
#ifndef SEQBENCH_ATTEND_ONE_H
#define SEQBENCH_ATTEND_ONE_H

#include "seqbench.h"

/* Floats that attend_one needs as scratch. */
static inline int64_t attend_one_scratch(struct dims d)
{
    return d.A / kv_heads(d) * seen_keys(d);
}

/* Channels of cached keys that it reads, and of values as many. */
static inline int64_t attend_one_cached(struct dims d)
{
    return (seen_keys(d) - 1) * kv_channels(d);
}

/* The place in a cache [kv_heads,S,H/A] of the first key that head g of the keys reads. */
static inline int64_t attend_one_first(struct dims d, int64_t g)
{
    return (g * d.S + d.S - seen_keys(d)) * (d.H / d.A);
}

/*
 * context[H] of all heads of one token: the last seen_keys(d) - 1 of its S - 1 cached tokens, and
 * itself. qkv[qkv_channels]: its row [q | k | v], whose q becomes q / sqrt(H/A). Caches
 * [kv_heads,S,H/A], whose last place is the new token's: not read. What is read of them is read
 * once, whatever the heads that share it. probs[attend_one_scratch] is scratch.
 */
void attend_one(struct dims d, float *qkv, const float *k_cache, const float *v_cache, float *probs,
                float *context);

/*
 * For the next token of a stream: the new k and v, [kv_heads,H/A] each, take the place of the
 * oldest that is read.
 */
void attend_one_carry(struct dims d, int64_t run_number, const float *k_new, const float *v_new,
                      float *k_cache, float *v_cache);

#endif
