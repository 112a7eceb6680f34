/*
 * kernel.h - a kernel is an algorithm with the engine that makes its products with weights. Finding
 * kernels by name and glob, the words of a name, and what a kernel costs.
 */
#ifndef SEQBENCH_KERNEL_H
#define SEQBENCH_KERNEL_H

#include <stdio.h>

#include "err.h"
#include "products.h"

struct kernel {
    const char *name; /* the algorithm's */
    const struct algorithm *algorithm;
    const struct layer *layer;
    const struct engine *engine; /* NULL: multiplies by no weights, or by a library of its own */
    const char *engine_name;     /* "openblas", "packed", "onednn"; "none": calls none */
};

/* All kernels in the order of kernels.def, and of engines.def within an algorithm; NULL behind. */
const struct kernel *kernel_at(int i);

/* By the algorithm's name, with the engine of that name; NULL: the first engine it takes. */
const struct kernel *kernel_find(const char *name, const char *engine);

/* The layer of that name, of which some kernel is; NULL: unknown. */
const struct layer *layer_find(const char *name);

/*
 * Which kernels. globs: of names, with commas between, read from left to right: a glob takes in
 * what it matches, one that begins with ! takes out. engines: globs with commas between, or all.
 * Roofs, and kernels that call no library, are in whatever the engines.
 */
#define ENGINES_OF_THE_SUITE "openblas,packed"

struct selection {
    const char *globs, *engines;
};

bool kernel_is_in(const struct kernel *kernel, struct selection selection);

/* Every glob that takes in must match an algorithm, every engine must be known. */
bool selection_check(struct selection selection, struct err *err);

/* Why no kernel of an algorithm that the globs take in has one of the engines; NULL: one has. */
const char *algorithm_left_out(const struct algorithm *algorithm, struct selection selection);

/* kernels.csv: a row per kernel of the selection; see results/README.md. */
void kernels_write_csv(struct selection selection, FILE *csv);

/* "layer", "step" (of lstm.step), "part" (of lstm.gates) or "roof". */
const char *kernel_kind(const struct kernel *kernel);

/* Which cells of the grid a kernel is timed at. */
enum cells kernel_cells(const struct kernel *kernel);

/* Whether a size is one that the layer can have. */
bool layer_has(const struct layer *layer, int dimension);

/* Whether it can run several sequences, and how many of d.B it is given at once. */
bool kernel_batches(const struct kernel *kernel);
int64_t kernel_sequences_at_once(const struct kernel *kernel, struct dims d);

/* What one run costs, and how far its outputs may be off. */
struct cost kernel_cost(const struct kernel *kernel, struct dims d);
double kernel_tolerance(const struct kernel *kernel);

/* Whether it rounds weights or leaves some out: what it makes is not what the layer says. */
bool kernel_approximates(const struct kernel *kernel);

/* Bytes that the sequential part walks through again, as the engine stores weights. */
int64_t kernel_streamed_bytes(const struct kernel *kernel, struct dims d);

/* Elements of all parameters of the layer. */
int64_t kernel_parameters(const struct kernel *kernel, struct dims d);

/* The sizes that a layer has; others, and those that are 0, as of a layer without them. */
struct dims layer_dims(const struct layer *layer, struct dims d);

/* The same of a case; where they are 0, heads as default_heads says, others as of a layer without
 * them. */
struct dims kernel_dims(const struct kernel *kernel, struct dims d);

/* Why a shape is not supported; NULL: it is. */
const char *kernel_refuses(const struct kernel *kernel, struct dims d);

/* "lstm" of lstm/hoisted and of lstm.gates: its length within the name. */
int kernel_layer_length(const struct kernel *kernel);

/* "hoisted" of lstm/hoisted, "gates" of lstm.gates. */
const char *kernel_variant(const struct kernel *kernel);

int64_t tensor_elements(const struct tensor *tensor);

/* How many sizes it has. */
int tensor_rank(const struct tensor *tensor);

/* Whether a run writes it: an output, or a state behind the last token. */
bool tensor_is_result(const struct tensor *tensor);

/* Whether each sequence has it for itself. */
bool tensor_is_per_sequence(const struct tensor *tensor);

/* The tensors of all sequences together, [B,...] where each has its own; returns how many. */
int layer_tensors(const struct layer *layer, struct dims d, struct tensor out[TENSOR_MAX]);

#endif
