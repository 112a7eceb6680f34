/*
 * yardstick.c - steps of small LSTMs against a straightforward kernel whose HidSize the compiler
 * knows: the same vectors and activations, weights by input, all gates of a step in one array.
 * `make yardstick` prints the median over stretches of 50 steps, per step, and the ratio. It times,
 * so it is no test.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases/case.h"
#include "lstm/lstm.h"
#include "measure/noise.h"
#include "run/history.h"

enum { LARGEST = 64, INPUTS = 2 * LARGEST + 1, ROWS = 4 * LARGEST + VMATH_LANES };

static float weights[INPUTS * ROWS] __attribute__((aligned(64)));

/* One step: z[2H+1] is x, h, 1; c and h change. */
static inline __attribute__((always_inline)) void fixed_step(int H, const float *z, float *c,
                                                             float *h)
{
    const int vectors = (4 * H + VMATH_LANES - 1) / VMATH_LANES, row = vectors * VMATH_LANES;
    float gates[ROWS] __attribute__((aligned(64)));
    vfloat sums[ROWS / VMATH_LANES];
    for (int v = 0; v < vectors; v++)
        sums[v] = (vfloat){0};
    for (int k = 0; k < 2 * H + 1; k++)
        for (int v = 0; v < vectors; v++)
            sums[v] += v_load(weights + k * row + v * VMATH_LANES) * z[k];
    for (int v = 0; v < vectors; v++)
        v_store(gates + v * VMATH_LANES, sums[v]);
    for (int k = 0; k < H; k += VMATH_LANES) {
        vfloat cell = v_load_some(c + k, H - k);
        const vfloat next = lstm_cell(v_load(gates + k), v_load(gates + H + k),
                                      v_load(gates + 2 * H + k), v_load(gates + 3 * H + k), &cell);
        v_store_some(c + k, cell, H - k);
        v_store_some(h + k, next, H - k);
    }
}

#define SIZES(SIZE) SIZE(8) SIZE(16) SIZE(24) SIZE(32) SIZE(40) SIZE(64)

#define STEP(n)                                                                                    \
    static __attribute__((noinline)) void step_##n(const float *z, float *c, float *h)             \
    {                                                                                              \
        fixed_step(n, z, c, h);                                                                    \
    }
SIZES(STEP)

static const struct {
    int H;
    void (*step)(const float *z, float *c, float *h);
} fixed[] = {
#define ROW(n) {n, step_##n},
    SIZES(ROW)};

/* weights[input][row] of the case. */
static void take_weights(const struct instance *in, int H)
{
    const int row = (4 * H + VMATH_LANES - 1) / VMATH_LANES * VMATH_LANES;
    memset(weights, 0, sizeof(weights));
    for (int r = 0; r < 4 * H; r++) {
        for (int k = 0; k < H; k++) {
            weights[k * row + r] = in->t[LSTM_W][r * H + k];
            weights[(H + k) * row + r] = in->t[LSTM_U][r * H + k];
        }
        weights[2 * H * row + r] = in->t[LSTM_B][r];
    }
}

enum { REPEATS = 401, STEPS = 50 };

/* Medians of one step in ns: the straightforward kernel's, then the suite's. */
static void time_both(struct bench_case *c, int which, double out[2])
{
    static double ns[2][REPEATS];
    struct instance *in = &c->instance;
    const int H = fixed[which].H;
    float z[INPUTS] __attribute__((aligned(64))), cells[LARGEST + VMATH_LANES] = {0};
    memcpy(z, in->t[LSTM_X], (size_t)H * sizeof(float));
    memcpy(z + H, in->t[LSTM_H0], (size_t)H * sizeof(float));
    z[2 * H] = 1.0f;
    for (int i = 0; i < REPEATS; i++) {
        double start = monotonic_ns();
        for (int s = 0; s < STEPS; s++)
            fixed[which].step(z, cells, z + H);
        ns[0][i] = (monotonic_ns() - start) / STEPS;
        start = monotonic_ns();
        for (int s = 0; s < STEPS; s++) {
            case_run(c);
            in->run_number++;
            c->kernel->layer->carry(in, in->run_number);
        }
        ns[1][i] = (monotonic_ns() - start) / STEPS;
    }
    for (int k = 0; k < 2; k++)
        out[k] = median(ns[k], REPEATS);
}

/* Largest difference of one step from the same state; a yardstick must be right, too. */
static double difference(const struct bench_case *c, int which)
{
    const struct instance *in = &c->instance;
    const int H = fixed[which].H;
    float z[INPUTS], cells[LARGEST + VMATH_LANES] = {0}, h[LARGEST + VMATH_LANES];
    double largest = 0.0;
    memcpy(z, in->t[LSTM_X], (size_t)H * sizeof(float));
    memcpy(z + H, in->t[LSTM_H0], (size_t)H * sizeof(float));
    memcpy(cells, in->t[LSTM_C0], (size_t)H * sizeof(float));
    z[2 * H] = 1.0f;
    fixed[which].step(z, cells, h);
    case_run(c);
    for (int k = 0; k < H; k++)
        largest = fmax(largest, fabs((double)h[k] - (double)in->t[LSTM_Y][k]));
    return largest;
}

int main(void)
{
    const struct kernel *kernel = kernel_find("lstm/joined", NULL);
    puts("HidSize  straightforward, ns  lstm/joined, ns  ratio");
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        const struct dims d = {.S = 1, .H = fixed[i].H, .A = 1, .B = 1};
        struct arena arena;
        struct bench_case c;
        struct err err;
        double ns[2];
        if (!arena_map(case_bytes(kernel, d), &arena, &err))
            return 1;
        case_place(kernel, d, &arena, &c);
        case_draw(&c, 1);
        case_prepare(&c);
        take_weights(&c.instance, fixed[i].H);
        if (difference(&c, (int)i) > 1e-6)
            return 1;
        time_both(&c, (int)i, ns);
        printf("%7d  %19.0f  %15.0f  %5.2f\n", fixed[i].H, ns[0], ns[1], ns[1] / ns[0]);
        arena_unmap(&arena);
    }
    return 0;
}
