/*
 * seqbench.h - all that a kernel may see: sizes, tensors, cost, and the two descriptors.
 *
 * A *layer* fixes the mathematics: tensors, cost, double-precision reference. A *kernel* is one way
 * of computing it: scratch and run. All variants of a layer share its tensors, so they cannot drift
 * apart, and the harness makes, poisons, fills, loads and compares them without knowing the layer.
 */
#ifndef SEQBENCH_H
#define SEQBENCH_H

#include <stdbool.h>
#include <stdint.h>

/* S = SeqLen (steps), H = HidSize (channels), A = HeadCount (1 where the layer has no heads). */
struct dims {
    int64_t S, H, A;
};

enum role { INPUT, PARAMETER, OUTPUT, PREPARED, SCRATCH };

enum { RANK_MAX = 3, TENSOR_MAX = 20, PREPARED_MAX = 8, SCRATCH_MAX = 12, OWN_CELLS_MAX = 32 };

/*
 * One float32 array, row-major. Inputs and parameters are drawn uniformly from
 * [center - spread, center + spread]. Sizes of unused dimensions are 0.
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

/* Operations of one run of the layer, counted as stated at each field. */
struct cost {
    int64_t multiply_adds; /* in matrix products; accumulators start from the bias */
    int64_t elementwise;   /* 1 per add, subtract, multiply, divide, max, compare */
    int64_t exps, logs, sigmoids, tanhs, rsqrts; /* a softplus is an exp and a log */
    int64_t sequential; /* of 2 multiply_adds + elementwise: those that wait for the last step */
    int64_t streamed_bytes; /* weights that the sequential part walks through again at each step */
};

/* Every matrix product adds its multiply-adds here; a test compares the sum with cost(). */
extern int64_t multiply_adds_done;

/* Whose code the matrix products are. */
enum engine { OPENBLAS, PACKED, ONEDNN, ENGINES };

/* Which cells of the SeqLen x HidSize grid a layer is timed at. */
enum cells {
    CELLS_GRID,     /* every cell */
    CELLS_PER_STEP, /* every HidSize, with SeqLen = 1: the work of one step */
    CELLS_OWN,      /* the cells that own_cells lists */
};

struct layer {
    const char *name;     /* "lstm", or "lstm.gates" for a part that is timed alone */
    const char *equation; /* one line */
    enum cells cells;
    bool has_heads;
    bool one_token; /* a run makes one token, whatever S is; else S tokens */
    /* NULL: every shape whose H is divisible by A. Why a shape is not supported, or NULL. */
    const char *(*refuses)(struct dims d);
    /* Lists inputs, parameters and outputs; returns how many. */
    int (*tensors)(struct dims d, struct tensor out[TENSOR_MAX]);
    struct cost (*cost)(struct dims d);
    /* Floats carried from one token to the next. NULL: the layer sees the whole sequence. */
    int64_t (*state)(struct dims d);
    /* Plain loops in double over the tensors in the order listed; shares no code with any run. */
    void (*reference)(struct dims d, double *const t[]);
    /* Largest allowed max|y - reference| / max(1, max|reference|) of an output. */
    double tolerance;
    /* CELLS_OWN only. last_level_bytes is the size of the last-level cache. */
    int (*own_cells)(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX]);
};

/* The arrays of one case, in the order in which layer->tensors and the kernel's functions list
 * them.
 */
struct instance {
    struct dims dims;
    float *t[TENSOR_MAX];
    float *prepared[PREPARED_MAX];
    float *scratch[SCRATCH_MAX];
    void *handle; /* what prepare made with a library, or NULL */
};

struct kernel {
    const char *name;   /* "lstm/hoisted" or "lstm.gates" */
    const char *method; /* what this variant does differently, one line */
    const struct layer *layer;
    enum engine engine;
    /* Where this variant does other work or is less exact than the layer says. NULL, 0: as it says.
     */
    struct cost (*cost)(struct dims d);
    double tolerance;
    /* Lists the arrays that prepare makes of the parameters; run only reads them. NULL: none. */
    int (*prepared)(struct dims d, struct tensor out[PREPARED_MAX]);
    /* Not timed, once after the parameters are there: packs weights, sets up a library. */
    void (*prepare)(struct instance *in);
    /* Gives back in->handle. */
    void (*release)(struct instance *in);
    /* Lists the buffers that run may overwrite; returns how many. NULL: none. */
    int (*scratch)(struct dims d, struct tensor out[SCRATCH_MAX]);
    /*
     * The timed region, all of it. Reads inputs, parameters and what prepare made, writes every
     * output. It expects
     * nothing of outputs and scratch, so running it again gives the same bits. It does not
     * allocate, print or look at the clock.
     */
    void (*run)(const struct instance *in);
};

/* All kernels in the order of kernels.def, which is the order of every table; ends with NULL. */
extern const struct kernel *const kernels[];

#endif
