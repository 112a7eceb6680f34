/*
 * recurrence.h - what recurrent layers with a matrix U on their state share: U walked in panels,
 * forward in even steps and backward in odd ones, so that a step begins with the panels that the
 * step before left in the nearest cache.
 */
#ifndef SEQBENCH_RECURRENCE_H
#define SEQBENCH_RECURRENCE_H

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

/* Steps whose W x is worked out at once. */
enum { RECURRENCE_CHUNK = 96 };

/* Some channels of one step. All pointers start at the first of them. */
struct panel {
    int64_t vectors;       /* of sums: all gates together */
    int64_t channel, left; /* the first channel; how many there are from it on */
    const float *wx;       /* W x + b in the order of the panels */
    const float *h;
    float *h_next;
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

/* One step, h[H] to h_next[H]. U: the map of the state, with so many gates. */
static inline __attribute__((always_inline)) void
recurrence_step(const struct instance *in, const struct weights *U, int64_t gates, bool backward,
                const float *wx, const float *h, float *h_next, panel_start *start,
                panel_update *update)
{
    const int64_t most = gates > 1 ? gates * U->map->gate_vectors : WALK_VECTORS;
    const int64_t width = most * VMATH_LANES, panels = (U->rows + width - 1) / width;
    for (int64_t i = 0; i < panels; i++) {
        const int64_t first = (backward ? panels - 1 - i : i) * width, channel = first / gates;
        const struct panel p = {.vectors = at_most(U->rows - first, width) / VMATH_LANES,
                                .channel = channel,
                                .left = U->in - channel,
                                .wx = wx + first,
                                .h = h + channel,
                                .h_next = h_next + channel};
        vfloat sums[WALK_VECTORS];
        start(in, &p, sums);
        in->engine->walk(U, first, p.vectors, backward, h, sums);
        update(in, &p, sums);
    }
}

/*
 * y[S,H] from x[S,H] and h0[H]: W x of a chunk of tokens at once into
 * chunk[RECURRENCE_CHUNK, rows of W], then a step for each of them.
 */
static inline __attribute__((always_inline)) void
recurrence_run(const struct instance *in, int input_map, int state_map, int64_t gates,
               const float *x, const float *h0, float *y, float *chunk, panel_start *start,
               panel_update *update)
{
    const struct weights *W = &in->weights[input_map], *U = &in->weights[state_map];
    const int64_t S = in->dims.S, H = U->in;
    const float *h = h0;
    for (int64_t first = 0; first < S; first += RECURRENCE_CHUNK) {
        const int64_t steps = at_most(S - first, RECURRENCE_CHUNK);
        product_rows(in, input_map, steps, x + first * W->in, chunk);
        for (int64_t s = 0; s < steps; s++) {
            float *next = y + (first + s) * H;
            recurrence_step(in, U, gates, (first + s) % 2, chunk + s * W->rows, h, next, start,
                            update);
            h = next;
        }
    }
    multiply_adds_done += S * U->out * U->in;
}

/* The buffer for chunk; out: rows of W. */
static inline struct tensor recurrence_chunk(const struct map *input_map, int64_t out)
{
    return (struct tensor){.name = "chunk", .shape = {RECURRENCE_CHUNK, map_rows(input_map, out)}};
}

#endif
