/*
 * state_walk.h - one walk per token through a state S[rows,columns] that is read before it is
 * written: what the next token asks of S is summed up while this token's update passes by.
 */
#ifndef SEQBENCH_STATE_WALK_H
#define SEQBENCH_STATE_WALK_H

#include "common/panels.h"
#include "vmath.h"

enum { STATE_ASKS = 2, STATE_UPDATES_MAX = 2 };

struct state_walk {
    int64_t rows, columns;
    const float *decay;                    /* one, or decay[rows] */
    const float *key[STATE_UPDATES_MAX];   /* key[rows] */
    const float *value[STATE_UPDATES_MAX]; /* value[columns] */
    const float *ask[STATE_ASKS];          /* ask[rows] */
    float *answer[STATE_ASKS];             /* answer[columns], which may be a value */
    float *state;
};

/*
 * S = decay S + sum of key value^T, then answer = S^T ask. Which of these there is are constants of
 * the caller. Multiply-adds are counted by the caller: rows columns for each update and ask.
 */
struct state_pass {
    int updates;
    bool decays, decays_rows, asks;
};

/* Columns from c on, `vectors` vectors of them, or one vector of so many lanes. */
static inline __attribute__((always_inline)) void state_walk_group(const struct state_walk *w,
                                                                   struct state_pass pass,
                                                                   int vectors, int64_t lanes,
                                                                   int64_t c)
{
    vfloat value[STATE_UPDATES_MAX][PRODUCT_VECTORS], sum[STATE_ASKS][PRODUCT_VECTORS];
    for (int v = 0; v < vectors; v++) {
        for (int u = 0; u < pass.updates; u++)
            value[u][v] = v_load_head(w->value[u] + c + v * VMATH_LANES, lanes, 0.0f);
        for (int a = 0; a < STATE_ASKS; a++)
            sum[a][v] = (vfloat){0};
    }
    for (int64_t r = 0; r < w->rows; r++) {
        float *at = w->state + r * w->columns + c;
        for (int v = 0; v < vectors; v++, at += VMATH_LANES) {
            vfloat next = v_load_head(at, lanes, 0.0f);
            if (pass.decays)
                next *= w->decay[pass.decays_rows ? r : 0];
            for (int u = 0; u < pass.updates; u++)
                next += w->key[u][r] * value[u][v];
            if (pass.updates)
                v_store_head(at, next, lanes);
            for (int a = 0; pass.asks && a < STATE_ASKS; a++)
                sum[a][v] += w->ask[a][r] * next;
        }
    }
    for (int v = 0; pass.asks && v < vectors; v++)
        for (int a = 0; a < STATE_ASKS; a++)
            v_store_head(w->answer[a] + c + v * VMATH_LANES, sum[a][v], lanes);
}

static inline __attribute__((always_inline)) void state_walk(const struct state_walk *w,
                                                             struct state_pass pass)
{
    int64_t c = 0;
    for (; c + PRODUCT_VECTORS * VMATH_LANES <= w->columns; c += PRODUCT_VECTORS * VMATH_LANES)
        state_walk_group(w, pass, PRODUCT_VECTORS, VMATH_LANES, c);
    for (; c + VMATH_LANES <= w->columns; c += VMATH_LANES)
        state_walk_group(w, pass, 1, VMATH_LANES, c);
    if (c < w->columns)
        state_walk_group(w, pass, 1, w->columns - c, c);
}

#endif
