/*
 * slstm/hoisted, slstm.step: W x of many tokens as one product; per step and head one product with
 * the four gates of R, then the cells.
 * slstm/registers: the same, but the cells of a group of channels are updated while the sums of
 * their gates are in registers. Every step walks through R forward: heads are short, and turning
 * round at their ends costs more than what the nearest cache still has.
 */
#include "slstm.h"

enum { OF_STATE, OF_INPUT };
static const struct map maps[] = {
    [OF_STATE] = BLOCKS_MAP(OF_STATE, SLSTM_R),
    [OF_INPUT] = {SLSTM_W, .bias = SLSTM_B},
};

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    out[OF_STATE] = blocks_tensor("R", slstm_blocks(d));
    return OF_STATE + 1;
}

static void prepare(struct instance *in)
{
    const int64_t gate_floats = in->dims.H * (in->dims.H / in->dims.A);
    for (int64_t gate = 0; gate < SLSTM_GATES; gate++)
        blocks_fill(slstm_blocks(in->dims), gate, in->t[SLSTM_R] + gate * gate_floats,
                    in->prepared[OF_STATE]);
}

enum { WX, SUMS };
enum { CHUNK = 96 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[WX] = (struct tensor){.name = "wx", .shape = {at_most(d.S, CHUNK), SLSTM_GATES * d.H}};
    out[SUMS] = (struct tensor){.name = "sums", .shape = {blocks_rows(slstm_blocks(d))}};
    return SUMS + 1;
}

/* A step: wx[4H] and y[H] to y_next[H]; c, n, m in place. */
struct step {
    const struct instance *in;
    struct blocks blocks;
    const float *wx, *y;
    float *y_next, *c, *n, *m;
};

/* Gates of the channels of a group from the sums with R. */
static inline __attribute__((always_inline)) void
update_group(const struct step *s, int64_t head, int64_t group, const vfloat sums[WALK_VECTORS])
{
    enum { VECTORS = WALK_VECTORS / SLSTM_GATES };
    const int64_t H = s->in->dims.H;
    for (int v = 0; v < VECTORS; v++) {
        const int64_t in_head = (group * VECTORS + v) * VMATH_LANES;
        const int64_t k = head * s->blocks.size + in_head, left = s->blocks.size - in_head;
        if (left <= 0)
            return;
        struct slstm_state state = slstm_load(s->c + k, s->n + k, s->m + k, left);
        vfloat gate[SLSTM_GATES];
        for (int g = 0; g < SLSTM_GATES; g++)
            gate[g] = sums[g * VECTORS + v] + v_load_some(s->wx + g * H + k, left);
        const vfloat shown = slstm_cell(gate[0], gate[1], gate[2], gate[3], &state);
        slstm_store(state, s->c + k, s->n + k, s->m + k, left);
        v_store_some(s->y_next + k, shown, left);
    }
}

static inline void step_hoisted(const struct step *s)
{
    float *stored = s->in->scratch[SUMS];
    for (int64_t head = 0; head < s->blocks.heads; head++) {
        blocks_product(s->in, OF_STATE, s->blocks, head, 1, s->y + head * s->blocks.size, 0,
                       stored);
        for (int64_t group = 0; group < blocks_groups(s->blocks); group++) {
            vfloat sums[WALK_VECTORS];
            for (int v = 0; v < WALK_VECTORS; v++)
                sums[v] = v_load(stored + group * BLOCKS_GROUP + v * VMATH_LANES);
            update_group(s, head, group, sums);
        }
    }
}

static inline void step_registers(const struct step *s)
{
    const int64_t groups = blocks_groups(s->blocks);
    for (int64_t head = 0; head < s->blocks.heads; head++) {
        const float *y = s->y + head * s->blocks.size;
        blocks_take(s->in, OF_STATE, y);
        for (int64_t group = 0; group < groups; group++) {
            vfloat sums[WALK_VECTORS] = {(vfloat){0}};
            blocks_walk(s->in, OF_STATE, s->blocks, head, group, y, sums);
            update_group(s, head, group, sums);
        }
    }
}

static inline void run(const struct instance *in, void (*one_step)(const struct step *s))
{
    const int64_t S = in->dims.S, H = in->dims.H;
    struct step s = {.in = in,
                     .blocks = slstm_blocks(in->dims),
                     .y = in->t[SLSTM_Y0],
                     .y_next = in->t[SLSTM_Y],
                     .c = in->t[SLSTM_C_LAST],
                     .n = in->t[SLSTM_N_LAST],
                     .m = in->t[SLSTM_M_LAST]};
    vmath_copy(H, in->t[SLSTM_C0], s.c);
    vmath_copy(H, in->t[SLSTM_N0], s.n);
    vmath_copy(H, in->t[SLSTM_M0], s.m);
    for (int64_t token = 0; token < S; token++) {
        const int64_t in_chunk = token % CHUNK;
        if (in_chunk == 0)
            product_rows(in, OF_INPUT, at_most(S - token, CHUNK), in->t[SLSTM_X] + token * H,
                         in->scratch[WX]);
        s.wx = in->scratch[WX] + in_chunk * SLSTM_GATES * H;
        one_step(&s);
        s.y = s.y_next;
        s.y_next += H;
    }
    multiply_adds_done += S * SLSTM_GATES * H * s.blocks.size;
}

static void run_hoisted(const struct instance *in)
{
    run(in, step_hoisted);
}

static void run_registers(const struct instance *in)
{
    run(in, step_registers);
}

const struct algorithm slstm_hoisted = {
    .name = "slstm/hoisted",
    .method = "W x of 96 tokens by one product; per step and head one product with all gates of R",
    .layer = &slstm_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run_hoisted,
};

const struct algorithm slstm_registers = {
    .name = "slstm/registers",
    .method = "gates of a channel together, cells updated while the sums are in registers",
    .layer = &slstm_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .needs_panels = true,
    .because = "it updates the cells while the sums of a panel are in registers",
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run_registers,
};

const struct algorithm slstm_step = {
    .name = "slstm.step",
    .method = "one step of slstm/hoisted",
    .layer = &slstm_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .products = PRODUCTS_STEP,
    .is_step = true,
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run_hoisted,
};
