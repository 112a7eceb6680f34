/* supra.h - the tensors of the SUPRA layer and what its algorithms share. */
#ifndef SEQBENCH_SUPRA_H
#define SEQBENCH_SUPRA_H

#include "common/chunk.h"
#include "products.h"

enum { SUPRA_X, SUPRA_WQKV, SUPRA_WE, SUPRA_BE, SUPRA_WO, SUPRA_Y };

enum { SUPRA_CHUNK = STATE_CHUNK }; /* tokens */

/* Prepared by every algorithm. */
enum { SUPRA_COS, SUPRA_SIN, SUPRA_POWERS };

/* Scratch that every algorithm lists first. */
enum { SUPRA_QKV, SUPRA_FEATURES, SUPRA_STATE, SUPRA_SCRATCH };

extern const struct layer supra_layer;

/* The linear maps of both algorithms: q, k, v one by one, features of q and k, output. */
enum { SUPRA_OF_Q, SUPRA_OF_K, SUPRA_OF_V, SUPRA_OF_FEATURES, SUPRA_OF_OUTPUT, SUPRA_MAPS };
extern const struct map supra_maps[SUPRA_MAPS];

/* Multiply-adds 6 S H^2 of the maps and the elementwise work around the recurrence. */
struct cost supra_maps_cost(struct dims d);

/* Lists cos[S,H/A/2], sin[S,H/A/2] and powers[A,SUPRA_CHUNK+1]. */
int supra_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX]);

/*
 * Fills them. Pair c at position t turns by t 10000^(-2c / (H/A)); power n of a head is g^n, its
 * decay over n tokens.
 */
void supra_prepare(struct instance *in);

/* The powers of a head. */
const float *supra_powers(const struct instance *in, int64_t head);

/* Lists qkv[3,S,H], features[2,S,H], state[H/A,H/A]; returns SUPRA_SCRATCH. */
int supra_scratch(struct dims d, struct tensor out[SCRATCH_MAX]);

/* From x to features: rotated q, then rotated and scaled k. The third part of qkv is v. */
void supra_begin(const struct instance *in);

/* Group norm of context[S,H], head by head and in place, then y = Wo context. */
void supra_finish(const struct instance *in, float *context);

#endif
