/* registry.h - finding kernels: by name, by glob, by layer; and the words of a name. */
#ifndef SEQBENCH_REGISTRY_H
#define SEQBENCH_REGISTRY_H

#include "err.h"
#include "seqbench.h"

const struct kernel *kernel_find(const char *name);

/* Whether a name matches one of several globs with commas between. */
bool kernel_matches(const struct kernel *kernel, const char *globs);

/* Every glob must match a kernel. */
bool globs_check(const char *globs, struct err *err);

/* "layer", "part" or "roof". */
const char *kernel_kind(const struct kernel *kernel);

/* "lstm" of lstm/hoisted and of lstm.gates: its length within kernel->name. */
int kernel_layer_length(const struct kernel *kernel);

/* "hoisted" of lstm/hoisted, "gates" of lstm.gates. */
const char *kernel_variant(const struct kernel *kernel);

#endif
