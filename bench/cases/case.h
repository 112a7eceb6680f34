/*
 * case.h - a case (kernel and sizes) laid out in memory: tensors, prepared arrays and scratch in
 * one arena, each 64-byte aligned between guard zones.
 */
#ifndef SEQBENCH_CASE_H
#define SEQBENCH_CASE_H

#include "cases/kernel.h"
#include "measure/memory.h"

struct placed {
    struct tensor spec;
    float *data;
};

struct bench_case {
    const struct kernel *kernel;
    struct instance instance;
    int tensor_count, prepared_count, scratch_count;
    struct placed tensor[TENSOR_MAX], prepared[PREPARED_MAX], scratch[SCRATCH_MAX];
};

/* Bytes that a case takes in an arena, guard zones included. */
size_t case_bytes(const struct kernel *kernel, struct dims dims);

/* Bytes of inputs, parameters and outputs, each once; weights as the engine stores them. */
int64_t case_compulsory_bytes(const struct kernel *kernel, struct dims dims);

/* Lays the case out from the arena's start and writes the guard zones; draws nothing. */
void case_place(const struct kernel *kernel, struct dims dims, const struct arena *arena,
                struct bench_case *out);

/* Floats from one sequence's part of a tensor to the next one's; 0 where all share it. */
int64_t case_sequence_elements(const struct placed *placed, struct dims dims);

/* Whether a run writes it: an output, or a state behind the last token. */
bool case_is_result(const struct placed *placed);

/* Draws inputs and parameters; the same seed gives the same values for every variant. */
void case_draw(struct bench_case *bench_case, uint64_t seed);

/* Once the parameters are there and before the first run. case_release gives back what it took. */
void case_prepare(struct bench_case *bench_case);
void case_release(struct bench_case *bench_case);

/* Fills outputs with NaN; the second one scratch too. */
void case_poison_outputs(struct bench_case *bench_case);
void case_poison(struct bench_case *bench_case);

/* The name of an array whose guard zone was written to, or NULL. */
const char *case_broken_guard(const struct bench_case *bench_case);

/* The timed region. */
void case_run(const struct bench_case *bench_case);

#endif
