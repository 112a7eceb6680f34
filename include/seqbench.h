/*
 * seqbench.h - all that a kernel's author reads: sizes, tensors, cost, and three descriptors.
 *
 * A *layer* fixes the mathematics: tensors, cost, double-precision reference. An *algorithm* is one
 * way of computing it: scratch and run. An *engine* supplies its products with weights
 * (products.h). All algorithms of a layer share its tensors, so they cannot drift apart, and the
 * harness makes, poisons, fills, loads and compares them without knowing the layer. What is timed
 * is an algorithm with an engine and sizes.
 */
#ifndef SEQBENCH_H
#define SEQBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * S = SeqLen (steps), H = HidSize (channels), A = HeadCount (1 where the layer has no heads),
 * B = BatchSize (sequences), In = InputSize (channels of x; 0: as many as H), G = heads of keys and
 * values (0: as many as A), W = keys that a token sees, its own included (0: all before it).
 */
struct dims {
#define DIMENSION(field, ...) int64_t field;
#include "dims.def"
#undef DIMENSION
};

/* Places in the tables of dimensions, and bits of layer->uses. */
enum {
#define DIMENSION(field, ...) DIM_##field,
#include "dims.def"
#undef DIMENSION
    DIMENSIONS,
};

#define USES(field) (1u << DIM_##field)
#define EVERY_LAYER (USES(S) | USES(H) | USES(B))

/*
 * INITIAL: a state before the first token; zeros where a case folder has no such file.
 * INITIAL_NONE: the same, but -infinity then, which says that no token was before. FINAL: a state
 * behind the last token; a case folder need not have it.
 */
enum role { INPUT, INITIAL, INITIAL_NONE, PARAMETER, OUTPUT, FINAL, PREPARED, SCRATCH };

enum {
    RANK_MAX = 4,
    TENSOR_MAX = 32,
    MAPS_MAX = 10,
    MADE_OF_MAX = 2,
    ENGINE_ARRAYS = 6, /* that an engine prepares of one map, at most */
    OWN_PREPARED_MAX = 4,
    PREPARED_MAX = OWN_PREPARED_MAX + MAPS_MAX * ENGINE_ARRAYS,
    SCRATCH_MAX = 12,
    OWN_CELLS_MAX = 32,
};

/*
 * One float32 array, row-major. Inputs and parameters are drawn uniformly from
 * [center - spread, center + spread]. Sizes of unused dimensions are 0. Layers list those of one
 * sequence; with B > 1 each input, state and output has one in front, [B,...].
 */
struct tensor {
    const char *name;
    enum role role;
    int64_t shape[RANK_MAX];
    float center, spread;
};

/* The size of a tile that may be the last one: what is left, or a whole one. */
static inline int64_t at_most(int64_t left, int64_t whole)
{
    return left < whole ? left : whole;
}

/* Rows that a product meets: the tokens of all sequences. */
static inline int64_t token_rows(struct dims d)
{
    return d.B * d.S;
}

/* Channels of the input of a layer that has an InputSize of its own. */
static inline int64_t input_size(struct dims d)
{
    return d.In > 0 ? d.In : d.H;
}

/* Heads of keys and values; head a of the queries uses number a G / A. */
static inline int64_t kv_heads(struct dims d)
{
    return d.G > 0 ? d.G : d.A;
}

/* Channels of the keys, or of the values, of all heads. */
static inline int64_t kv_channels(struct dims d)
{
    return d.H / d.A * kv_heads(d);
}

/* Floats of a row [q | k | v]. */
static inline int64_t qkv_channels(struct dims d)
{
    return d.H + 2 * kv_channels(d);
}

/* Keys that the last token sees, its own included. */
static inline int64_t seen_keys(struct dims d)
{
    return d.W > 0 && d.W < d.S ? d.W : d.S;
}

/* Operations of one run of the layer on one sequence, counted as stated at each field. */
struct cost {
    int64_t multiply_adds; /* in matrix products; accumulators start from the bias */
    int64_t elementwise;   /* 1 per add, subtract, multiply, divide, max, compare */
    int64_t exps, logs, sigmoids, tanhs, rsqrts; /* a softplus is an exp and a log */
    int64_t sequential; /* of 2 multiply_adds + elementwise: those that wait for the last step */
    int64_t streamed_weights; /* that the sequential part walks through again at each step */
    int64_t streamed_floats;  /* that it walks through beside weights: a cache of keys and values */
};

/* Every matrix product adds its multiply-adds here; a test compares the sum with cost(). */
extern int64_t multiply_adds_done;

/* Which cells of the SeqLen x HidSize grid a layer is timed at. */
enum cells {
    CELLS_GRID,     /* every cell */
    CELLS_PER_STEP, /* every HidSize, with SeqLen = 1: the work of one step */
    CELLS_OWN,      /* the cells that own_cells lists */
};

/* What a layer does in a model, so that it is compared with its like. */
enum job {
    JOB_NONE,      /* a part of a layer, or a roof */
    JOB_RECURRENT, /* a layer of a recurrent network */
    JOB_MIXER,     /* mixes tokens, as attention does: a block has an FFN beside it */
    JOB_BLOCK,     /* mixes tokens and channels: a layer of a model by itself */
};

struct instance;

struct layer {
    const char *name; /* "lstm", or "lstm.gates" for a part that is timed alone */
    enum job job;
    int per_block;          /* how many stand for one Transformer block; 0: one */
    const char *job_source; /* who put it to that use */
    const char *equation;   /* one line */
    enum cells cells;
    unsigned uses;  /* sizes beside those of EVERY_LAYER, as USES(A) */
    bool one_token; /* a run makes one token, whatever S is; else S tokens */
    /* NULL: every shape whose H is divisible by A. Why a shape is not supported, or NULL. */
    const char *(*refuses)(struct dims d);
    /* Lists inputs, parameters and outputs; returns how many. */
    int (*tensors)(struct dims d, struct tensor out[TENSOR_MAX]);
    struct cost (*cost)(struct dims d);
    /* Floats carried from one token to the next. NULL: the layer sees the whole sequence. */
    int64_t (*state)(struct dims d);
    /* Makes the state behind a run, of one sequence, the one before the next run; run_number counts
     * from 0. Part of a call of a stream. NULL: no state goes from run to run. */
    void (*carry)(struct instance *in, int64_t run_number);
    /* Plain loops in double over the tensors of one sequence in the order listed; shares no code
     * with any run. */
    void (*reference)(struct dims d, double *const t[]);
    /* Largest allowed max|y - reference| / max(1, max|reference|) of an output. */
    double tolerance;
    /* CELLS_OWN only; sizes left 0 are those of a layer without them. last_level_bytes is the size
     * of the last-level cache. */
    int (*own_cells)(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX]);
};

/*
 * A matrix W[out,in] of the layer that an algorithm multiplies by, and how. The engine prepares it
 * before the clock starts and makes the products (products.h).
 */
struct map {
    int matrix;               /* its tensor; its last size is in, the others together are out */
    bool is_made;             /* `matrix` counts the arrays of the algorithm's `prepared` instead */
    int rows_of[MADE_OF_MAX]; /* is_made: the tensors whose whole rows it has; 0: no more. None: it
                                 mixes rows, which engines that round cannot tell apart */
    int part, parts;          /* the part-th of so many equal parts of the rows; 0, 0: all rows */
    int bias;                 /* its tensor, b[out]; 0: none, as tensor 0 is an input */
    bool one_row; /* always multiplied by one token's vector, not by many rows at once */
    bool relu;    /* negative results become 0 */
    /* For algorithms that work panel by panel: rows are reordered so that all gates of a few
     * channels stand together, gate_vectors vectors of each. 0: the order stays. */
    int gates, gate_vectors;
};

/* A map of one case, as its engine has prepared it. */
struct weights {
    const struct map *map;
    int64_t out, in;
    int64_t rows;               /* that products write: out, or more where panels are filled up */
    bool one_row;               /* as the map says or SeqLen is 1, of one sequence */
    double kept;                /* as the engine says */
    uint64_t seed;              /* of what the engine draws */
    const float *matrix, *bias; /* as the layer lists them; bias may be NULL */
    float *made[ENGINE_ARRAYS]; /* what the engine's arrays() listed */
};

/* The arrays of one case, in the order in which layer->tensors and the algorithm list them. */
struct instance {
    struct dims dims;
    float *t[TENSOR_MAX];
    float *prepared[OWN_PREPARED_MAX];
    float *scratch[SCRATCH_MAX];
    const struct algorithm *algorithm;
    const struct engine *engine;
    struct weights weights[MAPS_MAX];
    int64_t
        run_number; /* of a stream, from 0: odd runs can go back over what even ones read last */
    void *handle;   /* what prepare made with a library, or NULL */
};

/* What is made of weights before they are multiplied by. */
enum rounding { ROUNDS_NOTHING, ROUNDS_BF16, ROUNDS_INT8 };

/* What an algorithm multiplies by weights. */
enum products {
    PRODUCTS_SEQUENCE, /* all tokens at once, where no earlier step is needed */
    PRODUCTS_STEP,     /* one token's vector after the other */
    PRODUCTS_NONE,
};

struct algorithm {
    const char *name;   /* "lstm/hoisted", "lstm.step" or "lstm.gates" */
    const char *method; /* what it does differently, one line */
    const struct layer *layer;
    enum products products;
    bool is_step;      /* the layer at SeqLen 1, timed alone */
    bool is_whole;     /* the parts of the layer are pieces of this algorithm */
    bool needs_panels; /* takes engines only that multiply panel by panel */
    /* run is given as many sequences at once as have so many rows together, at least one;
     * BATCH_TOGETHER: all. 0: it takes one sequence only. */
    int batch_rows;
    /* The only engine it takes, and why; NULL: any. Without maps: whose code it calls. */
    const char *engine, *because;
    enum rounding rounds;   /* of a library that it calls */
    const char *packing;    /* when that library brings weights into an order of its own: "call",
                               "before", "unknown"; NULL: as its engine says */
    bool (*is_there)(void); /* whether that library can do it on this CPU; NULL: it can */
    /* Why it does not support a shape that its layer does, or NULL. NULL: it supports them all. */
    const char *(*refuses)(struct dims d);
    const struct map *maps;
    int map_count;
    /* Where it does other work or is less exact than the layer says. NULL, 0: as it says. */
    struct cost (*cost)(struct dims d);
    double tolerance;
    /* Lists the arrays that prepare makes of the parameters; run only reads them. NULL: none. */
    int (*prepared)(struct dims d, struct tensor out[OWN_PREPARED_MAX]);
    /* Not timed, once after the parameters are there and before the engine prepares the maps. */
    void (*prepare)(struct instance *in);
    /* Gives back in->handle. */
    void (*release)(struct instance *in);
    /* Lists the buffers that run may overwrite; returns how many. NULL: none. */
    int (*scratch)(struct dims d, struct tensor out[SCRATCH_MAX]);
    /*
     * The timed region, all of it. Reads inputs, parameters and what was prepared, writes every
     * output. It expects nothing of outputs and scratch, so running it again gives the same bits.
     * It does not allocate, print or look at the clock.
     */
    void (*run)(const struct instance *in);
};

enum { BATCH_ONE_BY_ONE = 1, BATCH_GROUP = 96, BATCH_TOGETHER = INT32_MAX };

#define MAPS(table) .maps = (table), .map_count = (int)(sizeof(table) / sizeof((table)[0]))

/* Why an algorithm takes one engine only, where several do for the same reason. */
#define ONLY_OPENBLAS(reason) .engine = "openblas", .because = (reason)
#define TEXTBOOK ONLY_OPENBLAS("it is the textbook's form over a BLAS")
#define PIECE_OF(whole) ONLY_OPENBLAS("it is a piece of " whole ", timed alone")

#endif
