/*
 * recurrence.h - what recurrent layers with a matrix U on their state share.
 *
 * One sequence: U walked in panels, forward in even steps and backward in odd ones, so that a step
 * begins with the panels that the step before left in the nearest cache. Several sequences: U h of
 * a step is one product, whose rows are the sequences.
 */
#ifndef SEQBENCH_RECURRENCE_H
#define SEQBENCH_RECURRENCE_H

#include <string.h>

#include "products.h"

/* ---- panels of rows of a matrix that is not packed ---- */

/* y[out] += W x by OpenBLAS, one sgemv per panel of rows (256 KiB). */
static inline void sgemv_panels(const struct weights *w, const float *x, bool backward, float *y)
{
    const int64_t panel_floats = 65536, fit = panel_floats / w->in, rows = fit > 16 ? fit : 16;
    const int64_t panels = (w->out + rows - 1) / rows;
    for (int64_t p = 0; p < panels; p++) {
        const int64_t first = (backward ? panels - 1 - p : p) * rows;
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)at_most(w->out - first, rows), (int)w->in,
                    1.0f, w->matrix + first * w->in, (int)w->in, x, 1, 1.0f, y + first, 1);
    }
    multiply_adds_done += w->out * w->in;
}

/* ---- panels of an engine, their sums in registers ---- */

/* Rows whose W x is worked out at once: steps of all sequences. */
enum { RECURRENCE_CHUNK = 96 };

/* Some channels of one step of one sequence. All pointers start at the first of them. */
struct panel {
    int64_t sequence;
    int64_t vectors;       /* of sums: all gates together */
    int64_t channel, left; /* the first channel; how many there are from it on */
    const float *wx;       /* W x + b in the order of the panels */
    const float *h;
    float *h_next; /* may be h */
};

/* What a layer says of itself: where the sums start from, and what is made of them. */
typedef void panel_start(const struct instance *in, const struct panel *p, vfloat *sums);
typedef void panel_update(const struct instance *in, const struct panel *p, const vfloat *sums);

/* From W x: the usual start. */
static inline void panel_start_from_input(const struct instance *in, const struct panel *p,
                                          vfloat *sums)
{
    (void)in;
    for (int64_t v = 0; v < p->vectors; v++)
        sums[v] = v_load(p->wx + v * VMATH_LANES);
}

/* Floats of a panel of U, and the i-th panel of a step. */
static inline int64_t recurrence_width(const struct weights *U, int64_t gates)
{
    return (gates > 1 ? gates * map_gate_vectors(U->map, U->out) : WALK_VECTORS) * VMATH_LANES;
}

static inline struct panel recurrence_panel(const struct weights *U, int64_t gates, int64_t first,
                                            const float *wx, const float *h, float *h_next)
{
    const int64_t channel = first / gates;
    return (struct panel){.vectors =
                              at_most(U->rows - first, recurrence_width(U, gates)) / VMATH_LANES,
                          .channel = channel,
                          .left = U->in - channel,
                          .wx = wx + first,
                          .h = h + channel,
                          .h_next = h_next + channel};
}

/* One step of one sequence, h[H] to h_next[H]. U: the map of the state, with so many gates. */
static inline __attribute__((always_inline)) void
recurrence_step(const struct instance *in, const struct weights *U, int64_t gates, bool backward,
                const float *wx, const float *h, float *h_next, panel_start *start,
                panel_update *update)
{
    const int64_t width = recurrence_width(U, gates), panels = (U->rows + width - 1) / width;
    if (in->engine->take)
        in->engine->take(U, h);
    for (int64_t i = 0; i < panels; i++) {
        const int64_t first = (backward ? panels - 1 - i : i) * width;
        const struct panel p = recurrence_panel(U, gates, first, wx, h, h_next);
        vfloat sums[WALK_VECTORS];
        start(in, &p, sums);
        in->engine->walk(U, first, p.vectors, backward, h, sums);
        update(in, &p, sums);
    }
}

/* Buffers of recurrence_run; all but the first only of several sequences. */
enum { WX_CHUNK, X_CHUNK, STATES, SUMS, RECURRENCE_SCRATCH };

/* Steps of a chunk. */
static inline int64_t recurrence_steps(int64_t B)
{
    return B < RECURRENCE_CHUNK ? RECURRENCE_CHUNK / B : 1;
}

/* Lists them for a layer of `gates` gates; returns how many. */
static inline int recurrence_scratch(struct dims d, const struct map *input_map,
                                     const struct map *state_map, int64_t gates,
                                     struct tensor out[RECURRENCE_SCRATCH])
{
    const int64_t rows = recurrence_steps(d.B) * d.B;
    out[WX_CHUNK] =
        (struct tensor){.name = "wx", .shape = {rows, map_rows(input_map, gates * d.H)}};
    if (d.B == 1)
        return WX_CHUNK + 1;
    out[X_CHUNK] = (struct tensor){.name = "xs", .shape = {rows, input_size(d)}};
    out[STATES] = (struct tensor){.name = "h", .shape = {d.B, d.H}};
    out[SUMS] = (struct tensor){.name = "sums", .shape = {d.B, map_rows(state_map, gates * d.H)}};
    return RECURRENCE_SCRATCH;
}

/* One step of B sequences, in place of h[B,H]; wx[B, rows of U], sums[B, rows of U]. */
static inline __attribute__((always_inline)) void
recurrence_step_of_batch(const struct instance *in, int state_map, int64_t gates, const float *wx,
                         float *h, float *sums, panel_start *start, panel_update *update)
{
    const struct weights *U = &in->weights[state_map];
    const int64_t width = recurrence_width(U, gates);
    product_rows(in, state_map, in->dims.B, h, sums);
    for (int64_t b = 0; b < in->dims.B; b++, wx += U->rows, h += U->in, sums += U->rows)
        for (int64_t first = 0; first < U->rows; first += width) {
            struct panel p = recurrence_panel(U, gates, first, wx, h, h);
            vfloat held[WALK_VECTORS] = {(vfloat){0}};
            p.sequence = b;
            start(in, &p, held);
            for (int64_t v = 0; v < p.vectors; v++)
                held[v] += v_load(sums + first + v * VMATH_LANES);
            update(in, &p, held);
        }
}

/* Several sequences: step after step of a chunk stands together, [steps, B, H]. */
static inline __attribute__((always_inline)) void
recurrence_run_batch(const struct instance *in, int input_map, int state_map, int64_t gates,
                     const float *x, const float *h0, float *y,
                     float *const scratch[RECURRENCE_SCRATCH], panel_start *start,
                     panel_update *update)
{
    const int64_t B = in->dims.B, S = in->dims.S, H = in->dims.H, chunk = recurrence_steps(B);
    const int64_t wx_row = in->weights[input_map].rows, In = in->weights[input_map].in;
    const size_t row_bytes = (size_t)H * sizeof(float);
    float *h = scratch[STATES];
    memcpy(h, h0, (size_t)B * row_bytes);
    for (int64_t first = 0; first < S; first += chunk) {
        const int64_t steps = at_most(S - first, chunk);
        for (int64_t s = 0; s < steps; s++)
            for (int64_t b = 0; b < B; b++)
                memcpy(scratch[X_CHUNK] + (s * B + b) * In, x + (b * S + first + s) * In,
                       (size_t)In * sizeof(float));
        product_rows(in, input_map, steps * B, scratch[X_CHUNK], scratch[WX_CHUNK]);
        for (int64_t s = 0; s < steps; s++) {
            recurrence_step_of_batch(in, state_map, gates, scratch[WX_CHUNK] + s * B * wx_row, h,
                                     scratch[SUMS], start, update);
            for (int64_t b = 0; b < B; b++)
                memcpy(y + (b * S + first + s) * H, h + b * H, row_bytes);
        }
    }
}

/*
 * y[B,S,H] from x[B,S,In] and h0[B,H]: W x of a chunk of tokens at once, then a step for each of
 * them.
 */
static inline __attribute__((always_inline)) void
recurrence_run(const struct instance *in, int input_map, int state_map, int64_t gates,
               const float *x, const float *h0, float *y, float *const scratch[RECURRENCE_SCRATCH],
               panel_start *start, panel_update *update)
{
    const struct weights *W = &in->weights[input_map], *U = &in->weights[state_map];
    const int64_t S = in->dims.S, H = U->in;
    const float *h = h0;
    if (in->dims.B > 1) {
        recurrence_run_batch(in, input_map, state_map, gates, x, h0, y, scratch, start, update);
        return;
    }
    for (int64_t first = 0; first < S; first += RECURRENCE_CHUNK) {
        const int64_t steps = at_most(S - first, RECURRENCE_CHUNK);
        product_rows(in, input_map, steps, x + first * W->in, scratch[WX_CHUNK]);
        for (int64_t s = 0; s < steps; s++) {
            float *next = y + (first + s) * H;
            recurrence_step(in, U, gates, (in->run_number * S + first + s) % 2,
                            scratch[WX_CHUNK] + s * W->rows, h, next, start, update);
            h = next;
        }
    }
    multiply_adds_done += S * weights_multiply_adds(in->engine, U);
}

#endif
