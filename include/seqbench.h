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

enum role { INPUT, PARAMETER, OUTPUT, SCRATCH };

enum { RANK_MAX = 3, TENSOR_MAX = 16, SCRATCH_MAX = 8, OWN_CELLS_MAX = 32 };

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

/* Operations of one run of the layer, counted as stated at each field. */
struct cost {
    int64_t multiply_adds; /* in matrix products; accumulators start from the bias */
    int64_t elementwise;   /* 1 per add, subtract, multiply, divide, max, compare */
    int64_t exps, sigmoids, tanhs, rsqrts;
    int64_t streamed_bytes; /* weights that the sequential part walks through again at each step */
};

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
    /* Lists inputs, parameters and outputs; returns how many. */
    int (*tensors)(struct dims d, struct tensor out[TENSOR_MAX]);
    struct cost (*cost)(struct dims d);
    /* Plain loops in double over the tensors in the order listed; shares no code with any run. */
    void (*reference)(struct dims d, double *const t[]);
    /* Largest allowed max|y - reference| / max(1, max|reference|) of an output. */
    double tolerance;
    /* CELLS_OWN only. last_level_bytes is the size of the last-level cache. */
    int (*own_cells)(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX]);
};

/* The arrays of one case: t[] in the order of layer->tensors, scratch[] in that of kernel->scratch.
 */
struct instance {
    struct dims dims;
    float *t[TENSOR_MAX];
    float *scratch[SCRATCH_MAX];
};

struct kernel {
    const char *name;   /* "lstm/hoisted" or "lstm.gates" */
    const char *method; /* what this variant does differently, one line */
    const struct layer *layer;
    /* Lists the buffers that run may overwrite; returns how many. NULL: none. */
    int (*scratch)(struct dims d, struct tensor out[SCRATCH_MAX]);
    /*
     * The timed region, all of it. Reads inputs and parameters, writes every output. It expects
     * nothing of outputs and scratch, so running it again gives the same bits. It does not
     * allocate, print or look at the clock.
     */
    void (*run)(const struct instance *in);
};

/* All kernels in the order of kernels.def, which is the order of every table; ends with NULL. */
extern const struct kernel *const kernels[];

#endif
