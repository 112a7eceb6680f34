/*
 * conditions.h - what a stream does between two calls, as text: `hot` (nothing), `cold` (evicts the
 * caches), or a period such as 20.8us, 10ms (other memory is worked on until the next tick).
 */
#ifndef SEQBENCH_CONDITIONS_H
#define SEQBENCH_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

enum { CONDITIONS_MAX = 8 };

enum condition_kind { HOT, COLD, PACED };

struct condition {
    enum condition_kind kind;
    int64_t period_ns; /* PACED only */
};

struct conditions {
    int count; /* 0: this run is no stream */
    struct condition v[CONDITIONS_MAX];
};

/* A list with commas; the empty text is the empty list. what is for messages. */
bool conditions_parse(const char *text, const char *what, struct conditions *out, struct err *err);

/* "hot", "cold" or the period as "20800ns"; returns out. */
enum { CONDITION_TEXT = 32 };
const char *condition_text(struct condition condition, char out[CONDITION_TEXT]);

#endif
