/* npy.h - float32 tensors as NumPy .npy files (format 1.0 to 3.0, C order, little endian). */
#ifndef SEQBENCH_NPY_H
#define SEQBENCH_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum { NPY_RANK_MAX = 4 };

/* Of a whole file: 2^30 elements and a header. */
#define NPY_BYTES_MAX (((size_t)4 << 30) + 4096)

struct npy {
    int rank;
    int64_t shape[NPY_RANK_MAX];
    const unsigned char *data; /* within the bytes that were parsed; not aligned */
    int64_t elements;
};

/* Parses a whole file in memory. name is for messages. */
bool npy_parse(const unsigned char *bytes, size_t size, const char *name, struct npy *out,
               struct err *err);

bool npy_write(const char *path, const float *data, int rank, const int64_t *shape,
               struct err *err);

#endif
