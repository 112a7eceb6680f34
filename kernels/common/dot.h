/*
 * dot.h - products of narrow weights, the one place that names instructions of a CPU.
 *
 * A word of 32 bits holds two weights as bfloat16 or four as int8, the first in the lowest bits;
 * a vint holds a word in each lane. Where the CPU has dot products of such words, they are used;
 * DOTS_BF16 and DOTS_INT8 say so. Otherwise weights are widened to float32.
 */
#ifndef SEQBENCH_DOT_H
#define SEQBENCH_DOT_H

#include <stdbool.h>

#include "vmath.h"

#if defined(__AVX512BF16__) && VMATH_LANES > 1 && (VMATH_LANES == 16 || defined(__AVX512VL__))
#define DOTS_BF16 true
#else
#define DOTS_BF16 false
#endif

#if defined(__AVX512VNNI__) && VMATH_LANES > 1 && (VMATH_LANES == 16 || defined(__AVX512VL__))
#define DOTS_INT8 true
#else
#define DOTS_INT8 false
#endif

/* The width of a vector in the names of its instructions and types. */
#if DOTS_BF16 || DOTS_INT8
#include <immintrin.h>
#if VMATH_LANES == 16
#define DOT_WIDE(name) _mm512_##name
#define DOT_TYPE(kind) __m512##kind
#elif VMATH_LANES == 8
#define DOT_WIDE(name) _mm256_##name
#define DOT_TYPE(kind) __m256##kind
#else
#define DOT_WIDE(name) _mm_##name
#define DOT_TYPE(kind) __m128##kind
#endif
#endif

/* The word at p in every lane. */
static inline vint v_word(const float *p)
{
    int32_t word;
    memcpy(&word, p, sizeof(word));
    return word - (vint){0};
}

/* Weight 0 or 1 of words of bfloat16. */
static inline vfloat v_of_bf16(vint words, int which)
{
    return v_of_bits(which ? words & INT32_C(-65536) : v_shift_left(words, 16));
}

/* Weight 0 .. 3 of words of int8. */
static inline vfloat v_of_int8(vint words, int which)
{
    return v_of_int(v_shift_left(words, 24 - 8 * which) >> 24);
}

#if DOTS_BF16
/* sum + w[0] x[0] + w[1] x[1], products and sum in float32; x in bfloat16, too. */
static inline vfloat v_dot_bf16(vfloat sum, vint w, vint x)
{
    return (vfloat)DOT_WIDE(dpbf16_ps)((DOT_TYPE())sum, (DOT_TYPE(bh))w, (DOT_TYPE(bh))x);
}

/* Each float to the nearest bfloat16, of two as near the even one. */
static inline void v_store_bf16(uint16_t *to, vfloat x)
{
    typedef uint16_t vhalves __attribute__((vector_size(VMATH_BYTES / 2)));
    const vint bits = v_bits(x);
    const vhalves halves =
        __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, vhalves);
    memcpy(to, &halves, sizeof(halves));
}
#endif

#if DOTS_INT8
/* sum + w[0] x[0] + .. + w[3] x[3], exact; x unsigned bytes, w signed ones. */
static inline vint v_dot_int8(vint sum, vint w, vint x)
{
    return (vint)DOT_WIDE(dpbusd_epi32)((DOT_TYPE(i))sum, (DOT_TYPE(i))x, (DOT_TYPE(i))w);
}

/* 128 + each x times units, to the nearest whole number; |x units| <= 127 */
static inline void v_store_bytes(uint8_t *to, vfloat x, float units)
{
    typedef uint8_t vbytes __attribute__((vector_size(VMATH_LANES)));
    const float round_shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds */
    const vint whole = v_bits(x * units + round_shift) - 0x4b400000;
    const vbytes bytes = __builtin_convertvector(whole + 128, vbytes);
    memcpy(to, &bytes, sizeof(bytes));
}
#endif

#endif
