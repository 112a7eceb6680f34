/* case_folder.h - case folders: case.json and one .npy per tensor, to check kernels elsewhere. */
#ifndef SEQBENCH_CASE_FOLDER_H
#define SEQBENCH_CASE_FOLDER_H

#include <stdint.h>
#include <stdio.h>

#include "cases/kernel.h"
#include "err.h"

/* What case.json says. */
struct description {
    char layer[64];
    bool known; /* only then are dims read */
    struct dims dims;
};

/* Parses the text of a case.json; path is for messages. */
bool description_parse(const char *text, const char *path, struct description *out,
                       struct err *err);

struct folder_counts {
    int passed, failed, skipped;
};

/*
 * Runs every variant of the folder's layer on its tensors and compares with its outputs: a PASS,
 * FAIL or SKIP line each. Returns false when the folder cannot be read.
 */
bool folder_verify(const char *path, FILE *text, struct folder_counts *counts, struct err *err);

/* Writes the kernel's inputs, parameters and outputs; the folder must not exist. */
bool folder_dump(const struct kernel *kernel, struct dims dims, uint64_t seed, const char *path,
                 struct err *err);

#endif
