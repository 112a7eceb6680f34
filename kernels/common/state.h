/*
 * state.h - one step of a linear recurrence whose state is a matrix.
 *
 * Columns are walked in groups of STATE_VECTORS vectors, whose values and sums stay in registers
 * while the rows of the state pass by once.
 */
#ifndef SEQBENCH_STATE_H
#define SEQBENCH_STATE_H

#include "vmath.h"

enum { STATE_VECTORS = 4 };

/* One group: columns of state, out and v start at the group. vectors is a constant. */
static inline __attribute__((always_inline)) void
state_step_group(int vectors, int64_t rows, int64_t columns, float decay, const float *k,
                 const float *v, const float *q, float *state, float *out)
{
    vfloat value[STATE_VECTORS], sum[STATE_VECTORS];
    for (int i = 0; i < vectors; i++) {
        value[i] = v_load(v + i * VMATH_LANES);
        sum[i] = (vfloat){0};
    }
    for (int64_t r = 0; r < rows; r++) {
        const float key = k[r], query = q[r];
        for (int i = 0; i < vectors; i++) {
            float *at = state + r * columns + i * VMATH_LANES;
            const vfloat next = decay * v_load(at) + key * value[i];
            v_store(at, next);
            sum[i] += query * next;
        }
    }
    for (int i = 0; i < vectors; i++)
        v_store(out + i * VMATH_LANES, sum[i]);
}

/*
 * state = decay state + k v^T; out = state^T q. state[rows,columns], k[rows], q[rows], v[columns],
 * out[columns], which may be v. 2 rows columns multiply-adds, counted by the caller.
 */
static inline __attribute__((always_inline)) void state_step(int64_t rows, int64_t columns,
                                                             float decay, const float *k,
                                                             const float *v, const float *q,
                                                             float *state, float *out)
{
    int64_t c = 0;
    for (; c + STATE_VECTORS * VMATH_LANES <= columns; c += STATE_VECTORS * VMATH_LANES)
        state_step_group(STATE_VECTORS, rows, columns, decay, k, v + c, q, state + c, out + c);
    for (; c + VMATH_LANES <= columns; c += VMATH_LANES)
        state_step_group(1, rows, columns, decay, k, v + c, q, state + c, out + c);
    for (; c < columns; c++) {
        float sum = 0.0f;
        for (int64_t r = 0; r < rows; r++) {
            float *at = state + r * columns + c;
            *at = decay * *at + k[r] * v[c];
            sum += q[r] * *at;
        }
        out[c] = sum;
    }
}

#endif
