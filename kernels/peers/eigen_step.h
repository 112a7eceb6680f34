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

/* Whether steps of this HidSize and InputSize were compiled. */
bool eigen_has(int64_t H, int64_t In);

/* W[4H,In] U[4H,H] b[4H], gates i, f, C_hat, o; x[In] h[H] c[H] -> c_next[H] y[H], which may be c and
 * h. */
void eigen_lstm_step(int64_t H, int64_t In, const float *W, const float *U, const float *b,
                     const float *x, const float *h, const float *c, float *c_next, float *y);

/* W[3H,In] U[3H,H] b[3H] bn[H], gates r, z, n; x[In] h[H] -> y[H], which may be h. */
void eigen_gru_step(int64_t H, int64_t In, const float *W, const float *U, const float *b,
                    const float *bn, const float *x, const float *h, float *y);

#ifdef __cplusplus
}
#endif

#endif
