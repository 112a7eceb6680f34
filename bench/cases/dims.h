/* dims.h - the sizes of a case as text, CSV fields and a key: dims.def as a table. */
#ifndef SEQBENCH_DIMS_H
#define SEQBENCH_DIMS_H

#include <stdio.h>

#include "err.h"
#include "seqbench.h"

struct dimension {
    const char *column, *name;
    int64_t absent, max; /* the size of a layer without it, and the largest */
};

extern const struct dimension dimensions[DIMENSIONS];

int64_t dims_get(struct dims d, int dimension);
void dims_set(struct dims *d, int dimension, int64_t size);

/* Sizes that are 0 become those of a layer without them. */
struct dims dims_complete(struct dims d);

bool dims_equal(struct dims a, struct dims b);

/* Why no layer can have these sizes together, or NULL. */
const char *dims_refused(struct dims d);

/* Whether all sizes are within their limits and a layer can have them together. */
bool dims_valid(struct dims d);

/* "S=64 H=512 heads=8"; sizes that the layer does not have are left out. */
enum { DIMS_TEXT = 160 };
const char *dims_text(struct dims d, char out[DIMS_TEXT]);

/* "seq_len,hid_size,heads" and "64,512,8" */
void dims_write_header(FILE *csv);
void dims_write(struct dims d, FILE *csv);

/* Reads such fields at *text, whose last is followed by `end`; leaves *text behind it. */
bool dims_read(const char **text, char end, struct dims *out);

#endif
