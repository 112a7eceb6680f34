/* grid.h - text and flags to a grid of sizes. Pure: reads no file but the one it is given. */
#ifndef SEQBENCH_GRID_H
#define SEQBENCH_GRID_H

#include "cases/dims.h"

enum { SIZES_MAX = 64, GRID_CASES_MAX = 256, LAYER_NAME_MAX = 64 };

struct sizes {
    int count;
    int64_t v[SIZES_MAX];
};

/* One shape of one layer; sizes that are 0 are as the layer has them. */
struct grid_case {
    char layer[LAYER_NAME_MAX];
    int64_t sizes[DIMENSIONS];
};

/* Lists of sizes, each with each, or single cases. */
struct grid {
    char name[256];
    struct sizes sizes[DIMENSIONS]; /* count 0: as the layer has it; heads: see default_heads */
    struct grid_case cases[GRID_CASES_MAX];
    int case_count; /* 0: the lists count */
    int64_t rounds;
    int64_t budget_s; /* see struct settings */
    int64_t keys;     /* of a stream: SeqLen of layers that make one token; 0: it is no stream */
};

enum { ROUNDS_MAX = 1000, BUDGET_MAX = 10000000 };

/* LIST: 64,128 or 16:4096:x2 or 64:512:+64, or several of these with commas between. */
bool parse_sizes(const char *text, const char *what, int64_t max, struct sizes *out,
                 struct err *err);

/* Lines `S LIST`, `H LIST`, and of any other dimension, or in their place lines
 * `case LAYER S=N H=N ...`; `rounds N`, `budget SECONDS`; # starts a comment. name is for messages. */
bool grid_parse(const char *text, const char *name, struct grid *out, struct err *err);

/* Names of built-in grids: of runs, of streams, of the accuracy of engines. */
#define GRIDS "quick, default, peers, width, batch, precision, full"
#define STREAM_GRIDS "stream, stream-slow, stream-chunks"
#define ACCURACY_GRIDS "accuracy, accuracy-long"

/* A built-in grid by its name in grid.c, otherwise a file. */
bool grid_load(const char *name_or_path, struct grid *out, struct err *err);

/* The smallest count of at least H/64 that divides H: head size 64 where H allows it. */
int64_t default_heads(int64_t hid_size);

#endif
