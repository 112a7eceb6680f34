/*
 * convolution.h - the short depthwise causal convolution of state-space layers, silu behind it.
 *
 * Weights are stored w[channel][tap] as torch.nn.Conv1d stores them; the last tap meets the current
 * token. For vectors over channels they are packed once into taps[tap][channel].
 */
#ifndef SEQBENCH_CONVOLUTION_H
#define SEQBENCH_CONVOLUTION_H

#include <stdint.h>

#include "seqbench.h"
#include "vmath.h"

enum { CONV_TAPS = 4 };

static inline void conv_pack_taps(int64_t channels, const float *w, float *taps)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t tap = 0; tap < CONV_TAPS; tap++)
            taps[tap * channels + c] = w[c * CONV_TAPS + tap];
}

/* channels [c, c + n) of conv_silu, n <= VMATH_LANES */
static inline __attribute__((always_inline)) void
conv_silu_lanes(int64_t channels, int64_t c, int64_t n, const float *const rows[],
                const float *taps, const float *bias, float *y)
{
    vfloat sum = v_load_head(bias + c, n, 0.0f);
    for (int tap = 0; tap < CONV_TAPS; tap++)
        sum +=
            v_load_head(taps + tap * channels + c, n, 0.0f) * v_load_head(rows[tap] + c, n, 0.0f);
    v_store_head(y + c, v_silu(sum), n);
}

/* y = silu(bias + sum over taps of taps[tap] rows[tap]), one token; rows[] from old to new. */
static inline void conv_silu(int64_t channels, const float *const rows[CONV_TAPS],
                             const float *taps, const float *bias, float *y)
{
    multiply_adds_done += channels * CONV_TAPS;
    V_EACH(c, lanes, channels, conv_silu_lanes(channels, c, lanes, rows, taps, bias, y));
}

/*
 * The rows of x that token t meets, stride floats apart. Before the sequence they are those of
 * past[CONV_TAPS - 1], from old to new, past_stride floats apart.
 */
static inline void conv_window(const float *x, int64_t stride, int64_t t, const float *past,
                               int64_t past_stride, const float *rows[CONV_TAPS])
{
    for (int64_t tap = 0; tap < CONV_TAPS; tap++) {
        const int64_t from = t - (CONV_TAPS - 1) + tap;
        rows[tap] = from < 0 ? past + (from + CONV_TAPS - 1) * past_stride : x + from * stride;
    }
}

#endif
