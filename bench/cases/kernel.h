/* kernel.h - finding kernels: by name, by glob, by layer; and the words of a name. */
#ifndef SEQBENCH_KERNEL_H
#define SEQBENCH_KERNEL_H

#include <stdio.h>

#include "err.h"
#include "seqbench.h"

const struct kernel *kernel_find(const char *name);

/*
 * Whether a kernel is in a list of globs with commas between, read from left to right: a glob takes
 * in what it matches, one that begins with ! takes out.
 */
bool kernel_matches(const struct kernel *kernel, const char *globs);

/* kernels.csv: a row per kernel that matches; see results/README.md. */
void kernels_write_csv(const char *globs, FILE *csv);

/* Every glob that takes in must match a kernel. */
bool globs_check(const char *globs, struct err *err);

/* "layer", "step" (of lstm.step), "part" (of lstm.gates) or "roof". */
const char *kernel_kind(const struct kernel *kernel);

/* What one run of this variant costs, and how far its outputs may be off. */
struct cost kernel_cost(const struct kernel *kernel, struct dims d);
double kernel_tolerance(const struct kernel *kernel);

/* Evaluations of all kinds. */
int64_t cost_transcendentals(struct cost cost);

/* Why the layer does not support a shape; NULL: it does. */
const char *kernel_refuses(const struct kernel *kernel, struct dims d);

/* "openblas", "packed" or "onednn". */
const char *kernel_engine(const struct kernel *kernel);

/* "lstm" of lstm/hoisted and of lstm.gates: its length within kernel->name. */
int kernel_layer_length(const struct kernel *kernel);

/* "hoisted" of lstm/hoisted, "gates" of lstm.gates. */
const char *kernel_variant(const struct kernel *kernel);

#endif
