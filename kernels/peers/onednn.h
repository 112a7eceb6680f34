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

/* A primitive with its arguments. */
struct onednn;

/* Ends the process unless status is dnnl_success. what: the function that was called. */
void onednn_check(dnnl_status_t status, const char *what);

/* Descriptor of a float32 array; unused sizes are 0. */
dnnl_memory_desc_t onednn_desc(int64_t a, int64_t b, int64_t c, int64_t d, dnnl_format_tag_t tag);

/* op is any of oneDNN's operation descriptors; attributes may be NULL. */
struct onednn *onednn_open(const void *op, const_dnnl_primitive_attr_t attributes);
void onednn_close(struct onednn *p);

/* Closes the one primitive of a case, its handle. */
void onednn_release(struct instance *in);

/* Lets argument arg (DNNL_ARG_...) be this array, laid out as the descriptor of op said. */
void onednn_bind(struct onednn *p, int arg, const float *data);

/* Copies an array with this descriptor into the layout that the primitive chose. */
void onednn_pack(struct onednn *p, int arg, dnnl_memory_desc_t given, const float *data);

void onednn_execute(const struct onednn *p);

/* Y[rows,out] = X[rows,in] W[out,in]^T + b[out], negative values made 0 where relu. */
struct onednn *onednn_linear(int64_t rows, int64_t in, int64_t out, const float *X, const float *W,
                             const float *b, bool relu, float *Y);

/* Arrays of a recurrent layer with so many gates and biases, as oneDNN sees them. */
struct onednn_recurrent {
    dnnl_memory_desc_t input, output; /* x and y, [B,S,In] and [B,S,H], or [S,B,In] and [S,B,H] */
    dnnl_memory_desc_t state;         /* [B,H] */
    dnnl_memory_desc_t weights_of_input, weights_of_state; /* layouts left to oneDNN */
    dnnl_memory_desc_t given_of_input, given_of_state;     /* [gates H,In] and [gates H,H] */
    dnnl_memory_desc_t bias;                               /* [biases H] */
};

/* layout: of x and y. */
struct onednn_recurrent onednn_recurrent(struct dims d, int64_t gates, int64_t biases,
                                         dnnl_format_tag_t layout);

/*
 * The layout of x[B,S,H] as it lies in memory, dnnl_ntc; for one sequence dnnl_tnc is the same
 * memory, and oneDNN is faster when told so.
 */
dnnl_format_tag_t onednn_sequence_layout(struct dims d);

/* Opens a recurrent primitive and gives it its six common arrays. */
struct onednn *onednn_open_recurrent(const dnnl_rnn_desc_t *op, const struct onednn_recurrent *r,
                                     const float *x, const float *h0, const float *W,
                                     const float *U, const float *b, float *y);

/* Whether the library stays in the calling thread, after it was told to. */
bool onednn_is_serial(void);

/* "omp", "seq" or what else the library was built with. */
const char *onednn_runtime(void);

/* Threads that it would use now. */
int onednn_threads(void);

#endif
