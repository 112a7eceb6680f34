/*
 * convolution.h - short depthwise causal convolutions of a few taps.
 *
 * Weights are stored w[channel][tap] as torch.nn.Conv1d stores them; the last tap meets the current
 * token. For vectors over channels they are packed once into taps[tap][channel].
 */
#ifndef SEQBENCH_CONVOLUTION_H
#define SEQBENCH_CONVOLUTION_H

#include <stdint.h>
#include <string.h>

#include "seqbench.h"
#include "vmath.h"

enum { CONV_TAPS = 4 }; /* of most layers */

/* Packed rows of taps are `row` floats long: channels, or more where several maps stand together. */
static inline void conv_pack_taps(int64_t taps, int64_t channels, const float *w, int64_t row,
                                  float *packed)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t tap = 0; tap < taps; tap++)
            packed[tap * row + c] = w[c * taps + tap];
}

/* A vector of channels from c on: the sum over taps of taps[tap] rows[tap]. */
static inline __attribute__((always_inline)) vfloat conv_sum(int taps, int64_t channels, int64_t c,
                                                             int64_t lanes,
                                                             const float *const rows[],
                                                             const float *packed, vfloat sum)
{
    for (int tap = 0; tap < taps; tap++)
        sum += v_load_head(packed + tap * channels + c, lanes, 0.0f) *
               v_load_head(rows[tap] + c, lanes, 0.0f);
    return sum;
}

/* y = bias + sum over CONV_TAPS taps of taps[tap] rows[tap], one token; rows[] from old to new. */
static inline void conv(int64_t channels, const float *const rows[CONV_TAPS], const float *packed,
                        const float *bias, float *y)
{
    multiply_adds_done += channels * CONV_TAPS;
    V_EACH(c, lanes, channels,
           v_store_head(y + c,
                        conv_sum(CONV_TAPS, channels, c, lanes, rows, packed,
                                 v_load_head(bias + c, lanes, 0.0f)),
                        lanes));
}

/* The same, silu behind it; bias NULL: none. */
static inline void conv_silu(int64_t channels, const float *const rows[CONV_TAPS],
                             const float *packed, const float *bias, float *y)
{
    multiply_adds_done += channels * CONV_TAPS;
    V_EACH(c, lanes, channels,
           v_store_head(y + c,
                        v_silu(conv_sum(CONV_TAPS, channels, c, lanes, rows, packed,
                                        bias ? v_load_head(bias + c, lanes, 0.0f) : (vfloat){0})),
                        lanes));
}

/*
 * The rows of x that token t meets, stride floats apart. Before the sequence they are those of
 * past[taps - 1], from old to new, past_stride floats apart.
 */
static inline void conv_window(int64_t taps, const float *x, int64_t stride, int64_t t,
                               const float *past, int64_t past_stride, const float *rows[])
{
    for (int64_t tap = 0; tap < taps; tap++) {
        const int64_t from = t - (taps - 1) + tap;
        rows[tap] = from < 0 ? past + (from + taps - 1) * past_stride : x + from * stride;
    }
}

/* The last inputs of a sequence of S tokens, for the token that follows: last[taps-1,channels]. */
static inline void conv_keep_window(int64_t taps, int64_t channels, const float *x, int64_t stride,
                                    int64_t S, const float *past, float *last)
{
    const float *rows[CONV_TAPS];
    conv_window(taps, x, stride, S, past, channels, rows);
    for (int64_t tap = 0; tap < taps - 1; tap++)
        memcpy(last + tap * channels, rows[tap], (size_t)channels * sizeof(float));
}

#endif
