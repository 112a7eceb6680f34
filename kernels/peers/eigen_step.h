/*
 * eigen_step.h - one step of recurrent layers by Eigen, with sizes that the compiler knows, as audio
 * plugins use it. Compiled where eigen3/Eigen/Core is found. Matrices are column-major.
 */
#ifndef SEQBENCH_EIGEN_STEP_H
#define SEQBENCH_EIGEN_STEP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "3.4.0" */
const char *eigen_version(void);

/* Whether steps of this HidSize were compiled. */
bool eigen_has(int64_t H);

/* W[4H,H] U[4H,H] b[4H], gates i, f, C_hat, o; x[H] h[H] c[H] -> c_next[H] y[H], which may be c and
 * h. */
void eigen_lstm_step(int64_t H, const float *W, const float *U, const float *b, const float *x,
                     const float *h, const float *c, float *c_next, float *y);

/* W[3H,H] U[3H,H] b[3H] bn[H], gates r, z, n; x[H] h[H] -> y[H], which may be h. */
void eigen_gru_step(int64_t H, const float *W, const float *U, const float *b, const float *bn,
                    const float *x, const float *h, float *y);

#ifdef __cplusplus
}
#endif

#endif
