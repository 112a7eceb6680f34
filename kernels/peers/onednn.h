/*
 * onednn.h - oneDNN's primitives for the algorithms of this folder: one thread, packed weights.
 *
 * prepare opens a primitive, binds it to the arrays of the case and packs its weights as the
 * library asks for; run executes it. What the library refuses or runs out of ends the process with
 * a message: no kernel asks for what oneDNN does not have.
 */
#ifndef SEQBENCH_ONEDNN_H
#define SEQBENCH_ONEDNN_H

#include <dnnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "seqbench.h"

#define BY_ONEDNN .engine = "onednn", .because = "oneDNN makes its products itself"
#define BY_ONEDNN_BF16                                                                             \
    .engine = "onednn-bf16", .because = "oneDNN makes its products itself", .rounds = ROUNDS_BF16, \
    .is_there = onednn_has_narrow
#define BY_ONEDNN_INT8                                                                             \
    .engine = "onednn-int8", .because = "oneDNN makes its products itself", .rounds = ROUNDS_INT8, \
    .is_there = onednn_has_narrow

/* Inputs, states and outputs are rounded at each step, too. */
#define ONEDNN_BF16_TOLERANCE 2e-2
#define ONEDNN_INT8_TOLERANCE 5e-2

/* A primitive with its arguments, and several that run one after the other. */
struct onednn;
struct onednn_chain;

/* How a primitive holds what it multiplies, and its output. */
struct onednn_types {
    dnnl_data_type_t input, weights, output;
};
#define ONEDNN_FLOAT32 ((struct onednn_types){dnnl_f32, dnnl_f32, dnnl_f32})
#define ONEDNN_BF16 ((struct onednn_types){dnnl_bf16, dnnl_bf16, dnnl_bf16})
#define ONEDNN_INT8 ((struct onednn_types){dnnl_u8, dnnl_s8, dnnl_f32})

/* Ends the process unless status is dnnl_success. what: the function that was called. */
void onednn_check(dnnl_status_t status, const char *what);

/* Descriptor of an array; unused sizes are 0. */
dnnl_memory_desc_t onednn_desc(dnnl_data_type_t type, int64_t a, int64_t b, int64_t c, int64_t d,
                               dnnl_format_tag_t tag);

/* op is any of oneDNN's operation descriptors; attributes may be NULL. */
struct onednn *onednn_open(const void *op, const_dnnl_primitive_attr_t attributes);
void onednn_close(struct onednn *p);

/* Lets argument arg (DNNL_ARG_...) be this array, laid out as the descriptor of op said. */
void onednn_bind(struct onednn *p, int arg, const void *data);

/* A copy from one descriptor to another, as a primitive to be run. attributes may be NULL. */
struct onednn *onednn_reorder(dnnl_memory_desc_t from, const void *data, dnnl_memory_desc_t to,
                              void *copy, const_dnnl_primitive_attr_t attributes);

/* Copies an array with this descriptor into the layout and type that the primitive chose. */
void onednn_pack(struct onednn *p, int arg, dnnl_memory_desc_t given, const float *data,
                 const_dnnl_primitive_attr_t attributes);

/* A chain without a primitive, the handle of a case; one more at its end; all of them; the end. */
struct onednn_chain *onednn_chain(struct instance *in);
void onednn_chain_add(struct onednn_chain *chain, struct onednn *p);
void onednn_chain_run(const struct onednn_chain *chain);
void onednn_release(struct instance *in);

/*
 * An array of float32 in the type of a descriptor: itself, or room, which a primitive of the chain
 * fills when it runs; and the other way round. Bytes are 128 + 127 times a number in [-1,1].
 */
const void *onednn_taken(struct onednn_chain *chain, dnnl_memory_desc_t as, const float *data,
                         float *room);
void *onednn_made(dnnl_memory_desc_t as, float *data, float *room);
void onednn_give_back(struct onednn_chain *chain, dnnl_memory_desc_t as, const float *room,
                      float *data);

void onednn_execute(const struct onednn *p);

/* Y[rows,out] = X[rows,in] W[out,in]^T + b[out], negative values made 0 where relu; X in a type,
 * and W is packed in it. */
struct onednn *onednn_linear(dnnl_data_type_t type, int64_t rows, int64_t in, int64_t out,
                             const void *X, const float *W, const float *b, bool relu, float *Y);

/* Arrays of a recurrent layer with so many gates and biases, as oneDNN sees them. */
struct onednn_recurrent {
    dnnl_memory_desc_t input, output; /* x and y, [B,S,In] and [B,S,H], or [S,B,In] and [S,B,H] */
    dnnl_memory_desc_t state, cell;   /* h and c, [B,H] */
    dnnl_memory_desc_t weights_of_input, weights_of_state; /* layouts left to oneDNN */
    dnnl_memory_desc_t given_of_input, given_of_state;     /* [gates H,In] and [gates H,H] */
    dnnl_memory_desc_t bias;                               /* [biases H] */
};

/* layout: of x and y. */
struct onednn_recurrent onednn_recurrent(struct onednn_types types, struct dims d, int64_t gates,
                                         int64_t biases, dnnl_format_tag_t layout);

/* Room of a recurrent primitive of one sequence for x, h0 and y in other types than float32. */
enum { ONEDNN_X, ONEDNN_H0, ONEDNN_Y, ONEDNN_ROOMS };
int onednn_rooms(struct dims d, struct tensor out[ONEDNN_ROOMS]);

/* Attributes of bytes: a scale for each row of W[gates H,In] and U[gates H,H] together, and what
 * inputs and states are. NULL for other types. */
dnnl_primitive_attr_t onednn_recurrent_scales(struct onednn_types types, struct dims d,
                                              int64_t gates, const float *W, const float *U);

/*
 * The layout of x[B,S,H] as it lies in memory, dnnl_ntc; for one sequence dnnl_tnc is the same
 * memory, and oneDNN is faster when told so.
 */
dnnl_format_tag_t onednn_sequence_layout(struct dims d);

/* Opens a recurrent primitive and gives it its six common arrays. */
struct onednn *onednn_open_recurrent(const dnnl_rnn_desc_t *op, const struct onednn_recurrent *r,
                                     const_dnnl_primitive_attr_t attributes, const void *x,
                                     const void *h0, const float *W, const float *U, const float *b,
                                     void *y);

/* Whether it has products of bfloat16 and int8 on this CPU: with AVX-512. */
bool onednn_has_narrow(void);

/* Whether the library stays in the calling thread, after it was told to. */
bool onednn_is_serial(void);

/* "omp", "seq" or what else the library was built with. */
const char *onednn_runtime(void);

/* Threads that it would use now. */
int onednn_threads(void);

#endif
