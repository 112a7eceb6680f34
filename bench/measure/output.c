/* output.c - one pass over the outputs, block by block, so that each is hashed out of the cache. */
#include "measure/output.h"

#include <string.h>

enum { LANES = 4, BLOCK = 4096 }; /* values in a block */

/*
 * A step of FNV-1a on 8 bytes at a time, rotated: a product carries bits upwards only, so without
 * the rotation two flipped signs would cancel.
 */
static inline uint64_t mix(uint64_t hash, uint64_t word)
{
    const uint64_t prime = 0x100000001B3u;
    hash = (hash ^ word) * prime;
    return hash >> 29 | hash << 35;
}

/*
 * Words go round the lanes, which hides the latency of the product. A lane that has seen one word
 * other than before differs for good, as each step can be undone.
 */
static void hash_block(const float *data, int64_t n, uint64_t lane[LANES])
{
    const int64_t pairs = n / 2, whole = pairs / LANES * LANES;
    uint64_t word = 0;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) {
            memcpy(&word, data + 2 * (i + k), sizeof(word));
            lane[k] = mix(lane[k], word);
        }
    for (int64_t i = whole; i < pairs; i++) {
        memcpy(&word, data + 2 * i, sizeof(word));
        lane[i % LANES] = mix(lane[i % LANES], word);
    }
    if (n % 2 == 0)
        return;
    word = 0;
    memcpy(&word, data + n - 1, sizeof(float));
    lane[pairs % LANES] = mix(lane[pairs % LANES], word);
}

/* By bits: with flush-to-zero on, a comparison sees every subnormal as zero. */
static void classify_block(const float *data, int64_t n, struct output_evidence *evidence)
{
    const uint32_t sign_mask = 0x7FFFFFFF, infinity = 0x7F800000, smallest_normal = 0x00800000;
    uint32_t subnormals = 0, nonfinite = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &data[i], sizeof(bits));
        bits &= sign_mask;
        subnormals += bits - 1 < smallest_normal - 1; /* zero wraps round to the top */
        nonfinite += bits >= infinity;
    }
    evidence->subnormals += subnormals;
    evidence->nonfinite += nonfinite;
}

void output_add(const float *data, int64_t n, struct output_evidence *evidence)
{
    uint64_t lane[LANES] = {0xCBF29CE484222325u, 1, 2, 3};
    for (int64_t first = 0; first < n; first += BLOCK) {
        const int64_t count = n - first < BLOCK ? n - first : BLOCK;
        hash_block(data + first, count, lane);
        classify_block(data + first, count, evidence);
    }
    evidence->checksum = mix(evidence->checksum, (uint64_t)n);
    for (int k = 0; k < LANES; k++)
        evidence->checksum = mix(evidence->checksum, lane[k]);
}

struct output_evidence output_examine(const struct bench_case *bench_case)
{
    struct output_evidence evidence = {0};
    for (int i = 0; i < bench_case->tensor_count; i++) {
        const struct placed *placed = &bench_case->tensor[i];
        if (placed->spec.role == OUTPUT)
            output_add(placed->data, tensor_elements(&placed->spec), &evidence);
    }
    return evidence;
}
